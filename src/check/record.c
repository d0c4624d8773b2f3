/* The run that everything else is compared with, and what can be told from it alone. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/philox.h"
#include "base/text.h"
#include "check/work.h"
#include "env/python/names.h"
#include "env/spec.h"

/* ---- what it says of itself ---------------------------------------------------------------------------------------------------------- */

void check_spec_stage(struct check *check)
{
    struct check_batch batch, other;
    check->look_after_calls = true;
    struct check_batch_config config = check_batch_usual(check);
    if (!check_batch_open(check, &batch, &config)) return;
    const uint64_t hash = spec_hash(HASH_START, check->spec);
    check->shared->frame = check->frame;
    for (int g = 0; g < check->spec->groups; g++) check->shared->has_active |= (check->spec->group[g].flags & MAPPO_HAS_ACTIVE) != 0;
    if (!check->config->steps && check->shared->steps <= 2 * (int64_t)check->spec->max_steps)
        check->shared->steps = 2 * (int64_t)check->spec->max_steps + 2;
    const bool python = python_name(check->env) != NULL; /* none of whose authors could write these */
    if (!check->spec->snapshot_bytes && !python)
        check_warning(check, "it has no snapshots: episodes restart when a run is continued, and its future after one was not looked at");
    if (!check->env->script && !python)
        check_warning(check, "it has no scripted player: `mappo eval play=scripted` has nothing to compare with");
    if (!check->env->draw) check_warning(check, "it has no drawing: `mappo render` cannot show an episode");
    check_batch_close(&batch);
    config = (struct check_batch_config){.envs = 1, .first_env = 5, .seed = check->config->seed + 1, .stream = PHILOX_EVALUATION};
    if (!check_batch_open(check, &other, &config)) return;
    if (spec_hash(HASH_START, check->spec) != hash) {
        check->shared->causes |= CAUSE_NO_RECORD;
        check_fault(check, KIND_ONCE, 0,
                    "its spec changes with the number of environments, the seed or the stream: it must follow from the options alone");
    }
    check_batch_close(&other);
}

/* ---- the record ---------------------------------------------------------------------------------------------------------------------- */

static void keep(struct check_batch *batch, int64_t frame)
{
    struct check *check = batch->check;
    unsigned char *to = check->record + (size_t)frame * check->frame;
    for (int i = 0; i < check->arrays; i++)
        memcpy(to + check->array[i].at, check_batch_data(batch, i, 0), CHECK_ENVS * check->array[i].slice.bytes);
}

/* Episodes that ended; `longest` is also of those that still run. */
struct lengths {
    int64_t longest, at_most, at_most_terminated;       /* at_most: those of max_steps steps */
    int64_t truncated, truncated_first, truncated_last; /* and the fewest and most steps of those */
};

static void count_end(struct lengths *l, int end, int64_t steps, int32_t most)
{
    if (steps > l->longest) l->longest = steps;
    l->at_most += steps == most;
    l->at_most_terminated += steps == most && end == MAPPO_TERMINATED;
    if (end != MAPPO_TRUNCATED) return;
    if (!l->truncated++ || steps < l->truncated_first) l->truncated_first = steps;
    if (steps > l->truncated_last) l->truncated_last = steps;
}

