/* Inside the CPU backend: what its scheduling (cpu.c) and its kernels (*_kernels.c, compiled once per instruction level) share.
 *
 * Rows are cut into tiles of R, stored feature-major [feature][R], so that vectors lie along the rows: statistics, softmax, losses and
 * narrow heads are vertical operations, and a weight is one broadcast number. Tiles belong to chunks; a chunk is a task of one thread and
 * has gradient accumulators of its own, and chunks are added up in their order. How rows fall into chunks depends on their number alone, so
 * threads and other passes change no bit. */
#ifndef MAPPO_BACKEND_CPU_H
#define MAPPO_BACKEND_CPU_H

#include "backend/backend.h"

struct packed_rows {
    int inputs;         /* D */
    int rows, max_rows; /* packed, room */
    int max_chunks;
    int max_steps;     /* of a recurrent network's training pass; 0 = none */
    int first_task;    /* of the call under way */
    size_t chunk_size; /* reals in a chunk's accumulators */
    real *x;           /* [tiles][D][R] */
    real *folded;      /* weights with the norms folded in: made at the start of every call */
    real *chunk;       /* [max_chunks][chunk_size] */
    double *sums;      /* [max_chunks][PASS_SUMS] */
};

struct cpu_kernels {
    const char *name;
    int tile_rows;                                 /* R */
    size_t (*work_size)(const struct network *);   /* reals a thread needs for any of the calls below */
    size_t (*chunk_size)(const struct network *);  /* reals of a chunk's accumulators */
    size_t (*folded_size)(const struct network *); /* reals of the folded weights */
    void (*fold)(const struct network *, const real *parameters, real *folded);
    size_t (*act_size)(const struct distribution *); /* reals a thread needs for act and evaluate */
    void (*pack)(const struct network *, const struct running *, struct packed_rows *, const float *x, const struct batch *, int tile);
    void (*forward)(const struct forward_pass *, real *work, int tile, int end);
    void (*train)(const struct train_pass *, real *work, real *chunk, double *sums, int tile, int end);
    void (*reduce)(const struct train_pass *, int chunks); /* accumulators of all chunks to the gradient and sums of the pass */
    void (*act)(const struct act_pass *, real *work, int row, int end);
    void (*evaluate)(const struct evaluate_pass *, real *work, int row, int end);
    void (*pack_columns)(const struct columns_pass *, int tile);
    void (*embed)(const struct embed_pass *, real *work, int row, int end);
    void (*embed_back)(const struct embed_back_pass *, real *work, int row, int end);
    void (*derive)(const struct derive_pass *, real *work, int tile, int end);
    void (*gae)(const struct gae_pass *);
    void (*moments)(const struct moments_pass *);
    void (*standardise)(const struct standardise_pass *);
    void (*running_measure)(const struct running_pass *);
    double (*sum_squares)(const real *x, size_t n);
    void (*adam)(const struct adam_step *, real *parameters, const real *gradient, real *m, real *v, size_t n);
    void (*soft_update)(real *target, const real *from, real tau, size_t n);
    double (*peak_loop)(int repeats, real *sink);
    double (*product_loop)(int repeats, real *out, const real *w, const real *x, int m, int k);
};
const struct cpu_kernels *cpu_kernels_of(int level);

extern const struct cpu_kernels cpu_kernels_baseline;
extern const struct cpu_kernels cpu_kernels_avx2, cpu_kernels_avx512; /* not with BASELINE_ONLY (Makefile) */

/* Units of the batch at the moment. */
static inline int batch_units(const struct batch *batch)
{
    return batch->count ? *batch->count : batch->units;
}

int cpu_backend_open(struct backend **backend, const struct backend_config *config, struct error *err); /* what backend_open calls */

/* cpu_plan.c: turns an open backend into a planning one (struct backend). */
struct cpu_plan;
struct cpu_plan *cpu_plan_begin(struct backend *backend);
struct cpu_plan *cpu_plan_of(struct backend *backend);
void cpu_plan_end(struct cpu_plan *plan); /* when all has been given back; NULL is allowed */

