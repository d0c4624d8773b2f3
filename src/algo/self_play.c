#include "algo/self_play.h"

#include <string.h>

#include "base/philox.h"
#include "base/text.h"
#include "nn/policies.h"

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

static int check_rules(const struct self_play_rules *rules, struct policy *const *policy, int groups, struct error *err)
{
    double shares = 0;
    int learning = 0;
    char named[512] = "";
    for (int g = 0; g < groups; g++) learning += policy_learns(policy[g]);
    for (int g = 0; g < groups; g++) {
        const char *name = policy[g]->name;
        if (rules[g].members == 0) continue;
        if (learning == 1)
            return error_set(err, EXIT_USAGE,
                             "group.%s.play=self: no other group learns here, and so nobody would learn from meeting its past selves: "
                             "group.%s.play=trained",
                             name, name);
        if (rules[g].share >= 1)
            return error_set(
                err, EXIT_USAGE,
                "group.%s.pool_share=1: its past selves would act in all environments, and it would learn nothing: less than 1", name);
        shares += rules[g].share;
        text_format(named + strlen(named), sizeof named - strlen(named), "%sgroup.%s.pool_share=%g", *named ? " " : "", name,
                    rules[g].share);
    }
    if (shares <= 1 + 1e-9) return 0;
    return error_set(err, EXIT_USAGE, "%s: past selves act for one group at most in an environment, so shares may add up to 1", named);
}

static struct running *create_obs(const struct policy *policy, int members, bool host, struct backend_memory *memory)
{
    const int width = policy->running[RUNNING_OBS].width;
    struct running *obs = ARENA_NEW(memory->arena, struct running, members);
    for (int k = 0; k < members && width; k++)
        obs[k] = host ? (struct running){width, ARENA_NEW(memory->arena, double, running_moments(width)),
                                         ARENA_NEW(memory->arena, real, 2 * width)}
                      : (struct running){width, BACKEND_NEW(memory, double, running_moments(width)), BACKEND_NEW(memory, real, 2 * width)};
    return obs;
}

static void create_group(struct self_play *s, int g, struct backend_memory *memory)
{
    struct self_play_group *of = &s->group[g];
    const struct policy *policy = s->policy[g];
    const struct transitions_config *x = &s->transitions->config;
    const size_t actors = (size_t)of->rules.members * policy_actor_size(policy), env_steps = (size_t)x->steps * (size_t)x->envs;
    const bool host = s->backend->host_memory;
    of->actors = BACKEND_NEW(memory, real, actors);
    of->host_actors = host ? of->actors : ARENA_NEW(memory->arena, real, actors);
    of->obs = create_obs(policy, of->rules.members, false, memory);
    of->host_obs = host ? of->obs : create_obs(policy, of->rules.members, true, memory);
    of->update = ARENA_NEW(memory->arena, int64_t, of->rules.members);
    of->member = ARENA_NEW(memory->arena, int32_t, x->envs);
    of->away = BACKEND_NEW(memory, uint8_t, x->envs);
    of->anew = BACKEND_NEW(memory, uint8_t, x->envs);
    of->home = BACKEND_NEW(memory, uint8_t, env_steps * (size_t)policy->sizes.agents);
    of->counted = BACKEND_NEW(memory, uint8_t, env_steps * (size_t)policy->sizes.agents);
    of->env = BACKEND_NEW(memory, uint8_t, env_steps);
    s->pool[g] = (struct actor_pool){of->rules.members, of->actors, of->obs};
}

int self_play_create(struct self_play *s, const struct self_play_rules *rules, uint64_t seed, const struct transitions *transitions,
                     const struct states *states, struct policy *const *policy, struct backend_memory *memory, struct error *err)
{
    *s = (struct self_play){.groups = transitions->all.groups,
                            .seed = seed,
                            .transitions = transitions,
                            .states = states,
                            .policy = policy,
                            .backend = memory->backend};
    const int code = check_rules(rules, policy, s->groups, err);
    if (code) return code;
    for (int g = 0; g < s->groups; g++) {
        s->group[g].rules = rules[g];
        if (rules[g].members == 0) continue;
        s->used = true;
        create_group(s, g, memory);
    }
    if (s->used) s->flags = ARENA_NEW(memory->arena, uint8_t, transitions->config.envs);
    self_play_begin(s);
    return 0;
}

/* ---- who acts where ------------------------------------------------------------------------------------------------------------------ */

void self_play_begin(struct self_play *s)
{
    for (int g = 0; g < s->groups; g++)
        for (int e = 0; e < s->transitions->config.envs && s->group[g].member; e++) s->group[g].member[e] = -1;
}

