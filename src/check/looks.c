/* Looks at what one call wrote. What is wrong is said once for each array. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "check/work.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* What nobody has written. */
static bool is_poison(const struct check_array *array, const unsigned char *data, size_t at)
{
    return array->slice.is_float ? bits_of(((const float *)(const void *)data)[at]) == 0xFFFFFFFFu : data[at] == CHECK_POISON;
}

static size_t count_of(const struct check_array *array)
{
    return (size_t)array->rows * (size_t)array->width;
}

/* ---- arrays as such ------------------------------------------------------------------------------------------------------------------ */

/* A row that is missing in one array is missing in the others, and what observe() leaves out it leaves out at an episode's end, too. */
static bool is_explained(const struct check *check, int i, int32_t agent)
{
    const struct check_array *array = &check->array[i];
    for (int k = 0; k < check->arrays; k++) {
        const struct check_array *other = &check->array[k];
        if (other->slice.group != array->slice.group || !check_said(check, KIND_UNWRITTEN, k)) continue;
        if (agent > 0 && check->shared->unwritten[k] == agent) return true;
        if (array->slice.written == SLICE_FINAL && !strcmp(array->slice.name + strlen("final_"), other->slice.name)) return true;
    }
    return false;
}

static void say_unwritten(struct check_batch *batch, int i, int32_t e, size_t at)
{
    struct check *check = batch->check;
    const struct check_array *array = &check->array[i];
    const int32_t agent = (int32_t)(at / (size_t)array->width);
    char where[160], has[128] = "";
    if (check_said(check, KIND_UNWRITTEN, i) || is_explained(check, i, agent)) return;
    check->shared->unwritten[i] = agent;
    if (array->slice.written == SLICE_FINAL)
        text_format(has, sizeof has, ": where an episode ends, it is the old episode's last observation");
    else if (agent > 0)
        text_format(has, sizeof has, ": by the spec the group has %d agents, and the array %d numbers for each", array->rows, array->width);
    check_where(array, e, at, batch->t - 1, where, sizeof where);
    check_fault(check, KIND_UNWRITTEN, i, "%s is not written (%s)%s%s", array->name, where, array->slice.is_float ? "" : ", or is 255",
                has);
}

static void look_at_number(struct check_batch *batch, int i, int32_t e, size_t at, float *x)
{
    struct check *check = batch->check;
    const struct check_array *array = &check->array[i];
    const bool is_info = check_is(array, "info");
    char where[160];
    if (isfinite(*x) || (is_info && isnan(*x))) return;
    check_where(array, e, at, batch->t - 1, where, sizeof where);
    if (is_info)
        check_fault(check, KIND_NUMBER, i, "info \"%s\" is infinite (%s): NaN stands for none", check->spec->info[at].name, where);
    else
        check_fault(check, KIND_NUMBER, i, "%s is %s (%s)", array->name, isnan(*x) ? "NaN" : "infinite", where);
    *x = 0; /* what looks at it next finds nothing to say */
}

/* All elements of an array that is to be written: that they were written, with values that have a meaning. */
static void look_at_elements(struct check_batch *batch, int i, int32_t e)
{
    struct check *check = batch->check;
    const struct check_array *array = &check->array[i];
    unsigned char *data = check_batch_data(batch, i, e);
    char where[160];
    for (size_t at = 0; at < count_of(array); at++) {
        if (is_poison(array, data, at)) {
            say_unwritten(batch, i, e, at);
            if (array->slice.is_float)
                ((float *)(void *)data)[at] = 0;
            else
                data[at] = array->slice.written == SLICE_OBSERVATION;
        } else if (array->slice.is_float) {
            look_at_number(batch, i, e, at, (float *)(void *)data + at);
        } else if (data[at] > (check_is(array, "ep_end") ? MAPPO_TRUNCATED : 1)) {
            check_where(array, e, at, batch->t - 1, where, sizeof where);
            check_fault(check, KIND_BYTE, i, "%s is %d (%s), which means nothing: %s", array->name, data[at], where,
                        check_is(array, "ep_end") ? "MAPPO_RUNNING, MAPPO_TERMINATED or MAPPO_TRUNCATED" : "0 or 1");
            data[at] = check_is(array, "ep_end") ? MAPPO_TRUNCATED : array->slice.written == SLICE_OBSERVATION;
        }
    }
}

