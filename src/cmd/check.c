/* mappo check ENV: does an environment keep what it promises, and how fast is it? (src/check/check.h) */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "check/check.h"

enum { CALL_SECONDS = 10 };
static const double speed_seconds = 0.3;

/* steps=N is this command's own; the rest is a configuration's. */
static int take_steps(struct arguments *rest, const struct arguments *args, int64_t *steps, struct error *err)
{
    *rest = *args;
    *steps = 0;
    const char *value = arguments_take(rest, "steps");
    if (!value || (text_to_int(value, steps) && *steps >= 1 && *steps <= 100000000)) return 0;
    return error_set(err, EXIT_USAGE, "steps=%s: how many steps of each environment mappo check looks at is a whole number from 1 to 1e8",
                     value);
}

/* ---- a device for its kernels ------------------------------------------------------------------------------------------------------- */

static struct backend *open_device(char *why, size_t size)
{
    struct backend *backend = NULL;
    struct error err = {0};
    const struct backend_config wanted = {.name = "cuda", .threads = 1, .level = -1, .device = -1};
    if (backend_open(&backend, &wanted, &err) == 0) return backend;
    text_format(why, size, "%s", err.text);
    return NULL;
}

static const char *name_of(struct backend *backend)
{
    return backend->detail;
}

static const struct env_device_ops *environments_of(struct backend *backend)
{
    return backend->environments;
}

static void *take(struct backend *backend, size_t bytes)
{
    return backend->alloc(backend, "check", bytes);
}

static void upload(struct backend *backend, void *to, const void *from, size_t bytes)
{
    backend->upload(backend, to, from, bytes);
}

static void download(struct backend *backend, void *to, const void *from, size_t bytes)
{
    backend->download(backend, to, from, bytes);
}

static const struct check_device device = {open_device, name_of, environments_of, take, upload, download};

/* ---- what was found ------------------------------------------------------------------------------------------------------------------ */

static void print_report(const struct check_report *report)
{
    printf("%s %s\n", report->env->id, report->options);
    for (int i = 0; i < report->findings; i++)
        printf("%s: %s\n", report->finding[i].is_warning ? "warning" : "fault", report->finding[i].text);
    if (report->steps)
        printf("looked at: %lld steps of %d environments, %lld episode%s\n", (long long)report->steps, report->envs,
               (long long)report->episodes, report->episodes == 1 ? "" : "s");
    if (report->kernels[0]) printf("kernels: %s\n", report->kernels);
    if (report->ns_per_step > 0)
        printf("speed: %.0f environment steps a second on one thread (%.4g ns a step)\n", 1e9 / report->ns_per_step, report->ns_per_step);
    printf("%d fault%s, %d warning%s\n", report->faults, report->faults == 1 ? "" : "s", report->warnings,
           report->warnings == 1 ? "" : "s");
}

static void json_findings(const struct check_report *report, const char *name, bool warnings)
{
    bool first = true;
    printf(", \"%s\": [", name);
    for (int i = 0; i < report->findings; i++) {
        if (report->finding[i].is_warning != warnings) continue;
        if (!first) printf(", ");
        text_json_string(stdout, report->finding[i].text);
        first = false;
    }
    printf("]");
}

static void print_json(const struct check_report *report)
{
    printf("{\"id\": ");
    text_json_string(stdout, report->env->id);
    printf(", \"options\": ");
    text_json_string(stdout, report->options);
    json_findings(report, "faults", false);
    json_findings(report, "warnings", true);
    printf(", \"environments\": %d, \"steps\": %lld, \"episodes\": %lld, \"kernels\": ", report->envs, (long long)report->steps,
           (long long)report->episodes);
    if (report->kernels[0])
        text_json_string(stdout, report->kernels);
    else
        printf("null");
    printf(", \"ns_per_step\": ");
    if (report->ns_per_step > 0)
        text_json_real(stdout, report->ns_per_step);
    else
        printf("null");
    puts("}");
}

static int check(const struct arguments *args, struct error *err)
{
    struct config *config = calloc(1, sizeof *config);
    struct arguments *rest = malloc(sizeof *rest);
    struct check_report *report = malloc(sizeof *report);
    struct env_option option[CONFIG_ENV_OPTIONS];
    struct check_config wanted = {.option = option, .call_seconds = CALL_SECONDS, .device = &device, .speed_seconds = speed_seconds};
    CHECK(config && rest && report, "out of memory");
    int code = cmd_check_operand(args, err);
    if (!code) code = take_steps(rest, args, &wanted.steps, err);
    if (!code) code = cmd_env_config(config, rest, err);
    if (!code) {
        wanted.name = config->env_name;
        wanted.seed = (uint64_t)config->train_seed;
        wanted.options = config->env_options;
        for (int i = 0; i < config->env_options; i++)
            option[i] = (struct env_option){config->env_option[i].name, config->env_option[i].value};
        code = check_environment(&wanted, report, err);
    }
    if (!code && args->json) print_json(report);
    if (!code && !args->json) print_report(report);
    if (!code && report->faults) code = EXIT_ENVIRONMENT;
    free(report);
    free(rest);
    free(config);
    return code;
}

int cmd_check(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    int code = EXIT_DONE;
    if (comm->rank == 0) code = check(args, &err); /* one is enough */
    comm_broadcast(comm, &code, sizeof code);
    error_report(&err);
    return code;
}
