#include "nn/orthogonal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"

/* Standard normal numbers first, first + 1, … of tensor `tensor` of network init->index: Box and Muller 1958, two from each draw. `first`
 * is even. */
static void draw_normals(const struct network_init *init, uint32_t tensor, uint64_t first, double *out, size_t count)
{
    const double two_pi = 6.283185307179586;
    for (size_t i = 0; i < count; i += 2) {
        const struct philox_draw draw = philox_at(init->seed, PHILOX_INITIALISATION, init->index, tensor, (first + i) / 2);
        const double radius = sqrt(-2.0 * log(1.0 - philox_double(draw.v[0], draw.v[1])));
        const double angle = two_pi * philox_double(draw.v[2], draw.v[3]);
        out[i] = radius * cos(angle);
        if (i + 1 < count) out[i + 1] = radius * sin(angle);
    }
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double *take(size_t count)
{
    double *numbers = aligned_alloc(64, (count * sizeof *numbers + 63) / 64 * 64);
    CHECK(numbers, "out of memory initialising a network");
    return numbers;
}

/* Number `i` of vector `v` in the matrix whose shorter side counts the vectors. */
static size_t place(int rows, int columns, size_t v, size_t i)
{
    return rows > columns ? i * (size_t)columns + v : v * (size_t)columns + i;
}

/* ---- few vectors: normal numbers, made orthonormal ----------------------------------------------------------------------------------- */

/* Makes `count` vectors of length n orthonormal, each kept on its own side of those before it: the QR factor with a positive diagonal,
 * which is how torch.nn.init.orthogonal_ makes the distribution uniform. Twice, because once loses digits where vectors are nearly
 * parallel. */
static void orthonormalise(double *vectors, size_t count, size_t n)
{
    for (size_t i = 0; i < count; i++) {
        double *v = vectors + i * n;
        for (int pass = 0; pass < 2; pass++)
            for (size_t j = 0; j < i; j++) {
                const double *u = vectors + j * n, along = dot(u, v, n);
                for (size_t k = 0; k < n; k++) v[k] -= along * u[k];
            }
        const double norm = sqrt(dot(v, v, n));
        for (size_t k = 0; k < n; k++) v[k] /= norm;
    }
}

static void fill_few(const struct network_init *init, uint32_t tensor, real *out, int rows, int columns, double gain)
{
    const size_t count = (size_t)(rows > columns ? columns : rows), n = (size_t)(rows > columns ? rows : columns);
    double *vectors = take(count * n);
    draw_normals(init, tensor, 0, vectors, count * n);
    orthonormalise(vectors, count, n);
    for (size_t v = 0; v < count; v++)
        for (size_t i = 0; i < n; i++) out[place(rows, columns, v, i)] = (real)(gain * vectors[v * n + i]);
    free(vectors);
}

/* ---- many vectors: a product of random reflections (Stewart 1980) -------------------------------------------------------------------- */

/* QR by Householder's reflections would find in column j, below the diagonal and after the reflections before it, normal numbers once more,
 * independent of all that was used: so these are drawn, and there is no matrix to factorise. What is left is the product H_0 H_1 …, from
 * the last to the first, on the signs that make the diagonal of R positive. PANEL reflections go together, as I - U T U' (Schreiber and Van
 * Loan 1989), over a strip of columns that stays in cache; every column is computed by itself and in one order. */

enum { PANEL = 4, STRIP = 32 /* columns */, FEW = 256 /* vectors: up to here fill_few takes milliseconds */ };

struct panel {
    double t[PANEL][PANEL]; /* upper triangular */
    double (*u)[PANEL];     /* [n - its first][PANEL] */
};

struct reflections {
    size_t count, n;
    size_t panels;
    struct panel *panel; /* [panels] */
    double *u;           /* all of theirs */
    double *sign;        /* [count] */
};

/* q [rows][two vectors of BYTES] -= U T U' q. Products and sums apart, not fused: the same bits on every machine. */
#define REFLECT(NAME, BYTES, TARGET)                                                                                                       \
    TARGET static void NAME(const struct panel *panel, double *strip, size_t rows)                                                         \
    {                                                                                                                                      \
        typedef double vector __attribute__((vector_size(BYTES)));                                                                         \
        vector *q = (vector *)strip, w[PANEL][2] = {{{0}}};                                                                                \
        const double(*u)[PANEL] = (const double(*)[PANEL])panel->u;                                                                        \
        for (size_t r = 0; r < rows; r++) _Pragma("GCC unroll 4") for (int k = 0; k < PANEL; k++)                                          \
            {                                                                                                                              \
                const vector a = q[2 * r] * u[r][k], b = q[2 * r + 1] * u[r][k];                                                           \
                w[k][0] += a;                                                                                                              \
                w[k][1] += b;                                                                                                              \
            }                                                                                                                              \
        for (int k = 0; k < PANEL; k++) { /* w = T w: rows below are still the old ones */                                                 \
            vector a = w[k][0] * panel->t[k][k], b = w[k][1] * panel->t[k][k];                                                             \
            for (int m = k + 1; m < PANEL; m++) {                                                                                          \
                const vector c = w[m][0] * panel->t[k][m], d = w[m][1] * panel->t[k][m];                                                   \
                a += c;                                                                                                                    \
                b += d;                                                                                                                    \
            }                                                                                                                              \
            w[k][0] = a;                                                                                                                   \
            w[k][1] = b;                                                                                                                   \
        }                                                                                                                                  \
        for (size_t r = 0; r < rows; r++) _Pragma("GCC unroll 4") for (int k = 0; k < PANEL; k++)                                          \
            {                                                                                                                              \
                const vector a = w[k][0] * u[r][k], b = w[k][1] * u[r][k];                                                                 \
                q[2 * r] -= a;                                                                                                             \
                q[2 * r + 1] -= b;                                                                                                         \
            }                                                                                                                              \
    }

typedef void reflect_call(const struct panel *panel, double *strip, size_t rows);

REFLECT(reflect_16, 16, )
#if defined(__x86_64__)
REFLECT(reflect_32, 32, __attribute__((target("avx2"))))
REFLECT(reflect_64, 64, __attribute__((target("avx512f"))))

static reflect_call *reflect_of(int level, int *width)
{
    *width = level == CPU_AVX512 ? 16 : level == CPU_AVX2 ? 8 : 4;
    return level == CPU_AVX512 ? reflect_64 : level == CPU_AVX2 ? reflect_32 : reflect_16;
}
#else
static reflect_call *reflect_of(int level, int *width)
{
    (void)level;
    *width = 4;
    return reflect_16;
}
#endif

/* Panel p from its draws. Reflection j takes x to the first axis: u = x + sign(x_0) |x| e_0, without cancellation. */
static void draw_panel(const struct reflections *all, const struct network_init *init, uint32_t tensor, size_t p)
{
    struct panel *panel = &all->panel[p];
    const size_t first = p * PANEL, rows = all->n - first;
    double *column = take(PANEL * rows);
    memset(column, 0, PANEL * rows * sizeof *column);
    memset(panel->t, 0, sizeof panel->t);
    for (size_t k = 0; k < PANEL && first + k < all->count; k++) {
        double *u = column + k * rows;
        draw_normals(init, tensor, (first + k) * (all->n + all->n % 2), u + k, rows - k);
        const double norm = sqrt(dot(u + k, u + k, rows - k)), size = fabs(u[k]);
        all->sign[first + k] = u[k] < 0 ? 1 : -1; /* of the diagonal of R */
        u[k] += u[k] < 0 ? -norm : norm;
        panel->t[k][k] = 1 / (norm * (norm + size));
        for (size_t i = 0; i < k; i++)
            for (size_t m = i; m < k; m++) panel->t[i][k] -= panel->t[k][k] * panel->t[i][m] * dot(column + m * rows, u, rows);
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < PANEL; k++) panel->u[r][k] = column[k * rows + r];
    free(column);
}

/* Columns [from, to) of the product, in strip [groups of `width` columns][n][width]: reflections beyond them leave them alone. */
static void multiply(const struct reflections *all, reflect_call *reflect, size_t width, size_t from, size_t to, double *strip)
{
    memset(strip, 0, all->n * STRIP * sizeof *strip);
    for (size_t c = from; c < to; c++) strip[((c - from) / width * all->n + c) * width + (c - from) % width] = all->sign[c];
    for (size_t p = (to - 1) / PANEL + 1; p-- > 0;)
        for (size_t at = 0; at < to - from; at += width)
            reflect(&all->panel[p], strip + (at * all->n + p * PANEL * width), all->n - p * PANEL);
}

static void fill_many(const struct network_init *init, uint32_t tensor, real *out, int rows, int columns, double gain)
{
    struct reflections all = {.count = (size_t)(rows > columns ? columns : rows), .n = (size_t)(rows > columns ? rows : columns)};
    const int threads = init->threads > 1 ? init->threads : 1;
    int width;
    reflect_call *reflect = reflect_of(init->level, &width);
    all.panels = (all.count + PANEL - 1) / PANEL;
    all.panel = calloc(all.panels, sizeof *all.panel);
    CHECK(all.panel, "out of memory initialising a network");
    all.u = take(all.panels * PANEL * all.n);
    all.sign = take(all.count);
    for (size_t p = 0; p < all.panels; p++) all.panel[p].u = (double(*)[PANEL])(all.u + p * PANEL * all.n);
#pragma omp parallel num_threads(threads)
    {
        double *strip = take(all.n * STRIP);
#pragma omp for schedule(dynamic)
        for (size_t p = 0; p < all.panels; p++) draw_panel(&all, init, tensor, p);
#pragma omp for schedule(dynamic)
        for (size_t from = 0; from < all.count; from += STRIP) {
            const size_t to = from + STRIP < all.count ? from + STRIP : all.count, w = (size_t)width;
            multiply(&all, reflect, w, from, to, strip);
            for (size_t i = 0; i < all.n; i++)
                for (size_t c = from; c < to; c++)
                    out[place(rows, columns, c, i)] = (real)(gain * strip[((c - from) / w * all.n + i) * w + (c - from) % w]);
        }
        free(strip);
    }
    free(all.panel);
    free(all.u);
    free(all.sign);
}

void orthogonal_fill(const struct network_init *init, uint32_t tensor, real *out, int rows, int columns, double gain)
{
    if ((rows > columns ? columns : rows) <= FEW)
        fill_few(init, tensor, out, rows, columns, gain);
    else
        fill_many(init, tensor, out, rows, columns, gain);
}
