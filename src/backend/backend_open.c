/* Which backends this build has. */
#include <string.h>

#include "backend/cpu.h"

#ifdef HAVE_CUDA
int cuda_backend_open(struct backend **backend, const struct backend_config *config, struct error *err); /* cuda/backend_cuda.cu */
#endif

static const struct {
    const char *name;
    int (*open)(struct backend **, const struct backend_config *, struct error *);
} backends[] = {
    {"cpu", cpu_backend_open},
#ifdef HAVE_CUDA
    {"cuda", cuda_backend_open},
#endif
};
enum { BACKENDS = sizeof backends / sizeof *backends };

bool backend_built(const char *name)
{
    for (int i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i].name, name) == 0) return true;
    return false;
}

int backend_open(struct backend **backend, const struct backend_config *config, struct error *err)
{
    *backend = NULL;
    for (int i = 0; i < BACKENDS; i++)
        if (strcmp(backends[i].name, config->name) == 0) return backends[i].open(backend, config, err);
    return error_set(err, EXIT_USAGE, "backend \"%s\" is not part of this build%s", config->name,
                     strcmp(config->name, "cuda") == 0 ? ": build it where nvcc is, with `make CUDA=1`, or use backend=cpu" : "");
}
