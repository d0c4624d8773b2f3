/* The CPU backend: memory, and which thread does which part of a pass. The arithmetic is in *_kernels.c. */
#include "backend/cpu.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "backend/recurrent.h"
#include "base/text.h"

struct cpu {
    struct backend backend;
    const struct cpu_kernels *kernels;
    real **work; /* [threads] */
    size_t work_size;
    struct cpu_plan *plan; /* NULL unless planning */
};

enum {
    CHUNKS = 8,            /* of a pass: enough to balance a few threads, few enough that adding them up costs nothing */
    CHUNK_TILES_LEAST = 4, /* smaller passes have fewer chunks */
    CHUNK_TILES = 32,      /* larger passes have more chunks */
    CHUNKS_MOST = 64,
    INLINE_ROWS = 128 /* a call of fewer rows than this is not worth waking threads for */
};

static struct cpu *cpu_of(struct backend *backend)
{
    return backend->self;
}

struct cpu_plan *cpu_plan_of(struct backend *backend)
{
    return cpu_of(backend)->plan;
}

static void *cpu_alloc(struct backend *backend, const char *what, size_t bytes)
{
    (void)backend;
    const size_t rounded = (bytes + 63) / 64 * 64 + 64;
    void *p = aligned_alloc(64, rounded);
    if (!p)
        die(EXIT_USAGE, "not enough memory: %zu bytes for %s can't be had; fewer environments (rollout.envs) or threads need less", bytes,
            what);
    return memset(p, 0, rounded);
}

static void cpu_free(struct backend *backend, void *p)
{
    (void)backend;
    free(p);
}

static void cpu_copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    (void)backend;
    memcpy(to, from, bytes);
}

static void cpu_sync(struct backend *backend)
{
    (void)backend;
}

static void cpu_close(struct backend *backend)
{
    struct cpu *cpu = cpu_of(backend);
    for (int t = 0; t < backend->threads; t++) backend->free(backend, cpu->work[t]);
    cpu_plan_end(cpu->plan);
    free(cpu->work);
    free(cpu);
}

/* Every thread's work space grows to what the largest network needs: before learning starts, never during it. */
static void reserve_work(struct cpu *cpu, size_t size)
{
    if (size <= cpu->work_size) return;
    cpu->work_size = size;
    for (int t = 0; t < cpu->backend.threads; t++) {
        cpu->backend.free(&cpu->backend, cpu->work[t]);
        cpu->work[t] = cpu->backend.alloc(&cpu->backend, "a thread's work space", size * sizeof(real));
    }
}

/* ---- tiles and chunks ---------------------------------------------------------------------------------------------------------------- */

static int tile_count(const struct cpu *cpu, int rows)
{
    return (rows + cpu->kernels->tile_rows - 1) / cpu->kernels->tile_rows;
}

/* How many chunks so many tiles make: a function of the tiles alone. */
static int chunk_count(int tiles)
{
    int chunks = tiles / CHUNK_TILES_LEAST;
    if (chunks > CHUNKS) chunks = tiles / CHUNK_TILES > CHUNKS ? tiles / CHUNK_TILES : CHUNKS;
    if (chunks > CHUNKS_MOST) chunks = CHUNKS_MOST;
    return chunks > 0 ? chunks : tiles > 0;
}

/* Tiles that are divided among the tasks of a pass: of its rows or, with steps, of its sequences. */
static int work_tiles(const struct cpu *cpu, const struct packed_rows *packed, const struct recurrent *time)
{
    return tile_count(cpu, time ? recurrent_width(time, packed->rows, 0) : packed->rows);
}

/* A tile of sequences is as much work as it has steps, and is not cut. */
static int work_chunks(const struct cpu *cpu, const struct packed_rows *packed, const struct recurrent *time)
{
    const int whole = work_tiles(cpu, packed, time);
    if (!time) return chunk_count(whole);
    const int chunks = chunk_count(whole * time->steps);
    return chunks < whole ? chunks : whole;
}

static int chunk_first(int tiles, int chunks, int c)
{
    return (int)((int64_t)tiles * c / chunks);
}

