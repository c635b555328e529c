/* Error sets: kinds, splits without loss, and failures inside of failures. */
#include "group_help.h"

enum { HTTP = 1, DISK = 2 };

static int fail_with(void *arg)
{
    const int code = *(int *)arg;
    return skua_fail(code, "code %d", code);
}

/* Two of HTTP and a timeout. */
static int three_kinds_body(void *arg)
{
    int codes[] = {SKUA_ERR(HTTP, 404), -ETIMEDOUT, SKUA_ERR(HTTP, 500)};
    int http = HTTP, disk = DISK, late = -ETIMEDOUT;
    const skua_error *errors[4];
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    for (int i = 0; i < 3; i++) {
        add(&group, fail_with, &codes[i]);
        CHECK_INT(skua_group_room(&group, 1, SKUA_FOREVER), 0);
    }
    CHECK_INT(skua_group_close(&group, 0), codes[0]);
    CHECK_INT(skua_group_errors(&group, errors, 4), 3);
    CHECK_INT(skua_errors_split(errors, 3, skua_error_has_class, &http), 2);
    CHECK_INT(errors[0]->code, codes[0]);
    CHECK_INT(errors[1]->code, codes[2]);
    CHECK_STR(errors[0]->text, "code -65940");
    CHECK_INT(skua_error_detail(errors[1]->code), 500);
    CHECK_INT(errors[2]->code, -ETIMEDOUT);
    CHECK_INT(skua_errors_split(errors, 3, skua_error_has_code, &late), 1);
    CHECK_INT(errors[0]->code, -ETIMEDOUT);
    CHECK_INT(errors[1]->code, codes[0]);
    CHECK_INT(skua_errors_split(errors, 3, skua_error_has_class, &disk), 0);
    CHECK_INT(skua_errors_split(errors, 0, skua_error_has_class, &http), 0);
    CHECK_INT(skua_group_errors(&group, errors, 1), 3); /* more than there is room for */
    CHECK_INT(skua_group_errors(&group, NULL, 0), 3);
    CHECK_INT(skua_error_causes(errors[0], NULL, 0), 0);
    return 0;
}

/* covers: A29 */
static void a_set_is_split_by_class(void **state)
{
    run_on_1_2_4(three_kinds_body);
}

static void codes_have_classes(void **state)
{
    CHECK_INT(skua_error_class(SKUA_ERR(HTTP, 404)), HTTP);
    CHECK_INT(skua_error_detail(SKUA_ERR(HTTP, 404)), 404);
    CHECK_INT(skua_error_class(SKUA_ERR(4095, 65535)), 4095);
    CHECK_INT(skua_error_detail(SKUA_ERR(4095, 65535)), 65535);
    CHECK_INT(skua_error_class(SKUA_ERR(HTTP, 0)), HTTP);
    CHECK_INT(skua_error_class(-EIO), 0);
    CHECK_INT(skua_error_detail(-EIO), -EIO);
    CHECK_INT(skua_error_class(0), 0);
}

static bool is_low(const skua_error *error, void *bound)
{
    return error->code > *(int *)bound;
}

static void splits_are_stable_and_lose_nothing(void **state)
{
    enum { ROUNDS = 200, COUNT_MAX = 60 };
    uint64_t random = test_seed();
    for (int round = 0; round < ROUNDS; round++) {
        skua_error made[COUNT_MAX];
        const skua_error *errors[COUNT_MAX];
        const size_t count = test_random(&random) % COUNT_MAX;
        int bound = -(int)(test_random(&random) % 20);
        for (size_t i = 0; i < count; i++) {
            made[i] = (skua_error){.code = -(int)(test_random(&random) % 20), .line = (int)i};
            errors[i] = &made[i];
        }
        const size_t matching = skua_errors_split(errors, count, is_low, &bound);
        for (size_t i = 0; i < count; i++) {
            CHECK_INT(is_low(errors[i], &bound), i < matching);
            if (i > 0 && i != matching) {
                CHECK(errors[i - 1]->line < errors[i]->line);
            }
        }
    }
}

/* --- groups inside of groups ------------------------------------------------------------------ */

