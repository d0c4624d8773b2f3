/* The smax suite against recordings of JaxMARL: every step from its recorded state, with the recorded cooldown noise and whom the enemies'
 * heuristic drew; in the float build the environment through the vecenv as well, where nothing is drawn. Upstream computes in float32, and so
 * do the rules in both builds. A recording may lack the world steps of episode 0 and what is seen last, and may hold observations before
 * the steps `obs_row` alone. */
#ifndef TESTS_PARITY_ENV_SMAX_H
#define TESTS_PARITY_ENV_SMAX_H

#include "env/registry.h"
#include "envs/smax/battle.h"
#include "parity/env_case.h"

static const struct parity_bound smax_positions = {1e-5, 0}, smax_cooldowns = {3e-6, 0}, smax_observations = {1e-6, 0};

/* What is recorded before and after each step. */
enum smax_field { SMAX_X_Y, SMAX_HEALTH, SMAX_COOLDOWN, SMAX_ALIVE, SMAX_MOVE, SMAX_ATTACK, SMAX_GOAL, SMAX_FIELDS };
static const char *const smax_field_name[SMAX_FIELDS] = {"position",      "health",      "cooldown",          "alive",
                                                         "prev_movement", "prev_attack", "enemy_target_point"};

struct smax_case {
    const struct env_case *of;
    struct smax_rules rules;
    int rows, episodes, first; /* first: steps of episode 0 whose world steps are there */
    int *obs_at;               /* [rows] of row t in `obs`; -1: not there */
    struct golden_array before[SMAX_FIELDS], after[SMAX_FIELDS];
    struct golden_array type, step, start, ally_action, enemy_action, chosen, remembered, noise, reward, done, done_all;
    struct golden_array obs, mask, enemy_mask, state, obs_row, last_obs, last_mask, last_state;
    struct golden_array world[4]; /* of episode 0 after each world step, as the first four fields */
};

static inline int smax_case_number(const struct env_case *of, const char *name)
{
    double value = 0;
    golden_numbers(of->file, of->group, name, &value, 1);
    return (int)value;
}

static inline void smax_case_read(struct smax_case *c)
{
    const struct {
        struct golden_array *to;
        const char *name;
    } sets[] = {{&c->type, "unit_type"},
                {&c->step, "step"},
                {&c->start, "episode_start"},
                {&c->ally_action, "ally_action"},
                {&c->enemy_action, "enemy_action"},
                {&c->chosen, "enemy_random_target"},
                {&c->remembered, "enemy_last_attacked_after"},
                {&c->noise, "cooldown_noise"},
                {&c->reward, "reward"},
                {&c->done, "done"},
                {&c->done_all, "done_all"},
                {&c->obs, "obs_before"},
                {&c->obs_row, "obs_row"},
                {&c->mask, "ally_mask_before"},
                {&c->enemy_mask, "enemy_mask_before"},
                {&c->state, "world_state_before"},
                {&c->last_obs, "last_obs"},
                {&c->last_mask, "last_ally_mask"},
                {&c->last_state, "last_world_state"}};
    for (size_t k = 0; k < sizeof sets / sizeof *sets; k++) *sets[k].to = env_read(c->of, sets[k].name);
    for (int k = 0; k < SMAX_FIELDS; k++) {
        char name[64];
        text_format(name, sizeof name, "%s_before", smax_field_name[k]);
        c->before[k] = env_read(c->of, name);
        text_format(name, sizeof name, "%s_after", smax_field_name[k]);
        c->after[k] = env_read(c->of, name);
        text_format(name, sizeof name, "first_episode_world_%s", smax_field_name[k]);
        if (k < 4) c->world[k] = env_read(c->of, name);
    }
}

/* Where the observations of each row stand; false where they cannot. */
static inline bool smax_case_find_obs(struct smax_case *c)
{
    const size_t some = c->obs_row.data ? c->obs_row.count : (size_t)c->rows;
    c->obs_at = calloc((size_t)c->rows, sizeof *c->obs_at);
    for (int t = 0; t < c->rows; t++) c->obs_at[t] = c->obs_row.data ? -1 : t;
    for (size_t k = 0; k < c->obs_row.count; k++) {
        const double row = c->obs_row.data[k];
        if (!(row >= 0 && row < c->rows)) return false;
        c->obs_at[(int)row] = (int)k;
    }
    return c->obs.count == some * (size_t)c->rules.allies * (size_t)((smax_count(&c->rules) - 1) * SMAX_OTHER + SMAX_OWN);
}

