/* arch/switch.h: the context switch.

   A suspended context is one pointer: its stack pointer, with the callee-saved registers above it.
   Rounding mode and exception masks are not part of it (skua__fpenv_save() is for those who ask), nor
   is the signal mask. A switch costs about 3 ns: it ends in an indirect jump, since a return
   would be mispredicted every time (the return stack belongs to the context that was left). */
#ifndef SKUA_ARCH_SWITCH_H
#define SKUA_ARCH_SWITCH_H

#include <stddef.h>

/* Save the running context in *save and go on with `to`, where the call that saved it returns `value`. */
void *skua__switch(void **save, void *to, void *value);

typedef void (*skua__entry_fn)(void *value);

/* Make a context that calls entry(value of the first switch to it) on an empty stack whose highest
   address is `top` (16-byte aligned). entry must not return. Backtraces end there. Returns the context. */
void *skua__switch_prepare(void *top, skua__entry_fn entry);

#endif