/* Operations that gain nothing from vectors or threads, cpu_scalar.c. */
void scalar_select_ends(struct backend *, const struct ends_pass *, int passes);
void scalar_find_nonfinite(struct backend *, const float *x, size_t n, uint64_t *first);
void scalar_scatter(struct backend *, const struct scatter_pass *, int passes);
void scalar_copy_rows(struct backend *, const struct copy_pass *, int passes);
void scalar_select(struct backend *, const struct select_pass *, int passes);
void scalar_join(struct backend *, const struct joint_pass *, int passes);
void scalar_compound(struct backend *, const struct compound_pass *, int passes);
void scalar_home(struct backend *, const struct home_pass *, int passes);
void scalar_forget(struct backend *, const struct forget_pass *, int passes);
void scalar_discount(struct backend *, const struct discount_pass *, int passes);
void scalar_running_take(struct backend *, const struct running_pass *, int passes);
void scalar_ppo_start(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes, const uint64_t *bad, int bads);
void scalar_ppo_begin(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes);
void scalar_rescale_heads(struct backend *, const struct rescale_pass *, int passes);
void scalar_ppo_measure(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes);
void scalar_draw(struct backend *, const struct draw_pass *, int passes);
void scalar_priority_renew(struct backend *, const struct priority_pass *, int passes);
void scalar_priority_rebuild(struct backend *, const struct priority_pass *, int passes);
void scalar_priority_draw(struct backend *, const struct priority_pass *, int passes);
void scalar_priority_weigh(struct backend *, const struct priority_pass *, int passes);
void scalar_priority_learn(struct backend *, const struct priority_pass *, int passes);
void scalar_td_errors(struct backend *, const struct error_pass *, int passes);
void scalar_gather(struct backend *, const struct gather_pass *, int passes);
void scalar_explore(struct backend *, const struct explore_pass *, int passes);
void scalar_td_targets(struct backend *, const struct td_pass *, int passes);
void scalar_ppo_end(struct backend *, const struct ppo_rules *, const struct ppo_pass *, int passes);

/* Names of this translation unit's level: LEVELLED(policy_loss) is policy_loss_avx2. */
#define LEVELLED_PASTE(name, level)  name##_##level
#define LEVELLED_EXPAND(name, level) LEVELLED_PASTE(name, level)
#define LEVELLED(name)               LEVELLED_EXPAND(name, LEVEL)

/* Between the kernel files of one level. */
#ifdef LEVEL
enum { LOSS_ROWS = 16 + 2 * POLICY_MAX_HEADS }; /* scratch of the losses, in rows of R */

/* The rows b … b + count - 1 of the batch: their indices in the arrays. */
static inline void batch_rows(const struct batch *batch, int b, int count, size_t *row)
{
    if (!batch->unit) {
        for (int r = 0; r < count; r++) row[r] = (size_t)(b + r);
        return;
    }
    int unit = b / batch->rows, i = b % batch->rows;
    for (int r = 0; r < count; r++) {
        row[r] = (size_t)batch->unit[unit] * (size_t)batch->rows + (size_t)i;
        if (++i == batch->rows) i = 0, unit++;
    }
}

/* One tile's loss: outputs z [O][R] in, gradient g [O][R] out; z is overwritten. `row_sums` [PASS_SUMS][R] and `log_std_gradient`
 * [extra][R] are added to. */
struct loss_tile {
    const struct train_pass *pass;
    const real *log_std; /* [extra] */
    int first, rows;     /* rows of the batch in this tile; the tile's others are padding */
    real *z, *g, *p, *q; /* [O][R]; q: the old policy's probabilities and means, where there is a penalty */
    real *scratch;       /* [LOSS_ROWS][R] */
    double *row_sums;
    real *log_std_gradient;
};
void LEVELLED(policy_loss)(const struct loss_tile *);
void LEVELLED(value_loss)(const struct loss_tile *);
void LEVELLED(given_loss)(const struct loss_tile *);
size_t LEVELLED(act_size)(const struct distribution *);
void LEVELLED(act_rows)(const struct act_pass *, real *work, int row, int end);
void LEVELLED(evaluate_rows)(const struct evaluate_pass *, real *work, int row, int end);
void LEVELLED(embed_rows)(const struct embed_pass *, real *work, int row, int end);
void LEVELLED(embed_back_rows)(const struct embed_back_pass *, real *work, int row, int end);

void LEVELLED(gae_range)(const struct gae_pass *);
void LEVELLED(moments_of)(const struct moments_pass *);
void LEVELLED(standardise_all)(const struct standardise_pass *);
void LEVELLED(running_measure)(const struct running_pass *);
double LEVELLED(sum_squares_of)(const real *x, size_t n);
void LEVELLED(add_to)(real *to, const real *from, size_t n);
void LEVELLED(adam_all)(const struct adam_step *, real *parameters, const real *gradient, real *m, real *v, size_t n);
void LEVELLED(soft_update_all)(real *target, const real *from, real tau, size_t n);
#endif

#endif
