/* Memory of the device by name, pinned memory of the host, and copies.
 *
 * A run takes its device memory once, as one arena whose size a planning backend has found: there the same calls are made in the same
 * order, and only added up. An array is put into the first gap of the arena that is large enough; what no arena has room for (benchmarks,
 * tests, whoever did not plan) is taken from the driver by itself. */
#include "cuda/ops.h"

extern "C" {
#include "base/text.h"
}

enum {
    MEMORY_ALIGN = 256,
    /* Small uploads go through a ring of pinned slots, so that the host need not wait for all that the device still has to do. */
    RING_SLOTS = 64,
    RING_HALF = RING_SLOTS / 2,
    RING_BYTES = 512 /* of a slot */
};

enum place { IN_ARENA, ON_DEVICE, ON_HOST };
struct memory_block {
    void *p;
    size_t bytes;
    char what[48];
    int place;
};

struct memory {
    struct memory_block *block; /* [blocks], room for `room`; those in the arena in the order of their addresses */
    int blocks, room;
    char *arena;              /* NULL before memory_reserve */
    size_t arena_bytes, most; /* most: highest end of a block so far */
    unsigned char *ring;      /* [RING_SLOTS][RING_BYTES] */
    int slot;
    cudaEvent_t copied[2]; /* of a half of the ring: its last copy */
};

static struct memory *memory_of(struct cuda *cuda)
{
    return static_cast<struct memory *>(cuda->memory);
}

/* ---- the list of blocks -------------------------------------------------------------------------------------------------------------- */

/* At place `at` of the list. */
static void remember(struct cuda *cuda, int at, void *p, const char *what, size_t bytes, int place)
{
    struct memory *m = memory_of(cuda);
    if (m->blocks == m->room) {
        m->room = m->room ? 2 * m->room : 64;
        m->block = static_cast<struct memory_block *>(realloc(m->block, (size_t)m->room * sizeof *m->block));
        CHECK(m->block, "out of memory while listing the device's memory");
    }
    struct memory_block *b = &m->block[at];
    memmove(b + 1, b, (size_t)(m->blocks - at) * sizeof *b);
    m->blocks++;
    b->p = p;
    b->bytes = bytes;
    b->place = place;
    text_format(b->what, sizeof b->what, "%s", what);
}

/* Returns where it was. */
static int forget(struct cuda *cuda, void *p, bool host)
{
    struct memory *m = memory_of(cuda);
    int i = m->blocks - 1; /* the last taken is usually the first given back */
    while (i >= 0 && (m->block[i].p != p || (m->block[i].place == ON_HOST) != host)) i--;
    CHECK(i >= 0, "memory of the device is given back that was not taken");
    const int place = m->block[i].place;
    memmove(&m->block[i], &m->block[i + 1], (size_t)(m->blocks - 1 - i) * sizeof *m->block);
    m->blocks--;
    return place;
}

/* The first gap of the arena that is large enough, and its place in the list; NULL = none. */
static void *find_gap(const struct memory *m, size_t bytes, int *at)
{
    char *end = m->arena;
    for (*at = 0; *at < m->blocks; (*at)++) {
        const struct memory_block *b = &m->block[*at];
        if (b->place != IN_ARENA) continue;
        if ((size_t)(static_cast<char *>(b->p) - end) >= bytes) break;
        end = static_cast<char *>(b->p) + b->bytes;
    }
    return m->arena && (size_t)(end - m->arena) + bytes <= m->arena_bytes ? end : NULL;
}

/* ---- taking and giving --------------------------------------------------------------------------------------------------------------- */

static double mebibytes(size_t bytes)
{
    return (double)bytes / 1048576.0;
}

#define HOW_TO_NEED_LESS                                                                                                                   \
    "lower rollout.envs, rollout.steps, policy.hidden or (for evaluations) eval.episodes, or end other processes on this GPU "             \
    "(nvidia-smi lists them)"

MAPPO_NORETURN static void out_of_memory(const char *what, size_t bytes)
{
    size_t free = 0, total = 0;
    cudaGetLastError(); /* forgotten: it is reported here */
    cudaMemGetInfo(&free, &total);
    die(EXIT_USAGE, "device memory: no room for %.1f MiB of %s, %.1f of %.1f MiB are free; " HOW_TO_NEED_LESS, mebibytes(bytes), what,
        mebibytes(free), mebibytes(total));
}

static void *take_from_driver(const char *what, size_t bytes)
{
    void *p = NULL;
    const cudaError_t code = cudaMalloc(&p, bytes);
    if (code == cudaErrorMemoryAllocation) out_of_memory(what, bytes);
    CUDA(code, "taking memory");
    return p;
}