static struct packed_rows *cpu_packed_rows_create(struct backend *backend, const struct network *net, int max_rows)
{
    struct cpu *cpu = cpu_of(backend);
    const int tiles = tile_count(cpu, max_rows);
    struct packed_rows *t = cpu_alloc(backend, "packed rows", sizeof *t);
    t->inputs = net->inputs;
    t->max_rows = max_rows;
    t->max_chunks = !net->gru ? chunk_count(tiles) : tiles < CHUNKS_MOST ? tiles : CHUNKS_MOST;
    t->max_steps = !net->gru ? 0 : net->gru_steps > 1 ? net->gru_steps : 1;
    t->chunk_size = (cpu->kernels->chunk_size(net) + 15) / 16 * 16;
    t->x = backend->alloc(backend, "input tiles", (size_t)tiles * (size_t)net->inputs * (size_t)cpu->kernels->tile_rows * sizeof(real));
    t->chunk = backend->alloc(backend, "gradient chunks", (size_t)t->max_chunks * t->chunk_size * sizeof(real));
    t->folded = backend->alloc(backend, "folded weights", cpu->kernels->folded_size(net) * sizeof(real));
    t->sums = backend->alloc(backend, "loss sums", (size_t)t->max_chunks * PASS_SUMS * sizeof(double));
    reserve_work(cpu, cpu->kernels->work_size(net));
    return t;
}

static void cpu_packed_rows_destroy(struct backend *backend, struct packed_rows *packed)
{
    if (!packed) return;
    backend->free(backend, packed->x);
    backend->free(backend, packed->folded);
    backend->free(backend, packed->chunk);
    backend->free(backend, packed->sums);
    free(packed);
}

static int threads_for(const struct backend *backend, int rows)
{
    return rows < INLINE_ROWS ? 1 : backend->threads;
}

#ifdef _OPENMP
#include <omp.h>
static int thread_number(void)
{
    return omp_get_thread_num();
}
#else
static int thread_number(void)
{
    return 0;
}
#endif

static void cpu_pack(struct backend *backend, const struct network *net, const struct running *inputs, struct packed_rows *const *packed,
                     const float *x, const struct batch *batch, int passes)
{
    struct cpu *cpu = cpu_of(backend);
    int tasks = 0, rows = 0;
    CHECK(!inputs || inputs->width == net->inputs, "pack: statistics of %d inputs, a network of %d", inputs->width, net->inputs);
    for (int p = 0; p < passes; p++) {
        packed[p]->rows = batch_units(&batch[p]) * batch[p].rows;
        CHECK(packed[p]->rows <= packed[p]->max_rows, "pack: %d rows do not fit %d", packed[p]->rows, packed[p]->max_rows);
        CHECK(packed[p]->inputs == net->inputs, "pack: rows of %d inputs, a network of %d", packed[p]->inputs, net->inputs);
        packed[p]->first_task = tasks;
        tasks += tile_count(cpu, packed[p]->rows);
        rows += packed[p]->rows;
    }
    const int threads = threads_for(backend, rows);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
    for (int task = 0; task < tasks; task++) {
        int p = passes - 1;
        while (packed[p]->first_task > task) p--;
        cpu->kernels->pack(net, inputs, packed[p], x, &batch[p], task - packed[p]->first_task);
    }
}

/* Rows of a forward pass, or its sequences, do not touch each other, so the number of tasks may follow that of the threads. */
static int forward_tasks(const struct cpu *cpu, const struct forward_pass *pass, int threads)
{
    const int tiles = work_tiles(cpu, pass->packed, pass->recurrent), most = threads > 1 ? 4 * threads : 1;
    return tiles < most ? tiles : most;
}

/* With `act`, each task samples the actions of its rows as well. */
static void forward_and_act(struct cpu *cpu, const struct forward_pass *pass, const struct act_pass *act, int passes)
{
    int tasks = 0, rows = 0;
    for (int p = 0; p < passes; p++) {
        recurrent_check(pass[p].net, pass[p].recurrent, pass[p].packed->rows, act ? 1 : INT_MAX);
        rows += pass[p].packed->rows;
    }
    const int threads = threads_for(&cpu->backend, rows);
    for (int p = 0; p < passes; p++) {
        pass[p].packed->first_task = tasks;
        tasks += forward_tasks(cpu, &pass[p], threads);
    }
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(dynamic, 1)
        for (int p = 0; p < passes; p++) cpu->kernels->fold(pass[p].net, pass[p].parameters, pass[p].packed->folded);
#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < tasks; task++) {
            int p = passes - 1;
            while (pass[p].packed->first_task > task) p--;
            const int tiles = work_tiles(cpu, pass[p].packed, pass[p].recurrent), parts = forward_tasks(cpu, &pass[p], threads);
            const int part = task - pass[p].packed->first_task, r = cpu->kernels->tile_rows;
            const int first = chunk_first(tiles, parts, part), end = chunk_first(tiles, parts, part + 1);
            real *work = cpu->work[thread_number()];
            cpu->kernels->forward(&pass[p], work, first, end);
            const int rows_of_pass = pass[p].packed->rows;
            if (act) cpu->kernels->act(&act[p], work, first * r, end * r < rows_of_pass ? end * r : rows_of_pass);
        }
    }
}

