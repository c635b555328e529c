/* The examples of docs/guide/sync.md. */
#include <skua/skua.h>
#include <stdio.h>

/* An account: what belongs together stands together, the mutex among it. */
struct account {
    skua_mutex mutex; /* zeroed: free */
    int balance;
    int bookings;
};

static int book(struct account *account, int amount, skua_time deadline)
{
    int status = skua_mutex_lock(&account->mutex, deadline);
    if (status < 0) {
        return status; /* not ours: -ETIMEDOUT, -EAGAIN, -ECANCELED */
    }
    account->balance += amount;
    account->bookings++;
    skua_mutex_unlock(&account->mutex);
    return 0;
}

/* One of many customers. */
static int pay_in(void *arg)
{
    struct account *account = arg;
    int status = 0;
    for (int i = 0; i < 100 && status == 0; i++) {
        status = book(account, 1, SKUA_FOREVER);
    }
    return status;
}

/* Holds the account while it waits for something else: other tasks run, the account does not. */
static int audit(struct account *account)
{
    int status = skua_mutex_lock(&account->mutex, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    int before = account->balance;
    status = skua_sleep(skua_after(SKUA_MS(1)));
    if (account->balance != before) {
        printf("somebody booked during the audit\n");
    }
    skua_mutex_unlock(&account->mutex);
    return status;
}

static int run_bank(void *arg)
{
    struct account account = {0};
    skua_task *customers[10];
    for (int i = 0; i < 10; i++) {
        int status = skua_spawn(&customers[i], pay_in, &account, NULL);
        if (status < 0) {
            skua_task_release_all(customers, (size_t)i);
            return status;
        }
    }
    int first_error = audit(&account);
    for (int i = 0; i < 10; i++) {
        int status = 0;
        int joined = skua_join(customers[i], &status, SKUA_FOREVER);
        first_error = first_error < 0 ? first_error : joined < 0 ? joined : status;
        skua_task_release(customers[i]);
    }
    printf("%d bookings, balance %d\n", account.bookings, account.balance);
    return first_error;
}

/* --- a guard --- */

static int transfer(struct account *from, struct account *to, int amount)
{
    SKUA_GUARD(first);
    SKUA_GUARD(second);
    int status = skua_guard_lock(&first, &from->mutex, SKUA_FOREVER);
    if (status == 0) {
        status = skua_guard_lock(&second, &to->mutex, SKUA_FOREVER);
    }
    if (status < 0) {
        return status; /* the first one is given back here, if it was locked */
    }
    if (from->balance < amount) {
        return -EDQUOT; /* both are */
    }
    from->balance -= amount;
    to->balance += amount;
    return 0; /* and here */
}

/* --- many readers --- */

struct prices {
    skua_rwlock lock;
    int apple, pear;
};

static int price_of_both(struct prices *prices)
{
    SKUA_GUARD(guard);
    int status = skua_guard_read(&guard, &prices->lock, SKUA_FOREVER);
    return status < 0 ? status : prices->apple + prices->pear;
}

static int raise_prices(struct prices *prices, int by)
{
    SKUA_GUARD(guard);
    int status = skua_guard_write(&guard, &prices->lock, SKUA_FOREVER);
    if (status == 0) {
        prices->apple += by;
        prices->pear += by;
    }
    return status;
}

/* --- so many at a time --- */

struct kitchen {
    skua_sem stoves;
    skua_wait_group meals;
    int cooking, cooking_max, done;
    skua_mutex mutex;
};

static int count_pots(struct kitchen *kitchen, int change)
{
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &kitchen->mutex, SKUA_FOREVER);
    if (status == 0) {
        kitchen->cooking += change;
        kitchen->done += change < 0;
        if (kitchen->cooking > kitchen->cooking_max) {
            kitchen->cooking_max = kitchen->cooking;
        }
    }
    return status;
}

static int cook(void *arg)
{
    struct kitchen *kitchen = arg;
    int status = skua_sem_acquire(&kitchen->stoves, 1, SKUA_FOREVER);
    if (status == 0) {
        status = count_pots(kitchen, +1);
        status = status < 0 ? status : skua_sleep(skua_after(SKUA_MS(2)));
        status = status < 0 ? status : count_pots(kitchen, -1);
        skua_sem_release(&kitchen->stoves, 1);
    }
    skua_wait_group_done(&kitchen->meals);
    return status;
}

