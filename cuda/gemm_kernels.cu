/* Products by kernels of our own: see gemm.h.
 *
 * A number of C is one sum along k from the first product to the last: float32 by one fused multiply-add after the other, tf32 by eight
 * products at a time, which a tensor core adds up. That is the same in every shape of block below, so a shape may be chosen by what is
 * fastest, and the bits of a row depend neither on how many rows there are nor on the device's size (docs/decisions/009). k is filled up
 * with zeros to a multiple of DEPTH, in all shapes alike. */
#include "cuda/fused_tile.h"
#include "cuda/gemm.h"

enum {
    DEPTH = 16,           /* of the factors in shared memory at a time */
    ROW_OF_DEPTH = 20,    /* length of a row of DEPTH numbers: a fragment's 8 rows x 4 numbers lie on 32 banks */
    AFTER_SIDE_FLOAT = 4, /* rows along a side: 16-byte aligned … */
    AFTER_SIDE_TF32 = 8,  /* … and a fragment's 4 rows x 8 numbers on 32 banks */
    SPLIT_ROWS = 256,     /* a sum over rows is cut into parts of at least so many */
    SPLIT_BLOCKS = 512    /* as long as there are fewer blocks than this */
};

/* C [m][n] = Σ_k A(m, k) B(k, n), the factors in one of two layouts each: A_ALONG, B_ALONG: a[m lda + k] and b[n ldb + k], where numbers
 * along k are together, otherwise a[k lda + m] and b[k ldb + n]. */
struct tiling {
    const float *a, *b;
    float *c; /* [splits][m][n] partial sums where splits > 1 */
    int m, n, k, lda, ldb, ldc, splits;
    bool add, vectors; /* vectors: four numbers of C that are together are aligned */
    struct live_rows live;
};

/* What a block makes of C, M x N; a thread TM x TN of it, or with tensor cores a warp WM x WN. UNROLL: what there are registers for. */
struct large {
    enum { M = 128, N = 128, TM = 8, TN = 8, UNROLL = 2, WM = 64, WN = 32 };
};
struct medium {
    enum { M = 64, N = 64, TM = 4, TN = 4, UNROLL = 8, WM = 16, WN = 32 };
};
struct small {
    enum { M = 32, N = 32, TM = 2, TN = 2, UNROLL = 8, WM = 16, WN = 8 };
};
struct narrow {
    enum { M = 128, N = 16, TM = 4, TN = 2, UNROLL = 8, WM = 16, WN = 16 };
};

/* ---- factors on their way into shared memory ----------------------------------------------------------------------------------------- */

/* A thread's numbers of the next DEPTH x SIDE of a factor; a side counts along m or n, the depth along k. The threads go along what is
 * together in memory: the depth, or the side. */
template <int SIDE, bool ALONG_DEPTH> struct staging {
    enum {
        COUNT = SIDE * DEPTH / CUDA_THREADS,
        SIDE_STEP = ALONG_DEPTH ? CUDA_THREADS / DEPTH : 0, /* from number to number */
        DEPTH_STEP = ALONG_DEPTH ? 0 : CUDA_THREADS / SIDE
    };
    const float *from; /* the first */
    int ld;            /* floats from row to row of the factor */
    int sides;         /* that there are from the first on */
    float value[COUNT];

    static __device__ __forceinline__ int side(void) { return ALONG_DEPTH ? (int)threadIdx.x / DEPTH : (int)threadIdx.x % SIDE; }
    static __device__ __forceinline__ int depth(void) { return ALONG_DEPTH ? (int)threadIdx.x % DEPTH : (int)threadIdx.x / SIDE; }
};

