/* report.c: what has become of every file, for people and for machines. */
#include "thumbs.h"

#include <stdio.h>

static const struct {
    const char *key, *text;
} outcomes[OUTCOMES] = {
    [NOT_TRIED] = {"not_tried", "not tried"},
    [DONE] = {"done", "done"},
    [CRASHED] = {"crashed", "crashed"},
    [TIMED_OUT] = {"timed_out", "timed out"},
    [OVER_LIMIT] = {"over_limit", "over limit"},
    [REFUSED] = {"refused", "refused"},
    [FAILED] = {"failed", "failed"},
};

size_t count_outcome(const struct run *run, enum outcome outcome)
{
    size_t count = 0;
    for (size_t i = 0; i < run->files.count; i++) {
        count += file_at(run, i)->outcome == outcome;
    }
    return count;
}

/* Names and messages may hold anything: what is not printable ASCII is written as \xNN, and a
   backslash as two; in a JSON string each backslash of these needs another one. */
static void print_safely(const char *text, const char *backslash)
{
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char letter = (unsigned char)*at;
        if (letter == '\\') {
            printf("%s%s", backslash, backslash);
        } else if (letter < ' ' || letter >= 0x7f) {
            printf("%sx%02x", backslash, letter);
        } else if (letter == '"' && backslash[1] != '\0') {
            printf("\\\"");
        } else {
            putchar(letter);
        }
    }
}

static void print_json(const char *text)
{
    putchar('"');
    print_safely(text, "\\\\");
    putchar('"');
}

void report_text(const struct run *run, double seconds)
{
    for (size_t i = 0; i < run->files.count; i++) {
        const struct file *file = file_at(run, i);
        if (file->outcome == DONE || file->outcome == NOT_TRIED) {
            continue;
        }
        print_safely(file->name, "\\");
        printf(": %s", outcomes[file->outcome].text);
        if (file->message != NULL) {
            printf(": ");
            print_safely(file->message, "\\");
        }
        putchar('\n');
    }
    printf("%zu files in %.2f s:", run->files.count, seconds);
    const char *separator = " ";
    for (enum outcome outcome = DONE; outcome < OUTCOMES; outcome++) {
        printf("%s%zu %s", separator, count_outcome(run, outcome), outcomes[outcome].text);
        separator = ", ";
    }
    const size_t left = count_outcome(run, NOT_TRIED);
    printf(left > 0 ? ", %zu not tried\n" : "\n", left);
}

void report_json(const struct run *run, double seconds)
{
    printf("{\"files\": %zu, ", run->files.count);
    for (enum outcome outcome = NOT_TRIED; outcome < OUTCOMES; outcome++) {
        printf("\"%s\": %zu, ", outcomes[outcome].key, count_outcome(run, outcome));
    }
    printf("\"seconds\": %.3f, \"sandbox\": %s, \"memory_group\": %s,\n\"not_done\": [", seconds,
           run->has_sandbox ? "true" : "false", run->has_memory_group ? "true" : "false");
    const char *separator = "\n";
    for (size_t i = 0; i < run->files.count; i++) {
        const struct file *file = file_at(run, i);
        if (file->outcome != DONE) {
            printf("%s{\"file\": ", separator);
            print_json(file->name);
            printf(", \"outcome\": \"%s\", \"message\": ", outcomes[file->outcome].key);
            print_json(file->message != NULL ? file->message : "");
            printf("}");
            separator = ",\n";
        }
    }
    printf("]}\n");
}