static int fail_twice(void *arg)
{
    static int codes[] = {-EIO, -EPIPE};
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    for (int i = 0; i < 2; i++) {
        add(&group, fail_with, &codes[i]);
        CHECK_INT(skua_group_room(&group, 1, SKUA_FOREVER), 0);
    }
    return skua_group_close(&group, 0);
}

static int fail_with_words(void *arg)
{
    const int status = fail_twice(NULL);
    return skua_fail(status, "both disks");
}

static int recover(void *arg)
{
    CHECK_INT(fail_twice(NULL), -EIO);
    return *(int *)arg; /* another code: those were not the causes */
}

static void check_causes(const skua_error *error)
{
    const skua_error *causes[3];
    CHECK_INT(error->code, -EIO);
    CHECK_INT(skua_error_causes(error, causes, 3), 2);
    CHECK_INT(causes[0]->code, -EIO);
    CHECK_STR(causes[0]->text, "code -5");
    CHECK_INT(causes[1]->code, -EPIPE);
    CHECK_INT(skua_error_causes(causes[1], NULL, 0), 0);
}

static int nested_body(void *arg)
{
    int other = -ENOENT, well = 0;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_COLLECT, SKUA_FOREVER);
    const skua_fn fns[] = {fail_twice, fail_with_words, recover, recover};
    void *const args[] = {NULL, NULL, &other, &well};
    for (int i = 0; i < 4; i++) {
        add(&group, fns[i], args[i]);
        CHECK_INT(skua_group_room(&group, 1, SKUA_FOREVER), 0);
    }
    CHECK_INT(skua_group_close(&group, 0), -EIO);
    CHECK_INT(skua_group_error_count(&group), 3);
    check_causes(skua_group_error(&group, 0));
    CHECK_STR(skua_group_error(&group, 0)->text, "code -5"); /* what the first one said */
    check_causes(skua_group_error(&group, 1));
    CHECK_STR(skua_group_error(&group, 1)->text, "both disks");
    CHECK_INT(skua_error_causes(skua_group_error(&group, 2), NULL, 0), 0);

    skua_task *task = spawn(fail_twice, NULL); /* no member, but with causes as well */
    CHECK_INT(status_of(task), -EIO);
    check_causes(skua_task_error(task));
    skua_task_release(task);
    return 0;
}

/* covers: A29 */
static void failures_of_inner_groups_are_causes(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on_1_2_4(nested_body);
    CHECK_STR(said_end(&caught), "");
}

static int fail_deeply(void *arg)
{
    int *depth = arg;
    SKUA_GROUP(group);
    skua_group_open(&group, SKUA_FAIL_FAST, SKUA_FOREVER);
    if (*depth == 0) {
        return skua_group_close(&group, skua_fail(-EIO, "the bottom"));
    }
    --*depth;
    add(&group, fail_deeply, depth);
    return skua_group_close(&group, 0);
}

static int deep_body(void *arg)
{
    int depth = 20;
    skua_task *task = spawn(fail_deeply, &depth);
    CHECK_INT(status_of(task), -EIO);
    const skua_error *error = skua_task_error(task);
    int levels = 0;
    while (error != NULL) {
        const skua_error *cause = NULL;
        CHECK_STR(error->text, "the bottom");
        levels++;
        error = skua_error_causes(error, &cause, 1) == 1 ? cause : NULL;
    }
    CHECK_INT(levels, 21);
    skua_task_release(task);
    return 0;
}

static void causes_nest(void **state)
{
    run_on_1_2_4(deep_body);
}

/* Held handles at the end of the runtime: all is freed once. */
static int leave_handle(void *arg)
{
    skua_task *task = spawn(fail_twice, NULL);
    CHECK_INT(status_of(task), -EIO);
    return 0;
}

static void a_handle_left_behind_keeps_no_memory(void **state)
{
    struct said caught;
    said_begin(&caught);
    run_on_1_2_4(leave_handle);
    CHECK(count_of(said_end(&caught), "not released") >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_set_is_split_by_class),
        TEST(codes_have_classes),
        TEST(splits_are_stable_and_lose_nothing),
        TEST(failures_of_inner_groups_are_causes),
        TEST(causes_nest),
        TEST(a_handle_left_behind_keeps_no_memory),
    };
    return TEST_RUN(tests);
}
