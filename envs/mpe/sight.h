/* What agents of the mpe suite see: a task lists, for each kind of agents, which of these stand one after the other in its observation. What
 * each of them is called, suite.c says (mpe_describe_sight), in the same order. Host and device. */
#ifndef MPE_SIGHT_H
#define MPE_SIGHT_H

#include "envs/mpe/world.h"

enum mpe_sight {
    MPE_SEES_NOTHING,
    MPE_SEES_VELOCITY,       /* its own, x and y */
    MPE_SEES_POSITION,       /* its own */
    MPE_SEES_GOAL,           /* the goal, relative to itself */
    MPE_SEES_LANDMARKS,      /* all, or the nearest, relative */
    MPE_SEES_OTHERS,         /* other agents, all or the nearest, relative; zeros where a forest hides one */
    MPE_SEES_SILENCE,        /* two zeros for each other agent that it sees: they don't speak */
    MPE_SEES_PREY,           /* velocities of the others of the last kind; with neighbours of all of these, zeros for other kinds */
    MPE_SEES_FORESTS,        /* 1 for each forest that it is in, else -1 */
    MPE_SEES_WORDS,          /* utterances of the one or those whom it hears */
    MPE_SEES_GOAL_MARK,      /* colour of the goal */
    MPE_SEES_KEY_MARK,       /* colour of the second goal */
    MPE_SEES_OWN_GOAL_MARK,  /* colour of the goal of its own number */
    MPE_SEES_OWN_MARK,       /* its own colour, which is grey with a hint of the goal's */
    MPE_SEES_LANDMARK_MARKS, /* colour of each landmark */
    MPE_SEES_CARRIED,        /* 1 at the type of treasure that it carries */
    MPE_SEES_CARRIERS, /* other agents, nearest first: relative, velocity, 1 at the type that it takes, 1 at the type that it carries */
    MPE_SEES_TREASURE  /* landmarks, nearest first: relative, 1 at its type; those that are gone are zeros at the end */
};

MAPPO_FN int32_t mpe_seen_others(const struct mpe_rules *rules)
{
    return rules->agent_neighbors < 0 ? rules->agents - 1 : rules->agent_neighbors;
}

MAPPO_FN int32_t mpe_seen_landmarks(const struct mpe_rules *rules)
{
    return rules->landmark_neighbors < 0 ? rules->landmarks : rules->landmark_neighbors;
}

/* Numbers of the n entities [n][2] without `skip`, nearest to `from` first: order [n]; how many. */
MAPPO_FN int mpe_nearest(const rule_real *entity, const int n, const int skip, const rule_real *from, int *order)
{
    rule_real distance[MPE_MAX_AGENTS > MPE_MAX_LANDMARKS ? MPE_MAX_AGENTS : MPE_MAX_LANDMARKS];
    int found = 0;
    for (int j = 0; j < n; j++) {
        if (j == skip) continue;
        const rule_real d = mpe_distance(&entity[2 * j], from);
        int k = found++;
        for (; k > 0 && distance[k - 1] > d; k--) {
            distance[k] = distance[k - 1];
            order[k] = order[k - 1];
        }
        distance[k] = d;
        order[k] = j;
    }
    return found;
}

MAPPO_FN float *mpe_see_pair(float *out, const rule_real x, const rule_real y)
{
    out[0] = (float)x;
    out[1] = (float)y;
    return out + 2;
}

MAPPO_FN float *mpe_see_relative(float *out, const rule_real *entity, const rule_real *from)
{
    return mpe_see_pair(out, entity[0] - from[0], entity[1] - from[1]);
}

/* The `count` nearest of [n][2] without `skip`; zeros where there are fewer. */
MAPPO_FN float *mpe_see_nearest(float *out, const rule_real *entity, const int n, const int skip, const rule_real *from, const int count)
{
    int order[MPE_MAX_AGENTS > MPE_MAX_LANDMARKS ? MPE_MAX_AGENTS : MPE_MAX_LANDMARKS];
    const int found = mpe_nearest(entity, n, skip, from, order);
    for (int k = 0; k < count; k++) out = k < found ? mpe_see_relative(out, &entity[2 * order[k]], from) : mpe_see_pair(out, 0, 0);
    return out;
}

/* The forests that agent i is in, a bit each. */
MAPPO_FN uint64_t mpe_forests_of(const struct mpe *w, const struct mpe_rules *rules, const int i, const rule_real size)
{
    const rule_real *position = mpe_position(w, rules), *forest = mpe_landmark(w, rules) + 2 * (rules->landmarks - rules->forests);
    uint64_t in = 0;
    for (int f = 0; f < rules->forests; f++)
        in |= (uint64_t)(mpe_distance(&position[2 * i], &forest[2 * f]) < size + rules->landmark[MPE_KINDS - 1].size) << f;
    return in;
}

