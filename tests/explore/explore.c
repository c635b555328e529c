/* The search: decisions, threads, and what is said about a failure.

   An execution is determined by its decisions. The search runs the model again and again, each time
   with the path of decisions of the last execution, changed at the last place that has another
   alternative left. Decisions are numbered by `tick`, which counts all places where there could be
   one, so that a replay does not depend on how much was left out as private. */
#include "engine.h"

#include "arch/switch.h"
#include "base/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PATH_MAX_DECISIONS = 8192,
    STEPS_MAX = 4000,
    IDLE_PAUSES_MAX = 300,
    NOTES = 16,
    WAKE_SPURIOUS = 100, /* added to the number of a thread: how it goes on */
    WAKE_PAUSED = 200,   /* it does not spin for ever */
    WAKE_TIMEOUT = 300,
};

struct decision {
    uint32_t tick;
    char kind;
    bool is_usual;
    uint16_t chosen, count;
    int value;
};

struct explorer explorer;
void (*explore_on_switch)(int thread);

static struct decision path[PATH_MAX_DECISIONS];
static int path_length, path_at;
static uint32_t tick;
static void *main_context;
static jmp_buf main_escape;
static bool has_failed, is_inside; /* ... of an execution */
static char failure[512];
static uint64_t happened[NOTES];
static uint32_t noted;

/* --- decisions -------------------------------------------------------------------------------- */

/* The alternative that the replay string wants here; the usual one if it does not say. */
static int replayed(enum decision_kind kind, int usual)
{
    for (int i = 0; i < path_length; i++) {
        if (path[i].tick == tick && path[i].kind == (char)kind) {
            return path[i].value;
        }
    }
    return usual;
}

static void start_decision(enum decision_kind kind, int count)
{
    if (path_length == PATH_MAX_DECISIONS) {
        explore_fail(__FILE__, __LINE__, "an execution of more than %d decisions",
                     PATH_MAX_DECISIONS);
    }
    path[path_length++] =
        (struct decision){.tick = tick, .kind = (char)kind, .count = (uint16_t)count};
}

int explorer_choose(enum decision_kind kind, const int values[], int count, int usual)
{
    tick++;
    if (explorer.is_replaying) {
        return replayed(kind, usual);
    }
    if (count == 1 && values[0] == usual) {
        return usual;
    }
    if (path_at == path_length) {
        start_decision(kind, count);
    }
    struct decision *decision = &path[path_at++];
    if (decision->tick != tick || decision->kind != (char)kind || decision->count != count) {
        path_length = path_at - 1;
        explore_fail(__FILE__, __LINE__, "the model is not deterministic");
    }
    decision->value = values[decision->chosen];
    decision->is_usual = decision->value == usual;
    return decision->value;
}

/* On to the next path; false: all were run. */
static bool advance_path(void)
{
    while (path_length > 0) {
        struct decision *last = &path[path_length - 1];
        if (++last->chosen < last->count) {
            return true;
        }
        path_length--;
    }
    return false;
}

/* --- threads ---------------------------------------------------------------------------------- */

static bool has_news(const struct thread *thread)
{
    for (int i = 0; i < thread->spin_count; i++) {
        if (thread->spin_reads[i].store < thread->spin_reads[i].location->count - 1) {
            return true;
        }
    }
    return false;
}

static bool is_enabled(const struct thread *thread)
{
    switch (thread->state) {
    case THREAD_READY:
        return true;
    case THREAD_PAUSED:
        return has_news(thread);
    case THREAD_WAITS:
        return memory_latest(thread->word) != thread->while_value;
    default:
        return false;
    }
}

/* Threads that may run although nothing has happened: sleepers by time or for no reason, and those
   that spin. */
static int add_reluctant(int values[], int count, bool is_idle)
{
    for (int i = 0; i < explorer.thread_count; i++) {
        const struct thread *thread = &explorer.threads[i];
        if (thread->state == THREAD_FUTEX && thread->deadline_ns != SKUA__NEVER) {
            values[count++] = WAKE_TIMEOUT + i;
        }
        if (thread->state == THREAD_FUTEX && !is_idle &&
            explorer.spurious < explorer.model->spurious_wakes) {
            values[count++] = WAKE_SPURIOUS + i;
        }
        if (thread->state == THREAD_PAUSED && (is_idle || !has_news(thread))) {
            values[count++] = is_idle ? i : WAKE_PAUSED + i;
        }
    }
    return count;
}

