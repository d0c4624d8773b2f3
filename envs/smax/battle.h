/* smax/battle: a team of units fights one that a heuristic commands, as in StarCraft II's micromanagement tasks but without the game
 * (Rutherford et al. 2023; JaxMARL 0.2, commit c793d09, HeuristicEnemySMAX). Allies are units 0 …, enemies follow. A step of the environment
 * is 8 steps of the world: fire, move, die, push apart. Upstream computes in float32, and pushing units apart enlarges what was rounded; so all of
 * this is float, in the double build too.
 *
 * Each unit counts its opponents in an order of its own, in observations and attacks: allies count enemies forwards, enemies count allies
 * backwards. */
#ifndef SMAX_BATTLE_H
#define SMAX_BATTLE_H

#include <string.h>

#include "env/rules.h"

enum {
    SMAX_TEAM = 64, /* most units of a side */
    SMAX_TYPES = 6,
    SMAX_WORLD_STEPS = 8,
    SMAX_STOP = 4, /* after north, east, south, west */
    SMAX_MOVES,    /* attacks follow: SMAX_MOVES + opponent */
    SMAX_OWN = 4 + SMAX_TYPES,
    SMAX_OTHER = 7 + SMAX_TYPES,
    SMAX_STATE = SMAX_OWN + 2 /* of a unit */
};
enum smax_info { SMAX_BATTLE_WON, SMAX_DEAD_ALLIES, SMAX_DEAD_ENEMIES, SMAX_INFOS };

#define SMAX_SIDE   32.0f   /* of the map */
#define SMAX_SPREAD 2.0f    /* units start within it around a point, each way */
#define SMAX_TIME   0.0625f /* seconds of a world step */
#define SMAX_WIDEST 1.5625f /* the square of the largest sum of two radii */

struct smax_type {
    float speed, attack, range, sight, radius, health, cooldown; /* of the map a second, points, of the map (3), points, seconds */
};
MAPPO_TABLE(struct smax_type, smax_types, [SMAX_TYPES]) = {
    {3.15f, 9, 5, 9, 0.375f, 45, 0.61f},     /* marine */
    {2.25f, 10, 6, 10, 0.5625f, 125, 1.07f}, /* marauder */
    {4.13f, 13, 6, 10, 0.625f, 160, 1.87f},  /* stalker */
    {3.15f, 8, 2, 9, 0.5f, 150, 0.86f},      /* zealot */
    {4.13f, 5, 2, 8, 0.375f, 35, 0.5f},      /* zergling */
    {3.15f, 12, 5, 9, 0.625f, 80, 0.59f},    /* hydralisk */
};
MAPPO_TABLE(int8_t, smax_moves, [SMAX_MOVES][2]) = {{0, 1}, {1, 0}, {0, -1}, {-1, 0}, {0, 0}};

struct smax_rules {
    int32_t allies, enemies, max_steps;
    int32_t walls_kill, sees_enemy_actions, self_play_reward, random_positions, random_types, enemy_shoots, attacks_random;
    float victory;
    uint8_t type[2 * SMAX_TEAM]; /* of unit i, where they are not random */
};

struct smax { /* what struct smax_units points to follows */
    struct philox rng;
    int32_t steps, spare;
};

/* The numbers of a copy, each [allies + enemies]. */
struct smax_units {
    float *x, *y;
    float *health;
    float *cooldown;        /* seconds until it can fire; below 0 when it could have for long */
    float *goal_x, *goal_y; /* where the heuristic walks while it sees nobody: opposite the unit's start */
    float *push_x, *push_y; /* 0 between world steps */
    int32_t *type, *action, *alive;
};
enum { SMAX_REALS = 8, SMAX_INTS = 3 };

MAPPO_FN int32_t smax_count(const struct smax_rules *rules)
{
    return rules->allies + rules->enemies;
}

static inline size_t smax_bytes(const struct smax_rules *rules)
{
    return sizeof(struct smax) + (size_t)smax_count(rules) * (SMAX_REALS * sizeof(float) + SMAX_INTS * sizeof(int32_t));
}

