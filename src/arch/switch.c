/* Fresh contexts: the frame that the assembly of this processor pops on the first switch. */
#include "arch/switch.h"

#include <stdint.h>
#include <string.h>

void skua__switch_start(void);

#if defined(__x86_64__)
/* The address to go on at and the entry function, so that rsp is a multiple of 16 once they are
   popped. */
enum { FRAME_WORDS = 2, RESUME_WORD = 0, ENTRY_WORD = 1 };
#elif defined(__aarch64__)
enum { FRAME_WORDS = 20, ENTRY_WORD = 0, RESUME_WORD = 11 };
#endif

void *skua__switch_prepare(void *top, skua__entry_fn entry)
{
    uintptr_t *frame = (uintptr_t *)top - FRAME_WORDS;
    memset(frame, 0, FRAME_WORDS * sizeof *frame);
    frame[ENTRY_WORD] = (uintptr_t)entry;
    frame[RESUME_WORD] = (uintptr_t)skua__switch_start;
    return frame;
}
