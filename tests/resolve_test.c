/* Names. Nobody is asked but the lookup of the test, which answers, fails, or does not answer
   before the test lets it; nothing depends on time. */
#define _GNU_SOURCE 1
#include "base/mem.h"
#include "tasks.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <pthread.h>
#include <skua/skua.h>

enum { MANY = 16 };

/* --- a lookup that the test holds in its hands -------------------------------------------------
   */

static gate asked, answers, left;
static atomic_int running, peak;

/* "none" does not exist, "later" has nobody who knows, "stuck" waits for the test; all else is
   10.0.0.n, where n counts the lookups. */
static int lookup(const skua_question *question, skua_address addresses[], size_t capacity,
                  void *arg)
{
    const int now = atomic_fetch_add(&running, 1) + 1;
    int most = atomic_load(&peak);
    while (most < now && !atomic_compare_exchange_weak(&peak, &most, now)) {}
    CHECK_PTR(arg, &asked);
    CHECK(capacity >= MANY);
    CHECK(skua_runtime_current() == NULL);
    const int number = atomic_fetch_add(&asked, 1) + 1;
    while (strstr(question->host, "stuck") != NULL && atomic_load(&answers) == 0) {
        usleep(100);
    }
    atomic_fetch_sub(&running, 1);
    if (strcasecmp(question->host, "none") == 0) {
        return -ENOENT;
    }
    if (strcasecmp(question->host, "later") == 0) {
        return -ENONET;
    }
    addresses[0] = (skua_address){.bytes = sizeof addresses[0].ip4};
    addresses[0].ip4.sin_family = AF_INET;
    addresses[0].ip4.sin_addr.s_addr = htonl(0x0a000000U + (uint32_t)number);
    addresses[0].ip4.sin_port = question->service != NULL ? htons(443) : 0;
    return 1;
}

static const skua_resolver_opts by_hand = {
    .lookup = lookup, .arg = &asked, .hosts_path = "", .threads_max = 2, .count_max = 4};

static void begin_with(const skua_resolver_opts *opts)
{
    asked = answers = left = 0;
    atomic_store(&running, 0);
    atomic_store(&peak, 0);
    CHECK_INT(skua_resolver_setup(opts), 0);
}

static skua_resolver_counts counts(void)
{
    skua_resolver_counts now;
    skua_resolver_count(&now);
    return now;
}

/* The one address of the host as text, or the error. */
static int ask_for(const char *host, const char *service, const skua_resolve_opts *opts,
                   char text[static 64], skua_time deadline)
{
    skua_address found;
    text[0] = '\0';
    const int status = skua_resolve(host, service, opts, &found, 1, deadline);
    if (status > 0) {
        char digits[INET6_ADDRSTRLEN] = "";
        const bool is_ip4 = found.any.sa_family == AF_INET;
        CHECK(inet_ntop(found.any.sa_family,
                        is_ip4 ? (void *)&found.ip4.sin_addr : (void *)&found.ip6.sin6_addr, digits,
                        sizeof digits) != NULL);
        snprintf(text, 64, "%s %d", digits,
                 ntohs(is_ip4 ? found.ip4.sin_port : found.ip6.sin6_port));
    }
    return status;
}

static void expect(const char *host, const char *service, const skua_resolve_opts *opts,
                   const char *want)
{
    char text[64];
    CHECK(ask_for(host, service, opts, text, SKUA_FOREVER) > 0);
    CHECK_STR(text, want);
}

static void expect_failure(const char *host, const char *service, const skua_resolve_opts *opts,
                           int want)
{
    char text[64];
    CHECK_INT(ask_for(host, service, opts, text, SKUA_FOREVER), want);
}

/* --- without asking anybody ------------------------------------------------------------------- */

