#include "envs/mpe/suite.h"

#include <math.h>

#include "envs/draw.h"

const char *const mpe_rule_sets[] = {"mpe2", "on-policy", "pettingzoo-1.22", "openai", NULL};
const char *const mpe_newer_rule_sets[] = {"mpe2", NULL};

/* ---- options ------------------------------------------------------------------------------------------------ */

/* The value of an option that the task may not have; `none`, also where it is none. */
static int64_t option_int(const struct mappo_option *option, const struct mappo_value *value, const char *name, int64_t none)
{
    for (int k = 0; option[k].name; k++)
        if (strcmp(option[k].name, name) == 0) return value[k].i == INT64_MIN ? none : value[k].i;
    return none;
}

/* By its name: a task may lack some. */
static int32_t rule_set_of(const char *name)
{
    int32_t set = 0;
    while (mpe_rule_sets[set + 1] && strcmp(mpe_rule_sets[set], name) != 0) set++;
    return set;
}

/* An option that the rules in force don't have must not be swallowed. */
static int refuse_strangers(const struct mpe_rules *rules, struct mappo_env_error *error)
{
    const char *set = mpe_rule_sets[rules->rule_set];
    if (rules->rule_set == MPE_MPE2) return 0;
    if (rules->local_ratio != 0.5 && rules->rule_set != MPE_PETTINGZOO)
        return lane_refuse(error, "option local_ratio belongs to rules=mpe2 and pettingzoo-1.22; rules=%s doesn't have it", set);
    const char *stranger = rules->stage >= 0                ? "curriculum"
                           : rules->success_ends            ? "terminate_on_success"
                           : rules->agent_neighbors >= 0    ? "num_agent_neighbors"
                           : rules->landmark_neighbors >= 0 ? "num_landmark_neighbors"
                                                            : NULL;
    return stranger ? lane_refuse(error, "option %s belongs to rules=mpe2; rules=%s doesn't have it", stranger, set) : 0;
}

int mpe_configure_by(struct mpe_rules *rules, const struct mappo_option *option, const struct mappo_value *value,
                     struct mappo_env_error *error)
{
    const int continuous = option_int(option, value, "continuous_actions", 0) != 0;
    const int curriculum = option_int(option, value, "curriculum", 0) != 0, stage = (int)option_int(option, value, "curriculum_stage", 0);
    rules->rule_set = rule_set_of(option[0].choice[value[0].i]);
    rules->max_cycles = (int32_t)option_int(option, value, "max_cycles", 25);
    rules->actions = option_int(option, value, "soft_actions", 0) ? MPE_SOFT : continuous ? MPE_CONTINUOUS : MPE_DISCRETE;
    rules->success_ends = (int32_t)option_int(option, value, "terminate_on_success", 0);
    rules->agent_neighbors = (int32_t)option_int(option, value, "num_agent_neighbors", -1);
    rules->landmark_neighbors = (int32_t)option_int(option, value, "num_landmark_neighbors", -1);
    rules->stage = curriculum ? stage : -1;
    rules->local_ratio = 0.5;
    for (int k = 0; option[k].name; k++)
        if (strcmp(option[k].name, "local_ratio") == 0) rules->local_ratio = value[k].r;
    if (stage > 0 && !curriculum) return lane_refuse(error, "option curriculum_stage has a meaning only with curriculum=1");
    if (rules->actions == MPE_SOFT && continuous)
        return lane_refuse(error, "options continuous_actions=1 and soft_actions=1 are two readings of the same numbers: give one of them");
    return refuse_strangers(rules, error);
}

/* ---- names -------------------------------------------------------------------------------------------------- */

