/* What becomes of the learner's actions: noise, sticky, choices into real numbers; and how often one is taken. */
#include "base/normal.h"
#include "base/philox.h"
#include "env/wrap_work.h"

/* Environments draw as agent 0 of their stream, policies as agents below 2^20; wrappers lie above. A step of theirs has a draw for each
 * agent (sticky) and one for each real number of its action. */
enum { DRAWS_OF_WRAPPERS = 1 << 23, DRAW_BITS = 24 };

static struct philox_draw draw(const struct wrap *w, int32_t e, uint32_t agent, uint32_t number)
{
    const struct wrap_block *block = wrap_at(w, e, 0);
    return philox_at(w->config.seed, w->config.stream, w->config.first_env + (uint32_t)e, DRAWS_OF_WRAPPERS + agent,
                     block->draws << DRAW_BITS | number);
}

static bool is_noisy(const struct wrap *w)
{
    return w->config.noise_action > 0 && w->config.stream == PHILOX_ENVIRONMENT; /* exploration: evaluations have none */
}

static void draw_noise(const struct wrap *w, int32_t e)
{
    for (int g = 0; g < w->to.groups; g++) {
        const struct wrap_group *group = &w->group[g];
        float *noise = wrap_at(w, e, group->noise);
        for (int32_t a = 0; a < group->to.agents; a++)
            for (int32_t k = 0; k < group->to.act_reals; k++)
                *noise++ = w->config.noise_action * (float)philox_normal(draw(w, e, group->first_agent + (uint32_t)a, 1 + (uint32_t)k));
    }
}

/* Whether masks allow an action of these spaces. */
static bool is_allowed(const struct mappo_group *group, const int32_t *ints, const uint8_t *mask)
{
    for (int h = 0; h < group->act_heads; h++) {
        const struct mappo_space *space = &group->act[h];
        for (int32_t i = 0; i < space->size && space->kind != MAPPO_BOX; i++, ints++) {
            const bool bit = space->kind == MAPPO_MULTI_BINARY;
            if (bit ? *ints && !*mask : !mask[*ints - (space->start ? space->start[i] : 0)]) return false;
            mask += bit ? 1 : space->n[i];
        }
    }
    return true;
}

/* ---- one agent -------------------------------------------------------------------------------------------- */

/* What agent a of group g does: into its place in the block. */
static void decide_action(const struct wrap *w, int32_t e, int g, int32_t a, const int32_t *ints, const float *reals)
{
    const struct wrap_group *group = &w->group[g];
    const size_t n_ints = (size_t)group->to.act_ints, n_reals = (size_t)group->to.act_reals, row = (size_t)a;
    int32_t *taken = (int32_t *)wrap_at(w, e, group->ints) + row * n_ints;
    float *taken_reals = (float *)wrap_at(w, e, group->reals) + row * n_reals;
    uint8_t *took = (uint8_t *)wrap_at(w, e, group->took) + a;
    const float *noise = (const float *)wrap_at(w, e, group->noise) + row * n_reals;
    if (w->config.sticky_action > 0 && *took &&
        philox_float(draw(w, e, group->first_agent + (uint32_t)a, 0).v[0]) < w->config.sticky_action &&
        is_allowed(&w->to.group[g], taken, (const uint8_t *)wrap_at(w, e, group->mask) + row * (size_t)group->to.logits))
        return;
    if (n_ints) memcpy(taken, ints, n_ints * sizeof *ints);
    for (size_t k = 0; k < n_reals; k++) taken_reals[k] = is_noisy(w) ? reals[k] + noise[k] : reals[k];
    *took = 1;
}

/* What was decided becomes the environment's action: ints [Ki], reals [Kr]. */
static void give_action(const struct wrap *w, int32_t e, int g, int32_t a, int32_t *ints, float *reals)
{
    const struct wrap_group *group = &w->group[g];
    const struct mappo_group *from = &w->from.group[g];
    const int32_t bins = w->config.discretise_action;
    const int32_t *taken = (const int32_t *)wrap_at(w, e, group->ints) + (size_t)a * (size_t)group->to.act_ints;
    const float *taken_reals = (const float *)wrap_at(w, e, group->reals) + (size_t)a * (size_t)group->to.act_reals;
    for (int h = 0; h < from->act_heads; h++) {
        const struct wrap_head *head = &group->head[h];
        const struct mappo_space *space = &from->act[h];
        for (int32_t i = 0; i < space->size; i++)
            if (head->cut)
                reals[head->from + i] = wrap_bin(space->low[i], space->high[i], taken[head->to + i], bins);
            else if (space->kind == MAPPO_BOX)
                reals[head->from + i] = taken_reals[head->to + i];
            else
                ints[head->from + i] = taken[head->to + i];
    }
}

/* An agent that does not act: its numbers are arbitrary. */
static void forget_action(const struct wrap *w, int32_t e, int g, int32_t a)
{
    const struct wrap_group *group = &w->group[g];
    const size_t ints = (size_t)group->to.act_ints, reals = (size_t)group->to.act_reals;
    memset((int32_t *)wrap_at(w, e, group->ints) + (size_t)a * ints, 0, ints * sizeof(int32_t));
    memset((float *)wrap_at(w, e, group->reals) + (size_t)a * reals, 0, reals * sizeof(float));
    ((uint8_t *)wrap_at(w, e, group->took))[a] = 0;
}