/* An array that is not to be written. */
static void look_at_untouched(struct check_batch *batch, int i, int32_t e)
{
    struct check *check = batch->check;
    const struct check_array *array = &check->array[i];
    const unsigned char *data = check_batch_data(batch, i, e);
    char where[160];
    size_t at = 0;
    while (at < count_of(array) && is_poison(array, data, at)) at++;
    if (at == count_of(array)) return;
    check_where(array, e, at, batch->t - 1, where, sizeof where);
    if (!array->slice.offered)
        check_fault(check, KIND_FOREIGN, i,
                    "%s is written although its flag (%s) is not set (%s): nobody looks at it; set the flag, or leave it alone",
                    array->name, check_is(array, "act_mask") ? "MAPPO_HAS_MASK" : "MAPPO_HAS_ACTIVE", where);
    else if (array->slice.written == SLICE_FINAL)
        check_fault(check, KIND_NOT_ENDED, i, "%s is written where no episode ended (%s): write it only where ep_end is not 0", array->name,
                    where);
    else
        check_fault(check, KIND_NOT_ENDED, i, "reset() or observe() writes %s (%s), which belongs to step()", array->name, where);
}

/* ---- observations -------------------------------------------------------------------------------------------------------------------- */

static void look_at_box(struct check_batch *batch, int i, int32_t e, size_t first, const struct mappo_space *space, const float *x)
{
    const struct check_array *array = &batch->check->array[i];
    char where[160], is[32], least[32], most[32];
    for (int32_t k = 0; k < space->size; k++) {
        const float low = space->low ? space->low[k] : -INFINITY, high = space->high ? space->high[k] : INFINITY;
        if (x[k] >= low && x[k] <= high) continue;
        check_where(array, e, first + (size_t)k, batch->t - 1, where, sizeof where);
        check_number(x[k], is, sizeof is);
        check_number(low, least, sizeof least);
        check_number(high, most, sizeof most);
        check_fault(batch->check, KIND_BOUNDS, i, "%s is out of its declared bounds (%s): %s is not within [%s, %s]", array->name, where,
                    is, least, most);
    }
}

/* One-hots of Discrete and MultiDiscrete, bits of MultiBinary. */
static void look_at_hot(struct check_batch *batch, int i, int32_t e, size_t first, const struct mappo_space *space, const float *x)
{
    const struct check_array *array = &batch->check->array[i];
    const bool is_bits = space->kind == MAPPO_MULTI_BINARY;
    char where[160];
    for (int32_t c = 0, at = 0; c < space->size; c++) {
        const int32_t width = is_bits ? 1 : space->n[c];
        float sum = 0;
        bool sound = true;
        for (int32_t k = at; k < at + width; k++) {
            sum += x[k];
            sound = sound && (x[k] == 0 || x[k] == 1);
        }
        if (!sound || (!is_bits && sum != 1)) {
            check_where(array, e, first + (size_t)at, batch->t - 1, where, sizeof where);
            if (is_bits)
                check_fault(batch->check, KIND_HOT, i, "%s is neither 0 nor 1 in a MultiBinary head (%s)", array->name, where);
            else
                check_fault(batch->check, KIND_HOT, i, "%s is no one-hot of %d choices (%s)", array->name, width, where);
        }
        at += width;
    }
}

/* Agents that act, and final ones of groups whose agents are always there. */
static void look_at_observations(struct check_batch *batch, int i, int32_t e)
{
    const struct check *check = batch->check;
    const struct check_array *array = &check->array[i];
    const struct mappo_group *group = &check->spec->group[array->slice.group];
    const bool comes = group->flags & MAPPO_HAS_ACTIVE;
    const uint8_t *active = batch->io.group[array->slice.group].active + (size_t)e * (size_t)array->rows;
    const float *obs = (const float *)(const void *)check_batch_data(batch, i, e);
    if (array->slice.written == SLICE_FINAL && comes) return;
    for (int32_t a = 0; a < array->rows; a++) {
        size_t first = (size_t)a * (size_t)array->width;
        if (comes && !active[a]) continue;
        for (int h = 0; h < group->obs_heads; h++) {
            const struct mappo_space *space = &group->obs[h];
            if (space->kind == MAPPO_BOX)
                look_at_box(batch, i, e, first, space, obs + first);
            else
                look_at_hot(batch, i, e, first, space, obs + first);
            first += (size_t)slice_space_width(space);
        }
    }
}