/* Whether all there is has the shape that the attributes say. */
static inline bool smax_case_open(struct smax_case *c, const struct env_case *of)
{
    *c = (struct smax_case){.of = of};
    c->rules = (struct smax_rules){.walls_kill = 1, .sees_enemy_actions = 1, .enemy_shoots = 1, .victory = 1};
    c->rules.allies = smax_case_number(of, "n_allies");
    c->rules.enemies = smax_case_number(of, "n_enemies");
    c->rules.max_steps = smax_case_number(of, "max_steps");
    smax_case_read(c);
    const size_t a = (size_t)c->rules.allies, e = (size_t)c->rules.enemies, n = a + e;
    if (a < 1 || a > SMAX_TEAM || e < 1 || e > SMAX_TEAM || c->step.count < 1 || c->start.count < 2) return false;
    const size_t rows = c->step.count, episodes = c->start.count - 1, wide = (n - 1) * SMAX_OTHER + SMAX_OWN;
    c->rows = (int)rows;
    c->episodes = (int)episodes;
    c->first = c->world[0].data ? (int)c->start.data[1] : 0;
    bool sound = c->start.data[episodes] == (double)rows && c->type.count == rows * n && c->ally_action.count == rows * a &&
                 c->enemy_action.count == rows * e && c->chosen.count == rows * e && c->remembered.count == rows * e &&
                 c->noise.count == rows * SMAX_WORLD_STEPS * n && c->reward.count == rows * a && c->done.count == rows * a &&
                 c->done_all.count == rows && smax_case_find_obs(c) && c->mask.count == rows * a * (SMAX_MOVES + e) &&
                 c->enemy_mask.count == rows * e * (SMAX_MOVES + a) && c->state.count == rows * n * SMAX_STATE &&
                 (!c->last_obs.data || c->last_obs.count == episodes * a * wide) &&
                 (!c->last_mask.data || c->last_mask.count == episodes * a * (SMAX_MOVES + e)) &&
                 (!c->last_state.data || c->last_state.count == episodes * n * SMAX_STATE);
    for (int k = 0; k < SMAX_FIELDS; k++) {
        const size_t numbers = k == SMAX_GOAL ? 2 * e : k == SMAX_X_Y || k == SMAX_MOVE ? 2 * n : n;
        sound = sound && c->before[k].count == rows * numbers && c->after[k].count == rows * numbers;
        if (k < 4 && c->first) sound = sound && c->world[k].count == (size_t)c->first * SMAX_WORLD_STEPS * numbers;
    }
    return sound;
}

static inline void smax_case_close(struct smax_case *c)
{
    struct golden_array *all[] = {&c->type,    &c->step,   &c->start,    &c->ally_action, &c->enemy_action, &c->chosen, &c->remembered,
                                  &c->noise,   &c->reward, &c->done,     &c->done_all,    &c->obs,          &c->mask,   &c->enemy_mask,
                                  &c->obs_row, &c->state,  &c->last_obs, &c->last_mask,   &c->last_state};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) golden_free(all[k]);
    for (int k = 0; k < SMAX_FIELDS; k++) {
        golden_free(&c->before[k]);
        golden_free(&c->after[k]);
        if (k < 4) golden_free(&c->world[k]);
    }
    free(c->obs_at);
}

/* The action that a movement and an attack were decoded from. */
static inline int32_t smax_case_action(const double *move, double attack)
{
    if (attack >= SMAX_MOVES) return (int32_t)attack;
    for (int32_t k = 0; k < SMAX_STOP; k++)
        if (fabs(move[0] - smax_moves[k][0]) + fabs(move[1] - smax_moves[k][1]) < 1e-3) return k;
    return SMAX_STOP;
}