static void describe_xy(struct description *d, const char *unit, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void describe_xy(struct description *d, const char *unit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *name = description_text(d, format, args);
    va_end(args);
    describe_number(d, DESCRIBE_OBS, unit, -INFINITY, INFINITY, "%s, x", name);
    describe_number(d, DESCRIBE_OBS, unit, -INFINITY, INFINITY, "%s, y", name);
}

/* Entity i of all kinds: its kind, and its number there. */
static int kind_of(const struct mpe_kind *kind, int *i)
{
    int k = 0;
    for (; k < MPE_KINDS - 1 && *i >= kind[k].count; k++) *i -= kind[k].count;
    return k;
}

/* "agent_1": of agent i of all kinds. */
static const char *agent_name(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast, int i)
{
    const int k = kind_of(rules->agent, &i);
    return describe_text(d, "%s_%d", cast->agent[k], i);
}

static int agent_kinds(const struct mpe_rules *rules)
{
    int kinds = 0;
    for (int k = 0; k < MPE_KINDS; k++) kinds += rules->agent[k].count > 0;
    return kinds;
}

/* The others as an agent of kind `mine` sees them: "other 0", "other adversary 0" where there are several kinds, "agent_0" of other kinds;
 * numbers among one's own kind leave oneself out. */
static void describe_others(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast, int mine, const char *unit,
                            const char *what, int prey_only)
{
    for (int j = 0; rules->agent_neighbors >= 0 && j < rules->agent_neighbors; j++)
        describe_xy(d, unit, "nearest other %d, %s%s", j, what, prey_only ? " if it is prey" : "");
    for (int k = prey_only ? mpe_prey(rules) : 0; rules->agent_neighbors < 0 && k < MPE_KINDS; k++) {
        for (int j = 0; j < rules->agent[k].count - (k == mine); j++) {
            if (k != mine)
                describe_xy(d, unit, "%s_%d, %s", cast->agent[k], j, what);
            else if (agent_kinds(rules) > 1)
                describe_xy(d, unit, "other %s %d, %s", cast->agent[k], j, what);
            else
                describe_xy(d, unit, "other %d, %s", j, what);
        }
    }
}

static void describe_landmarks(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast)
{
    for (int l = 0; l < mpe_seen_landmarks(rules); l++) {
        int i = l;
        const int k = kind_of(rules->landmark, &i);
        if (rules->landmark_neighbors < 0)
            describe_xy(d, "field", "%s %d, relative", cast->landmark[k], i);
        else
            describe_xy(d, "field", "nearest landmark %d, relative", l);
    }
}

static void describe_words(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast, const struct mpe_kind *kind)
{
    const float high = rules->actions == MPE_DISCRETE ? 1 : INFINITY, low = rules->actions == MPE_DISCRETE ? 0 : -INFINITY;
    int speaker = 0;
    for (int k = 0, i = 0; k < MPE_KINDS; i += rules->agent[k++].count)
        for (int j = 0; j < rules->agent[k].count && rules->agent[k].speaks; j++, speaker++)
            for (int c = 0; c < rules->words && speaker == kind->hears; c++)
                describe_number(d, DESCRIBE_OBS, NULL, low, high, "word %d of %s", c, agent_name(d, rules, cast, i + j));
    for (int s = 0; s < speaker - 1 && kind->hears == MPE_HEARS_OTHERS; s++)
        for (int c = 0; c < rules->words; c++) describe_number(d, DESCRIBE_OBS, NULL, low, high, "word %d of other %d", c, s);
}

static void describe_mark(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast, const char *whose)
{
    const float low = (float)rules->mark_low, high = (float)rules->mark_high;
    for (int c = 0; c < rules->mark_size; c++) describe_number(d, DESCRIBE_OBS, NULL, low, high, "%s, %s", whose, cast->mark[c]);
}

static void describe_types(struct description *d, const struct mpe_rules *rules, const char *who, const char *does)
{
    for (int k = 0; k < rules->types; k++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "%s %s type %d", who, does, k);
}

/* What mpe_see writes, in words. */
static void describe_sight(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast, int k, int sight)
{
    const int leader = rules->agent[k].moves && rules->agent[k].speaks, hides = rules->forests && !leader;
    switch (sight) {
    case MPE_SEES_VELOCITY:
        describe_xy(d, "field/s", "own velocity");
        break;
    case MPE_SEES_POSITION:
        describe_xy(d, "field", "own position");
        break;
    case MPE_SEES_GOAL:
        describe_xy(d, "field", "goal, relative");
        break;
    case MPE_SEES_LANDMARKS:
        describe_landmarks(d, rules, cast);
        break;
    case MPE_SEES_OTHERS:
        describe_others(d, rules, cast, k, "field", rules->forests ? "relative (0 while hidden)" : "relative", 0);
        break;
    case MPE_SEES_SILENCE:
        for (int j = 0; j < mpe_seen_others(rules); j++)
            for (int c = 0; c < 2; c++)
                describe_number(d, DESCRIBE_OBS, NULL, -INFINITY, INFINITY, "utterance %d of %s %d (always 0)", c,
                                rules->agent_neighbors < 0 ? "other" : "nearest other", j);
        break;
    case MPE_SEES_PREY:
        describe_others(d, rules, cast, k, "field/s", hides ? "velocity (0 while hidden)" : "velocity", 1);
        break;
    case MPE_SEES_FORESTS:
        for (int f = 0; f < rules->forests; f++) describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "1 in forest %d, else -1", f);
        break;
    case MPE_SEES_WORDS:
        describe_words(d, rules, cast, &rules->agent[k]);
        break;
    case MPE_SEES_GOAL_MARK:
        describe_mark(d, rules, cast, "goal");
        break;
    case MPE_SEES_KEY_MARK:
        describe_mark(d, rules, cast, "key");
        break;
    case MPE_SEES_OWN_GOAL_MARK:
        describe_mark(d, rules, cast, "goal of the other");
        break;
    case MPE_SEES_OWN_MARK:
        for (int c = 0; c < rules->mark_size; c++) describe_number(d, DESCRIBE_OBS, NULL, 0.25f, 0.75f, "own colour, %s", cast->mark[c]);
        break;
    case MPE_SEES_LANDMARK_MARKS:
        for (int l = 0; l < rules->landmarks; l++) describe_mark(d, rules, cast, describe_text(d, "landmark %d", l));
        break;
    case MPE_SEES_CARRIED:
        describe_types(d, rules, "it", "carries");
        break;
    case MPE_SEES_CARRIERS:
        for (int j = 0; j < rules->agents - 1; j++) {
            const char *who = describe_text(d, "nearest other %d", j);
            describe_xy(d, "field", "%s, relative", who);
            describe_xy(d, "field/s", "%s, velocity", who);
            describe_types(d, rules, who, "takes");
            describe_types(d, rules, who, "carries");
        }
        break;
    case MPE_SEES_TREASURE:
        for (int l = 0; l < rules->landmarks; l++) {
            const char *which = describe_text(d, "nearest %s %d", cast->landmark[0], l);
            describe_xy(d, "field", "%s, relative (0 while gone)", which);
            describe_types(d, rules, which, "is");
        }
        break;
    default:
        break;
    }
}

