#include "env/wrap.h"

#include <math.h>

#include "base/digest.h"
#include "base/philox.h"
#include "base/text.h"
#include "env/wrap_work.h"

/* ---- opening ---------------------------------------------------------------------------------------------- */

static void decide(struct wrap *w)
{
    const struct vecenv_config *c = &w->config;
    w->stack = c->stack_obs > 1 ? c->stack_obs : 1;
    w->observes = (c->hide_obs && *c->hide_obs) || c->clip_obs > 0 || w->stack > 1 || c->last_action || c->agent_id || c->time_left;
    w->rewards = c->clip_reward > 0 || wrap_scale(c) != 1 || c->team_reward || c->action_repeat > 1;
    w->acts = c->sticky_action > 0 || c->noise_action > 0 || c->discretise_action;
    w->keeps = w->acts || c->last_action;
}

/* Room for `count` bytes in a block; each array begins at a multiple of 8. */
static size_t add_to_block(struct wrap *w, size_t count)
{
    const size_t at = w->bytes;
    w->bytes += (count + 7) / 8 * 8;
    return at;
}

static void lay_out_block(struct wrap *w)
{
    w->bytes = sizeof(struct wrap_block);
    for (int g = 0; g < w->to.groups; g++) {
        struct wrap_group *group = &w->group[g];
        const size_t agents = (size_t)group->to.agents, ints = agents * (size_t)group->to.act_ints,
                     reals = agents * (size_t)group->to.act_reals;
        if (w->stack > 1) group->frames = add_to_block(w, agents * (size_t)w->stack * (size_t)group->shown * sizeof(float));
        group->ints = add_to_block(w, w->keeps ? ints * sizeof(int32_t) : 0);
        group->reals = add_to_block(w, w->keeps ? reals * sizeof(float) : 0);
        group->noise = add_to_block(w, w->config.noise_action > 0 ? reals * sizeof(float) : 0);
        group->took = add_to_block(w, agents);
        group->acts = add_to_block(w, agents);
        if (w->config.sticky_action > 0) group->mask = add_to_block(w, agents * (size_t)group->to.logits);
    }
}

static void take_arrays(struct wrap *w, int g)
{
    struct wrap_group *group = &w->group[g];
    const uint32_t flags = w->from.group[g].flags;
    const size_t rows = (size_t)w->config.envs * (size_t)group->from.agents;
    bool cut = false;
    for (int h = 0; h < w->from.group[g].act_heads; h++) cut = cut || group->head[h].cut;
    group->masks = cut || ((flags & MAPPO_HAS_MASK) && (w->config.sticky_action > 0 || w->config.action_repeat > 1));
    if (w->observes) {
        group->obs = ARENA_NEW(w->arena, float, rows *(size_t)group->from.obs);
        group->final_obs = ARENA_NEW(w->arena, float, rows *(size_t)group->from.obs);
    }
    if (w->acts) group->act_int = ARENA_NEW(w->arena, int32_t, rows * (size_t)group->from.act_ints);
    if (w->acts) group->act_real = ARENA_NEW(w->arena, float, rows *(size_t)group->from.act_reals);
    if (w->rewards) group->reward = ARENA_NEW(w->arena, float, rows);
    if (flags & MAPPO_HAS_ACTIVE) group->active = ARENA_NEW(w->arena, uint8_t, rows);
    if (group->masks && (flags & MAPPO_HAS_MASK)) group->act_mask = ARENA_NEW(w->arena, uint8_t, rows * (size_t)group->from.logits);
    if (w->config.action_repeat <= 1) return;
    group->terminated = ARENA_NEW(w->arena, uint8_t, rows);
    group->gone = ARENA_NEW(w->arena, uint8_t, rows);
    group->sum = ARENA_NEW(w->arena, double, rows);
}

int wrap_open(struct wrap **wrap, const struct vecenv_config *config, const char *id, struct mappo_env_spec *spec, struct error *err)
{
    struct wrap probe = {.config = *config};
    *wrap = NULL;
    decide(&probe);
    if (!(probe.observes || probe.rewards || probe.acts)) return 0;
    struct arena *arena = arena_create("wrappers");
    struct wrap *w = *wrap = ARENA_NEW(arena, struct wrap, 1);
    *w = probe;
    w->arena = arena;
    w->id = id;
    w->from = w->to = *spec;
    const int code = wrap_describe(w, config->hide_obs, err);
    if (code) return code;
    w->config.name = w->config.hide_obs = NULL; /* need not live so long */
    w->config.option = NULL;
    for (int g = 0, agent = 0; g < w->to.groups; agent += w->group[g++].to.agents) {
        w->group[g].first_agent = (uint32_t)agent;
        take_arrays(w, g);
    }
    lay_out_block(w);
    w->blocks = arena_take(arena, "state of wrappers", (size_t)config->envs, w->bytes);
    *spec = w->to;
    return 0;
}

void wrap_close(struct wrap *w)
{
    if (w) arena_destroy(w->arena);
}

