/* One step of generalised advantage estimation, backwards in time (Schulman et al. 2016, eq. 16; Pardo et al. 2018 for time limits):
 *   δ_t = r_t + γ V' - V(s_t),   A_t = δ_t + γ λ A_{t+1} (the trace is cut at every end),   R_t = A_t + V(s_t)
 * V' is V(s_{t+1}) inside an episode; 0 after a termination (of the agent or the episode); after a time limit V of the final
 * observation with `bootstrap`, else 0. Two more estimates can stand in the place of A_t and of R_t: those of one step, δ_t and δ_t + V(s_t),
 * and the discounted rewards to the end of the episode or rollout, G_t - V(s_t) and G_t, which no value continues. */
#ifndef MAPPO_KERNELS_GAE_H
#define MAPPO_KERNELS_GAE_H

#include "backend/kernels/math.h"
#include "base/episode_end.h"

enum return_estimate {
    ESTIMATE_GAE,
    ESTIMATE_TD0,
    ESTIMATE_REWARD_TO_GO
}; /* the choices of gae.advantage and gae.target, in their order */

struct gae_step {
    real gamma, lambda;
    int bootstrap;
    int advantage, target; /* enum return_estimate */
};

MAPPO_FN real gae_advantage(const struct gae_step *p, real reward, int agent_terminated, int end, real value, real next_value,
                            real final_value, real next_advantage)
{
    const int running = end == MAPPO_RUNNING && !agent_terminated;
    const int bootstrapped = end == MAPPO_TRUNCATED && !agent_terminated && p->bootstrap;
    const real follow = running ? next_value : (bootstrapped ? final_value : (real)0);
    const real trace = running ? p->gamma * p->lambda * next_advantage : (real)0;
    return reward + p->gamma * follow - value + trace;
}

struct gae_trace { /* A and G of the step after; 0 behind the last */
    real advantage, to_go;
};
struct gae_estimate {
    real advantage, target;
};

/* By whatever estimates p asks for; `later` becomes that of this step. */
MAPPO_FN struct gae_estimate gae_estimate_of(const struct gae_step *p, real reward, int agent_terminated, int end, real value,
                                             real next_value, real final_value, struct gae_trace *later)
{
    const int running = end == MAPPO_RUNNING && !agent_terminated;
    const real one = gae_advantage(p, reward, agent_terminated, end, value, next_value, final_value, (real)0);
    const real all = gae_advantage(p, reward, agent_terminated, end, value, next_value, final_value, later->advantage);
    const real to_go = running ? reward + p->gamma * later->to_go : reward;
    const struct gae_estimate estimate = {p->advantage == ESTIMATE_GAE ? all : (p->advantage == ESTIMATE_TD0 ? one : to_go - value),
                                          p->target == ESTIMATE_GAE ? all + value : (p->target == ESTIMATE_TD0 ? one + value : to_go)};
    later->advantage = all;
    later->to_go = to_go;
    return estimate;
}

#endif