/* ---- actions ------------------------------------------------------------------------------------------------ */

const char *const mpe_red_green_blue[] = {"red", "green", "blue"};
static const char *const leftward[MPE_MOVES] = {"no_action", "move_left", "move_right", "move_down", "move_up"};
static const char *const rightward[MPE_MOVES] = {"no_action", "move_right", "move_left", "move_up", "move_down"};

static void describe_choices(struct description *d, const struct mpe_rules *rules, const struct mpe_kind *kind, const char *const *move)
{
    const char *name[MPE_MOVES * 16];
    const int moves = kind->moves ? MPE_MOVES : 1, words = kind->speaks ? rules->words : 1;
    if (mpe_split(rules, kind)) {
        describe_component(d, DESCRIBE_ACT, moves, 0);
        describe_component(d, DESCRIBE_ACT, words, 0);
        return;
    }
    for (int c = 0; c < words; c++)
        for (int m = 0; m < moves; m++)
            name[c * moves + m] = !kind->speaks  ? move[m]
                                  : !kind->moves ? describe_text(d, "say_%d", c)
                                                 : describe_text(d, "%s, say_%d", move[m], c);
    describe_choice(d, DESCRIBE_ACT, moves * words, 0, name);
}

static void describe_actions(struct description *d, const struct mpe_rules *rules, const struct mpe_kind *kind)
{
    const char *const *move = mpe_reversed(rules) ? rightward : leftward;
    if (rules->actions == MPE_DISCRETE) {
        describe_choices(d, rules, kind, move);
        return;
    }
    for (int m = 0; m < MPE_MOVES && kind->moves; m++) describe_number(d, DESCRIBE_ACT, NULL, 0, 1, "%s", move[m]);
    for (int c = 0; c < rules->words && kind->speaks; c++) describe_number(d, DESCRIBE_ACT, NULL, 0, 1, "say_%d", c);
}