MAPPO_FN float *mpe_see_mark(float *out, const struct mpe_rules *rules, const int at)
{
    for (int k = 0; k < rules->mark_size; k++) *out++ = (float)(k == rules->mark_from + at ? rules->mark_high : rules->mark_low);
    return out;
}

/* Agents see each other inside the same forest, or where neither is in one; whoever speaks and moves (the leader) sees everyone. */
MAPPO_FN int mpe_hidden(const uint64_t *in, const int i, const int j)
{
    return !(in[i] & in[j]) && (in[i] || in[j]);
}

struct mpe_eye {
    int agent;
    const struct mpe_kind *kind;
    const uint64_t *in; /* [A] the forests that each agent is in; NULL = this one sees through them */
};

MAPPO_FN float *mpe_see_others(float *out, const struct mpe *w, const struct mpe_rules *rules, const struct mpe_eye *eye)
{
    const rule_real *position = mpe_position(w, rules), *from = &position[2 * eye->agent];
    if (rules->agent_neighbors >= 0) return mpe_see_nearest(out, position, rules->agents, eye->agent, from, rules->agent_neighbors);
    for (int j = 0; j < rules->agents; j++) {
        if (j == eye->agent) continue;
        const int hidden = eye->in && mpe_hidden(eye->in, eye->agent, j);
        out = hidden ? mpe_see_pair(out, 0, 0) : mpe_see_relative(out, &position[2 * j], from);
    }
    return out;
}

/* Prey are the last kind of agents that there is. */
MAPPO_FN int mpe_prey(const struct mpe_rules *rules)
{
    int k = MPE_KINDS - 1;
    while (k > 0 && rules->agent[k].count == 0) k--;
    return k;
}

MAPPO_FN float *mpe_see_prey(float *out, const struct mpe *w, const struct mpe_rules *rules, const struct mpe_eye *eye)
{
    const rule_real *velocity = mpe_velocity(w), *position = mpe_position(w, rules);
    const int first = rules->agents - rules->agent[mpe_prey(rules)].count;
    if (rules->agent_neighbors >= 0) {
        int order[MPE_MAX_AGENTS];
        const int found = mpe_nearest(position, rules->agents, eye->agent, &position[2 * eye->agent], order);
        for (int k = 0; k < rules->agent_neighbors; k++) {
            const int seen = k < found && order[k] >= first;
            out = seen ? mpe_see_pair(out, velocity[2 * order[k]], velocity[2 * order[k] + 1]) : mpe_see_pair(out, 0, 0);
        }
        return out;
    }
    for (int j = first; j < rules->agents; j++) {
        if (j == eye->agent) continue;
        const int hidden = eye->in && mpe_hidden(eye->in, eye->agent, j);
        out = hidden ? mpe_see_pair(out, 0, 0) : mpe_see_pair(out, velocity[2 * j], velocity[2 * j + 1]);
    }
    return out;
}

MAPPO_FN float *mpe_hear(float *out, const struct mpe *w, const struct mpe_rules *rules, const struct mpe_eye *eye)
{
    const rule_real *utterance = mpe_utterance(w, rules);
    for (int s = 0; s < rules->speakers; s++)
        if (eye->kind->hears == MPE_HEARS_OTHERS ? s != eye->agent : s == eye->kind->hears)
            for (int c = 0; c < rules->words; c++) *out++ = (float)utterance[s * rules->words + c];
    return out;
}

MAPPO_FN float *mpe_see_type(float *out, const struct mpe_rules *rules, const int32_t type) /* -1: none */
{
    for (int32_t k = 0; k < rules->types; k++) *out++ = k == type ? 1.0f : 0.0f;
    return out;
}

MAPPO_FN float *mpe_see_carriers(float *out, const struct mpe *w, const struct mpe_rules *rules, const int i)
{
    const rule_real *velocity = mpe_velocity(w), *position = mpe_position(w, rules);
    const int32_t *type = mpe_type(w, rules);
    int order[MPE_MAX_AGENTS];
    const int found = mpe_nearest(position, rules->agents, i, &position[2 * i], order);
    for (int k = 0; k < found; k++) {
        const int j = order[k], carries = j < rules->agent[0].count;
        out = mpe_see_relative(out, &position[2 * j], &position[2 * i]);
        out = mpe_see_pair(out, velocity[2 * j], velocity[2 * j + 1]);
        out = mpe_see_type(out, rules, carries ? -1 : type[j]);
        out = mpe_see_type(out, rules, carries ? type[j] : -1);
    }
    return out;
}

