/* The kernels that belong to environments. The Makefile says (HAVE_CUDA) whether those that are built in are part of the program. */
#include "env/plugin.h"
#include "env/registry.h"

#ifdef HAVE_CUDA
#define HOST_ONLY(symbol)
#define WITH_KERNELS(symbol)      extern const struct mappo_kernels symbol##_kernels;
#define ENV(suite, name, kernels) kernels(suite##_##name)
#include "envs/envs.def"
#undef HOST_ONLY
#undef WITH_KERNELS
#define HOST_ONLY(symbol)    NULL
#define WITH_KERNELS(symbol) &symbol##_kernels
#else
#define HOST_ONLY(symbol)    NULL
#define WITH_KERNELS(symbol) NULL
#endif

const struct mappo_kernels *registry_kernels(const struct mappo_env *env)
{
    static const struct mappo_kernels *const kernels[] = {
#define ENV(suite, name, where) where(suite##_##name),
#include "envs/envs.def"
    };
    for (int i = 0; registry_at(i); i++)
        if (registry_at(i) == env) return kernels[i];
    return plugin_kernels(env);
}
