/* Environments against recorded trajectories of the reference implementations: walks a file's cases, each of which is compared by the suite
 * that has its environment (env_<suite>.h). */
#ifndef TESTS_PARITY_ENV_H
#define TESTS_PARITY_ENV_H

#include "parity/env_case.h"
#include "parity/env_classic.h"
#include "parity/env_mpe.h"

static const struct env_suite *const env_suites[] = {&env_mpe, &env_classic};

/* ---- files ------------------------------------------------------------------------------------------------ */

struct env_walk {
    hid_t file;
    struct parity_report *report;
    int supported, unsupported;
};

static inline void env_leave_out(struct env_walk *walk, const char *name)
{
    char *text = walk->report->left_out;
    const size_t used = strlen(text), room = sizeof walk->report->left_out;
    walk->unsupported++;
    if (used + strlen(name) + 6 < room)
        strcat(strcat(text, used ? ", " : ""), name);
    else if (used + 5 < room && strcmp(text + used - 3, "...") != 0)
        snprintf(text + used, room - used, ", ...");
}

static inline void env_walk_case(struct env_walk *walk, const char *group, const char *environment)
{
    char kwargs[512];
    golden_text(walk->file, group, "kwargs", kwargs, sizeof kwargs);
    const struct env_case c = {.file = walk->file, .group = group, .environment = environment, .kwargs = kwargs};
    for (size_t k = 0; k < sizeof env_suites / sizeof *env_suites; k++) {
        if (!env_suites[k]->has(&c)) continue;
        walk->supported++;
        env_suites[k]->check(walk->report, &c);
        return;
    }
    env_leave_out(walk, group + 1);
}

static inline herr_t env_visit(hid_t object, const char *name, const H5O_info_t *info, void *data)
{
    struct env_walk *walk = data;
    char group[512], environment[256];
    (void)object;
    if (info->type != H5O_TYPE_GROUP || strcmp(name, ".") == 0) return 0;
    text_format(group, sizeof group, "/%s", name);
    if (golden_text(walk->file, group, "environment", environment, sizeof environment)) env_walk_case(walk, group, environment);
    return 0;
}

/* Seeds of 64 bits don't fit a double. Returns how many. */
static inline size_t env_read_seeds(hid_t file, uint64_t *seed, size_t room)
{
    const hid_t set = H5Dopen2(file, "/rng/seed", H5P_DEFAULT);
    if (set < 0) return 0;
    const hid_t space = H5Dget_space(set);
    const size_t count = (size_t)H5Sget_simple_extent_npoints(space);
    const bool read = count <= room && H5Dread(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, seed) >= 0;
    H5Sclose(space);
    H5Dclose(set);
    return read ? count : 0;
}

/* The generator itself, where the file has a group `rng`: raw words and uniform numbers, bit for bit, and integers of mixed limits. */
static inline void env_check_rng(struct env_walk *walk)
{
    uint64_t seed[64] = {0};
    const size_t seeds = env_read_seeds(walk->file, seed, 64);
    struct golden_array uniform = golden_read(walk->file, "/rng/uniform");
    struct golden_array integers = golden_read(walk->file, "/rng/mixed_integers"), between = golden_read(walk->file, "/rng/mixed_uniform");
    double limit[64];
    const int limits = golden_numbers(walk->file, "/rng", "limits", limit, 64);
    if (seeds && uniform.data && integers.data && between.data && limits > 0) {
        const size_t draws = uniform.count / seeds, mixed = between.count / seeds;
        double *found = calloc(uniform.count + integers.count + between.count, sizeof *found);
        double *found_integers = found + uniform.count, *found_between = found_integers + integers.count;
        for (size_t s = 0; s < seeds; s++) {
            struct pcg64 rng;
            pcg64_seed(&rng, seed[s]);
            for (size_t i = 0; i < draws; i++) found[s * draws + i] = -1 + 2 * pcg64_unit(&rng);
            pcg64_seed(&rng, seed[s]);
            for (int i = 0; i < limits; i++) {
                found_integers[s * (size_t)limits + (size_t)i] = (double)pcg64_below(&rng, (uint64_t)limit[i]);
                if (i % 3 == 1 && (size_t)(i / 3) < mixed) found_between[s * mixed + (size_t)(i / 3)] = -1 + 2 * pcg64_unit(&rng);
            }
        }
        parity_compare(walk->report, "rng/uniform", found, uniform.data, uniform.count, env_exact);
        parity_compare(walk->report, "rng/mixed_integers", found_integers, integers.data, integers.count, env_exact);
        parity_compare(walk->report, "rng/mixed_uniform", found_between, between.data, between.count, env_exact);
        free(found);
    }
    golden_free(&uniform);
    golden_free(&integers);
    golden_free(&between);
}

/* UNKNOWN: not a file of environments. UNSUPPORTED: of environments that this version doesn't have; report->left_out names them. */
static inline enum parity_result parity_env(const char *path, struct parity_report *report)
{
    struct env_walk walk = {.file = golden_open(path), .report = report};
    *report = (struct parity_report){0};
    if (walk.file < 0) return PARITY_UNKNOWN;
    H5Ovisit2(walk.file, H5_INDEX_NAME, H5_ITER_INC, env_visit, &walk, H5O_INFO_BASIC);
    if (walk.supported) env_check_rng(&walk);
    H5Fclose(walk.file);
    if (!walk.supported) return walk.unsupported ? PARITY_UNSUPPORTED : PARITY_UNKNOWN;
    return report->differing ? PARITY_FAILED : PARITY_PASSED;
}

#endif