MAPPO_FN float *mpe_see_treasure(float *out, const struct mpe *w, const struct mpe_rules *rules, const int i)
{
    const rule_real *from = &mpe_position(w, rules)[2 * i], *landmark = mpe_landmark(w, rules);
    const int32_t *type = mpe_type(w, rules) + rules->agents;
    int order[MPE_MAX_LANDMARKS], gone = 0;
    mpe_nearest(landmark, rules->landmarks, -1, from, order);
    for (int k = 0; k < rules->landmarks; k++) {
        const int l = order[k];
        if (type[l] < 0) {
            gone++;
            continue;
        }
        out = mpe_see_type(mpe_see_relative(out, &landmark[2 * l], from), rules, type[l]);
    }
    for (int k = 0; k < gone; k++) out = mpe_see_type(mpe_see_pair(out, 0, 0), rules, -1);
    return out;
}

/* One entry of an agent's list; the end of what it wrote. */
MAPPO_FN float *mpe_see(float *out, const int sight, const struct mpe *w, const struct mpe_rules *rules, const struct mpe_eye *eye)
{
    const int i = eye->agent;
    const rule_real *velocity = mpe_velocity(w), *position = mpe_position(w, rules), *landmark = mpe_landmark(w, rules);
    switch (sight) {
    case MPE_SEES_VELOCITY:
        return mpe_see_pair(out, velocity[2 * i], velocity[2 * i + 1]);
    case MPE_SEES_POSITION:
        return mpe_see_pair(out, position[2 * i], position[2 * i + 1]);
    case MPE_SEES_GOAL:
        return mpe_see_relative(out, &landmark[2 * w->goal[0]], &position[2 * i]);
    case MPE_SEES_LANDMARKS:
        if (rules->landmark_neighbors >= 0)
            return mpe_see_nearest(out, landmark, rules->landmarks, -1, &position[2 * i], rules->landmark_neighbors);
        for (int l = 0; l < rules->landmarks; l++) out = mpe_see_relative(out, &landmark[2 * l], &position[2 * i]);
        return out;
    case MPE_SEES_OTHERS:
        return mpe_see_others(out, w, rules, eye);
    case MPE_SEES_SILENCE:
        for (int k = 0; k < mpe_seen_others(rules); k++) out = mpe_see_pair(out, 0, 0);
        return out;
    case MPE_SEES_PREY:
        return mpe_see_prey(out, w, rules, eye);
    case MPE_SEES_FORESTS: {
        const uint64_t in = mpe_forests_of(w, rules, i, eye->kind->size);
        for (int f = 0; f < rules->forests; f++) *out++ = in >> f & 1 ? 1.0f : -1.0f;
        return out;
    }
    case MPE_SEES_WORDS:
        return mpe_hear(out, w, rules, eye);
    case MPE_SEES_GOAL_MARK:
        return mpe_see_mark(out, rules, w->goal[0]);
    case MPE_SEES_KEY_MARK:
        return mpe_see_mark(out, rules, w->goal[1]);
    case MPE_SEES_OWN_GOAL_MARK:
        return mpe_see_mark(out, rules, w->goal[i]);
    case MPE_SEES_OWN_MARK:
        for (int k = 0; k < rules->mark_size; k++) *out++ = k == rules->mark_from + w->goal[0] ? 0.75f : 0.25f;
        return out;
    case MPE_SEES_LANDMARK_MARKS:
        for (int l = 0; l < rules->landmarks; l++) out = mpe_see_mark(out, rules, l);
        return out;
    case MPE_SEES_CARRIED:
        return mpe_see_type(out, rules, mpe_type(w, rules)[i]);
    case MPE_SEES_CARRIERS:
        return mpe_see_carriers(out, w, rules, i);
    case MPE_SEES_TREASURE:
        return mpe_see_treasure(out, w, rules, i);
    default:
        return out;
    }
}

MAPPO_FN void mpe_observe_world(const struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)
{
    uint64_t in[MPE_MAX_AGENTS];
    for (int k = 0, i = 0; k < MPE_KINDS && rules->forests; k++)
        for (int j = 0; j < rules->agent[k].count; j++, i++) in[i] = mpe_forests_of(w, rules, i, rules->agent[k].size);
    for (int k = 0, g = 0, i = 0; k < MPE_KINDS; i += rules->agent[k++].count) {
        const struct mpe_kind *kind = &rules->agent[k];
        float *out = kind->count ? io->group[g++].obs : NULL;
        for (int j = 0; j < kind->count && out; j++) {
            const int leader = kind->moves && kind->speaks;
            const struct mpe_eye eye = {i + j, kind, rules->forests && !leader ? in : NULL};
            for (int s = 0; s < MPE_SIGHTS && kind->sight[s]; s++) out = mpe_see(out, kind->sight[s], w, rules, &eye);
        }
    }
}

#endif