/* The recorded state before or after a step. */
static inline void smax_case_inject(struct smax *w, const struct smax_case *c, const struct golden_array *field, int row)
{
    const struct smax_units u = smax_units_of(w, &c->rules);
    const int a = c->rules.allies, n = smax_count(&c->rules);
    w->steps = (int32_t)c->step.data[row];
    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)row * (size_t)n + (size_t)i, goal = ((size_t)row * (size_t)(n - a) + (size_t)(i - a)) * 2;
        u.x[i] = (float)field[SMAX_X_Y].data[2 * at];
        u.y[i] = (float)field[SMAX_X_Y].data[2 * at + 1];
        u.health[i] = (float)field[SMAX_HEALTH].data[at];
        u.cooldown[i] = (float)field[SMAX_COOLDOWN].data[at];
        u.alive[i] = (int32_t)field[SMAX_ALIVE].data[at];
        u.type[i] = (int32_t)c->type.data[at];
        u.action[i] = u.alive[i] ? smax_case_action(field[SMAX_MOVE].data + 2 * at, field[SMAX_ATTACK].data[at]) : SMAX_STOP;
        u.push_x[i] = u.push_y[i] = 0;
        u.goal_x[i] = SMAX_SIDE - u.x[i]; /* as it is at the start; upstream makes it in the first step */
        u.goal_y[i] = SMAX_SIDE - u.y[i];
        if (i < a || (field[SMAX_GOAL].data[goal] == 0 && field[SMAX_GOAL].data[goal + 1] == 0)) continue;
        u.goal_x[i] = (float)field[SMAX_GOAL].data[goal];
        u.goal_y[i] = (float)field[SMAX_GOAL].data[goal + 1];
    }
}

static inline double *smax_found(const struct golden_array *like)
{
    double *found = like->data ? calloc(like->count, sizeof *found) : NULL;
    if (found) memcpy(found, like->data, like->count * sizeof *found);
    return found;
}

/* ---- the rules ------------------------------------------------------------------------------------------------------ */

struct smax_seen {
    double *obs, *mask, *state;
};

/* What the allies see now, as row `row`; observations as row `at`, -1: nowhere. An array that is NULL is not wanted. */
static inline void smax_case_observe(const struct smax *w, const struct smax_case *c, const struct smax_seen *seen, int row, int at)
{
    const size_t n = (size_t)smax_count(&c->rules), a = (size_t)c->rules.allies, wide = (n - 1) * SMAX_OTHER + SMAX_OWN;
    const size_t choices = SMAX_MOVES + (size_t)c->rules.enemies;
    float *obs = calloc(wide + n * SMAX_STATE, sizeof *obs), *state = obs + wide;
    uint8_t mask[SMAX_MOVES + SMAX_TEAM];
    for (size_t i = 0; i < a; i++) {
        smax_observe_agent(w, &c->rules, (int32_t)i, &(struct rule_io){.group[0] = {.obs = obs, .act_mask = mask}});
        for (size_t k = 0; k < wide && seen->obs && at >= 0; k++) seen->obs[((size_t)at * a + i) * wide + k] = (double)obs[k];
        for (size_t k = 0; k < choices && seen->mask; k++) seen->mask[((size_t)row * a + i) * choices + k] = mask[k];
    }
    smax_observe_agent(w, &c->rules, -1, &(struct rule_io){.state = state});
    for (size_t k = 0; k < n * SMAX_STATE && seen->state; k++) seen->state[(size_t)row * n * SMAX_STATE + k] = (double)state[k];
    free(obs);
}

static inline void smax_check_sights(struct parity_report *report, const struct smax_case *c, struct smax *w)
{
    const struct smax_seen seen = {smax_found(&c->obs), smax_found(&c->mask), smax_found(&c->state)};
    const struct smax_seen last = {smax_found(&c->last_obs), smax_found(&c->last_mask), smax_found(&c->last_state)};
    for (int t = 0; t < c->rows; t++) {
        smax_case_inject(w, c, c->before, t);
        smax_case_observe(w, c, &seen, t, c->obs_at[t]);
    }
    for (int e = 0; e < c->episodes; e++) {
        smax_case_inject(w, c, c->after, (int)c->start.data[e + 1] - 1);
        smax_case_observe(w, c, &last, e, e);
    }
    env_compare(report, c->of, "obs_before", seen.obs, &c->obs, smax_observations);
    env_compare(report, c->of, "ally_mask_before", seen.mask, &c->mask, env_exact);
    env_compare(report, c->of, "world_state_before", seen.state, &c->state, smax_observations);
    env_compare(report, c->of, "last_obs", last.obs, &c->last_obs, smax_observations);
    env_compare(report, c->of, "last_ally_mask", last.mask, &c->last_mask, env_exact);
    env_compare(report, c->of, "last_world_state", last.state, &c->last_state, smax_observations);
    free(seen.obs), free(seen.mask), free(seen.state);
    free(last.obs), free(last.mask), free(last.state);
}

/* What the rules made of a case, beside what was recorded; the actions and memories of the dead, who have none here, as recorded. */
struct smax_made {
    double *after[SMAX_FIELDS], *world[4], *enemy_action, *remembered, *enemy_mask, *reward, *done, *done_all;
};

