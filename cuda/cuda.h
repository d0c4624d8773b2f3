/* Inside the CUDA backend: what its files share. Nobody outside of cuda/ includes it.
 *
 * Two ways through a network. The fused one (mlp_fused.cu) keeps a tile of rows, all its activations and the weights on chip; it fits
 * networks of one to three hidden layers, at most 64 or 128 wide, and few inputs, on devices with the shared memory for it. The composed
 * one (mlp_composed.cu) goes layer by layer through device memory with matrix products of gemm.cu; it fits all. Both read folded weights
 * and leave sums per chunk in the same layout (layout.h), which fold.cu makes and adds up. */
#ifndef MAPPO_CUDA_CUDA_H
#define MAPPO_CUDA_CUDA_H

#include "cuda/launch.h"

extern "C" {
#include "backend/backend.h"
}

struct cuda {
    struct backend backend;
    int device, multiprocessors;
    size_t shared_bytes; /* of a block, at most (opt-in limit) */
    cudaStream_t stream; /* everything of learning, in order */
    int precision;       /* enum precision */
    bool graphs;
    cudaEvent_t mark_begin[BACKEND_MARKS], mark[BACKEND_MARKS];
    bool recording;  /* between record_begin and record_end: calls are only noted */
    uint64_t writes; /* calls so far that may have written parameters: weights that were folded before are old */
    void *scratch;   /* partial sums of reductions: free for every operation, in the order of the stream */
    size_t scratch_bytes;
    unsigned *ticket; /* [CUDA_TICKETS] counters of finished blocks (reduce.h); 0 between operations */
    void *memory;     /* memory.cu: what was allocated, by name */
    void *gemm;       /* gemm.cu: the library's handle, work space */
    void *composed;   /* mlp_composed.cu: work spaces */
};

static inline struct cuda *cuda_of(struct backend *backend)
{
    return static_cast<struct cuda *>(backend->self);
}

/* Inputs of a pass. Fused: x [tiles][D padded to a multiple of 4][tile_rows]; composed: x [max_rows][D]. Normalised where the network has
 * a feature norm. */
struct packed_rows {
    const struct network *net;
    bool fused;
    int max_rows, rows;   /* room; rows of the last pack, as the host knows them */
    const int32_t *count; /* of the last pack's batch: units there are at the moment; NULL = all. batch_rows: rows of a unit */
    int batch_rows;
    int max_chunks;
    float *x;
    float *folded;            /* layout.h */
    const float *folded_from; /* parameters; NULL = nothing is folded yet */
    uint64_t folded_at;       /* cuda->writes then */
    float *chunk;             /* [max_chunks][chunk_size] */
    double *sums;             /* [max_chunks][PASS_SUMS] */
};

/* ---- launching over n items ---- */
enum { CUDA_THREADS = 256, CUDA_TICKETS = 64 };
static inline unsigned cuda_blocks(size_t n, int threads)
{
    return n ? (unsigned)((n + (size_t)threads - 1) / (size_t)threads) : 1u;
}

/* memory.cu: device memory by name; in a planning backend only added up. */
void *cuda_take(struct cuda *cuda, const char *what, size_t bytes); /* zeroed; ends the program where there is none */
void cuda_give(struct cuda *cuda, void *p);

/* mlp_fused.cu */
bool fused_fits(const struct cuda *cuda, const struct network *net);
int fused_tile_rows(void);
/* Of a training pass of so many rows: a function of them and of the network's shape alone. */
int fused_chunks(const struct cuda *cuda, const struct network *net, int rows);
void fused_pack(struct cuda *cuda, const struct network *net, const struct running *inputs, struct packed_rows *packed, const float *x,
                const struct batch *batch);
void fused_forward(struct cuda *cuda, const struct forward_pass *pass, const struct act_pass *act /* NULL = forward only */, int passes);
void fused_train(struct cuda *cuda, const struct train_pass *pass, int passes); /* to packed->chunk and packed->sums */

/* mlp_composed.cu */
void composed_reserve(struct cuda *cuda, const struct network *net, int rows); /* of work space: before anything is recorded */
void composed_close(struct cuda *cuda);
void composed_pack(struct cuda *cuda, const struct network *net, const struct running *inputs, struct packed_rows *packed, const float *x,
                   const struct batch *batch);
void composed_forward(struct cuda *cuda, const struct forward_pass *pass);
void composed_train(struct cuda *cuda, const struct train_pass *pass); /* one chunk */
void composed_derive(struct cuda *cuda, const struct derive_pass *pass);

/* fold.cu */
void fold_networks(struct cuda *cuda, const struct network *const *net, const float *const *parameters, struct packed_rows *const *packed,
                   int passes);
void unfold_gradients(struct cuda *cuda, const struct train_pass *pass, const int *chunks, int passes); /* to gradient and sum */

/* act.cu */
void act_rows(struct cuda *cuda, const struct act_pass *pass, int passes);

#endif
