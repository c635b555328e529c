/* base/sanitize.h: what sanitizers and valgrind have to be told about stacks of our own. The only
   file that knows these tools; without them everything here is nothing. */
#ifndef SKUA_BASE_SANITIZE_H
#define SKUA_BASE_SANITIZE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define SKUA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SKUA_ASAN 1
#endif
#endif
#ifndef SKUA_ASAN
#define SKUA_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define SKUA_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SKUA_TSAN 1
#endif
#endif

#ifndef SKUA_TSAN
#define SKUA_TSAN 0
#endif

/* Usable stack of a task that does not ask for another; sanitizers make frames larger. */
#if SKUA_ASAN || SKUA_TSAN
#define SKUA__STACK_BYTES_DEFAULT (960 * 1024)
#else
#define SKUA__STACK_BYTES_DEFAULT (192 * 1024)
#endif

/* What the tools keep about one stack. */
struct skua__sanitize {
    void *tsan_fiber;
    void *asan_fake_stack;
    const void *stack_bottom;
    size_t stack_bytes;
    unsigned valgrind_id;
};

/* The calling thread's own stack becomes a context. */
void skua__sanitize_thread(struct skua__sanitize *context);

/* A stack of ours becomes a context; `bottom` is its lowest usable address. Undone by fini. */
void skua__sanitize_init(struct skua__sanitize *context, const void *bottom, size_t bytes);
void skua__sanitize_fini(struct skua__sanitize *context);

/* Around a switch: leaving on the old stack, immediately before; arrived on the new one, first
   thing. */
#if SKUA_ASAN || SKUA_TSAN
void skua__sanitize_leave(struct skua__sanitize *from, const struct skua__sanitize *to);
void skua__sanitize_arrive(struct skua__sanitize *self);
/* Clang's no_sanitize still notes entry and exit, which here are on different stacks. */
#if defined(__clang__)
#define SKUA_NO_SANITIZE_THREAD __attribute__((disable_sanitizer_instrumentation))
#else
#define SKUA_NO_SANITIZE_THREAD __attribute__((no_sanitize("thread")))
#endif
#else
static inline void skua__sanitize_leave(struct skua__sanitize *from,
                                        const struct skua__sanitize *to)
{
    (void)from, (void)to;
}
static inline void skua__sanitize_arrive(struct skua__sanitize *self)
{
    (void)self;
}
#define SKUA_NO_SANITIZE_THREAD
#endif

/* For code that runs beside a thread on that thread's own thread-locals, or in a process that is
   about to become another program: no tool may have a part in it. */
#if SKUA_ASAN || SKUA_TSAN
#if defined(__clang__)
#define SKUA_NO_SANITIZE __attribute__((disable_sanitizer_instrumentation))
#else
#define SKUA_NO_SANITIZE __attribute__((no_sanitize("address", "thread", "undefined")))
#endif
#else
#define SKUA_NO_SANITIZE
#endif

/* Memory that is given back to the stack cache: no poison of dead frames stays behind. */
void skua__sanitize_unpoison(const void *memory, size_t bytes);

#endif
