/* simple_spread: N agents cover N landmarks without bumping into each other (Lowe et al. 2017).
 *
 * Rules "mpe2" (mpe2 1.1, simple_spread_v3): explicit integrator, landmarks in the whole field, each agent is paid a mix of its own
 * collisions and the team's distances. Rules "on-policy" (marlbenchmark/on-policy, the reference MAPPO): semi-implicit integrator,
 * movements in the order right, left, up, down, landmarks in 0.8 of the field, an agent collides with itself, and the sum of all agents'
 * rewards is paid to each. Host and device: no files, no allocation, no globals. */
#ifndef MPE_SIMPLE_SPREAD_H
#define MPE_SIMPLE_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#include "env/rules.h"
#include "envs/mpe/world.h"

enum { SPREAD_MAX_AGENTS = 64 };
enum spread_rule_set { SPREAD_MPE2, SPREAD_ON_POLICY };
enum spread_info { SPREAD_COLLISIONS, SPREAD_MIN_DISTS, SPREAD_OCCUPIED, SPREAD_INFOS };

#define SPREAD_AGENT_SIZE    0.15
#define SPREAD_LANDMARK_SIZE 0.05
#define SPREAD_COVERED       0.1 /* a landmark with an agent nearer than this is covered */

/* Constant through the life of a batch. */
struct spread_rules {
    int32_t rule_set;           /* enum spread_rule_set */
    int32_t agents;             /* N, of agents and of landmarks */
    int32_t max_cycles;         /* steps of an episode */
    int32_t continuous;         /* actions are 5 real numbers instead of one of 5 choices */
    int32_t collision_penalty;  /* 0 in the first stage of the curriculum */
    int32_t success_ends;       /* terminate_on_success */
    int32_t agent_neighbors;    /* nearest others that an agent sees; -1 = all, in index order */
    int32_t landmark_neighbors; /* nearest landmarks that an agent sees; -1 = all, in index order */
    double local_ratio;         /* fraction of the agent's own collisions in its reward */
};

/* State of one environment; N velocities, N agent positions and N landmark positions, x and y each, follow it in the type of the rules. */
struct spread {
    int32_t steps;
    int32_t padding;
    struct philox rng;
};

MAPPO_FN size_t spread_bytes(const struct spread_rules *rules)
{
    return (sizeof(struct spread) + (size_t)rules->agents * 6 * sizeof(rule_real) + 7) & ~(size_t)7;
}

MAPPO_FN int32_t spread_seen_agents(const struct spread_rules *rules)
{
    return rules->agent_neighbors < 0 ? rules->agents - 1 : rules->agent_neighbors;
}

MAPPO_FN int32_t spread_seen_landmarks(const struct spread_rules *rules)
{
    return rules->landmark_neighbors < 0 ? rules->agents : rules->landmark_neighbors;
}

/* D: own velocity and position, landmarks, others, and two numbers of utterance for each other (always zero: the agents are silent). */
MAPPO_FN int32_t spread_obs_size(const struct spread_rules *rules)
{
    return 4 + 2 * spread_seen_landmarks(rules) + 4 * spread_seen_agents(rules);
}

MAPPO_FN rule_real *spread_velocity(const struct spread *w) /* [N][2] */
{
    return (rule_real *)(w + 1);
}

MAPPO_FN rule_real *spread_position(const struct spread *w, const int n) /* [N][2] */
{
    return (rule_real *)(w + 1) + 2 * n;
}

MAPPO_FN rule_real *spread_landmark(const struct spread *w, const int n) /* [N][2] */
{
    return (rule_real *)(w + 1) + 4 * n;
}

/* A new episode from 4N numbers in [0, 1), in upstream's order: x and y of each agent, then of each landmark. They may lie where the
 * positions will. */
MAPPO_FN void spread_place(struct spread *w, const struct spread_rules *rules, const rule_real *uniform)
{
    const int n = rules->agents;
    const rule_real field = rules->rule_set == SPREAD_ON_POLICY ? (rule_real)0.8 : (rule_real)1;
    rule_real *velocity = spread_velocity(w), *position = spread_position(w, n), *landmark = spread_landmark(w, n);
    w->steps = 0;
    for (int i = 0; i < 2 * n; i++) {
        velocity[i] = 0;
        position[i] = -1 + 2 * uniform[i];
        landmark[i] = field * (-1 + 2 * uniform[2 * n + i]);
    }
}