void mpe_describe_world(struct description *d, const struct mpe_rules *rules, const struct mpe_cast *cast)
{
    d->spec.state_is_all_obs = 1;
    d->spec.max_steps = rules->max_cycles;
    d->spec.rules = mpe_rule_sets[rules->rule_set];
    d->spec.return_help = rules->summed ? cast->summed_help : cast->return_help;
    d->spec.teams = cast->team_name ? 2 : 0;
    d->spec.team_name = cast->team_name;
    for (int k = 0; k < MPE_KINDS; k++) {
        const struct mpe_kind *kind = &rules->agent[k];
        if (kind->count == 0) continue;
        const int alike = rules->summed || cast->alike[k] || kind->count == 1;
        describe_group(d, cast->agent[k], kind->count, cast->team[k], alike ? MAPPO_SHARED_REWARD : 0);
        for (int s = 0; s < MPE_SIGHTS && kind->sight[s]; s++) describe_sight(d, rules, cast, k, kind->sight[s]);
        describe_actions(d, rules, kind);
    }
}

/* ---- snapshots ---------------------------------------------------------------------------------------------- */

/* Of an agent or a landmark, counted over both. */
static int type_sound(const struct mpe *w, const struct mpe_rules *rules, int i)
{
    const int32_t type = mpe_type(w, rules)[i], takes = i - rules->agent[0].count;
    if (i >= rules->agents) return type < rules->types && ~type < rules->types;
    return takes < 0 ? type >= -1 && type < rules->types : type == takes;
}

int mpe_state_sound(const struct mpe *w, const struct mpe_rules *rules)
{
    const rule_real *number = mpe_velocity(w);
    int sound = w->steps >= 0 && w->steps < rules->max_cycles;
    for (int g = 0; g < rules->goals; g++) sound = sound && w->goal[g] >= 0 && w->goal[g] < rules->landmarks;
    for (int i = 0; i < 4 * rules->agents + 2 * rules->landmarks + rules->speakers * rules->words; i++)
        sound = sound && isfinite(number[i]);
    for (int i = 0; i < rules->agents + rules->landmarks && rules->types; i++) sound = sound && type_sound(w, rules, i);
    return sound && (!rules->types || mpe_again(w, rules)->used <= 4);
}

/* ---- players and pictures ----------------------------------------------------------------------------------- */

void mpe_script_agent(const struct mpe *w, const struct mpe_rules *rules, int i, const rule_real *target, int word,
                      int32_t *const act_int[], float *const act_real[])
{
    const rule_real *position = mpe_position(w, rules) + 2 * i, *velocity = mpe_velocity(w) + 2 * i;
    const int k = kind_of(rules->agent, &i);
    const struct mpe_kind *kind = &rules->agent[k];
    int move = 0, g = 0;
    for (int m = 0; m < k; m++) g += rules->agent[m].count > 0;
    if (target && kind->moves) {
        const float dx = target[0] - position[0] - 0.1f * velocity[0], dy = target[1] - position[1] - 0.1f * velocity[1];
        const float far = fabsf(dx) > fabsf(dy) ? dx : dy;
        if (fabsf(far) >= 0.02f) move = (fabsf(dx) > fabsf(dy) ? 1 : 3) + ((far > 0) != mpe_reversed(rules));
    }
    if (rules->actions != MPE_DISCRETE) {
        float *act = act_real[g] + i * mpe_action_reals(rules, kind);
        for (int m = 0; m < MPE_MOVES && kind->moves; m++) *act++ = m == move && (m > 0 || rules->actions == MPE_SOFT);
        for (int c = 0; c < rules->words && kind->speaks; c++) *act++ = c == word;
    } else if (mpe_split(rules, kind)) {
        act_int[g][2 * i] = move;
        act_int[g][2 * i + 1] = word;
    } else {
        act_int[g][i] = move + (kind->speaks ? word * (kind->moves ? MPE_MOVES : 1) : 0);
    }
}

