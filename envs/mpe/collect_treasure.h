/* collect_treasure: collectors pick treasure up and carry it to the deposit of its type; both push themselves to where the other is (mpe2 1.1,
 * collect_treasure_v1; after Iqbal and Sha 2019). Nobody bumps into anybody, but collectors that overlap pay for it. */
#ifndef MPE_COLLECT_TREASURE_H
#define MPE_COLLECT_TREASURE_H

#include "envs/mpe/sight.h"

#define COLLECT_PAY   5.0 /* for a treasure picked up, for one delivered; minus, for each other collector that one overlaps */
#define COLLECT_SHAPE 0.1 /* times the distance to what one should go to */

enum { COLLECT_COLLECTORS, COLLECT_DEPOSITS, COLLECT_TREASURES, COLLECT_COUNTS };
enum { COLLECT_PICKED, COLLECT_DELIVERED, COLLECT_OVERLAPS, COLLECT_INFOS };

static inline void collect_world(struct mpe_rules *rules, const int32_t *count)
{
    static const uint8_t collector[MPE_SIGHTS] = {MPE_SEES_POSITION, MPE_SEES_VELOCITY, MPE_SEES_CARRIED, MPE_SEES_CARRIERS,
                                                  MPE_SEES_TREASURE};
    static const uint8_t deposit[MPE_SIGHTS] = {MPE_SEES_POSITION, MPE_SEES_VELOCITY, MPE_SEES_CARRIERS, MPE_SEES_TREASURE};
    mpe_kind_drive(rules, mpe_kind_of(&rules->agent[0], count[COLLECT_COLLECTORS], 0.05, collector), 1.5, 1);
    mpe_kind_drive(rules, mpe_kind_of(&rules->agent[1], count[COLLECT_DEPOSITS], 0.075, deposit), 1.5 / 2.25, 1); /* a mass of 2.25 */
    mpe_kind_start(rules, mpe_kind_of(&rules->landmark[0], count[COLLECT_TREASURES], 0.025, NULL), 0.95);
    rules->types = count[COLLECT_DEPOSITS];
}

/* Treasure that was picked up in this step comes back at the end of the next one. Upstream's place of it comes of a copy of the generator, made
 * before anything was placed: the first comes back at 0.95 times the numbers that were y of collector 0 and x of collector 1, and so on. */
MAPPO_FN void collect_take(struct mpe *w, const struct mpe_rules *rules, const int l)
{
    struct philox *again = mpe_again(w, rules);
    const rule_real range = rules->landmark[0].range;
    rule_real *position = &mpe_landmark(w, rules)[2 * l];
    philox_next(again); /* whether it comes back: always */
    for (int k = 0; k < 2; k++) position[k] = -range + 2 * range * (rule_real)philox_float(philox_next(again));
    mpe_type(w, rules)[rules->agents + l] = ~philox_below(&w->rng, rules->types);
}

/* What happens between motion and reward: each treasure is picked up by the first collector with free hands that touches it, or comes back; then
 * collectors at their deposits deliver. Counts what was picked up and delivered. */
MAPPO_FN void collect_exchange(struct mpe *w, const struct mpe_rules *rules, int *picked, int *delivered)
{
    const rule_real *position = mpe_position(w, rules), *treasure = mpe_landmark(w, rules);
    const rule_real reach = rules->agent[0].size + rules->landmark[0].size, touch = rules->agent[0].size + rules->agent[1].size;
    const int collectors = rules->agent[0].count;
    int32_t *carried = mpe_type(w, rules), *type = carried + rules->agents;
    *picked = *delivered = 0;
    for (int l = 0; l < rules->landmarks; l++) {
        int c = 0;
        if (type[l] < 0) {
            type[l] = ~type[l];
            continue;
        }
        while (c < collectors && (carried[c] >= 0 || !(mpe_distance(&treasure[2 * l], &position[2 * c]) < reach))) c++;
        if (c == collectors) continue;
        carried[c] = type[l];
        collect_take(w, rules, l);
        ++*picked;
    }
    for (int c = 0; c < collectors; c++) {
        if (carried[c] < 0 || !(mpe_distance(&position[2 * c], &position[2 * (collectors + carried[c])]) < touch)) continue;
        carried[c] = -1;
        ++*delivered;
    }
}

/* How far an agent is from the nearest of [n][2] whose type is `type` (any that is there: -1); `none` where there is no such. */
MAPPO_FN rule_real collect_distance(const rule_real *from, const rule_real *entity, const int32_t *of, const int n, const int32_t type,
                                    const rule_real none)
{
    rule_real least = none;
    int any = 0;
    for (int j = 0; j < n; j++) {
        if (type < 0 ? of[j] < 0 : of[j] != type) continue;
        const rule_real distance = mpe_distance(&entity[2 * j], from);
        if (!any++ || distance < least) least = distance;
    }
    return least;
}

/* Where deposits wait: the mean of all collectors' positions. */
MAPPO_FN void collect_middle(const struct mpe *w, const struct mpe_rules *rules, rule_real middle[2])
{
    const rule_real *position = mpe_position(w, rules);
    const int n = rules->agent[0].count;
    middle[0] = middle[1] = 0;
    for (int c = 0; c < 2 * n; c++) middle[c % 2] += position[c];
    for (int k = 0; k < 2; k++) middle[k] /= (rule_real)n;
}

/* What each agent earns by itself: its distance to where it should go, and overlaps. Pairs of collectors that overlap. */
MAPPO_FN int collect_own(const struct mpe *w, const struct mpe_rules *rules, rule_real *reward)
{
    const rule_real *position = mpe_position(w, rules), shape = (rule_real)COLLECT_SHAPE;
    const int32_t *type = mpe_type(w, rules);
    const int collectors = rules->agent[0].count, deposits = rules->agent[1].count;
    rule_real middle[2];
    int overlaps = 0;
    collect_middle(w, rules, middle);
    for (int i = 0; i < rules->agents; i++) {
        const rule_real *from = &position[2 * i];
        rule_real distance;
        int touching = 0;
        if (i >= collectors) {
            distance = collect_distance(from, position, type, collectors, type[i], mpe_distance(middle, from));
        } else {
            touching = mpe_touching(position, collectors, from, 2 * rules->agent[0].size) - 1; /* not itself */
            distance = type[i] >= 0 ? collect_distance(from, &position[2 * collectors], type + collectors, deposits, type[i], 0)
                                    : collect_distance(from, mpe_landmark(w, rules), type + rules->agents, rules->landmarks, -1, 0);
        }
        reward[i] = (rule_real)-COLLECT_PAY * (rule_real)touching - shape * distance;
        overlaps += touching;
    }
    return overlaps / 2;
}

MAPPO_FN int collect_step(struct mpe *w, const struct mpe_rules *rules, const struct rule_io *io)
{
    rule_real earned[MPE_MAX_AGENTS];
    int picked, delivered;
    mpe_move(w, rules, io);
    collect_exchange(w, rules, &picked, &delivered);
    const int overlaps = collect_own(w, rules, earned);
    for (int i = 0; i < rules->agents; i++) earned[i] += (rule_real)COLLECT_PAY * (rule_real)(picked + delivered);
    const float info[COLLECT_INFOS] = {(float)picked, (float)delivered, (float)overlaps};
    return mpe_pay(w, rules, earned, info, COLLECT_INFOS, 0, io);
}

#endif
