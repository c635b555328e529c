/* Comprehensions: a source, a filter and a map, collected into a list, a dictionary and a set. */
#include <skua/skua.h>
#include <stdio.h>
#include <stdlib.h>

struct score {
    int user_id;
    int points;
};

static int user_ids(skua_gen *self, void *arg)
{
    static const int ids[] = {3, 1, 4, 1, 5, 9, 2, 6};
    int status = 0;
    for (size_t i = 0; i < 8 && status == 0; i++) {
        status = skua_sleep(skua_after(SKUA_MS(100)));
        if (status == 0) {
            status = skua_gen_yield(self, &ids[i]);
        }
    }
    return status;
}

static int is_active(void *context, const void *user_id)
{
    int status = skua_sleep(skua_after(SKUA_MS(10)));
    return status < 0 ? status : *(const int *)user_id % 2;
}

static int fetch_score(void *context, const void *item, void *out)
{
    int user_id = *(const int *)item;
    *(struct score *)out = (struct score){user_id, user_id * 100};
    return skua_sleep(skua_after(SKUA_MS(10)));
}

static int by_id(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

static skua_stream *users(void)
{
    return skua_stream_generate(user_ids, NULL, sizeof(int));
}

static skua_stream *active_users(void)
{
    return skua_stream_filter(users(), is_active, NULL);
}

static skua_stream *scores_of(skua_stream *stream)
{
    return skua_stream_map(stream, fetch_score, NULL, sizeof(struct score));
}

static int print_list(void)
{
    SKUA_VEC(list);
    int status = skua_stream_collect(scores_of(active_users()), &list, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    const struct score *scores = list.items;
    printf("list:");
    for (size_t i = 0; i < list.count; i++) {
        printf(" %d", scores[i].points);
    }
    printf("\n");
    return 0;
}

static int print_map(void)
{
    SKUA_TABLE(dict);
    int status = skua_stream_collect_dict(scores_of(users()), &dict, sizeof(int), SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    struct score *scores = dict.list.items;
    qsort(scores, dict.list.count, sizeof *scores, by_id);
    printf("map:");
    for (size_t i = 0; i < dict.list.count; i++) {
        printf(" %d=%d", scores[i].user_id, scores[i].points);
    }
    printf("\n");
    return 0;
}

static int print_set(void)
{
    SKUA_TABLE(set);
    int status = skua_stream_collect_set(active_users(), &set, SKUA_FOREVER);
    if (status < 0) {
        return status;
    }
    int *ids = set.list.items;
    qsort(ids, set.list.count, sizeof *ids, by_id);
    printf("set:");
    for (size_t i = 0; i < set.list.count; i++) {
        printf(" %d", ids[i]);
    }
    printf("\n");
    return 0;
}

static int run(void *arg)
{
    int status = print_list();
    if (status == 0) {
        status = print_map();
    }
    return status < 0 ? status : print_set();
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