static int filled(const struct self_play_group *of)
{
    return of->taken < of->rules.members ? (int)of->taken : of->rules.members;
}

/* The group that is away in environment `env` (global) in the rollout that begins with step number `step`, if it has a pool, and who acts for it
 * then; -1: none. */
static int draw_away(const struct self_play *s, uint32_t env, uint64_t step, int *member)
{
    const struct philox_draw draw = philox_at(s->seed, PHILOX_POOL, env, 0, step);
    double at = philox_double(draw.v[0], draw.v[1]);
    for (int g = 0; g < s->groups; g++) {
        const struct self_play_group *of = &s->group[g];
        if (of->rules.members == 0) continue;
        at -= of->rules.share;
        if (at >= 0) continue;
        *member = (int)(((uint64_t)draw.v[2] * (uint64_t)filled(of)) >> 32);
        return filled(of) > 0 ? g : -1;
    }
    return -1;
}

/* The host's flags are filled; they go to `to`. */
static void send_flags(const struct self_play *s, uint8_t *to)
{
    s->backend->upload(s->backend, to, s->flags, (size_t)s->transitions->config.envs);
}

/* Who begins to act in the midst of an episode has no memory of it. */
static void forget(const struct self_play *s, int g)
{
    const struct states_role *of = &s->states->group[g][ROLE_ACTOR];
    if (!of->rows) return;
    send_flags(s, s->group[g].anew);
    const struct forget_pass pass = {s->group[g].anew, s->transitions->config.envs, of->rows * of->hidden,
                                     states_at(s->states, g, ROLE_ACTOR, 0)};
    s->backend->forget(s->backend, &pass, 1);
}

void self_play_assign(struct self_play *s, struct actor *actor)
{
    const struct transitions *x = s->transitions;
    const int envs = x->config.envs;
    for (int g = 0; g < s->groups; g++) {
        struct self_play_group *of = &s->group[g];
        if (of->rules.members == 0) continue;
        for (int e = 0; e < envs; e++) {
            int member = -1;
            if (draw_away(s, x->config.first_env + (uint32_t)e, x->step, &member) != g) member = -1;
            s->flags[e] = member >= 0 || of->member[e] >= 0;
            of->member[e] = member;
        }
        forget(s, g);
        for (int e = 0; e < envs; e++) s->flags[e] = of->member[e] >= 0;
        send_flags(s, of->away);
        actor_assign(actor, g, of->member);
    }
}

/* ---- whose rows they are ------------------------------------------------------------------------------------------------------------- */

void self_play_mark(const struct self_play *s)
{
    const struct transitions_config *x = &s->transitions->config;
    struct home_pass pass[2 * MAPPO_MAX_GROUPS];
    int passes = 0;
    for (int g = 0; g < s->groups; g++) {
        const struct self_play_group *of = &s->group[g];
        if (of->rules.members == 0) continue;
        pass[passes++] = (struct home_pass){.steps = x->steps,
                                            .envs = x->envs,
                                            .agents = s->policy[g]->sizes.agents,
                                            .away = of->away,
                                            .active = s->transitions->all.group[g].active,
                                            .home = of->home,
                                            .counted = of->counted};
        pass[passes++] = (struct home_pass){.steps = x->steps, .envs = x->envs, .agents = 1, .away = of->away, .home = of->env};
    }
    if (passes) s->backend->home(s->backend, pass, passes);
}

const uint8_t *self_play_rows(const struct self_play *s, int g, bool active)
{
    if (s->group[g].rules.members == 0) return active ? s->transitions->all.group[g].active : NULL;
    return active ? s->group[g].counted : s->group[g].home;
}

const uint8_t *self_play_home(const struct self_play *s, int g, int rows)
{
    return rows == 1 ? s->group[g].env : s->group[g].home;
}

/* ---- the pool ------------------------------------------------------------------------------------------------------------------------ */

/* Where the next copy goes; -1: nowhere. */
static int place_of_next(const struct self_play *s, int g)
{
    const struct self_play_group *of = &s->group[g];
    if (of->taken < of->rules.members) return (int)of->taken;
    const struct philox_draw draw = philox_at(s->seed, PHILOX_POOL, (uint32_t)g, 1, (uint64_t)of->taken);
    const double place = philox_double(draw.v[0], draw.v[1]) * (double)(of->taken + 1);
    return place < of->rules.members ? (int)place : -1;
}

