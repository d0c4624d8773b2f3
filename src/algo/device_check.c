#include "algo/device_check.h"

#include "base/finite.h"
#include "env/verify.h"

/* ---- what is looked at --------------------------------------------------------------------------------------------------------------- */

enum look_kind { LOOK_NUMBERS, LOOK_MASKS, LOOK_REWARDS, LOOK_ENDS };

struct look {
    int kind;
    const struct slice *slice;
};
enum { LOOKS = SLICES_MAX + MAPPO_MAX_GROUPS };

/* Those of a group, or (< 0) of the environment. */
static int list_group(const struct device_check *check, int group, struct look *list)
{
    static const int kind[] = {[SLICE_FINITE] = LOOK_NUMBERS, [SLICE_CHOICE] = LOOK_MASKS, [SLICE_END] = LOOK_ENDS};
    const struct slices *slices = &check->transitions->slices;
    const struct slice *reward = NULL;
    int n = 0;
    for (int i = 0; i < slices->count; i++) {
        const struct slice *slice = &slices->slice[i];
        if (slice->group != group) continue;
        if (slice->id == GROUP_SLICE_reward) reward = slice;
        if (slice->sound != SLICE_ANYTHING && slice->written != SLICE_FINAL) list[n++] = (struct look){kind[slice->sound], slice};
    }
    if (reward && (check->spec->group[group].flags & MAPPO_SHARED_REWARD)) list[n++] = (struct look){LOOK_REWARDS, reward};
    return n;
}

static int list_looks(const struct device_check *check, struct look *list)
{
    int n = 0;
    for (int g = 0; g < check->spec->groups; g++) n += list_group(check, g, list + n);
    return n + list_group(check, -1, list + n);
}

/* Places that lie one after the other: a ring's steps may need two such pieces, of which the second begins at its first place. */
struct piece {
    int first, count;
};
static int pieces_of(const struct device_check *check)
{
    return check->transitions->config.ring ? 2 : 1;
}

/* Of the call whose first step has number `step`. Of observations also those before that step, for a rollout has looked at them nowhere
 * else. */
static void cut(const struct device_check *check, const struct slice *slice, uint64_t step, struct piece piece[2])
{
    const struct transitions_config *config = &check->transitions->config;
    const int places = transitions_places(config, slice->written), count = check->steps + (slice->written == SLICE_OBSERVATION);
    const int first = config->ring ? (int)(step % (uint64_t)places) : 0;
    piece[0] = (struct piece){first, count < places - first ? count : places - first};
    piece[1] = (struct piece){0, count - piece[0].count};
}

/* ---- looking ------------------------------------------------------------------------------------------------------------------------- */

void device_check_create(struct device_check *check, const struct transitions *transitions, int steps, const struct mappo_env_spec *spec,
                         struct policy *const *policy, struct backend_memory *memory)
{
    struct look list[LOOKS];
    *check = (struct device_check){.transitions = transitions, .spec = spec, .policy = policy, .backend = memory->backend, .steps = steps};
    check->bads = list_looks(check, list) * pieces_of(check);
    check->bad = BACKEND_NEW(memory, uint64_t, check->bads);
    check->host = ARENA_NEW(memory->arena, uint64_t, check->bads);
    const uint64_t none = NONFINITE_NONE; /* where there is no second piece nobody looks */
    for (int i = 0; i < check->bads; i++) memory->backend->upload(memory->backend, check->bad + i, &none, sizeof none);
}

static void look_at(const struct device_check *check, const struct look *look, struct piece piece, uint64_t *bad)
{
    const struct transitions *x = check->transitions;
    const struct slice *slice = look->slice;
    struct backend *backend = x->backend;
    const size_t units = (size_t)piece.count * (size_t)x->config.envs;
    const void *array = transitions_at(x, slice, piece.first, 0);
    if (look->kind == LOOK_NUMBERS) {
        backend->find_nonfinite(backend, array, units * slice->width, bad);
    } else if (look->kind == LOOK_MASKS) {
        const size_t agents = (size_t)check->spec->group[slice->group].agents;
        const uint8_t *active = x->all.group[slice->group].active;
        if (active) active += (size_t)piece.first * (size_t)x->config.envs * agents;
        backend->find_no_choice(backend, &check->policy[slice->group]->dist, array, active, units * agents, bad);
    } else {
        backend->find_unequal(backend, array, units, (int)slice->width, bad);
    }
}

