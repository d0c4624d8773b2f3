/* One step with a known best policy. The agent sees which of two tasks it has, and pays k / 2 · (a − m)²: the first task forgives much (k = 1,
 * m = −1/2), the second little (k = 16, m = 1/2). With an entropy bonus c · H the best Gaussian has mean m and variance c / k. */
#include "env/lane_env.h"

struct precision_rules {
    int64_t unused;
};

struct precision {
    struct philox rng;
    int32_t second, spare;
};

MAPPO_FN void precision_reset(struct precision *w, const struct precision_rules *rules)
{
    (void)rules;
    w->second = philox_below(&w->rng, 2);
}

MAPPO_FN int precision_step(struct precision *w, const struct precision_rules *rules, const struct rule_io *io)
{
    (void)rules;
    const struct rule_group_io *agent = &io->group[0];
    const rule_real off = (rule_real)agent->act_real[0] - (w->second ? (rule_real)0.5 : (rule_real)-0.5);
    if (agent->reward) agent->reward[0] = -(w->second ? (rule_real)8 : (rule_real)0.5) * off * off;
    if (agent->terminated) agent->terminated[0] = 1;
    return MAPPO_TERMINATED;
}

MAPPO_FN void precision_observe(const struct precision *w, const struct precision_rules *rules, const struct rule_io *io)
{
    (void)rules;
    if (io->group[0].obs) io->group[0].obs[0] = w->second ? 1 : -1;
}

static const struct mappo_option options[] = {{NULL, 0, NULL, 0, 0, NULL, NULL}};

static int precision_configure(struct precision_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    (void)rules, (void)option, (void)error;
    return 0;
}

static void precision_describe(struct description *d, const struct precision_rules *rules)
{
    (void)rules;
    d->spec.max_steps = 1;
    describe_group(d, "agent", 1, 0, 0);
    describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "task");
    describe_number(d, DESCRIBE_ACT, NULL, -100, 100, "answer");
}

LANE_PLUGIN(precision, 1, (observe), .id = "test/precision", .summary = "a task that wants precision, and one that doesn't", .version = 1,
            .option = options);
