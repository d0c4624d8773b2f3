/* --dry-run: a start without the machines that it is for, and without its memory. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/text.h"
#include "comm/openmp.h"
#include "run/saved_run.h"
#include "run/trainer_work.h"

/* What the machine that will train may have, and this one has not, is no reason to refuse: runs are often checked where they are not made. */
static void warn_of_this_machine(struct trainer *t, size_t need)
{
    const size_t all = need * (size_t)t->comm->local_size, left = memory_free();
    struct error missing = {0};
    char wanted[32], has[32];
    if (trainer_choose_level(t, &missing) && t->comm->rank == 0) warn("a start on this machine would be refused: %s", missing.text);
    if (all <= left || t->comm->rank) return;
    text_bytes(wanted, sizeof wanted, (double)all);
    text_bytes(has, sizeof has, (double)left);
    warn("not enough memory on this machine: the run needs %s (%zu bytes), of which %s (%zu bytes) are free here%s%s", wanted, all, has,
         left, t->learning.note[0] ? "; " : "", t->learning.note);
}

/* One environment and the networks, where the first of them may not fit the settings. */
static int open_alone(struct trainer *t, bool continued, struct error *err)
{
    struct learning *l = &t->learning;
    struct config *c = t->config;
    l->for_device = c->backend_name == BACKEND_CUDA || learning_devices(c) > 0;
    c->backend_name = BACKEND_CPU;
    t->comm->shards = c->comm_reproducible ? (int)c->comm_shards : 0;
    int code = trainer_check_ranks(c, t->comm, err);
    if (!code) code = learning_backend(l, c, t->comm, 1, cpu_level_detect(), err);
    if (!code) code = learning_open_alone(l, c, err);
    if (!code) c->norm_obs = policies_norm_obs(c, vecenv_spec(l->env));
    code = comm_vote(t->comm, code, err);
    return code || continued ? code : trainer_take_first_networks(t, err);
}

/* Rank 0: where the run stands that would go on. */
static int read_standing(struct trainer *t, const struct checkpoint *file, enum start *start, struct error *err)
{
    struct field_list fields = {0};
    field_add(&fields, "/metrics/episodes", FIELD_INT64, &t->standing.episodes, "episodes", "that have ended", 0);
    field_add(&fields, "/counters/env_steps", FIELD_INT64, &t->standing.env_steps, "environment steps", "where the run stands", 0);
    field_add(&fields, "/counters/best_return", FIELD_DOUBLE, &t->standing.best_return, "reward", "and how good it was", 0);
    field_add(&fields, "/environments/hash", FIELD_UINT64, &t->env_hash, "1", "whose run it is", 0);
    int code = checkpoint_read(file, &fields, err);
    if (!code) code = trainer_check_identity(t, file, err);
    free(fields.field);
    *start = trainer_finished(t) && !trainer_evaluation_due(file) ? START_FINISHED : START_CONTINUED;
    return code ? code : trainer_check_replay(t, *start, err);
}

int trainer_rehearse(struct trainer *t, const struct checkpoint *file, bool continued, enum start *start, struct error *err)
{
    size_t need = 0;
    int code = open_alone(t, continued, err);
    if (!code && t->comm->rank == 0 && file) code = read_standing(t, file, start, err);
    code = comm_vote(t->comm, code, err);
    comm_broadcast(t->comm, start, sizeof *start);
    if (!code) code = comm_vote(t->comm, learning_plan(&t->learning, t->config, t->comm, &need, err), err);
    if (code) return code;
    if (*start != START_FINISHED) learning_warn(&t->learning, t->config, t->comm);
    t->planned = t->learning.for_device ? 0 : need;
    if (*start != START_FINISHED) warn_of_this_machine(t, t->planned);
    return 0;
}
