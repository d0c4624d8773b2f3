/* Which steps of a replay are drawn more often than others (Schaul et al. 2016, proportional): each has a priority, the size of the critics'
 * errors when it was last learned from, or, until then, the largest that there is. Every shard has its own (backend/kernels/priority.h), and
 * draws its part of a batch from them. Weights make good in the critics' losses what is drawn too often: (N P)^-beta over the largest of the
 * batch, of all shards of all ranks.
 *
 * What is kept are the priorities of the ring's steps, in the replay's file; all else is made of them. */
#ifndef MAPPO_ALGO_PRIORITIES_H
#define MAPPO_ALGO_PRIORITIES_H

#include "algo/transitions.h"
#include "comm/comm.h"

struct priorities_config {
    float exponent; /* 0 = every step is as likely: none of this is there */
    float floor;    /* added to errors */
    int fresh;      /* steps of every environment between two calls of priorities_renew */
    int rows;       /* that a shard draws */
    uint64_t seed;
    struct comm *comm;
};

struct priorities {
    struct priority_pass *pass; /* [shards] */
    float *leaf;                /* [places][E] the backend's */
    double *most;               /* [shards][shards of all ranks] */
    int shards, all_shards;
    struct comm *comm;
    struct backend *backend;
};

size_t priorities_bytes(const struct transitions_config *config);

/* rows [shards]: where each shard's draws go, [rows]; weight, error: [shards · rows]; all the backend's. Calls comm_reserve. */
void priorities_create(struct priorities **priorities, const struct priorities_config *config, const struct transitions *transitions,
                       const struct replay_numbers *numbers, int32_t *const *rows, real *weight, const real *error,
                       struct backend_memory *memory);

/* `numbers` say what is held; NULL is allowed: then nothing happens. */
void priorities_rebuild(const struct priorities *priorities);          /* once the leaves have been read from a file, or nothing is held */
void priorities_renew(const struct priorities *priorities);            /* `fresh` steps have been taken */
void priorities_draw(const struct priorities *priorities, int after);  /* rows and their weights; collective */
void priorities_learn(const struct priorities *priorities, int after); /* from `error`, of the rows that were drawn */

#endif
