/* What off-policy learners learn from: a ring of the last steps (transitions) and the rows that are drawn out of it.
 *
 * Every shard draws its part of a batch from its own environments: row b of shard s is row s * rows + b of the arrays. What follows a step is
 * what was seen last where its episode ended with it, so a time limit is bootstrapped over. All is the backend's memory. */
#ifndef MAPPO_ALGO_REPLAY_H
#define MAPPO_ALGO_REPLAY_H

#include "algo/collect.h"
#include "algo/priorities.h"

struct replay_config {
    struct transitions_config transitions; /* `ring` is the replay's to choose */
    struct collect_config collect;
    int rows;                            /* of a shard's part of a batch */
    bool replacement;                    /* a step may be in it twice */
    struct priorities_config priorities; /* but for `rows` and `seed`, which are the replay's to choose */
};

struct replay_batch {
    int shards, rows; /* B rows each */
    uint8_t *ep_end;  /* [shards · B] of the environment: where it terminated nothing follows, whatever `terminated` says */
    real *weight;     /* [shards · B] of rows in critics' losses; NULL = 1 */
    real *error;      /* [shards · B] where the learner leaves the sizes of critics' errors; NULL = not wanted */
    struct replay_batch_group {
        float *obs, *next;         /* [shards · B][A][D] */
        uint8_t *mask, *next_mask; /* [shards · B][A][L]; NULL = everything is allowed, as in what was seen last of an episode */
        int32_t *act_int;          /* [shards · B][A][Ki] */
        float *act_real;           /* [shards · B][A][Kr] */
        float *reward;             /* [shards · B][A] */
        uint8_t *terminated;       /* [shards · B][A] */
        uint8_t *active;           /* [A][shards · B] did it act; NULL = always */
    } group[MAPPO_MAX_GROUPS];
};
/* Arrays for the rows; masks where the environment has some. */
void replay_batch_create(struct replay_batch *batch, int shards, int rows, const struct mappo_env_spec *spec,
                         struct backend_memory *memory);

struct replay {
    struct replay_config config;
    struct transitions *transitions;
    struct collector *collector;
    struct replay_batch batch;
    struct replay_numbers *numbers; /* the backend's */
    struct draw_pass *draw;         /* [shards] */
    struct gather_pass *gather;     /* [gathers] */
    struct priorities *priorities;  /* NULL = rows are drawn by draw */
    int gathers;
    struct backend *backend;
};

/* The bytes of all that is kept of steps. */
size_t replay_ring_bytes(const struct replay_config *config, const struct mappo_env_spec *spec);

/* As rollout_create. */
int replay_create(struct replay **replay, const struct replay_config *config, const struct mappo_env_spec *spec,
                  struct policy *const *policy, struct backend_memory *memory, struct error *err);
void replay_destroy(struct replay *replay); /* NULL is allowed */

/* Before the draws of an update, and whenever the ring has been filled or read: what is held now, the update's number, and the exponent of the
 * weights of rows. */
void replay_count(struct replay *replay, int64_t update, double beta);
void replay_draw(const struct replay *replay, int after); /* the batch of update number `after` from then; collective with priorities */

/* Steps of every environment and place with their priority, as algorithm_ops.replay lists them. */
int64_t replay_list(struct replay *replay, const char *path, const struct mappo_env_spec *spec, struct field_list *list);

#endif
