#include "cmd/bench_blas.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/text.h"

#ifndef MAPPO_BLAS
#define MAPPO_BLAS ""
#endif

enum { ROW_MAJOR = 101, NO_TRANSPOSE = 111, TRANSPOSE = 112 }; /* cblas.h */

void blas_open(struct blas *blas)
{
    *blas = (struct blas){.file = MAPPO_BLAS};
    if (!blas->file[0]) {
        text_format(blas->why, sizeof blas->why, "this program was built with BLAS=none");
        return;
    }
    /* Read while a library is loaded: it then starts no threads at all. FlexiBLAS and the reference one pass on to one of these. */
    static const char *const threads[] = {"OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "MKL_NUM_THREADS"};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) setenv(threads[i], "1", 1);
    void *library = dlopen(blas->file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); /* what it does at exit must still be there */
    if (library) blas->product = (blas_product *)dlsym(library, "cblas_sgemm");
    if (blas->product) return;
    const char *reason = dlerror();
    text_format(blas->why, sizeof blas->why, "%s", reason ? reason : "it has no cblas_sgemm");
}

double blas_rate(const struct blas *blas, int n)
{
    enum { ROWS = 128, TRIALS = 40 };
    if (!blas->product) return 0;
    float *x = calloc((size_t)ROWS * (size_t)n, sizeof *x), *w = calloc((size_t)n * (size_t)n, sizeof *w),
          *y = calloc((size_t)ROWS * (size_t)n, sizeof *y);
    CHECK(x && w && y, "out of memory");
    double best = 0;
    for (int i = 0; i < TRIALS; i++) {
        const int repeats = 1 + (1 << 22) / (n * n);
        const double start = clock_seconds();
        for (int k = 0; k < repeats; k++) blas->product(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, ROWS, n, n, 1, x, n, w, n, 0, y, n);
        const double rate = 2.0 * ROWS * n * n * repeats / (clock_seconds() - start);
        if (rate > best) best = rate;
    }
    free(x);
    free(w);
    free(y);
    return best;
}
