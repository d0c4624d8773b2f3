/* What an environment says of itself is checked before it is used. */
#include "env/spec.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/digest.h"
#include "env/slices.h"
#include "env/vecenv.h"

struct group_sizes group_sizes(const struct mappo_group *group)
{
    struct group_sizes sizes = {.agents = group->agents};
    for (int h = 0; h < group->obs_heads; h++) sizes.obs += slice_space_width(&group->obs[h]);
    for (int h = 0; h < group->act_heads; h++) {
        const struct mappo_space *space = &group->act[h];
        if (space->kind == MAPPO_BOX) {
            sizes.act_reals += space->size;
        } else {
            sizes.act_ints += space->size;
            sizes.logits += slice_space_width(space);
        }
    }
    return sizes;
}

/* ---- checking ----------------------------------------------------------------------------------------------------- */

/* Numbers of an observation, or choices of an action, that an agent can have. Those of a group must fit 32 bits, as slice_strides does. */
enum { MOST_AGENTS = 1 << 20, MOST_NUMBERS = 1 << 24, MOST_INFOS = 4096, MOST_SNAPSHOT = 1 << 30 };

static const char *box_fault(const struct mappo_space *space)
{
    const int32_t *shape = space->shape;
    if (shape[0] || shape[1] || shape[2]) {
        int64_t numbers = 1;
        for (int i = 0; i < 3; i++) numbers *= shape[i] > 0 && shape[i] <= space->size && numbers <= space->size ? shape[i] : 0;
        if (numbers != space->size) return "has a shape (height, width, channels) of another size than its own";
    }
    for (int i = 0; i < space->size; i++) {
        const float low = space->low ? space->low[i] : -INFINITY, high = space->high ? space->high[i] : INFINITY;
        if (isnan(low) || isnan(high)) return "has a bound that is not a number";
        if (low > high) return "has a lower bound above its upper one";
    }
    return NULL;
}

static const char *choices_fault(const struct mappo_space *space)
{
    int64_t width = 0;
    if (!space->n) return "has no n";
    for (int i = 0; i < space->size; i++) {
        if (space->n[i] < 1) return "has n < 1";
        if (space->start && (int64_t)space->start[i] + space->n[i] - 1 > INT32_MAX) return "has a start beyond 32 bits";
        if ((width += space->n[i]) > MOST_NUMBERS) return "has more choices than 16777216";
    }
    return NULL;
}

static const char *space_fault(const struct mappo_space *space)
{
    if (space->kind < MAPPO_BOX || space->kind > MAPPO_MULTI_BINARY) return "has an unknown kind";
    if (space->size < 1) return "has a size below 1";
    if (space->size > MOST_NUMBERS) return "has a size above 16777216";
    if (space->kind == MAPPO_DISCRETE && space->size != 1) return "is Discrete, so its size must be 1";
    if (space->meanings < 0 || (space->meanings && !space->meaning)) return "has meanings but no meaning";
    if (space->kind == MAPPO_BOX) return box_fault(space);
    return space->kind == MAPPO_MULTI_BINARY ? NULL : choices_fault(space);
}

/* A name that becomes part of a dataset's or metric's: without slashes and control characters. */
static const char *name_fault(const char *name)
{
    if (!name || !*name) return "needs a name";
    if (strlen(name) > 63) return "has a name of more than 63 bytes";
    for (const unsigned char *c = (const unsigned char *)name; *c; c++)
        if (*c < ' ' || *c == '/' || *c == '"' || *c == 0x7f) return "has a name with a slash, quote or control character";
    return NULL;
}

const char *spec_line_fault(const char *text)
{
    if (strlen(text) > 1023) return "has more than 1023 bytes";
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < ' ' || *c == 0x7f) return "has a line break or another control character";
    return NULL;
}

static int check_spaces(const struct mappo_env *env, const struct mappo_group *group, struct error *err)
{
    int64_t width[2] = {0, 0};
    for (int h = 0; h < group->obs_heads + group->act_heads; h++) {
        const bool is_obs = h < group->obs_heads;
        const struct mappo_space *space = is_obs ? &group->obs[h] : &group->act[h - group->obs_heads];
        const char *fault = space_fault(space);
        if (fault)
            return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\", %s head %d %s", env->id, group->name,
                             is_obs ? "observation" : "action", is_obs ? h : h - group->obs_heads, fault);
        width[is_obs] += slice_space_width(space);
    }
    const int64_t most = INT32_MAX / group->agents;
    if (width[0] > most || width[1] > most || group->state_size > most)
        return error_set(err, EXIT_ENVIRONMENT,
                         "environment \"%s\": group \"%s\" has more than %d numbers of observation, action or state in all", env->id,
                         group->name, INT32_MAX);
    return 0;
}

