/* The CUDA backend: opening and closing, packed rows, which way a network goes, recordings. Everything of learning is on one stream, in the
 * order of the calls; the host waits only where it downloads, or says so (`sync`, `wait`). */
#include "cuda/gemm.h"
#include "cuda/layout.h"
#include "cuda/ops.h"

#include <limits.h>

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#endif

extern "C" {
#include "backend/recurrent.h"
#include "base/text.h"
#include "env/device.h"

extern const struct env_device_ops cuda_environments;                                                    /* env_device.cu */
double cuda_rate(struct backend *backend, int what, int rows, int outputs, int inputs);                  /* rates.cu */
int cuda_backend_open(struct backend **backend, const struct backend_config *config, struct error *err); /* for backend_open */
}

enum {
    NETWORKS_AT_ONCE = 16,      /* passes of a call that are worked on together */
    SCRATCH_BYTES = 1024 * 1024 /* reduce.h: PASSES_AT_ONCE x PARTIAL_BLOCKS partial sums of a few doubles */
};

/* ---- packed rows --------------------------------------------------------------------------------------------------------------------- */

static size_t inputs_size(const struct network *net, bool fused, int max_rows)
{
    if (!fused) return (size_t)max_rows * (size_t)net->inputs;
    const int rows = fused_tile_rows();
    return (size_t)((max_rows + rows - 1) / rows) * (size_t)rows * layout_round((size_t)net->inputs);
}

static struct packed_rows *packed_rows_create(struct backend *backend, const struct network *net, int max_rows)
{
    struct cuda *cuda = cuda_of(backend);
    struct packed_rows *t = static_cast<struct packed_rows *>(calloc(1, sizeof *t));
    CHECK(t, "out of memory while creating rows of inputs");
    t->net = net;
    t->fused = !net->by_layer && fused_fits(cuda, net);
    t->max_rows = max_rows;
    t->max_chunks = t->fused ? fused_chunks(cuda, net, max_rows) : 1;
    if (t->max_chunks < 1) t->max_chunks = 1;
    t->x = static_cast<float *>(cuda_take(cuda, "inputs of passes", inputs_size(net, t->fused, max_rows) * sizeof(float)));
    t->folded = static_cast<float *>(cuda_take(cuda, "folded weights", layout_size(net) * sizeof(float)));
    t->chunk = static_cast<float *>(cuda_take(cuda, "sums of gradients", (size_t)t->max_chunks * layout_size(net) * sizeof(float)));
    t->sums = static_cast<double *>(cuda_take(cuda, "sums of gradients", (size_t)t->max_chunks * PASS_SUMS * sizeof(double)));
    if (!t->fused) composed_reserve(cuda, net, max_rows);
    return t;
}

static void packed_rows_destroy(struct backend *backend, struct packed_rows *packed)
{
    struct cuda *cuda = cuda_of(backend);
    if (!packed) return;
    cuda_give(cuda, packed->x);
    cuda_give(cuda, packed->folded);
    cuda_give(cuda, packed->chunk);
    cuda_give(cuda, packed->sums);
    free(packed);
}

static int batch_rows(const struct batch *batch)
{
    return batch->units * batch->rows;
}

static void pack(struct backend *backend, const struct network *net, const struct running *inputs, struct packed_rows *const *packed,
                 const float *x, const struct batch *batch, int passes)
{
    struct cuda *cuda = cuda_of(backend);
    CHECK(!inputs || inputs->width == net->inputs, "pack: statistics of %d inputs, a network of %d", inputs->width, net->inputs);
    for (int p = 0; p < passes; p++) {
        struct packed_rows *t = packed[p];
        CHECK(batch_rows(&batch[p]) <= t->max_rows, "pack: %d rows do not fit %d", batch_rows(&batch[p]), t->max_rows);
        CHECK(t->net->inputs == net->inputs, "pack: rows of %d inputs, a network of %d", t->net->inputs, net->inputs);
        t->rows = batch_rows(&batch[p]);
        t->count = batch[p].count;
        t->batch_rows = batch[p].rows;
        if (backend->planning || t->rows == 0) continue;
        if (t->fused)
            fused_pack(cuda, net, inputs, t, x, &batch[p]);
        else
            composed_pack(cuda, net, inputs, t, x, &batch[p]);
    }
}

