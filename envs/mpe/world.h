/* The world that all multi-agent particle environments share (Lowe et al. 2017; mpe2 1.1, _mpe_utils): circles of mass 1 in an unbounded
 * plane; lengths in units of the field (-1 .. 1), time in seconds, a step is 0.1 s. A task fills in what kinds of agents and landmarks it
 * has, and scores what became of them. Host and device: no files, no allocation, no globals.
 *
 * Rule sets differ in the integrator (the position moves with the old velocity in mpe2, else with the new one) and in the directions of
 * movements: mpe2 has left, right, down, up; on-policy (the reference MAPPO's copy) and openai (the first release) have right, left, up,
 * down; pettingzoo-1.22 has mpe2's for choices and openai's for numbers. Landmarks are nearer to the middle in some tasks of on-policy.
 * What else differs, tasks say. */
#ifndef MPE_WORLD_H
#define MPE_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "env/rules.h"

#define MPE_DT             0.1
#define MPE_DAMPING        0.25
#define MPE_CONTACT_FORCE  100.0
#define MPE_CONTACT_MARGIN 1e-3 /* k of the softened penetration, k log(1 + exp(-gap / k)) */
#define MPE_SENSITIVITY    5.0  /* force of a movement where the agent has no `accel` of its own */

#define MPE_PI   3.14159265358979323846
#define MPE_LINE 1.25 /* between the ends of simple_line's line */

enum {
    MPE_MOVES = 5 /* no action and four directions */,
    MPE_MAX_AGENTS = 64,
    MPE_MAX_LANDMARKS = 64,
    MPE_MAX_TYPES = 6,
    MPE_MAX_INFOS = 4
};
enum { MPE_KINDS = 3 /* of agents, and of landmarks */, MPE_SIGHTS = 8, MPE_HEARS_OTHERS = -1 };
enum mpe_rule_set { MPE_MPE2, MPE_ON_POLICY, MPE_PETTINGZOO, MPE_OPENAI };
enum mpe_actions {
    MPE_DISCRETE,   /* choices */
    MPE_CONTINUOUS, /* a number of 0 .. 1 for each choice, of which differences count */
    MPE_SOFT        /* the same, meant to be points of the simplex: softened choices */
};

/* ---- rules and state ---------------------------------------------------------------------------------------- */

/* Entities that are alike. All agents come first, then all landmarks, each kind behind the one before. */
struct mpe_kind {
    int32_t count;
    int32_t collides, moves, speaks;
    int32_t hears;             /* of agents: number of the speaker whom they hear, or MPE_HEARS_OTHERS */
    uint8_t sight[MPE_SIGHTS]; /* of agents: what they see (enum mpe_sight), one after the other; the rest is 0 */
    rule_real size;            /* radius */
    rule_real push, max_speed; /* force of a movement; 0 = unlimited */
    rule_real range, scale;    /* it starts at scale * U(-range, range) in either coordinate */
};

/* Constant through the life of a batch. */
struct mpe_rules {
    int32_t rule_set, actions;                   /* enum mpe_rule_set, enum mpe_actions */
    int32_t max_cycles;                          /* steps of an episode */
    int32_t agents, landmarks, speakers;         /* of all kinds */
    int32_t words;                               /* numbers of an utterance */
    int32_t goals;                               /* landmarks that are drawn as goals at a start: 0 .. 2 */
    int32_t redrawn;                             /* landmarks, the last ones, whose place upstream draws twice */
    int32_t angled;                              /* the last landmark lies at an angle from the one before it, which one number makes */
    int32_t forests;                             /* landmarks, the last ones, that hide agents */
    int32_t types;                               /* of treasure, which landmarks then are; 0 = there is none */
    int32_t summed;                              /* each agent is paid what all of them earn together */
    int32_t stage;                               /* curriculum_stage; -1 = no curriculum */
    int32_t success_ends;                        /* terminate_on_success */
    int32_t agent_neighbors, landmark_neighbors; /* nearest ones that an agent sees; -1 = all, in index order */
    int32_t mark_size, mark_from;                /* colours that are seen: numbers that are mark_low, but mark_high … */
    rule_real turn[2];                           /* cosine and sine of the angle between places on a circle */
    rule_real mark_low, mark_high;               /* … at mark_from + the landmark's number */
    double local_ratio;                          /* part of an agent's own reward in what it is paid; the rest is the team's */
    struct mpe_kind agent[MPE_KINDS], landmark[MPE_KINDS];
};

