/* What the files of PPO share (ppo.c, ppo_create.c); nobody else includes it. */
#ifndef MAPPO_ALGO_PPO_WORK_H
#define MAPPO_ALGO_PPO_WORK_H

#include "algo/ppo_batches.h"

/* One learner of one group. Its numbers (struct ppo_learner) are the backend's; here is where things lie. */
struct learner_at {
    int group;
    struct ppo_sets of;
    size_t actor, critic;        /* parameters of each, 0 where it has none */
    struct learner_range *range; /* that it is updated with */
    size_t gradient;             /* of its gradients in a shard's vector of the range: actor, then critic */
    size_t sums;                 /* of its [2][PASS_SUMS], behind all gradients of the range */
    size_t message;              /* of its numbers in a shard's statistics */
    struct ppo_lasting {         /* what ppo_fields points to */
        double penalty;          /* coefficient */
        int64_t steps[POLICY_ROLES];
    } lasting;
};

/* Learners that are updated together: those and their parts (ppo_batches.h) follow one another. */
struct learner_range {
    int first, end, part_first, part_end, pass_first, pass_end;
    real *flat;       /* [shards][vector] the backend's: gradients and sums */
    size_t gradients; /* reals of a shard: gradients of its networks … */
    size_t vector;    /* … and the sums behind them: what ranks add up */
    struct repeated replay;
};

/* What the host reads of an update once it has been made. */
struct outcome {
    struct ppo_learner *learner; /* [learners] */
    struct fault *fault;
    uint64_t *bad; /* [bads] of the collector's check (algo/device_check.h) */
    uint64_t step; /* the rollout's */
};

/* A learner's numbers in the statistics: moments of advantages and returns, then its minibatches'. A penalty's moments come in a message of
 * their own, after the last step, in the place of the former. */
enum {
    ADVANTAGE_NUMBERS = 2 * sizeof(struct moments) / sizeof(double),
    MINIBATCH_NUMBERS = sizeof(struct minibatch_statistics) / sizeof(double)
};

struct ppo {
    struct ppo_config config;
    struct rollout *rollout;
    struct policy *const *policy;
    struct comm *comm;
    struct backend *backend;
    struct arena *arena;
    struct ppo_batches batches;
    int shards, learners, ranges;
    struct learner_at *at; /* [learners] of all groups */
    int learner_first[MAPPO_MAX_GROUPS + 1];
    struct learner_range *range;                        /* [ranges] */
    struct packed_rows **actor_packed, **critic_packed; /* [parts]; critic_packed may be the rollout's */
    bool *critic_packed_own;
    struct train_pass *pass;              /* [2 * parts] at most: of each part its actor's, its critic's */
    struct packed_rows **packed;          /* [parts] scratch of packing, as the next one */
    struct batch *batch;                  /* [parts] */
    struct forward_pass *forward;         /* [parts] scratch of ppo_evaluate, as the next one */
    struct evaluate_pass *evaluate;       /* [parts] */
    struct moments_pass *moments;         /* [3 * parts] scratch, as the next ones */
    struct scatter_pass *scatter;         /* [parts] */
    struct ppo_pass *learner_pass;        /* [learners] */
    struct optimizer_pass *step;          /* [2 * learners] at most, likewise */
    struct standardise_pass *standardise; /* [learners] */
    struct rescale_pass *rescale;         /* [learners] PopArt; NULL without */
    struct ppo_rules rules;
    int statistics_epochs; /* 1 where every epoch has the same minibatch */
    size_t message;        /* doubles of a shard */
    /* the backend's */
    real *flat;                  /* of all ranges */
    double *statistics;          /* [shards][message] */
    struct ppo_learner *learner; /* [learners] */
    struct normalizer *unused;   /* [learners] of those that have no critic: nobody reads it */
    struct fault *fault;
    struct update_numbers *numbers;
    struct outcome outcome[BACKEND_OUTCOMES];         /* of update number n in n % BACKEND_OUTCOMES */
    int64_t begun, read;                              /* updates; outcomes that were read */
    struct ppo_learner *seen;                         /* [learners] the host's copy for a test's hook */
    struct repeated replay, replay_begin, replay_end; /* of ppo_update; of ppo_begin and ppo_end */
    /* with a penalty, the backend's */
    real *old_out[MAPPO_MAX_GROUPS];     /* [T][E][A][O] */
    real *old_log_std[MAPPO_MAX_GROUPS]; /* [sets][Kr] */
    real *kl[MAPPO_MAX_GROUPS];          /* [T][E][A] */
    real *outputs;                       /* scratch of ppo_evaluate */
    /* with joint ratios: of the minibatch at hand, the backend's; a pass of each group and shard */
    real *log_prob[MAPPO_MAX_GROUPS], *loss[MAPPO_MAX_GROUPS], *slope[MAPPO_MAX_GROUPS]; /* [T][E][A] */
    struct joint_pass *join;                                                             /* [joins] */
    int joins;
};

/* The old policy's of a set; NULL where there is none. */
static inline real *ppo_old_log_std(const struct ppo *ppo, int group, int set)
{
    return ppo->old_log_std[group] ? ppo->old_log_std[group] + (size_t)set * (size_t)ppo->policy[group]->dist.act_reals : NULL;
}

/* Are Adam's steps counted by each optimiser, or by all alike? */
static inline bool ppo_counts_apart(const struct ppo_config *config)
{
    return config->target_kl > 0 || config->critic_warmup > 0;
}

static inline int ppo_learner_of(const struct ppo *ppo, const struct ppo_part *part)
{
    return ppo->learner_first[part->group] + part->learner;
}

#endif
