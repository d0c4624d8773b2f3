/* Instruction levels: what this machine has, the kernels of each, and how fast they are here. */
#include <stdlib.h>

#include "backend/cpu.h"
#include "base/clock.h"

const struct cpu_kernels *cpu_kernels_of(int level)
{
#ifndef BASELINE_ONLY
    if (level == CPU_AVX512) return &cpu_kernels_avx512;
    if (level == CPU_AVX2) return &cpu_kernels_avx2;
#endif
    (void)level;
    return &cpu_kernels_baseline;
}

int cpu_level_detect(void)
{
#ifndef BASELINE_ONLY
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CPU_BASELINE;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return CPU_AVX512;
    return CPU_AVX2;
#else
    return CPU_BASELINE;
#endif
}

const char *cpu_level_name(int level)
{
    static const char *const name[CPU_LEVELS] = {"baseline", "avx2", "avx512"};
    return level >= 0 && level < CPU_LEVELS ? name[level] : "unknown";
}

/* ---- rates: the best of many short trials, since other programs can only make a trial slower ----------------------------------------- */

enum { TRIALS = 40 };

double cpu_peak(int level)
{
    const struct cpu_kernels *kernels = cpu_kernels_of(level);
    double best = 0;
    for (int i = 0; i < TRIALS; i++) {
        real sink;
        const double start = clock_seconds(), rate = kernels->peak_loop(20000, &sink) / (clock_seconds() - start);
        if (rate > best && sink == sink) best = rate;
    }
    return best;
}

double cpu_product_rate(int level, int outputs, int inputs)
{
    const struct cpu_kernels *kernels = cpu_kernels_of(level);
    const size_t rows = (size_t)kernels->tile_rows,
                 sizes[3] = {(size_t)outputs * rows, (size_t)outputs * (size_t)inputs, (size_t)inputs * rows};
    real *block[3];
    for (int i = 0; i < 3; i++) {
        block[i] = aligned_alloc(64, (sizes[i] * sizeof(real) + 127) / 64 * 64);
        CHECK(block[i], "out of memory");
        for (size_t j = 0; j < sizes[i]; j++) block[i][j] = (real)0.5;
    }
    double best = 0;
    for (int i = 0; i < TRIALS; i++) {
        const double start = clock_seconds(),
                     rate = kernels->product_loop(1 + (1 << 22) / (outputs * inputs), block[0], block[1], block[2], outputs, inputs) /
                            (clock_seconds() - start);
        if (rate > best) best = rate;
    }
    for (int i = 0; i < 3; i++) free(block[i]);
    return best;
}
