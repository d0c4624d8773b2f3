/* Actions from outputs [B][O] that are in memory: a thread a row. The fused passes act on outputs that are still on chip. */
#include "cuda/act.h"
#include "cuda/cuda.h"

static __global__ void act_kernel(const struct act_pass pass, const struct distribution dist, int outputs)
{
    const int b = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    if (b >= batch_live_rows(pass.batch.count, pass.batch.rows, pass.batch.units * pass.batch.rows)) return;
    act_row(&pass, &dist, batch_row(&pass.batch, b), pass.out + (size_t)b * (size_t)outputs, 1);
}

void act_rows(struct cuda *cuda, const struct act_pass *pass, int passes)
{
    for (int i = 0; i < passes; i++) {
        const struct distribution *dist = pass[i].dist;
        const struct head *last = &dist->head[dist->heads - 1];
        const int rows = pass[i].batch.units * pass[i].batch.rows;
        if (rows == 0) continue;
        LAUNCH(act_kernel, cuda_blocks((size_t)rows, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, pass[i], *dist,
               last->output + last->size);
        LAUNCHED("act");
    }
}