MAPPO_FN struct smax_units smax_units_of(const struct smax *w, const struct smax_rules *rules)
{
    const int32_t n = smax_count(rules);
    float *real = (float *)(w + 1);
    int32_t *whole = (int32_t *)(real + SMAX_REALS * n);
    const struct smax_units u = {real,         real + n,     real + 2 * n, real + 3 * n, real + 4 * n, real + 5 * n,
                                 real + 6 * n, real + 7 * n, whole,        whole + n,    whole + 2 * n};
    return u;
}

/* Opponent k as unit i counts them. */
MAPPO_FN int32_t smax_opponent(const struct smax_rules *rules, const int32_t i, const int32_t k)
{
    return i < rules->allies ? rules->allies + k : rules->allies - 1 - k;
}

MAPPO_FN int32_t smax_opponents(const struct smax_rules *rules, const int32_t i)
{
    return i < rules->allies ? rules->enemies : rules->allies;
}

MAPPO_FN float smax_square(const struct smax_units *u, const int32_t i, const int32_t j)
{
    const float dx = u->x[j] - u->x[i], dy = u->y[j] - u->y[i];
    return dx * dx + dy * dy;
}

/* Alive, and nearer to unit i than `reach`. */
MAPPO_FN int smax_reaches(const struct smax_units *u, const int32_t i, const int32_t j, const float reach)
{
    return u->alive[j] && smax_square(u, i, j) < reach * reach;
}

/* ---- the world ------------------------------------------------------------------------------------------------------ */

/* Living units that overlap move apart, each by half of what it takes, all at once. */
MAPPO_FN void smax_push(const struct smax_units *u, const int32_t n)
{
    int any = 0;
    for (int32_t i = 0; i < n; i++) {
        int close = 0; /* most are not, and this loop is cheap */
        for (int32_t j = i + 1; j < n; j++) close |= smax_square(u, i, j) < SMAX_WIDEST;
        if (!close || !u->alive[i]) continue;
        for (int32_t j = i + 1; j < n; j++) {
            const float square = smax_square(u, i, j);
            if (!(square < SMAX_WIDEST) || !u->alive[j]) continue;
            const float reach = smax_types[u->type[i]].radius + smax_types[u->type[j]].radius;
            const float overlap = reach / (sqrtf(square) + 1e-6f) - 1;
            if (!(overlap > 0)) continue;
            const float x = (u->x[i] - u->x[j]) * overlap, y = (u->y[i] - u->y[j]) * overlap;
            u->push_x[i] += x;
            u->push_y[i] += y;
            u->push_x[j] -= x;
            u->push_y[j] -= y;
            any = 1;
        }
    }
    for (int32_t i = 0; i < n && any; i++) {
        u->x[i] += u->push_x[i] / 2;
        u->y[i] += u->push_y[i] / 2;
        u->push_x[i] = u->push_y[i] = 0;
    }
}

/* Fires where the action says so, it can, and the target is in range; else its weapon cools. `alive` is that of before the world step. */
MAPPO_FN void smax_fire(struct smax *w, const struct smax_units *u, const struct smax_rules *rules, const int32_t i, const float *noise)
{
    const struct smax_type *type = &smax_types[u->type[i]];
    if (u->action[i] >= SMAX_MOVES && u->alive[i] && u->cooldown[i] <= 0) {
        const int32_t target = smax_opponent(rules, i, u->action[i] - SMAX_MOVES);
        if (smax_reaches(u, i, target, type->range)) {
            u->health[target] -= type->attack;
            u->cooldown[i] = type->cooldown + (noise ? noise[i] : philox_uniform(&w->rng, -SMAX_TIME, 2 * SMAX_TIME));
            return;
        }
    }
    u->cooldown[i] -= SMAX_TIME;
}

MAPPO_FN float smax_within_map(const float x)
{
    return x < 0 ? 0 : x > SMAX_SIDE ? SMAX_SIDE : x;
}

