#include "algo/algorithm.h"

#include <stdlib.h>
#include <string.h>

#define ALGORITHM(name, help) extern const struct algorithm_functions name##_functions;
#include "config/algorithms.def"

const struct algorithm_type algorithms[] = {
#define ALGORITHM(name, help) {#name, help, &name##_functions},
#include "config/algorithms.def"
    {NULL, NULL, NULL}};

static const struct algorithm_functions *chosen(const struct config *config)
{
    return algorithms[config->algo_name].functions;
}

int64_t algorithm_horizon(const struct config *config)
{
    return chosen(config)->horizon(config);
}

int algorithm_policies(struct policies **policies, const struct config *config, const struct mappo_env_spec *spec, struct backend *backend,
                       struct error *err)
{
    return chosen(config)->policies(policies, config, spec, backend, err);
}

int algorithm_create(struct algorithm **out, const struct algorithm_context *context, struct error *err)
{
    struct algorithm *algorithm = calloc(1, sizeof *algorithm);
    CHECK(algorithm, "out of memory for an algorithm");
    algorithm->name = algorithms[context->config->algo_name].name;
    algorithm->horizon = algorithm_horizon(context->config);
    const int code = chosen(context->config)->create(algorithm, context, err);
    if (code)
        free(algorithm);
    else
        *out = algorithm;
    return code;
}

void algorithm_destroy(struct algorithm *algorithm)
{
    if (!algorithm) return;
    algorithm->ops->destroy(algorithm);
    free(algorithm);
}

static bool is_listed(const struct metric *list, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) return true;
    return false;
}

int algorithm_describe_metrics(struct metric *out, int max)
{
    enum { MOST = 64 };
    struct metric own[MOST];
    int count = 0;
    for (const struct algorithm_type *type = algorithms; type->name; type++) {
        const int found = type->functions->metrics(own, MOST);
        for (int i = 0; i < found && count < max; i++)
            if (!is_listed(out, count, own[i].name)) out[count++] = own[i];
    }
    return count;
}
