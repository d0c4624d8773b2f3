/* What the learner gets of a step: rewards, observations with what stands behind them, masks. */
#include <math.h>

#include "env/wrap_work.h"

/* ---- observations ----------------------------------------------------------------------------------------- */

static float seen(const struct wrap *w, float x)
{
    const float most = w->config.clip_obs;
    return most > 0 && x < -most ? -most : most > 0 && x > most ? most : x; /* fminf is a call */
}

/* The environment's observations [A][from.obs] become the newest of the stacks; where an episode begins, all of them. */
static void push(const struct wrap *w, int32_t e, int g, const float *own, bool begins)
{
    const struct wrap_group *group = &w->group[g];
    const size_t shown = (size_t)group->shown, older = (size_t)(w->stack - 1) * shown;
    float *frames = wrap_at(w, e, group->frames);
    if (w->stack == 1) return;
    for (int32_t a = 0; a < group->to.agents; a++, own += group->from.obs, frames += older + shown) {
        memmove(frames, frames + shown, older * sizeof *frames);
        for (size_t i = 0; i < shown; i++) frames[older + i] = seen(w, own[group->number[i]]);
        for (size_t i = 0; i < older && begins; i++) frames[i] = frames[older + i % shown];
    }
}

/* One-hots, bits, and real numbers within their bounds; zeros where the agent did nothing. */
static float *write_action(const struct wrap *w, int32_t e, int g, int32_t a, float *to)
{
    const struct wrap_group *group = &w->group[g];
    const int32_t *ints = (const int32_t *)wrap_at(w, e, group->ints) + (size_t)a * (size_t)group->to.act_ints;
    const float *reals = (const float *)wrap_at(w, e, group->reals) + (size_t)a * (size_t)group->to.act_reals;
    memset(to, 0, (size_t)group->last * sizeof *to);
    if (!((const uint8_t *)wrap_at(w, e, group->took))[a]) return to + group->last;
    for (int h = 0; h < w->to.group[g].act_heads; h++) {
        const struct mappo_space *space = &w->to.group[g].act[h];
        for (int32_t i = 0; i < space->size; i++) {
            const float low = space->low ? space->low[i] : -INFINITY, high = space->high ? space->high[i] : INFINITY;
            const int32_t n = space->n ? space->n[i] : 1;
            if (space->kind == MAPPO_BOX) {
                const float x = *reals++;
                *to = x < low ? low : x > high ? high : x;
            } else if (space->kind == MAPPO_MULTI_BINARY) {
                *to = (float)*ints++;
            } else {
                to[*ints++ - (space->start ? space->start[i] : 0)] = 1;
            }
            to += n;
        }
    }
    return to;
}

/* What the agents see: to [A][to.obs], which may be NULL. left: of the episode, in parts. */
static void show(const struct wrap *w, int32_t e, int g, const float *own, float left, float *to)
{
    const struct wrap_group *group = &w->group[g];
    const size_t stacked = (size_t)w->stack * (size_t)group->shown;
    const float *frames = wrap_at(w, e, group->frames);
    for (int32_t a = 0; a < group->to.agents && to; a++, own += group->from.obs, frames += stacked) {
        for (size_t i = 0; i < stacked; i++) to[i] = w->stack > 1 ? frames[i] : seen(w, own[group->number[i]]);
        to += stacked;
        if (group->last) to = write_action(w, e, g, a, to);
        for (int32_t i = 0; i < group->ids; i++) *to++ = (float)(i == a);
        if (w->config.time_left) *to++ = left;
    }
}

enum when { NOW, LAST }; /* the present observation, or an ended episode's last one */

static void show_all(const struct wrap *w, int32_t e, enum when when, const struct mappo_env_io *given, int64_t steps)
{
    const float left = w->from.max_steps ? 1 - (float)steps / (float)w->from.max_steps : 1;
    float *state = when == LAST ? given->final_state : given->state;
    if (state) state += (size_t)e * (size_t)w->to.state_size;
    for (int g = 0; g < w->to.groups; g++) {
        const struct wrap_group *group = &w->group[g];
        const size_t own = (size_t)e * (size_t)group->from.agents * (size_t)group->from.obs,
                     all = (size_t)group->to.agents * (size_t)group->to.obs;
        const float *from = (when == LAST ? group->final_obs : group->obs) + own;
        float *to = when == LAST ? given->group[g].final_obs : given->group[g].obs;
        show(w, e, g, from, left, to ? to + (size_t)e * all : NULL);
        if (!state || !w->to.state_is_all_obs) continue;
        show(w, e, g, from, left, state);
        state += all;
    }
}

static void push_all(const struct wrap *w, int32_t e, enum when when, bool begins)
{
    for (int g = 0; g < w->to.groups; g++) {
        const struct wrap_group *group = &w->group[g];
        const size_t own = (size_t)e * (size_t)group->from.agents * (size_t)group->from.obs;
        push(w, e, g, (when == LAST ? group->final_obs : group->obs) + own, begins);
    }
}

/* ---- rewards ---------------------------------------------------------------------------------------------- */

static double reward_of(const struct wrap *w, const struct wrap_group *group, const struct mappo_group_io *inner, size_t row)
{
    const double most = (double)w->config.clip_reward, scale = (double)wrap_scale(&w->config);
    const double reward = group->sum ? group->sum[row] : (double)inner->reward[row];
    return scale * (most > 0 ? fmin(fmax(reward, -most), most) : reward);
}

