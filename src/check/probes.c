/* What was not asked for: arrays that the spec does not declare, and other values of options. */
#include <string.h>

#include "base/text.h"
#include "check/work.h"

enum { PROBE_STEPS = 4 };

/* Reset and some steps. With `lengths` what they write is looked at. */
static bool play_some(struct check_batch *batch, int64_t *lengths)
{
    if (!check_batch_reset(batch, 0, batch->envs)) return false;
    if (lengths) check_looks(batch, 0, batch->envs, false, lengths);
    while (batch->t < PROBE_STEPS) {
        check_batch_act(batch);
        check_batch_poison(batch, false);
        if (!check_batch_step(batch, 0, batch->envs)) return false;
        batch->t++;
        if (lengths) check_looks(batch, 0, batch->envs, true, lengths);
    }
    return true;
}

/* ---- arrays that it does not declare ------------------------------------------------------------------------------------------------ */

static void look_at_offered(struct check *check, const struct guarded *offered, const char *name, const char *size)
{
    size_t at = 0;
    while (at < offered->bytes && offered->data[at] == CHECK_POISON) at++;
    if (at < offered->bytes)
        check_warning(check, "%s is written, but the spec declares none (%s = 0), so nobody ever offers it: set %s, or leave it alone",
                      name, size, size);
}

/* Who writes an array only where it is not NULL never meets one that the spec forgets: here they are all there. */
void check_undeclared_stage(struct check *check)
{
    enum { OFFERED = 1 << 16 };
    struct check_batch batch;
    struct guarded state, info, of_agents;
    const struct check_batch_config config = check_batch_usual(check);
    if (!check_batch_open(check, &batch, &config)) return;
    guarded_take(check, &state, OFFERED, false, -1, "state, which the spec does not declare (state_size = 0),");
    guarded_take(check, &info, OFFERED, false, -1, "info, which the spec does not declare (infos = 0),");
    guarded_take(check, &of_agents, OFFERED, false, -1, "a group's state, which the spec does not declare (its state_size = 0),");
    if (!batch.io.state) batch.io.state = (float *)(void *)state.data;
    if (!batch.io.info) batch.io.info = (float *)(void *)info.data;
    for (int g = 0; g < check->spec->groups; g++)
        if (!batch.io.group[g].state) batch.io.group[g].state = (float *)(void *)of_agents.data;
    if (!play_some(&batch, NULL)) return;
    look_at_offered(check, &state, "state", "state_size");
    look_at_offered(check, &info, "info", "infos");
    look_at_offered(check, &of_agents, "state of a group", "state_size of its group");
    check_batch_close(&batch);
}

/* ---- options at the ends of their ranges --------------------------------------------------------------------------------------------- */

/* For the process of a stage, which begins with what is here. */
static struct {
    const struct mappo_option *option;
    int64_t value;
} tried;

static void play_end(struct check *check)
{
    struct check_shared *shared = check->shared;
    struct check_batch batch;
    int64_t lengths[CHECK_ENVS] = {0};
    const struct check_batch_config config = check_batch_usual(check);
    check->may_refuse = true;
    shared->after_is_advice = false;
    text_format(shared->after, sizeof shared->after, "with env.%s=%lld, which its range allows: ", tried.option->name,
                (long long)tried.value);
    if (check_batch_open(check, &batch, &config) && play_some(&batch, lengths)) check_batch_close(&batch);
}

void check_ends_of_options(struct check *check)
{
    enum { LARGE = 256 }; /* as many agents still fit anywhere; a larger number is seldom the size of an array */
    struct check_shared *shared = check->shared;
    for (int k = 0; k < options_count(check->env); k++) {
        const struct mappo_option *option = &check->env->option[k];
        const struct mappo_value given = check->value[k];
        for (int high = 0; high < 2 && option->type == MAPPO_OPTION_INT; high++) {
            const double end = high ? option->high : option->low;
            if (end < -LARGE || end > LARGE || (int64_t)end == given.i) continue;
            check->value[k] = (struct mappo_value){.i = (int64_t)end};
            tried.option = option;
            tried.value = (int64_t)end;
            shared->said[KIND_DAMAGE][0] = 0; /* a line for each */
            check_stage(check, "an end of an option", play_end);
        }
        check->value[k] = given;
    }
    shared->after[0] = '\0';
}
