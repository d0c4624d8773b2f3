#include "render/cairo.h"

#include <dlfcn.h>
#include <string.h>

int cairo_open(const struct cairo **cairo, struct error *err)
{
    static struct cairo opened;
    *cairo = &opened;
    if (opened.create) return 0;
    void *library = dlopen("libcairo.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* what it does at exit must still be there */
    if (!library)
        return error_set(err, EXIT_USAGE, "cairo, which draws it, is not here: %s (apt: libcairo2, dnf: cairo, conda: cairo)", dlerror());
    void *function;
#define FUNCTION(result, name, arguments)                                                                                                  \
    function = dlsym(library, "cairo_" #name);                                                                                             \
    if (!function) return error_set(err, EXIT_USAGE, "libcairo.so.2 has no cairo_" #name ": %s", dlerror());                               \
    memcpy(&opened.name, &function, sizeof function);
    CAIRO_FUNCTIONS(FUNCTION)
#undef FUNCTION
    return 0;
}
