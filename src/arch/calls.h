/* arch/calls.h: system calls by number: what a filter of them has to know. */
#ifndef SKUA_ARCH_CALLS_H
#define SKUA_ARCH_CALLS_H

#include <linux/audit.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define SKUA__AUDIT_ARCH AUDIT_ARCH_X86_64
/* A bit in the numbers of another convention, which leads to the same calls. */
#define SKUA__CALL_FOREIGN_BIT UINT32_C(0x40000000)
/* The older forms of harmless calls. */
#define SKUA__CALLS_OLD SYS_poll, SYS_time, SYS_dup2, SYS_pause,
#else
#define SKUA__AUDIT_ARCH AUDIT_ARCH_AARCH64
#define SKUA__CALL_FOREIGN_BIT UINT32_C(0)
#define SKUA__CALLS_OLD
#endif

/* The name of a system call, or NULL. */
const char *skua__syscall_name(uint32_t number);

#endif
