#include "env/wrappers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int32_t real_width(const struct mappo_group *group)
{
    int32_t width = 0;
    for (int h = 0; h < group->act_heads; h++)
        if (group->act[h].kind == MAPPO_BOX) width += group->act[h].size;
    return width;
}

/* A bound of a NaN or nothing is no bound. */
static float bound(const float *bounds, int32_t i, float none)
{
    return bounds && !isnan(bounds[i]) ? bounds[i] : none;
}

int action_wrapper_check(const struct vecenv_config *config, const char *id, const struct mappo_env_spec *spec, struct error *err)
{
    int32_t bounded = 0, width = 0;
    for (int g = 0; g < spec->groups && (config->rescale_action || config->squash_action); g++) {
        width += real_width(&spec->group[g]);
        for (int32_t h = 0; h < spec->group[g].act_heads; h++) {
            const struct mappo_space *space = &spec->group[g].act[h];
            for (int32_t i = 0; i < space->size && space->kind == MAPPO_BOX; i++)
                bounded += isfinite(bound(space->low, i, -INFINITY)) && isfinite(bound(space->high, i, INFINITY));
        }
    }
    if (config->squash_action && bounded < width)
        return error_set(err, EXIT_USAGE,
                         "policy.squash=tanh: a real action of environment \"%s\" has no two finite bounds to be stretched over", id);
    if (bounded || !width) return 0;
    return error_set(err, EXIT_USAGE, "wrap.rescale_action: no real action of environment \"%s\" has two finite bounds to stretch over",
                     id);
}

int action_wrapper_create(struct action_wrapper *wrapper, const struct vecenv_config *config, struct mappo_group *group, struct error *err)
{
    const int32_t width = real_width(group);
    memset(wrapper, 0, sizeof *wrapper);
    wrapper->stretch = config->squash_action ? STRETCH_SQUASH : config->rescale_action ? STRETCH_RESCALE : STRETCH_NONE;
    wrapper->clip = config->clip_action;
    if (width == 0 || !(wrapper->stretch || wrapper->clip)) return 0;
    const size_t k = (size_t)width;
    wrapper->low = calloc(4 * k, sizeof(float));
    wrapper->changed = calloc((size_t)config->envs * (size_t)group->agents * k, sizeof(float));
    if (!wrapper->low || !wrapper->changed)
        return error_set(err, EXIT_INTERNAL, "out of memory for the actions of %d environments", config->envs);
    wrapper->high = wrapper->low + k;
    wrapper->shown_low = wrapper->high + k;
    wrapper->shown_high = wrapper->shown_low + k;
    for (int32_t h = 0, at = 0; h < group->act_heads; h++) {
        struct mappo_space *space = &group->act[h];
        if (space->kind != MAPPO_BOX) continue;
        for (int32_t i = 0; i < space->size; i++) {
            const float low = bound(space->low, i, -INFINITY), high = bound(space->high, i, INFINITY);
            const bool bounded = isfinite(low) && isfinite(high);
            wrapper->low[at + i] = low;
            wrapper->high[at + i] = high;
            const float shown = wrapper->stretch == STRETCH_SQUASH ? INFINITY : 1;
            wrapper->shown_low[at + i] = wrapper->stretch && bounded ? -shown : low;
            wrapper->shown_high[at + i] = wrapper->stretch && bounded ? shown : high;
        }
        space->low = wrapper->shown_low + at;
        space->high = wrapper->shown_high + at;
        at += space->size;
    }
    return 0;
}

void action_wrapper_destroy(struct action_wrapper *wrapper)
{
    free(wrapper->changed);
    free(wrapper->low);
    memset(wrapper, 0, sizeof *wrapper);
}

/* Number i of all rows. */
static inline void apply_to(const struct action_wrapper *wrapper, const float *act, size_t lo, size_t hi, size_t reals, size_t i)
{
    float *restrict changed = wrapper->changed;
    const float low = wrapper->low[i], high = wrapper->high[i];
    const int stretch = wrapper->stretch;
    const bool clip = wrapper->clip;
    for (size_t row = lo; row < hi; row++) changed[row * reals + i] = action_wrap(act[row * reals + i], low, high, stretch, clip);
}

void action_wrapper_apply(const struct action_wrapper *wrapper, const float *act, size_t rows_lo, size_t rows_hi, int32_t reals)
{
    if (reals == 1)
        apply_to(wrapper, act, rows_lo, rows_hi, 1, 0); /* vector code */
    else
        for (size_t i = 0; i < (size_t)reals; i++) apply_to(wrapper, act, rows_lo, rows_hi, (size_t)reals, i);
}

void action_wrapper_invert(const struct action_wrapper *wrapper, float *act, size_t rows, int32_t reals)
{
    for (size_t row = 0; row < rows; row++) {
        for (int32_t i = 0; i < reals; i++) {
            const float low = wrapper->low[i], high = wrapper->high[i];
            float *x = &act[row * (size_t)reals + (size_t)i];
            if (isfinite(low) && isfinite(high) && high > low) *x = 2 * (*x - low) / (high - low) - 1;
            if (wrapper->stretch == STRETCH_SQUASH) *x = atanhf(fminf(fmaxf(*x, -0.999999f), 0.999999f)); /* bounds are infinitely far */
        }
    }
}