void mpe_script_match(const struct mpe *w, const struct mpe_rules *rules, int first, const rule_real *target, int32_t *const act_int[],
                      float *const act_real[])
{
    const int n = rules->agents - first;
    int of[MPE_MAX_AGENTS];
    mpe_match(n, mpe_position(w, rules) + 2 * first, target, of);
    for (int i = 0; i < n; i++) mpe_script_agent(w, rules, first + i, &target[2 * of[i]], 0, act_int, act_real);
}

void mpe_script_places(const struct mpe *w, const struct mpe_rules *rules, mpe_places *places, int32_t *const act_int[],
                       float *const act_real[])
{
    rule_real place[2 * MPE_MAX_AGENTS] = {0};
    places(w, rules, place);
    mpe_script_match(w, rules, 0, place, act_int, act_real);
}

void mpe_script_hunter(const struct mpe *w, const struct mpe_rules *rules, int i, int hunters, int32_t *const act_int[],
                       float *const act_real[])
{
    const rule_real *position = mpe_position(w, rules), *velocity = mpe_velocity(w);
    int order[MPE_MAX_AGENTS];
    mpe_nearest(&position[2 * hunters], rules->agents - hunters, -1, &position[2 * i], order);
    const int prey = 2 * (hunters + order[0]);
    const rule_real time = mpe_distance(&position[prey], &position[2 * i]); /* at a hunter's greatest speed, 1 */
    const rule_real there[2] = {position[prey] + time * velocity[prey], position[prey + 1] + time * velocity[prey + 1]};
    mpe_script_agent(w, rules, i, there, 0, act_int, act_real);
}

void mpe_script_prey(const struct mpe *w, const struct mpe_rules *rules, int i, int hunters, int32_t *const act_int[],
                     float *const act_real[])
{
    const rule_real *position = mpe_position(w, rules), *own = &position[2 * i];
    int order[MPE_MAX_AGENTS];
    rule_real there[2];
    mpe_nearest(position, hunters, -1, own, order);
    for (int k = 0; k < 2; k++) {
        const rule_real away = own[k] + (own[k] - position[2 * order[0] + k]);
        there[k] = own[k] > 0.8f || own[k] < -0.8f ? 0 : away;
    }
    mpe_script_agent(w, rules, i, there, 0, act_int, act_real);
}

/* Of what has a type of treasure; -1: of nothing. */
static uint32_t type_colour(int32_t type)
{
    static const uint32_t colour[MPE_MAX_TYPES] = {0x0072b2ffu, 0xe69f00ffu, 0x009e73ffu, 0xcc3311ffu, 0xcc79a7ffu, 0x8c564bffu};
    return type < 0 ? 0xb8b8b8ffu : colour[type];
}

/* A landmark, or, as a square that leaves no trail, a treasure that is there. */
static uint32_t landmark_colour(const struct mpe_rules *rules, int kind)
{
    return rules->forests && kind == MPE_KINDS - 1 ? 0x99e69960u : kind == 1 ? 0x2626a6ffu : 0x404040ffu;
}

static void draw_landmark(const struct mpe *w, const struct mpe_rules *rules, int kind, int l, const struct mappo_canvas *canvas)
{
    const rule_real *landmark = mpe_landmark(w, rules) + 2 * l;
    const double x = (double)landmark[0], y = (double)landmark[1], size = (double)rules->landmark[kind].size;
    const int32_t type = rules->types ? mpe_type(w, rules)[rules->agents + l] : 0;
    if (!rules->types)
        canvas->circle(canvas->self, x, y, size, landmark_colour(rules, kind), 0x000000ffu);
    else if (type >= 0)
        canvas->rectangle(canvas->self, x - size, y - size, x + size, y + size, type_colour(type), 0x000000ffu);
}