static void say_lengths(struct check *check, const struct lengths *l)
{
    const struct check_shared *shared = check->shared;
    const int32_t most = check->spec->max_steps;
    if (!shared->episodes && most == 0)
        check_warning(
            check, "no episode ended within %lld steps, and max_steps = 0 says that they may go on for ever: wrap.time_limit=N ends them",
            (long long)shared->steps);
    else if (!shared->episodes && shared->steps < most)
        check_warning(check, "no episode ended within %lld steps (max_steps = %d): nothing could be said about ends; give steps=%d or more",
                      (long long)shared->steps, most, most);
    if (most > 1 && l->longest == most && l->at_most > 1 && l->at_most_terminated == l->at_most) /* one may be chance */
        check_warning(check,
                      "all %lld episodes of exactly max_steps = %d steps end with MAPPO_TERMINATED: a time limit is MAPPO_TRUNCATED, or "
                      "learners take what is cut off for worth nothing (one that agents see coming, as part of the problem, may stay)",
                      (long long)l->at_most, most);
    const bool alike = l->truncated > 1 && l->truncated_first == l->truncated_last && l->truncated_last == l->longest;
    if (alike && most == 0 && python_name(check->env))
        check_warning(
            check,
            "all %lld truncated episodes have %lld steps and none is longer: wrap.time_limit=%lld, or Gymnasium's TimeLimit around "
            "it, makes that the longest episode, which wrappers and evaluations know then",
            (long long)l->truncated, (long long)l->longest, (long long)l->longest);
    else if (alike && (most == 0 || l->longest < most))
        check_warning(check,
                      "all %lld episodes that end with MAPPO_TRUNCATED have %lld steps and none is longer, but max_steps = %d%s: it is the "
                      "longest episode",
                      (long long)l->truncated, (long long)l->longest, most, most ? "" : " (no limit)");
}

int check_array_named(const struct check *check, const char *what, int group)
{
    for (int i = 0; i < check->arrays; i++)
        if (check->array[i].slice.group == group && check_is(&check->array[i], what)) return i;
    return -1;
}

int check_end_of(const struct check *check, int64_t frame, int32_t e)
{
    return frame > 0 ? *check_recorded(check, frame, check_array_named(check, "ep_end", -1), e) : MAPPO_RUNNING;
}

static bool ended(const struct check *check, int64_t frame, int32_t e)
{
    return check_end_of(check, frame, e) != MAPPO_RUNNING;
}

void check_record_stage(struct check *check)
{
    struct check_batch batch;
    const struct check_batch_config config = check_batch_usual(check);
    int64_t lengths[CHECK_ENVS] = {0}, before[CHECK_ENVS];
    struct lengths ends = {0};
    const int64_t wanted = check->shared->steps;
    const double start = clock_seconds();
    check->look_after_calls = true;
    check->shared->steps = 0;
    check->shared->causes |= CAUSE_NO_RECORD;
    if (!check_batch_open(check, &batch, &config) || !check_batch_reset(&batch, 0, CHECK_ENVS)) return;
    keep(&batch, 0);
    check_looks(&batch, 0, CHECK_ENVS, false, lengths);
    while (batch.t < wanted && (check->config->steps || clock_seconds() - start < 1)) {
        check_batch_act(&batch);
        check_batch_poison(&batch, false);
        if (!check_batch_step(&batch, 0, CHECK_ENVS)) return;
        keep(&batch, ++batch.t);
        memcpy(before, lengths, sizeof before);
        check->shared->episodes += check_looks(&batch, 0, CHECK_ENVS, true, lengths);
        for (int32_t e = 0; e < CHECK_ENVS; e++)
            if (batch.io.ep_end[e]) count_end(&ends, batch.io.ep_end[e], before[e] + 1, check->spec->max_steps);
        check->shared->steps = batch.t;
    }
    check->shared->causes &= ~(unsigned)CAUSE_NO_RECORD;
    for (int32_t e = 0; e < CHECK_ENVS; e++)
        if (lengths[e] > ends.longest) ends.longest = lengths[e];
    say_lengths(check, &ends);
    for (int g = 0; g < check->spec->groups; g++) check_look_at_going(check, g);
    check_batch_close(&batch);
}

/* ---- final observations -------------------------------------------------------------------------------------------------------------- */

static const char who_resets[] = "LANE_ENV and LANE_PLUGIN reset by themselves: rules never call reset in step";

struct likeness {
    int64_t ends;               /* of episodes */
    int64_t as_next, as_last;   /* final values that are the new episode's first; those that are the old one's before the last step */
    int64_t runs, still;        /* steps within episodes; those that change nothing that is seen */
    int64_t starts, same_start; /* beginnings after the first; those that are like the one before */
};