static int resolve_written(void *arg)
{
    static const skua_resolve_opts ip4 = {.family = AF_INET}, ip6 = {.family = AF_INET6},
                                   numeric = {.numeric = true}, bad_family = {.family = 77},
                                   bad_type = {.type = SOCK_RAW};
    char name[SKUA_ADDRESS_TEXT_BYTES * 4];
    skua_address both[2];
    if (arg == NULL) {
        begin_with(&by_hand);
    }
    expect("127.0.0.1", "80", NULL, "127.0.0.1 80");
    expect("10.1.2.3", NULL, NULL, "10.1.2.3 0");
    expect("::1", "65535", &numeric, "::1 65535");
    expect("2001:db8::7", "1", &ip6, "2001:db8::7 1");
    expect("localhost", "8080", &ip4, "127.0.0.1 8080");
    expect("Some.LocalHost.", "8080", &ip6, "::1 8080");
    expect(NULL, "5", &ip4, "127.0.0.1 5");
    CHECK_INT(skua_resolve("localhost", "9", NULL, both, 2, SKUA_NOW), 2);
    CHECK(both[0].any.sa_family == AF_INET6 && both[1].any.sa_family == AF_INET);
    CHECK_INT(skua_resolve("localhost", "9", NULL, NULL, 0, SKUA_NOW), 2);

    CHECK_INT(skua_resolve("fe80::5%lo", "9", NULL, both, 2, SKUA_NOW), 1);
    CHECK_INT(both[0].ip6.sin6_scope_id, if_nametoindex("lo"));
    CHECK_INT(skua_resolve("fe80::5%7", "9", NULL, both, 2, SKUA_NOW), 1);
    CHECK_INT(both[0].ip6.sin6_scope_id, 7);

    expect_failure("127.0.0.1", "80", &ip6, -ENOENT);
    expect_failure("::1", "80", &ip4, -ENOENT);
    expect_failure("some.where", "80", &numeric, -ENOENT);
    expect_failure("127.0.0.1", "http", &numeric, -ENOENT);
    expect_failure("127.0.0.1", "65536", NULL, -EINVAL);
    expect_failure("127.0.0.1", "99999999999999999999", NULL, -EINVAL);
    expect_failure("127.0.0.1", "", NULL, -EINVAL);
    expect_failure("", "80", NULL, -EINVAL);
    expect_failure("127.0.0.1", "80", &bad_family, -EINVAL);
    expect_failure("127.0.0.1", "80", &bad_type, -EINVAL);
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    expect_failure(name, "80", NULL, -EINVAL);
    expect_failure("127.0.0.1", name, NULL, -EINVAL);
    CHECK_INT(atomic_load(&asked), 0);
    return 0;
}

static void addresses_in_writing_need_no_lookup(void **state)
{
    run_on_1_2_4(resolve_written);
    CHECK_INT(resolve_written(&asked), 0); /* on a foreign thread */
}

/* --- the file of names ------------------------------------------------------------------------ */

static char hosts_path[] = "/tmp/skua-hosts-XXXXXX";

