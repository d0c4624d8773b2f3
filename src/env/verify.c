#include "env/verify.h"

#include <math.h>

#include "base/finite.h"
#include "base/text.h"

/* ---- words --------------------------------------------------------------------------------------------------------------------------- */

void verify_say_number(char *text, size_t size, const struct mappo_group *group, const char *what, size_t width, size_t at, double x)
{
    const char *kind = isnan(x) ? "NaN" : "infinite";
    const size_t each = group ? width / (size_t)group->agents : width;
    if (!group)
        text_format(text, size, "number %zu of the %s is %s", at, what, kind);
    else if (each == 1)
        text_format(text, size, "%s of agent %zu of group \"%s\" is %s", what, at, group->name, kind);
    else
        text_format(text, size, "%s of agent %zu of group \"%s\" is %s at its place %zu", what, at / each, group->name, kind, at % each);
}

/* A component of an integer action that must be chosen: `count` logits from `first` on. */
struct choice {
    int head, component, first, count;
};

/* The next one; begin with .component = -1. */
static bool next_choice(const struct mappo_group *group, struct choice *c)
{
    c->first += c->count;
    c->count = 0;
    c->component++;
    for (; c->head < group->act_heads; c->head++, c->component = 0) {
        const struct mappo_space *space = &group->act[c->head];
        if (space->kind == MAPPO_MULTI_BINARY) c->first += space->size; /* its mask forbids ones: a zero is always left */
        if (space->kind != MAPPO_DISCRETE && space->kind != MAPPO_MULTI_DISCRETE) continue;
        if (c->component >= space->size) continue;
        c->count = space->n[c->component];
        return true;
    }
    return false;
}

void verify_say_mask(char *text, size_t size, const struct mappo_group *group, size_t width, size_t at)
{
    const size_t logits = width / (size_t)group->agents;
    struct choice c = {.component = -1};
    while (next_choice(group, &c) && (size_t)c.first != at % logits) continue;
    text_format(text, size,
                "the mask of agent %zu of group \"%s\", which acts, allows none of the %d choices of its action (head %d, component %d)",
                at / logits, group->name, c.count, c.head, c.component);
}

void verify_say_reward(char *text, size_t size, const struct mappo_group *group, size_t agent)
{
    text_format(text, size,
                "the reward of agent %zu of group \"%s\" is not that of agent 0, although the group is declared to share it "
                "(MAPPO_SHARED_REWARD)",
                agent, group->name);
}

