/* What the learner is told of a wrapped environment: spaces, widths, names; and which wrappers do not fit it. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/text.h"
#include "env/wrap_work.h"

enum { MOST_NUMBERS = 1 << 24, NAME_SIZE = 256 };

static __attribute__((format(printf, 2, 3))) const char *say(struct arena *arena, const char *format, ...)
{
    char text[NAME_SIZE];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return arena_text(arena, text);
}

/* ---- numbers that an agent sees --------------------------------------------------------------------------- */

struct number {
    const char *name, *unit;
    float low, high;
};

static const char *meaning_name(const struct mappo_space *space, int32_t i)
{
    return i < space->meanings && space->meaning[i].name ? space->meaning[i].name : "-";
}

/* Number i of a space as observations show it, integers one-hot. */
static struct number number_of(struct arena *arena, const struct mappo_space *space, int32_t i)
{
    struct number number = {.low = 0, .high = 1};
    int32_t component = 0, value = i;
    if (space->kind == MAPPO_BOX) {
        number.low = space->low ? space->low[i] : -INFINITY;
        number.high = space->high ? space->high[i] : INFINITY;
        number.unit = i < space->meanings ? space->meaning[i].unit : NULL;
    }
    if (space->kind != MAPPO_MULTI_DISCRETE) {
        number.name = meaning_name(space, i);
        return number;
    }
    for (; value >= space->n[component]; component++) value -= space->n[component];
    value += space->start ? space->start[component] : 0;
    number.name = component < space->meanings ? say(arena, "%s %d", meaning_name(space, component), value)
                                              : say(arena, "component %d: %d", component, value);
    return number;
}

static int32_t list_spaces(struct arena *arena, const struct mappo_space *space, int heads, struct number *list)
{
    int32_t count = 0;
    for (int h = 0; h < heads; h++)
        for (int32_t i = 0; i < slice_space_width(&space[h]); i++) list[count++] = number_of(arena, &space[h], i);
    return count;
}

static int32_t list_stack(const struct wrap *w, const struct wrap_group *group, const struct number *own, struct number *list)
{
    const float clip = w->config.clip_obs;
    int32_t count = 0;
    for (int32_t age = w->stack - 1; age >= 0; age--)
        for (int32_t i = 0; i < group->shown; i++) {
            struct number *number = &list[count++];
            *number = own[group->number[i]];
            if (clip > 0) number->low = fminf(fmaxf(number->low, -clip), clip);
            if (clip > 0) number->high = fmaxf(fminf(number->high, clip), -clip);
            if (age) number->name = say(w->arena, "%s, %d before", number->name, age);
        }
    return count;
}

/* Do images stay images? They do where every number of theirs is shown once, in its order; what is appended then is a head of its own. */
static bool keeps_images(const struct wrap *w, int g)
{
    const struct mappo_group *from = &w->from.group[g];
    bool image = false;
    for (int h = 0; h < from->obs_heads; h++) image |= from->obs[h].shape[0] > 0;
    return image && w->stack == 1 && w->group[g].shown == w->group[g].from.obs && from->obs_heads < MAPPO_MAX_HEADS;
}

static void describe_observation(struct wrap *w, int g, const struct number *own)
{
    const struct wrap_group *group = &w->group[g];
    struct mappo_group *to = &w->to.group[g];
    const int32_t width = w->stack * group->shown + group->last + group->ids + w->config.time_left;
    struct number *list = ARENA_NEW(w->arena, struct number, width);
    float *low = ARENA_NEW(w->arena, float, width), *high = ARENA_NEW(w->arena, float, width);
    struct mappo_meaning *meaning = ARENA_NEW(w->arena, struct mappo_meaning, width);
    int32_t at = list_stack(w, group, own, list);
    if (group->last) list_spaces(w->arena, to->act, to->act_heads, list + at);
    for (int32_t i = 0; i < group->last; i++, at++) list[at].name = say(w->arena, "last action: %s", list[at].name);
    for (int32_t i = 0; i < group->ids; i++, at++) list[at] = (struct number){say(w->arena, "agent %d", i), NULL, 0, 1};
    if (w->config.time_left) list[at] = (struct number){"time left", NULL, 0, 1};
    for (int32_t i = 0; i < width; i++) {
        low[i] = list[i].low;
        high[i] = list[i].high;
        meaning[i] = (struct mappo_meaning){list[i].name, list[i].unit};
    }
    to->obs_heads = 0;
    for (int32_t first = 0, h = 0; first < width; first += to->obs[h++].size) {
        const struct mappo_group *from = &w->from.group[g];
        const bool kept = keeps_images(w, g) && h < from->obs_heads;
        const int32_t size = kept ? slice_space_width(&from->obs[h]) : width - first;
        to->obs[to->obs_heads++] = (struct mappo_space){
            .kind = MAPPO_BOX, .size = size, .low = low + first, .high = high + first, .meanings = size, .meaning = meaning + first};
        if (kept) memcpy(to->obs[h].shape, from->obs[h].shape, sizeof to->obs[h].shape);
    }
}