/* One copy. Behind it lie, in the type of the rules, velocities [A][2], positions of agents [A][2] and of landmarks [L][2], utterances
 * [speakers][words]; where there is treasure, a second generator and types [A + L]. */
struct mpe {
    int32_t steps;
    int16_t goal[2]; /* landmarks */
    struct philox rng;
};

MAPPO_FN size_t mpe_whole(const size_t bytes) /* multiple of 8 */
{
    return (bytes + 7) & ~(size_t)7;
}

/* Up to where numbers lie. */
MAPPO_FN size_t mpe_numbers_end(const struct mpe_rules *rules)
{
    const int32_t numbers = 4 * rules->agents + 2 * rules->landmarks + rules->speakers * rules->words;
    return mpe_whole(sizeof(struct mpe) + (size_t)numbers * sizeof(rule_real));
}

MAPPO_FN size_t mpe_bytes(const struct mpe_rules *rules)
{
    const size_t types = sizeof(struct philox) + (size_t)(rules->agents + rules->landmarks) * sizeof(int32_t);
    return mpe_numbers_end(rules) + (rules->types ? mpe_whole(types) : 0);
}

MAPPO_FN rule_real *mpe_velocity(const struct mpe *w) /* [A][2] */
{
    return (rule_real *)(w + 1);
}

MAPPO_FN rule_real *mpe_position(const struct mpe *w, const struct mpe_rules *rules) /* [A + L][2] */
{
    return (rule_real *)(w + 1) + 2 * rules->agents;
}

MAPPO_FN rule_real *mpe_landmark(const struct mpe *w, const struct mpe_rules *rules) /* [L][2] */
{
    return (rule_real *)(w + 1) + 4 * rules->agents;
}

MAPPO_FN rule_real *mpe_utterance(const struct mpe *w, const struct mpe_rules *rules) /* [speakers][words] */
{
    return (rule_real *)(w + 1) + 4 * rules->agents + 2 * rules->landmarks;
}

/* By which treasure comes back: the other one as it stood before the episode's first number. */
MAPPO_FN struct philox *mpe_again(const struct mpe *w, const struct mpe_rules *rules)
{
    return (struct philox *)((char *)w + mpe_numbers_end(rules));
}

/* Types of treasure [A + L]: that an agent of the first kind carries (-1: none) and one of the second takes, and of each landmark: ~type while it
 * is gone, waiting to come back where its position says. */
MAPPO_FN int32_t *mpe_type(const struct mpe *w, const struct mpe_rules *rules)
{
    return (int32_t *)(mpe_again(w, rules) + 1);
}

MAPPO_FN rule_real mpe_distance(const rule_real *a, const rule_real *b)
{
    const rule_real dx = a[0] - b[0], dy = a[1] - b[1];
    return rule_sqrt(dx * dx + dy * dy);
}

/* What one agent is: integers and numbers of its action. */
MAPPO_FN int mpe_split(const struct mpe_rules *rules, const struct mpe_kind *kind) /* movement and utterance are integers of their own */
{
    return kind->moves && kind->speaks && (rules->rule_set == MPE_ON_POLICY || rules->rule_set == MPE_OPENAI);
}

MAPPO_FN int32_t mpe_action_reals(const struct mpe_rules *rules, const struct mpe_kind *kind)
{
    return (kind->moves ? MPE_MOVES : 0) + (kind->speaks ? rules->words : 0);
}

/* ---- a task's world ------------------------------------------------------------------------------------------ */

