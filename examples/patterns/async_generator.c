/* A generator that waits between its items, and cleans up at its end or when it is closed. */
#include <skua/skua.h>
#include <stdio.h>

static int numbers(skua_gen *self, void *arg)
{
    const int *count = arg;
    int status = 0;
    for (int number = 0; number < *count && status == 0; number++) {
        status = skua_sleep(skua_after(SKUA_MS(100)));
        if (status == 0) {
            status = skua_gen_yield(self, &number);
        }
    }
    puts("the generator cleans up");
    return status;
}

/* Prints the numbers up to `last`; the generator is closed on the way out. */
static int print_numbers(int count, int last)
{
    SKUA_GEN(generator);
    int status = skua_gen_open(&generator, numbers, &count, sizeof(int));
    if (status < 0) {
        return status;
    }
    int number = 0;
    while ((status = skua_gen_next(generator, &number, SKUA_FOREVER)) == 1) {
        printf("%d\n", number);
        if (number == last) {
            break;
        }
    }
    return status;
}

static int run(void *arg)
{
    int status = print_numbers(3, 1000);
    return status < 0 ? status : print_numbers(1000, 1);
}

int main(void)
{
    return skua_run(NULL, run, NULL) < 0;
}
