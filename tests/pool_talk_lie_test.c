/* Questions that no honest worker asks: they end it, and nothing else. */
#include "pool_talk_help.h"

/* As worker.h has it: asks as no honest worker does. */
static int lie(skua_bytes in, skua_reply *reply)
{
    struct skua__response question = {.question = SKUA__QUESTION_RECEIVE};
    struct skua__letter letter;
    const char *bytes;
    int what;
    memcpy(&what, in.data, sizeof what);
    switch (what) {
    case 0:
        question.channel = 1; /* of one */
        break;
    case 1:
        question.channel = UINT32_MAX;
        break;
    case 2:
        question.question = 77;
        break;
    case 3:
        question.question = SKUA__QUESTION_FDS; /* of none */
        break;
    case 4:
        question.where = SKUA__INLINE; /* a receive that brings bytes */
        question.bytes = 5;
        break;
    case 5: /* two at a time */
        question.kind = SKUA__RESPONSE_QUESTION;
        skua__worker_say(reply->worker, &question, NULL, 0, NULL);
        break;
    case 6:
        question.question = SKUA__QUESTION_SEND;
        question.where = SKUA__BLOCK;
        question.block = UINT32_MAX - 2;
        question.bytes = 1 << 20;
        break;
    case 7:
        question.question = SKUA__QUESTION_SEND;
        question.where = SKUA__INPUT;
        question.bytes = sizeof(int);
        break;
    default:
        return 0;
    }
    skua__worker_ask(reply->worker, &question, "hello", question.where == SKUA__INLINE ? 5 : 0,
                     NULL, &letter, &bytes);
    return 1;
}
SKUA_JOB(lie);
enum { LIES = 8 };

static int lies_main(void *arg)
{
    skua_pool *pool = open_pool(1, 1 << 20);
    for (int i = 0; i < LIES; i++) {
        struct talking talking = {
            .pool = pool, .job = &lie_job, .in = BYTES(i), .channels = {open_chan(1)}};
        start_talking(&talking);
        CHECK_INT(end_talking(&talking), -EPROTO);
        free_chan(talking.channels[0]);
        check_echo(pool, "the next one is honest", 22);
    }
    close_pool(pool);
    return 0;
}

/* covers: A67 */
static void questions_that_cannot_be_end_the_worker(void **state)
{
    run_on_workers(2, lies_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(questions_that_cannot_be_end_the_worker)};
    return TEST_RUN(tests);
}
