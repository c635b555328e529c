/* Arrays that grow, dictionaries and sets, and what streams leave in them. */
#include "stream_help.h"

/* --- arrays ----------------------------------------------------------------------------------- */

static void an_array_grows(void **state)
{
    SKUA_VEC(vec);
    for (int64_t i = 0; i < 1000; i++) {
        CHECK_INT(skua_vec_add(&vec, SKUA_ITEM(i)), 0);
    }
    CHECK_INT(vec.count, 1000);
    for (int64_t i = 0; i < 1000; i++) {
        CHECK_INT(((int64_t *)vec.items)[i], i);
    }
    while (vec.count < vec.capacity) {
        CHECK_INT(skua_vec_add(&vec, vec.items, sizeof(int64_t)), 0);
    }
    CHECK_INT(skua_vec_add(&vec, (int64_t *)vec.items + 7, sizeof(int64_t)), 0); /* it moves */
    CHECK_INT(((int64_t *)vec.items)[vec.count - 1], 7);
    skua_vec_free(&vec);
    CHECK_INT(vec.count, 0);
    CHECK_INT(skua_vec_add(&vec, "x", 1), 0); /* another kind of item after that */
}

/* --- tables ----------------------------------------------------------------------------------- */

typedef struct entry {
    int64_t key, value;
} entry;

/* Against an array that is indexed by the key. */
static void a_table_is_a_dictionary(void **state)
{
    enum { KEYS = 500, PUTS = 5000 };
    static int64_t model[KEYS];
    uint64_t random = test_seed();
    SKUA_TABLE(table);
    size_t count = 0;
    memset(model, 0xff, sizeof model);
    CHECK_PTR(skua_table_find(&table, &(int64_t){3}), NULL);
    for (int i = 0; i < PUTS; i++) {
        entry it = {.key = (int64_t)(test_random(&random) % KEYS), .value = i};
        bool is_new = model[it.key] == -1;
        model[it.key] = i;
        count += is_new;
        CHECK_INT(skua_table_put(&table, SKUA_ITEM(it), sizeof it.key), is_new);
        CHECK_INT(table.list.count, count);
    }
    for (int64_t key = 0; key < KEYS; key++) {
        const entry *found = skua_table_find(&table, &key);
        CHECK(found != NULL ? found->key == key && found->value == model[key] : model[key] == -1);
    }
    skua_table_free(&table);
    CHECK_PTR(skua_table_find(&table, &(int64_t){3}), NULL);
}

static void a_table_keeps_the_order_of_first_puts(void **state)
{
    static const char words[][8] = {"skua", "gull", "skua", "tern", "gull", "auk"};
    static const char *const want[] = {"skua", "gull", "tern", "auk"};
    SKUA_TABLE(set);
    for (size_t i = 0; i < 6; i++) {
        CHECK(skua_table_put(&set, words[i], 8, 8) >= 0);
    }
    CHECK_INT(set.list.count, 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_STR((const char *)set.list.items + 8 * i, want[i]);
    }
}

/* --- comprehensions --------------------------------------------------------------------------- */

typedef struct user {
    int64_t id;
    char name[24];
} user;

static int user_ids(skua_gen *self, void *arg)
{
    int status = 0;
    for (int64_t i = 0; i < 20 && status == 0; i++) {
        int64_t id = i % 10; /* each of them twice */
        status = skua_sleep(skua_after(SKUA_US(10)));
        status = status == 0 ? skua_gen_yield(self, &id) : status;
    }
    return status;
}

static int is_active(void *context, const void *id)
{
    int status = skua_sleep(skua_after(SKUA_US(10)));
    return status < 0 ? status : *(const int64_t *)id % 3 != 0;
}

static int fetch_user(void *context, const void *id, void *out)
{
    user *fetched = out;
    memset(fetched, 0, sizeof *fetched);
    fetched->id = *(const int64_t *)id;
    snprintf(fetched->name, sizeof fetched->name, "user %d", (int)fetched->id);
    return skua_sleep(skua_after(SKUA_US(10)));
}

static skua_stream *ids(void)
{
    return skua_stream_generate(user_ids, NULL, sizeof(int64_t));
}

static skua_stream *active_ids(void)
{
    return skua_stream_filter(ids(), is_active, NULL);
}

static int list_body(void *arg)
{
    SKUA_VEC(users);
    CHECK_INT(skua_stream_collect(skua_stream_map(active_ids(), fetch_user, NULL, sizeof(user)),
                                  &users, SKUA_FOREVER),
              0);
    CHECK_INT(users.count, 12);
    const user *all = users.items;
    for (size_t i = 0; i < 12; i++) {
        static const int64_t want[] = {1, 2, 4, 5, 7, 8};
        CHECK_INT(all[i].id, want[i % 6]);
    }
    CHECK_STR(all[11].name, "user 8");
    return 0;
}

static int dict_body(void *arg)
{
    SKUA_TABLE(users);
    CHECK_INT(skua_stream_collect_dict(skua_stream_map(ids(), fetch_user, NULL, sizeof(user)),
                                       &users, sizeof(int64_t), SKUA_FOREVER),
              0);
    CHECK_INT(users.list.count, 10);
    for (int64_t id = 0; id < 10; id++) {
        char want[24];
        snprintf(want, sizeof want, "user %d", (int)id);
        CHECK_STR(((user *)skua_table_find(&users, &id))->name, want);
    }
    return 0;
}

static int set_body(void *arg)
{
    SKUA_TABLE(active);
    CHECK_INT(skua_stream_collect_set(active_ids(), &active, SKUA_FOREVER), 0);
    CHECK_INT(active.list.count, 6);
    for (int64_t id = 0; id < 10; id++) {
        CHECK((skua_table_find(&active, &id) != NULL) == (id % 3 != 0));
    }
    return 0;
}

/* covers: A52 */
static void the_three_comprehensions(void **state)
{
    run_on_1_2_4(list_body);
    run_on_1_2_4(dict_body);
    run_on_1_2_4(set_body);
}

static int partial_body(void *arg)
{
    counting source = {.count = 5, .end = -EIO};
    SKUA_VEC(vec);
    SKUA_TABLE(set);
    CHECK_INT(skua_stream_collect(count_to(&source), &vec, SKUA_FOREVER), -EIO);
    CHECK_INT(vec.count, 5); /* what came before the failure */
    CHECK_INT(skua_stream_collect(skua_stream_range(0, 3, 1), &vec, SKUA_FOREVER), 0);
    CHECK_INT(vec.count, 8);
    CHECK_INT(skua_stream_collect_set(NULL, &set, SKUA_FOREVER), -ENOMEM);
    CHECK_INT(source.closed, 1);
    return 0;
}

static void what_came_before_a_failure_is_kept(void **state)
{
    run_on_1_2_4(partial_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_array_grows),
        TEST(a_table_is_a_dictionary),
        TEST(a_table_keeps_the_order_of_first_puts),
        TEST(the_three_comprehensions),
        TEST(what_came_before_a_failure_is_kept),
    };
    return TEST_RUN(tests);
}
