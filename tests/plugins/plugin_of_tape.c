/* Plays the same tape in every environment and pays agents for what they do, so that what wrappers do to it can be computed by hand.
 * At step s of an episode agent a of the pair sees s, 10 (a + 1) + s and the one-hot of s mod 3, the judge 7 s, the foe nothing but 1. For an
 * action (choice, push, lift) the pair is paid 100 choice + 10 push + lift (one that waits 0, one that is dead 1000), the judge s + 1, the
 * foe -50. */
#include "env/lane_env.h"

enum { PAIR, JUDGE, FOE, SEEN = 5 };

struct tape_rules {
    int32_t length, ends, masks, leaves, pays, spare;
};

struct tape {
    struct philox rng;
    int32_t step, spare;
    int32_t choice[2]; /* of the last step */
};

enum { PAYS_WORK, PAYS_NUMBER, PAYS_SEQUEL };
static const char *const pays[] = {"work", "number", "sequel", NULL};
enum { OPTION_LENGTH, OPTION_ENDS, OPTION_MASKS, OPTION_LEAVES, OPTION_PAYS };
static const struct mappo_option options[] = {
    {"length", MAPPO_OPTION_INT, "5", 1, 1000, NULL, "steps of an episode"},
    {"ends", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "they end it, and do not only cut it"},
    {"masks", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "the pair may not choose 3 at odd steps"},
    {"leaves", MAPPO_OPTION_INT, "0", 0, 2, NULL, "agent 1 waits at steps 2, 5, …; 2: dies there"},
    {"pays", MAPPO_OPTION_CHOICE, "work", 0, 0, pays, "the pair: as above; 1 for the agent's own number; 1 for the next choice"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

MAPPO_FN int tape_waits(const struct tape *w, const struct tape_rules *rules, int a)
{
    return a == 1 && rules->leaves && w->step % 3 == 2;
}

MAPPO_FN void tape_reset(struct tape *w, const struct tape_rules *rules)
{
    (void)rules;
    w->step = w->choice[0] = w->choice[1] = 0;
}

MAPPO_FN int tape_step(struct tape *w, const struct tape_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *pair = &io->group[PAIR], *judge = &io->group[JUDGE], *foe = &io->group[FOE];
    for (int a = 0; a < 2; a++) {
        const int waits = tape_waits(w, rules, a), last = w->choice[a];
        const float *act = &pair->act_real[2 * a];
        w->choice[a] = waits ? 0 : pair->act_int[a];
        rule_real pay = 100 * (rule_real)w->choice[a] + 10 * (rule_real)act[0] + (rule_real)act[1];
        if (waits) pay = rules->leaves == 2 ? 1000 : 0;
        if (rules->pays == PAYS_NUMBER) pay = w->choice[a] == 1 + a;
        if (rules->pays == PAYS_SEQUEL) pay = w->choice[a] == 1 + last % 3;
        if (pair->reward) pair->reward[a] = pay;
    }
    w->step++;
    for (int a = 0; a < 2 && pair->terminated; a++) pair->terminated[a] = (uint8_t)(rules->leaves == 2 && tape_waits(w, rules, a));
    if (judge->reward) judge->reward[0] = (rule_real)w->step;
    if (foe->reward) foe->reward[0] = -50;
    if (judge->terminated) judge->terminated[0] = 0;
    if (foe->terminated) foe->terminated[0] = 0;
    if (io->info) io->info[0] = (float)w->step;
    return w->step < rules->length ? MAPPO_RUNNING : rules->ends ? MAPPO_TERMINATED : MAPPO_TRUNCATED;
}

MAPPO_FN void tape_observe(const struct tape *w, const struct tape_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *pair = &io->group[PAIR];
    for (int a = 0; a < 2; a++) {
        float *obs = pair->obs ? pair->obs + a * SEEN : NULL;
        if (obs) obs[0] = (float)w->step;
        if (obs) obs[1] = (float)(10 * (a + 1) + w->step);
        for (int k = 0; k < 3 && obs; k++) obs[2 + k] = (float)(w->step % 3 == k);
        if (pair->active) pair->active[a] = (uint8_t)!tape_waits(w, rules, a);
        for (int k = 0; k < 3 && pair->act_mask; k++) pair->act_mask[3 * a + k] = (uint8_t) !(rules->masks && k == 2 && w->step % 2);
    }
    if (io->group[JUDGE].obs) io->group[JUDGE].obs[0] = 7 * (float)w->step;
    if (io->group[FOE].obs) io->group[FOE].obs[0] = 1;
}

static int tape_configure(struct tape_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    (void)error;
    rules->length = (int32_t)option[OPTION_LENGTH].i;
    rules->ends = (int32_t)option[OPTION_ENDS].i;
    rules->masks = (int32_t)option[OPTION_MASKS].i;
    rules->leaves = (int32_t)option[OPTION_LEAVES].i;
    rules->pays = (int32_t)option[OPTION_PAYS].i;
    return 0;
}

static void tape_describe(struct description *d, const struct tape_rules *rules)
{
    static const struct mappo_info info = {"step", "steps", "step of the episode", 0};
    static const char *const choices[] = {"one", "two", "three"};
    d->spec.max_steps = rules->length;
    d->spec.state_is_all_obs = 1;
    d->spec.infos = 1;
    d->spec.info = &info;
    describe_group(d, "pair", 2, 0, MAPPO_HAS_MASK | MAPPO_HAS_ACTIVE);
    describe_number(d, DESCRIBE_OBS, "steps", 0, 1000, "time");
    describe_number(d, DESCRIBE_OBS, NULL, -INFINITY, INFINITY, "place");
    describe_choice(d, DESCRIBE_OBS, 3, 0, choices);
    describe_choice(d, DESCRIBE_ACT, 3, 1, choices);
    describe_number(d, DESCRIBE_ACT, NULL, -1, 1, "push");
    describe_number(d, DESCRIBE_ACT, NULL, 0, 4, "lift");
    describe_group(d, "judge", 1, 0, 0);
    describe_number(d, DESCRIBE_OBS, NULL, 0, INFINITY, "score");
    describe_choice(d, DESCRIBE_ACT, 2, 0, NULL);
    describe_group(d, "foe", 1, 1, 0);
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "one");
    describe_choice(d, DESCRIBE_ACT, 2, 0, NULL);
}

/* It pushes with 1/4 and lifts by the step. */
static void tape_script(const struct tape *w, const struct tape_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)rules;
    for (int a = 0; a < 2; a++) {
        act_int[PAIR][a] = 1 + a;
        act_real[PAIR][2 * a] = 0.25f;
        act_real[PAIR][2 * a + 1] = (float)(w->step < 4 ? w->step : 4);
    }
    act_int[JUDGE][0] = act_int[FOE][0] = 1;
}

LANE_PLUGIN(tape, 3, (observe, script), .id = "test/tape", .summary = "the same every time", .source = "this project", .version = 1,
            .option = options);
