#include "check/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/text.h"
#include "check/work.h"
#include "env/registry.h"

/* In the order of causes: who shares state with others in one way does so in those that follow, and one line is enough. */
static const struct {
    const char *name;
    stage_function *run;
    unsigned not_after; /* enum cause */
} stages[] = {
    {"the record", check_record_stage, 0},
    {"once more", check_repeat_stage, CAUSE_CHANCE},
    {"a second instance", check_beside_stage, CAUSE_CHANCE},
    {"ranges", check_cut_stage, CAUSE_CHANCE | CAUSE_GLOBAL},
    {"threads", check_threads_stage, CAUSE_CHANCE | CAUSE_GLOBAL | CAUSE_CUT | CAUSE_KEPT},
    {"shards", check_shard_stage, CAUSE_CHANCE | CAUSE_GLOBAL | CAUSE_CUT},
    {"observe", check_observe_stage, CAUSE_CHANCE},
    {"resets", check_reset_stage, CAUSE_CHANCE | CAUSE_GLOBAL | CAUSE_CUT},
    {"unwanted arrays", check_unwanted_stage, CAUSE_CHANCE | CAUSE_OBSERVE},
    {"undeclared arrays", check_undeclared_stage, CAUSE_CHANCE | CAUSE_GLOBAL | CAUSE_CUT},
    {"inactive agents", check_inactive_stage, CAUSE_CHANCE},
    {"final observations", check_final_stage, CAUSE_CHANCE},
    {"snapshots", check_snapshot_stage, CAUSE_CHANCE | CAUSE_GLOBAL | CAUSE_CUT | CAUSE_OBSERVE},
    {"damaged snapshots", check_damage_stage, CAUSE_CHANCE | CAUSE_GLOBAL | CAUSE_CUT | CAUSE_OBSERVE | CAUSE_SNAPSHOT},
    {"generators", check_keys_stage, CAUSE_CHANCE | CAUSE_GLOBAL},
    {"the script", check_script_stage, CAUSE_CHANCE},
    {"drawing", check_draw_stage, CAUSE_CHANCE},
    {"kernels", check_kernels_stage, CAUSE_CHANCE | CAUSE_GLOBAL | CAUSE_CUT},
    {"memory", check_memory_stage, 0},
    {"speed", check_speed_stage, 0},
};

static void *shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED, "no memory to check an environment: %zu bytes", bytes);
    return memory;
}

static void go_through(struct check *check)
{
    enum { MOST_BYTES = 1 << 28 };
    struct check_shared *shared = check->shared;
    shared->steps = check->config->steps ? check->config->steps : 500;
    check_stage(check, "the spec", check_spec_stage);
    if (!shared->frame || !shared->done || shared->causes & CAUSE_NO_RECORD) return;
    const int64_t most = (int64_t)(MOST_BYTES / shared->frame) + 1;
    if (shared->steps > most) {
        if (check->config->steps) check_warning(check, "only %lld steps were looked at: they fill 256 MiB", (long long)most);
        shared->steps = most;
    }
    const size_t bytes = (size_t)(shared->steps + 1) * shared->frame;
    check->record = shared_memory(bytes);
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        if (shared->causes & (stages[i].not_after | CAUSE_NO_RECORD)) continue;
        if (stages[i].run == check_speed_stage && check->config->speed_seconds <= 0) continue;
        check_stage(check, stages[i].name, stages[i].run);
        check->steps = shared->steps;
    }
    bool faulty = false;
    for (int i = 0; i < shared->findings; i++) faulty = faulty || !shared->finding[i].is_warning;
    if (!faulty) check_ends_of_options(check); /* else they would be found there, too */
    munmap(check->record, bytes);
}

static void report_all(const struct check *check, struct check_report *report)
{
    const struct check_shared *shared = check->shared;
    *report = (struct check_report){.env = check->env,
                                    .envs = CHECK_ENVS,
                                    .steps = check->record ? shared->steps : 0,
                                    .episodes = shared->episodes,
                                    .ns_per_step = shared->ns_per_step};
    memcpy(report->kernels, shared->kernels, sizeof report->kernels);
    memcpy(report->options, check->options, sizeof report->options);
    for (int k = 0; k < 2; k++) /* faults first */
        for (int i = 0; i < shared->findings; i++)
            if (shared->finding[i].is_warning == k) report->finding[report->findings++] = shared->finding[i];
    for (int i = 0; i < report->findings; i++) *(report->finding[i].is_warning ? &report->warnings : &report->faults) += 1;
}

int check_environment(const struct check_config *config, struct check_report *report, struct error *err)
{
    struct check *check = calloc(1, sizeof *check);
    if (!check) return error_set(err, EXIT_INTERNAL, "out of memory");
    check->config = config;
    int code = registry_find(config->name, &check->env, err);
    if (!code) code = options_check(check->env, err);
    if (!code) code = options_read(check->env, config->option, config->options, check->value, check->options, sizeof check->options, err);
    if (!code) {
        check->shared = shared_memory(sizeof *check->shared);
        go_through(check);
        if (check->shared->refused[0]) code = error_set(err, EXIT_USAGE, "environment \"%s\": %s", check->env->id, check->shared->refused);
        report_all(check, report);
        munmap(check->shared, sizeof *check->shared);
    }
    free(check);
    return code;
}
