/* The completion queue of a build without liburing: there is none, and files go through the
   blocking pool. completion.h has the contract; nothing but open is ever called. */
#include "io/completion.h"

#include "base/panic.h"

int skua__completions_open(struct skua__completions **out)
{
    (void)out;
    return -ENOSYS;
}

void skua__completions_close(struct skua__completions *completions)
{
    (void)completions;
}

int skua__completions_fd(const struct skua__completions *completions)
{
    (void)completions;
    return -1;
}

bool skua__completions_knows(const struct skua__completions *completions, enum skua__file_code code)
{
    (void)completions, (void)code;
    return false;
}

int skua__completions_submit(struct skua__completions *completions, const struct skua__file_op *op,
                             uint64_t key)
{
    (void)completions, (void)op, (void)key;
    return -EBUSY;
}

void skua__completions_cancel(struct skua__completions *completions, uint64_t key)
{
    (void)completions, (void)key;
}

size_t skua__completions_take(struct skua__completions *completions, struct skua__completion *out,
                              size_t max)
{
    (void)completions, (void)out, (void)max;
    return 0;
}