void device_check_run(const struct device_check *check, struct vecenv *env)
{
    struct look list[LOOKS];
    const int n = list_looks(check, list), pieces = pieces_of(check);
    for (int i = 0; i < n; i++) {
        struct piece piece[2];
        cut(check, list[i].slice, check->transitions->step, piece);
        if (list[i].kind == LOOK_ENDS) {
            vecenv_find_wrong_end(env, check->bad + pieces * i); /* it counts steps by itself */
            continue;
        }
        for (int k = 0; k < pieces && piece[k].count > 0; k++) look_at(check, &list[i], piece[k], check->bad + pieces * i + k);
    }
}

/* ---- what was found ------------------------------------------------------------------------------------------------------------------ */

/* What number `at` of an environment, found by a look, means. */
static void say(const struct device_check *check, const struct look *look, uint64_t found, size_t at, char *text, size_t size)
{
    const struct slice *slice = look->slice;
    const struct mappo_group *group = slice->group < 0 ? NULL : &check->spec->group[slice->group];
    if (look->kind == LOOK_NUMBERS) verify_say_number(text, size, group, slice->what, slice->width, at, nonfinite_value(found));
    if (look->kind == LOOK_MASKS) verify_say_mask(text, size, group, slice->width, at);
    if (look->kind == LOOK_REWARDS) verify_say_reward(text, size, group, at);
    if (look->kind == LOOK_ENDS) verify_say_end(text, size, check->spec, (int)(found % 4));
}

struct finding {
    const struct look *look;
    size_t after, at; /* steps of the call before it; number [E][width] */
    uint64_t found;
};

/* What a look has found, if it is earlier. */
static void consider(const struct device_check *check, const struct look *look, const uint64_t *bad, uint64_t step, struct finding *first)
{
    struct piece piece[2];
    cut(check, look->slice, step, piece);
    for (int k = 0; k < pieces_of(check); k++) {
        if (bad[k] == NONFINITE_NONE) continue;
        const size_t row = (size_t)check->transitions->config.envs * look->slice->width, index = nonfinite_index(bad[k]);
        const size_t place = index / row + (k ? (size_t)piece[0].count : 0);
        const size_t after = place - (size_t)(look->slice->written == SLICE_OBSERVATION && place > 0);
        if (!first->look || after < first->after) *first = (struct finding){look, after, index % row, bad[k]};
    }
}

int device_check_fault(const struct device_check *check, const uint64_t *bad, uint64_t step, const struct vecenv *env, struct error *err)
{
    struct look list[LOOKS];
    if (!check->bads) return 0;
    const int n = list_looks(check, list), pieces = pieces_of(check);
    const uint64_t begin = step - (uint64_t)check->steps;
    struct finding first = {.look = NULL}; /* what was wrong earliest: the rest may follow from it */
    for (int i = 0; i < n; i++) consider(check, &list[i], bad + pieces * i, begin, &first);
    if (!first.look) return 0;
    const size_t width = first.look->slice->width;
    char text[256];
    say(check, first.look, first.found, first.at % width, text, sizeof text);
    vecenv_error(env, first.look->kind == LOOK_NUMBERS ? EXIT_NUMERICAL : EXIT_ENVIRONMENT, (int32_t)(first.at / width), text, err);
    return error_suffix(err, ", after step %llu", (unsigned long long)(begin + first.after));
}

int device_check_wait(const struct device_check *check, const struct vecenv *env, struct error *err)
{
    if (!check->bads) return 0;
    check->backend->download(check->backend, check->host, check->bad, (size_t)check->bads * sizeof *check->bad);
    return device_check_fault(check, check->host, check->transitions->step, env, err);
}