/* The heuristic's decision of enemy i, with the recorded draw. */
static inline int32_t smax_case_decide(const struct smax_made *made, const struct smax_case *c, const struct smax_units *u, int i, int row)
{
    const int a = c->rules.allies, e = c->rules.enemies;
    const size_t at = (size_t)row * (size_t)e + (size_t)(i - a);
    const struct smax_sight sight = smax_look(u, &c->rules, i);
    const int32_t drawn = (int32_t)c->chosen.data[at], chosen = sight.in_range ? sight.nearest : drawn;
    const int agrees = (sight.visible > 0) == (drawn >= 0); /* else neither is right */
    const int32_t action = agrees ? smax_heuristic(u, &c->rules, i, &sight, chosen, 1) : -1;
    double *mask = made->enemy_mask + at * (size_t)(SMAX_MOVES + a);
    for (int k = 0; k < SMAX_MOVES; k++) mask[k] = 1;
    for (int k = 0; k < a; k++) mask[SMAX_MOVES + k] = smax_reaches(u, i, smax_opponent(&c->rules, i, k), smax_types[u->type[i]].range);
    made->enemy_action[at] = action;
    made->remembered[at] = action >= SMAX_MOVES ? action - SMAX_MOVES : -1;
    return action < 0 ? SMAX_STOP : action;
}

/* Four fields of the present state, at row `at` of `to`. */
static inline void smax_case_fields(const struct smax_case *c, const struct smax_units *u, double *const to[4], size_t at)
{
    const int n = smax_count(&c->rules);
    for (size_t i = 0, k = at * (size_t)n; i < (size_t)n; i++, k++) {
        to[SMAX_X_Y][2 * k] = (double)u->x[i];
        to[SMAX_X_Y][2 * k + 1] = (double)u->y[i];
        to[SMAX_HEALTH][k] = (double)u->health[i];
        to[SMAX_COOLDOWN][k] = (double)u->cooldown[i];
        to[SMAX_ALIVE][k] = u->alive[i];
    }
}

static inline void smax_case_actions(const struct smax_case *c, const struct smax_made *made, const struct smax_units *u, int row)
{
    const int a = c->rules.allies, n = smax_count(&c->rules);
    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)row * (size_t)n + (size_t)i;
        if (!u->alive[i]) continue;
        u->action[i] = i < a ? (int32_t)c->ally_action.data[(size_t)row * (size_t)a + (size_t)i] : smax_case_decide(made, c, u, i, row);
        for (int k = 0; k < 2; k++) made->after[SMAX_MOVE][2 * at + (size_t)k] = u->action[i] < SMAX_STOP ? smax_moves[u->action[i]][k] : 0;
        made->after[SMAX_ATTACK][at] = u->action[i] >= SMAX_MOVES ? u->action[i] : 0;
        if (i < a) continue;
        const size_t goal = ((size_t)row * (size_t)(n - a) + (size_t)(i - a)) * 2;
        made->after[SMAX_GOAL][goal] = (double)u->goal_x[i];
        made->after[SMAX_GOAL][goal + 1] = (double)u->goal_y[i];
    }
}

static inline void smax_case_step(const struct smax_case *c, const struct smax_made *made, struct smax *w, int row)
{
    const struct smax_units u = smax_units_of(w, &c->rules);
    const size_t a = (size_t)c->rules.allies, n = (size_t)smax_count(&c->rules);
    rule_real reward[SMAX_TEAM];
    float noise[2 * SMAX_TEAM];
    smax_case_inject(w, c, c->before, row);
    const float before = smax_enemy_health(&u, &c->rules);
    smax_case_actions(c, made, &u, row);
    for (size_t s = 0; s < SMAX_WORLD_STEPS; s++) {
        const size_t at = (size_t)row * SMAX_WORLD_STEPS + s;
        for (size_t i = 0; i < n; i++) noise[i] = (float)c->noise.data[at * n + i];
        smax_world_step(w, &u, &c->rules, noise);
        if (row < c->first) smax_case_fields(c, &u, made->world, at);
    }
    smax_case_fields(c, &u, made->after, (size_t)row);
    made->done_all[row] = smax_judge(w, &u, &c->rules, before, &(struct rule_io){.group[0].reward = reward}) != MAPPO_RUNNING;
    for (size_t i = 0; i < a; i++) {
        made->reward[(size_t)row * a + i] = (double)reward[i];
        made->done[(size_t)row * a + i] = !u.alive[i];
    }
}