MAPPO_FN int smax_touches_wall(const float x)
{
    return x <= 0 || x >= SMAX_SIDE;
}

/* Moves, and whether it lives on. */
MAPPO_FN void smax_move(const struct smax_units *u, const struct smax_rules *rules, const int32_t i)
{
    if (u->alive[i] && u->action[i] < SMAX_STOP) {
        const int8_t *move = smax_moves[u->action[i]];
        const float by = smax_types[u->type[i]].speed * SMAX_TIME;
        u->x[i] = u->x[i] + (float)move[0] * by;
        u->y[i] = u->y[i] + (float)move[1] * by;
    }
    if (u->alive[i]) {
        u->x[i] = smax_within_map(u->x[i]);
        u->y[i] = smax_within_map(u->y[i]);
    }
    if (u->health[i] < 0 || (rules->walls_kill && (smax_touches_wall(u->x[i]) || smax_touches_wall(u->y[i])))) u->health[i] = 0;
    u->alive[i] = u->health[i] > 0;
}

/* noise [units] is added to the cooldown of those that fire; NULL: it is drawn. */
MAPPO_FN void smax_world_step(struct smax *w, const struct smax_units *u, const struct smax_rules *rules, const float *noise)
{
    const int32_t n = smax_count(rules);
    for (int32_t i = 0; i < n; i++) smax_fire(w, u, rules, i, noise);
    for (int32_t i = 0; i < n; i++) smax_move(u, rules, i);
    smax_push(u, n);
}

/* ---- the heuristic -------------------------------------------------------------------------------------------------- */

/* What unit i sees of the other side. */
struct smax_sight {
    int32_t visible, in_range; /* how many */
    int32_t nearest;           /* of the visible; -1: none */
    int32_t kept;              /* whom it fired at last, if it still can; -1: none */
};

MAPPO_FN struct smax_sight smax_look(const struct smax_units *u, const struct smax_rules *rules, const int32_t i)
{
    const struct smax_type *type = &smax_types[u->type[i]];
    const float range = type->range * type->range;
    struct smax_sight sight = {0, 0, -1, -1};
    float least = type->sight * type->sight;
    const float seen = least;
    for (int32_t k = 0; k < smax_opponents(rules, i); k++) {
        const int32_t j = smax_opponent(rules, i, k);
        const float square = smax_square(u, i, j);
        if (!(square < seen) || !u->alive[j]) continue;
        sight.visible++;
        sight.in_range += square < range;
        if (square < range && u->action[i] == SMAX_MOVES + k) sight.kept = k;
        if (square < least) {
            least = square;
            sight.nearest = k;
        }
    }
    return sight;
}

/* Number `count`, from 0, of the opponents that are nearer than `reach`. */
MAPPO_FN int32_t smax_one_of(const struct smax_units *u, const struct smax_rules *rules, const int32_t i, const float reach, int32_t count)
{
    int32_t k = 0;
    while (!smax_reaches(u, i, smax_opponent(rules, i, k), reach) || count-- > 0) k++;
    return k;
}

/* Whom an enemy turns to: to fire at, else to walk to. */
MAPPO_FN int32_t smax_choose(struct smax *w, const struct smax_units *u, const struct smax_rules *rules, const int32_t i,
                             const struct smax_sight *sight)
{
    const struct smax_type *type = &smax_types[u->type[i]];
    if (sight->visible <= 1) return sight->nearest;
    if (!sight->in_range || !rules->enemy_shoots) return smax_one_of(u, rules, i, type->sight, philox_below(&w->rng, sight->visible));
    return rules->attacks_random ? smax_one_of(u, rules, i, type->range, philox_below(&w->rng, sight->in_range)) : sight->nearest;
}

/* Fires at whom it fired at before while it can, else at `chosen` if anybody is in range; walks to `chosen` otherwise, and without one to
 * its goal. */
