/* Rock, paper, scissors of two groups, "left" and "right", one throw an episode. A rock that breaks scissors is worth 3, other wins 1, to the loser as
 * much less: in equilibrium either shows rock with 1/5, paper with 3/5, scissors with 1/5, and nothing else is safe. */
#include "env/lane_env.h"

struct hands_rules {
    int32_t nothing;
};
struct hands {
    struct philox rng;
    int32_t throws;
};

MAPPO_FN void hands_reset(struct hands *w, const struct hands_rules *rules)
{
    (void)rules;
    w->throws = 0;
}

MAPPO_FN int hands_step(struct hands *w, const struct hands_rules *rules, const struct rule_io *io)
{
    const float paid[3][3] = {{0, -1, 3}, {1, 0, -1}, {-3, 1, 0}}; /* rock, paper, scissors against these */
    const float left = paid[io->group[0].act_int[0]][io->group[1].act_int[0]];
    (void)rules;
    w->throws++;
    for (int g = 0; g < 2; g++) {
        if (io->group[g].reward) io->group[g].reward[0] = g ? -left : left;
        if (io->group[g].terminated) io->group[g].terminated[0] = 0;
    }
    return MAPPO_TERMINATED;
}

MAPPO_FN void hands_observe(const struct hands *w, const struct hands_rules *rules, const struct rule_io *io)
{
    (void)w, (void)rules;
    for (int g = 0; g < 2; g++)
        if (io->group[g].obs) io->group[g].obs[0] = 1;
}

static int hands_configure(struct hands_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    (void)option, (void)error;
    rules->nothing = 0;
    return 0;
}

static void hands_describe(struct description *d, const struct hands_rules *rules)
{
    static const char *const choices[] = {"rock", "paper", "scissors"}, *const sides[] = {"left", "right"};
    (void)rules;
    d->spec.max_steps = 1;
    for (int g = 0; g < 2; g++) {
        describe_group(d, sides[g], 1, g, 0);
        describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "one");
        describe_choice(d, DESCRIBE_ACT, 3, 0, choices);
    }
}

LANE_PLUGIN(hands, 2, (observe), .id = "test/hands", .summary = "rock, paper, scissors", .source = "this project", .version = 1);
