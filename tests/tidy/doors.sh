# What only certain files may do, so that there is one place to look, to count and to inject faults.

# kind  names, as an extended regular expression  |  where, as shell patterns  |  use instead
# `call` wants a parenthesis behind the name, `word` does not. Comments and strings do not count.
doors='
call  mmap|munmap|mprotect|madvise|mremap  |  src/mem/* src/pool/ring*.c src/pool/arena*.c  |  mem/
word  (SYS|__NR)_futex  |  src/base/futex.c src/pool/sandbox.c  |  base/futex.h
word  malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign  |  src/base/mem.c  |  base/mem.h
word  strdup|strndup|asprintf|vasprintf  |  src/base/mem.c  |  base/mem.h
call  free  |  src/base/mem.c  |  base/mem.h
word  epoll_[a-z0-9_]+  |  src/io/poller*.c src/arch/calls.c  |  io/poller.h
word  io_uring_[a-z0-9_]+|(SYS|__NR)_io_uring_[a-z]+  |  src/io/ring_uring.c src/arch/calls.c  |  io/ring.h
call  fork|vfork|clone|__clone|clone3|posix_spawn|posix_spawnp|system|popen|daemon  |  src/pool/zygote.c src/process/parent.c  |  the process pool
word  (SYS|__NR)_(fork|vfork|clone|clone3)  |  src/pool/zygote.c src/process/parent.c  |  the process pool
word  _Thread_local|__thread|thread_local  |  src/sched/worker.c src/base/lock.c  |  skua__worker_self()
word  __(sanitizer|asan|tsan|lsan|msan)_[a-z0-9_]+|__SANITIZE_[A-Z]+|__has_feature  |  src/base/*  |  base/sanitize.h
word  VALGRIND_[A-Z0-9_]+  |  src/base/*  |  base/sanitize.h
word  __x86_64__|__aarch64__|asm|__asm|__asm__  |  src/arch/* src/base/atomic.h include/skua/fork.h  |  arch/
word  memory_order_[a-z_]+|atomic_[a-z_]+_explicit|__atomic_[a-z_]+|__sync_[a-z_]+  |  src/base/atomic.h include/skua/fork.h  |  base/atomic.h
call  atomic_(load|store|exchange|fetch_[a-z]+|compare_exchange_[a-z]+|thread_fence|signal_fence)  |  src/base/atomic.h  |  base/atomic.h
call  sched_yield|sleep|usleep|nanosleep|clock_nanosleep  |  src/base/*  |  base/clock.h
'

. "$(dirname "$0")/lib.sh"

code $(files src include/skua) | awk -F '\t' -v doors="$doors" '
BEGIN {
    count = split(doors, rows, "\n")
    for (i = 1; i <= count; i++) {
        if (rows[i] == "") continue
        row = rows[i]
        kind = substr(row, 1, 4)
        sub(/^[a-z]+ +/, "", row)
        parts = split(row, part, /  \|  /)
        if (parts != 3) { print "doors.sh: bad row: " rows[i]; continue }
        names[i] = part[1]
        # A member of that name (x->free, x.free) is something else.
        rule[i] = "(^|[^A-Za-z0-9_.>])(" part[1] ")" (kind == "call" ? "[ ]*\\(" : "([^A-Za-z0-9_]|$)")
        where[i] = part[2]
        instead[i] = part[3]
        pattern = part[2]
        gsub(/\./, "\\.", pattern)
        gsub(/\*/, ".*", pattern)
        gsub(/ /, "|", pattern)
        allowed[i] = "^(" pattern ")$"
    }
}
{
    for (i in rule) {
        if ($3 ~ rule[i] && $1 !~ allowed[i]) {
            print $1 ":" $2 ": " names[i] " only in " where[i] "; use " instead[i]
        }
    }
}' | report
