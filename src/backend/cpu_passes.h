/* The passes that networks are made of, over tiles [feature][R]: matrix product, layer norm, its way back, transposing, a narrow head's
 * gradient. Widths are run-time numbers. Included by cpu_kernels.c, once per instruction level. */
#ifndef MAPPO_BACKEND_CPU_PASSES_H
#define MAPPO_BACKEND_CPU_PASSES_H

#include "backend/backend.h"
#include "backend/vector.h"

/* ---- matrix product: out [m][n] = start + Σ_k a[m·row + k·column] b[k][n] ------------------------------------------------------------ */

/* What happens to a block before it leaves the registers. */
enum epilogue {
    RELU = ACTIVATION_RELU, /* the activation, and the sum over m of its output */
    TANH = ACTIVATION_TANH,
    PLAIN,
    MOMENTS /* the sums over m of out and of out times x: what the way back through a norm needs */
};

struct product {
    real *out;
    const real *a, *b;
    ptrdiff_t row, column; /* strides of a */
    int out_stride, b_stride;
    int m, n, k;      /* n is a multiple of ELEMENTS */
    const real *bias; /* [m]; NULL = start from 0, or from out where `add` */
    bool add;
    real *sums;    /* [n] RELU, TANH, MOMENTS: sums over m are added here */
    real *sums_x;  /* [n] MOMENTS */
    const real *x; /* [m][n] MOMENTS */
};

ALWAYS_INLINE vector activate(vector z, const int epilogue)
{
    if (epilogue == RELU) return vector_at_least(0, z);
    if (epilogue == TANH) return vector_tanh(z);
    return z;
}

/* Tanh of a block that was stored, where registers are few: inlined, its constants would take those of the product. */
__attribute__((noinline, unused)) static void tanh_block(const struct product *p, int m, int n, int rows, int vectors)
{
    for (int v = 0; v < vectors; v++, n += ELEMENTS) {
        real *out = p->out + (ptrdiff_t)m * p->out_stride + n;
        vector total = load(p->sums + n);
        for (int i = 0; i < rows; i++, out += p->out_stride) {
            const vector y = vector_tanh(load(out));
            total += y;
            store(out, y);
        }
        store(p->sums + n, total);
    }
}

/* A block of `rows` x `vectors` accumulators that stay in registers, from start to activation; these three are constants where it is
 * inlined. */
ALWAYS_INLINE void product_block(const struct product *p, int m, int n, const int rows, const int vectors, const int epilogue)
{
    vector sum[BLOCK_ROWS][BLOCK];
    real *out = p->out + (ptrdiff_t)m * p->out_stride + n;
    UNROLL_ROWS
    for (int i = 0; i < rows; i++) {
        UNROLL_BLOCK
        for (int v = 0; v < vectors; v++)
            sum[i][v] = p->add ? load(out + i * p->out_stride + v * ELEMENTS) : set1(p->bias ? p->bias[m + i] : (real)0);
    }
    const real *a = p->a + m * p->row, *b = p->b + n;
    const ptrdiff_t row = p->row, column = p->column, b_stride = p->b_stride;
    for (int k = p->k; k > 0; k--) {
        vector x[BLOCK];
        UNROLL_BLOCK
        for (int v = 0; v < vectors; v++) x[v] = load(b + v * ELEMENTS);
        UNROLL_ROWS
        for (int i = 0; i < rows; i++) {
            const vector w = set1(a[i * row]);
            UNROLL_BLOCK
            for (int v = 0; v < vectors; v++) sum[i][v] += w * x[v];
        }
        a += column;
        b += b_stride;
    }
    const bool tanh_later = epilogue == TANH && !TANH_IN_REGISTERS;
    UNROLL_BLOCK
    for (int v = 0; v < vectors; v++) {
        const bool sums = epilogue != PLAIN && !tanh_later;
        vector total = sums ? load(p->sums + n + v * ELEMENTS) : set1(0);
        vector total_x = epilogue == MOMENTS ? load(p->sums_x + n + v * ELEMENTS) : set1(0);
        UNROLL_ROWS
        for (int i = 0; i < rows; i++) {
            const vector y = tanh_later ? sum[i][v] : activate(sum[i][v], epilogue);
            if (sums) total += y;
            if (epilogue == MOMENTS) total_x += y * load(p->x + (ptrdiff_t)(m + i) * p->out_stride + n + v * ELEMENTS);
            store(out + i * p->out_stride + v * ELEMENTS, y);
        }
        if (sums) store(p->sums + n + v * ELEMENTS, total);
        if (epilogue == MOMENTS) store(p->sums_x + n + v * ELEMENTS, total_x);
    }
    if (tanh_later) tanh_block(p, m, n, rows, vectors);
}