/* With state_is_all_obs the host may show observations in place of the state. */
static void look_at_state(struct check_batch *batch, int i, int32_t e)
{
    const struct check *check = batch->check;
    const struct check_array *array = &check->array[i];
    const unsigned char *state = check_batch_data(batch, i, e);
    char where[160];
    for (int k = 0; k < check->arrays; k++) {
        const struct check_array *obs = &check->array[k];
        if (!check_is(obs, array->slice.written == SLICE_FINAL ? "final_obs" : "obs")) continue;
        if (memcmp(state, check_batch_data(batch, k, e), obs->slice.bytes)) {
            check_where(array, e, (size_t)(state - check_batch_data(batch, i, e)) / sizeof(float), batch->t - 1, where, sizeof where);
            check_fault(batch->check, KIND_ALL_OBS, 0,
                        "%s is not all observations one after the other (from %s on), although state_is_all_obs of the spec says so",
                        array->name, where);
        }
        state += obs->slice.bytes;
    }
}

/* ---- all of it ----------------------------------------------------------------------------------------------------------------------- */

static void look_at_inputs(const struct check_batch *batch)
{
    for (int g = 0; g < batch->check->spec->groups; g++) {
        const struct guarded *pair[2][2] = {{&batch->act_int[g], &batch->act_int_copy[g]}, {&batch->act_real[g], &batch->act_real_copy[g]}};
        for (int k = 0; k < 2; k++)
            if (pair[k][0]->bytes && memcmp(pair[k][0]->data, pair[k][1]->data, pair[k][0]->bytes))
                check_fault(batch->check, KIND_INPUT, 2 * g + k,
                            "step() writes to %s of group \"%s\" (step %lld): the actions that it is given are only read",
                            k ? "act_real" : "act_int", batch->check->spec->group[g].name, (long long)batch->t - 1);
    }
}

static void look_at_array(struct check_batch *batch, int i, int32_t e, bool stepped)
{
    const struct check *check = batch->check;
    const struct check_array *array = &check->array[i];
    const bool ended = stepped && batch->io.ep_end[e];
    if (!check_is_there(array, stepped, ended)) {
        look_at_untouched(batch, i, e);
        return;
    }
    look_at_elements(batch, i, e);
    if (check_is(array, "obs") || check_is(array, "final_obs")) look_at_observations(batch, i, e);
}

void check_look_at_numbers(struct check_batch *batch, int32_t e, bool stepped)
{
    const struct check *check = batch->check;
    for (int i = 0; i < check->arrays; i++)
        if (check_is(&check->array[i], "ep_end") && stepped) look_at_elements(batch, i, e);
    for (int i = 0; i < check->arrays; i++)
        if (check_is_there(&check->array[i], stepped, stepped && batch->io.ep_end[e])) look_at_elements(batch, i, e);
}

static int look_at_end(struct check_batch *batch, const struct verifier *verifier, int32_t e, int64_t *length)
{
    struct mappo_env_error error;
    const int end = batch->io.ep_end[e];
    ++*length;
    if (verify_end(verifier, e, end, *length, &error))
        check_fault(
            batch->check, KIND_END, 0,
            "%s (environment %d, step %lld): end it with MAPPO_TRUNCATED there, or declare how long episodes can be (0: without limit)",
            error.text, e, (long long)batch->t - 1);
    if (end) *length = 0;
    return end != 0;
}

int check_looks(struct check_batch *batch, int32_t lo, int32_t hi, bool stepped, int64_t *lengths)
{
    struct check *check = batch->check;
    const struct verifier verifier = {check->spec, &check->strides};
    struct mappo_env_error error;
    char when[48];
    int ended = 0;
    check_when(batch->t - 1, when, sizeof when);
    if (stepped) look_at_inputs(batch);
    for (int32_t e = lo; e < hi; e++) {
        /* ep_end first: it says whether final arrays are there */
        for (int i = 0; i < check->arrays; i++)
            if (check_is(&check->array[i], "ep_end")) look_at_array(batch, i, e, stepped);
        for (int i = 0; i < check->arrays; i++)
            if (!check_is(&check->array[i], "ep_end")) look_at_array(batch, i, e, stepped);
        for (int i = 0; i < check->arrays && check->spec->state_is_all_obs; i++)
            if (check->array[i].slice.group < 0 && strstr(check->array[i].slice.name, "state") &&
                check_is_there(&check->array[i], stepped, stepped && batch->io.ep_end[e]))
                look_at_state(batch, i, e);
        if (stepped) ended += look_at_end(batch, &verifier, e, &lengths[e]);
        if (verify_range(&verifier, &batch->io, e, e + 1, stepped, &error))
            check_fault(check, KIND_WRITTEN, 0, "%s (environment %d, %s)", error.text, e, when);
    }
    return ended;
}