static int check_group(const struct mappo_env *env, const struct mappo_env_spec *spec, int number, struct error *err)
{
    const struct mappo_group *group = &spec->group[number];
    const char *fault = name_fault(group->name);
    if (fault) return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group %d %s", env->id, number, fault);
    for (int g = 0; g < number; g++)
        if (strcmp(spec->group[g].name, group->name) == 0)
            return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": groups %d and %d have the same name \"%s\"", env->id, g, number,
                             group->name);
    if (group->agents < 1 || group->agents > MOST_AGENTS)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\" has %d agents; it needs 1..%d", env->id, group->name,
                         group->agents, MOST_AGENTS);
    if (group->team < 0)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\" is of team %d; teams count from 0", env->id, group->name,
                         group->team);
    if (group->obs_heads < 1 || group->obs_heads > MAPPO_MAX_HEADS || group->act_heads < 1 || group->act_heads > MAPPO_MAX_HEADS)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\" has %d observation and %d action heads; 1..%d each",
                         env->id, group->name, group->obs_heads, group->act_heads, MAPPO_MAX_HEADS);
    if (group->state_size < 0 || ((group->flags & MAPPO_STATE_PER_AGENT) != 0) != (group->state_size > 0))
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": group \"%s\": state_size goes with MAPPO_STATE_PER_AGENT", env->id,
                         group->name);
    return check_spaces(env, group, err);
}

static int check_teams(const struct mappo_env *env, const struct mappo_env_spec *spec, struct error *err)
{
    int last = 0;
    for (int g = 0; g < spec->groups; g++) last = spec->group[g].team > last ? spec->group[g].team : last;
    if (spec->teams == 0) return 0;
    if (spec->teams <= last || spec->teams > MAPPO_MAX_GROUPS || !spec->team_name)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": %d names of teams; none, or %d to %d, one a team", env->id,
                         spec->teams, last + 1, MAPPO_MAX_GROUPS);
    for (int t = 0; t < spec->teams; t++) {
        const char *fault = name_fault(spec->team_name[t]);
        if (fault) return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": team %d %s", env->id, t, fault);
        for (int u = 0; u < t; u++)
            if (strcmp(spec->team_name[u], spec->team_name[t]) == 0)
                return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": teams %d and %d have the same name \"%s\"", env->id, u, t,
                                 spec->team_name[t]);
    }
    return 0;
}

static int check_infos(const struct mappo_env *env, const struct mappo_env_spec *spec, struct error *err)
{
    if (spec->infos < 0 || spec->infos > MOST_INFOS)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": infos is %d; 0..%d", env->id, spec->infos, MOST_INFOS);
    if (spec->infos && !spec->info)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": infos is %d, but info is NULL", env->id, spec->infos);
    for (int k = 0; k < spec->infos; k++) {
        const char *fault = name_fault(spec->info[k].name);
        if (fault) return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": info column %d %s", env->id, k, fault);
        for (int j = 0; j < k; j++)
            if (strcmp(spec->info[j].name, spec->info[k].name) == 0)
                return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": info columns %d and %d have the same name \"%s\"", env->id, j,
                                 k, spec->info[k].name);
    }
    return 0;
}

static int check_whole(const struct mappo_env *env, const struct mappo_env_spec *spec, struct error *err)
{
    const char *const line[] = {spec->rules, spec->return_help}, *const name[] = {"rules", "return_help"};
    for (int i = 0; i < 2; i++) {
        const char *fault = line[i] ? spec_line_fault(line[i]) : NULL;
        if (fault) return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": %s of its spec %s", env->id, name[i], fault);
    }
    if (spec->state_size < 0 || spec->state_size > MOST_NUMBERS)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": state_size is %d; 0 (it has none) to %d", env->id, spec->state_size,
                         MOST_NUMBERS);
    if (spec->max_steps < 0)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": max_steps is %d; 0 (no limit) or more", env->id, spec->max_steps);
    if (spec->snapshot_bytes > MOST_SNAPSHOT)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": snapshot_bytes is %zu; at most %d", env->id, spec->snapshot_bytes,
                         MOST_SNAPSHOT);
    if (spec->snapshot_bytes && !(env->snapshot && env->restore && env->observe))
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": snapshot_bytes without snapshot, restore and observe", env->id);
    return 0;
}

int spec_check(const struct mappo_env *env, const struct mappo_env_spec *spec, struct error *err)
{
    if (!spec || spec->struct_size < sizeof *spec || spec->groups < 1 || spec->groups > MAPPO_MAX_GROUPS)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": its spec is not one of ABI %u with 1..%d groups", env->id,
                         MAPPO_ENV_ABI, MAPPO_MAX_GROUPS);
    const int fault = check_whole(env, spec, err);
    if (fault) return fault;
    int64_t observed = 0;
    for (int g = 0; g < spec->groups; g++) {
        const int rc = check_group(env, spec, g, err);
        if (rc) return rc;
        observed += (int64_t)spec->group[g].agents * group_sizes(&spec->group[g]).obs;
    }
    if (spec->state_is_all_obs && spec->state_size != observed)
        return error_set(err, EXIT_ENVIRONMENT, "environment \"%s\": state_is_all_obs, but state_size is %d and all observations are %lld",
                         env->id, spec->state_size, (long long)observed);
    const int unnamed = check_teams(env, spec, err);
    return unnamed ? unnamed : check_infos(env, spec, err);
}

void spec_copy(struct mappo_env_spec *to, const struct mappo_env_spec *from)
{
    *to = *from;
    if (!to->rules) to->rules = "default";
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

bool spec_acts_in_reals(const struct mappo_env_spec *spec)
{
    for (int g = 0; g < spec->groups; g++)
        for (int h = 0; h < spec->group[g].act_heads; h++)
            if (spec->group[g].act[h].kind == MAPPO_BOX) return true;
    return false;
}