/* ---- passes -------------------------------------------------------------------------------------------------------------------------- */

/* Passes of a call, those of the fused way first, each way in the order of the call. */
template <class P> struct sorted {
    P pass[NETWORKS_AT_ONCE];
    const struct network *net[NETWORKS_AT_ONCE];
    const float *parameters[NETWORKS_AT_ONCE];
    struct packed_rows *packed[NETWORKS_AT_ONCE];
    int from[NETWORKS_AT_ONCE]; /* place in the call */
    int count, fused;
};

template <class P> static void sort_passes(struct sorted<P> *s, const P *pass, int count)
{
    s->count = 0;
    for (int way = 1; way >= 0; way--) {
        for (int p = 0; p < count; p++) {
            if (pass[p].packed->fused != (way == 1)) continue;
            s->pass[s->count] = pass[p];
            s->net[s->count] = pass[p].net;
            s->parameters[s->count] = pass[p].parameters;
            s->packed[s->count] = pass[p].packed;
            s->from[s->count++] = p;
        }
        if (way == 1) s->fused = s->count;
    }
}

static int some_of(int first, int passes)
{
    return passes - first < NETWORKS_AT_ONCE ? passes - first : NETWORKS_AT_ONCE;
}

static void fold_all(struct cuda *cuda, const struct network *const *net, const float *const *parameters, struct packed_rows *const *packed,
                     int count)
{
    fold_networks(cuda, net, parameters, packed, count);
    for (int p = 0; p < count; p++) {
        packed[p]->folded_from = parameters[p];
        packed[p]->folded_at = cuda->writes;
    }
}

/* The steps of a rollout act with the same parameters: only the first folds them. */
static void fold_changed(struct cuda *cuda, const struct sorted<struct forward_pass> *s)
{
    const struct network *net[NETWORKS_AT_ONCE];
    const float *parameters[NETWORKS_AT_ONCE];
    struct packed_rows *packed[NETWORKS_AT_ONCE];
    int count = 0;
    for (int p = 0; p < s->count; p++) {
        if (s->packed[p]->folded_from == s->parameters[p] && s->packed[p]->folded_at == cuda->writes) continue;
        net[count] = s->net[p];
        parameters[count] = s->parameters[p];
        packed[count++] = s->packed[p];
    }
    if (count) fold_all(cuda, net, parameters, packed, count);
}

static void forward_some(struct cuda *cuda, const struct forward_pass *pass, const struct act_pass *act, int count)
{
    struct sorted<struct forward_pass> s;
    struct act_pass acts[NETWORKS_AT_ONCE];
    sort_passes(&s, pass, count);
    for (int p = 0; p < count; p++) recurrent_check(pass[p].net, pass[p].recurrent, pass[p].packed->rows, act ? 1 : INT_MAX);
    for (int p = 0; p < count && act; p++) acts[p] = act[s.from[p]];
    fold_changed(cuda, &s);
    if (s.fused) fused_forward(cuda, s.pass, act ? acts : NULL, s.fused);
    for (int p = s.fused; p < count; p++)
        if (s.packed[p]->rows > 0) composed_forward(cuda, &s.pass[p]);
    if (act && s.fused < count) act_rows(cuda, acts + s.fused, count - s.fused);
}

static void forward_act(struct backend *backend, const struct forward_pass *pass, const struct act_pass *act, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += NETWORKS_AT_ONCE)
        forward_some(cuda_of(backend), pass + first, act ? act + first : NULL, some_of(first, passes));
}

static void forward(struct backend *backend, const struct forward_pass *pass, int passes)
{
    forward_act(backend, pass, NULL, passes);
}