/* ---- actions of a script ------------------------------------------------------------------------------------------------------------- */

/* What is wrong with a component of an integer action; NULL = nothing. */
static const char *choice_fault(const struct mappo_space *space, int32_t c, int32_t value, const uint8_t *mask)
{
    const int32_t first = space->kind == MAPPO_MULTI_BINARY || !space->start ? 0 : space->start[c];
    const int32_t n = space->kind == MAPPO_MULTI_BINARY ? 2 : space->n[c];
    if (value < first || value - first >= n) return "is outside its space";
    if (!mask) return NULL;
    bool any = false; /* a mask that allows nothing is reported elsewhere */
    for (int32_t k = 0; k < n && space->kind != MAPPO_MULTI_BINARY; k++) any = any || mask[k];
    const bool allowed = space->kind == MAPPO_MULTI_BINARY ? value == 0 || *mask : !any || mask[value - first];
    return allowed ? NULL : "is one that the mask forbids";
}

static const char *real_fault(const struct mappo_space *space, int32_t i, float x)
{
    if (bits_of(x) == 0xFFFFFFFFu) return "is not written";
    if (!isfinite(x)) return "is not a number";
    if ((space->low && x < space->low[i]) || (space->high && x > space->high[i])) return "is out of bounds";
    return NULL;
}

static void say_action(struct check_batch *batch, int g, int32_t e, int32_t a, int h, int32_t c, double value, const char *fault)
{
    check_fault(batch->check, KIND_LEGAL, g,
                "the script's action %s (environment %d, agent %d of group \"%s\", head %d, component %d, step %lld): %.9g", fault, e, a,
                batch->check->spec->group[g].name, h, c, (long long)batch->t, value);
}

static void look_at_agent(struct check_batch *batch, int g, int32_t e, int32_t a, const uint8_t *mask, const int32_t *ints,
                          const float *reals)
{
    const struct mappo_group *group = &batch->check->spec->group[g];
    for (int h = 0; h < group->act_heads; h++) {
        const struct mappo_space *space = &group->act[h];
        for (int32_t c = 0; c < space->size; c++) {
            const bool real = space->kind == MAPPO_BOX;
            const char *fault = real ? real_fault(space, c, *reals) : choice_fault(space, c, *ints, mask);
            if (fault) say_action(batch, g, e, a, h, c, real ? (double)*reals : (double)*ints, fault);
            if (real)
                reals++;
            else
                ints++;
            if (mask && !real) mask += space->kind == MAPPO_MULTI_BINARY ? 1 : space->n[c];
        }
    }
}

/* Rules that know fewer agents or actions than the spec tells: their player knows no more. */
static bool is_short(const struct check *check, int g)
{
    for (int i = 0; i < check->arrays; i++)
        if (check->array[i].slice.group == g && check_said(check, KIND_UNWRITTEN, i)) return true;
    return false;
}

void check_look_at_actions(struct check_batch *batch, const struct guarded *act_int, const struct guarded *act_real)
{
    const struct check *check = batch->check;
    for (int g = 0; g < check->spec->groups; g++) {
        const struct mappo_group *group = &check->spec->group[g];
        const struct group_sizes *s = &check->size[g];
        for (int32_t e = 0; e < batch->envs && !is_short(check, g); e++) {
            for (int32_t a = 0; a < s->agents; a++) {
                const size_t row = (size_t)e * (size_t)s->agents + (size_t)a;
                if (group->flags & MAPPO_HAS_ACTIVE && !batch->io.group[g].active[row]) continue;
                look_at_agent(batch, g, e, a, group->flags & MAPPO_HAS_MASK ? batch->io.group[g].act_mask + row * (size_t)s->logits : NULL,
                              (const int32_t *)(const void *)act_int[g].data + row * (size_t)s->act_ints,
                              (const float *)(const void *)act_real[g].data + row * (size_t)s->act_reals);
            }
        }
    }
}
