/* A CBLAS of this machine, for `mappo bench` to compare the program's own matrix products with. It is opened when asked for: the program is
 * linked with none, because such a library starts threads as soon as it is loaded, whoever needs them. */
#ifndef MAPPO_CMD_BENCH_BLAS_H
#define MAPPO_CMD_BENCH_BLAS_H

/* float *y [m][n] = alpha * x [m][k] * w' [n][k] + beta * y; order and transpositions as cblas.h numbers them. */
typedef void blas_product(int order, int transpose_x, int transpose_w, int m, int n, int k, float alpha, const float *x, int ldx,
                          const float *w, int ldw, float beta, float *y, int ldy);

struct blas {
    blas_product *product; /* NULL: there is none, and `why` says so in a few words */
    const char *file;      /* that was opened */
    char why[256];
};

/* The library that the build found (make BLAS=...), on one thread. It stays open until the process ends. */
void blas_open(struct blas *blas);
/* Floating-point operations a second of the product of a layer, 128 rows, n x n weights; 0 where there is no library. */
double blas_rate(const struct blas *blas, int n);

#endif