/* From side `first_side`, of which there are `sides`, and depth `first` on. */
template <int SIDE, bool ALONG_DEPTH>
static __device__ __forceinline__ void stage_begin(struct staging<SIDE, ALONG_DEPTH> *s, const float *factor, int ld, int first_side,
                                                   int first, int sides)
{
    const size_t side = (size_t)(first_side + s->side()), depth = (size_t)(first + s->depth());
    s->from = factor + (ALONG_DEPTH ? side * (size_t)ld + depth : depth * (size_t)ld + side);
    s->ld = ld;
    s->sides = sides - s->side();
}

/* The next DEPTH of `left` that there are. */
template <int SIDE, bool ALONG_DEPTH> static __device__ __forceinline__ void stage_load(struct staging<SIDE, ALONG_DEPTH> *s, int left)
{
    typedef struct staging<SIDE, ALONG_DEPTH> staged;
    const float *from = s->from;
#pragma unroll
    for (int i = 0; i < staged::COUNT; i++, from += (ptrdiff_t)(staged::SIDE_STEP + staged::DEPTH_STEP) * s->ld)
        s->value[i] = i * staged::SIDE_STEP < s->sides && s->depth() + i * staged::DEPTH_STEP < left ? *from : 0.0f;
    s->from += (ptrdiff_t)DEPTH * (ALONG_DEPTH ? 1 : s->ld);
}

template <bool TF32, int SIDE, bool ALONG_DEPTH>
static __device__ __forceinline__ void stage_store(const struct staging<SIDE, ALONG_DEPTH> *s, float *to, int by_side, int by_depth)
{
    typedef struct staging<SIDE, ALONG_DEPTH> staged;
    to += s->side() * by_side + s->depth() * by_depth;
#pragma unroll
    for (int i = 0; i < staged::COUNT; i++)
        to[i * (staged::SIDE_STEP * by_side + staged::DEPTH_STEP * by_depth)] = rounded<TF32>(s->value[i]);
}

/* Which part of a product a block makes. */
struct place {
    int m0, n0, first;         /* of its rows, its columns, and along k */
    int rows, columns, depths; /* that there are from these on */
    float *c;
};

template <class SHAPE> static __device__ __forceinline__ bool place_of(const struct tiling *p, struct place *b)
{
    const int across = (p->n + SHAPE::N - 1) / SHAPE::N, steps = (p->k + DEPTH - 1) / DEPTH, part = (int)blockIdx.y;
    b->m0 = (int)blockIdx.x / across * SHAPE::M;
    b->n0 = (int)blockIdx.x % across * SHAPE::N;
    b->rows = (p->live.count ? live_count(&p->live) : p->m) - b->m0;
    b->columns = p->n - b->n0;
    b->first = (int)((int64_t)steps * part / p->splits) * DEPTH;
    const int end = (int)((int64_t)steps * (part + 1) / p->splits) * DEPTH;
    b->depths = (end < p->k ? end : p->k) - b->first;
    b->c = p->c + (size_t)part * (size_t)p->m * (size_t)p->n + (size_t)b->m0 * (size_t)p->ldc + (size_t)b->n0;
    return b->rows > 0;
}

template <class SHAPE, bool A_ALONG, bool B_ALONG>
static __device__ __forceinline__ void stage_both(const struct tiling *p, const struct place *b, struct staging<SHAPE::M, A_ALONG> *of_a,
                                                  struct staging<SHAPE::N, B_ALONG> *of_b)
{
    stage_begin(of_a, p->a, p->lda, b->m0, b->first, b->rows);
    stage_begin(of_b, p->b, p->ldb, b->n0, b->first, b->columns);
    stage_load(of_a, b->depths);
    stage_load(of_b, b->depths);
}