/* Who may run next; `stays`: the current thread could go on. */
static int collect(int values[], bool stays)
{
    int count = 0;
    if (stays) {
        values[count++] = explorer.current->number;
        if (explorer.preemptions >= explorer.bound) {
            return count;
        }
    }
    for (int i = 0; i < explorer.thread_count; i++) {
        bool is_current = stays && i == explorer.current->number;
        if (!is_current && is_enabled(&explorer.threads[i])) {
            values[count++] = i;
        }
    }
    if (count == 0 || explorer.preemptions < explorer.bound) {
        count = add_reluctant(values, count, count == 0);
    }
    return count;
}

static void run_thread(struct thread *thread)
{
    struct thread *before = explorer.current;
    thread->state = THREAD_READY;
    if (thread == before) {
        return;
    }
    explorer.current = thread;
    if (explore_on_switch != NULL) {
        explore_on_switch(thread->number);
    }
    skua__switch(before != NULL ? &before->context : &main_context, thread->context, thread);
}

static void leave_to_main(void)
{
    void *nowhere;
    skua__switch(&nowhere, main_context, NULL);
}

static void carry_out(int value, bool is_preemption)
{
    int number = value % WAKE_SPURIOUS;
    struct thread *thread = &explorer.threads[number];
    explorer.preemptions += is_preemption || value >= WAKE_SPURIOUS;
    if (value >= WAKE_TIMEOUT) {
        explorer_trace("time passes for thread %d", number);
        explore_clock_set(thread->deadline_ns);
    } else if (value >= WAKE_SPURIOUS && value < WAKE_PAUSED) {
        explorer_trace("thread %d wakes for no reason", number);
        explorer.spurious++;
    }
    run_thread(thread);
}

static bool is_over(void)
{
    for (int i = 0; i < explorer.thread_count; i++) {
        if (explorer.threads[i].state != THREAD_DONE) {
            return false;
        }
    }
    return true;
}

static void fail_deadlock(void)
{
    for (int i = 0; i < explorer.thread_count; i++) {
        const struct thread *thread = &explorer.threads[i];
        static const char *const states[] = {"ready", "done", "spins", "waits for a word",
                                             "sleeps on a futex"};
        fprintf(stderr, "  thread %d %s", i, states[thread->state]);
        if (thread->site != NULL) {
            fprintf(stderr, ", last at %s:%d (%s)", thread->site->file, thread->site->line,
                    thread->site->text);
        }
        fprintf(stderr, "\n");
    }
    explore_fail(__FILE__, __LINE__, "nobody can run: a deadlock, or a wake-up was lost");
}

static void schedule(bool stays)
{
    int values[4 * EXPLORE_THREADS];
    int count = collect(values, stays);
    if (count == 0) {
        if (!is_over() && !explorer.model->ends_asleep) {
            fail_deadlock();
        }
        leave_to_main();
    }
    int usual = stays ? explorer.current->number : count == 1 ? values[0] : -1;
    int value = explorer_choose(DECIDE_THREAD, values, count, usual);
    if (!stays || value != usual) {
        carry_out(value, stays);
    }
}

void explorer_point(const struct explore_site *site, bool is_private)
{
    if (++explorer.steps > STEPS_MAX) {
        explore_fail(__FILE__, __LINE__, "more than %d operations: does it end?", STEPS_MAX);
    }
    if (is_private && !explorer.is_replaying) {
        tick++;
    } else {
        schedule(true);
    }
    explorer.current->site = site;
}

void explorer_block(enum thread_state state)
{
    explorer.current->state = state;
    schedule(false);
}

