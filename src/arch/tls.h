/* arch/tls.h: reading a thread-local so that the compiler cannot remember where it was.

   A fiber may go on on another thread after any switch, but compilers believe that a function stays
   on one thread: they keep the address of a thread-local in a register across calls (and across
   inlining, with link-time optimisation). A volatile asm statement that computes address and value
   anew each time is what they cannot keep. On processors without such a form the reader is a
   function that is never inlined. */
#ifndef SKUA_ARCH_TLS_H
#define SKUA_ARCH_TLS_H

#if defined(__x86_64__)
#define SKUA__TLS_HAS_LOAD 1
/* Initial-exec: the offset stands in the GOT, or becomes a constant when the program is linked. */
#define SKUA__TLS_LOAD(result, symbol)                                                             \
    __asm__ volatile("movq " #symbol "@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0"                  \
                     : "=r"(result)                                                                \
                     :                                                                             \
                     : "memory")
#else
#define SKUA__TLS_HAS_LOAD 0
#endif

#endif