/* ---- which of them are shown ------------------------------------------------------------------------------ */

/* Reads "4", "4-6" or "name:4-6" up to the next comma; false where it is none of them. */
static bool read_item(const char **text, char *name, size_t size, long *low, long *high)
{
    const char *at = *text + strspn(*text, " ");
    const size_t length = strcspn(at, ":,");
    char *end;
    name[0] = '\0';
    if (at[length] == ':') {
        text_format(name, size, "%.*s", (int)(length < size ? length : size - 1), at);
        at += length + 1;
    }
    if (*at < '0' || *at > '9') return false;
    *low = *high = strtol(at, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9') *high = strtol(end + 1, &end, 10);
    end += strspn(end, " ");
    *text = *end == ',' ? end + 1 : end;
    return (*end == ',' || *end == '\0') && *high >= *low;
}

/* Marks the numbers of `hide` that are group g's: hidden [from.obs]. */
static int mark_hidden(const struct wrap *w, int g, const char *hide, uint8_t *hidden, struct error *err)
{
    const struct mappo_group *group = &w->from.group[g];
    const int32_t width = w->group[g].from.obs;
    for (const char *text = hide; *text;) {
        char name[64];
        long low, high;
        bool known = false;
        if (!read_item(&text, name, sizeof name, &low, &high))
            return error_set(err, EXIT_USAGE,
                             "wrap.hide_obs=%s: numbers of an observation, counted from 0: \"2,5-7\", or of one group: \"%s:2\"", hide,
                             group->name);
        for (int k = 0; k < w->from.groups; k++) known = known || !name[0] || strcmp(w->from.group[k].name, name) == 0;
        if (!known)
            return error_set(err, EXIT_USAGE, "wrap.hide_obs=%s: environment \"%s\" has no group \"%s\"; its first is \"%s\"", hide, w->id,
                             name, w->from.group[0].name);
        if (name[0] && strcmp(name, group->name) != 0) continue;
        if (high >= width)
            return error_set(err, EXIT_USAGE,
                             "wrap.hide_obs=%s: environment \"%s\": an observation of group \"%s\" has numbers 0 to %d, not %ld; "
                             "\"NAME:4\" hides number 4 of one group",
                             hide, w->id, group->name, width - 1, high);
        for (long i = low; i <= high; i++) hidden[i] = 1;
    }
    return 0;
}

static int choose_numbers(struct wrap *w, int g, const char *hide, struct error *err)
{
    struct wrap_group *group = &w->group[g];
    uint8_t *hidden = ARENA_NEW(w->arena, uint8_t, group->from.obs);
    group->number = ARENA_NEW(w->arena, int32_t, group->from.obs);
    const int code = hide ? mark_hidden(w, g, hide, hidden, err) : 0;
    for (int32_t i = 0; i < group->from.obs && !code; i++)
        if (!hidden[i]) group->number[group->shown++] = i;
    return code;
}

/* ---- observations ----------------------------------------------------------------------------------------- */

static int describe_observations(struct wrap *w, const char *hide, struct error *err)
{
    int32_t most = 1;
    for (int g = 0; g < w->to.groups; g++) most = w->group[g].to.agents > most ? w->group[g].to.agents : most;
    if (w->config.time_left && !w->from.max_steps)
        return error_set(err, EXIT_USAGE, "wrap.time_left: environment \"%s\" has no longest episode; wrap.time_limit=N gives it one",
                         w->id);
    if (w->config.agent_id && most == 1)
        return error_set(err, EXIT_USAGE, "wrap.agent_id: environment \"%s\" has groups of one agent only, which need no number", w->id);
    for (int g = 0; g < w->to.groups; g++) {
        struct wrap_group *group = &w->group[g];
        const int code = choose_numbers(w, g, hide, err);
        if (code) return code;
        for (int h = 0; h < w->to.group[g].act_heads && w->config.last_action; h++)
            group->last += slice_space_width(&w->to.group[g].act[h]);
        group->ids = w->config.agent_id && group->to.agents > 1 ? group->to.agents : 0;
        const int64_t width = (int64_t)w->stack * group->shown + group->last + group->ids + w->config.time_left;
        if (width == 0)
            return error_set(err, EXIT_USAGE, "wrap.hide_obs=%s: environment \"%s\": nothing is left that group \"%s\" could see", hide,
                             w->id, w->from.group[g].name);
        if (width > MOST_NUMBERS || width * group->to.agents > INT32_MAX)
            return error_set(
                err, EXIT_USAGE,
                "wrap.stack_obs=%d: environment \"%s\": an observation of group \"%s\" would have %lld numbers (%d times %d and %d "
                "more) for each of %d agents; at most %d, and 2^31 of all agents",
                w->stack, w->id, w->from.group[g].name, (long long)width, w->stack, group->shown,
                group->last + group->ids + w->config.time_left, group->to.agents, MOST_NUMBERS);
    }
    if (w->to.state_is_all_obs) w->to.state_size = 0;
    for (int g = 0; g < w->to.groups; g++) {
        struct number *own = ARENA_NEW(w->arena, struct number, w->group[g].from.obs);
        list_spaces(w->arena, w->from.group[g].obs, w->from.group[g].obs_heads, own);
        describe_observation(w, g, own);
        if (w->to.state_is_all_obs) w->to.state_size += group_sizes(&w->to.group[g]).obs * w->to.group[g].agents;
    }
    return 0;
}

/* ---- actions ---------------------------------------------------------------------------------------------- */

static int refuse_unbounded(const struct wrap *w, int g, const struct mappo_space *space, struct error *err)
{
    for (int32_t i = 0; i < space->size; i++)
        if (!space->low || !space->high || !isfinite(space->low[i]) || !isfinite(space->high[i]))
            return error_set(err, EXIT_USAGE,
                             "wrap.discretise_action: environment \"%s\": number %d (%s) of group \"%s\" has no bounds to lay bins between",
                             w->id, i, meaning_name(space, i), w->from.group[g].name);
    return 0;
}

/* A Box of the environment as choices: bins from low to high, both of them included. */
static void cut_box(struct wrap *w, const struct mappo_space *from, struct mappo_space *to)
{
    const int32_t bins = w->config.discretise_action;
    int32_t *n = ARENA_NEW(w->arena, int32_t, from->size);
    for (int32_t i = 0; i < from->size; i++) n[i] = bins;
    *to = (struct mappo_space){.kind = from->size == 1 ? MAPPO_DISCRETE : MAPPO_MULTI_DISCRETE,
                               .size = from->size,
                               .n = n,
                               .meanings = from->meanings,
                               .meaning = from->meaning};
    if (from->size > 1) return;
    struct mappo_meaning *meaning = ARENA_NEW(w->arena, struct mappo_meaning, bins);
    for (int32_t k = 0; k < bins; k++)
        meaning[k].name = say(w->arena, "%s %.6g", meaning_name(from, 0), (double)wrap_bin(from->low[0], from->high[0], k, bins));
    to->meanings = bins;
    to->meaning = meaning;
}

static int describe_actions(struct wrap *w, int g, struct error *err)
{
    const struct mappo_group *from = &w->from.group[g];
    struct mappo_group *to = &w->to.group[g];
    struct wrap_group *group = &w->group[g];
    struct group_sizes inner = {0}, outer = {0}; /* up to head h */
    for (int h = 0; h < from->act_heads; h++) {
        const bool box = from->act[h].kind == MAPPO_BOX, cut = box && w->config.discretise_action > 0;
        const int code = cut ? refuse_unbounded(w, g, &from->act[h], err) : 0;
        if (code) return code;
        if (cut) cut_box(w, &from->act[h], &to->act[h]);
        group->head[h] = (struct wrap_head){cut, box ? inner.act_reals : inner.act_ints, box && !cut ? outer.act_reals : outer.act_ints,
                                            inner.logits, outer.logits};
        *(box ? &inner.act_reals : &inner.act_ints) += from->act[h].size;
        *(box && !cut ? &outer.act_reals : &outer.act_ints) += from->act[h].size;
        inner.logits += box ? 0 : slice_space_width(&from->act[h]);
        outer.logits += box && !cut ? 0 : slice_space_width(&to->act[h]);
        w->cuts = w->cuts || cut;
    }
    return 0;
}

/* ---- all of it -------------------------------------------------------------------------------------------- */

static int refuse_actions(const struct wrap *w, struct error *err)
{
    int32_t boxes = 0, reals = 0;
    for (int g = 0; g < w->from.groups; g++) boxes += group_sizes(&w->from.group[g]).act_reals;
    for (int g = 0; g < w->to.groups; g++) reals += group_sizes(&w->to.group[g]).act_reals;
    if (w->config.discretise_action == 1) return error_set(err, EXIT_USAGE, "wrap.discretise_action=1: two bins at least, or 0 for none");
    if (w->config.discretise_action && !boxes)
        return error_set(err, EXIT_USAGE,
                         "wrap.discretise_action: no action of environment \"%s\" is a real number (Box): all are choices as it is", w->id);
    if (w->config.noise_action > 0 && !reals)
        return error_set(err, EXIT_USAGE, "wrap.noise_action: no action of environment \"%s\" is a real number (Box)%s", w->id,
                         w->cuts ? " after wrap.discretise_action" : ", and choices take no noise; ppo.entropy explores");
    return 0;
}

int wrap_describe(struct wrap *w, const char *hide, struct error *err)
{
    int code = 0;
    for (int g = 0; g < w->from.groups && !code; g++) code = describe_actions(w, g, err);
    if (!code) code = refuse_actions(w, err);
    for (int g = 0; g < w->from.groups; g++) {
        w->group[g].from = group_sizes(&w->from.group[g]);
        w->group[g].to = group_sizes(&w->to.group[g]);
        if (w->config.team_reward) w->to.group[g].flags |= MAPPO_SHARED_REWARD;
    }
    if (!code && w->observes) code = describe_observations(w, hide, err);
    for (int g = 0; g < w->from.groups && !code; g++) w->group[g].to = group_sizes(&w->to.group[g]);
    return code;
}

/* ---- in words --------------------------------------------------------------------------------------------- */

/* The last "%s" of a part is what stands before it. */
static __attribute__((format(printf, 4, 5))) void add(char *text, size_t size, const char *before, const char *format, ...)
{
    size_t used = strlen(text);
    va_list list;
    text_format(text + used, size - used, "%s", before);
    used = strlen(text);
    va_start(list, format);
    vsnprintf(text + used, size - used, format, list);
    va_end(list);
}

static void add_reward(const struct vecenv_config *c, char *text, size_t size)
{
    const char *before = " -> reward: ";
    if (c->clip_reward > 0) add(text, size, before, "clip %g", (double)c->clip_reward), before = ", ";
    if (wrap_scale(c) != 1) add(text, size, before, "scale %g", (double)c->scale_reward), before = ", ";
    if (c->team_reward) add(text, size, before, "%s of the team", c->team_reward == TEAM_SUM ? "sum" : "mean");
}

static void add_observation(const struct vecenv_config *c, char *text, size_t size)
{
    const char *before = " -> observation: ";
    if (c->hide_obs && *c->hide_obs) add(text, size, before, "hide %.200s", c->hide_obs), before = ", ";
    if (c->clip_obs > 0) add(text, size, before, "clip %g", (double)c->clip_obs), before = ", ";
    if (c->stack_obs > 1) add(text, size, before, "stack of %d", c->stack_obs), before = ", ";
    if (c->last_action) add(text, size, before, "last action"), before = ", ";
    if (c->agent_id) add(text, size, before, "agent id"), before = ", ";
    if (c->time_left) add(text, size, before, "time left");
}

static void add_actions(const struct vecenv_config *c, bool boxes, char *text, size_t size)
{
    const char *before = "; actions: ";
    if (boxes && (c->rescale_action || c->squash_action))
        add(text, size, before, c->squash_action ? "squash" : "rescale"), before = c->clip_action ? ", " : " -> ";
    if (boxes && c->clip_action) add(text, size, before, "clip"), before = " -> ";
    if (c->discretise_action) add(text, size, before, "%d bins", c->discretise_action), before = " -> ";
    if (c->sticky_action > 0) add(text, size, before, "sticky %g", (double)c->sticky_action), before = " -> ";
    if (c->noise_action > 0)
        add(text, size, before, "noise %g for %d step%s, in training", (double)c->noise_action, c->noise_hold > 1 ? c->noise_hold : 1,
            c->noise_hold > 1 ? "s" : "");
}

void wrap_text(const struct vecenv_config *c, const struct mappo_env_spec *spec, char *text, size_t size)
{
    static const char none[] = "environment -> statistics";
    bool boxes = false;
    for (int g = 0; g < spec->groups; g++) boxes = boxes || group_sizes(&spec->group[g]).act_reals > 0;
    text_format(text, size, "environment");
    if (c->action_repeat > 1) add(text, size, " -> ", "action repeat %d", c->action_repeat);
    if (c->time_limit && spec->max_steps == c->time_limit) add(text, size, " -> ", "time limit %d", c->time_limit);
    add(text, size, " -> ", "statistics");
    add_reward(c, text, size);
    add_observation(c, text, size);
    add_actions(c, boxes, text, size);
    if (strcmp(text, none) == 0) text[0] = '\0';
}