static void act(struct backend *backend, const struct act_pass *pass, int passes)
{
    if (!backend->planning && passes > 0) act_rows(cuda_of(backend), pass, passes);
}

static void train_some(struct cuda *cuda, const struct train_pass *pass, int count)
{
    struct sorted<struct train_pass> s;
    int chunks[NETWORKS_AT_ONCE];
    sort_passes(&s, pass, count);
    for (int p = 0; p < count; p++) {
        const int rows = s.packed[p]->rows;
        CHECK(rows == batch_rows(&s.pass[p].batch), "train: %d rows are packed, the batch has %d", rows, batch_rows(&s.pass[p].batch));
        recurrent_check(s.net[p], s.pass[p].recurrent, rows, s.net[p]->gru_steps > 1 ? s.net[p]->gru_steps : 1);
        chunks[p] = rows == 0 ? 0 : p < s.fused ? fused_chunks(cuda, s.net[p], rows) : 1;
    }
    fold_all(cuda, s.net, s.parameters, s.packed, count);
    if (s.fused) fused_train(cuda, s.pass, s.fused);
    for (int p = s.fused; p < count; p++)
        if (chunks[p] > 0) composed_train(cuda, &s.pass[p]);
    unfold_gradients(cuda, s.pass, chunks, count);
}

static void train(struct backend *backend, const struct train_pass *pass, int passes)
{
    if (backend->planning) return;
    for (int first = 0; first < passes; first += NETWORKS_AT_ONCE) train_some(cuda_of(backend), pass + first, some_of(first, passes));
}

static void derive(struct backend *backend, const struct derive_pass *pass, int passes)
{
    struct cuda *cuda = cuda_of(backend);
    if (backend->planning) return;
    for (int p = 0; p < passes; p++) {
        const struct network *net = pass[p].net;
        CHECK(!pass[p].packed->fused && !net->feature_norm && !net->gru && net->conv.layers == 0 && net->outputs == 1,
              "derive: a network of %d outputs, with a norm, memory or another layout", net->outputs);
        struct packed_rows *packed = pass[p].packed;
        const float *parameters = pass[p].parameters;
        fold_all(cuda, &net, &parameters, &packed, 1);
        composed_derive(cuda, &pass[p]);
    }
}

/* ---- recordings ---------------------------------------------------------------------------------------------------------------------- */

struct recording {
    cudaGraphExec_t exec;
};

static void record_begin(struct backend *backend)
{
    struct cuda *cuda = cuda_of(backend);
    if (!cuda->graphs || backend->planning) return;
    CHECK(!cuda->recording, "a recording within a recording");
    CUDA(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal), "beginning a recording");
    cuda->recording = true;
    cuda->writes++; /* a recording folds for itself, whenever it is replayed */
}

static void replay(struct backend *backend, struct recording *recording)
{
    cuda_of(backend)->writes++;
    CUDA(cudaGraphLaunch(recording->exec, cuda_of(backend)->stream), "replaying a recording");
}

/* Without graphs the calls have been made already, and will be made again. */
static struct recording *record_end(struct backend *backend)
{
    struct cuda *cuda = cuda_of(backend);
    cudaGraph_t graph;
    if (!cuda->recording) return NULL;
    cuda->recording = false;
    CUDA(cudaStreamEndCapture(cuda->stream, &graph), "ending a recording");
    struct recording *recording = static_cast<struct recording *>(calloc(1, sizeof *recording));
    CHECK(recording, "out of memory for a recording");
    CUDA(cudaGraphInstantiateWithFlags(&recording->exec, graph, 0), "preparing a recording");
    CUDA(cudaGraphDestroy(graph), "preparing a recording");
    replay(backend, recording);
    return recording;
}