/* Cuts the rows into blocks as high as registers allow and as equal as can be: a block of one row would wait for its own additions. */
ALWAYS_INLINE void product_columns(const struct product *p, int n, const int vectors, const int epilogue)
{
    const int blocks = (p->m + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (int i = 0, m = 0; i < blocks; i++) {
        const int end = p->m * (i + 1) / blocks;
        switch (end - m) {
#if BLOCK_ROWS > 4
        case 6:
            product_block(p, m, n, 6, vectors, epilogue);
            break;
        case 5:
            product_block(p, m, n, 5, vectors, epilogue);
            break;
#endif
        case 4:
            product_block(p, m, n, 4, vectors, epilogue);
            break;
        case 3:
            product_block(p, m, n, 3, vectors, epilogue);
            break;
        case 2:
            product_block(p, m, n, 2, vectors, epilogue);
            break;
        default:
            product_block(p, m, n, 1, vectors, epilogue);
            break;
        }
        m = end;
    }
}

static void gemm(const struct product *p)
{
    int n = 0;
    for (; n + BLOCK * (int)ELEMENTS <= p->n; n += BLOCK * ELEMENTS) product_columns(p, n, BLOCK, PLAIN);
    switch ((p->n - n) / (int)ELEMENTS) {
#if BLOCK > 3
    case 3:
        product_columns(p, n, 3, PLAIN);
        break;
#endif
    case 2:
        product_columns(p, n, 2, PLAIN);
        break;
    case 1:
        product_columns(p, n, 1, PLAIN);
        break;
    default:
        break;
    }
}

/* A product whose n is a whole tile, with an epilogue. */
static void gemm_then(const struct product *p, int epilogue)
{
    for (int n = 0; n < (int)TILE; n += BLOCK * ELEMENTS) {
        switch (epilogue) {
        case RELU:
            product_columns(p, n, BLOCK, RELU);
            break;
        case TANH:
            product_columns(p, n, BLOCK, TANH);
            break;
        case MOMENTS:
            product_columns(p, n, BLOCK, MOMENTS);
            break;
        default:
            product_columns(p, n, BLOCK, PLAIN);
            break;
        }
    }
}

/* ---- layer norm: kernels/norm.h over vectors of rows, see there why it stands here again --------------------------------------------- */

struct norm_rows {   /* of each row of the tile, [R] */
    real *sum;       /* Σ of what is to be normalised */
    real *offset;    /* -mean / deviation: what a 0 became */
    real *inverse;   /* 1 / deviation */
    real *deviation; /* sqrt(variance + eps) */
};

/* x [n][R] to x̂ = (x - mean) / sqrt(variance + eps) over the features of each row; `sum` is filled. The variance takes a pass of its own:
 * the difference of two large sums would lose it. BLOCK columns at a time keep as many additions in flight as their latency needs. */
static void normalise(real *restrict x, int n, const struct norm_rows *rows)
{
    const real *const end = x + (ptrdiff_t)n * TILE;
    const vector scale = set1((real)1 / (real)n), eps = set1(NORM_EPSILON);
    for (int r = 0; r < (int)TILE; r += BLOCK * ELEMENTS) {
        vector mean[BLOCK], squares[BLOCK], shift[BLOCK];
        UNROLL_BLOCK
        for (int v = 0; v < BLOCK; v++) {
            mean[v] = load(rows->sum + r + v * ELEMENTS) * scale;
            squares[v] = set1(0);
        }
        for (const real *p = x + r; p < end; p += TILE) {
            UNROLL_BLOCK
            for (int v = 0; v < BLOCK; v++) {
                const vector d = load(p + v * ELEMENTS) - mean[v];
                squares[v] += d * d;
            }
        }
        UNROLL_BLOCK
        for (int v = 0; v < BLOCK; v++) {
            const vector root = vector_sqrt(squares[v] * scale + eps);
            squares[v] = set1(1) / root;
            shift[v] = -mean[v] * squares[v];
            store(rows->offset + r + v * ELEMENTS, shift[v]);
            store(rows->inverse + r + v * ELEMENTS, squares[v]);
            store(rows->deviation + r + v * ELEMENTS, root);
        }
        for (real *p = x + r; p < end; p += TILE) {
            UNROLL_BLOCK
            for (int v = 0; v < BLOCK; v++) store(p + v * ELEMENTS, load(p + v * ELEMENTS) * squares[v] + shift[v]);
        }
    }
}

static void sum_features(const real *restrict x, int n, real *restrict sum)
{
    for (int r = 0; r < (int)TILE; r++) sum[r] = 0;
    for (int j = 0; j < n; j++) {
        for (int r = 0; r < (int)TILE; r++) sum[r] += x[j * (int)TILE + r];
    }
}

/* ---- transposing --------------------------------------------------------------------------------------------------------------------- */

/* The weight gradient adds up over rows and wants them outermost: turned [R][wide]. A block is ELEMENTS features of ELEMENTS rows; `total`
 * [wide] gathers the sum over rows, the gradient of the bias, on the way. */
ALWAYS_INLINE void turn_block(vector block[], real *turned, int wide, real *total)
{
    transpose_block(block);
    vector sum[4] = {{0}};
    UNROLL_ELEMENTS
    for (int i = 0; i < (int)ELEMENTS; i++) {
        store(turned + (ptrdiff_t)i * wide, block[i]);
        sum[i & 3] += block[i];
    }
    store(total, load(total) + ((sum[0] + sum[1]) + (sum[2] + sum[3])));
}

/* g [n][R] to turned [R][wide]; columns from n on are 0. */
static void turn(const real *restrict g, int n, real *restrict turned, int wide, real *restrict total)
{
    for (int j = 0; j < wide; j += ELEMENTS) {
        for (int r = 0; r < (int)TILE; r += ELEMENTS) {
            vector block[ELEMENTS];
            UNROLL_ELEMENTS
            for (int i = 0; i < (int)ELEMENTS; i++) block[i] = j + i < n ? load(g + (ptrdiff_t)(j + i) * TILE + r) : set1(0);
            turn_block(block, turned + (ptrdiff_t)r * wide + j, wide, total + j);
        }
    }
}

/* ---- back through norm and activation ------------------------------------------------------------------------------------------------ */

struct hidden_backward {
    int n, wide;   /* features, padded to whole vectors */
    const real *x; /* [n][R] x̂ */
    real *g;       /* [n][R] gradient by x̂; with `keep`, becomes that by z, the sum before the activation */
    bool keep;
    real *turned, *total; /* [R][wide] gradient by z; [wide] its sum over rows is added; NULL = neither is wanted */
    const struct norm_rows *rows;
    const real *sum, *sum_x; /* [R] Σ g and Σ g x̂ over the features */
};

/* norm_gradient of kernels/norm.h. With x̂ = (a - mean) / deviation:  dL/da = (g - mean(g) - x̂ mean(g x̂)) / deviation.
 * The activation's slope comes from x̂ as well: a = x̂ deviation + mean, so 1 - a² is a polynomial of x̂; and a > 0 where x̂ > offset. */
struct slope {
    vector c1, c2;     /* means of g and g x̂ */
    vector p0, p1, p2; /* tanh: (1 - a²) / deviation = p0 + x̂ (p1 + x̂ p2); ReLU: p0 = 1 / deviation, p1 = offset */
};

ALWAYS_INLINE vector slope_apply(const struct slope *s, vector g, vector x, const int activation)
{
    const vector d = (g - s->c1) - x * s->c2;
    if (activation == RELU) return vector_select(x > s->p1, d * s->p0, set1(0));
    return d * (s->p0 + x * (s->p1 + x * s->p2));
}

ALWAYS_INLINE void slopes(const struct hidden_backward *h, int r, struct slope *s, const int activation, const bool norm)
{
    const vector one = set1(1), scale = set1((real)1 / (real)h->n);
    UNROLL_BLOCK
    for (int v = 0; v < BLOCK; v++) {
        const vector inverse = norm ? load(h->rows->inverse + r + v * ELEMENTS) : one,
                     deviation = norm ? load(h->rows->deviation + r + v * ELEMENTS) : one;
        const vector offset = norm ? load(h->rows->offset + r + v * ELEMENTS) : set1(0), mean = -offset * deviation;
        s[v].c1 = norm ? load(h->sum + r + v * ELEMENTS) * scale : set1(0);
        s[v].c2 = norm ? load(h->sum_x + r + v * ELEMENTS) * scale : set1(0);
        s[v].p0 = activation == RELU ? inverse : (one - mean * mean) * inverse;
        s[v].p1 = activation == RELU ? offset : set1(-2) * mean; /* times deviation times inverse */
        s[v].p2 = -deviation;
    }
}

ALWAYS_INLINE void hidden_backward_of(const struct hidden_backward *h, const int activation, const bool norm)
{
    for (int r = 0; r < (int)TILE; r += BLOCK * ELEMENTS) {
        struct slope slope[BLOCK];
        slopes(h, r, slope, activation, norm);
        real *g = h->g + r;
        const real *x = h->x + r;
        for (int j = h->n; j > 0; j--, g += TILE, x += TILE) {
            UNROLL_BLOCK
            for (int v = 0; v < BLOCK; v++)
                store(g + v * ELEMENTS, slope_apply(&slope[v], load(g + v * ELEMENTS), load(x + v * ELEMENTS), activation));
        }
    }
    if (h->turned) turn(h->g, h->n, h->turned, h->wide, h->total);
}

static void hidden_backward(const struct hidden_backward *h, int activation, bool norm)
{
    if (activation == ACTIVATION_RELU) {
        if (norm) {
            hidden_backward_of(h, RELU, true);
        } else {
            hidden_backward_of(h, RELU, false);
        }
    } else if (norm) {
        hidden_backward_of(h, TANH, true);
    } else {
        hidden_backward_of(h, TANH, false);
    }
}

/* ---- gradient of a narrow head ------------------------------------------------------------------------------------------------------- */

/* Adds to sums [k + 1][ELEMENTS] of each of `rows` outputs the products of their gradients g [rows][R] with x [k][R], element by element;
 * the last is the bias's. */
ALWAYS_INLINE void head_gradient_rows(real *restrict sums, size_t stride, const real *restrict g, const real *restrict x, int k,
                                      const int rows)
{
    vector bias[4] = {{0}};
    for (; k > 0; k--, x += TILE, sums += ELEMENTS) {
        vector sum[4];
        UNROLL_BLOCK
        for (int i = 0; i < rows; i++) sum[i] = load(sums + (size_t)i * stride);
        UNROLL_TILE
        for (int v = 0; v < TILE_VECTORS; v++) {
            const vector xv = load(x + v * ELEMENTS);
            UNROLL_BLOCK
            for (int i = 0; i < rows; i++) sum[i] += load(g + i * (int)TILE + v * ELEMENTS) * xv;
        }
        UNROLL_BLOCK
        for (int i = 0; i < rows; i++) store(sums + (size_t)i * stride, sum[i]);
    }
    for (int v = 0; v < TILE_VECTORS; v++) {
        UNROLL_BLOCK
        for (int i = 0; i < rows; i++) bias[i] += load(g + i * (int)TILE + v * ELEMENTS);
    }
    UNROLL_BLOCK
    for (int i = 0; i < rows; i++) store(sums + (size_t)i * stride, load(sums + (size_t)i * stride) + bias[i]);
}

/* sums [outputs][stride / ELEMENTS][ELEMENTS]: no transposing; elements are added up at the end of the chunk. */
static void head_gradient(real *sums, size_t stride, const real *g, int outputs, const real *x, int k)
{
    for (int o = 0; o < outputs; o += 4, sums += 4 * stride, g += 4 * TILE) {
        switch (outputs - o) {
        case 1:
            head_gradient_rows(sums, stride, g, x, k, 1);
            break;
        case 2:
            head_gradient_rows(sums, stride, g, x, k, 2);
            break;
        case 3:
            head_gradient_rows(sums, stride, g, x, k, 3);
            break;
        default:
            head_gradient_rows(sums, stride, g, x, k, 4);
            break;
        }
    }
}

/* out [k][wide]: transposing a block turns the sums over the elements of ELEMENTS vectors into additions of vectors. `stride` covers k
 * padded to whole vectors. */
static void head_gradient_finish(const real *sums, size_t stride, int outputs, int k, real *out, int wide)
{
    for (int o = 0; o < outputs; o++, sums += stride) {
        for (int i = 0; i < k; i += ELEMENTS) {
            vector block[ELEMENTS], sum = {0};
            UNROLL_ELEMENTS
            for (int l = 0; l < (int)ELEMENTS; l++) block[l] = load(sums + (i + l) * (int)ELEMENTS);
            transpose_block(block);
            UNROLL_ELEMENTS
            for (int l = 0; l < (int)ELEMENTS; l++) sum += block[l];
            for (int l = 0; l < (int)ELEMENTS && i + l < k; l++) out[(i + l) * wide + o] = sum[l];
        }
    }
}

#endif
