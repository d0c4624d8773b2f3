/* What an environment says of itself is checked before it is used. */
#include "env/spec.h"

#include "base/digest.h"
#include "env/lane.h"
#include "env/vecenv.h"

struct group_sizes group_sizes(const struct mappo_group *group)
{
    struct group_sizes sizes = {.agents = group->agents};
    for (int h = 0; h < group->obs_heads; h++) sizes.obs += lane_space_width(&group->obs[h]);
    for (int h = 0; h < group->act_heads; h++) {
        const struct mappo_space *space = &group->act[h];
        if (space->kind == MAPPO_BOX) {
            sizes.act_reals += space->size;
        } else {
            sizes.act_ints += space->size;
            sizes.logits += lane_space_width(space);
        }
    }
    return sizes;
}

/* ---- checking ----------------------------------------------------------------------------------------------------- */

static const char *space_fault(const struct mappo_space *space)
{
    if (space->kind < MAPPO_BOX || space->kind > MAPPO_MULTI_BINARY) return "has an unknown kind";
    if (space->size < 1) return "has size 0";
    if (space->kind == MAPPO_DISCRETE && space->size != 1) return "is Discrete, so its size must be 1";
    if (space->kind != MAPPO_DISCRETE && space->kind != MAPPO_MULTI_DISCRETE) return NULL;
    if (!space->n) return "has no n";
    for (int i = 0; i < space->size; i++)
        if (space->n[i] < 1) return "has n < 1";
    return NULL;
}

static int check_group(const struct mappo_env *env, const struct mappo_group *group, struct error *err)
{
    const char *name = group->name ? group->name : "?";
    if (!group->name || group->agents < 1)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\" needs a name and at least one agent", env->id, name);
    if (group->obs_heads < 1 || group->obs_heads > MAPPO_MAX_HEADS || group->act_heads < 1 || group->act_heads > MAPPO_MAX_HEADS)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\" has %d observation and %d action heads; 1..%d each",
                         env->id, name, group->obs_heads, group->act_heads, MAPPO_MAX_HEADS);
    for (int h = 0; h < group->obs_heads + group->act_heads; h++) {
        const bool is_obs = h < group->obs_heads;
        const char *fault = space_fault(is_obs ? &group->obs[h] : &group->act[h - group->obs_heads]);
        if (fault)
            return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\", %s head %d %s", env->id, name,
                             is_obs ? "observation" : "action", is_obs ? h : h - group->obs_heads, fault);
    }
    if (((group->flags & MAPPO_STATE_PER_AGENT) != 0) != (group->state_size > 0))
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\": state_size goes with MAPPO_STATE_PER_AGENT", env->id,
                         name);
    return 0;
}

int spec_check(const struct mappo_env *env, const struct mappo_env_spec *spec, struct error *err)
{
    if (!spec || spec->struct_size < sizeof *spec || spec->groups < 1 || spec->groups > MAPPO_MAX_GROUPS || spec->state_size < 0 ||
        spec->infos < 0)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": its spec is not one of ABI %u with 1..%d groups", env->id,
                         MAPPO_ENV_ABI, MAPPO_MAX_GROUPS);
    for (int g = 0; g < spec->groups; g++) {
        const int rc = check_group(env, &spec->group[g], err);
        if (rc) return rc;
    }
    if (spec->snapshot_bytes && !(env->snapshot && env->restore && env->observe))
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": snapshot_bytes without snapshot, restore and observe", env->id);
    return 0;
}

static uint64_t hash_number(uint64_t hash, int64_t number)
{
    return hash_bytes(hash, &number, sizeof number);
}

static uint64_t hash_space(uint64_t hash, const struct mappo_space *space)
{
    hash = hash_number(hash, space->kind);
    hash = hash_number(hash, space->size);
    for (int i = 0; i < space->size; i++) {
        if (space->n) hash = hash_number(hash, space->n[i]);
        if (space->start) hash = hash_number(hash, space->start[i]);
        if (space->low) hash = hash_bytes(hash, &space->low[i], sizeof space->low[i]);
        if (space->high) hash = hash_bytes(hash, &space->high[i], sizeof space->high[i]);
    }
    return hash;
}

uint64_t spec_hash(uint64_t hash, const struct mappo_env_spec *spec)
{
    hash = hash_number(hash, spec->state_size);
    hash = hash_number(hash, (int64_t)spec->snapshot_bytes);
    for (int g = 0; g < spec->groups; g++) {
        const struct mappo_group *group = &spec->group[g];
        hash = hash_text(hash, group->name);
        hash = hash_number(hash, group->agents);
        hash = hash_number(hash, group->team);
        hash = hash_number(hash, group->flags);
        hash = hash_number(hash, group->state_size);
        for (int h = 0; h < group->obs_heads; h++) hash = hash_space(hash, &group->obs[h]);
        for (int h = 0; h < group->act_heads; h++) hash = hash_space(hash, &group->act[h]);
    }
    return hash;
}