void *cuda_take(struct cuda *cuda, const char *what, size_t bytes)
{
    struct memory *m = memory_of(cuda);
    const size_t rounded = (bytes / MEMORY_ALIGN + 1) * MEMORY_ALIGN; /* never empty */
    int at;
    CHECK(!cuda->recording, "\"%s\" takes device memory while calls are recorded", what);
    void *p = find_gap(m, rounded, &at);
    if (p) {
        remember(cuda, at, p, what, rounded, IN_ARENA);
        const size_t end = (size_t)(static_cast<char *>(p) - m->arena) + rounded;
        if (end > m->most) m->most = end;
    } else {
        /* Planning begins with the arena, after what an open backend has taken already. */
        p = cuda->backend.planning ? NULL : take_from_driver(what, rounded);
        remember(cuda, m->blocks, p, what, rounded, ON_DEVICE);
    }
    if (!cuda->backend.planning) CUDA(cudaMemsetAsync(p, 0, rounded, cuda->stream), "clearing memory");
    return p;
}

void cuda_give(struct cuda *cuda, void *p)
{
    if (!p) return;
    if (forget(cuda, p, false) == ON_DEVICE && !cuda->backend.planning) CUDA(cudaFree(p), "giving memory back");
}

void memory_reserve(struct backend *backend, size_t bytes)
{
    struct memory *m = memory_of(cuda_of(backend));
    CHECK(!m->arena, "device memory is reserved twice");
    if (backend->planning) {
        m->arena = reinterpret_cast<char *>((uintptr_t)1 << 40);
        m->arena_bytes = (size_t)1 << 60;
    } else if (!getenv("MAPPO_NO_ARENA")) { /* each array by itself: a sanitizer then sees where it ends */
        m->arena = static_cast<char *>(take_from_driver("a run", bytes));
        m->arena_bytes = bytes;
    }
}

void *memory_alloc(struct backend *backend, const char *what, size_t bytes)
{
    return cuda_take(cuda_of(backend), what, bytes);
}

void memory_free(struct backend *backend, void *p)
{
    cuda_give(cuda_of(backend), p);
}

/* Pinned. A planning backend gives ordinary memory, since the host may write there. */
void *memory_host_alloc(struct backend *backend, const char *what, size_t bytes)
{
    struct cuda *cuda = cuda_of(backend);
    void *p = NULL;
    if (backend->planning) {
        p = calloc(1, bytes + 1);
        if (!p) die(EXIT_INTERNAL, "out of memory: %zu bytes for %s", bytes, what);
    } else {
        const cudaError_t code = cudaHostAlloc(&p, bytes + 1, cudaHostAllocDefault);
        if (code == cudaErrorMemoryAllocation)
            die(EXIT_USAGE, "no room for %.1f MiB of page-locked memory for %s: lower rollout.envs, or raise the limit (ulimit -l)",
                mebibytes(bytes), what);
        CUDA(code, "taking page-locked memory");
        memset(p, 0, bytes + 1);
    }
    remember(cuda, memory_of(cuda)->blocks, p, what, bytes, ON_HOST);
    return p;
}

void memory_host_free(struct backend *backend, void *p)
{
    if (!p) return;
    forget(cuda_of(backend), p, true);
    if (backend->planning)
        free(p);
    else
        CUDA(cudaFreeHost(p), "giving page-locked memory back");
}

/* ---- copies -------------------------------------------------------------------------------------------------------------------------- */

/* True where the copy is under way from a slot of the ring. */
static bool upload_small(struct cuda *cuda, void *to, const void *from, size_t bytes)
{
    struct memory *m = memory_of(cuda);
    if (bytes > RING_BYTES) return false;
    const int half = m->slot / RING_HALF;
    if (m->slot % RING_HALF == 0) CUDA(cudaEventSynchronize(m->copied[half]), "waiting for small uploads");
    unsigned char *slot = m->ring + (size_t)m->slot * RING_BYTES;
    memcpy(slot, from, bytes);
    CUDA(cudaMemcpyAsync(to, slot, bytes, cudaMemcpyHostToDevice, cuda->stream), "uploading");
    m->slot = (m->slot + 1) % RING_SLOTS;
    if (m->slot % RING_HALF == 0) CUDA(cudaEventRecord(m->copied[half], cuda->stream), "marking small uploads");
    return true;
}

void memory_upload(struct backend *backend, void *to, const void *from, size_t bytes)
{
    struct cuda *cuda = cuda_of(backend);
    if (backend->planning || bytes == 0) return;
    CHECK(!cuda->recording, "an upload that the host waits for is recorded");
    cuda->writes++;
    if (upload_small(cuda, to, from, bytes)) return;
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda->stream), "uploading");
    CUDA(cudaStreamSynchronize(cuda->stream), "uploading");
}

void memory_download(struct backend *backend, void *to, const void *from, size_t bytes)
{
    struct cuda *cuda = cuda_of(backend);
    if (bytes == 0) return;
    if (backend->planning) {
        memset(to, 0, bytes);
        return;
    }
    CHECK(!cuda->recording, "a download that the host waits for is recorded");
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, cuda->stream), "downloading");
    CUDA(cudaStreamSynchronize(cuda->stream), "downloading");
}

