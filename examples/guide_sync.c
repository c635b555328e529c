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

int main(void)
{
    int status = skua_run(NULL, run_bank, NULL);
    return status < 0;
}
