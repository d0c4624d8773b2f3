#include "nn/distribution.h"

#include <string.h>

#include "base/text.h"

static int add_head(struct distribution *dist, const struct mappo_group *group, int kind, int size, int start, int *outputs,
                    struct error *err)
{
    if (dist->heads == POLICY_MAX_HEADS)
        return error_set(err, EXIT_USAGE, "group \"%s\": more than %d action heads are not supported", group->name, POLICY_MAX_HEADS);
    if (size < 1) return error_set(err, EXIT_USAGE, "group \"%s\": an action space of %d choices", group->name, size);
    struct head *head = &dist->head[dist->heads++];
    head->kind = kind;
    head->output = *outputs;
    head->size = size;
    head->start = start;
    head->action = kind == HEAD_GAUSSIAN ? dist->act_reals : dist->act_ints;
    head->mask = kind == HEAD_GAUSSIAN ? -1 : dist->logits;
    *outputs += size;
    if (kind == HEAD_GAUSSIAN) {
        dist->act_reals += size;
    } else {
        dist->logits += size;
        dist->act_ints += kind == HEAD_CATEGORICAL ? 1 : size;
    }
    return 0;
}

int distribution_build(struct distribution *dist, const struct mappo_group *group, const struct deviation *deviation, int *outputs,
                       int *extra, struct error *err)
{
    *dist = (struct distribution){.fixed_std = deviation->kind == STD_FIXED ? deviation->fixed_std : 0};
    *outputs = 0;
    for (int i = 0; i < group->act_heads; i++) {
        const struct mappo_space *space = &group->act[i];
        int code = 0;
        switch (space->kind) {
        case MAPPO_DISCRETE:
        case MAPPO_MULTI_DISCRETE:
            for (int k = 0; k < space->size && code == 0; k++)
                code = add_head(dist, group, HEAD_CATEGORICAL, space->n[k], space->start ? space->start[k] : 0, outputs, err);
            break;
        case MAPPO_MULTI_BINARY:
            code = add_head(dist, group, HEAD_BERNOULLI, space->size, 0, outputs, err);
            break;
        case MAPPO_BOX:
            code = add_head(dist, group, HEAD_GAUSSIAN, space->size, 0, outputs, err);
            break;
        default:
            code = error_set(err, EXIT_USAGE, "group \"%s\": action space of unknown kind %d", group->name, space->kind);
        }
        if (code) return code;
    }
    if (dist->heads == 0) return error_set(err, EXIT_USAGE, "group \"%s\" has no actions to learn", group->name);
    *extra = deviation->kind == STD_SHARED ? dist->act_reals : 0;
    if (deviation->kind == STD_STATE && dist->act_reals) {
        dist->log_std_output = *outputs;
        *outputs += dist->act_reals;
    }
    return 0;
}

bool distribution_json(const struct distribution *dist, char *text, size_t size)
{
    static const char *const kinds[] = {[HEAD_CATEGORICAL] = "categorical", [HEAD_BERNOULLI] = "bernoulli"};
    static const char *const reals[] = {
        [REAL_GAUSSIAN] = "gaussian", [REAL_TANH] = "tanh", [REAL_SOFTMAX] = "softmax", [REAL_TANH_GAUSSIAN] = "tanh_gaussian"};
    bool whole = text_format(text, size, "[");
    for (int h = 0; h < dist->heads && whole; h++) {
        const size_t used = strlen(text);
        const int kind = dist->head[h].kind;
        whole = text_format(text + used, size - used, "%s[\"%s\",%d]", h ? "," : "",
                            kind == HEAD_GAUSSIAN ? reals[dist->real] : kinds[kind], dist->head[h].size);
    }
    const size_t used = strlen(text);
    return whole && text_format(text + used, size - used, "]");
}
