/* One step of generalised advantage estimation, backwards in time (Schulman et al. 2016, eq. 16; Pardo et al. 2018 for time limits):
 *   δ_t = r_t + γ V' - V(s_t),   A_t = δ_t + γ λ A_{t+1} (the trace is cut at every end),   R_t = A_t + V(s_t)
 * V' is V(s_{t+1}) inside an episode; 0 after a termination (of the agent or the episode); after a time limit V of the final
 * observation with `bootstrap`, else 0. */
#ifndef MAPPO_KERNELS_GAE_H
#define MAPPO_KERNELS_GAE_H

#include "backend/kernels/math.h"
#include "base/episode_end.h"

struct gae_step {
    real gamma, lambda;
    int bootstrap;
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

#endif