static int run_kitchen(void)
{
    struct kitchen kitchen = {0};
    skua_sem_init(&kitchen.stoves, 3);
    for (int i = 0; i < 10; i++) {
        skua_wait_group_add(&kitchen.meals, 1);
        int status = skua_spawn(NULL, cook, &kitchen, NULL);
        if (status < 0) {
            skua_wait_group_done(&kitchen.meals);
        }
    }
    SKUA_SCOPE(shield); /* the cooks use this frame: they are waited for in any case */
    skua_shield_open(&shield, SKUA_FOREVER);
    int status = skua_wait_group_wait(&kitchen.meals, SKUA_FOREVER);
    printf("%d meals, %d at a time\n", kitchen.done, kitchen.cooking_max);
    return skua_scope_close(&shield, status);
}

/* --- something has happened --- */

struct start {
    skua_event gun;
    skua_barrier finish;
    int runners;
};

static int run_race(void *arg)
{
    struct start *start = arg;
    int status = skua_event_wait(&start->gun, SKUA_FOREVER);
    if (status < 0) {
        skua_barrier_abort(&start->finish); /* the others need not wait for this one */
        return status;
    }
    int place = skua_barrier_wait(&start->finish, SKUA_FOREVER);
    if (place == 0) {
        printf("all %d are there\n", start->runners);
    }
    return place < 0 ? place : 0;
}

/* --- something under a mutex has changed --- */

struct shelf {
    skua_mutex mutex;
    skua_cond filled;
    int books;
};

static int take_book(struct shelf *shelf, skua_time deadline)
{
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &shelf->mutex, deadline);
    while (status == 0 && shelf->books == 0) {
        status = skua_cond_wait(&shelf->filled, &shelf->mutex, deadline);
    }
    if (status == 0) {
        shelf->books--;
    }
    return status;
}

static int bring_book(void *arg)
{
    struct shelf *shelf = arg;
    SKUA_GUARD(guard);
    int status = skua_guard_lock(&guard, &shelf->mutex, SKUA_FOREVER);
    if (status == 0) {
        shelf->books++;
        skua_cond_signal(&shelf->filled);
    }
    return status;
}

/* --- once --- */

static skua_once table_is_made;
static int table[256];

static int make_table(void *arg)
{
    (void)arg;
    for (int i = 0; i < 256; i++) {
        table[i] = i * i;
    }
    return 0;
}

static int square(int i)
{
    int status = skua_once_run(&table_is_made, make_table, NULL, SKUA_FOREVER);
    return status < 0 ? status : table[i];
}

/* --- all of it --- */

static int join_all(skua_task **tasks, int count)
{
    int first_error = 0;
    for (int i = 0; i < count; i++) {
        int status = 0;
        int joined = skua_join(tasks[i], &status, SKUA_FOREVER);
        status = joined < 0 ? joined : status;
        first_error = first_error < 0 ? first_error : status;
        skua_task_release(tasks[i]);
    }
    return first_error;
}

static int hold_race(void)
{
    static struct start start = {.runners = 5};
    skua_task *runners[5];
    skua_barrier_init(&start.finish, 5);
    for (int i = 0; i < 5; i++) {
        int status = skua_spawn(&runners[i], run_race, &start, NULL);
        if (status < 0) {
            skua_barrier_abort(&start.finish);
            skua_event_set(&start.gun);
            (void)join_all(runners, i);
            return status;
        }
    }
    skua_event_set(&start.gun);
    return join_all(runners, 5);
}

static int visit_shelf(void)
{
    static struct shelf shelf;
    skua_task *bringer;
    printf("an empty shelf: %s\n", skua_error_text(take_book(&shelf, skua_after(SKUA_MS(2)))));
    int status = skua_spawn(&bringer, bring_book, &shelf, NULL);
    if (status < 0) {
        return status;
    }
    status = take_book(&shelf, SKUA_FOREVER);
    int brought = join_all(&bringer, 1);
    return status < 0 ? status : brought;
}

static int run_all(void *arg)
{
    struct account rich = {.balance = 100}, poor = {0};
    struct prices prices = {.apple = 20, .pear = 30};
    int status = run_bank(arg);
    if (status < 0) {
        return status;
    }
    status = transfer(&rich, &poor, 60);
    printf("transfer: %s\n", skua_error_text(status));
    status = transfer(&rich, &poor, 60);
    printf("transfer: %s\n", skua_error_text(status));
    status = raise_prices(&prices, 5);
    printf("an apple and a pear: %d\n", status < 0 ? status : price_of_both(&prices));
    status = run_kitchen();
    status = status < 0 ? status : hold_race();
    status = status < 0 ? status : visit_shelf();
    printf("7 * 7 = %d\n", square(7));
    return status;
}

int main(void)
{
    int status = skua_run(NULL, run_all, NULL);
    return status < 0;
}