static void write_hosts(const char *text)
{
    FILE *file = fopen(hosts_path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static int resolve_from_file(void *arg)
{
    skua_resolver_opts opts = by_hand;
    skua_address found[4];
    opts.hosts_path = hosts_path;
    write_hosts("# names\n10.0.7.1 one.test  Uno # the first\n\n\t10.0.7.2\tone.test\n"
                "fd00::9 one.test\nnonsense two.test\n10.0.7.3 three.test");
    begin_with(&opts);
    CHECK_INT(skua_resolve("ONE.test", "80", NULL, found, 4, SKUA_NOW), 3);
    CHECK_INT(ntohl(found[0].ip4.sin_addr.s_addr), 0x0a000701);
    CHECK_INT(ntohl(found[1].ip4.sin_addr.s_addr), 0x0a000702);
    CHECK_INT(found[2].any.sa_family, AF_INET6);
    CHECK_INT(ntohs(found[2].ip6.sin6_port), 80);
    expect("uno", "81", NULL, "10.0.7.1 81");
    expect("three.test", "82", NULL, "10.0.7.3 82");
    CHECK_INT(atomic_load(&asked), 0);
    CHECK_INT(counts().written, 3);
    expect("two.test", "82", NULL, "10.0.0.1 82"); /* what stands there is no address */

    write_hosts("10.0.7.44 three.test four.test\n");
    expect("three.test", "82", NULL, "10.0.7.44 82");
    expect("four.test", "82", NULL, "10.0.7.44 82");
    expect("uno", "82", NULL, "10.0.0.2 82"); /* no longer there */
    CHECK_INT(unlink(hosts_path), 0);
    expect("four.test", "82", NULL, "10.0.0.3 82");
    return 0;
}

static void a_file_of_names_is_read_again_when_it_changes(void **state)
{
    const int fd = mkstemp(hosts_path);
    CHECK(fd >= 0);
    close(fd);
    run_on(2, resolve_from_file);
}

/* --- lookups and what is kept ------------------------------------------------------------------
   */

static int resolve_and_keep(void *arg)
{
    static const skua_resolve_opts ip4 = {.family = AF_INET}, fresh = {.fresh = true};
    char text[64];
    begin_with(&by_hand);
    CHECK_INT(ask_for("a.test", "80", NULL, text, SKUA_NOW), -EAGAIN);
    CHECK_INT(atomic_load(&asked), 0);
    expect("a.test", "80", NULL, "10.0.0.1 80");
    expect("A.test", "81", NULL, "10.0.0.1 81"); /* one answer for all ports */
    CHECK_INT(ask_for("a.test", "80", NULL, text, SKUA_NOW), 1);
    expect("a.test", "80", &ip4, "10.0.0.2 80");
    expect("a.test", "https", NULL, "10.0.0.3 443");
    expect("127.0.0.1", "https", NULL, "10.0.0.4 443");
    expect("a.test", "80", &fresh, "10.0.0.5 80");
    expect("a.test", "80", NULL, "10.0.0.5 80");
    CHECK_INT(counts().kept, 4);
    expect("b.test", "80", NULL, "10.0.0.6 80"); /* the least recently used one goes */
    CHECK_INT(counts().kept, 4);
    expect("a.test", "80", NULL, "10.0.0.5 80");
    expect("a.test", "80", &ip4, "10.0.0.7 80");
    CHECK_INT(counts().lookups, 7);
    CHECK_INT(counts().hits, 4);
    skua_resolver_clear();
    CHECK_INT(counts().kept, 0);
    expect("a.test", "80", NULL, "10.0.0.8 80");
    CHECK_INT(skua_resolve("a.test", "80", NULL, NULL, 0, SKUA_NOW), 1); /* how many there are */
    CHECK_INT(skua_resolver_setup(&by_hand), -EBUSY);
    return 0;
}

static void answers_are_kept(void **state)
{
    run_on_1_2_4(resolve_and_keep);
}

static int resolve_failures(void *arg)
{
    skua_resolver_opts opts = by_hand;
    opts.failure_ttl_ns = SKUA_SEC(1000); /* however slow we are */
    begin_with(&opts);
    expect_failure("none", "80", NULL, -ENOENT);
    expect_failure("none", "80", NULL, -ENOENT);
    CHECK_INT(atomic_load(&asked), 1);
    expect_failure("later", "80", NULL, -ENONET);
    expect_failure("later", "80", NULL, -ENONET);
    CHECK_INT(atomic_load(&asked), 3);
    CHECK_INT(counts().kept, 1);
    return 0;
}

static void that_there_is_no_such_name_is_an_answer(void **state)
{
    run_on(1, resolve_failures);
}

static int resolve_as_time_goes_by(void *arg)
{
    skua_resolver_opts opts = by_hand;
    opts.ttl_ns = SKUA_SEC(60);
    begin_with(&opts);
    expect("a.test", "80", NULL, "10.0.0.1 80");
    expect_failure("none", "80", NULL, -ENOENT);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(2))), 0);
    expect_failure("none", "80", NULL, -ENOENT);
    CHECK_INT(atomic_load(&asked), 2);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(2))), 0);
    expect_failure("none", "80", NULL, -ENOENT);
    CHECK_INT(atomic_load(&asked), 3);
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(55))), 0);
    expect("a.test", "80", NULL, "10.0.0.1 80");
    CHECK_INT(skua_sleep(skua_after(SKUA_SEC(2))), 0);
    expect("a.test", "80", NULL, "10.0.0.4 80");
    return 0;
}

static int resolve_and_keep_nothing(void *arg)
{
    skua_resolver_opts opts = by_hand;
    opts.ttl_ns = opts.failure_ttl_ns = -1;
    begin_with(&opts);
    expect("a.test", "80", NULL, "10.0.0.1 80");
    expect("a.test", "80", NULL, "10.0.0.2 80");
    expect_failure("none", "80", NULL, -ENOENT);
    expect_failure("none", "80", NULL, -ENOENT);
    CHECK_INT(atomic_load(&asked), 4);
    CHECK_INT(counts().kept, 0);
    return 0;
}

