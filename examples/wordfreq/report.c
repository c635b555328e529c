/* report.c: see report.h. */
#include "report.h"

#include "gunzip.h"

#include <stdio.h>
#include <string.h>

enum { BAR_WIDTH = 24, WORD_WIDTH = 24, ERRORS_SHOWN = 20 };

/* The length of the UTF-8 sequence at the start of a string; 0 if it is none. */
static size_t utf8_length(const unsigned char *text)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t length = text[0] < 0x80   ? 1
                          : text[0] < 0xc0 ? 0
                          : text[0] < 0xe0 ? 2
                          : text[0] < 0xf0 ? 3
                          : text[0] < 0xf8 ? 4
                                           : 0;
    if (length < 2) {
        return length;
    }
    uint32_t code = text[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (text[i] & 0x3fU);
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < smallest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

/* A control character, of ASCII or of the next 32 (U+0080 to U+009F), which terminals obey too. */
static bool is_control(const unsigned char *text, size_t length)
{
    return (length == 1 && (text[0] < 0x20 || text[0] == 0x7f)) ||
           (length == 2 && text[0] == 0xc2 && text[1] < 0xa0);
}

/* A path for people: what is not printable is written as \xNN. */
static void print_path(const char *path)
{
    const unsigned char *at = (const unsigned char *)path;
    while (*at != '\0') {
        const size_t length = utf8_length(at);
        if (length == 0 || is_control(at, length)) {
            printf("\\x%02x", *at++);
        } else {
            fwrite(at, 1, length, stdout);
            at += length;
        }
    }
}

/* A JSON string. A backslash that is meant for the reader of the string is itself escaped. */
static void print_json_string(const char *string)
{
    const unsigned char *at = (const unsigned char *)string;
    putchar('"');
    while (*at != '\0') {
        const size_t length = utf8_length(at);
        if (length == 0) {
            printf("\\\\x%02x", *at++);
        } else if (*at == '\\') {
            printf("\\\\\\\\");
            at++;
        } else if (*at == '"') {
            printf("\\\"");
            at++;
        } else if (*at < 0x20) {
            printf("\\u%04x", *at++);
        } else {
            fwrite(at, 1, length, stdout);
            at += length;
        }
    }
    putchar('"');
}

/* A number with commas between the thousands, right-aligned. */
static void print_count(uint64_t number, int width)
{
    char digits[32];
    char text[48];
    const int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[used++] = ',';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
    printf("%*s", width, text);
}

static void print_words(const struct result *result)
{
    const uint64_t most = result->top_count > 0 ? result->top[0].count : 1;
    for (size_t i = 0; i < result->top_count; i++) {
        const struct word_entry *entry = &result->top[i];
        char short_word[SHORT_WORD_MAX];
        size_t length;
        const char *letters = word_letters(entry, short_word, &length);
        const bool fits = length <= WORD_WIDTH;
        printf("%6zu", i + 1);
        print_count(entry->count, 16);
        printf("  %-*.*s%s ", WORD_WIDTH, fits ? (int)length : WORD_WIDTH, letters,
               fits ? "   " : "...");
        for (uint64_t width = 0; width * most < entry->count * BAR_WIDTH; width++) {
            putchar('#');
        }
        putchar('\n');
    }
}

static void print_errors(const struct error_list *errors)
{
    const size_t count = errors->count + errors->unnamed;
    if (count == 0) {
        return;
    }
    printf("\n%zu could not be counted, or not as a whole:\n", count);
    const size_t shown = errors->count < ERRORS_SHOWN ? errors->count : ERRORS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        printf("  ");
        print_path(errors->items[i].path);
        printf(": %s\n", gunzip_error_text(errors->items[i].code));
    }
    if (count > shown) {
        printf("  and %zu more\n", count - shown);
    }
}

void report_table(const struct result *result, double seconds)
{
    printf("  rank           count  word\n");
    print_words(result);
    printf("\n");
    print_count(result->files, 0);
    printf(" files, %.1f MB, ", (double)result->bytes / 1e6);
    print_count(result->words, 0);
    printf(" words, ");
    print_count(result->distinct, 0);
    printf(" distinct\n%.2f seconds, %.0f MB/s\n", seconds,
           seconds > 0 ? (double)result->bytes / 1e6 / seconds : 0);
    if (result->ranks > 1) {
        printf("%u ranks; ", result->ranks);
        print_count(result->unpacked_elsewhere, 0);
        printf(" files were unpacked by others\n");
    }
    print_errors(&result->errors);
}

void report_json(const struct result *result, double seconds)
{
    printf(
        "{\"files\": %zu, \"bytes\": %zu, \"words\": %llu, \"distinct\": %zu, \"seconds\": %.6f,\n",
        result->files, result->bytes, (unsigned long long)result->words, result->distinct, seconds);
    printf("\"ranks\": %u, \"unpacked_elsewhere\": %llu,\n", result->ranks,
           (unsigned long long)result->unpacked_elsewhere);
    printf("\"top\": [");
    for (size_t i = 0; i < result->top_count; i++) {
        char short_word[SHORT_WORD_MAX];
        size_t length;
        const char *letters = word_letters(&result->top[i], short_word, &length);
        printf("%s\n[\"", i > 0 ? "," : "");
        fwrite(letters, 1, length, stdout);
        printf("\", %llu]", (unsigned long long)result->top[i].count);
    }
    printf("],\n\"errors\": [");
    for (size_t i = 0; i < result->errors.count; i++) {
        printf("%s\n{\"path\": ", i > 0 ? "," : "");
        print_json_string(result->errors.items[i].path);
        printf(", \"error\": ");
        print_json_string(gunzip_error_text(result->errors.items[i].code));
        printf("}");
    }
    printf("]}\n");
}
