# The checks check: a tree with one violation of each rule, where each must be found, and a clean
# tree, where nothing may be.

here=$(cd "$(dirname "$0")" && pwd)
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
cc=${CC:-cc}
failures=0
export GIT_CEILING_DIRECTORIES="$temp" # the tree is in no repository, wherever it lies

# clean: a new tree that keeps all rules.
clean() {
    rm -rf "$temp/tree" && mkdir -p "$temp/tree" && cd "$temp/tree" || exit 2
    mkdir -p src/base src/arch src/mem src/sched src/chan src/sync include/skua docs build
    cat >include/skua/base.h <<'END'
#include <stddef.h>
int skua_thing(int n);
END
    cat >src/sched/task.c <<'END'
#include "base/mem.h"
#include "sched/task.h"
#include <skua/base.h>
/* malloc(3) and mmap() are spoken of, not called; "fork()" too. */
int skua_thing(int n)
{
    const char *text = "free(x) /* not a comment";
    thing->free(text);
    skua__load(&word, relaxed);
    /* acquire: pairs with the release of word in skua__other(). */
    return skua__cas(&word, &expected,
                     n, acquire, relaxed);
}
END
    echo 'Call skua_thing() first.' >docs/guide.md
}

# expect CHECK TEXT: the check finds the violation in the tree and says TEXT.
expect() {
    if said=$(sh "$here/$1.sh" "$temp/tree" "$temp/tree/build" 2>&1); then
        echo "$1.sh did not see: $2"
        failures=$((failures + 1))
    elif ! printf '%s\n' "$said" | grep -qF -- "$2"; then
        echo "$1.sh was to say: $2"
        printf '%s\n' "$said" | sed 's/^/    /'
        failures=$((failures + 1))
    fi
}

# silent CHECK: the check finds nothing in the tree.
silent() {
    if ! said=$(sh "$here/$1.sh" "$temp/tree" "$temp/tree/build" 2>&1); then
        echo "$1.sh sees violations where there are none:"
        printf '%s\n' "$said" | sed 's/^/    /'
        failures=$((failures + 1))
    fi
}

# library [C [ASSEMBLY]]: make build/libskua.so and build/libskua.a.
library() {
    good_c='int skua_thing(int n) { return n; }'
    good_s='.section .note.GNU-stack,"",%progbits'
    printf '%s\n' "${1:-$good_c}" >build/a.c
    printf '%s\n' "${2:-$good_s}" >build/b.s
    rm -f build/libskua.a
    "$cc" -fPIC -c build/a.c -o build/a.o && "$cc" -c build/b.s -o build/b.o &&
        "$cc" -shared -o build/libskua.so build/a.o build/b.o 2>build/warnings &&
        ar rc build/libskua.a build/a.o build/b.o || exit 2
}

# lines N TEXT: TEXT, N times.
lines() {
    awk -v n="$1" -v text="$2" 'BEGIN { while (n-- > 0) print text }'
}

clean
library
for check in floors doors headers symbols functions comments docs words; do silent $check; done

# add FILE TEXT: append to a file of a clean tree.
add() {
    clean
    mkdir -p "$(dirname "$1")"
    printf '%s\n' "$2" >>"$1"
}

add src/base/a.c '#include "sched/task.h"';       expect floors 'floor 0 (base) includes "sched/task.h"'
add src/chan/a.c '#include "sync/mutex.h"';       expect floors 'chan and sync are on one floor'
add src/arch/a.c '#include "base/list.h"';        expect floors 'arch and base are on one floor'
add src/arch/a.c '#include "base/atomic.h"';      silent floors
add src/sched/a.c '#include "task.h"';            expect floors 'write "room/file.h"'
add src/sched/a.c '#include "skua/base.h"';       expect floors 'write "room/file.h"'
add src/mem/a.c '#include <skua/task.h>';         expect floors 'floor 1 (mem) includes <skua/task.h>'
add src/sched/a.c '#include <skua/skua.h>';       expect floors 'umbrella'
add src/sched/a.c '#include <skua/new.h>';        expect floors '<skua/new.h> has no room'
add src/cellar/a.c '#include <stdio.h>';          expect floors 'src/cellar has no floor'
add include/skua/a.h '#include <hwloc.h>';        expect floors 'public headers include'
add include/skua/a.h '#include "base/list.h"';    expect floors 'public headers include'