/* A kind with everything else at its default: silent, moving agents, who see `sight`, and landmarks (NULL); nothing bumps into them. */
static inline struct mpe_kind *mpe_kind_of(struct mpe_kind *kind, const int32_t count, const double size, const uint8_t *sight)
{
    kind->count = count;
    kind->moves = sight != NULL;
    for (int s = 0; s < MPE_SIGHTS && sight; s++) kind->sight[s] = sight[s];
    kind->size = (rule_real)size;
    kind->push = (rule_real)MPE_SENSITIVITY;
    kind->range = kind->scale = 1;
    return kind;
}

/* Of agents with an `accel`, which the reference MAPPO's copy multiplies by twice. */
static inline void mpe_kind_drive(const struct mpe_rules *rules, struct mpe_kind *kind, const double accel, const double max_speed)
{
    kind->push = (rule_real)(rules->rule_set == MPE_ON_POLICY ? accel * accel : accel);
    kind->max_speed = (rule_real)max_speed;
}

/* Where landmarks start: within `range`; in the reference MAPPO's copy within 0.8. */
static inline void mpe_kind_start(const struct mpe_rules *rules, struct mpe_kind *kind, const double range)
{
    kind->range = (rule_real)(rules->rule_set == MPE_ON_POLICY ? 1 : range);
    kind->scale = (rule_real)(rules->rule_set == MPE_ON_POLICY ? 0.8 : 1);
}

/* All kinds are there: sums them up. */
static inline void mpe_world_finish(struct mpe_rules *rules)
{
    rules->agents = rules->landmarks = rules->speakers = 0;
    for (int k = 0; k < MPE_KINDS; k++) {
        rules->agents += rules->agent[k].count;
        rules->landmarks += rules->landmark[k].count;
        rules->speakers += rules->agent[k].speaks ? rules->agent[k].count : 0;
    }
}

/* ---- a new episode ------------------------------------------------------------------------------------------- */

/* The last landmark at MPE_LINE from the one before it, at an angle of a number in [0, 1), turned by 5 degrees until it is in the field. */
MAPPO_FN void mpe_place_at_angle(rule_real *last, const rule_real uniform)
{
    const rule_real turn = (rule_real)(2 * MPE_PI), five = (rule_real)(5 * (MPE_PI / 180));
    rule_real angle = turn * uniform;
    for (int tries = 0; tries < 72; tries++, angle += five) {
        last[0] = last[-2] + (rule_real)MPE_LINE * rule_cos(angle);
        last[1] = last[-1] + (rule_real)MPE_LINE * rule_sin(angle);
        if (rule_abs(last[0]) < 1 && rule_abs(last[1]) < 1) return;
    }
}

/* From numbers in [0, 1) that lie where the positions will, x and y of each entity; goals and types of landmarks are there. */
MAPPO_FN void mpe_place(struct mpe *w, const struct mpe_rules *rules)
{
    rule_real *velocity = mpe_velocity(w), *position = mpe_position(w, rules), *utterance = mpe_utterance(w, rules);
    w->steps = 0;
    for (int i = 0; i < 2 * rules->agents; i++) velocity[i] = 0;
    for (int i = 0; i < rules->speakers * rules->words; i++) utterance[i] = 0;
    for (int i = 0; i < 2 * rules->agents; i++) position[i] = -1 + 2 * position[i];
    position += 2 * rules->agents;
    const rule_real angle = rules->angled ? position[2 * rules->landmarks - 2] : 0;
    for (int k = 0; k < MPE_KINDS; k++) {
        const rule_real range = rules->landmark[k].range, scale = rules->landmark[k].scale;
        for (int i = 0; i < 2 * rules->landmark[k].count; i++, position++) *position = scale * (-range + 2 * range * *position);
    }
    if (rules->angled) mpe_place_at_angle(position - 2, angle);
    for (int i = 0; i < rules->agents && rules->types; i++) {
        const int32_t takes = i - rules->agent[0].count;
        mpe_type(w, rules)[i] = takes < 0 ? -1 : takes;
    }
}

/* Numbers that a start takes. */
MAPPO_FN int32_t mpe_start_numbers(const struct mpe_rules *rules)
{
    return 2 * (rules->agents + rules->landmarks) - (rules->angled ? 1 : 0);
}