MAPPO_FN void spread_reset(struct spread *w, const struct spread_rules *rules)
{
    rule_real *uniform = spread_position(w, rules->agents); /* in place */
    for (int i = 0; i < 4 * rules->agents; i++) uniform[i] = (rule_real)philox_float(philox_next(&w->rng));
    spread_place(w, rules, uniform);
}

/* Force of agent i's action. The continuous difference is taken in float, as upstream does with its float32 actions. */
MAPPO_FN void spread_push(const struct spread_rules *rules, const int i, const int32_t *act_int, const float *act_real, rule_real *fx,
                          rule_real *fy)
{
    /* mpe2: 1 left, 2 right, 3 down, 4 up; on-policy: 1 right, 2 left, 3 up, 4 down */
    const rule_real push = rules->rule_set == SPREAD_ON_POLICY ? -(rule_real)MPE_SENSITIVITY : (rule_real)MPE_SENSITIVITY;
    if (rules->continuous) {
        const float *a = act_real + (size_t)MPE_MOVES * i;
        *fx = push * (rule_real)(a[2] - a[1]);
        *fy = push * (rule_real)(a[4] - a[3]);
    } else {
        const int32_t move = act_int[i];
        *fx = push * (rule_real)((move == 2) - (move == 1));
        *fy = push * (rule_real)((move == 4) - (move == 3));
    }
}

/* Physics of one step: contacts at the old positions, then integration. */
MAPPO_FN void spread_move(struct spread *w, const struct spread_rules *rules, const int32_t *act_int, const float *act_real)
{
    const int n = rules->agents;
    rule_real *velocity = spread_velocity(w), *position = spread_position(w, n);
    const int integrator = rules->rule_set == SPREAD_ON_POLICY ? MPE_SEMI_IMPLICIT : MPE_EXPLICIT;
    rule_real force[2 * SPREAD_MAX_AGENTS];
    for (int i = 0; i < n; i++) spread_push(rules, i, act_int, act_real, &force[2 * i], &force[2 * i + 1]);
    for (int a = 0; a < n; a++) {
        for (int b = a + 1; b < n; b++) {
            const rule_real dx = position[2 * a] - position[2 * b], dy = position[2 * a + 1] - position[2 * b + 1];
            rule_real fx, fy;
            mpe_contact(dx, dy, (rule_real)(2 * SPREAD_AGENT_SIZE), &fx, &fy);
            force[2 * a] += fx;
            force[2 * a + 1] += fy;
            force[2 * b] -= fx;
            force[2 * b + 1] -= fy;
        }
    }
    for (int i = 0; i < 2 * n; i++) mpe_integrate(integrator, &position[i], &velocity[i], force[i]);
}

/* Rewards [N] and the info columns [SPREAD_INFOS] (either NULL = not wanted) of the present state; returns how many landmarks are covered.
 */
MAPPO_FN int spread_score(const struct spread *w, const struct spread_rules *rules, rule_real *reward, float *info)
{
    const int n = rules->agents;
    const rule_real *position = spread_position(w, n), *landmark = spread_landmark(w, n);
    rule_real distance = 0, hits[SPREAD_MAX_AGENTS];
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
    if (rules->rule_set == SPREAD_ON_POLICY) {
        /* every agent: -distance - hits - 1 (it touches itself); all of them together are paid to each */
        const rule_real shared = -((rule_real)n * distance + (rule_real)(2 * pairs) + (rule_real)n);
        for (int i = 0; i < n && reward; i++) reward[i] = shared;
    } else {
        const rule_real local = rules->collision_penalty ? (rule_real)rules->local_ratio : 0, global = (rule_real)(1 - rules->local_ratio);
        for (int i = 0; i < n && reward; i++) reward[i] = -distance * global - hits[i] * local;
    }
    if (info) {
        info[SPREAD_COLLISIONS] = (float)pairs;
        info[SPREAD_MIN_DISTS] = (float)distance;
        info[SPREAD_OCCUPIED] = (float)covered;
    }
    return covered;
}

