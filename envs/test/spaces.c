/* test/spaces: every kind of space, each a task whose optimum is known. In every step an agent sees cues and answers them; the answers of a step are
 * worth 1 together where all are right, so the best return is the number of steps, and the scripted player reaches it. What was answered
 * changes nothing of what comes next. Host only.
 *
 *   discrete        a choice of five, whose values begin at -2
 *   multi_discrete  choices of five and of three, whose values begin at 7 and -1
 *   multi_binary    three bits, each the opposite of the one that is seen
 *   box             two real numbers without bounds, one three times the other's size; seen as an image of 1 x 2 with one channel
 *   bounded         three real numbers, each with bounds of its own, of which some are infinite; answers lie on the bounds often
 *   heads           all of these kinds at once, of observations and of actions */
#include "env/lane_env.h"

enum { AGENTS = 2, FIVE = 5, THREE = 3, BITS = 3, REALS = 3, STEPS = 8 };
enum space { DISCRETE, MULTI_DISCRETE, MULTI_BINARY, BOX, BOUNDED, HEADS };
enum { FIRST_FIVE = -2, FIRST_OF_MANY = 7, FIRST_THREE = -1 };

static const char *const spaces[] = {"discrete", "multi_discrete", "multi_binary", "box", "bounded", "heads", NULL};
static const struct mappo_option options[] = {
    {"space", MAPPO_OPTION_CHOICE, "discrete", 0, 0, spaces, "of what kind observations and actions are"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};
static const struct mappo_info infos[] = {{"score", "1", "what an agent's answers were worth", 0}};

struct spaces_rules {
    int32_t space;
};
struct spaces {
    struct philox rng;
    int32_t steps;
    int32_t five[AGENTS], three[AGENTS], bits[AGENTS];
    float real[AGENTS][REALS]; /* -1 … 1 */
};

/* ---- rules ------------------------------------------------------------------------------------------------ */

static int has(const struct spaces_rules *rules, int kind)
{
    return rules->space == kind || rules->space == HEADS;
}

static void spaces_draw_cues(struct spaces *w)
{
    for (int a = 0; a < AGENTS; a++) {
        w->five[a] = philox_below(&w->rng, FIVE);
        w->three[a] = philox_below(&w->rng, THREE);
        w->bits[a] = philox_below(&w->rng, 1 << BITS);
        for (int k = 0; k < REALS; k++) w->real[a][k] = philox_uniform(&w->rng, -1, 1);
    }
}

static void spaces_reset(struct spaces *w, const struct spaces_rules *rules)
{
    (void)rules;
    w->steps = 0;
    spaces_draw_cues(w);
}

/* The right answers: integers and real numbers, as many of them as the spaces have. */
static void right_answers(const struct spaces *w, const struct spaces_rules *rules, int a, int32_t *whole, float *real)
{
    const float *cue = w->real[a];
    if (has(rules, DISCRETE)) *whole++ = w->five[a] + FIRST_FIVE;
    if (has(rules, MULTI_DISCRETE)) *whole++ = w->five[a] + FIRST_OF_MANY;
    if (has(rules, MULTI_DISCRETE)) *whole++ = w->three[a] + FIRST_THREE;
    for (int k = 0; k < BITS && has(rules, MULTI_BINARY); k++) *whole++ = !(w->bits[a] >> k & 1);
    if (rules->space == BOX) *real++ = cue[0], *real++ = 3 * cue[1];
    if (!has(rules, BOUNDED)) return;
    *real++ = cue[0] < -0.5f ? -0.5f : cue[0] > 0.25f ? 0.25f : cue[0];
    *real++ = cue[1] < 0 ? 0 : cue[1];
    *real++ = 0.5f * cue[2] - 1.25f < -1.25f ? 0.5f * cue[2] - 1.25f : -1.25f;
}

static int wholes_of(const struct spaces_rules *rules)
{
    return has(rules, DISCRETE) + 2 * has(rules, MULTI_DISCRETE) + BITS * has(rules, MULTI_BINARY);
}

static int reals_of(const struct spaces_rules *rules)
{
    return rules->space == BOX ? 2 : has(rules, BOUNDED) ? REALS : 0;
}

static int spaces_step(struct spaces *w, const struct spaces_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    const int wholes = wholes_of(rules), reals = reals_of(rules);
    float mean = 0;
    for (int a = 0; a < AGENTS; a++) {
        int32_t whole[3 + BITS];
        float real[REALS], score = 0;
        right_answers(w, rules, a, whole, real);
        for (int k = 0; k < wholes; k++) score += group->act_int[a * wholes + k] == whole[k] ? 1.0f : 0.0f;
        for (int k = 0; k < reals; k++) {
            const float off = group->act_real[a * reals + k] - real[k];
            score += 1 - (off * off < 4 ? off * off : 4);
        }
        score /= (float)(wholes + reals);
        if (group->reward) group->reward[a] = score;
        if (group->terminated) group->terminated[a] = 0;
        mean += score / AGENTS;
    }
    if (io->info) io->info[0] = mean;
    spaces_draw_cues(w);
    return ++w->steps >= STEPS ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

static float *see_one_of(float *obs, int n, int which)
{
    for (int k = 0; k < n; k++) obs[k] = k == which ? 1.0f : 0.0f;
    return obs + n;
}

static void spaces_observe(const struct spaces *w, const struct spaces_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    for (int a = 0; obs && a < AGENTS; a++) {
        if (has(rules, DISCRETE)) obs = see_one_of(obs, FIVE, w->five[a]);
        if (has(rules, MULTI_DISCRETE)) obs = see_one_of(see_one_of(obs, FIVE, w->five[a]), THREE, w->three[a]);
        for (int k = 0; k < BITS && has(rules, MULTI_BINARY); k++) *obs++ = (float)(w->bits[a] >> k & 1);
        for (int k = 0; k < reals_of(rules); k++) *obs++ = w->real[a][k];
    }
}

/* ---- what it looks like ----------------------------------------------------------------------------------- */

static int spaces_configure(struct spaces_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    (void)error;
    rules->space = (int32_t)value[0].i;
    return 0;
}

static void spaces_describe(struct description *d, const struct spaces_rules *rules)
{
    d->spec.state_is_all_obs = 1;
    d->spec.max_steps = STEPS;
    d->spec.infos = 1;
    d->spec.info = infos;
    d->spec.rules = spaces[rules->space];
    d->spec.return_help = "worth of the answers in an episode, mean over agents: 8 where all are right";
    struct mappo_group *group = describe_group(d, "agent", AGENTS, 0, 0);
    if (has(rules, DISCRETE)) describe_choice(d, DESCRIBE_OBS, FIVE, 3, NULL);
    if (has(rules, MULTI_DISCRETE)) describe_component(d, DESCRIBE_OBS, FIVE, 0);
    if (has(rules, MULTI_DISCRETE)) describe_component(d, DESCRIBE_OBS, THREE, -4);
    if (has(rules, MULTI_BINARY)) describe_bits(d, DESCRIBE_OBS, BITS);
    for (int k = 0; k < reals_of(rules); k++)
        describe_number(d, DESCRIBE_OBS, NULL, rules->space == BOX ? -INFINITY : -1, rules->space == BOX ? INFINITY : 1, "cue %d", k);
    if (group && rules->space == BOX) group->obs[0].shape[0] = 1, group->obs[0].shape[1] = 2, group->obs[0].shape[2] = 1;
    if (has(rules, DISCRETE)) describe_choice(d, DESCRIBE_ACT, FIVE, FIRST_FIVE, NULL);
    if (has(rules, MULTI_DISCRETE)) describe_component(d, DESCRIBE_ACT, FIVE, FIRST_OF_MANY);
    if (has(rules, MULTI_DISCRETE)) describe_component(d, DESCRIBE_ACT, THREE, FIRST_THREE);
    if (has(rules, MULTI_BINARY)) describe_bits(d, DESCRIBE_ACT, BITS);
    for (int k = 0; k < 2 && rules->space == BOX; k++) describe_number(d, DESCRIBE_ACT, NULL, -INFINITY, INFINITY, "answer %d", k);
    if (!has(rules, BOUNDED)) return;
    describe_number(d, DESCRIBE_ACT, NULL, -0.5f, 0.25f, "answer within bounds");
    describe_number(d, DESCRIBE_ACT, NULL, 0, INFINITY, "answer above a bound");
    describe_number(d, DESCRIBE_ACT, NULL, -INFINITY, -1.25f, "answer below a bound");
}

static int spaces_sound(const struct spaces *w, const struct spaces_rules *rules)
{
    (void)rules;
    int sound = w->steps >= 0 && w->steps < STEPS;
    for (int a = 0; a < AGENTS; a++) {
        sound = sound && w->five[a] >= 0 && w->five[a] < FIVE && w->three[a] >= 0 && w->three[a] < THREE && w->bits[a] >> BITS == 0;
        for (int k = 0; k < REALS; k++) sound = sound && w->real[a][k] >= -1 && w->real[a][k] <= 1;
    }
    return sound;
}

static void spaces_script(const struct spaces *w, const struct spaces_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    for (int a = 0; a < AGENTS; a++) {
        int32_t whole[3 + BITS];
        float real[REALS];
        right_answers(w, rules, a, whole, real);
        for (int k = 0; k < wholes_of(rules); k++) act_int[0][a * wholes_of(rules) + k] = whole[k];
        for (int k = 0; k < reals_of(rules); k++) act_real[0][a * reals_of(rules) + k] = real[k];
    }
}

LANE_ENV(test_spaces, spaces, 1, (observe, sound, script), .id = "test/spaces",
         .summary = "every kind of space, each a task whose optimum is known: for tests", .source = "this project", .version = 1,
         .option = options);