void explore__pause(const struct explore_site *site)
{
    static uint64_t stores_before;
    struct thread *thread = explorer.current;
    if (!explorer.is_running) {
        return;
    }
    thread->site = site;
    thread->idle_pauses = explorer.stores_made == stores_before ? thread->idle_pauses + 1 : 0;
    stores_before = explorer.stores_made;
    if (thread->idle_pauses > IDLE_PAUSES_MAX) {
        explore_fail(__FILE__, __LINE__, "thread %d spins for ever", thread->number);
    }
    for (int i = 0; i < thread->spin_count; i++) {
        const struct spin_read *read = &thread->spin_reads[i];
        if (read->store < read->location->count - 1) {
            thread->now.stores[read->location->number] = (int16_t)(read->store + 1);
        }
    }
    explorer_block(THREAD_PAUSED);
    thread->spin_count = 0;
}

static void thread_main(void *value)
{
    struct thread *thread = value;
    thread->run();
    thread->site = NULL;
    explorer_block(THREAD_DONE);
}

static void make_threads(const struct explore_model *model)
{
    memset(explorer.threads, 0, sizeof explorer.threads);
    explorer.thread_count = 0;
    while (explorer.thread_count < EXPLORE_THREADS && model->threads[explorer.thread_count]) {
        struct thread *thread = &explorer.threads[explorer.thread_count];
        size_t bytes;
        char *stack = plain_stack(explorer.thread_count, &bytes);
        thread->number = explorer.thread_count;
        thread->run = model->threads[explorer.thread_count++];
        thread->context = skua__switch_prepare(stack + bytes, thread_main);
        for (int i = 0; i < CLOCKS; i++) {
            thread->now.clocks[i] = i == thread->number;
        }
    }
}

/* --- executions ------------------------------------------------------------------------------- */

static void run_once(void)
{
    const struct explore_model *model = explorer.model;
    explorer.execution++;
    explorer.preemptions = explorer.spurious = explorer.stale_reads = explorer.steps = 0;
    explorer.current = NULL;
    explorer.stores_made = 0;
    path_at = 0;
    tick = 0;
    noted = 0;
    memory_reset();
    plain_reset();
    doors_reset();
    if (setjmp(main_escape) != 0) {
        is_inside = false;
        return; /* setup or finish has failed */
    }
    is_inside = true;
    model->setup();
    make_threads(model);
    explorer.is_running = true;
    schedule(false);
    explorer.is_running = false;
    explorer.current = NULL;
    if (!has_failed && model->finish != NULL) {
        model->finish();
    }
    for (int i = 0; i < NOTES; i++) {
        happened[i] += noted >> i & 1;
    }
    is_inside = false;
}

void explore_note(unsigned what)
{
    noted |= UINT32_C(1) << what;
}

uint64_t explore_happened(unsigned what)
{
    if (getenv("SKUA_EXPLORE_REPLAY") != NULL) {
        return 1; /* nothing was explored: only one execution of one model is run */
    }
    return happened[what];
}

int explore_self(void)
{
    return explorer.is_running ? explorer.current->number : -1;
}

/* --- reports ---------------------------------------------------------------------------------- */

void explorer_trace(const char *format, ...)
{
    if (!explorer.is_tracing) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    const struct explore_site *site = explorer.current != NULL ? explorer.current->site : NULL;
    fprintf(stderr, "%5u  T%d  ", tick, explore_self());
    vfprintf(stderr, format, arguments);
    if (site != NULL) {
        fprintf(stderr, "    %s:%d", site->file, site->line);
    }
    fprintf(stderr, "\n");
    va_end(arguments);
}

void explore_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = snprintf(failure, sizeof failure, "%s:%d: ", file, line);
    vsnprintf(failure + length, sizeof failure - (size_t)length, format, arguments);
    va_end(arguments);
    has_failed = true;
    if (explorer.is_running) {
        explorer.is_running = false;
        if (!explorer.is_replaying) {
            path_length = path_at;
        }
        leave_to_main();
    }
    if (!is_inside) {
        fprintf(stderr, "explore: FAILED %s\n", failure);
        exit(1);
    }
    longjmp(main_escape, 1);
}

