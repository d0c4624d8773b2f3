/* Operations of learners that replay (backend/off_policy.h): a thread a row, or a number. One launch does PASSES_AT_ONCE passes, the block's y
 * being the pass. */
#include "cuda/ops.h"
#include "cuda/reduce.h"

extern "C" {
#include "backend/explore_row.h"
#include "backend/kernels/draw.h"
#include "base/episode_end.h"
}

static __device__ size_t thread_item(void)
{
    return (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
}

template <typename Pass> struct some_of {
    Pass pass[PASSES_AT_ONCE];
};

/* Calls launch(grid, passes) for PASSES_AT_ONCE passes after another, with a thread for each item of the largest. */
template <typename Pass, typename Items, typename Launch>
static void launch_all(struct backend *backend, const Pass *pass, int passes, Items items, Launch launch)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        const int count = passes - first < PASSES_AT_ONCE ? passes - first : PASSES_AT_ONCE;
        struct some_of<Pass> some;
        size_t most = 0;
        memset(&some, 0, sizeof some);
        for (int p = 0; p < count; p++) {
            some.pass[p] = pass[first + p];
            most = items(pass[first + p]) > most ? items(pass[first + p]) : most;
        }
        launch(dim3(cuda_blocks(most, CUDA_THREADS), (unsigned)count), some);
    }
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------------------- */

static __global__ void draw_kernel(const struct some_of<struct draw_pass> some)
{
    __shared__ struct shuffle shuffle;
    const struct draw_pass p = some.pass[blockIdx.y];
    const struct draw_shape shape = draw_shape_of(p.numbers->held, p.numbers->oldest, p.places, p.envs, p.lo, p.hi);
    const uint64_t update = (uint64_t)p.numbers->update + (uint64_t)p.after;
    if (threadIdx.x == 0) shuffle = shuffle_of(shape.items, p.seed, p.shard, 0, update);
    __syncthreads();
    const size_t b = thread_item();
    if (b >= (size_t)p.rows) return;
    p.row[b] =
        draw_row(&shape, p.replacement ? draw_item(&shape, p.seed, p.shard, update, (uint32_t)b) : shuffle_item(&shuffle, (uint32_t)b));
}

