/* Annotations for AddressSanitizer (with its leak checker), ThreadSanitizer and valgrind.

   ThreadSanitizer: each stack is one of its fibers, made once and pooled with the stack. The switch
   carries its default meaning (what happened before it happens before what follows): otherwise a
   fiber's own locals would look like races after it moved to another thread. */
#include "base/sanitize.h"

#include "base/compiler.h"

#include <pthread.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(start, end) 0u
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#endif

#if SKUA_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if SKUA_TSAN
void *__tsan_get_current_fiber(void);
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif

void skua__sanitize_thread(struct skua__sanitize *context)
{
#if SKUA_TSAN
    context->tsan_fiber = __tsan_get_current_fiber();
#endif
#if SKUA_ASAN
    pthread_attr_t attributes;
    void *bottom = NULL;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &bottom, &bytes);
        pthread_attr_destroy(&attributes);
    }
    context->stack_bottom = bottom;
    context->stack_bytes = bytes;
#endif
    (void)context;
}

void skua__sanitize_init(struct skua__sanitize *context, const void *bottom, size_t bytes)
{
    context->stack_bottom = bottom;
    context->stack_bytes = bytes;
    context->valgrind_id = VALGRIND_STACK_REGISTER(bottom, (const char *)bottom + bytes);
#if SKUA_TSAN
    context->tsan_fiber = __tsan_create_fiber(0);
#endif
#if SKUA_ASAN
    __lsan_register_root_region(bottom, bytes);
#endif
}

void skua__sanitize_fini(struct skua__sanitize *context)
{
    VALGRIND_STACK_DEREGISTER(context->valgrind_id);
#if SKUA_TSAN
    __tsan_destroy_fiber(context->tsan_fiber);
#endif
#if SKUA_ASAN
    __lsan_unregister_root_region(context->stack_bottom, context->stack_bytes);
    /* Frames that were left for good are still poisoned, and so would be what is mapped there. */
    __asan_unpoison_memory_region(context->stack_bottom, context->stack_bytes);
#endif
    (void)context;
}

#if SKUA_ASAN || SKUA_TSAN
SKUA_NO_SANITIZE_THREAD
void skua__sanitize_leave(struct skua__sanitize *from, const struct skua__sanitize *to)
{
#if SKUA_ASAN
    __sanitizer_start_switch_fiber(&from->asan_fake_stack, to->stack_bottom, to->stack_bytes);
#endif
#if SKUA_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    (void)from;
}

SKUA_NO_SANITIZE_THREAD
void skua__sanitize_arrive(struct skua__sanitize *self)
{
#if SKUA_ASAN
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(self->asan_fake_stack, &bottom, &bytes);
#endif
    (void)self;
}
#endif

void skua__sanitize_unpoison(const void *memory, size_t bytes)
{
#if SKUA_ASAN
    __asan_unpoison_memory_region(memory, bytes);
#endif
    (void)memory, (void)bytes;
}