MAPPO_FN int32_t smax_heuristic(const struct smax_units *u, const struct smax_rules *rules, const int32_t i, const struct smax_sight *sight,
                                const int32_t chosen, const int shoots)
{
    if (shoots && sight->in_range) return SMAX_MOVES + (sight->kept >= 0 ? sight->kept : chosen);
    const int32_t j = chosen >= 0 ? smax_opponent(rules, i, chosen) : -1;
    const float x = (j >= 0 ? u->x[j] : u->goal_x[i]) - u->x[i], y = (j >= 0 ? u->y[j] : u->goal_y[i]) - u->y[i];
    int32_t best = 0;
    float most = y; /* along each of the four ways */
    for (int32_t k = 1; k < SMAX_STOP; k++) {
        const float along = (float)smax_moves[k][0] * x + (float)smax_moves[k][1] * y;
        if (along > most) most = along, best = k;
    }
    return best;
}

/* ---- an episode ----------------------------------------------------------------------------------------------------- */

MAPPO_FN void smax_scatter(struct smax *w, const struct smax_units *u, const int32_t i, const float x, const float y)
{
    u->x[i] = x + philox_uniform(&w->rng, -SMAX_SPREAD, SMAX_SPREAD);
    u->y[i] = y + philox_uniform(&w->rng, -SMAX_SPREAD, SMAX_SPREAD);
}

/* SMACv2: one side in the middle, the other in up to four groups, each somewhere between the middle and a corner. */
MAPPO_FN void smax_place_around(struct smax *w, const struct smax_units *u, const struct smax_rules *rules)
{
    enum { GROUPS = 4 };
    const int32_t allies_inside = philox_below(&w->rng, 2);
    float inwards[GROUPS];
    for (int k = 0; k < GROUPS; k++) inwards[k] = philox_uniform(&w->rng, 0, 1);
    for (int32_t i = 0; i < smax_count(rules); i++) {
        if ((i < rules->allies) == allies_inside) {
            smax_scatter(w, u, i, SMAX_SIDE / 2, SMAX_SIDE / 2);
        } else {
            const int32_t k = philox_below(&w->rng, GROUPS);
            const float corner_x = k < 2 ? 0 : SMAX_SIDE, corner_y = k % 2 ? SMAX_SIDE : 0, in = inwards[k];
            smax_scatter(w, u, i, in * (SMAX_SIDE / 2) + (1 - in) * corner_x, in * (SMAX_SIDE / 2) + (1 - in) * corner_y);
        }
    }
}

/* SMACv2: allies anywhere in their half, enemies as their mirror image; those without a partner anywhere in theirs. */
MAPPO_FN void smax_place_mirrored(struct smax *w, const struct smax_units *u, const struct smax_rules *rules)
{
    for (int32_t i = 0; i < smax_count(rules); i++) {
        const int32_t partner = i - rules->allies;
        const int mirrored = partner >= 0 && partner < rules->allies;
        const float left = partner < 0 ? 0 : SMAX_SIDE / 2;
        u->x[i] = mirrored ? SMAX_SIDE - u->x[partner] : left + philox_uniform(&w->rng, 0, SMAX_SIDE / 2);
        u->y[i] = mirrored ? u->y[partner] : philox_uniform(&w->rng, 0, SMAX_SIDE);
    }
}

/* SMACv2: allies of any type, enemies of the same; upstream's enemies without a partner are marines. */
MAPPO_FN void smax_draw_types(struct smax *w, const struct smax_units *u, const struct smax_rules *rules)
{
    for (int32_t i = 0; i < smax_count(rules); i++) {
        const int32_t partner = i - rules->allies;
        u->type[i] = partner < 0 ? philox_below(&w->rng, SMAX_TYPES) : partner < rules->allies ? u->type[partner] : 0;
    }
}