static struct likeness compare_ends(const struct check *check, int sight, int final)
{
    struct likeness l = {0};
    const size_t bytes = check->array[sight].slice.bytes;
    for (int32_t e = 0; e < CHECK_ENVS; e++) {
        const unsigned char *start = check_recorded(check, 0, sight, e);
        for (int64_t frame = 1; frame <= check->steps; frame++) {
            const unsigned char *now = check_recorded(check, frame, sight, e), *then = check_recorded(check, frame - 1, sight, e);
            if (!ended(check, frame, e)) {
                l.runs++;
                l.still += !memcmp(now, then, bytes);
                continue;
            }
            const unsigned char *last = check_recorded(check, frame, final, e);
            l.ends++;
            l.as_next += !memcmp(last, now, bytes);
            l.as_last += !memcmp(last, then, bytes);
            l.starts++;
            l.same_start += !memcmp(now, start, bytes);
            start = now;
        }
    }
    return l;
}

static void look_at_finals(struct check *check, int sight, int final)
{
    const struct check_array *array = &check->array[final];
    const struct likeness l = compare_ends(check, sight, final);
    if (l.ends < 8) return; /* too few to tell it from chance */
    /* Beginnings differ, so it is no chance that each is what the episode before ended with. */
    if (l.as_next == l.ends && l.same_start * 2 < l.starts)
        check_fault(
            check, KIND_FINAL, final,
            "%s is the new episode's first observation, in all of %lld ends: write what the old episode ended with, before it is reset; %s",
            array->name, (long long)l.ends, who_resets);
    else if (l.as_last == l.ends && l.runs >= 8 &&
             pow((double)l.still / (double)(l.runs + 1), (double)l.ends) < 1e-6) { /* as unlikely by chance */
        if (python_name(check->env)) { /* the bridge writes it, of what the last step returned */
            check_warning(check,
                          "the last step of an episode shows what was seen before it, in all of %lld ends: does step() return the "
                          "observation of before? Where an end changes nothing that is seen, that is as it should be",
                          (long long)l.ends);
            return;
        }
        check_fault(check, KIND_FINAL, final,
                    "%s is what was seen before the last step, in all of %lld ends: write what followed from that step", array->name,
                    (long long)l.ends);
    }
    if (check_is(&check->array[sight], "obs") && l.same_start == l.starts && !(check->shared->causes & CAUSE_GLOBAL)) {
        bool alike = true;
        for (int32_t e = 1; e < CHECK_ENVS; e++)
            alike =
                alike && !memcmp(check_recorded(check, 0, sight, e), check_recorded(check, 0, sight, 0), check->array[sight].slice.bytes);
        if (!alike)
            check_warning(check, "every episode of an environment begins with the same observation, although environments differ: does "
                                 "reset() start the generator anew?");
    }
}

/* An integer option that is the longest episode: its number, or -1. */
static int limit_option(const struct check *check)
{
    for (int k = 0; k < options_count(check->env); k++) {
        const struct mappo_option *option = &check->env->option[k];
        if (option->type == MAPPO_OPTION_INT && check->value[k].i == check->spec->max_steps &&
            2.0 * (double)check->value[k].i <= option->high)
            return k;
    }
    return -1;
}

/* Final values against what the same episodes show when they may be longer. Numbers that tell how much time is left differ all along and
 * are left out, and so are those that never change. */
struct longer {
    bool *out;   /* [numbers of an environment] */
    bool *moves; /* likewise */
    int64_t looked, differing;
};

