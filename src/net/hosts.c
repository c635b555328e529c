/* The file of names. It is read whole, cut in place into words, and sorted by name, so that a file
   of many thousand names costs a moment once and little for each question.

   Rejected: inotify (an fd and a watcher for a file that hardly ever changes; a stat(2) is cheap).
   */
#include "net/hosts.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct skua__hosts_entry {
    const char *name;
    const char *address; /* in writing; checked when it is asked for */
};

static const char BLANKS[] = " \t\r\f\v";

/* --- addresses in writing --------------------------------------------------------------------- */

/* A zone is the name or the number of an interface. */
static bool read_zone(const char *zone, uint32_t *out)
{
    char *end = NULL;
    *out = skua__name_interface(zone);
    if (*out != 0) {
        return true;
    }
    const unsigned long number = strtoul(zone, &end, 10);
    *out = (uint32_t)number;
    return zone[0] >= '0' && zone[0] <= '9' && *end == '\0' && number > 0 && number <= UINT32_MAX;
}

static bool read_ip6(const char *text, skua_address *out)
{
    char digits[INET6_ADDRSTRLEN] = "";
    const char *zone = strchr(text, '%');
    const size_t length = zone != NULL ? (size_t)(zone - text) : strlen(text);
    uint32_t scope = 0;
    struct in6_addr parsed;
    if (length >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, length);
    if (inet_pton(AF_INET6, digits, &parsed) != 1 ||
        (zone != NULL && !read_zone(zone + 1, &scope))) {
        return false;
    }
    *out = (skua_address){.bytes = sizeof out->ip6};
    out->ip6.sin6_family = AF_INET6;
    out->ip6.sin6_addr = parsed;
    out->ip6.sin6_scope_id = scope;
    return true;
}

bool skua__address_read(const char *text, skua_address *out)
{
    struct in_addr parsed;
    if (inet_pton(AF_INET, text, &parsed) == 1) {
        *out = (skua_address){.bytes = sizeof out->ip4};
        out->ip4.sin_family = AF_INET;
        out->ip4.sin_addr = parsed;
        return true;
    }
    return read_ip6(text, out);
}

/* --- reading the file ------------------------------------------------------------------------- */

/* The next word of a line, with a zero behind it, or NULL. */
static char *next_word(char **at)
{
    char *word = *at + strspn(*at, BLANKS);
    if (*word == '\0') {
        return NULL;
    }
    char *end = word + strcspn(word, BLANKS);
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

/* More than there can be names: words less the addresses. */
static size_t count_words(const char *text, size_t bytes)
{
    size_t words = 0;
    bool is_inside = false;
    for (size_t i = 0; i < bytes; i++) {
        const bool is_word = text[i] != '\n' && strchr(BLANKS, text[i]) == NULL;
        words += is_word && !is_inside;
        is_inside = is_word;
    }
    return words;
}

static size_t cut_line(char *line, struct skua__hosts_entry *entries)
{
    size_t count = 0;
    line[strcspn(line, "#")] = '\0';
    const char *address = next_word(&line);
    if (address == NULL) {
        return 0;
    }
    for (char *name = next_word(&line); name != NULL; name = next_word(&line)) {
        entries[count++] = (struct skua__hosts_entry){.name = name, .address = address};
    }
    return count;
}

/* Equal names stay in the order of the file, that is of their places in its text. */
static int compare(const void *left_arg, const void *right_arg)
{
    const struct skua__hosts_entry *left = left_arg, *right = right_arg;
    const int order = strcasecmp(left->name, right->name);
    return order != 0 ? order : left->name < right->name ? -1 : left->name > right->name;
}

/* Takes over the text. */
static bool cut(struct skua__hosts *hosts, char *text, size_t bytes)
{
    struct skua__hosts_entry *entries =
        skua__alloc((count_words(text, bytes) + 1) * sizeof *entries);
    size_t count = 0;
    if (entries == NULL) {
        skua__free(text);
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        text[i] = text[i] == '\0' ? ' ' : text[i];
    }
    for (char *line = text, *end; line != NULL; line = end) {
        end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        count += cut_line(line, entries + count);
    }
    qsort(entries, count, sizeof *entries, compare);
    skua__hosts_fini(hosts);
    hosts->text = text;
    hosts->entries = entries;
    hosts->count = count;
    return true;
}

/* The version is that from before the reading: who writes meanwhile is noticed next time. */
static void refresh(struct skua__hosts *hosts, const char *path)
{
    struct skua__file_version version;
    char *text = NULL;
    size_t bytes = 0;
    if (skua__name_file_version(path, &version) < 0) {
        skua__hosts_fini(hosts);
        return;
    }
    const struct skua__file_version known = hosts->version;
    if (hosts->text != NULL && known.changed_ns == version.changed_ns &&
        known.bytes == version.bytes && known.inode == version.inode) {
        return;
    }
    int status = skua__name_file_read(path, &text, &bytes);
    if (status == 0 && cut(hosts, text, bytes)) {
        hosts->version = version;
    } else if (status < 0 && status != -ENOMEM) {
        skua__hosts_fini(hosts);
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

size_t skua__hosts_find(struct skua__hosts *hosts, const char *path, const char *name, int family,
                        skua_address addresses[], size_t capacity)
{
    refresh(hosts, path);
    size_t low = 0, high = hosts->count, found = 0;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcasecmp(hosts->entries[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < hosts->count && strcasecmp(hosts->entries[low].name, name) == 0; low++) {
        skua_address address;
        if (skua__address_read(hosts->entries[low].address, &address) &&
            (family == 0 || address.any.sa_family == family)) {
            if (found < capacity) {
                addresses[found] = address;
            }
            found++;
        }
    }
    return found;
}

void skua__hosts_fini(struct skua__hosts *hosts)
{
    skua__free(hosts->text);
    skua__free(hosts->entries);
    *hosts = (struct skua__hosts){0};
}
