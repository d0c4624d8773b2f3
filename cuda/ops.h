/* Operations of the table `struct backend` that are no network passes: what backend_cuda.cu puts together. See backend/backend.h. */
#ifndef MAPPO_CUDA_OPS_H
#define MAPPO_CUDA_OPS_H

#include "cuda/cuda.h"

/* memory.cu */
void memory_open(struct cuda *cuda);
void memory_close(struct cuda *cuda); /* gives back what is left */
void *memory_alloc(struct backend *backend, const char *what, size_t bytes);
void memory_free(struct backend *backend, void *p);
void memory_upload(struct backend *backend, void *to, const void *from, size_t bytes);
void memory_download(struct backend *backend, void *to, const void *from, size_t bytes);
void memory_upload_later(struct backend *backend, void *to, const void *from, size_t bytes);
void memory_download_later(struct backend *backend, void *to, const void *from, size_t bytes);
void memory_copy(struct backend *backend, void *to, const void *from, size_t bytes);
void *memory_host_alloc(struct backend *backend, const char *what, size_t bytes);
void memory_host_free(struct backend *backend, void *p);
void memory_reserve(struct backend *backend, size_t bytes);
int memory_plan(struct backend *backend, size_t *need, char *text, size_t size, struct error *err);

/* devices.cu: the device that a rank gets, made current; EXIT_USAGE or EXIT_PEERS where there is none for it. */
int device_choose(const struct backend_config *config, int *device, struct error *err);
int device_describe(int device, char *text, size_t size); /* "NVIDIA H200, GPU-…"; 0, or the runtime's error */

/* comm_cuda.cu: backend->messages, once device, stream and memory are there; closed before them. */
void messages_open(struct cuda *cuda);
void messages_close(struct cuda *cuda);

/* act.cu */
void evaluate_rows(struct backend *backend, const struct evaluate_pass *pass, int passes);

/* rollout_ops.cu */
void rollout_gae(struct backend *backend, const struct gae_pass *pass, int passes);
void rollout_select_ends(struct backend *backend, const struct ends_pass *pass, int passes);
void rollout_scatter(struct backend *backend, const struct scatter_pass *pass, int passes);
void rollout_copy_rows(struct backend *backend, const struct copy_pass *pass, int passes);
void rollout_find_nonfinite(struct backend *backend, const float *x, size_t n, uint64_t *first);
void rollout_find_no_choice(struct backend *backend, const struct distribution *dist, const uint8_t *mask, const uint8_t *active,
                            size_t rows, uint64_t *first);
void rollout_find_unequal(struct backend *backend, const float *x, size_t rows, int width, uint64_t *first);
void rollout_moments(struct backend *backend, const struct moments_pass *pass, int passes);
void rollout_standardise(struct backend *backend, const struct standardise_pass *pass, int passes);
void rollout_join(struct backend *backend, const struct joint_pass *pass, int passes);
void rollout_compound(struct backend *backend, const struct compound_pass *pass, int passes);
void rollout_discount(struct backend *backend, const struct discount_pass *pass, int passes);
void rollout_running_measure(struct backend *backend, const struct running_pass *pass, int passes);
void rollout_running_take(struct backend *backend, const struct running_pass *pass, int passes);
void rollout_select(struct backend *backend, const struct select_pass *pass, int passes);

/* replay_ops.cu */
void replay_draw_rows(struct backend *backend, const struct draw_pass *pass, int passes);
void replay_gather(struct backend *backend, const struct gather_pass *pass, int passes);
void priority_renew(struct backend *backend, const struct priority_pass *pass, int passes);
void priority_rebuild(struct backend *backend, const struct priority_pass *pass, int passes);
void priority_draw(struct backend *backend, const struct priority_pass *pass, int passes);
void priority_weigh(struct backend *backend, const struct priority_pass *pass, int passes);
void priority_learn(struct backend *backend, const struct priority_pass *pass, int passes);
void replay_td_errors(struct backend *backend, const struct error_pass *pass, int passes);
void replay_pack_columns(struct backend *backend, const struct columns_pass *pass, int passes);
void replay_embed(struct backend *backend, const struct embed_pass *pass, int passes);
void replay_embed_back(struct backend *backend, const struct embed_back_pass *pass, int passes);
void replay_td_targets(struct backend *backend, const struct td_pass *pass, int passes);
void replay_explore(struct backend *backend, const struct explore_pass *pass, int passes);

/* learner_ops.cu */
void learners_start(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes, const uint64_t *bad,
                    int bads);
void learners_end(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes);
void learners_begin(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes);
void learners_rescale_heads(struct backend *backend, const struct rescale_pass *pass, int passes);
void learners_measure(struct backend *backend, const struct ppo_rules *rules, const struct ppo_pass *pass, int passes);
void optimizers_step(struct backend *backend, const struct optimizer_rules *rules, const struct optimizer_pass *pass, int passes);
void learners_home(struct backend *backend, const struct home_pass *pass, int passes);
void learners_forget(struct backend *backend, const struct forget_pass *pass, int passes);
void vector_soft_update(struct backend *backend, real *target, const real *from, real tau, size_t n);

#endif
