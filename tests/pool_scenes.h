/* tests/pool_scenes.h: this program again, as another one: what needs limits, another user or a
   fresh start of its own plays in a scene, which is a function of the suite. */
#ifndef SKUA_TESTS_POOL_SCENES_H
#define SKUA_TESTS_POOL_SCENES_H

#include "pool_help.h"

#include <spawn.h>

extern char **environ;

enum { SCENE_SKIPPED = 77 };

typedef struct scene {
    const char *name;
    int (*play)(int number); /* returns the exit code */
} scene;

/* Play it and check how it ends: with 0, or it is skipped (then false). */
static inline bool play_scene(const char *name, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    char *const argv[] = {(char *)"scene", (char *)(uintptr_t)name, text, NULL};
    pid_t pid;
    int result;
    CHECK_INT(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
    CHECK_INT(waitpid(pid, &result, 0), pid);
    if (WIFEXITED(result) && WEXITSTATUS(result) == SCENE_SKIPPED) {
        return false;
    }
    if (result != 0) {
        test_fail(__FILE__, __LINE__, "scene '%s' %d ended with wait status 0x%x", name, number,
                  (unsigned)result);
    }
    return true;
}

/* In main(): plays the scene that the arguments name. */
static inline int perform_scene(const scene scenes[], int argc, char **argv)
{
    for (const scene *at = scenes; at->name != NULL; at++) {
        if (argc > 2 && strcmp(at->name, argv[1]) == 0) {
            return at->play(atoi(argv[2]));
        }
    }
    return 99;
}

#endif