static inline void smax_check_steps(struct parity_report *report, const struct smax_case *c, struct smax *w)
{
    struct smax_made made = {.enemy_action = smax_found(&c->enemy_action),
                             .remembered = smax_found(&c->remembered),
                             .enemy_mask = smax_found(&c->enemy_mask),
                             .reward = smax_found(&c->reward),
                             .done = smax_found(&c->done),
                             .done_all = smax_found(&c->done_all)};
    static const struct parity_bound bound[SMAX_FIELDS] = {{1e-5, 0}, {0, 0}, {3e-6, 0}, {0, 0}, {1e-6, 0}, {0, 0}, {1e-5, 0}};
    for (int k = 0; k < SMAX_FIELDS; k++) made.after[k] = smax_found(&c->after[k]);
    for (int k = 0; k < 4; k++) made.world[k] = smax_found(&c->world[k]);
    for (int t = 0; t < c->rows; t++) smax_case_step(c, &made, w, t);
    for (int k = 0; k < SMAX_FIELDS; k++) {
        char name[64];
        text_format(name, sizeof name, "%s_after", smax_field_name[k]);
        env_compare(report, c->of, name, made.after[k], &c->after[k], bound[k]);
        text_format(name, sizeof name, "first_episode_world_%s", smax_field_name[k]);
        if (k < 4) env_compare(report, c->of, name, made.world[k], &c->world[k], bound[k]);
        free(made.after[k]);
        if (k < 4) free(made.world[k]);
    }
    env_compare(report, c->of, "enemy_action", made.enemy_action, &c->enemy_action, env_exact);
    env_compare(report, c->of, "enemy_last_attacked_after", made.remembered, &c->remembered, env_exact);
    env_compare(report, c->of, "enemy_mask_before", made.enemy_mask, &c->enemy_mask, env_exact);
    env_compare(report, c->of, "reward", made.reward, &c->reward, smax_observations);
    env_compare(report, c->of, "done", made.done, &c->done, env_exact);
    env_compare(report, c->of, "done_all", made.done_all, &c->done_all, env_exact);
    free(made.enemy_action), free(made.remembered), free(made.enemy_mask);
    free(made.reward), free(made.done), free(made.done_all);
}

/* ---- the environment -------------------------------------------------------------------------------------------------- */

#ifndef MAPPO_RULES_DOUBLE

static inline const char *smax_case_scenario(const struct env_case *of)
{
    const char *at = strrchr(of->environment, ' ');
    return at ? at + 1 : "";
}

/* An environment for each row, the variant of the recorded map. */
static inline bool smax_batch_open(struct env_batch *b, const struct smax_case *c, struct parity_report *report)
{
    struct env_option option[8];
    char steps[16];
    const struct env_variant *variant = registry_variant(smax_case_scenario(c->of));
    const int options = variant ? variant->options : 0;
    if (!variant || options > 7) {
        env_fail(report, c->of, "its scenario is no variant of smax/battle");
        return false;
    }
    memcpy(option, variant->option, (size_t)options * sizeof *option);
    snprintf(steps, sizeof steps, "%d", c->rules.max_steps);
    option[options] = (struct env_option){"max_steps", steps};
    return env_batch_open(b, c->of, variant->base, option, options + 1, c->rows, report);
}

/* Whether an enemy draws whom to walk to in that step. */
static inline bool smax_case_draws(const struct smax_case *c, const struct smax *w)
{
    const struct smax_units u = smax_units_of(w, &c->rules);
    bool draws = false;
    for (int i = c->rules.allies; i < smax_count(&c->rules); i++) {
        const struct smax_sight sight = smax_look(&u, &c->rules, i);
        draws = draws || (u.alive[i] && !sight.in_range && sight.visible > 1);
    }
    return draws;
}

/* What row t's environment showed after its step, as what was seen before row t + 1 or last; the cooldowns, which are drawn, as recorded. */
static inline void smax_batch_take(const struct env_batch *b, const struct smax_case *c, double *obs, double *last, int t)
{
    const size_t a = (size_t)c->rules.allies, wide = (size_t)b->size[0].obs;
    const bool ends = b->io.ep_end[t] != MAPPO_RUNNING;
    int e = 0;
    while (c->start.data[e + 1] <= t) e++;
    const bool is_last = c->start.data[e + 1] == t + 1;
    if (is_last ? !ends || !last : ends || c->obs_at[t + 1] < 0) return; /* an end that differs is found in `done_all` */
    double *to = ends ? last + (size_t)e * a * wide : obs + (size_t)c->obs_at[t + 1] * a * wide;
    const float *from = (ends ? b->io.group[0].final_obs : b->io.group[0].obs) + (size_t)t * a * wide;
    for (size_t k = 0; k < a * wide; k++) {
        const size_t entry = k % wide, other = wide - SMAX_OWN;
        if (entry < other ? entry % SMAX_OTHER != 6 : entry != other + 3) to[k] = (double)from[k];
    }
}