add src/chan/a.c 'x = mmap(0, n);';               expect doors 'src/chan/a.c:1: mmap'
add src/mem/a.c 'x = mmap(0, n);';                silent doors
add src/chan/a.c 'syscall(SYS_futex, w);';        expect doors 'SYS|__NR)_futex'
add src/chan/a.c 'x = malloc(3);';                expect doors 'src/base/mem.c'
add src/chan/a.c '/* a */ free(x); // b';         expect doors 'src/chan/a.c:1: free'
add src/chan/a.c 'epoll_wait(fd);';               expect doors 'epoll_'
add src/io/a.c 'io_uring_enter(fd);';             expect doors 'io_uring_'
add src/io/poller_epoll.c 'epoll_wait(fd);';      silent doors
add src/chan/a.c 'pid = fork();';                 expect doors 'src/pool/zygote.c'
add src/chan/a.c 'static _Thread_local int x;';   expect doors '_Thread_local'
add src/chan/a.c '__tsan_acquire(x);';            expect doors 'tsan'
add src/chan/a.c 'VALGRIND_STACK_REGISTER(a,b);'; expect doors 'VALGRIND_'
add src/chan/a.c '#ifdef __x86_64__';             expect doors '__x86_64__'
add src/chan/a.c '__asm__ volatile("nop");';      expect doors '__asm__'
add src/chan/a.c 'f(memory_order_acquire);';      expect doors 'memory_order_'
add src/chan/a.c 'usleep(3);';                    expect doors 'usleep'

add include/skua/a.h 'size_t skua_a(void);';      expect headers 'skua/a.h'
clean && lines 251 '' >>include/skua/base.h;      expect headers 'at most 250 lines'
if [ -n "${CXX-c++}" ]; then
    add include/skua/a.h 'int skua_a(int new);';  expect headers 'skua/a.h'
fi

clean && lines 801 '' >src/base/a.c;              expect functions 'at most 800'
clean && { echo 'int f(void)'; echo '{'; lines 70 '    g();'; echo '}'; } >src/base/a.c
expect functions 'src/base/a.c:1: a function of 73 lines'
clean && { echo 'int t[] = {'; lines 90 '    1,'; echo '};'; } >src/base/a.c
silent functions
add src/base/a.c "/* $(lines 1 "$(lines 60 'ab' | tr -d '\n')") */"; expect functions '100 columns'
add src/base/a.c '/* TO''DO later */';            expect functions 'a marker'
add src/base/a.c 'f("skuaXXX''XXX");';            silent functions

add src/chan/a.c 'skua__store(&a, 1, release);';  expect comments 'src/chan/a.c:1: skua__store('
clean && { echo 'skua__cas(&a, &b,'; echo '  c(1), acq_rel, relaxed);'; } >src/chan/a.c
expect comments 'src/chan/a.c:1: skua__cas('
clean && { echo '/* pairs with b */'; lines 6 ';'; echo 'skua__fence(seq_cst);'; } >src/chan/a.c
expect comments 'src/chan/a.c:8: skua__fence('
clean && { echo '/* orders a before b */'; lines 5 ';'; echo 'skua__fence(seq_cst);'; } >src/chan/a.c
silent comments
add src/chan/a.c 'x = skua__load(&a->release, relaxed);'; silent comments

add include/skua/a.h 'int skua_new(void);';       expect docs 'skua_new is named nowhere'
add include/skua/a.h '#define SKUA_A skua_new()'; silent docs
mkdir -p docs/guide && add docs/guide/a.md "Call \`skua_gone()\`."; expect docs "skua_gone is in no header"

add docs/a.md "See /wo""rk/main.";                expect words 'docs/a.md:1'
add docs/a.md "from cra""tes.io";                 expect words 'docs/a.md:1'

clean
library 'int skua_thing(int n) { return n; } int thing;'; expect symbols 'exports thing'
library 'int skua_thing(int n) { return n; } int skua__x;'; expect symbols 'exports skua__x'
library 'int f(void); int skua_thing(int n) { return f(); }'; expect symbols 'asks for f,'
library 'int skua_other;';                        expect symbols 'declares skua_thing'
library '' '.text';                               expect symbols 'no .note.GNU-stack'
library '' '.section .note.GNU-stack,"x",%progbits'; expect symbols 'executable'

# second CODE: the same as the library of TLS.
second() { library "$1" && cp build/libskua.so build/libskua-tls.so; }
second 'int skua_tls_thing(void) { return 0; }';  silent tls
second 'int skua_tls_thing(void) { return 0; } int thing;'; expect tls 'thing: libskua-tls.so exports it'
second 'int skua__x(void); int skua_tls_thing(void) { return skua__x(); }'; expect tls 'asks for skua__x'

[ "$failures" -eq 0 ] || exit 1
