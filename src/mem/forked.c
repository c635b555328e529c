/* The page that a fork wipes. */
#include "mem/forked.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

enum { PAGE_BYTES = 4096 };

static int origin_fallback = 1;

const volatile int *skua__origin_word = &origin_fallback;

static void note_fork(void)
{
    origin_fallback = 0;
}

__attribute__((constructor)) static void make_page(void)
{
    int *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || madvise(page, PAGE_BYTES, MADV_WIPEONFORK) != 0) {
        /* Before Linux 4.14: only forks by the C library are noticed. */
        pthread_atfork(NULL, NULL, note_fork);
        return;
    }
    *page = 1;
    skua__origin_word = page;
}

void skua__process_is_origin(void)
{
    origin_fallback = 1;
    skua__origin_word = &origin_fallback;
}