/* Whether all agents are of one kind: then each has a colour, else each kind. */
static int one_kind(const struct mpe_rules *rules)
{
    for (int k = 0; k < MPE_KINDS; k++)
        if (rules->agent[k].count && rules->agent[k].count != rules->agents) return 0;
    return 1;
}

static uint32_t agent_colour(const struct mpe *w, const struct mpe_rules *rules, const struct mpe_cast *cast, int kind, int a)
{
    if (rules->types) return type_colour(mpe_type(w, rules)[a]);
    return one_kind(rules) ? (draw_colour(a) & ~0xffu) | 0xd0u : cast->colour[kind] << 8 | 0xd0u;
}

/* In the corner, where kinds have colours: what they are called. */
static void draw_names(const struct mpe_rules *rules, const struct mpe_cast *cast, const struct mappo_canvas *canvas)
{
    if (one_kind(rules) || rules->types) return;
    for (int k = 0, line = 0; k < 2 * MPE_KINDS; k++) {
        const int landmark = k >= MPE_KINDS, kind = k % MPE_KINDS;
        if (!(landmark ? rules->landmark : rules->agent)[kind].count) continue;
        const uint32_t colour = landmark ? landmark_colour(rules, kind) | 0xffu : cast->colour[kind] << 8 | 0xffu;
        canvas->circle(canvas->self, -1.42, 1.42 - 0.11 * line, 0.03, colour, 0);
        canvas->text(canvas->self, -1.36, 1.39 - 0.11 * line++, 0.085, (landmark ? cast->landmark : cast->agent)[kind], 0x444444ffu);
    }
}

/* Landmarks with their goals ringed, then agents with their numbers, and what was said last. */
void mpe_draw_world(const struct mpe *w, const struct mpe_rules *rules, const struct mpe_cast *cast, const struct mappo_canvas *canvas)
{
    const rule_real *position = mpe_position(w, rules), *landmark = mpe_landmark(w, rules), *utterance = mpe_utterance(w, rules);
    char text[32];
    canvas->view(canvas->self, -1.5, -1.5, 1.5, 1.5);
    for (int k = 0, l = 0; k < MPE_KINDS; k++) {
        const double size = (double)rules->landmark[k].size;
        for (int i = 0; i < rules->landmark[k].count; i++, l++) {
            const double x = (double)landmark[2 * l], y = (double)landmark[2 * l + 1];
            for (int g = 0; g < rules->goals && !cast->abstract; g++)
                if (w->goal[g] == l) canvas->circle(canvas->self, x, y, size + 0.03 + 0.02 * g, 0, 0xcc9900ffu);
            draw_landmark(w, rules, k, l, canvas);
        }
    }
    for (int k = 0, a = 0; k < MPE_KINDS; k++) {
        for (int i = 0; i < rules->agent[k].count; i++, a++) {
            const double x = (double)position[2 * a], y = (double)position[2 * a + 1], size = (double)rules->agent[k].size;
            int said = 0;
            canvas->circle(canvas->self, x, y, size, agent_colour(w, rules, cast, k, a), 0x262626ffu);
            for (int c = 1; c < rules->words && rules->agent[k].speaks; c++) said = utterance[c] > utterance[said] ? c : said;
            if (rules->agent[k].speaks) utterance += rules->words;
            snprintf(text, sizeof text, "%d", i);
            draw_middle(canvas, x, y, size > 0.08 ? size : 0.08, text,
                        rules->types && mpe_type(w, rules)[a] < 0 ? 0x000000ffu : 0xffffffffu);
            if (!rules->agent[k].speaks || !w->steps) continue;
            snprintf(text, sizeof text, "\"%c\"", 'A' + said);
            canvas->text(canvas->self, x + size, y + size, 0.1, text, 0x000000ffu);
        }
    }
    draw_names(rules, cast, canvas);
}