static void compare_longer(struct check_batch *batch, int sight, int final, int32_t e, int64_t frame, struct longer *longer)
{
    const struct check *check = batch->check;
    const size_t numbers = check->array[sight].slice.bytes / sizeof(float);
    const float *now = (const float *)(const void *)check_batch_data(batch, sight, e);
    const float *then = (const float *)(const void *)check_recorded(check, frame, sight, e),
                *last = (const float *)(const void *)check_recorded(check, frame, final, e);
    const float *before = (const float *)(const void *)check_recorded(check, frame - (frame > 0), sight, e);
    bool *out = longer->out + (size_t)e * numbers, *moves = longer->moves + (size_t)e * numbers;
    const bool is_end = ended(check, frame, e);
    for (size_t k = 0; k < numbers; k++) {
        if (!is_end) {
            out[k] = out[k] || now[k] != then[k];
            moves[k] = moves[k] || then[k] != before[k];
        } else if (!out[k] && moves[k]) {
            longer->looked++;
            longer->differing += now[k] != last[k];
        }
    }
}

static void look_at_longer(struct check *check, struct check_batch *batch, const int (*pair)[2], int pairs)
{
    struct longer longer[2 * MAPPO_MAX_GROUPS + 1] = {{0}};
    bool over[CHECK_ENVS] = {false};
    const int32_t most = check->spec->max_steps / 2;
    for (int p = 0; p < pairs; p++) {
        const size_t numbers = check->array[pair[p][0]].slice.bytes / sizeof(float) * CHECK_ENVS;
        longer[p].out = calloc(numbers, sizeof(bool));
        longer[p].moves = calloc(numbers, sizeof(bool));
        CHECK(longer[p].out && longer[p].moves, "out of memory while checking final observations");
    }
    for (int64_t frame = 0; frame <= most && frame <= check->steps; frame++) {
        if (frame > 0) {
            check_batch_act(batch);
            if (!check_batch_step(batch, 0, CHECK_ENVS)) return;
            batch->t++;
        }
        for (int32_t e = 0; e < CHECK_ENVS; e++) {
            const bool is_end = ended(check, frame, e);
            const bool cut = is_end && frame == most && check_end_of(check, frame, e) == MAPPO_TRUNCATED;
            if (!over[e] && (!is_end || cut))
                for (int p = 0; p < pairs; p++) compare_longer(batch, pair[p][0], pair[p][1], e, frame, &longer[p]);
            over[e] = over[e] || is_end;
        }
    }
    for (int p = 0; p < pairs; p++)
        if (longer[p].differing * 2 > longer[p].looked)
            check_fault(check, KIND_FINAL, pair[p][1],
                        "%s is not what the same episodes show at that step when they may be longer (%lld of %lld numbers differ); %s",
                        check->array[pair[p][1]].name, (long long)longer[p].differing, (long long)longer[p].looked, who_resets);
}

void check_final_stage(struct check *check)
{
    struct check_batch batch;
    int pair[2 * MAPPO_MAX_GROUPS + 1][2], pairs = 0;
    const struct check_batch_config config = check_batch_usual(check);
    if (!check_batch_open(check, &batch, &config)) return;
    for (int g = -1; g < check->spec->groups; g++)
        for (int k = 0; k < 2; k++) {
            const int sight = check_array_named(check, k ? "state" : "obs", g),
                      final = check_array_named(check, k ? "final_state" : "final_obs", g);
            if (final >= 0 && check_said(check, KIND_UNWRITTEN, final)) continue;
            if (sight >= 0) pair[pairs][0] = sight, pair[pairs++][1] = final;
        }
    for (int p = 0; p < pairs; p++) look_at_finals(check, pair[p][0], pair[p][1]);
    const int option = limit_option(check);
    const int32_t most = check->spec->max_steps;
    check_batch_close(&batch);
    if (option < 0 || check->steps < most) return;
    check->value[option].i *= 2;
    if (!check_batch_open(check, &batch, &config) || check->spec->max_steps != 2 * most || !check_batch_reset(&batch, 0, CHECK_ENVS))
        return;
    look_at_longer(check, &batch, pair, pairs);
    check_batch_close(&batch);
}