/* C (+)= sum, N numbers of a row that are together, as many as there is `room` for. */
template <int N> static __device__ __forceinline__ void put(float *c, const float *sum, int room, bool vectors, bool add)
{
    if (N == 4 && vectors && room >= N) {
        const float4 old = add ? *reinterpret_cast<const float4 *>(c) : make_float4(0, 0, 0, 0);
        const float4 now = make_float4(sum[0], sum[1], sum[2 % N], sum[3 % N]);
        *reinterpret_cast<float4 *>(c) = add ? make_float4(old.x + now.x, old.y + now.y, old.z + now.z, old.w + now.w) : now;
    } else if (N == 2 && vectors && room >= N) {
        const float2 old = add ? *reinterpret_cast<const float2 *>(c) : make_float2(0, 0);
        *reinterpret_cast<float2 *>(c) = add ? make_float2(old.x + sum[0], old.y + sum[1]) : make_float2(sum[0], sum[1]);
    } else {
#pragma unroll
        for (int j = 0; j < N; j++)
            if (j < room) c[j] = add ? c[j] + sum[j] : sum[j];
    }
}

/* ---- float32 ------------------------------------------------------------------------------------------------------------------------- */

/* A thread's T numbers of a side: groups of up to four that are together, so that neighbours read what lies on different banks. */
template <int T> struct groups {
    enum { SIZE = T < 4 ? T : 4, COUNT = T / SIZE };
};

template <int T, int SIDE> static __device__ __forceinline__ int number_at(int thread, int i)
{
    return i / groups<T>::SIZE * (SIDE / groups<T>::COUNT) + thread * groups<T>::SIZE + i % groups<T>::SIZE;
}

template <int T, int SIDE> static __device__ __forceinline__ void fetch(float (&to)[T], const float *row, int thread)
{
#pragma unroll
    for (int i = 0; i < T; i += groups<T>::SIZE) {
        const float *from = row + number_at<T, SIDE>(thread, i);
        if constexpr (groups<T>::SIZE == 4) {
            const float4 four = *reinterpret_cast<const float4 *>(from);
            to[i] = four.x, to[i + 1] = four.y, to[i + 2] = four.z, to[i + 3] = four.w;
        } else {
            const float2 two = *reinterpret_cast<const float2 *>(from);
            to[i] = two.x, to[i + 1] = two.y;
        }
    }
}

/* Half of DEPTH. */
template <class SHAPE>
static __device__ __forceinline__ void add_half(float (&sum)[SHAPE::TM][SHAPE::TN], const float *a, const float *b, int down, int across)
{
    enum { TM = SHAPE::TM, TN = SHAPE::TN, ROW_A = SHAPE::M + AFTER_SIDE_FLOAT, ROW_B = SHAPE::N + AFTER_SIDE_FLOAT };
#pragma unroll SHAPE::UNROLL
    for (int d = 0; d < DEPTH / 2; d++) {
        float x[TM], y[TN];
        fetch<TM, SHAPE::M>(x, a + d * ROW_A, down);
        fetch<TN, SHAPE::N>(y, b + d * ROW_B, across);
#pragma unroll
        for (int i = 0; i < TM; i++) {
#pragma unroll
            for (int j = 0; j < TN; j++) sum[i][j] = __fmaf_rn(x[i], y[j], sum[i][j]);
        }
    }
}