/* ---- identity --------------------------------------------------------------------------------------------- */

uint64_t wrap_hash(const struct vecenv_config *c)
{
    const struct {
        const char *name;
        double value, usual;
    } keys[] = {{"wrap.action_repeat", c->action_repeat, 1},
                {"wrap.clip_reward", (double)c->clip_reward, 0},
                {"wrap.scale_reward", (double)c->scale_reward, 1},
                {"wrap.team_reward", c->team_reward, TEAM_NONE},
                {"wrap.clip_obs", (double)c->clip_obs, 0},
                {"wrap.stack_obs", c->stack_obs, 1},
                {"wrap.last_action", c->last_action, 0},
                {"wrap.agent_id", c->agent_id, 0},
                {"wrap.time_left", c->time_left, 0},
                {"wrap.discretise_action", c->discretise_action, 0},
                {"wrap.sticky_action", (double)c->sticky_action, 0},
                {"wrap.noise_action", (double)c->noise_action, 0},
                {"wrap.noise_hold", c->noise_action > 0 ? c->noise_hold : 1, 1}};
    uint64_t sum = 0;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
        if (keys[k].value != 0 && keys[k].value != keys[k].usual)
            sum += hash_bytes(hash_text(HASH_START, keys[k].name), &keys[k].value, sizeof keys[k].value);
    if (c->hide_obs && *c->hide_obs) sum += hash_text(hash_text(HASH_START, "wrap.hide_obs"), c->hide_obs);
    return sum;
}

/* ---- arrays ----------------------------------------------------------------------------------------------- */

void wrap_io(const struct wrap *w, struct mappo_env_io *inner)
{
    for (int g = 0; g < w->from.groups; g++) {
        const struct wrap_group *own = &w->group[g];
        struct mappo_group_io *io = &inner->group[g];
        if (w->observes) io->obs = own->obs;
        if (w->observes) io->final_obs = own->final_obs;
        if (w->acts) io->act_int = own->act_int;
        if (w->acts) io->act_real = own->act_real;
        if (w->rewards) io->reward = own->reward;
        if (own->terminated) io->terminated = own->terminated;
        if (own->active && !io->active) io->active = own->active;
        if (own->masks) io->act_mask = own->act_mask;
    }
    if (w->observes && w->from.state_is_all_obs) inner->state = inner->final_state = NULL;
}

/* ---- snapshots -------------------------------------------------------------------------------------------- */

size_t wrap_bytes(const struct wrap *w)
{
    return w->bytes;
}

void wrap_snapshot(const struct wrap *w, int32_t e, void *bytes)
{
    memcpy(bytes, wrap_at(w, e, 0), w->bytes);
}

static bool are_finite(const unsigned char *bytes, size_t count)
{
    float x;
    for (size_t i = 0; i < count; i++) {
        memcpy(&x, bytes + i * sizeof x, sizeof x);
        if (!isfinite(x)) return false;
    }
    return true;
}

static bool are_bits(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] > 1) return false;
    return true;
}

static bool group_is_sound(const struct wrap *w, int g, const unsigned char *block)
{
    const struct wrap_group *group = &w->group[g];
    const size_t agents = (size_t)group->to.agents, reals = agents * (size_t)group->to.act_reals;
    bool sound = are_bits(block + group->took, agents) && are_bits(block + group->acts, agents);
    if (w->stack > 1) sound = sound && are_finite(block + group->frames, agents * (size_t)w->stack * (size_t)group->shown);
    if (w->keeps) sound = sound && are_finite(block + group->reals, reals);
    if (w->config.noise_action > 0) sound = sound && are_finite(block + group->noise, reals);
    if (w->config.sticky_action > 0) sound = sound && are_bits(block + group->mask, agents * (size_t)group->to.logits);
    for (size_t a = 0; a < agents && w->keeps; a++) {
        const unsigned char *from = block + group->ints + a * (size_t)group->to.act_ints * sizeof(int32_t);
        int32_t value;
        for (int h = 0; h < w->to.group[g].act_heads; h++) {
            const struct mappo_space *space = &w->to.group[g].act[h];
            for (int32_t i = 0; i < space->size && space->kind != MAPPO_BOX; i++, from += sizeof value) {
                memcpy(&value, from, sizeof value);
                const int64_t choice = (int64_t)value - (space->start ? space->start[i] : 0), n = space->n ? space->n[i] : 2;
                sound = sound && (!block[group->took + a] || (choice >= 0 && choice < n));
            }
        }
    }
    return sound;
}

bool wrap_sound(const struct wrap *w, const void *bytes)
{
    struct wrap_block head;
    memcpy(&head, bytes, sizeof head);
    bool sound = head.held >= 0 && head.held <= w->config.noise_hold && head.spare == 0;
    for (int g = 0; g < w->to.groups; g++) sound = sound && group_is_sound(w, g, bytes);
    return sound;
}

void wrap_restore(const struct wrap *w, int32_t e, const void *bytes)
{
    memcpy(wrap_at(w, e, 0), bytes, w->bytes);
}