static void answers_grow_old(void **state)
{
    const skua_test_opts opts = {.virtual_clock = true};
    CHECK_INT(skua_test_run(&opts, resolve_as_time_goes_by, NULL), 0);
    run_on(1, resolve_and_keep_nothing);
}

/* --- several who ask -------------------------------------------------------------------------- */

struct asker {
    const char *host;
    int status;
    char text[64];
    skua_time deadline;
};

static int ask(void *arg)
{
    struct asker *asker = arg;
    asker->status = ask_for(asker->host, "80", NULL, asker->text, asker->deadline);
    return asker->status;
}

static int resolve_together(void *arg)
{
    struct asker askers[MANY];
    skua_task *tasks[MANY];
    begin_with(&by_hand);
    for (int i = 0; i < MANY; i++) {
        askers[i] = (struct asker){.host = "stuck.test"};
        tasks[i] = spawn(ask, &askers[i]);
    }
    while (counts().shared < MANY - 1) {
        skua_yield();
    }
    CHECK_INT(counts().running, 1);
    atomic_store(&answers, 1);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(finish(tasks[i]), 1);
        CHECK_STR(askers[i].text, "10.0.0.1 80");
    }
    CHECK_INT(atomic_load(&asked), 1);
    return 0;
}

static void a_name_is_looked_up_once_for_all(void **state)
{
    run_on_1_2_4(resolve_together);
}

static int resolve_and_leave(void *arg)
{
    struct asker late = {.host = "stuck.test", .deadline = skua_after(SKUA_MS(1))};
    struct asker cancelled = {.host = "stuck.test"}, stays = {.host = "stuck.test"};
    begin_with(&by_hand);
    skua_task *first = spawn(ask, &cancelled);
    await(&asked, 1);
    CHECK_INT(call(ask, &late), -ETIMEDOUT);
    skua_task *second = spawn(ask, &stays);
    while (counts().shared < 2) {
        skua_yield();
    }
    skua_task_cancel(first);
    CHECK_INT(finish(first), -ECANCELED);
    CHECK_INT(counts().running, 1);
    skua_resolver_clear(); /* what runs is forgotten, and still answers who waits */
    struct asker anew = {.host = "stuck.test"};
    skua_task *third = spawn(ask, &anew);
    await(&asked, 2);
    atomic_store(&answers, 1);
    CHECK_INT(finish(second), 1);
    CHECK_STR(stays.text, "10.0.0.1 80");
    CHECK_INT(finish(third), 1);
    CHECK_STR(anew.text, "10.0.0.2 80");
    CHECK_INT(ask_for("stuck.test", "80", NULL, stays.text, SKUA_NOW), 1);
    CHECK_STR(stays.text, "10.0.0.2 80");
    return 0;
}

static void who_waits_for_a_lookup_may_leave(void **state)
{
    run_on_1_2_4(resolve_and_leave);
}

enum { STUCK_NAMES = 100 };

static int resolve_in_vain(void *arg)
{
    static char names[STUCK_NAMES][24];
    static struct asker askers[STUCK_NAMES];
    skua_task *tasks[STUCK_NAMES];
    char text[16];
    skua_resolver_opts opts = by_hand;
    opts.count_max = STUCK_NAMES;
    begin_with(&opts);
    for (int i = 0; i < STUCK_NAMES; i++) {
        snprintf(names[i], sizeof names[i], "stuck-%d.test", i);
        askers[i] = (struct asker){.host = names[i]};
        tasks[i] = spawn(ask, &askers[i]);
    }
    await(&asked, 2);
    for (int i = 0; i < 20; i++) { /* what goes through the pool answers all the same */
        const int fd = skua_open("/proc/self/stat", O_RDONLY, 0, SKUA_FOREVER);
        CHECK(fd >= 0);
        CHECK(skua_read(fd, text, sizeof text, SKUA_FOREVER) > 0);
        skua_close(fd);
    }
    CHECK_INT(atomic_load(&asked), 2);
    atomic_store(&answers, 1);
    for (int i = 0; i < STUCK_NAMES; i++) {
        CHECK_INT(finish(tasks[i]), 1);
    }
    CHECK_INT(atomic_load(&asked), STUCK_NAMES);
    CHECK_INT(atomic_load(&peak), 2);
    return 0;
}