static void recording_free(struct backend *backend, struct recording *recording)
{
    if (!recording) return;
    CUDA(cudaStreamSynchronize(cuda_of(backend)->stream), "waiting for a recording");
    CUDA(cudaGraphExecDestroy(recording->exec), "giving a recording back");
    free(recording);
}

/* Ranges of NVTX, where the toolkit has its header: Nsight Systems shows them above the kernels. */
static void range(struct backend *, const char *name)
{
#if __has_include(<nvtx3/nvToolsExt.h>)
    if (name)
        nvtxRangePushA(name);
    else
        nvtxRangePop();
#else
    (void)name;
#endif
}

/* ---- waiting ------------------------------------------------------------------------------------------------------------------------- */

static void sync(struct backend *backend)
{
    if (!backend->planning) CUDA(cudaStreamSynchronize(cuda_of(backend)->stream), "waiting for the device");
}

static void record_mark(struct backend *backend, const cudaEvent_t *marks, int slot)
{
    struct cuda *cuda = cuda_of(backend);
    CHECK(slot >= 0 && slot < BACKEND_MARKS, "mark %d is not one of %d", slot, BACKEND_MARKS);
    CHECK(!cuda->recording, "a mark is recorded: the host could not wait for it");
    if (!backend->planning) CUDA(cudaEventRecord(marks[slot], cuda->stream), "marking");
}

static void mark_begin(struct backend *backend, int slot)
{
    record_mark(backend, cuda_of(backend)->mark_begin, slot);
}

static void mark(struct backend *backend, int slot)
{
    record_mark(backend, cuda_of(backend)->mark, slot);
}

static void wait(struct backend *backend, int slot)
{
    struct cuda *cuda = cuda_of(backend);
    CHECK(slot >= 0 && slot < BACKEND_MARKS, "mark %d is not one of %d", slot, BACKEND_MARKS);
    if (!backend->planning) CUDA(cudaEventSynchronize(cuda->mark[slot]), "waiting for the device");
}

static double mark_seconds(struct backend *backend, int slot)
{
    const struct cuda *cuda = cuda_of(backend);
    float milliseconds = 0;
    CHECK(slot >= 0 && slot < BACKEND_MARKS, "mark %d is not one of %d", slot, BACKEND_MARKS);
    if (!backend->planning)
        CUDA(cudaEventElapsedTime(&milliseconds, cuda->mark_begin[slot], cuda->mark[slot]), "reading the device's clock");
    return (double)milliseconds * 1e-3;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

static void cuda_close(struct backend *backend)
{
    struct cuda *cuda = cuda_of(backend);
    sync(backend);
    messages_close(cuda);
    composed_close(cuda);
    gemm_close(cuda);
    memory_close(cuda);
    for (int i = 0; i < BACKEND_MARKS; i++) {
        CUDA(cudaEventDestroy(cuda->mark_begin[i]), "closing the device");
        CUDA(cudaEventDestroy(cuda->mark[i]), "closing the device");
    }
    CUDA(cudaStreamDestroy(cuda->stream), "closing the device");
    free(cuda);
}

static void fill_table(struct backend *b)
{
    b->name = "cuda";
    b->close = cuda_close;
    b->alloc = memory_alloc;
    b->free = memory_free;
    b->upload = memory_upload;
    b->download = memory_download;
    b->sync = sync;
    b->packed_rows_create = packed_rows_create;
    b->packed_rows_destroy = packed_rows_destroy;
    b->pack = pack;
    b->forward = forward;
    b->act = act;
    b->evaluate = evaluate_rows;
    b->train = train;
    b->draw = replay_draw_rows;
    b->gather = replay_gather;
    b->priority_renew = priority_renew;
    b->priority_rebuild = priority_rebuild;
    b->priority_draw = priority_draw;
    b->priority_weigh = priority_weigh;
    b->priority_learn = priority_learn;
    b->td_errors = replay_td_errors;
    b->pack_columns = replay_pack_columns;
    b->embed = replay_embed;
    b->embed_back = replay_embed_back;
    b->td_targets = replay_td_targets;
    b->explore = replay_explore;
    b->derive = derive;
    b->gae = rollout_gae;
    b->select_ends = rollout_select_ends;
    b->scatter = rollout_scatter;
    b->copy_rows = rollout_copy_rows;
    b->find_nonfinite = rollout_find_nonfinite;
    b->find_no_choice = rollout_find_no_choice;
    b->find_unequal = rollout_find_unequal;
    b->moments = rollout_moments;
    b->standardise = rollout_standardise;
    b->discount = rollout_discount;
    b->join = rollout_join;
    b->compound = rollout_compound;
    b->home = learners_home;
    b->forget = learners_forget;
    b->running_measure = rollout_running_measure;
    b->running_take = rollout_running_take;
    b->select = rollout_select;
    b->ppo_start = learners_start;
    b->ppo_end = learners_end;
    b->ppo_begin = learners_begin;
    b->rescale_heads = learners_rescale_heads;
    b->ppo_measure = learners_measure;
    b->optimizer_step = optimizers_step;
    b->copy = memory_copy;
    b->soft_update = vector_soft_update;
    b->forward_act = forward_act;
    b->record_begin = record_begin;
    b->record_end = record_end;
    b->replay = replay;
    b->recording_free = recording_free;
    b->host_alloc = memory_host_alloc;
    b->host_free = memory_host_free;
    b->upload_later = memory_upload_later;
    b->download_later = memory_download_later;
    b->mark = mark;
    b->wait = wait;
    b->mark_begin = mark_begin;
    b->mark_seconds = mark_seconds;
    b->range = range;
    b->rate = cuda_rate;
    b->memory_plan = memory_plan;
    b->memory_reserve = memory_reserve;
    b->environments = &cuda_environments;
}

static void ask_device(struct cuda *cuda)
{
    int shared = 0;
    CUDA(cudaDeviceGetAttribute(&cuda->multiprocessors, cudaDevAttrMultiProcessorCount, cuda->device), "asking the device");
    CUDA(cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, cuda->device), "asking the device");
    cuda->shared_bytes = (size_t)shared;
}

