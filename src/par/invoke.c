/* Several functions at once: a tree of forks over the array. */
#include <skua/par.h>

struct parts {
    skua_part *parts;
    size_t count; /* > 0 */
};

static int run(void *arg)
{
    struct parts all = *(struct parts *)arg;
    if (all.count == 1) {
        all.parts->status = all.parts->fn(all.parts->arg);
        return 0;
    }
    size_t half = all.count / 2;
    struct parts left = {all.parts, half};
    struct parts right = {all.parts + half, all.count - half};
    return skua_both(run, &right, run, &left);
}

int skua_invoke(skua_part parts[], size_t count)
{
    struct parts all = {parts, count};
    int status = count > 0 ? run(&all) : 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        status = parts[i].status < 0 ? parts[i].status : 0;
    }
    return status;
}