static void cpu_forward(struct backend *backend, const struct forward_pass *pass, int passes)
{
    forward_and_act(cpu_of(backend), pass, NULL, passes);
}

static void cpu_forward_act(struct backend *backend, const struct forward_pass *pass, const struct act_pass *act, int passes)
{
    struct cpu *cpu = cpu_of(backend);
    for (int p = 0; p < passes; p++) reserve_work(cpu, cpu->kernels->act_size(act[p].dist));
    forward_and_act(cpu, pass, act, passes);
}

/* By the tasks of a call: `first_task` of the passes' packed rows is where each begins. */
static void cpu_derive(struct backend *backend, const struct derive_pass *pass, int passes)
{
    struct cpu *cpu = cpu_of(backend);
    for (const struct derive_pass *p = pass; p < pass + passes; p++) {
        CHECK(!p->net->feature_norm && !p->net->gru && p->net->conv.layers == 0 && p->net->outputs == 1,
              "derive: a network of %d outputs, with a norm, memory or convolutions", p->net->outputs);
        cpu->kernels->fold(p->net, p->parameters, p->packed->folded);
        const int tiles = tile_count(cpu, p->packed->rows), threads = threads_for(backend, p->packed->rows);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
        for (int tile = 0; tile < tiles; tile++) cpu->kernels->derive(p, cpu->work[thread_number()], tile, tile + 1);
    }
}

static void cpu_pack_columns(struct backend *backend, const struct columns_pass *pass, int passes)
{
    struct cpu *cpu = cpu_of(backend);
    for (const struct columns_pass *p = pass; p < pass + passes; p++) {
        CHECK(p->rows <= p->packed->max_rows && p->to + p->width <= p->packed->inputs,
              "pack_columns: %d rows, columns %d to %d into %d rows of %d", p->rows, p->to, p->to + p->width, p->packed->max_rows,
              p->packed->inputs);
        p->packed->rows = p->rows;
        const int tiles = tile_count(cpu, p->rows), threads = threads_for(backend, p->rows);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
        for (int tile = 0; tile < tiles; tile++) cpu->kernels->pack_columns(p, tile);
    }
}

static void cpu_train(struct backend *backend, const struct train_pass *pass, int passes)
{
    struct cpu *cpu = cpu_of(backend);
    int tasks = 0, rows = 0;
    for (int p = 0; p < passes; p++) {
        struct packed_rows *t = pass[p].packed;
        CHECK(t->rows == batch_units(&pass[p].batch) * pass[p].batch.rows, "train: %d rows are packed, the batch has %d", t->rows,
              batch_units(&pass[p].batch) * pass[p].batch.rows);
        recurrent_check(pass[p].net, pass[p].recurrent, t->rows, t->max_steps);
        t->first_task = tasks;
        tasks += work_chunks(cpu, t, pass[p].recurrent);
        rows += t->rows;
    }
    const int threads = threads_for(backend, rows);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(dynamic, 1)
        for (int p = 0; p < passes; p++) cpu->kernels->fold(pass[p].net, pass[p].parameters, pass[p].packed->folded);
#pragma omp for schedule(dynamic, 1)
        for (int task = 0; task < tasks; task++) {
            int p = passes - 1;
            while (pass[p].packed->first_task > task) p--;
            const struct packed_rows *t = pass[p].packed;
            const int tiles = work_tiles(cpu, t, pass[p].recurrent), chunks = work_chunks(cpu, t, pass[p].recurrent),
                      c = task - t->first_task;
            cpu->kernels->train(&pass[p], cpu->work[thread_number()], t->chunk + (size_t)c * t->chunk_size, t->sums + c * PASS_SUMS,
                                chunk_first(tiles, chunks, c), chunk_first(tiles, chunks, c + 1));
        }
#pragma omp for schedule(dynamic, 1)
        for (int p = 0; p < passes; p++) cpu->kernels->reduce(&pass[p], work_chunks(cpu, pass[p].packed, pass[p].recurrent));
    }
}

