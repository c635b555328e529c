/* arch/fpenv.h: the floating-point control words, for tasks that keep their own. */
#ifndef SKUA_ARCH_FPENV_H
#define SKUA_ARCH_FPENV_H

#include <stdint.h>

/* Rounding mode and exception masks of the calling thread. */
struct skua__fpenv {
    uint64_t control;
};

static inline struct skua__fpenv skua__fpenv_save(void)
{
    struct skua__fpenv env;
#if defined(__x86_64__)
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    env.control = (uint64_t)x87 << 32 | mxcsr;
#else
    __asm__ volatile("mrs %0, fpcr" : "=r"(env.control));
#endif
    return env;
}

static inline void skua__fpenv_restore(struct skua__fpenv env)
{
#if defined(__x86_64__)
    uint32_t mxcsr = (uint32_t)env.control;
    uint16_t x87 = (uint16_t)(env.control >> 32);
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
#else
    __asm__ volatile("msr fpcr, %0" : : "r"(env.control));
#endif
}

#endif
