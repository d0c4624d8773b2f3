/* Agents are given targets, one each, such that the sum of distances is least. Host and device. */
#ifndef MPE_MATCH_H
#define MPE_MATCH_H

#include "envs/mpe/world.h"

#define MPE_THERE 0.05 /* so near to its place an agent has arrived */

enum { PLACES_DISTANCE, PLACES_ARRIVED, PLACES_INFOS };

/* target[i] = the target of agent i; positions [n][2], n <= MPE_MAX_AGENTS. Shortest augmenting paths with potentials, O(n³) (Kuhn 1955;
 * Jonker and Volgenant 1987); row and column 0 are sentinels. */
MAPPO_FN void mpe_match(const int n, const rule_real *agent, const rule_real *target_position, int *target)
{
    enum { ROOM = MPE_MAX_AGENTS + 1 };
    double row_price[ROOM], column_price[ROOM], slack[ROOM];
    int owner[ROOM], previous[ROOM], used[ROOM];
    for (int j = 0; j <= n; j++) {
        row_price[j] = column_price[j] = 0;
        owner[j] = 0;
    }
    for (int i = 1; i <= n; i++) {
        int column = 0;
        owner[0] = i;
        for (int j = 0; j <= n; j++) {
            slack[j] = INFINITY;
            used[j] = 0;
        }
        do {
            const int row = owner[column];
            double step = INFINITY;
            int next = 0;
            used[column] = 1;
            for (int j = 1; j <= n; j++) {
                if (used[j]) continue;
                const double distance = (double)mpe_distance(&agent[2 * (row - 1)], &target_position[2 * (j - 1)]);
                const double reduced = distance - row_price[row] - column_price[j];
                if (reduced < slack[j]) {
                    slack[j] = reduced;
                    previous[j] = column;
                }
                if (slack[j] < step) {
                    step = slack[j];
                    next = j;
                }
            }
            if (next == 0) { /* a position is not a number: any assignment will do */
                for (int k = 0; k < n; k++) target[k] = k;
                return;
            }
            for (int j = 0; j <= n; j++) {
                if (used[j]) {
                    row_price[owner[j]] += step;
                    column_price[j] -= step;
                } else {
                    slack[j] -= step;
                }
            }
            column = next;
        } while (owner[column] != 0);
        while (column != 0) {
            owner[column] = owner[previous[column]];
            column = previous[column];
        }
    }
    for (int j = 1; j <= n; j++) target[owner[j] - 1] = j - 1;
}

/* A task's places [N][2], one for each agent, whoever stands there. */
typedef void mpe_places(const struct mpe *w, const struct mpe_rules *rules, rule_real *place);

/* The score (world.h) of agents that should stand there: minus the mean of their distances, of which none counts more than 2. */
MAPPO_FN int mpe_pay_places(const struct mpe *w, const struct mpe_rules *rules, mpe_places *places, rule_real *reward, float *info)
{
    const rule_real *position = mpe_position(w, rules);
    const int n = rules->agents;
    rule_real place[2 * MPE_MAX_AGENTS] = {0}, sum = 0, paid = 0;
    int of[MPE_MAX_AGENTS], arrived = 0;
    places(w, rules, place);
    mpe_match(n, position, place, of);
    for (int i = 0; i < n; i++) {
        const rule_real distance = mpe_distance(&position[2 * i], &place[2 * of[i]]);
        sum += distance;
        paid += distance < 2 ? distance : 2;
        arrived += distance < (rule_real)MPE_THERE;
    }
    for (int i = 0; i < n; i++) reward[i] = -paid / (rule_real)n;
    info[PLACES_DISTANCE] = (float)(sum / (rule_real)n);
    info[PLACES_ARRIVED] = (float)arrived;
    return arrived == n;
}

#endif
