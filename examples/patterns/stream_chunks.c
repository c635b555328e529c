/* Chunks arrive over time and flow on as words; nothing runs ahead of who asks at the end. */
#include <skua/skua.h>
#include <stdio.h>
#include <string.h>

struct word {
    const char *start;
    size_t length;
};

static int receive(skua_gen *self, void *arg)
{
    static const char *const chunks[] = {"alpha beta", "gamma", "delta epsilon zeta"};
    int status = 0;
    for (int i = 0; i < 3 && status == 0; i++) {
        status = skua_sleep(skua_after(SKUA_MS(100)));
        if (status == 0) {
            status = skua_gen_yield(self, &chunks[i]);
        }
    }
    return status;
}

static int split(skua_gen *self, void *chunk)
{
    struct word word = {chunk, 0};
    int status = 0;
    while (*word.start != '\0' && status == 0) {
        word.length = strcspn(word.start, " ");
        status = skua_gen_yield(self, &word);
        word.start += word.length;
        word.start += strspn(word.start, " ");
    }
    return status;
}

static int words_of(void *context, const void *chunk, void *words)
{
    *(skua_stream **)words = skua_stream_generate(split, *(char **)chunk, sizeof(struct word));
    return 0;
}

static int is_longer_than(void *limit, const void *item)
{
    const struct word *word = item;
    return word->length > *(size_t *)limit;
}

static int print(void *context, const void *item)
{
    const struct word *word = item;
    printf("%.*s\n", (int)word->length, word->start);
    return 0;
}

static int run(void *arg)
{
    size_t limit = 4;
    skua_stream *chunks = skua_stream_generate(receive, NULL, sizeof(char *));
    skua_stream *splits = skua_stream_map(chunks, words_of, NULL, sizeof(skua_stream *));
    skua_stream *words = skua_stream_flatten(splits, sizeof(struct word));
    skua_stream *long_words = skua_stream_filter(words, is_longer_than, &limit);
    return skua_stream_for_each(long_words, print, NULL, SKUA_FOREVER);
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
