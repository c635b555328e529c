/* The examples of docs/guide/streams.md, which the tests run with
   SKUA_CLOCK=virtual. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

/* --- a generator ------------------------------------------------------------------------------ */

/* Pages of a listing, each fetched when it is asked for. */
static int pages(skua_gen *self, void *arg)
{
    const int *count = arg;
    int status = 0;
    printf("connected\n");
    for (int page = 1; page <= *count && status == 0; page++) {
        status = skua_sleep(skua_after(SKUA_MS(1))); /* the network */
        if (status == 0) {
            status = skua_gen_yield(self, &page);
        }
    }
    printf("disconnected\n");
    return status;
}

static int find_page(int wanted)
{
    int count = 10, page;
    SKUA_GEN(listing); /* behind what it uses */
    int status = skua_gen_open(&listing, pages, &count, sizeof page);
    if (status < 0) {
        return status;
    }
    while ((status = skua_gen_next(listing, &page, SKUA_FOREVER)) == 1) {
        printf("page %d\n", page);
        if (page == wanted) {
            break; /* closes it: the generator disconnects first */
        }
    }
    return status;
}

/* --- a context manager ------------------------------------------------------------------------ */

static int transaction(skua_gen *self, void *arg)
{
    int *balance = arg, before = *balance;
    int status = skua_gen_yield(self, &balance); /* the body runs now */
    if (status < 0) {
        *balance = before;
    }
    printf("%s, balance %d\n", status < 0 ? "rolled back" : "committed", *balance);
    return status;
}

static int book(int *account, int amount)
{
    SKUA_GEN(manager);
    int *balance;
    int status = skua_gen_open(&manager, transaction, account, sizeof balance);
    if (status == 0) {
        status = skua_gen_next(manager, &balance, SKUA_FOREVER);
    }
    if (status == 1) {
        *balance += amount;
        status = *balance < 0 ? -EDOM : 0;
    }
    return skua_gen_finish(&manager, status);
}

/* --- comprehensions --------------------------------------------------------------------------- */

struct user {
    int id; /* the key of dictionaries stands first */
    char name[12];
};

static int user_ids(skua_gen *self, void *arg)
{
    static const int ids[] = {3, 1, 4, 1, 5, 9, 2, 6, 5};
    int status = 0;
    for (int i = 0; i < 9 && status == 0; i++) {
        status = skua_gen_yield(self, &ids[i]);
    }
    return status;
}

static int is_active(void *context, const void *id)
{
    int status = skua_sleep(skua_after(SKUA_US(100))); /* asks a server */
    return status < 0 ? status : *(const int *)id < 5;
}

static int fetch_user(void *context, const void *id, void *out)
{
    struct user *user = out;
    memset(user, 0, sizeof *user);
    user->id = *(const int *)id;
    snprintf(user->name, sizeof user->name, "user %d", user->id);
    return skua_sleep(skua_after(SKUA_US(100))); /* another one */
}

/* [fetch_user(id) for id in user_ids() if is_active(id)], and {id: ...}, and {id ...} */
static int comprehend(void)
{
    SKUA_VEC(list);
    SKUA_TABLE(dict);
    SKUA_TABLE(set);
    skua_stream *active =
        skua_stream_filter(skua_stream_generate(user_ids, NULL, sizeof(int)), is_active, NULL);
    int status = skua_stream_collect(skua_stream_map(active, fetch_user, NULL, sizeof(struct user)),
                                     &list, SKUA_FOREVER);
    if (status == 0) {
        skua_stream *users = skua_stream_map(skua_stream_generate(user_ids, NULL, sizeof(int)),
                                             fetch_user, NULL, sizeof(struct user));
        status = skua_stream_collect_dict(users, &dict, sizeof(int), SKUA_FOREVER);
    }
    if (status == 0) {
        skua_stream *ids = skua_stream_generate(user_ids, NULL, sizeof(int));
        status = skua_stream_collect_set(ids, &set, SKUA_FOREVER);
    }
    if (status == 0) {
        const struct user *nine = skua_table_find(&dict, &(int){9});
        printf("%zu active, %zu known, 9 is %s, %zu ids\n", list.count, dict.list.count, nine->name,
               set.list.count);
    }
    return status;
}

/* --- a pipeline ------------------------------------------------------------------------------- */

struct pack {
    size_t count;
    struct user users[4];
};

static int store(void *context, const void *item)
{
    const struct pack *pack = item;
    printf("stored");
    for (size_t i = 0; i < pack->count; i++) {
        printf(" %d", pack->users[i].id);
    }
    printf("\n");
    return 0;
}

/* Fetches three users at a time, and stores them by four, or what there is after 100 ms. */
static int copy_users(void)
{
    const skua_parallel fetch = {.fn = fetch_user, .item_bytes = sizeof(struct user), .limit = 3};
    skua_stream *ids = skua_stream_generate(user_ids, NULL, sizeof(int));
    skua_stream *users = skua_stream_map_parallel(ids, &fetch);
    skua_stream *packs =
        skua_stream_batch(users, sizeof(struct pack), offsetof(struct pack, users), SKUA_MS(100));
    return skua_stream_for_each(packs, store, NULL, skua_after(SKUA_SEC(10)));
}

static int run(void *arg)
{
    int account = 10;
    int status = find_page(2);
    if (status >= 0) {
        status = book(&account, 5);
    }
    if (status >= 0 && book(&account, -50) != -EDOM) {
        status = -EPROTO;
    }
    status = status < 0 ? status : comprehend();
    return status < 0 ? status : copy_users();
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
