/* Actions from outputs [B][O] that are in memory, and what given actions are worth: a thread a row. The fused passes act on outputs that are
 * still on chip. */
#include "cuda/cuda.h"
#include "cuda/loss.h"

static __global__ void act_kernel(const struct act_pass pass, const struct distribution dist, int outputs)
{
    const int b = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (b >= batch_live_rows(pass.batch.count, pass.batch.rows, pass.batch.units * pass.batch.rows)) return;
    act_row(&pass, &dist, batch_row(&pass.batch, b), pass.out + (size_t)b * (size_t)outputs, 1);
}

void act_rows(struct cuda *cuda, const struct act_pass *pass, int passes)
{
    for (int i = 0; i < passes; i++) {
        const int rows = pass[i].batch.units * pass[i].batch.rows;
        if (rows == 0) continue;
        LAUNCH(act_kernel, cuda_blocks((size_t)rows, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, pass[i], *pass[i].dist,
               distribution_outputs(pass[i].dist));
        LAUNCHED("act");
    }
}

static __global__ void evaluate_kernel(const struct evaluate_pass pass, const struct distribution dist, int outputs)
{
    const int b = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (b >= batch_live_rows(pass.batch.count, pass.batch.rows, pass.batch.units * pass.batch.rows)) return;
    struct train_pass given; /* what head_forward looks at */
    given.parameters = pass.log_std;
    given.policy.mask = pass.mask;
    given.policy.act_int = pass.act_int;
    given.policy.act_real = pass.act_real;
    given.policy.old_out = pass.old_out;
    given.policy.old_log_std = pass.old_log_std;
    const size_t row = batch_row(&pass.batch, b);
    const struct loss_row r = {&given, &dist, row, pass.out + (size_t)b * (size_t)outputs, 1};
    struct evaluation e = {0, 0, 0, {0, 0, 0}, 0};
    for (int h = 0; h < dist.heads; h++) {
        head_forward(&r, &dist.head[h], &e);
        if (pass.kl) head_kl(&r, &dist.head[h], &e);
    }
    if (pass.log_prob) pass.log_prob[row] = e.log_prob;
    if (pass.entropy) pass.entropy[row] = e.entropy;
    if (pass.kl) pass.kl[row] = e.kl;
}

void evaluate_rows(struct backend *backend, const struct evaluate_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int i = 0; i < passes; i++) {
        const int rows = pass[i].batch.units * pass[i].batch.rows;
        if (rows == 0) continue;
        LAUNCH(evaluate_kernel, cuda_blocks((size_t)rows, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, pass[i], *pass[i].dist,
               distribution_outputs(pass[i].dist));
        LAUNCHED("evaluate");
    }
}