void verify_say_end(char *text, size_t size, const struct mappo_env_spec *spec, int kind)
{
    if (kind == VERIFY_ENDLESS)
        text_format(text, size, "its episode goes on beyond max_steps = %d of its spec", spec->max_steps);
    else
        text_format(text, size, "it wrote an ep_end that means nothing");
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------------------- */

struct numbers {
    const struct mappo_group *group; /* NULL: of the environment */
    const char *what;
    const float *x; /* [E][width]; NULL = not there */
    size_t width;
    bool last; /* only there where an episode ended */
};

static int list_numbers(const struct verifier *verifier, const struct mappo_env_io *io, bool stepped, struct numbers *list)
{
#define SLICE(name, element, written, needs, width, of, sound, what)                                                                       \
    if (sound == SLICE_FINITE && (stepped || written == SLICE_OBSERVATION))                                                                \
        list[n++] = (struct numbers){group, what, (const float *)(const void *)from->name, (size_t)(width), written == SLICE_FINAL};
    int n = 0;
    for (int g = 0; g < verifier->spec->groups; g++) {
        const struct mappo_group_io *from = &io->group[g];
        const struct slice_group_strides *by = &verifier->strides->group[g];
        const struct mappo_group *group = &verifier->spec->group[g];
        GROUP_SLICES(SLICE)
    }
    const struct mappo_env_io *from = io;
    const struct slice_strides *by = verifier->strides;
    const struct mappo_group *group = NULL;
    ENV_SLICES(SLICE)
#undef SLICE
    return n;
}

static bool numbers_are_finite(const struct numbers *numbers, const uint8_t *ep_end, int32_t lo, int32_t hi)
{
    const size_t width = numbers->width;
    if (!numbers->x || width == 0) return true;
    if (!numbers->last) return all_finite(numbers->x + (size_t)lo * width, (size_t)(hi - lo) * width);
    for (int32_t e = lo; e < hi; e++)
        if (ep_end[e] && !all_finite(numbers->x + (size_t)e * width, width)) return false;
    return true;
}

/* ---- masks and rewards --------------------------------------------------------------------------------------------------------------- */

/* Of the first agent of environments [lo, hi) that acts and can't: the first logit of what it can't choose, in [E][A][L]; or -1. */
static int64_t find_no_choice(const struct verifier *verifier, const struct mappo_env_io *io, int g, int32_t lo, int32_t hi)
{
    const struct mappo_group *group = &verifier->spec->group[g];
    const int64_t agents = group->agents, logits = verifier->strides->group[g].act_mask / agents;
    const uint8_t *mask = io->group[g].act_mask, *active = group->flags & MAPPO_HAS_ACTIVE ? io->group[g].active : NULL;
    if (!mask || !(group->flags & MAPPO_HAS_MASK)) return -1;
    for (struct choice c = {.component = -1}; next_choice(group, &c);)
        for (int64_t row = lo * agents; row < hi * agents; row++) {
            const uint8_t *allowed = mask + row * logits + c.first;
            uint8_t any = 0;
            for (int k = 0; k < c.count; k++) any |= allowed[k];
            if (!any && (!active || active[row])) return row * logits + c.first;
        }
    return -1;
}

/* The first row of [E][A] whose reward is not its environment's; or -1. */
static int64_t find_unshared(const struct verifier *verifier, const struct mappo_env_io *io, int g, int32_t lo, int32_t hi)
{
    const struct mappo_group *group = &verifier->spec->group[g];
    const float *reward = io->group[g].reward;
    const int64_t agents = group->agents;
    if (!reward || !(group->flags & MAPPO_SHARED_REWARD) || agents == 1) return -1;
    for (int64_t first = lo * agents; first < hi * agents; first += agents)
        for (int64_t a = 1; a < agents; a++)
            if (reward[first + a] != reward[first]) return first + a;
    return -1;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------------------------- */

static bool is_sound(const struct verifier *verifier, const struct mappo_env_io *io, int32_t lo, int32_t hi, bool stepped)
{
    struct numbers list[SLICES_MAX];
    const int n = list_numbers(verifier, io, stepped, list);
    for (int i = 0; i < n; i++)
        if (!numbers_are_finite(&list[i], io->ep_end, lo, hi)) return false;
    for (int g = 0; g < verifier->spec->groups; g++)
        if (find_no_choice(verifier, io, g, lo, hi) >= 0 || (stepped && find_unshared(verifier, io, g, lo, hi) >= 0)) return false;
    return true;
}

/* What is wrong with environment e. */
static int describe_fault(const struct verifier *verifier, const struct mappo_env_io *io, int32_t e, bool stepped,
                          struct mappo_env_error *error)
{
    struct numbers list[SLICES_MAX];
    const int n = list_numbers(verifier, io, stepped, list);
    error->env = e;
    for (int i = 0; i < n; i++) {
        if (numbers_are_finite(&list[i], io->ep_end, e, e + 1)) continue;
        const float *x = list[i].x + (size_t)e * list[i].width;
        size_t at = 0;
        while (isfinite(x[at])) at++;
        verify_say_number(error->text, sizeof error->text, list[i].group, list[i].what, list[i].width, at, (double)x[at]);
        return EXIT_NUMERICAL;
    }
    for (int g = 0; g < verifier->spec->groups; g++) {
        const struct mappo_group *group = &verifier->spec->group[g];
        const int64_t width = verifier->strides->group[g].act_mask, logit = find_no_choice(verifier, io, g, e, e + 1);
        const int64_t row = stepped ? find_unshared(verifier, io, g, e, e + 1) : -1;
        if (logit >= 0) verify_say_mask(error->text, sizeof error->text, group, (size_t)width, (size_t)(logit % width));
        if (logit < 0 && row >= 0) verify_say_reward(error->text, sizeof error->text, group, (size_t)(row % group->agents));
        if (logit >= 0 || row >= 0) break;
    }
    return EXIT_ENVIRONMENT;
}

int verify_range(const struct verifier *verifier, const struct mappo_env_io *io, int32_t lo, int32_t hi, bool stepped,
                 struct mappo_env_error *error)
{
    if (is_sound(verifier, io, lo, hi, stepped)) return 0;
    while (is_sound(verifier, io, lo, lo + 1, stepped)) lo++;
    return describe_fault(verifier, io, lo, stepped, error);
}

int verify_end(const struct verifier *verifier, int32_t e, int end, int64_t steps, struct mappo_env_error *error)
{
    const int32_t most = verifier->spec->max_steps;
    const bool endless = !end && most > 0 && steps >= most;
    if (end <= MAPPO_TRUNCATED && !endless) return 0;
    error->env = e;
    if (endless)
        verify_say_end(error->text, sizeof error->text, verifier->spec, VERIFY_ENDLESS);
    else
        text_format(error->text, sizeof error->text, "it wrote ep_end = %d, which means nothing", end);
    return EXIT_ENVIRONMENT;
}
