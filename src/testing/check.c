/* What has failed in a test run: the first failure is kept, and cancels the task under test.

   A failure is recorded and the C block left by return. Rejected: a jump back to the start of the
   task, as test frameworks do it: it would pass over open scopes and groups in the frames between,
   whose children still run with pointers into them. */
#include "base/panic.h"
#include "testing/kit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void skua__kit_failures_begin(struct skua__kit *kit)
{
    skua__lock(&kit->failure_lock, SKUA__RANK_SERVICE);
    kit->has_failed = false;
    kit->text[0] = '\0';
    skua__unlock(&kit->failure_lock, SKUA__RANK_SERVICE);
}

void skua__kit_set_subject(struct skua__kit *kit, skua_task *task)
{
    skua__lock(&kit->failure_lock, SKUA__RANK_SERVICE);
    kit->subject = task;
    skua__unlock(&kit->failure_lock, SKUA__RANK_SERVICE);
}

bool skua__kit_has_failed(struct skua__kit *kit)
{
    skua__lock(&kit->failure_lock, SKUA__RANK_SERVICE);
    bool has_failed = kit->has_failed;
    skua__unlock(&kit->failure_lock, SKUA__RANK_SERVICE);
    return has_failed;
}

/* Keeps the text, if it is the first. Returns the task to be cancelled, retained, or NULL. */
static skua_task *record(struct skua__kit *kit, const char *text)
{
    skua_task *subject = NULL;
    skua__lock(&kit->failure_lock, SKUA__RANK_SERVICE);
    if (!kit->has_failed) {
        kit->has_failed = true;
        snprintf(kit->text, sizeof kit->text, "%s", text);
        subject = kit->subject != NULL ? skua_task_retain(kit->subject) : NULL;
    }
    skua__unlock(&kit->failure_lock, SKUA__RANK_SERVICE);
    return subject;
}

void skua__kit_note(struct skua__kit *kit, const char *format, ...)
{
    char text[SKUA__KIT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    skua_task *subject = record(kit, text);
    if (subject != NULL) {
        skua_task_cancel(subject);
        skua_task_release(subject);
    }
}

/* "file:line: in task 'x': message" */
SKUA_PRINTF(5, 0)
static void compose(char *text, size_t bytes, const char *file, int line, const char *format,
                    va_list args)
{
    skua_task *task = skua_self();
    int length = task != NULL ? snprintf(text, bytes, "%s:%d: in task '%s': ", file, line,
                                         skua_task_name(task))
                              : snprintf(text, bytes, "%s:%d: ", file, line);
    if (length >= 0 && (size_t)length < bytes) {
        vsnprintf(text + length, bytes - (size_t)length, format, args);
    }
}

int skua_test_fail_at(const char *file, int line, const char *format, ...)
{
    struct skua__kit *kit = &skua__kit;
    char text[SKUA__KIT_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    compose(text, sizeof text, file, line, format, args);
    va_end(args);
    skua__report("%s", text);
    if (!skua__load(&kit->is_taken, relaxed)) {
        abort();
    }
    skua__kit_note(kit, "%s", text);
    return SKUA_TEST_FAILED;
}

bool skua_test_same_int(const char *file, int line, const char *what, int64_t got, int64_t want)
{
    if (got != want) {
        skua_test_fail_at(file, line, "%s is %lld, expected %lld", what, (long long)got,
                          (long long)want);
    }
    return got == want;
}

bool skua_test_same_text(const char *file, int line, const char *what, const char *got,
                         const char *want)
{
    bool is_same = got != NULL && want != NULL && strcmp(got, want) == 0;
    if (!is_same) {
        skua_test_fail_at(file, line, "%s is \"%s\", expected \"%s\"", what,
                          got != NULL ? got : "(null)", want != NULL ? want : "(null)");
    }
    return is_same;
}