static void act(const struct wrap *w, int32_t e, int g, const struct mappo_group_io *given)
{
    const struct wrap_group *group = &w->group[g];
    const uint8_t *acts = wrap_at(w, e, group->acts);
    for (int32_t a = 0; a < group->to.agents; a++) {
        const size_t row = (size_t)e * (size_t)group->to.agents + (size_t)a;
        if (acts[a])
            decide_action(w, e, g, a, given->act_int ? given->act_int + row * (size_t)group->to.act_ints : NULL,
                          given->act_real ? given->act_real + row * (size_t)group->to.act_reals : NULL);
        else
            forget_action(w, e, g, a);
        if (w->acts)
            give_action(w, e, g, a, group->act_int + row * (size_t)group->from.act_ints,
                        group->act_real + row * (size_t)group->from.act_reals);
    }
}

void wrap_act(const struct wrap *w, int32_t lo, int32_t hi, const struct mappo_env_io *given)
{
    for (int32_t e = lo; e < hi && w->keeps; e++) {
        struct wrap_block *block = wrap_at(w, e, 0);
        if (is_noisy(w) && block->held == 0) draw_noise(w, e);
        for (int g = 0; g < w->to.groups; g++) act(w, e, g, &given->group[g]);
        block->draws++;
        if (is_noisy(w) && ++block->held >= w->config.noise_hold) block->held = 0;
    }
}

/* ---- repeating -------------------------------------------------------------------------------------------- */

int32_t wrap_repeat(const struct wrap *w)
{
    return w->config.action_repeat > 1 ? w->config.action_repeat : 1;
}

void wrap_begin_repeat(const struct wrap *w, int32_t e)
{
    for (int g = 0; g < w->from.groups; g++) {
        const size_t agents = (size_t)w->group[g].from.agents;
        memset(w->group[g].sum + (size_t)e * agents, 0, agents * sizeof(double));
        memset(w->group[g].gone + (size_t)e * agents, 0, agents);
    }
}

bool wrap_repeats(const struct wrap *w, int32_t e, const struct mappo_env_io *inner)
{
    bool again = !inner->ep_end[e];
    for (int g = 0; g < w->from.groups; g++) {
        const struct wrap_group *group = &w->group[g];
        const struct mappo_group_io *io = &inner->group[g];
        const uint32_t flags = w->from.group[g].flags;
        const uint8_t *acted = wrap_at(w, e, group->acts);
        for (int32_t a = 0; a < group->from.agents; a++) {
            const size_t row = (size_t)e * (size_t)group->from.agents + (size_t)a;
            if (!group->gone[row]) group->sum[row] += (double)io->reward[row]; /* nothing after its end is its own */
            group->gone[row] |= io->terminated[row] != 0;
            if (!again || ((flags & MAPPO_HAS_ACTIVE) && !io->active[row])) continue;
            again = acted[a] && !group->gone[row];
            if (again && (flags & MAPPO_HAS_MASK))
                again = is_allowed(&w->from.group[g], io->act_int + row * (size_t)group->from.act_ints,
                                   io->act_mask + row * (size_t)group->from.logits);
        }
    }
    return again;
}

/* ---- a scripted player ------------------------------------------------------------------------------------ */

void wrap_script_arrays(const struct wrap *w, int32_t *act_int[], float *act_real[])
{
    for (int g = 0; g < w->from.groups && w->cuts; g++) {
        act_int[g] = w->group[g].act_int;
        act_real[g] = w->group[g].act_real;
    }
}

static int32_t nearest_bin(float x, float low, float high, int32_t bins)
{
    const float at = high > low ? (x - low) / (high - low) * (float)(bins - 1) + 0.5f : 0;
    return at < 0 ? 0 : at >= (float)bins ? bins - 1 : (int32_t)at;
}

void wrap_script(const struct wrap *w, int32_t lo, int32_t hi, const struct mappo_env_io *given)
{
    for (int g = 0; g < w->from.groups && w->cuts; g++) {
        const struct wrap_group *group = &w->group[g];
        int32_t *act_int = (int32_t *)(uintptr_t)given->group[g].act_int;
        float *act_real = (float *)(uintptr_t)given->group[g].act_real;
        const size_t agents = act_int || act_real ? (size_t)group->from.agents : 0; /* else nobody asks for them */
        for (size_t row = (size_t)lo * agents; row < (size_t)hi * agents; row++)
            for (int h = 0; h < w->from.group[g].act_heads; h++) {
                const struct mappo_space *space = &w->from.group[g].act[h];
                const struct wrap_head *head = &group->head[h];
                const float *reals = group->act_real + row * (size_t)group->from.act_reals + head->from;
                const int32_t *ints = group->act_int + row * (size_t)group->from.act_ints + head->from;
                for (int32_t i = 0; i < space->size; i++)
                    if (head->cut)
                        act_int[row * (size_t)group->to.act_ints + (size_t)(head->to + i)] =
                            nearest_bin(reals[i], space->low[i], space->high[i], w->config.discretise_action);
                    else if (space->kind == MAPPO_BOX)
                        act_real[row * (size_t)group->to.act_reals + (size_t)(head->to + i)] = reals[i];
                    else
                        act_int[row * (size_t)group->to.act_ints + (size_t)(head->to + i)] = ints[i];
            }
    }
}