/* grid: tiles of C, splits */
template <class SHAPE, bool A_ALONG, bool B_ALONG>
static __global__ void __launch_bounds__(CUDA_THREADS, 2) float_product_kernel(const struct tiling p)
{
    enum { TM = SHAPE::TM, TN = SHAPE::TN, ROW_A = SHAPE::M + AFTER_SIDE_FLOAT, ROW_B = SHAPE::N + AFTER_SIDE_FLOAT };
    enum { TIGHT = TM * TN >= 64 }; /* no registers for both factors on their way: the second follows the first */
    __shared__ __align__(16) float a[2][DEPTH * ROW_A], b[2][DEPTH * ROW_B];
    const int across = (int)threadIdx.x % (SHAPE::N / TN), down = (int)threadIdx.x / (SHAPE::N / TN);
    struct place at;
    if (!place_of<SHAPE>(&p, &at)) return;
    struct staging<SHAPE::M, A_ALONG> of_a;
    struct staging<SHAPE::N, B_ALONG> of_b;
    float sum[TM][TN] = {{0}};
    stage_both<SHAPE>(&p, &at, &of_a, &of_b);
    stage_store<false>(&of_a, a[0], 1, ROW_A);
    stage_store<false>(&of_b, b[0], 1, ROW_B);
    __syncthreads();
#pragma unroll 1
    for (int left = at.depths, now = 0; left > 0; left -= DEPTH, now ^= 1) {
        stage_load(&of_a, left - DEPTH);
        if (!TIGHT) stage_load(&of_b, left - DEPTH);
        add_half<SHAPE>(sum, a[now], b[now], down, across);
        if (TIGHT) {
            stage_store<false>(&of_a, a[now ^ 1], 1, ROW_A);
            stage_load(&of_b, left - DEPTH);
        }
        add_half<SHAPE>(sum, a[now] + DEPTH / 2 * ROW_A, b[now] + DEPTH / 2 * ROW_B, down, across);
        if (!TIGHT) stage_store<false>(&of_a, a[now ^ 1], 1, ROW_A);
        stage_store<false>(&of_b, b[now ^ 1], 1, ROW_B);
        __syncthreads(); /* the next are there, and all have read these */
    }
#pragma unroll
    for (int i = 0; i < TM; i++) {
        const int row = number_at<TM, SHAPE::M>(down, i);
        if (row >= at.rows) continue;
#pragma unroll
        for (int j = 0; j < TN; j += groups<TN>::SIZE) {
            const int column = number_at<TN, SHAPE::N>(across, j);
            put<groups<TN>::SIZE>(at.c + (size_t)row * (size_t)p.ldc + column, &sum[i][j], at.columns - column, p.vectors, p.add);
        }
    }
}

/* ---- tf32: fragments as multiply_tf32 of fused_tile.h wants them --------------------------------------------------------------------- */

/* Where number (side, depth) of a factor lies in shared memory: with the numbers along k together, or those along the side. */
template <int SIDE, bool ALONG_DEPTH> struct tf32_layout {
    enum {
        BY_SIDE = ALONG_DEPTH ? ROW_OF_DEPTH : 1,
        BY_DEPTH = ALONG_DEPTH ? 1 : SIDE + AFTER_SIDE_TF32,
        FLOATS = ALONG_DEPTH ? SIDE * ROW_OF_DEPTH : DEPTH * (SIDE + AFTER_SIDE_TF32)
    };
};