/* Of all agents of a team, in the order of groups and agents. */
static double team_reward(const struct wrap *w, int32_t e, int32_t team, const struct mappo_env_io *inner)
{
    double sum = 0, agents = 0;
    for (int g = 0; g < w->from.groups; g++) {
        const size_t count = (size_t)w->group[g].from.agents;
        if (w->from.group[g].team != team) continue;
        agents += (double)count;
        for (size_t a = 0; a < count; a++) sum += reward_of(w, &w->group[g], &inner->group[g], (size_t)e * count + a);
    }
    return w->config.team_reward == TEAM_SUM ? sum : sum / agents;
}

static void give_rewards(const struct wrap *w, int32_t e, const struct mappo_env_io *given, const struct mappo_env_io *inner)
{
    for (int g = 0; g < w->from.groups; g++) {
        const struct wrap_group *group = &w->group[g];
        const size_t agents = (size_t)group->from.agents, first = (size_t)e * agents;
        float *to = given->group[g].reward;
        const double team = to && w->config.team_reward ? team_reward(w, e, w->from.group[g].team, inner) : 0;
        for (size_t a = 0; a < agents && to; a++)
            to[first + a] = (float)(w->config.team_reward ? team : reward_of(w, group, &inner->group[g], first + a));
        if (group->gone && given->group[g].terminated) memcpy(given->group[g].terminated + first, group->gone + first, agents);
    }
}

/* ---- who acts, and how ------------------------------------------------------------------------------------ */

/* The environment's masks [from.logits] of an agent as the learner's. */
static void give_mask(const struct wrap *w, int g, const uint8_t *from, uint8_t *to)
{
    for (int h = 0; h < w->to.group[g].act_heads; h++) {
        const struct mappo_space *space = &w->to.group[g].act[h];
        const struct wrap_head *head = &w->group[g].head[h];
        const size_t width = space->kind == MAPPO_BOX ? 0 : (size_t)slice_space_width(space);
        if (head->cut || !from)
            memset(to + head->to_mask, 1, width);
        else
            memcpy(to + head->to_mask, from + head->from_mask, width);
    }
}

static void give_choices(const struct wrap *w, int32_t e, const struct mappo_env_io *given, const struct mappo_env_io *inner)
{
    for (int g = 0; g < w->from.groups; g++) {
        const struct wrap_group *group = &w->group[g];
        const size_t agents = (size_t)group->to.agents, logits = (size_t)group->to.logits, first = (size_t)e * agents;
        const uint8_t *active = group->active ? inner->group[g].active + first : NULL, *from = group->act_mask;
        uint8_t *acts = wrap_at(w, e, group->acts), *mask = w->config.sticky_action > 0 ? wrap_at(w, e, group->mask) : NULL;
        uint8_t *to = group->masks ? given->group[g].act_mask : NULL;
        for (size_t a = 0; a < agents; a++) {
            const uint8_t *row = from ? from + (first + a) * (size_t)group->from.logits : NULL;
            acts[a] = active ? active[a] != 0 : 1;
            if (mask) give_mask(w, g, row, mask + a * logits);
            if (to) give_mask(w, g, row, to + (first + a) * logits);
        }
    }
}

/* ---- all of it -------------------------------------------------------------------------------------------- */

static void begin_episode(const struct wrap *w, int32_t e)
{
    struct wrap_block *block = wrap_at(w, e, 0);
    block->held = 0;
    for (int g = 0; g < w->to.groups; g++) {
        const struct group_sizes *to = &w->group[g].to;
        const size_t agents = (size_t)to->agents;
        memset(wrap_at(w, e, w->group[g].took), 0, agents);
        if (w->keeps) memset(wrap_at(w, e, w->group[g].ints), 0, agents * (size_t)to->act_ints * sizeof(int32_t));
        if (w->keeps) memset(wrap_at(w, e, w->group[g].reals), 0, agents * (size_t)to->act_reals * sizeof(float));
    }
    if (w->observes) push_all(w, e, NOW, true);
}

void wrap_step(const struct wrap *w, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
               const struct wrapper_lane *lane, const struct episode *last)
{
    for (int32_t e = lo; e < hi; e++) {
        if (w->rewards) give_rewards(w, e, given, inner);
        if (inner->ep_end[e]) {
            if (w->observes) push_all(w, e, LAST, false);
            if (w->observes) show_all(w, e, LAST, given, last[e].length);
            begin_episode(w, e);
        } else if (w->observes) {
            push_all(w, e, NOW, false);
        }
        give_choices(w, e, given, inner);
        if (w->observes) show_all(w, e, NOW, given, lane[e].steps);
    }
}

void wrap_reset(const struct wrap *w, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner)
{
    for (int32_t e = lo; e < hi; e++) {
        begin_episode(w, e);
        give_choices(w, e, given, inner);
        if (w->observes) show_all(w, e, NOW, given, 0);
    }
}

void wrap_show(const struct wrap *w, int32_t lo, int32_t hi, const struct mappo_env_io *given, const struct mappo_env_io *inner,
               const struct wrapper_lane *lane)
{
    for (int32_t e = lo; e < hi; e++) {
        give_choices(w, e, given, inner);
        if (w->observes) show_all(w, e, NOW, given, lane[e].steps);
    }
}
