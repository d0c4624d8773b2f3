#include "run/learning.h"

#include <string.h>

#include "algo/rollout.h"
#include "base/philox.h"
#include "base/text.h"
#include "run/open_env.h"

enum { BACKEND_AUTO, BACKEND_CPU, BACKEND_CUDA }; /* backend.name */

/* ---- backend ------------------------------------------------------------------------------------------------------------------------- */

static struct backend_config backend_config(const struct config *config, const struct comm *comm, int threads, int level)
{
    return (struct backend_config){.name = "cpu",
                                   .threads = threads,
                                   .level = level,
                                   .device = (int)config->cuda_device,
                                   .local_rank = comm->local_rank,
                                   .precision = config->cuda_precision,
                                   .graphs = config->cuda_graphs};
}

int learning_backend(struct learning *learning, const struct config *config, struct comm *comm, int threads, int level, struct error *err)
{
    struct backend_config wanted = backend_config(config, comm, threads, level);
    if (config->backend_name == BACKEND_CPU || (config->backend_name == BACKEND_AUTO && !backend_built("cuda")))
        return comm_vote(comm, backend_open(&learning->backend, &wanted, err), err);
    struct error failed = {0};
    wanted.name = "cuda";
    const int code = comm_vote(comm, backend_open(&learning->backend, &wanted, &failed), &failed);
    if (!code) return 0;
    if (learning->backend) learning->backend->close(learning->backend);
    learning->backend = NULL;
    if (config->backend_name == BACKEND_CUDA) return error_set(err, failed.code, "%s", failed.text);
    text_format(learning->why_cpu, sizeof learning->why_cpu, "%.500s", failed.text);
    wanted.name = "cpu";
    return comm_vote(comm, backend_open(&learning->backend, &wanted, err), err);
}

/* ---- environments and algorithm ------------------------------------------------------------------------------------------------------ */

/* Where they step: beside the CPU backend directly; on the device where they can; else on the host, with copies. */
static int place_environments(struct learning *l, const struct config *config)
{
    char why[192] = "cuda.environments=false";
    if (l->backend->host_memory) return ROLLOUT_DIRECT;
    if (config->cuda_environments && vecenv_attach(l->env, l->backend->environments, l->backend, why, sizeof why)) {
        text_format(l->where, sizeof l->where, "environments step on the device");
        return ROLLOUT_DEVICE;
    }
    text_format(l->where, sizeof l->where, "environments step on the host: %s", why);
    return ROLLOUT_STAGED;
}

static struct algorithm_context context_of(const struct learning *l, const struct config *config, struct comm *comm)
{
    return (struct algorithm_context){.config = config,
                                      .env = l->env,
                                      .backend = l->backend,
                                      .comm = comm,
                                      .first_env = (uint32_t)l->envs.first,
                                      .envs = l->envs.count,
                                      .local_shards = comm->shards ? comm->shards / comm->size : 1};
}

int learning_open(struct learning *l, const struct config *config, struct comm *comm, struct error *err)
{
    l->envs = comm_share((int)config->rollout_envs, comm->rank, comm->size);
    const struct env_batch batch = {.envs = l->envs,
                                    .seed = (uint64_t)config->train_seed,
                                    .stream = PHILOX_ENVIRONMENT,
                                    .threads = l->backend->threads,
                                    .horizon = config->rollout_steps};
    const int code = open_env(&l->env, config, &batch, err);
    if (code) return code;
    struct algorithm_context context = context_of(l, config, comm);
    context.where = place_environments(l, config);
    return algorithm_create(&l->algorithm, &context, err);
}

int learning_open_alone(struct learning *l, const struct config *config, struct comm *comm, struct error *err)
{
    const int code = open_env_alone(&l->env, config, err);
    if (code) return code;
    l->envs = (struct share){0, 1};
    struct algorithm_context context = context_of(l, config, comm);
    context.local_shards = 1;
    context.where = l->backend->host_memory ? ROLLOUT_DIRECT : ROLLOUT_STAGED;
    return algorithm_create(&l->algorithm, &context, err);
}

void learning_close(struct learning *l)
{
    if (l->algorithm) l->algorithm->ops->destroy(l->algorithm);
    vecenv_close(l->env);
    if (l->backend) l->backend->close(l->backend);
    *l = (struct learning){0};
}