static inline void smax_batch_check(struct parity_report *report, const struct smax_case *c)
{
    struct env_batch b;
    struct env_copy copy = {0};
    if (!smax_batch_open(&b, c, report)) return;
    const size_t a = (size_t)c->rules.allies, wide = (size_t)b.size[0].obs;
    double *obs = smax_found(&c->obs), *last = smax_found(&c->last_obs), *reward = smax_found(&c->reward), *ends = smax_found(&c->done_all);
    bool *draws = calloc((size_t)c->rows, sizeof *draws), taken = true;
    for (int t = 0; t < c->rows && taken; t++) {
        taken = env_copy_take(&copy, &b, t);
        if (!taken) break;
        smax_case_inject(env_copy_bytes(&copy), c, c->before, t);
        draws[t] = smax_case_draws(c, env_copy_bytes(&copy));
        taken = env_copy_put(&copy, &b, t);
        for (size_t i = 0; i < a; i++) b.act_int[0][(size_t)t * a + i] = (int32_t)c->ally_action.data[(size_t)t * a + i];
    }
    if (!taken || vecenv_observe(b.env, &b.io, NULL)) {
        env_fail(report, c->of, "the float environment refused a recorded state");
    } else {
        for (size_t k = 0; k < (size_t)c->rows * a * wide; k++)
            if (c->obs_at[k / (a * wide)] >= 0)
                obs[(size_t)c->obs_at[k / (a * wide)] * a * wide + k % (a * wide)] = (double)b.io.group[0].obs[k];
        env_compare(report, c->of, "obs (vecenv)", obs, &c->obs, smax_observations);
        for (size_t k = 0; k < c->state.count; k++) taken = taken && fabs((double)b.io.state[k] - c->state.data[k]) <= 1e-6;
        for (size_t k = 0; k < c->mask.count; k++) taken = taken && b.io.group[0].act_mask[k] == c->mask.data[k];
        for (size_t k = 0; k < (size_t)c->rows * a; k++)
            taken = taken && b.io.group[0].active[k] == c->before[SMAX_ALIVE].data[k / a * (size_t)smax_count(&c->rules) + k % a];
        if (!taken) env_fail(report, c->of, "state, masks or active of the vecenv differ");
        if (vecenv_step(b.env, &b.io, NULL)) env_fail(report, c->of, "the float environment refused a step");
        for (int t = 0; t < c->rows; t++) {
            if (draws[t]) continue;
            ends[t] = b.io.ep_end[t] != MAPPO_RUNNING;
            for (size_t i = 0; i < a; i++) reward[(size_t)t * a + i] = (double)b.io.group[0].reward[(size_t)t * a + i];
            smax_batch_take(&b, c, obs, last, t);
        }
        env_compare(report, c->of, "obs after a step (vecenv)", obs, &c->obs, smax_positions);
        env_compare(report, c->of, "last obs (vecenv)", last, &c->last_obs, smax_positions);
        env_compare(report, c->of, "reward (vecenv)", reward, &c->reward, smax_observations);
        env_compare(report, c->of, "done_all (vecenv)", ends, &c->done_all, env_exact);
    }
    env_copy_free(&copy);
    batch_close(&b);
    free(obs), free(last), free(reward), free(ends), free(draws);
}

#endif

/* ---- the suite ---------------------------------------------------------------------------------------------------------- */

static inline bool env_smax_has(const struct env_case *c)
{
    static const char *const known[] = {NULL};
    return strncmp(c->environment, "jaxmarl HeuristicEnemySMAX scenario ", 36) == 0 && env_kwargs_known(c->kwargs, known);
}

static inline void env_smax_check(struct parity_report *report, const struct env_case *of)
{
    struct smax_case c;
    if (smax_case_open(&c, of)) {
        struct smax *w = calloc(1, smax_bytes(&c.rules));
        smax_check_sights(report, &c, w);
        smax_check_steps(report, &c, w);
        free(w);
#ifndef MAPPO_RULES_DOUBLE
        smax_batch_check(report, &c);
#endif
    } else {
        env_fail_shapes(report, of);
    }
    smax_case_close(&c);
}

static const struct env_suite env_smax = {env_smax_has, env_smax_check};

#endif