extern "C" int cuda_backend_open(struct backend **backend, const struct backend_config *config, struct error *err)
{
    static const char *const precisions[] = {"float32", "tf32", "bf16"};
    int device = 0;
    char about[128];
    *backend = NULL;
    const int code = device_choose(config, &device, err);
    if (code) return code;
    struct cuda *cuda = static_cast<struct cuda *>(calloc(1, sizeof *cuda));
    CHECK(cuda, "out of memory while opening the GPU");
    fill_table(&cuda->backend);
    cuda->backend.self = cuda;
    cuda->backend.threads = config->threads > 0 ? config->threads : 1;
    cuda->backend.level = config->level < 0 ? cpu_level_detect() : config->level;
    cuda->backend.planning = config->planning;
    cuda->device = device;
    cuda->precision = config->precision;
    cuda->graphs = config->graphs;
    device_describe(device, about, sizeof about);
    text_format(cuda->backend.detail, sizeof cuda->backend.detail, "%s, %s", about, precisions[config->precision]);
    ask_device(cuda);
    CUDA(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking), "making a stream");
    for (int i = 0; i < BACKEND_MARKS; i++) {
        CUDA(cudaEventCreate(&cuda->mark_begin[i]), "making an event");
        CUDA(cudaEventCreate(&cuda->mark[i]), "making an event");
    }
    memory_open(cuda);
    cuda->scratch_bytes = SCRATCH_BYTES;
    cuda->scratch = cuda_take(cuda, "partial sums", cuda->scratch_bytes);
    cuda->ticket = static_cast<unsigned *>(cuda_take(cuda, "partial sums", CUDA_TICKETS * sizeof *cuda->ticket));
    messages_open(cuda);
    if (config->planning) memory_reserve(&cuda->backend, 0);
    *backend = &cuda->backend;
    return EXIT_DONE;
}
