/* CoPPO's loss of one env-step, whose agents' ratios are multiplied with each other: what each agent's term is, and its derivatives by the
 * log-probabilities of all agents. Wu et al. 2021 (arXiv:2111.04051), eq. 10 to 12.
 *
 *   r_i ratio of agent i, P_i product of the others' ratios, g_i = clip(P_i, 1 ± ε')
 *   A2PO's form      L_i = -min(r_i g_i A_i, clip(r_i g_i, 1 ± ε) A_i), g_i a constant (xihuai18/A2PO-ICLR2023)
 *   official form    L_i = -min(r_i P_i A_i, clip(r_i g_i, 1 ± ε) A_i), derived by all ratios (ZifanWu/Coordinated-PPO) */
#ifndef MAPPO_KERNELS_JOINT_H
#define MAPPO_KERNELS_JOINT_H

#include <stddef.h>

#include "backend/kernels/loss.h"

struct joint_rules {
    real others_clip;   /* ε' */
    int32_t all_ratios; /* the official form */
};

struct joint_term {
    real loss;
    real own, others; /* its derivatives by the log-probability of its own action, and by that of each other agent's */
};

/* log_ratio: log r_i; log_joint: its sum over all agents of the step. */
MAPPO_FN struct joint_term joint_term_of(const struct policy_objective *o, const struct joint_rules *rules, real log_ratio, real log_joint,
                                         real advantage)
{
    struct joint_term t;
    const real low = (real)1 - rules->others_clip, high = (real)1 + rules->others_clip;
    const real others = real_exp(log_joint - log_ratio), g = real_clamp(others, low, high);
    const real ratio = real_exp(log_ratio) * g;
    const real plain = (rules->all_ratios ? real_exp(log_joint) : ratio) * advantage;
    const real clipped = real_clamp(ratio, (real)1 - o->clip, (real)1 + o->clip) * advantage;
    const int inside = real_abs(ratio - (real)1) <= o->clip, free = others >= low && others <= high;
    const int first = plain <= clipped;
    t.loss = -(first ? plain : clipped);
    t.own = first ? -plain : rules->all_ratios && inside ? -ratio * advantage : (real)0;
    t.others = !rules->all_ratios ? (real)0 : first ? -plain : inside && free ? -ratio * advantage : (real)0;
    /* A ratio that is not a number must not be hidden by a comparison that came out false. */
    t.own = ratio == ratio ? t.own : ratio;
    return t;
}

/* All terms of an env-step whose rows are [first, first + agents). slope: the derivative of Σ m_i L_i by each log-probability. */
MAPPO_FN void joint_step(const struct policy_objective *o, const struct joint_rules *rules, size_t first, int agents, const real *log_prob,
                         const real *old_log_prob, const real *advantage, const uint8_t *active, real *loss, real *slope)
{
    const size_t end = first + (size_t)agents;
    real joint = 0, all = 0;
    for (size_t i = first; i < end; i++) joint += log_prob[i] - old_log_prob[i];
    for (size_t i = first; i < end; i++) {
        const struct joint_term t = joint_term_of(o, rules, log_prob[i] - old_log_prob[i], joint, advantage[i]);
        const int counts = !active || active[i]; /* others may have come to a ratio that is infinite */
        loss[i] = counts ? t.loss : (real)0;
        slope[i] = counts ? t.own - t.others : (real)0;
        all += counts ? t.others : (real)0;
    }
    for (size_t i = first; i < end; i++) slope[i] += all;
}

#endif
