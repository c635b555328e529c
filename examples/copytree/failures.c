/* failures.c: what could not be copied, and why. */
#include "copytree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void note_failure(struct job *job, const char *path, const char *what, int status)
{
    SKUA_SCOPE(shield); /* also in the middle of a cancel */
    skua_shield_open(&shield, SKUA_FOREVER);
    if (skua_mutex_lock(&job->lock, SKUA_FOREVER) == 0) {
        if (job->failure_count < ERRORS_MAX) {
            job->failures[job->failure_count] =
                (struct failure){.path = strdup(path), .what = what, .status = status};
        }
        job->failure_count++;
        skua_mutex_unlock(&job->lock);
    }
}

/* Names may hold anything: what would move the cursor is shown as a number. */
static void print_path(const char *path)
{
    for (const char *at = path; *at != '\0'; at++) {
        const unsigned char letter = (unsigned char)*at;
        if (letter < ' ' || letter == 0x7f) {
            fprintf(stderr, "\\%03o", letter);
        } else {
            fputc(letter, stderr);
        }
    }
}

void print_failures(const struct job *job)
{
    for (size_t i = 0; i < job->failure_count && i < ERRORS_MAX; i++) {
        const struct failure *failure = &job->failures[i];
        fputs("copytree: ", stderr);
        print_path(failure->path != NULL ? failure->path : "(no memory for the name)");
        fprintf(stderr, ": %s: %s\n", failure->what, skua_error_text(failure->status));
    }
    if (job->failure_count > ERRORS_MAX) {
        fprintf(stderr, "copytree: and %zu more\n", job->failure_count - ERRORS_MAX);
    }
}

void free_failures(struct job *job)
{
    for (size_t i = 0; i < job->failure_count && i < ERRORS_MAX; i++) {
        free(job->failures[i].path);
    }
}
