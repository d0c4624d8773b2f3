/* Accounting of a batch, environment by environment: what a vecenv keeps of the episode that is running, when its time limit strikes, what
 * an ended episode is reported as, and sums of the info columns. place_host.c does it on the host, kernels (cuda/lane_kernels.h) on a device:
 * both with these functions. Host and device.
 *
 * Axes: E environments, T steps between two reports (the horizon). */
#ifndef MAPPO_ENV_ACCOUNT_H
#define MAPPO_ENV_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

#include "base/fn.h"
#include "env/mappo_env.h"

/* ---- one number ------------------------------------------------------------------------------------------- */

/* A step's rewards [agents] into the sum of a group's episode, over steps and agents; the mean is taken when the episode ends. */
MAPPO_FN void account_reward(double *sum, const float *reward, const int32_t agents)
{
    double step = 0;
    for (int32_t a = 0; a < agents; a++) step += (double)reward[a];
    *sum += step;
}

MAPPO_FN float account_return(const double sum, const int32_t agents)
{
    return (float)(sum / agents);
}

/* Counts a step of the running episode; 1 where the time limit (0 = none) ends it now. */
MAPPO_FN int account_step(int64_t *steps, const int32_t time_limit, const int end)
{
    (*steps)++;
    return time_limit && *steps >= time_limit && !end;
}

/* `wanted`: 0 at a step inside an episode, for a column that is averaged where episodes end. */
MAPPO_FN void account_info(double *sum, double *count, const float info, const int wanted)
{
    const int counts = wanted && info == info; /* NaN = no value */
    *sum += counts ? (double)info : 0;
    *count += counts ? 1 : 0;
}

/* Sums over environments are taken in chunks of so many, then over chunks, both in order: they depend on E alone. */
enum { ACCOUNT_CHUNK = 256 };
MAPPO_FN double account_sum(const double *x, const size_t stride, const size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += x[i * stride];
    return sum;
}

/* ---- a batch on a device ---------------------------------------------------------------------------------- */

/* Where the batch is, in device memory, so that a step that was recorded knows it. */
struct account_clock {
    uint64_t taken;    /* steps since the vecenv was opened */
    uint32_t row;      /* taken % T */
    uint32_t finished; /* blocks of the present step that are through: the last one moves the clock on */
};

/* Goes into kernels by value; its arrays are the device's. Kernels of plugins are compiled with it, so another layout (of struct slice_strides,
 * too) is another MAPPO_ENV_ABI. */
struct account {
    int32_t envs, groups, infos, time_limit, horizon; /* horizon: T */
    int32_t agents[MAPPO_MAX_GROUPS];
    struct account_clock *clock;
    int64_t *steps;                /* [E] of the running episode */
    double *reward_sum;            /* [groups][E] of the running episode */
    const uint8_t *at_end;         /* [infos] struct mappo_info's */
    double *info_sum, *info_count; /* [infos][E] since the last report */
    uint8_t *end;                  /* [T][E] what ep_end got */
    int32_t *length;               /* [T][E] where the episode ended */
    float *group_return;           /* [groups][T][E] likewise */
    const float *lent_info;        /* [E][infos] where info columns go that the caller doesn't want: need not be written */
};

/* Environment e after its step: first account_step with its time limit and, where that says 1, what mappo_env.h wants of a truncated
 * episode; then this, with the rewards and info columns of `lane` (whose arrays begin at e) and what ep_end got. `groups`: a constant
 * that is at least account->groups, so that the compiler can keep the pointers in registers. */
MAPPO_FN void account_lane(const struct account *account, const int32_t e, const struct mappo_env_io *lane, const int groups, const int end)
{
    const size_t envs = (size_t)account->envs, at = (size_t)e;
    const size_t cell = (size_t)account->clock->row * envs + at, cells = (size_t)account->horizon * envs;
    account->end[cell] = (uint8_t)end;
    for (int g = 0; g < groups; g++) {
        if (g >= account->groups) break;
        double *sum = &account->reward_sum[(size_t)g * envs + at];
        account_reward(sum, lane->group[g].reward, account->agents[g]);
        if (!end) continue;
        account->group_return[(size_t)g * cells + cell] = account_return(*sum, account->agents[g]);
        *sum = 0;
    }
    for (int k = 0; k < account->infos; k++) {
        const size_t column = (size_t)k * envs + at;
        account_info(&account->info_sum[column], &account->info_count[column], lane->info[k], end || !account->at_end[k]);
    }
    if (!end) return;
    account->length[cell] = (int32_t)account->steps[e];
    account->steps[e] = 0;
}

/* By the last block of a step. */
MAPPO_FN void account_tick(const struct account *account)
{
    struct account_clock *clock = account->clock;
    clock->taken++;
    clock->row = clock->row + 1 == (uint32_t)account->horizon ? 0 : clock->row + 1;
    clock->finished = 0;
}

#endif