/* covers: A69 */
static void slow_lookups_keep_no_files_waiting(void **state)
{
    const skua_config config = {.workers = 2, .blocking_threads_max = 1};
    CHECK_INT(skua_run(&config, resolve_in_vain, NULL), 0);
}

static int resolve_and_end(void *arg)
{
    struct asker asker = {.host = "stuck.test", .deadline = skua_after(SKUA_MS(1))};
    begin_with(&by_hand);
    CHECK_INT(ask_for("stuck.test", "80", NULL, asker.text, skua_after(SKUA_MS(1))), -ETIMEDOUT);
    await(&asked, 1);
    for (int i = 0; i < 3; i++) {
        asker.host = i == 0 ? "stuck.1" : i == 1 ? "stuck.2" : "stuck.3";
        CHECK_INT(ask(&asker), -ETIMEDOUT); /* only one of them has a thread */
    }
    await(&asked, 2);
    atomic_store(&left, 1);
    return 0;
}

static void *answer_later(void *arg)
{
    await(&left, 1);
    usleep(3000); /* so that the end of the runtime has something to wait for */
    atomic_store(&answers, 1);
    return NULL;
}

static void the_end_awaits_lookups_that_run(void **state)
{
    pthread_t thread;
    left = 0;
    CHECK_INT(pthread_create(&thread, NULL, answer_later, NULL), 0);
    const int threads = test_threads();
    run_on(1, resolve_and_end);
    CHECK_INT(atomic_load(&running), 0);
    CHECK(atomic_load(&asked) >= 2); /* more if the end was late */
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK(test_settle(test_threads, threads - 1) < threads);
}

/* --- the C library's own -----------------------------------------------------------------------
   */

static int resolve_by_library(void *arg)
{
    char text[64];
    CHECK_INT(ask_for("127.0.0.1", "http", NULL, text, SKUA_FOREVER) > 0 ? 1 : 0, 1);
    CHECK_STR(text, "127.0.0.1 80");
    const int status = ask_for("no-such-name.invalid", "80", NULL, text, SKUA_FOREVER);
    CHECK(status == -ENOENT || status == -ENONET || status == -EREMOTEIO); /* without a network */
    return 0;
}

static void the_c_library_is_asked(void **state)
{
    run_on(1, resolve_by_library);
    CHECK_INT(resolve_by_library(NULL), 0); /* on a foreign thread */
}

static int resolve_without_memory(void *arg)
{
    char text[64];
    skua_task *task = spawn(sleep_forever, NULL);
    for (int64_t budget = 0, status = -ENOMEM; status == -ENOMEM; budget++) {
        atomic_store(&skua__alloc_budget, budget);
        status = skua_resolver_setup(&by_hand);
        atomic_store(&skua__alloc_budget, -1);
        CHECK(status == 0 || status == -ENOMEM);
    }
    int failures = 0;
    for (int64_t budget = 0, status = -ENOMEM; status == -ENOMEM; budget++) {
        atomic_store(&skua__alloc_budget, budget);
        status = ask_for("a.test", "80", NULL, text, SKUA_FOREVER);
        atomic_store(&skua__alloc_budget, -1);
        status = status == -EAGAIN ? -ENOMEM : status; /* no thread */
        CHECK(status == 1 || status == -ENOMEM);
        failures += status == -ENOMEM;
    }
    CHECK(failures > 0);
    CHECK_INT(counts().running, 0);
    skua_task_cancel(task);
    CHECK_INT(finish(task), -ECANCELED);
    return 0;
}

static void without_memory_it_says_so(void **state)
{
    run_on(1, resolve_without_memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_in_writing_need_no_lookup),
        TEST(a_file_of_names_is_read_again_when_it_changes),
        TEST(answers_are_kept),
        TEST(that_there_is_no_such_name_is_an_answer),
        TEST(answers_grow_old),
        TEST(a_name_is_looked_up_once_for_all),
        TEST(who_waits_for_a_lookup_may_leave),
        TEST(slow_lookups_keep_no_files_waiting),
        TEST(the_end_awaits_lookups_that_run),
        TEST(the_c_library_is_asked),
        TEST(without_memory_it_says_so),
    };
    return TEST_RUN(tests);
}
