/* simple_spread: N agents cover N landmarks without bumping into each other (Lowe et al. 2017; mpe2 1.1, simple_spread_v3).
 *
 * Each agent is paid a mix of its own collisions and the team's distances. Under the rules of on-policy (marlbenchmark/on-policy, the
 * reference MAPPO) and openai the sum of all agents' rewards is paid to each. In all rule sets but mpe2 an agent collides with itself. */
#ifndef MPE_SIMPLE_SPREAD_H
#define MPE_SIMPLE_SPREAD_H

#include "envs/mpe/sight.h"

enum { SPREAD_AGENTS, SPREAD_COUNTS };
enum { SPREAD_COLLISIONS, SPREAD_MIN_DISTS, SPREAD_OCCUPIED, SPREAD_INFOS };

#define SPREAD_AGENT_SIZE    0.15
#define SPREAD_LANDMARK_SIZE 0.05
#define SPREAD_COVERED       0.1 /* a landmark with an agent nearer than this is covered */

static inline void spread_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t sight[MPE_SIGHTS] = {MPE_SEES_VELOCITY, MPE_SEES_POSITION, MPE_SEES_LANDMARKS, MPE_SEES_OTHERS, MPE_SEES_SILENCE};
    mpe_kind_of(&rules->agent[0], count[SPREAD_AGENTS], SPREAD_AGENT_SIZE, sight)->collides = 1;
    mpe_kind_start(rules, mpe_kind_of(&rules->landmark[0], count[SPREAD_AGENTS], SPREAD_LANDMARK_SIZE, NULL), 1);
    rules->summed = rules->rule_set == MPE_ON_POLICY || rules->rule_set == MPE_OPENAI;
}

/* Rewards [N] and the info columns [SPREAD_INFOS] (either NULL = not wanted) of the present state; returns how many landmarks are covered.
 */
MAPPO_FN int spread_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info)
{
    const int n = rules->agents;
    const rule_real *position = mpe_position(w, rules), *landmark = mpe_landmark(w, rules);
    rule_real distance = 0, hits[MPE_MAX_AGENTS];
    int covered = 0, pairs = 0;
    for (int l = 0; l < n; l++) {
        rule_real nearest = 0;
        for (int i = 0; i < n; i++) {
            const rule_real dx = position[2 * i] - landmark[2 * l], dy = position[2 * i + 1] - landmark[2 * l + 1];
            const rule_real square = dx * dx + dy * dy;
            nearest = i == 0 || square < nearest ? square : nearest;
        }
        nearest = rule_sqrt(nearest);
        distance += nearest;
        covered += nearest < (rule_real)SPREAD_COVERED;
    }
    for (int i = 0; i < n; i++) hits[i] = 0;
    for (int a = 0; a < n; a++) {
        for (int b = a + 1; b < n; b++) {
            const rule_real dx = position[2 * a] - position[2 * b], dy = position[2 * a + 1] - position[2 * b + 1];
            const int hit = rule_sqrt(dx * dx + dy * dy) < (rule_real)(2 * SPREAD_AGENT_SIZE);
            hits[a] += (rule_real)hit;
            hits[b] += (rule_real)hit;
            pairs += hit;
        }
    }
    if (rules->summed) {
        /* every agent: -distance - hits - 1 (it touches itself); all of them together are paid to each */
        const rule_real shared = -((rule_real)n * distance + (rule_real)(2 * pairs) + (rule_real)n);
        for (int i = 0; i < n && reward; i++) reward[i] = shared;
    } else {
        const rule_real local = rules->stage == 0 ? 0 : (rule_real)rules->local_ratio, global = (rule_real)(1 - rules->local_ratio);
        const rule_real itself = rules->rule_set == MPE_PETTINGZOO;
        for (int i = 0; i < n && reward; i++) reward[i] = -distance * global - (hits[i] + itself) * local;
    }
    if (info) {
        info[SPREAD_COLLISIONS] = (float)pairs;
        info[SPREAD_MIN_DISTS] = (float)distance;
        info[SPREAD_OCCUPIED] = (float)covered;
    }
    return covered;
}

/* Everything in index order: obs [N][D]. */
MAPPO_FN void spread_see_all(const struct mpe *w, const struct mpe_rules *rules, float *obs)
{
    const int n = rules->agents;
    const rule_real *velocity = mpe_velocity(w), *position = mpe_position(w, rules), *landmark = mpe_landmark(w, rules);
    for (int i = 0; i < n; i++) {
        const rule_real x = position[2 * i], y = position[2 * i + 1];
        float *out = obs + (size_t)i * (size_t)(6 * n);
        out[0] = (float)velocity[2 * i];
        out[1] = (float)velocity[2 * i + 1];
        out[2] = (float)x;
        out[3] = (float)y;
        out += 4;
        for (int l = 0; l < n; l++, out += 2) {
            out[0] = (float)(landmark[2 * l] - x);
            out[1] = (float)(landmark[2 * l + 1] - y);
        }
        for (int j = 0; j < n; j++) {
            if (j == i) continue;
            out[0] = (float)(position[2 * j] - x);
            out[1] = (float)(position[2 * j + 1] - y);
            out += 2;
        }
        for (int k = 0; k < 2 * (n - 1); k++) out[k] = 0;
    }
}

/* mpe_move for a single kind, so that the usual size can be unrolled. */
MAPPO_FN void spread_move(struct mpe *w, const struct mpe_rules *rules, const struct rule_group_io *group)
{
    const int n = rules->agents;
    const rule_real push = (rule_real)(mpe_reversed(rules) ? -MPE_SENSITIVITY : MPE_SENSITIVITY);
    rule_real force[2 * MPE_MAX_AGENTS], *position = mpe_position(w, rules), *velocity = mpe_velocity(w);
    for (int i = 0; i < n; i++) {
        if (rules->actions == MPE_DISCRETE)
            mpe_drive(push, group->act_int[i], NULL, &force[2 * i]);
        else
            mpe_drive(push, 0, group->act_real + (size_t)MPE_MOVES * (size_t)i, &force[2 * i]);
    }
    mpe_contacts(position, 0, n, 0, n, (rule_real)(2 * SPREAD_AGENT_SIZE), force, n);
    for (int i = 0; i < 2 * n; i++) mpe_integrate(rules->rule_set != MPE_MPE2, &position[i], &velocity[i], force[i]);
}

MAPPO_FN int spread_step(struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)
{
    spread_move(w, rules, &io->group[0]);
    const int covered = spread_score(w, rules, io->group[0].reward, io->info);
    return mpe_finish(w, rules, covered == rules->agents, io);
}

MAPPO_FN void spread_observe(const struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)
{
    if (rules->agent_neighbors >= 0 || rules->landmark_neighbors >= 0)
        mpe_observe_world(w, rules, io);
    else if (io->group[0].obs)
        spread_see_all(w, rules, io->group[0].obs);
}

/* The usual size: steps under it are compiled once more, with these as constants: unrolled, they take half the time. */
MAPPO_FN void spread_usual(struct mpe_rules *rules)
{
    rules->agents = rules->landmarks = rules->agent[0].count = rules->landmark[0].count = 3;
    rules->agent[1].count = rules->agent[2].count = rules->landmark[1].count = rules->landmark[2].count = 0;
    rules->goals = rules->speakers = rules->types = 0;
    rules->actions = MPE_DISCRETE;
    rules->agent_neighbors = rules->landmark_neighbors = -1;
}

#endif