MAPPO_FN void smax_reset(struct smax *w, const struct smax_rules *rules)
{
    const struct smax_units u = smax_units_of(w, rules);
    const int32_t n = smax_count(rules);
    w->steps = 0;
    for (int32_t i = 0; i < n; i++) u.type[i] = rules->type[i];
    if (rules->random_types) smax_draw_types(w, &u, rules);
    if (!rules->random_positions)
        for (int32_t i = 0; i < n; i++) smax_scatter(w, &u, i, SMAX_SIDE * (i < rules->allies ? 0.25f : 0.75f), SMAX_SIDE / 2);
    else if (philox_below(&w->rng, 2))
        smax_place_around(w, &u, rules);
    else
        smax_place_mirrored(w, &u, rules);
    for (int32_t i = 0; i < n; i++) {
        u.health[i] = smax_types[u.type[i]].health;
        u.cooldown[i] = u.push_x[i] = u.push_y[i] = 0;
        u.action[i] = SMAX_STOP;
        u.alive[i] = 1;
    }
    smax_push(&u, n);
    for (int32_t i = 0; i < n; i++) {
        u.goal_x[i] = SMAX_SIDE - u.x[i];
        u.goal_y[i] = SMAX_SIDE - u.y[i];
    }
}

/* The dead stop; allies do as they are told, and enemies as the heuristic says. */
MAPPO_FN void smax_order(struct smax *w, const struct smax_units *u, const struct smax_rules *rules, const int32_t *act_int)
{
    for (int32_t i = 0; i < smax_count(rules); i++) {
        if (!u->alive[i]) {
            u->action[i] = SMAX_STOP;
        } else if (i < rules->allies) {
            u->action[i] = act_int[i];
        } else {
            const struct smax_sight sight = smax_look(u, rules, i);
            u->action[i] = smax_heuristic(u, rules, i, &sight, smax_choose(w, u, rules, i, &sight), rules->enemy_shoots);
        }
    }
}

/* Parts of the enemies' full health that are left, summed. */
MAPPO_FN float smax_enemy_health(const struct smax_units *u, const struct smax_rules *rules)
{
    float sum = 0;
    for (int32_t i = rules->allies; i < smax_count(rules); i++) sum += u->health[i] / smax_types[u->type[i]].health;
    return sum;
}

/* Counts the step, and pays for it: `before` is the enemies' health then. */
MAPPO_FN int smax_judge(struct smax *w, const struct smax_units *u, const struct smax_rules *rules, const float before,
                        const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    int32_t allies = 0, enemies = 0;
    for (int32_t i = 0; i < rules->allies; i++) allies += u->alive[i];
    for (int32_t i = rules->allies; i < smax_count(rules); i++) enemies += u->alive[i];
    const int won = allies && !enemies, lost = enemies && !allies;
    rule_real reward = won ? rules->victory : 0;
    if (rules->self_play_reward)
        reward -= lost ? rules->victory : 0;
    else
        reward += (before - smax_enemy_health(u, rules)) / (float)rules->enemies;
    const int end = !allies || !enemies ? MAPPO_TERMINATED : w->steps >= rules->max_steps ? MAPPO_TRUNCATED : MAPPO_RUNNING;
    w->steps++;
    for (int32_t i = 0; i < rules->allies; i++) {
        if (group->reward) group->reward[i] = reward;
        if (group->terminated) group->terminated[i] = end == MAPPO_TERMINATED;
    }
    if (io->info) {
        io->info[SMAX_BATTLE_WON] = (float)won;
        io->info[SMAX_DEAD_ALLIES] = (float)(rules->allies - allies);
        io->info[SMAX_DEAD_ENEMIES] = (float)(rules->enemies - enemies);
    }
    return end;
}

MAPPO_FN int smax_step(struct smax *w, const struct smax_rules *rules, const struct rule_io *io)
{
    const struct smax_units u = smax_units_of(w, rules);
    const float before = smax_enemy_health(&u, rules);
    smax_order(w, &u, rules, io->group[0].act_int);
    for (int step = 0; step < SMAX_WORLD_STEPS; step++) smax_world_step(w, &u, rules, NULL);
    return smax_judge(w, &u, rules, before, io);
}

/* ---- what is seen --------------------------------------------------------------------------------------------------- */

