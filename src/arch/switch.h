/* arch/switch.h: the context switch.

   A suspended context is one pointer: its stack pointer, with the address to go on at on top.
   Rounding mode and exception masks are not part of it (skua__fpenv_save() is for those who ask),
   nor is the signal mask.

   Two forms that understand each other's contexts:
     skua__switch         a function in assembly: about 2.6 ns by itself skua__switch_inline  a
     statement: the compiler saves what it needs. By itself it gains 1 ns; what it saves
                          is the returns that follow. A call whose return never comes (the switch
                          ends in a jump, on another stack) leaves the processor's return stack one
                          entry off, and every return up to the user's code is then mispredicted:
                          measured, a yield of 32 ns becomes 20. */
#ifndef SKUA_ARCH_SWITCH_H
#define SKUA_ARCH_SWITCH_H

#include <stddef.h>

/* Save the running context in *save and go on with `to`, where the call that saved it returns
   `value`. */
void *skua__switch(void **save, void *to, void *value);

#if defined(__x86_64__)
static inline void *skua__switch_inline(void **save, void *to, void *value)
{
    /* The red zone below the stack pointer may be in use. rbp and rbx are saved by hand, since
       compilers do not let them be clobbered in all modes; the rest is the compiler's. */
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
                     "pushq %%rbp\n\t"
                     "pushq %%rbx\n\t"
                     "leaq 1f(%%rip), %%rcx\n\t"
                     "pushq %%rcx\n\t"
                     "movq %%rsp, (%%rdi)\n\t"
                     "movq %%rsi, %%rsp\n\t"
                     "popq %%rcx\n\t"
                     "jmpq *%%rcx\n"
                     "1:\tendbr64\n\t"
                     "popq %%rbx\n\t"
                     "popq %%rbp\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     : "+a"(value), "+D"(save), "+S"(to)
                     :
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
                       "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                       "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
    return value;
}
#else
static inline void *skua__switch_inline(void **save, void *to, void *value)
{
    return skua__switch(save, to, value);
}
#endif

typedef void (*skua__entry_fn)(void *value);

/* Make a context that calls entry(value of the first switch to it) on an empty stack whose highest
   address is `top` (16-byte aligned). entry must not return. Backtraces end there. Returns the
   context. */
void *skua__switch_prepare(void *top, skua__entry_fn entry);

#endif