/* What is done with all rows of a batch: `work` on rows [from, to) of a pass, with scratch of scratch_size. */
static void by_row_tiles(struct backend *backend, const struct batch *batch, size_t scratch_size, const void *pass,
                         void (*work)(const struct cpu *cpu, const void *pass, void *scratch, int from, int to))
{
    struct cpu *cpu = cpu_of(backend);
    const int rows = batch_units(batch) * batch->rows, tiles = tile_count(cpu, rows), r = cpu->kernels->tile_rows;
    reserve_work(cpu, scratch_size);
    const int threads = threads_for(backend, rows);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
    for (int tile = 0; tile < tiles; tile++) {
        const int end = (tile + 1) * r;
        work(cpu, pass, cpu->work[thread_number()], tile * r, end < rows ? end : rows);
    }
}

static void act_rows(const struct cpu *cpu, const void *pass, void *scratch, int from, int to)
{
    cpu->kernels->act(pass, scratch, from, to);
}

static void evaluate_rows(const struct cpu *cpu, const void *pass, void *scratch, int from, int to)
{
    cpu->kernels->evaluate(pass, scratch, from, to);
}

static void cpu_act(struct backend *backend, const struct act_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++)
        by_row_tiles(backend, &pass[p].batch, cpu_of(backend)->kernels->act_size(pass[p].dist), &pass[p], act_rows);
}

static void cpu_evaluate(struct backend *backend, const struct evaluate_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++)
        by_row_tiles(backend, &pass[p].batch, cpu_of(backend)->kernels->act_size(pass[p].dist), &pass[p], evaluate_rows);
}

static void embed_rows(const struct cpu *cpu, const void *pass, void *scratch, int from, int to)
{
    cpu->kernels->embed(pass, scratch, from, to);
}

static void embed_back_rows(const struct cpu *cpu, const void *pass, void *scratch, int from, int to)
{
    cpu->kernels->embed_back(pass, scratch, from, to);
}

static void cpu_embed(struct backend *backend, const struct embed_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++) {
        const struct batch rows = {NULL, pass[p].rows, 1, NULL};
        by_row_tiles(backend, &rows, cpu_of(backend)->kernels->act_size(pass[p].dist), &pass[p], embed_rows);
    }
}

static void cpu_embed_back(struct backend *backend, const struct embed_back_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++) {
        const struct batch rows = {NULL, pass[p].rows, 1, NULL};
        by_row_tiles(backend, &rows, cpu_of(backend)->kernels->act_size(pass[p].dist), &pass[p], embed_back_rows);
    }
}

/* ---- whole rollouts and flat vectors: too little work for threads, except GAE of many environments ----------------------------------- */

static void cpu_gae(struct backend *backend, const struct gae_pass *pass, int passes)
{
    struct cpu *cpu = cpu_of(backend);
    const int threads = passes > 1 ? backend->threads : 1;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
    for (int p = 0; p < passes; p++) cpu->kernels->gae(&pass[p]);
}

static void cpu_moments(struct backend *backend, const struct moments_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++) cpu_of(backend)->kernels->moments(&pass[p]);
}

static void cpu_standardise(struct backend *backend, const struct standardise_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++) cpu_of(backend)->kernels->standardise(&pass[p]);
}

static void cpu_running_measure(struct backend *backend, const struct running_pass *pass, int passes)
{
    for (int p = 0; p < passes; p++) cpu_of(backend)->kernels->running_measure(&pass[p]);
}

