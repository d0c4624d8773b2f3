/* A descriptor with a required function missing. */
#include "env/mappo_env.h"

static int create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    (void)config, (void)error;
    *self = (void *)1;
    return 0;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct mappo_env_spec *spec(const void *self)
{
    (void)self;
    return 0;
}

static int reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    (void)self, (void)lo, (void)hi, (void)io, (void)error;
    return 0;
}

const uint32_t mappo_env_abi = MAPPO_ENV_ABI;
const struct mappo_env mappo_env_plugin = {
    .struct_size = sizeof(struct mappo_env), .id = "test/no_step", .create = create, .destroy = destroy, .spec = spec, .reset = reset};
