/* A training state like that of the default run, for tests of checkpoint files: two networks with their moments, counters, 128
 * environments. */
#ifndef TESTS_CHECKPOINT_SAMPLE_H
#define TESTS_CHECKPOINT_SAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "run/checkpoint.h"

struct sample {
    real actor[64][18], bias[64], critic[64][54], hidden[64][64], moment[2][64][64];
    double mean;
    int64_t update, env_steps;
    uint64_t hash;
    uint8_t environments[128][200];
    uint8_t none;
    struct field_list fields;
    struct checkpoint_attribute attribute[4];
};

/* Every byte depends on `generation`, so that a mixture of two generations is noticed. */
static inline void sample_fill(struct sample *s, int64_t generation)
{
    real *number = &s->actor[0][0];
    const size_t numbers = offsetof(struct sample, mean) / sizeof(real);
    for (size_t i = 0; i < numbers; i++) number[i] = (real)(((double)i * 0.001 + 1) * (double)(generation + 1));
    s->mean = -1.0 / (double)(generation + 3);
    s->update = generation;
    s->env_steps = generation * 3200;
    s->hash = 0x9e3779b97f4a7c15ull * (uint64_t)(generation + 1);
    memset(s->environments, (int)(generation * 37 + 1) & 255, sizeof s->environments);
}

static inline bool sample_is(const struct sample *s, int64_t generation)
{
    struct sample *want = calloc(1, sizeof *want);
    sample_fill(want, generation);
    const bool same = memcmp(s->actor, want->actor, offsetof(struct sample, none)) == 0;
    free(want);
    return same;
}

static inline struct sample *sample_create(int64_t generation)
{
    struct sample *s = calloc(1, sizeof *s);
    sample_fill(s, generation);
    struct field_list *list = &s->fields;
    field_add(list, "/policy/agent/actor/fc1/weight", FIELD_REAL, s->actor, "1", "weights of the first layer", 2, (int64_t)64, (int64_t)18);
    field_add(list, "/policy/agent/actor/fc1/bias", FIELD_REAL, s->bias, "1", "its bias", 1, (int64_t)64);
    field_add(list, "/policy/agent/critic/fc1/weight", FIELD_REAL, s->critic, "1", "weights of the first layer", 2, (int64_t)64,
              (int64_t)54);
    field_add(list, "/policy/agent/critic/fc2/weight", FIELD_REAL, s->hidden, "1", "weights of the second layer", 2, (int64_t)64,
              (int64_t)64);
    field_add(list, "/policy/agent/adam/m", FIELD_REAL, s->moment, "1", "first and second moments", 3, (int64_t)2, (int64_t)64,
              (int64_t)64);
    field_add(list, "/policy/agent/value_norm/mean", FIELD_DOUBLE, &s->mean, "reward", "running mean of the returns", 0);
    field_add(list, "/counters/update", FIELD_INT64, &s->update, "updates", "updates so far", 0);
    field_add(list, "/counters/env_steps", FIELD_INT64, &s->env_steps, "environment steps", "steps of all environments together", 0);
    field_add(list, "/environments/hash", FIELD_UINT64, &s->hash, "1", "guards the snapshots", 0);
    field_add(list, "/environments/state", FIELD_BYTES, s->environments, "1", "snapshots by global index", 2, (int64_t)128, (int64_t)200);
    field_add(list, "/metrics/empty", FIELD_BYTES, &s->none, "1", "a list that is empty so far", 2, (int64_t)0, (int64_t)8);
    s->attribute[0] = (struct checkpoint_attribute){"host", "node17"};
    s->attribute[1] = (struct checkpoint_attribute){"config/ppo.clip", "0.2"};
    s->attribute[2] = (struct checkpoint_attribute){"config/preset.name", ""};
    s->attribute[3] = (struct checkpoint_attribute){"rules", "mpe2 \xc3\xa4"};
    return s;
}

static inline void sample_destroy(struct sample *s)
{
    free(s->fields.field);
    free(s);
}

static inline int sample_save(const struct sample *s, const char *path, struct error *err)
{
    const struct checkpoint_content content = {s->fields, s->attribute, 4};
    return checkpoint_write(path, &content, err);
}

/* The generation in the file, -1 where it holds a mixture, -2 where it does not open (`err` says why). */
static inline int64_t sample_load(const char *path, struct error *err)
{
    struct sample *s = sample_create(0);
    struct checkpoint *file = NULL;
    int64_t generation = -2;
    memset(s->actor, 0, offsetof(struct sample, none));
    if (checkpoint_open(&file, path, err) == EXIT_DONE && checkpoint_read(file, &s->fields, err) == EXIT_DONE)
        generation = sample_is(s, s->update) ? s->update : -1;
    checkpoint_close(file);
    sample_destroy(s);
    return generation;
}

/* A folder of this test's own under $TMPDIR; removed by sample_folder_remove. */
static inline void sample_folder(char *path, size_t size)
{
    const char *base = getenv("TMPDIR");
    text_format(path, size, "%s/mappo-test-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");
    if (mkdtemp(path) == NULL) {
        perror(path);
        exit(1);
    }
}

static inline void sample_folder_remove(const char *path)
{
    char command[512];
    text_format(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0) fprintf(stderr, "can't remove %s\n", path);
}

#endif
