#include "algo/states.h"

#include <stdio.h>
#include <string.h>

static size_t role_reals(const struct states *s, int g, int role)
{
    const struct states_role *of = &s->group[g][role];
    return (size_t)s->transitions->config.envs * (size_t)(of->rows * of->hidden);
}

static int rows_of(const struct policy *policy, int role)
{
    if (!policy->net[role].gru || policy->sets[role] == 0) return 0;
    return role == ROLE_ACTOR || policy_apart(policy, role) ? policy->sizes.agents : policy->state_rows;
}

void states_create(struct states *s, const struct transitions *transitions, struct policy *const *policy, struct backend_memory *memory)
{
    const struct transitions_config *x = &transitions->config;
    const size_t places = (size_t)transitions_places(x, SLICE_OBSERVATION);
    bool any = false;
    *s = (struct states){.transitions = transitions, .policy = policy, .groups = transitions->all.groups, .backend = memory->backend};
    for (int g = 0; g < s->groups; g++)
        for (int role = 0; role < POLICY_ROLES; role++) {
            struct states_role *of = &s->group[g][role];
            *of = (struct states_role){.rows = rows_of(policy[g], role), .hidden = policy[g]->net[role].hidden};
            if (of->rows == 0) continue;
            of->at = BACKEND_NEW(memory, real, places * role_reals(s, g, role));
            of->host = ARENA_NEW(memory->arena, real, role_reals(s, g, role));
            any = true;
        }
    if (!any) return;
    s->ended = BACKEND_NEW(memory, uint8_t, places * (size_t)x->envs);
    s->host_ended = ARENA_NEW(memory->arena, uint8_t, x->envs);
}

/* ---- from step to step --------------------------------------------------------------------------------------------------------------- */

const uint8_t *states_ended(const struct states *s, int place)
{
    return place == 0 ? s->ended : s->transitions->all.ep_end + (size_t)(place - 1) * (size_t)s->transitions->config.envs;
}

struct recurrent states_time(const struct states *s, int g, int role)
{
    return (struct recurrent){.hidden = s->group[g][role].at, .ended = s->ended, .ended_rows = s->group[g][role].rows};
}

void states_carry(const struct states *s)
{
    const int steps = s->transitions->config.steps;
    for (int g = 0; g < s->groups; g++)
        for (int role = 0; role < POLICY_ROLES; role++)
            if (s->group[g][role].rows)
                s->backend->copy(s->backend, states_at(s, g, role, 0), states_at(s, g, role, steps), role_reals(s, g, role) * sizeof(real));
    s->backend->copy(s->backend, s->ended, states_ended(s, steps), (size_t)s->transitions->config.envs);
}

void states_collected(const struct states *s)
{
    const size_t envs = (size_t)s->transitions->config.envs;
    s->backend->copy(s->backend, s->ended + envs, s->transitions->all.ep_end, (size_t)s->transitions->config.steps * envs);
}

void states_clear(struct states *s)
{
    for (int g = 0; g < s->groups; g++)
        for (int role = 0; role < POLICY_ROLES; role++)
            if (s->group[g][role].rows) memset(s->group[g][role].host, 0, role_reals(s, g, role) * sizeof(real));
    states_push(s);
}

/* ---- what a checkpoint holds --------------------------------------------------------------------------------------------------------- */

void states_fields(const struct states *s, const char *path, struct field_list *list)
{
    static const char *const name[POLICY_ROLES] = {[ROLE_ACTOR] = "actor_state", [ROLE_CRITIC] = "critic_state"},
                             *const what[POLICY_ROLES] = {[ROLE_ACTOR] = "what each agent's recurrent actor remembers of its episode",
                                                          [ROLE_CRITIC] = "what the recurrent critics remember of the episode"};
    for (int g = 0; g < s->groups; g++)
        for (int role = 0; role < POLICY_ROLES; role++) {
            const struct states_role *of = &s->group[g][role];
            char full[sizeof list->field->name];
            if (of->rows == 0) continue;
            CHECK(snprintf(full, sizeof full, "%s/%s/%s", path, s->policy[g]->name, name[role]) < (int)sizeof full,
                  "name is too long: %s/%s", path, s->policy[g]->name);
            field_add(list, full, FIELD_REAL, of->host, "1", what[role], 3, (int64_t)s->transitions->config.envs, (int64_t)of->rows,
                      (int64_t)of->hidden)
                ->per_env = true;
        }
}

void states_pull(struct states *s)
{
    const struct transitions *x = s->transitions;
    const int place = transitions_place(x, x->step);
    if (!states_kept(s)) return;
    s->backend->download(s->backend, s->host_ended, states_ended(s, place), (size_t)x->config.envs);
    for (int g = 0; g < s->groups; g++)
        for (int role = 0; role < POLICY_ROLES; role++) {
            const struct states_role *of = &s->group[g][role];
            const size_t width = (size_t)(of->rows * of->hidden);
            if (of->rows == 0) continue;
            s->backend->download(s->backend, of->host, states_at(s, g, role, place), role_reals(s, g, role) * sizeof(real));
            for (int e = 0; e < x->config.envs; e++)
                if (s->host_ended[e]) memset(of->host + (size_t)e * width, 0, width * sizeof(real));
        }
}

void states_push(struct states *s)
{
    if (!states_kept(s)) return;
    memset(s->host_ended, 0, (size_t)s->transitions->config.envs);
    s->backend->upload(s->backend, s->ended, s->host_ended, (size_t)s->transitions->config.envs);
    for (int g = 0; g < s->groups; g++)
        for (int role = 0; role < POLICY_ROLES; role++)
            if (s->group[g][role].rows)
                s->backend->upload(s->backend, states_at(s, g, role, 0), s->group[g][role].host, role_reals(s, g, role) * sizeof(real));
}