MAPPO_FN float smax_cooling(const struct smax_units *u, const int32_t i)
{
    const float part = u->cooldown[i] / smax_types[u->type[i]].cooldown;
    return part < 0 ? 0.0f : part > 1 ? 1.0f : part;
}

/* Unit j as living unit i sees it, [SMAX_OTHER]; the array is 0 before. */
MAPPO_FN void smax_observe_other(const struct smax_units *u, const struct smax_rules *rules, const int32_t i, const int32_t j, float *obs)
{
    const float sight = smax_types[u->type[i]].sight;
    const int shown = rules->sees_enemy_actions || (i < rules->allies) == (j < rules->allies);
    const int32_t action = shown ? u->action[j] : SMAX_STOP;
    obs[0] = (u->health[j] / smax_types[u->type[j]].health);
    obs[1] = (u->x[j] - u->x[i]) / sight;
    obs[2] = (u->y[j] - u->y[i]) / sight;
    if (action < SMAX_STOP) {
        obs[3] = smax_moves[action][0];
        obs[4] = smax_moves[action][1];
    } else if (action > SMAX_STOP) {
        obs[5] = (float)action / (float)(SMAX_MOVES - 1 + smax_opponents(rules, j));
    }
    obs[6] = smax_cooling(u, j);
    obs[7 + u->type[j]] = 1;
}

MAPPO_FN void smax_observe_row(const struct smax_units *u, const struct smax_rules *rules, const int32_t i, float *obs)
{
    const int32_t n = smax_count(rules);
    const struct smax_type *type = &smax_types[u->type[i]];
    memset(obs, 0, (size_t)((n - 1) * SMAX_OTHER + SMAX_OWN) * sizeof *obs);
    if (!u->alive[i]) return;
    for (int32_t j = 0; j < n; j++) {
        if (j == i) continue;
        if (smax_reaches(u, i, j, type->sight)) smax_observe_other(u, rules, i, j, obs);
        obs += SMAX_OTHER;
    }
    obs[0] = u->health[i] / type->health;
    obs[1] = u->x[i] / SMAX_SIDE;
    obs[2] = u->y[i] / SMAX_SIDE;
    obs[3] = smax_cooling(u, i);
    obs[4 + u->type[i]] = 1;
}

/* The state [SMAX_OWN] of each unit, then all teams, then all types. */
MAPPO_FN void smax_observe_state(const struct smax_units *u, const struct smax_rules *rules, float *state)
{
    const int32_t n = smax_count(rules);
    memset(state, 0, (size_t)(n * SMAX_OWN) * sizeof *state);
    for (int32_t i = 0; i < n; i++) {
        float *own = state + i * SMAX_OWN;
        state[n * SMAX_OWN + i] = i < rules->allies ? 0.0f : 1.0f;
        state[n * (SMAX_OWN + 1) + i] = (float)u->type[i];
        if (!u->alive[i]) continue;
        own[0] = u->health[i] / smax_types[u->type[i]].health;
        own[1] = u->x[i];
        own[2] = u->y[i];
        own[3] = u->cooldown[i];
        own[4 + u->type[i]] = 1;
    }
}

MAPPO_FN void smax_observe_agent(const struct smax *w, const struct smax_rules *rules, const int32_t agent, const struct rule_io *io)
{
    const struct smax_units u = smax_units_of(w, rules);
    const struct rule_group_io *row = &io->group[0];
    if (agent < 0) {
        smax_observe_state(&u, rules, io->state);
        return;
    }
    if (row->obs) smax_observe_row(&u, rules, agent, row->obs);
    if (row->active) *row->active = (uint8_t)u.alive[agent];
    if (!row->act_mask) return;
    for (int k = 0; k < SMAX_STOP; k++) row->act_mask[k] = (uint8_t)u.alive[agent];
    row->act_mask[SMAX_STOP] = 1;
    for (int32_t k = 0; k < rules->enemies; k++)
        row->act_mask[SMAX_MOVES + k] =
            (uint8_t)(u.alive[agent] && smax_reaches(&u, agent, rules->allies + k, smax_types[u.type[agent]].range));
}

#endif
