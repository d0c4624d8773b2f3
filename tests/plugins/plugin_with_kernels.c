/* Kernels that nobody calls: the host finds them by their symbol. */
#include "plugin_with_nonsense.c"

static int on_device(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io, void *stream)
{
    (void)device, (void)copies, (void)envs, (void)io, (void)stream;
    return 1;
}

static int step_on_device(const struct mappo_device *device, void *copies, int32_t envs, const struct mappo_env_io *io,
                          const struct account *account, void *stream)
{
    (void)account;
    return on_device(device, copies, envs, io, stream);
}

const struct mappo_kernels mappo_env_plugin_kernels = {
    .struct_size = sizeof(struct mappo_kernels), .reset = on_device, .observe = on_device, .step = step_on_device};