MAPPO_FN void mpe_reset(struct mpe *w, const struct mpe_rules *rules)
{
    rule_real *uniform = mpe_position(w, rules); /* in place */
    if (rules->types) *mpe_again(w, rules) = w->rng;
    for (int k = 0; k < rules->goals; k++) w->goal[k] = (int16_t)philox_below(&w->rng, rules->landmarks);
    for (int i = 0; i < mpe_start_numbers(rules); i++) uniform[i] = (rule_real)philox_float(philox_next(&w->rng));
    for (int l = 0; l < rules->landmarks && rules->types; l++) mpe_type(w, rules)[rules->agents + l] = philox_below(&w->rng, rules->types);
    mpe_place(w, rules);
}

/* ---- physics ------------------------------------------------------------------------------------------------- */

/* exp(-gap / k) is exactly 0 beyond 0.746 in double and beyond 0.104 in float, and then so is the force. */
#define MPE_CONTACT_REACH (sizeof(rule_real) == sizeof(float) ? (rule_real)0.11f : (rule_real)0.75)

/* The force on a at offset d = p_a - p_b (on b it is the opposite); zero beyond the reach, and at d = 0, where it has no direction. */
MAPPO_FN void mpe_contact(const rule_real dx, const rule_real dy, const rule_real touch, rule_real *fx, rule_real *fy)
{
    const rule_real square = dx * dx + dy * dy, reach = touch + MPE_CONTACT_REACH;
    *fx = *fy = 0;
    if (square >= reach * reach || square == 0) return;
    const rule_real distance = rule_sqrt(square), k = (rule_real)MPE_CONTACT_MARGIN;
    const rule_real x = -(distance - touch) / k; /* log(1 + e^x) without overflow */
    const rule_real penetration = ((x > 0 ? x : 0) + rule_log1p(rule_exp(-rule_abs(x)))) * k;
    *fx = (rule_real)MPE_CONTACT_FORCE * dx / distance * penetration;
    *fy = (rule_real)MPE_CONTACT_FORCE * dy / distance * penetration;
}

/* Contacts of agents [a, a_end) with entities [b, b_end), each pair once: of an agent with those behind it. force [A][2]. */
MAPPO_FN void mpe_contacts(const rule_real *position, int a, const int a_end, const int b, const int b_end, const rule_real touch,
                           rule_real *force, const int agents)
{
    for (; a < a_end; a++) {
        for (int c = b > a ? b : a + 1; c < b_end; c++) {
            rule_real fx, fy;
            mpe_contact(position[2 * a] - position[2 * c], position[2 * a + 1] - position[2 * c + 1], touch, &fx, &fy);
            force[2 * a] += fx;
            force[2 * a + 1] += fy;
            if (c >= agents) continue;
            force[2 * c] -= fx;
            force[2 * c + 1] -= fy;
        }
    }
}

/* Each agent's forces add up in the order of its partners, as upstream. */
MAPPO_FN void mpe_collide(const struct mpe *w, const struct mpe_rules *rules, rule_real *force)
{
    const rule_real *position = mpe_position(w, rules);
    for (int k = 0, a = 0; k < MPE_KINDS; a += rules->agent[k++].count) {
        if (!rules->agent[k].collides) continue;
        const int a_end = a + rules->agent[k].count;
        for (int m = k, b = a; m < 2 * MPE_KINDS; m++) {
            const struct mpe_kind *other = m < MPE_KINDS ? &rules->agent[m] : &rules->landmark[m - MPE_KINDS];
            if (other->collides)
                mpe_contacts(position, a, a_end, b, b + other->count, rules->agent[k].size + other->size, force, rules->agents);
            b += other->count;
        }
    }
}

/* Numbers of actions have mpe2's order of directions, or the other. */
MAPPO_FN int mpe_reversed(const struct mpe_rules *rules)
{
    return rules->rule_set == MPE_ON_POLICY || rules->rule_set == MPE_OPENAI ||
           (rules->rule_set == MPE_PETTINGZOO && rules->actions != MPE_DISCRETE);
}

