/* Texts for result codes. */
#include <skua/base.h>
#include <stdio.h>
#include <string.h>

enum { ERRNO_MAX = 4095 };

const char *skua_error_text(int code)
{
    if (code >= 0) {
        return "success";
    }
    if (code >= -ERRNO_MAX) {
        const char *text = strerrordesc_np(-code);
        return text != NULL ? text : "unknown error";
    }
    return "application error";
}