void replay_draw_rows(struct backend *backend, const struct draw_pass *pass, int passes)
{
    launch_all(
        backend, pass, passes, [](const struct draw_pass &p) { return (size_t)p.rows; },
        [&](dim3 grid, const struct some_of<struct draw_pass> &some) {
            LAUNCH(draw_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
            LAUNCHED("draw");
        });
}

template <typename Element> static __device__ void gather_number(const struct gather_pass *p, size_t item)
{
    const size_t b = item / (size_t)p->width, j = item % (size_t)p->width;
    const int32_t row = p->row[b];
    const bool ended = p->next && p->ep_end && p->ep_end[row] != MAPPO_RUNNING;
    const size_t at = (size_t)(p->next && !ended ? draw_next(row, p->places, p->envs) : row) * (size_t)p->stride + j;
    const Element *from = static_cast<const Element *>(ended ? p->final : p->from);
    static_cast<Element *>(p->to)[item] = from ? from[at] : 1;
}

static __global__ void gather_kernel(const struct some_of<struct gather_pass> some)
{
    const struct gather_pass p = some.pass[blockIdx.y];
    const size_t item = thread_item();
    if (item >= (size_t)p.rows * (size_t)p.width) return;
    if (p.element == 4)
        gather_number<uint32_t>(&p, item);
    else
        gather_number<uint8_t>(&p, item);
}

void replay_gather(struct backend *backend, const struct gather_pass *pass, int passes)
{
    launch_all(
        backend, pass, passes, [](const struct gather_pass &p) { return (size_t)p.rows * (size_t)p.width; },
        [&](dim3 grid, const struct some_of<struct gather_pass> &some) {
            LAUNCH(gather_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
            LAUNCHED("gather");
        });
}

/* ---- inputs -------------------------------------------------------------------------------------------------------------------------- */

struct columns { /* of a columns_pass, whose packed rows are the host's */
    float *to;   /* [rows][inputs], from the first column on */
    const float *from;
    int rows, width, stride, inputs;
};

static __global__ void columns_kernel(const struct some_of<struct columns> some)
{
    const struct columns p = some.pass[blockIdx.y];
    const size_t item = thread_item();
    if (item >= (size_t)p.rows * (size_t)p.width) return;
    const size_t b = item / (size_t)p.width, j = item % (size_t)p.width;
    p.to[b * (size_t)p.inputs + j] = p.from[b * (size_t)p.stride + j];
}

void replay_pack_columns(struct backend *backend, const struct columns_pass *pass, int passes)
{
    for (int first = 0; first < passes; first += PASSES_AT_ONCE) {
        struct columns columns[PASSES_AT_ONCE];
        const int count = passes - first < PASSES_AT_ONCE ? passes - first : PASSES_AT_ONCE;
        for (int p = 0; p < count; p++) {
            const struct columns_pass *c = &pass[first + p];
            struct packed_rows *packed = c->packed;
            const int inputs = packed->net->inputs;
            CHECK(!packed->fused && c->rows <= packed->max_rows && c->to + c->width <= inputs,
                  "pack_columns: %d rows, columns %d to %d of %d", c->rows, c->to, c->to + c->width, inputs);
            packed->rows = c->rows;
            packed->count = NULL;
            packed->batch_rows = 1;
            columns[p] = {packed->x + c->to, c->x ? c->x : c->y, c->rows, c->width, c->stride, inputs};
        }
        launch_all(
            backend, columns, count, [](const struct columns &p) { return (size_t)p.rows * (size_t)p.width; },
            [&](dim3 grid, const struct some_of<struct columns> &some) {
                LAUNCH(columns_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
                LAUNCHED("pack_columns");
            });
    }
}

/* ---- actions as columns: a thread a row ---------------------------------------------------------------------------------------------- */

static __device__ void taken_row(const struct embed_pass *p, const struct distribution *dist, size_t b, float *column)
{
    const size_t row = b * (size_t)p->stride;
    for (int h = 0; h < dist->heads; h++) {
        const struct head *head = &dist->head[h];
        const int32_t *act = p->act_int ? p->act_int + row * (size_t)dist->act_ints + head->action : NULL;
        for (int k = 0; k < head->size; k++) {
            float *to = column + head->output + k;
            if (head->kind == HEAD_CATEGORICAL) *to = *act - head->start == k ? 1.0f : 0.0f;
            if (head->kind == HEAD_BERNOULLI) *to = (float)act[k];
            if (head->kind == HEAD_GAUSSIAN) *to = p->act_real[row * (size_t)dist->act_reals + (size_t)(head->action + k)];
        }
    }
}

static __device__ struct philox_draw words_of(const struct embed_pass *p, size_t b, uint32_t block)
{
    const uint64_t update = (uint64_t)p->numbers->update + (uint64_t)p->after;
    return embed_words(p->seed, p->first_row + (uint32_t)b, p->agent, update, p->use, block);
}

/* What is added to output `head.output + k`. */
static __device__ float noise_of(const struct embed_pass *p, const struct distribution *dist, size_t b, int outputs,
                                 const struct head *head, int k)
{
    const int output = head->output + k;
    const float *given = p->noise ? p->noise + b * (size_t)outputs + (size_t)output : NULL;
    if (head->kind == HEAD_GAUSSIAN) {
        if (dist->real != REAL_TANH_GAUSSIAN) return 0;
        const float std = embed_std(dist->fixed_std, p->log_std, head->action + k);
        if (given) return std * *given;
        const struct philox_draw draw = words_of(p, b, embed_real_block(outputs, output));
        return std * normal_draw(draw.v[2], draw.v[3]);
    }
    if (given) return *given;
    const struct philox_draw draw = words_of(p, b, (uint32_t)output / 4);
    return head->kind == HEAD_CATEGORICAL ? gumbel_draw(draw.v[output % 4]) : logistic_draw(draw.v[output % 4]);
}

static __global__ void embed_kernel(const struct embed_pass p, const struct distribution dist, int outputs)
{
    const size_t b = thread_item();
    float scratch[2];
    if (b >= (size_t)p.rows) return;
    float *column = p.columns + b * (size_t)p.column_stride;
    if (p.how == EMBED_TAKEN) {
        taken_row(&p, &dist, b, column);
        return;
    }
    const float *z = p.out + b * (size_t)outputs;
    float *y = p.soft + b * (size_t)outputs;
    const uint8_t *mask = p.mask ? p.mask + b * (size_t)p.stride * (size_t)dist.logits : NULL;
    for (int h = 0; h < dist.heads; h++) {
        const struct head head = dist.head[h];
        const int map = embed_map_of(head.kind, dist.real);
        for (int k = 0; k < head.size; k++) {
            const float noise = p.how != EMBED_MODE ? noise_of(&p, &dist, b, outputs, &head, k) : 0.0f;
            const bool allowed = !mask || head.mask < 0 || mask[head.mask + k];
            y[head.output + k] = allowed ? z[head.output + k] + noise : MASKED_LOGIT;
            if (p.drawn && p.how != EMBED_MODE) p.drawn[b * (size_t)outputs + (size_t)(head.output + k)] = noise;
        }
        embed_head(p.how, map, y + head.output, column + head.output, head.size, p.temperature, scratch, 1);
        for (int k = head.output; k < head.output + head.size && head.kind == HEAD_GAUSSIAN && p.smoothing > 0; k++) {
            const struct philox_draw d = words_of(&p, b, embed_real_block(outputs, k));
            column[k] = embed_smooth(map, column[k], p.smoothing, p.smoothing_clip, d.v[0], d.v[1]);
        }
    }
}

void replay_embed(struct backend *backend, const struct embed_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int p = 0; p < passes; p++) {
        LAUNCH(embed_kernel, cuda_blocks((size_t)pass[p].rows, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, pass[p],
               *pass[p].dist, distribution_outputs(pass[p].dist));
        LAUNCHED("embed");
    }
}

static __global__ void embed_back_kernel(const struct embed_back_pass p, const struct distribution dist, int outputs)
{
    const size_t b = thread_item();
    float scratch[1];
    if (b >= (size_t)p.rows) return;
    const float *soft = p.soft + b * (size_t)outputs;
    float *out = p.out + b * (size_t)outputs;
    const uint8_t *mask = p.mask ? p.mask + b * (size_t)p.stride * (size_t)dist.logits : NULL;
    float *slope = p.slope + b * (size_t)outputs, loss = -p.q[b];
    for (int k = 0; k < outputs; k++) slope[k] = p.q_slope[b * (size_t)outputs + (size_t)k];
    for (int h = 0; h < dist.heads; h++) {
        const struct head head = dist.head[h];
        for (int k = 0; k < head.size && mask && head.mask >= 0; k++)
            if (!mask[head.mask + k]) out[head.output + k] = MASKED_LOGIT;
        embed_head_back(embed_map_of(head.kind, dist.real), out + head.output, soft + head.output, slope + head.output, head.size,
                        p.temperature, p.penalty / (float)outputs, &loss, scratch, 1);
    }
    const float weight = !p.active || p.active[b] ? 1.0f : 0.0f;
    for (int k = 0; k < outputs; k++) slope[k] *= weight;
    p.loss[b] = weight * loss;
    for (int h = 0; h < dist.heads && p.drawn; h++) { /* of z + std n: n std times that by z */
        const struct head head = dist.head[h];
        for (int k = 0; k < head.size && head.kind == HEAD_GAUSSIAN; k++)
            p.by_log_std[b * (size_t)dist.act_reals + (size_t)(head.action + k)] =
                slope[head.output + k] * p.drawn[b * (size_t)outputs + (size_t)(head.output + k)];
    }
}

void replay_embed_back(struct backend *backend, const struct embed_back_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int p = 0; p < passes; p++) {
        LAUNCH(embed_back_kernel, cuda_blocks((size_t)pass[p].rows, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, pass[p],
               *pass[p].dist, distribution_outputs(pass[p].dist));
        LAUNCHED("embed_back");
    }
}

/* ---- targets, exploration ------------------------------------------------------------------------------------------------------------ */

static __global__ void td_kernel(const struct some_of<struct td_pass> some)
{
    const struct td_pass p = some.pass[blockIdx.y];
    const size_t b = thread_item(), row = b * (size_t)p.stride;
    if (b >= (size_t)p.rows) return;
    p.ret[b] = td_target(p.reward[row], p.terminated[row], p.ep_end[b], p.gamma, p.q[b], p.other ? p.other[b] : p.q[b]);
}

void replay_td_targets(struct backend *backend, const struct td_pass *pass, int passes)
{
    launch_all(
        backend, pass, passes, [](const struct td_pass &p) { return (size_t)p.rows; },
        [&](dim3 grid, const struct some_of<struct td_pass> &some) {
            LAUNCH(td_kernel, grid, CUDA_THREADS, 0, cuda_of(backend)->stream, some);
            LAUNCHED("td_targets");
        });
}

/* A thread an agent. */
static __global__ void explore_kernel(const struct explore_pass p, const struct distribution dist)
{
    const size_t item = thread_item();
    if (item >= (size_t)(p.hi - p.lo) * (size_t)p.agents) return;
    const int e = p.lo + (int)(item / (size_t)p.agents), a = (int)(item % (size_t)p.agents);
    explore_row(&p, &dist, e, a);
}

void replay_explore(struct backend *backend, const struct explore_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int p = 0; p < passes; p++) {
        const size_t rows = (size_t)(pass[p].hi - pass[p].lo) * (size_t)pass[p].agents;
        LAUNCH(explore_kernel, cuda_blocks(rows, CUDA_THREADS), CUDA_THREADS, 0, cuda_of(backend)->stream, pass[p], *pass[p].dist);
        LAUNCHED("explore");
    }
}
