/* The sizes of the public structs: part of the binary interface, and of every stack they live on.
   */
#define _GNU_SOURCE
#include "on_skua.h"

#define SIZE_OF(type) #type, sizeof(type)

static const struct {
    const char *type;
    size_t bytes;
} sizes[] = {
    {SIZE_OF(skua_time)},   {SIZE_OF(skua_error)}, {SIZE_OF(skua_spawn_opts)},
    {SIZE_OF(skua_config)}, {SIZE_OF(skua_scope)},
};

int main(void)
{
    for (size_t i = 0; i < BENCH_COUNT(sizes); i++) {
        char row[64];
        double bytes = (double)sizes[i].bytes;
        snprintf(row, sizeof(row), "sizeof-%s", sizes[i].type);
        bench_print(row, "Skua", 1, "bytes", &bytes, 1);
    }
    return 0;
}