/* Force of a movement; differences of numbers are taken in float, as upstream does with its float32 actions. */
MAPPO_FN void mpe_drive(const rule_real push, const int32_t move, const float *part, rule_real *force)
{
    if (part) {
        force[0] = push * (rule_real)(part[2] - part[1]);
        force[1] = push * (rule_real)(part[4] - part[3]);
    } else {
        force[0] = push * (rule_real)((move == 2) - (move == 1));
        force[1] = push * (rule_real)((move == 4) - (move == 3));
    }
}

MAPPO_FN void mpe_say(const int32_t words, const int32_t word, const float *part, rule_real *utterance)
{
    for (int c = 0; c < words; c++) utterance[c] = part ? (rule_real)part[c] : (rule_real)(c == word);
}

/* Actions into forces [A][2] and utterances. */
MAPPO_FN void mpe_act(struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io, rule_real *force)
{
    rule_real *utterance = mpe_utterance(w, rules);
    for (int k = 0, g = 0; k < MPE_KINDS; k++) {
        const struct mpe_kind *kind = &rules->agent[k];
        if (kind->count == 0) continue;
        const struct rule_group_io *group = &io->group[g++];
        const rule_real push = mpe_reversed(rules) ? -kind->push : kind->push;
        const int split = mpe_split(rules, kind), reals = mpe_action_reals(rules, kind);
        for (int i = 0; i < kind->count; i++, force += 2) {
            const float *part = rules->actions == MPE_DISCRETE ? NULL : group->act_real + (size_t)i * (size_t)reals;
            const int32_t *act = part ? NULL : group->act_int + (split ? 2 * i : i);
            const int32_t both = part || split || !kind->speaks ? 0 : act[0]; /* a movement and an utterance in one */
            force[0] = force[1] = 0;
            if (kind->moves) mpe_drive(push, part ? 0 : kind->speaks && !split ? both % MPE_MOVES : act[0], part, force);
            if (!kind->speaks) continue;
            const int32_t word = part ? 0 : split ? act[1] : kind->moves ? both / MPE_MOVES : both;
            mpe_say(rules->words, word, part && kind->moves ? part + MPE_MOVES : part, utterance);
            utterance += rules->words;
        }
    }
}

/* One coordinate over one step. */
MAPPO_FN void mpe_integrate(const int semi_implicit, rule_real *position, rule_real *velocity, const rule_real force)
{
    const rule_real dt = (rule_real)MPE_DT, keep = (rule_real)(1 - MPE_DAMPING);
    if (!semi_implicit) {
        *position += *velocity * dt;
        *velocity = *velocity * keep + force * dt;
    } else {
        *velocity = *velocity * keep + force * dt;
        *position += *velocity * dt;
    }
}

/* Both coordinates of an agent that has a greatest speed. */
MAPPO_FN void mpe_integrate_limited(const int semi_implicit, const rule_real max_speed, rule_real *position, rule_real *velocity,
                                    const rule_real *force)
{
    const rule_real dt = (rule_real)MPE_DT, before[2] = {position[0], position[1]};
    for (int k = 0; k < 2; k++) mpe_integrate(semi_implicit, &position[k], &velocity[k], force[k]);
    const rule_real speed = rule_sqrt(velocity[0] * velocity[0] + velocity[1] * velocity[1]);
    if (!(speed > max_speed)) return;
    for (int k = 0; k < 2; k++) {
        velocity[k] = velocity[k] / speed * max_speed;
        if (semi_implicit) position[k] = before[k] + velocity[k] * dt;
    }
}

