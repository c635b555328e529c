/* Generators as context managers: what stands before the yield sets up, what stands after it takes
   down, and it is told how the body went. */
#include "tasks.h"

#include <skua/gen.h>

static int next_int(skua_gen *gen, int *item)
{
    return skua_gen_next(gen, item, SKUA_FOREVER);
}

typedef struct connection {
    char log[64];
    int body_status; /* as the manager saw it */
    int answer;      /* 1: suppress */
} connection;

static void note(connection *self, const char *word)
{
    strncat(self->log, word, sizeof self->log - strlen(self->log) - 1);
}

/* Set up; give; take down with what came of it. */
static int connected(skua_gen *self, void *arg)
{
    connection *it = arg;
    note(it, "open ");
    int status = it->body_status = skua_gen_yield(self, &it);
    CHECK_INT(skua_sleep(skua_after(SKUA_US(10))), 0); /* not cancelled: it may wait */
    note(it, "close ");
    return it->answer ? 0 : status;
}

static int with_connection(connection *it, int body_status)
{
    SKUA_GEN(manager);
    connection *resource = NULL;
    int status = skua_gen_open(&manager, connected, it, sizeof resource);
    if (status == 0) {
        status = skua_gen_next(manager, &resource, SKUA_FOREVER);
    }
    if (status == 1) {
        note(resource, "body ");
        status = body_status;
    }
    return skua_gen_finish(&manager, status);
}

static int manager_body(void *arg)
{
    connection well = {.log = ""}, failing = {.log = ""}, quiet = {.log = "", .answer = 1};
    CHECK_INT(with_connection(&well, 0), 0);
    CHECK_STR(well.log, "open body close ");
    CHECK_INT(with_connection(&failing, -ENOENT), -ENOENT);
    CHECK_STR(failing.log, "open body close ");
    CHECK_INT(failing.body_status, -ENOENT);
    CHECK_INT(with_connection(&quiet, -ENOENT), 0);
    CHECK_INT(quiet.body_status, -ENOENT);
    CHECK_INT(with_connection(&well, 5), 5);
    return 0;
}

/* covers: A47 A48 */
static void a_generator_is_a_context_manager(void **state)
{
    run_on_1_2_4(manager_body);
}

/* It goes on giving after the end: every later yield says so. */
static int give_on(skua_gen *self, void *arg)
{
    int *answers = arg, item = 0;
    for (int i = 0; i < 3; i++) {
        answers[i] = skua_gen_yield(self, &item);
    }
    return 9;
}

static int give_one(skua_gen *self, void *arg)
{
    return skua_gen_yield(self, &(int){1});
}

static int finish_body(void *arg)
{
    int answers[3] = {0}, item;
    skua_gen *gen = NULL;
    CHECK_INT(skua_gen_finish(&gen, -EIO), -EIO); /* NULL */
    CHECK_INT(skua_gen_open(&gen, give_on, answers, sizeof(int)), 0);
    CHECK_INT(skua_gen_finish(&gen, 3), 3); /* never asked */
    CHECK_INT(skua_gen_open(&gen, give_on, answers, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(skua_gen_finish(&gen, -EIO), 9);
    CHECK_PTR(gen, NULL);
    CHECK_INT(answers[0], -EIO);
    CHECK_INT(answers[1], -ECANCELED);
    CHECK_INT(answers[2], -ECANCELED);
    CHECK_INT(skua_gen_open(&gen, give_one, NULL, sizeof(int)), 0);
    CHECK_INT(next_int(gen, &item), 1);
    CHECK_INT(next_int(gen, &item), 0);
    CHECK_INT(skua_gen_finish(&gen, -EIO), 0); /* had ended before */
    return 0;
}

static void finishing_tells_the_yield_how_it_went(void **state)
{
    run_on_1_2_4(finish_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_generator_is_a_context_manager),
        TEST(finishing_tells_the_yield_how_it_went),
    };
    return TEST_RUN(tests);
}
