#include "base/pooled.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/philox.h"

enum { DRAWS = 10000, SEED = 20210829 };

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double mean_of(const double *value, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += value[i];
    return sum / n;
}

/* Between the two nearest of sorted values, as NumPy's quantile. */
static double quantile(const double *sorted, int n, double part)
{
    const double at = part * (n - 1);
    const int below = (int)at;
    return below + 1 < n ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[below];
}

static void draw_means(double *mean /* [DRAWS] */, const double *value, int n)
{
    struct philox rng;
    philox_start(&rng, SEED, PHILOX_EVALUATION, 0);
    for (int d = 0; d < DRAWS; d++) {
        double sum = 0;
        for (int i = 0; i < n; i++) sum += value[philox_below(&rng, n)];
        mean[d] = sum / n;
    }
    qsort(mean, DRAWS, sizeof *mean, by_size);
}

struct pooled pooled_of(const double *value, int n)
{
    struct pooled of = {NAN, NAN, NAN, NAN};
    double *known = malloc(((size_t)n + DRAWS) * sizeof *known), *means = known + n;
    int count = 0;
    CHECK(known, "out of memory for a mean");
    for (int i = 0; i < n; i++)
        if (!isnan(value[i])) known[count++] = value[i];
    if (count > 0) {
        qsort(known, (size_t)count, sizeof *known, by_size);
        of.mean = mean_of(known, count);
        of.middle = mean_of(known + count / 4, count - 2 * (count / 4));
    }
    if (count > 1) {
        draw_means(means, known, count);
        of.low = quantile(means, DRAWS, 0.025);
        of.high = quantile(means, DRAWS, 0.975);
    }
    free(known);
    return of;
}