/* A step: actions, contacts at the old positions, motion. */
MAPPO_FN void mpe_move(struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)
{
    rule_real force[2 * MPE_MAX_AGENTS], *position = mpe_position(w, rules), *velocity = mpe_velocity(w);
    const int semi_implicit = rules->rule_set != MPE_MPE2;
    mpe_act(w, rules, io, force);
    mpe_collide(w, rules, force);
    for (int k = 0, a = 0; k < MPE_KINDS; a += rules->agent[k++].count) {
        const rule_real max_speed = rules->agent[k].max_speed;
        for (int i = 2 * a; i < 2 * (a + rules->agent[k].count) && rules->agent[k].moves; i += 2) {
            if (max_speed > 0) {
                mpe_integrate_limited(semi_implicit, max_speed, &position[i], &velocity[i], &force[i]);
                continue;
            }
            mpe_integrate(semi_implicit, &position[i], &velocity[i], force[i]);
            mpe_integrate(semi_implicit, &position[i + 1], &velocity[i + 1], force[i + 1]);
        }
    }
}

/* ---- what a step pays ---------------------------------------------------------------------------------------- */

/* What prey pay for a coordinate whose absolute value is x: nothing inside the field, then more and more, so that they stay. */
MAPPO_FN rule_real mpe_leaving(const rule_real x)
{
    const rule_real far = x < 1 ? 0 : rule_exp(2 * x - 2);
    return x < (rule_real)0.9 ? 0 : x < 1 ? (x - (rule_real)0.9) * 10 : far < 10 ? far : 10;
}

/* The least distance from `from` to n > 0 entities [n][2]. */
MAPPO_FN rule_real mpe_least_distance(const rule_real *entity, const int n, const rule_real *from)
{
    rule_real least = mpe_distance(entity, from);
    for (int j = 1; j < n; j++) {
        const rule_real d = mpe_distance(&entity[2 * j], from);
        least = d < least ? d : least;
    }
    return least;
}

/* How many of n entities [n][2] lie nearer than `touch`. */
MAPPO_FN int mpe_touching(const rule_real *entity, const int n, const rule_real *from, const rule_real touch)
{
    int count = 0;
    for (int j = 0; j < n; j++) count += mpe_distance(&entity[2 * j], from) < touch;
    return count;
}

/* A task's score of the present state: what each agent earns [A], and its info columns; whether it is solved. */
typedef int mpe_score(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward, float *info);

/* At the last step the time limit wins over success, as upstream. */
MAPPO_FN int mpe_finish(struct mpe *w, const struct mpe_rules *rules, const int success, const struct rule_io *io)
{
    const int late = ++w->steps >= rules->max_cycles, solved = !late && rules->success_ends && success;
    for (int k = 0, g = 0; k < MPE_KINDS; k++) {
        if (rules->agent[k].count == 0) continue;
        uint8_t *terminated = io->group[g++].terminated;
        for (int i = 0; i < rules->agent[k].count && terminated; i++) terminated[i] = (uint8_t)solved;
    }
    return late ? MAPPO_TRUNCATED : solved ? MAPPO_TERMINATED : MAPPO_RUNNING;
}

/* The end of a step: hands out what each agent earned [A], and the first `infos` of info. */
MAPPO_FN int mpe_pay(struct mpe *w, const struct mpe_rules *rules, const rule_real *earned, const float *info, const int infos,
                     const int success, const struct rule_io *io)
{
    rule_real sum = 0;
    for (int i = 0; i < rules->agents && rules->summed; i++) sum += earned[i];
    for (int k = 0, g = 0, a = 0; k < MPE_KINDS; a += rules->agent[k++].count) {
        rule_real *reward = rules->agent[k].count ? io->group[g++].reward : NULL;
        for (int i = 0; i < rules->agent[k].count && reward; i++) reward[i] = rules->summed ? sum : earned[a + i];
    }
    for (int k = 0; k < infos && io->info; k++) io->info[k] = info[k];
    return mpe_finish(w, rules, success, io);
}

MAPPO_FN int mpe_step_of(struct mpe *w, const struct mpe_rules *rules, mpe_score *score, const int infos, const struct rule_io *io)
{
    rule_real earned[MPE_MAX_AGENTS];
    float info[MPE_MAX_INFOS];
    mpe_move(w, rules, io);
    const int success = score(w, rules, earned, info);
    return mpe_pay(w, rules, earned, info, infos, success, io);
}

#endif