template <class SHAPE, bool B_ALONG> static __global__ void __launch_bounds__(CUDA_THREADS, 2) tf32_product_kernel(const struct tiling p)
{
    typedef tf32_layout<SHAPE::M, true> layout_a;
    typedef tf32_layout<SHAPE::N, B_ALONG> layout_b;
    enum { MS = SHAPE::WM / 16, NS = SHAPE::WN / 8, ACROSS = SHAPE::N / SHAPE::WN };
    __shared__ __align__(16) float a[2][layout_a::FLOATS], b[2][layout_b::FLOATS];
    const int warp = (int)threadIdx.x / 32, eighth = (int)threadIdx.x % 32 / 4, quarter = (int)threadIdx.x % 4;
    const int down = warp / ACROSS * SHAPE::WM, across = warp % ACROSS * SHAPE::WN;
    struct place at;
    if (!place_of<SHAPE>(&p, &at)) return;
    struct staging<SHAPE::M, true> of_a;
    struct staging<SHAPE::N, B_ALONG> of_b;
    float sum[MS][NS][4] = {{{0}}};
    stage_both<SHAPE>(&p, &at, &of_a, &of_b);
    stage_store<true>(&of_a, a[0], layout_a::BY_SIDE, layout_a::BY_DEPTH);
    stage_store<true>(&of_b, b[0], layout_b::BY_SIDE, layout_b::BY_DEPTH);
    __syncthreads();
#pragma unroll 1
    for (int left = at.depths, now = 0; left > 0; left -= DEPTH, now ^= 1) {
        stage_load(&of_a, left - DEPTH);
        stage_load(&of_b, left - DEPTH);
#pragma unroll
        for (int d = 0; d < DEPTH; d += 8) {
            const float *from_a = a[now] + (down + eighth) * layout_a::BY_SIDE + (d + quarter) * layout_a::BY_DEPTH;
            const float *from_b = b[now] + (across + eighth) * layout_b::BY_SIDE + (d + quarter) * layout_b::BY_DEPTH;
            float x[MS][4];
#pragma unroll
            for (int i = 0; i < MS; i++, from_a += 16 * layout_a::BY_SIDE) {
                x[i][0] = from_a[0], x[i][1] = from_a[8 * layout_a::BY_SIDE];
                x[i][2] = from_a[4 * layout_a::BY_DEPTH], x[i][3] = from_a[8 * layout_a::BY_SIDE + 4 * layout_a::BY_DEPTH];
            }
#pragma unroll
            for (int j = 0; j < NS; j++, from_b += 8 * layout_b::BY_SIDE) {
                const float y[2] = {from_b[0], from_b[4 * layout_b::BY_DEPTH]};
#pragma unroll
                for (int i = 0; i < MS; i++) multiply_tf32(&sum[i][j][0], &sum[i][j][1], &sum[i][j][2], &sum[i][j][3], x[i], y);
            }
        }
        stage_store<true>(&of_a, a[now ^ 1], layout_a::BY_SIDE, layout_a::BY_DEPTH);
        stage_store<true>(&of_b, b[now ^ 1], layout_b::BY_SIDE, layout_b::BY_DEPTH);
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 2 * MS; i++) { /* half of 16 rows */
        const int row = down + 8 * i + eighth;
        if (row >= at.rows) continue;
#pragma unroll
        for (int j = 0; j < NS; j++) {
            const int column = across + 8 * j + 2 * quarter;
            put<2>(at.c + (size_t)row * (size_t)p.ldc + column, &sum[i / 2][j][i % 2 * 2], at.columns - column, p.vectors, p.add);
        }
    }
}

/* C [m][n] (+)= the sum of partial [splits][m n] in their order */
static __global__ void partial_kernel(float *c, int ldc, const float *partial, int m, int n, int splits, bool add)
{
    const size_t all = (size_t)m * (size_t)n, i = (size_t)blockIdx.x * CUDA_THREADS + threadIdx.x;
    if (i >= all) return;
    float sum = 0;
#pragma unroll 8
    for (int s = 0; s < splits; s++) sum += partial[(size_t)s * all + i];
    float *to = c + i / (size_t)n * (size_t)ldc + i % (size_t)n;
    *to = add ? *to + sum : sum;
}

/* ---- which shape, and launching it --------------------------------------------------------------------------------------------------- */

typedef void product_kernel(const struct tiling);

/* `rate`: multiply-adds a time of a device that is full, in float32 and in tf32, beside those of the first. Predicted, not measured; a
 * wrong number costs time and changes no bit. */
static const struct product_shape {
    int m, n;
    double rate[2];
    product_kernel *forward[2], *back[2];
} product_shape[] = {
    {large::M,
     large::N,
     {1, 1},
     {float_product_kernel<large, true, true>, tf32_product_kernel<large, true>},
     {float_product_kernel<large, true, false>, tf32_product_kernel<large, false>}},
    {medium::M,
     medium::N,
     {0.75, 0.5},
     {float_product_kernel<medium, true, true>, tf32_product_kernel<medium, true>},
     {float_product_kernel<medium, true, false>, tf32_product_kernel<medium, false>}},
    {small::M,
     small::N,
     {0.4, 0.2},
     {float_product_kernel<small, true, true>, tf32_product_kernel<small, true>},
     {float_product_kernel<small, true, false>, tf32_product_kernel<small, false>}},
    {narrow::M,
     narrow::N,
     {0.35, 0.25},
     {float_product_kernel<narrow, true, true>, tf32_product_kernel<narrow, true>},
     {float_product_kernel<narrow, true, false>, tf32_product_kernel<narrow, false>}},
};