/* At the last step the time limit wins over success, as upstream. */
MAPPO_FN int spread_step(struct spread *w, const struct spread_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    spread_move(w, rules, group->act_int, group->act_real);
    const int covered = spread_score(w, rules, group->reward, io->info), late = ++w->steps >= rules->max_cycles;
    const int success = !late && rules->success_ends && covered == rules->agents;
    for (int i = 0; i < rules->agents && group->terminated; i++) group->terminated[i] = (uint8_t)success;
    return late ? MAPPO_TRUNCATED : success ? MAPPO_TERMINATED : MAPPO_RUNNING;
}

/* Everything in index order: obs [N][D]. */
MAPPO_FN void spread_see_all(const struct spread *w, const int n, float *obs)
{
    const rule_real *velocity = spread_velocity(w), *position = spread_position(w, n), *landmark = spread_landmark(w, n);
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

/* The `count` entities of [N][2] nearest to (x, y), nearest first, without `skip`; zeros where there are fewer. Returns the end of what it
 * wrote. */
MAPPO_FN float *spread_see_nearest(const rule_real *entity, const int n, const int skip, const rule_real x, const rule_real y,
                                   const int count, float *out)
{
    rule_real distance[SPREAD_MAX_AGENTS];
    int order[SPREAD_MAX_AGENTS], found = 0;
    for (int j = 0; j < n; j++) {
        if (j == skip) continue;
        const rule_real dx = entity[2 * j] - x, dy = entity[2 * j + 1] - y, d = rule_sqrt(dx * dx + dy * dy);
        int k = found++;
        for (; k > 0 && distance[k - 1] > d; k--) {
            distance[k] = distance[k - 1];
            order[k] = order[k - 1];
        }
        distance[k] = d;
        order[k] = j;
    }
    for (int k = 0; k < count; k++, out += 2) {
        out[0] = k < found ? (float)(entity[2 * order[k]] - x) : 0;
        out[1] = k < found ? (float)(entity[2 * order[k] + 1] - y) : 0;
    }
    return out;
}

MAPPO_FN void spread_observe(const struct spread *w, const struct spread_rules *rules, const struct rule_io *io)
{
    const int n = rules->agents;
    float *obs = io->group[0].obs;
    if (!obs) return;
    if (rules->agent_neighbors < 0 && rules->landmark_neighbors < 0) {
        spread_see_all(w, n, obs);
        return;
    }
    const rule_real *velocity = spread_velocity(w), *position = spread_position(w, n), *landmark = spread_landmark(w, n);
    for (int i = 0; i < n; i++) {
        const rule_real x = position[2 * i], y = position[2 * i + 1];
        *obs++ = (float)velocity[2 * i];
        *obs++ = (float)velocity[2 * i + 1];
        *obs++ = (float)x;
        *obs++ = (float)y;
        if (rules->landmark_neighbors < 0) {
            for (int l = 0; l < 2 * n; l++) *obs++ = (float)(landmark[l] - (l & 1 ? y : x));
        } else {
            obs = spread_see_nearest(landmark, n, -1, x, y, rules->landmark_neighbors, obs);
        }
        if (rules->agent_neighbors < 0) {
            for (int j = 0; j < 2 * n; j++)
                if (j / 2 != i) *obs++ = (float)(position[j] - (j & 1 ? y : x));
        } else {
            obs = spread_see_nearest(position, n, i, x, y, rules->agent_neighbors, obs);
        }
        for (int k = 0; k < 2 * spread_seen_agents(rules); k++) *obs++ = 0;
    }
}

/* The usual size: steps under it are compiled once more, with these as constants: unrolled, they take half the time. */
MAPPO_FN void spread_usual(struct spread_rules *rules)
{
    rules->agents = 3;
    rules->continuous = 0;
    rules->agent_neighbors = rules->landmark_neighbors = -1;
}

#endif