static void print_replay(void)
{
    fprintf(stderr, "  replay: SKUA_EXPLORE_REPLAY='%s:", explorer.model->name);
    const char *comma = "";
    for (int i = 0; i < path_length; i++) {
        if (!path[i].is_usual) {
            fprintf(stderr, "%s%u%c%d", comma, path[i].tick, path[i].kind, path[i].value);
            comma = ",";
        }
    }
    fprintf(stderr, "'\n");
}

/* Runs the failed path once more, talking. */
static void explain_failure(void)
{
    static char first[sizeof failure];
    memcpy(first, failure, sizeof first);
    fprintf(stderr, "\nexplore: FAILED %s\n", explorer.model->name);
    if (getenv("SKUA_EXPLORE_QUIET") == NULL && !explorer.is_tracing) {
        explorer.is_replaying = explorer.is_tracing = true;
        run_once();
        explorer.is_replaying = explorer.is_tracing = false;
    }
    fprintf(stderr, "  %s\n", first);
    print_replay();
    if (strcmp(first, failure) != 0) {
        fprintf(stderr, "  the replay ended otherwise: %s\n", failure);
    }
    exit(1);
}

/* --- replaying -------------------------------------------------------------------------------- */

/* The decisions of the string that follow "model name:". */
static void read_replay(const char *text)
{
    path_length = 0;
    while (*text != '\0' && path_length < PATH_MAX_DECISIONS) {
        char *end;
        struct decision *decision = &path[path_length++];
        *decision = (struct decision){.tick = (uint32_t)strtoul(text, &end, 10), .kind = *end};
        decision->value = (int)strtol(*end != '\0' ? end + 1 : end, &end, 10);
        text = *end == ',' ? end + 1 : end;
        if (*end != ',' && *end != '\0') {
            fprintf(stderr, "explore: bad replay string at '%s'\n", end);
            exit(2);
        }
    }
}

static void replay(const char *text)
{
    size_t length = strlen(explorer.model->name);
    if (strncmp(text, explorer.model->name, length) != 0 || text[length] != ':') {
        return; /* another model's */
    }
    read_replay(text + length + 1);
    explorer.is_replaying = explorer.is_tracing = true;
    run_once();
    explorer.is_replaying = false;
    fprintf(stderr, "explore: replay of %s: %s\n", explorer.model->name,
            has_failed ? failure : "no failure");
    exit(has_failed);
}

/* A crash of the model is a failure like others. */
static void on_crash(int signal)
{
    explore_fail(__FILE__, __LINE__, "signal %d", signal);
}

static void catch_crashes(void)
{
    static char stack[64 * 1024];
    const stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&alternative, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/* --- the search ------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int bound_of(const struct explore_model *model)
{
    const char *text = getenv("SKUA_EXPLORE_BOUND");
    int bound = text != NULL ? atoi(text) : 2;
    return bound > model->preemptions_less ? bound - model->preemptions_less : 0;
}

static uint64_t search(const struct explore_model *model)
{
    uint64_t executions = 0;
    bool has_more = true;
    path_length = 0;
    while (has_more) {
        run_once();
        executions++;
        if (has_failed) {
            explain_failure();
        }
        if (memory_has_grown()) {
            path_length = 0;
            memset(happened, 0, sizeof happened);
        } else {
            has_more = advance_path();
        }
        if (model->executions_max != 0 && executions > model->executions_max) {
            fprintf(stderr, "explore: %s: more than %llu executions\n", model->name,
                    (unsigned long long)model->executions_max);
            exit(1);
        }
    }
    return executions;
}

void explore(const struct explore_model *model)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    catch_crashes();
    explorer.model = model;
    explorer.bound = bound_of(model);
    has_failed = false;
    memset(happened, 0, sizeof happened);
    memory_forget_uses();
    const char *text = getenv("SKUA_EXPLORE_REPLAY");
    if (text != NULL) {
        replay(text);
        return;
    }
    double start = seconds();
    uint64_t executions = search(model);
    printf("explore: %s: %llu executions, bound %d, %.2f s\n", model->name,
           (unsigned long long)executions, explorer.bound, seconds() - start);
}