static void cpu_optimizer_step(struct backend *backend, const struct optimizer_rules *rules, const struct optimizer_pass *pass, int passes)
{
    const struct cpu_kernels *kernels = cpu_of(backend)->kernels;
    for (const struct optimizer_pass *p = pass; p < pass + passes; p++)
        optimizer_measure(p->optimizer, rules, kernels->sum_squares(p->gradient, p->n), &p->not_finite, p->fault);
    for (const struct optimizer_pass *p = pass; p < pass + passes; p++)
        optimizer_prepare(p->optimizer, p->with, rules, *p->rate, p->steps ? *p->steps + p->step + 1 : 0);
    for (const struct optimizer_pass *p = pass; p < pass + passes; p++)
        if (p->fault->kind == NO_FAULT && !optimizer_rests(p->optimizer))
            kernels->adam(&p->optimizer->step, p->parameters, p->gradient, p->m, p->v, p->n);
}

static void cpu_soft_update(struct backend *backend, real *target, const real *from, real tau, size_t n)
{
    cpu_of(backend)->kernels->soft_update(target, from, tau, n);
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

static const struct backend cpu_table = {.name = "cpu",
                                         .host_memory = true,
                                         .close = cpu_close,
                                         .alloc = cpu_alloc,
                                         .free = cpu_free,
                                         .upload = cpu_copy,
                                         .download = cpu_copy,
                                         .sync = cpu_sync,
                                         .packed_rows_create = cpu_packed_rows_create,
                                         .packed_rows_destroy = cpu_packed_rows_destroy,
                                         .pack = cpu_pack,
                                         .forward = cpu_forward,
                                         .act = cpu_act,
                                         .evaluate = cpu_evaluate,
                                         .forward_act = cpu_forward_act,
                                         .train = cpu_train,
                                         .draw = scalar_draw,
                                         .priority_renew = scalar_priority_renew,
                                         .priority_rebuild = scalar_priority_rebuild,
                                         .priority_draw = scalar_priority_draw,
                                         .priority_weigh = scalar_priority_weigh,
                                         .priority_learn = scalar_priority_learn,
                                         .td_errors = scalar_td_errors,
                                         .gather = scalar_gather,
                                         .pack_columns = cpu_pack_columns,
                                         .embed = cpu_embed,
                                         .embed_back = cpu_embed_back,
                                         .td_targets = scalar_td_targets,
                                         .derive = cpu_derive,
                                         .explore = scalar_explore,
                                         .gae = cpu_gae,
                                         .select_ends = scalar_select_ends,
                                         .scatter = scalar_scatter,
                                         .copy_rows = scalar_copy_rows,
                                         .find_nonfinite = scalar_find_nonfinite,
                                         .moments = cpu_moments,
                                         .standardise = cpu_standardise,
                                         .discount = scalar_discount,
                                         .running_measure = cpu_running_measure,
                                         .running_take = scalar_running_take,
                                         .select = scalar_select,
                                         .ppo_start = scalar_ppo_start,
                                         .ppo_end = scalar_ppo_end,
                                         .join = scalar_join,
                                         .compound = scalar_compound,
                                         .home = scalar_home,
                                         .forget = scalar_forget,
                                         .ppo_begin = scalar_ppo_begin,
                                         .rescale_heads = scalar_rescale_heads,
                                         .ppo_measure = scalar_ppo_measure,
                                         .optimizer_step = cpu_optimizer_step,
                                         .copy = cpu_copy,
                                         .soft_update = cpu_soft_update};

int cpu_backend_open(struct backend **backend, const struct backend_config *config, struct error *err)
{
    *backend = NULL;
    const int best = cpu_level_detect();
    if (config->level > best)
        return error_set(err, EXIT_USAGE, "cpu.level=%s: this machine has only %s; leave cpu.level at auto", cpu_level_name(config->level),
                         cpu_level_name(best));
    struct cpu *cpu = cpu_alloc(NULL, "the backend", sizeof *cpu);
    cpu->backend = cpu_table;
    cpu->backend.self = cpu;
    cpu->backend.threads = config->threads > 0 ? config->threads : 1;
    cpu->backend.level = config->level < 0 ? best : config->level;
    cpu->kernels = cpu_kernels_of(cpu->backend.level);
    cpu->work = cpu_alloc(NULL, "work spaces", (size_t)cpu->backend.threads * sizeof *cpu->work);
    text_format(cpu->backend.detail, sizeof cpu->backend.detail, "%s, %d thread%s", cpu->kernels->name, cpu->backend.threads,
                cpu->backend.threads == 1 ? "" : "s");
    if (config->planning) cpu->plan = cpu_plan_begin(&cpu->backend);
    *backend = &cpu->backend;
    return EXIT_DONE;
}