static size_t tiles_of(int m, int n, const struct gemm *p)
{
    return (size_t)cuda_blocks((size_t)p->m, m) * (size_t)cuda_blocks((size_t)p->n, n);
}

static const struct product_shape *fastest_shape(const struct cuda *cuda, const struct gemm *p, bool tf32)
{
    const struct product_shape *best = NULL;
    double least = 0;
    for (size_t i = 0; i < sizeof product_shape / sizeof *product_shape; i++) {
        const struct product_shape *s = &product_shape[i];
        const size_t at_once = (size_t)cuda->multiprocessors, turns = (tiles_of(s->m, s->n, p) + at_once - 1) / at_once;
        const double cost = (double)turns * s->m * s->n / s->rate[tf32];
        if (best && cost >= least) continue;
        best = s;
        least = cost;
    }
    return best;
}

static void launch_product(struct cuda *cuda, product_kernel *kernel, size_t tiles, const struct gemm *p, float *c, int ldc, int splits)
{
    const struct tiling t = {p->a,
                             p->b,
                             c,
                             p->m,
                             p->n,
                             p->k,
                             p->lda,
                             p->ldb,
                             ldc,
                             splits,
                             splits == 1 && p->add,
                             ldc % 4 == 0 && (uintptr_t)c % sizeof(float4) == 0,
                             p->live};
    LAUNCH(kernel, dim3((unsigned)tiles, (unsigned)splits), CUDA_THREADS, 0, cuda->stream, t);
    LAUNCHED("product");
}

void product_of_rows(struct cuda *cuda, const struct gemm *p, bool tf32)
{
    const struct product_shape *s = fastest_shape(cuda, p, tf32);
    CHECK(!p->transpose_a, "a product of rows that lie across");
    launch_product(cuda, (p->transpose_b ? s->forward : s->back)[tf32], tiles_of(s->m, s->n, p), p, p->c, p->ldc, 1);
}

/* Enough blocks to fill a device, from sizes alone: the order of the sums is the same on every device. */
static int splits_of(size_t tiles, const struct gemm *p)
{
    const size_t parts = ((size_t)p->k + SPLIT_ROWS - 1) / SPLIT_ROWS, most = tiles < SPLIT_BLOCKS ? SPLIT_BLOCKS / tiles : 1;
    return (int)(parts < 1 ? 1 : parts < most ? parts : most);
}

size_t product_partial_floats(void)
{
    return (size_t)SPLIT_BLOCKS * medium::M * medium::N;
}

void product_over_rows(struct cuda *cuda, const struct gemm *p, float *partial)
{
    const size_t tiles = tiles_of(medium::M, medium::N, p);
    const int splits = splits_of(tiles, p);
    CHECK(p->transpose_a && !p->transpose_b, "a product over rows that lie along");
    launch_product(cuda, float_product_kernel<medium, false, false>, tiles, p, splits > 1 ? partial : p->c, splits > 1 ? p->n : p->ldc,
                   splits);
    if (splits == 1) return;
    LAUNCH(partial_kernel, cuda_blocks((size_t)p->m * (size_t)p->n, CUDA_THREADS), CUDA_THREADS, 0, cuda->stream, p->c, p->ldc,
           (const float *)partial, p->m, p->n, splits, p->add);
    LAUNCHED("partial products");
}

bool product_has_tf32(void)
{
    struct cudaFuncAttributes attributes;
    CUDA(cudaFuncGetAttributes(&attributes, tf32_product_kernel<large, true>), "asking about a kernel");
    return attributes.ptxVersion >= 80;
}
