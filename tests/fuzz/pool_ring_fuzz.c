/* The driver of tests/stress/pool_ring_stress.c for libFuzzer:

     cmake -S . -B build/fuzz -DCMAKE_C_COMPILER=clang -DSKUA_SANITIZE=address -DSKUA_FUZZ=ON
     cmake --build build/fuzz --target pool_ring_fuzz && build/fuzz/tests/pool_ring_fuzz */
#include "../pool_ring_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz self;
    fuzz_ring(&self, data, size);
    return 0;
}
