/* base/compiler.h: words for the compiler. */
#ifndef SKUA_BASE_COMPILER_H
#define SKUA_BASE_COMPILER_H

#include <stddef.h>

#define SKUA_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define SKUA_UNLIKELY(condition) __builtin_expect(!!(condition), 0)
#define SKUA_NOINLINE __attribute__((noinline))
#define SKUA_ALWAYS_INLINE inline __attribute__((always_inline))
#define SKUA_NORETURN __attribute__((noreturn))
#define SKUA_CACHE_LINE 64
#define SKUA_CACHE_ALIGNED __attribute__((aligned(SKUA_CACHE_LINE)))

/* The object that holds `member` at `pointer`. */
#define SKUA_CONTAINER(pointer, type, member)                                                      \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define SKUA_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Never inlined, never cloned and, by gcc, never looked into, so that nothing the caller holds is
   assumed to survive it. Clang may still learn what such a function returns: it must not return the
   address of a thread-local. */
#if defined(__clang__)
#define SKUA_OPAQUE __attribute__((noinline))
#else
#define SKUA_OPAQUE __attribute__((noipa))
#endif

#endif