void memory_upload_later(struct backend *backend, void *to, const void *from, size_t bytes)
{
    if (backend->planning || bytes == 0) return;
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, cuda_of(backend)->stream), "uploading");
}

void memory_download_later(struct backend *backend, void *to, const void *from, size_t bytes)
{
    if (backend->planning || bytes == 0) return;
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, cuda_of(backend)->stream), "downloading");
}

void memory_copy(struct backend *backend, void *to, const void *from, size_t bytes)
{
    if (backend->planning || bytes == 0) return;
    cuda_of(backend)->writes++;
    CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda_of(backend)->stream), "copying");
}

/* ---- the report of a planning backend ------------------------------------------------------------------------------------------------ */

enum { REPORT_PARTS = 64, REPORT_SHOWN = 6 };

struct memory_part {
    const char *what;
    size_t bytes;
};

/* What lies in the arena by name, largest first; returns the number of names. */
static int memory_parts(const struct memory *m, struct memory_part *part /* [REPORT_PARTS] */)
{
    int parts = 0;
    for (int i = 0; i < m->blocks; i++) {
        const struct memory_block *b = &m->block[i];
        if (b->place != IN_ARENA) continue;
        int k = 0;
        while (k < parts && strcmp(part[k].what, b->what) != 0) k++;
        if (k == REPORT_PARTS) k--; /* more names than anybody reads */
        if (k == parts) {
            part[k].what = b->what;
            part[k].bytes = 0;
            parts++;
        }
        part[k].bytes += b->bytes;
    }
    for (int i = 1; i < parts; i++)
        for (int k = i; k > 0 && part[k].bytes > part[k - 1].bytes; k--) {
            const struct memory_part larger = part[k];
            part[k] = part[k - 1];
            part[k - 1] = larger;
        }
    return parts;
}

/* "inputs of passes 512.0, rollout 300.2, other 12.1": what fits `size`. */
static void list_parts(const struct memory_part *part, int parts, char *text, size_t size)
{
    size_t at = 0, other = 0;
    text[0] = '\0';
    for (int k = REPORT_SHOWN; k < parts; k++) other += part[k].bytes;
    for (int k = 0; k < parts && k < REPORT_SHOWN && at < size; k++)
        at += (size_t)snprintf(text + at, size - at, "%s%s %.1f", k ? ", " : "", part[k].what, mebibytes(part[k].bytes));
    if (other && at < size) snprintf(text + at, size - at, ", other %.1f", mebibytes(other));
}

int memory_plan(struct backend *backend, size_t *need, char *text, size_t size, struct error *err)
{
    struct cuda *cuda = cuda_of(backend);
    const struct memory *m = memory_of(cuda);
    struct memory_part part[REPORT_PARTS];
    char list[512];
    size_t free = 0, total = 0;
    list_parts(part, memory_parts(m, part), list, sizeof list);
    CUDA(cudaMemGetInfo(&free, &total), "asking for free memory");
    *need = m->most;
    text_format(text, size, "device memory: %.1f MiB of %.1f free: %s", mebibytes(*need), mebibytes(free), list);
    /* Recordings and the library of matrix products take a little that nobody can foresee. */
    if (*need + *need / 32 > free)
        return error_set(err, EXIT_USAGE,
                         "device memory: this run needs %.1f MiB (%s), but %.1f of %.1f MiB are free on %s; " HOW_TO_NEED_LESS,
                         mebibytes(*need), list, mebibytes(free), mebibytes(total), backend->detail);
    return EXIT_DONE;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------- */

void memory_open(struct cuda *cuda)
{
    struct memory *m = static_cast<struct memory *>(calloc(1, sizeof *m));
    CHECK(m, "out of memory while opening the GPU");
    cuda->memory = m;
    if (cuda->backend.planning) return;
    m->ring = static_cast<unsigned char *>(memory_host_alloc(&cuda->backend, "small uploads", (size_t)RING_SLOTS * RING_BYTES));
    for (int h = 0; h < 2; h++) CUDA(cudaEventCreateWithFlags(&m->copied[h], cudaEventDisableTiming), "making an event");
}

void memory_close(struct cuda *cuda)
{
    struct memory *m = memory_of(cuda);
    if (!m) return;
    for (int h = 0; h < 2 && !cuda->backend.planning; h++) CUDA(cudaEventDestroy(m->copied[h]), "giving an event back");
    while (m->blocks > 0) {
        const struct memory_block last = m->block[m->blocks - 1];
        if (last.place == ON_HOST)
            memory_host_free(&cuda->backend, last.p);
        else if (last.p)
            cuda_give(cuda, last.p);
        else
            m->blocks--; /* of a plan */
    }
    if (m->arena && !cuda->backend.planning) CUDA(cudaFree(m->arena), "giving memory back");
    free(m->block);
    free(m);
    cuda->memory = NULL;
}