static void take_copy(const struct self_play *s, int g, int place)
{
    struct backend *backend = s->backend;
    const struct policy *policy = s->policy[g];
    const struct running *now = &policy->running[RUNNING_OBS], *obs = &s->group[g].obs[place];
    const size_t size = policy_actor_size(policy);
    backend->copy(backend, s->group[g].actors + (size_t)place * size, policy_actor(policy, policy->parameters, 0), size * sizeof(real));
    if (now->width == 0) return;
    backend->copy(backend, obs->moments, now->moments, (size_t)running_moments(now->width) * sizeof *now->moments);
    backend->copy(backend, obs->scale, now->scale, 2 * (size_t)now->width * sizeof *now->scale);
}

void self_play_learned(struct self_play *s, int64_t updates)
{
    for (int g = 0; g < s->groups; g++) {
        struct self_play_group *of = &s->group[g];
        if (of->rules.members == 0 || updates % of->rules.interval) continue;
        const int place = place_of_next(s, g);
        of->taken++;
        if (place < 0) continue;
        take_copy(s, g, place);
        of->update[place] = updates;
    }
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

static void add_obs(const struct self_play *s, int g, int k, struct field_list *list)
{
    static const char *const part[] = {"count", "mean", "variance"};
    const struct running *obs = &s->group[g].host_obs[k];
    char name[sizeof list->field->name];
    for (int i = 0; i < 3 && obs->width; i++) {
        text_format(name, sizeof name, "/pool/%s/%d/obs_norm/%s", s->policy[g]->name, k, part[i]);
        if (i == 0)
            field_add(list, name, FIELD_DOUBLE, obs->moments, "rows", "of a past self: rows that it had seen", 0);
        else
            field_add(list, name, FIELD_DOUBLE, obs->moments + 1 + (i - 1) * obs->width, "1", "of a past self: statistics of observations",
                      1, (int64_t)obs->width);
    }
}

static void add_members(const struct self_play *s, int g, struct field_list *list)
{
    const struct policy *policy = s->policy[g];
    const struct self_play_group *of = &s->group[g];
    for (int k = 0; k < of->rules.members; k++) {
        char copy[16];
        text_format(copy, sizeof copy, "%d", k);
        const struct policies_path path = {"pool", "actor", "", "of a past self: ", copy};
        for (int set = 0; set < policy->sets[ROLE_ACTOR]; set++)
            policies_network_fields(
                policy, ROLE_ACTOR, set,
                of->host_actors + (size_t)k * policy_actor_size(policy) + (size_t)set * policy->net[ROLE_ACTOR].parameters, &path, list);
        add_obs(s, g, k, list);
    }
}

void self_play_fields(struct self_play *s, const char *path, struct field_list *list)
{
    for (int g = 0; g < s->groups; g++) {
        struct self_play_group *of = &s->group[g];
        char name[sizeof list->field->name];
        if (of->rules.members == 0) continue;
        text_format(name, sizeof name, "/pool/%s/taken", s->policy[g]->name);
        field_add(list, name, FIELD_INT64, &of->taken, "copies", "copies of the group's actor that were ever taken (self-play)", 0);
        text_format(name, sizeof name, "/pool/%s/update", s->policy[g]->name);
        field_add(list, name, FIELD_INT64, of->update, "updates", "after which update each past self was taken; 0: there is none yet", 1,
                  (int64_t)of->rules.members);
        add_members(s, g, list);
        text_format(name, sizeof name, "%s/%s/member", path, s->policy[g]->name);
        field_add(list, name, FIELD_INT32, of->member, "1", "which past self acted for the group in the last rollout; -1: none", 1,
                  (int64_t)s->transitions->config.envs)
            ->per_env = true;
    }
}

void self_play_pull(struct self_play *s)
{
    struct backend *backend = s->backend;
    for (int g = 0; g < s->groups && !backend->host_memory; g++) {
        const struct self_play_group *of = &s->group[g];
        if (of->rules.members == 0) continue;
        backend->download(backend, of->host_actors, of->actors, (size_t)of->rules.members * policy_actor_size(s->policy[g]) * sizeof(real));
        for (int k = 0; k < of->rules.members; k++) policy_pull_running(backend, &of->host_obs[k], &of->obs[k]);
    }
}

void self_play_push(struct self_play *s)
{
    struct backend *backend = s->backend;
    for (int g = 0; g < s->groups; g++) {
        const struct self_play_group *of = &s->group[g];
        if (of->rules.members == 0) continue;
        if (!backend->host_memory)
            backend->upload(backend, of->actors, of->host_actors,
                            (size_t)of->rules.members * policy_actor_size(s->policy[g]) * sizeof(real));
        for (int k = 0; k < of->rules.members; k++) policy_push_running(backend, &of->obs[k], &of->host_obs[k]);
    }
}
