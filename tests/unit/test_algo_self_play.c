/* Self-play, through the training loop's interface: who acts where, what is learned from it, what is kept. */
#include "algo_fixture.h"

#include <math.h>
#include <string.h>

#include "algo/on_policy.h"
#include "base/digest.h"

/* Of the groups of test/kitchen_sink "runner" plays itself: its actions are choices. A copy after every update, in half of the environments. */
#define SINK                                                                                                                               \
    {"env", "test/kitchen_sink"}, {"rollout.envs", "6"}, {"policy.hidden", "16"}, {"rollout.steps", "7"}, {"group.runner.play", "self"},   \
        {"group.runner.pool_interval", "1"}, {"group.runner.pool_share", "0.5"},                                                           \
    {                                                                                                                                      \
        "group.runner.pool", "3"                                                                                                           \
    }

static struct self_play *self_play_of(struct fixture *f)
{
    return &((struct on_policy *)f->algorithm->self)->rollout->self_play;
}

static struct rollout *rollout_of(struct fixture *f)
{
    return ((struct on_policy *)f->algorithm->self)->rollout;
}

/* Everything that belongs to a group and lasts. */
static uint64_t hash_of(struct fixture *f, int g)
{
    struct policy *policy = f->policies->group[g];
    policy_pull(policy);
    uint64_t hash = hash_bytes(HASH_START, policy->host.parameters, policy->size * sizeof(real));
    hash = hash_bytes(hash, policy->host.norm, (size_t)policy->sets[ROLE_CRITIC] * sizeof *policy->norm);
    for (int i = 0; i < POLICY_RUNNING; i++) {
        const struct running *running = &policy->host.running[i];
        if (running->width) hash = hash_bytes(hash, running->moments, (size_t)running_moments(running->width) * sizeof(double));
    }
    return hash;
}

/* Numbers of the rows of a group where a past self has acted (or, `home`, where none has) become others. */
static int spoil(struct fixture *f, int g, bool home)
{
    struct rollout *rollout = rollout_of(f);
    const struct transitions *x = rollout->transitions;
    const struct group_sizes *sizes = &f->policies->group[g]->sizes;
    const struct returns_group *returns = &rollout->returns->group[g];
    const int heads = log_prob_width(&f->policies->group[g]->dist, rollout->per_head);
    int rows = 0;
    for (int t = 0; t < x->config.steps; t++)
        for (int e = 0; e < x->config.envs; e++) {
            if ((self_play_of(f)->group[g].member[e] < 0) != home) continue;
            const struct policy *policy = f->policies->group[g];
            const size_t inputs = (size_t)(policy->state_rows * policy->state_size), at = (size_t)(t * x->config.envs + e) * inputs;
            for (size_t i = 0; i < inputs; i++) ((float *)(uintptr_t)rollout->inputs.group[g].current)[at + i] += 5;
            for (int a = 0; a < sizes->agents; a++, rows++) {
                const size_t row = ((size_t)t * (size_t)x->config.envs + (size_t)e) * (size_t)sizes->agents + (size_t)a;
                returns->advantage[row] = (real)(1000 + rows);
                returns->ret[row] = (real)(-500 - rows);
                if (returns->discounted) returns->discounted[row] = 77;
                for (int i = 0; i < sizes->obs; i++) x->all.group[g].obs[row * (size_t)sizes->obs + (size_t)i] += 3;
                for (int h = 0; h < heads; h++) rollout->log_prob[g][row * (size_t)heads + (size_t)h] = (real)(home ? -1 : -300);
            }
        }
    return rows;
}

static void iterate_spoilt(struct fixture *f, int g, bool home)
{
    struct error err = {0};
    struct algorithm *a = f->algorithm;
    assert_int_equal(a->ops->collect(a, &err), 0);
    assert_int_equal(a->ops->finish(a, &err), 0);
    assert_true(spoil(f, g, home) > 0);
    assert_int_equal(a->ops->update(a, &err), 0);
    if (a->ops->outcome(a, &err)) fail_msg("%s", err.text);
}

/* In all kinds of updates; metrics as well. */
static void a_group_learns_nothing_where_a_past_self_acts(void **state)
{
    (void)state;
    static const char *const keys[][2] = {{"algo", "mappo"},
                                          {"algo", "ippo"},
                                          {"algo", "coppo"},
                                          {"ppo.objective", "clip_kl"},
                                          {"norm.obs", "running"},
                                          {"norm.reward", "running"},
                                          {"ppo.minibatch_unit", "row"},
                                          {"policy.share", "0"},
                                          {"critic.share", "0"},
                                          {"ppo.minibatch_size", "14"},
                                          {"norm.value", "popart"},
                                          {"ppo.normalise_advantage", "minibatch"},
                                          {"ppo.ratio", "per_head"},
                                          {"policy", "gru"},
                                          {"critic.state", "concat"},
                                          {"ppo.target_kl", "0.01"},
                                          {"ppo.policy_active_masks", "0"},
                                          {"ppo.value_active_masks", "0"},
                                          {"ppo.minibatches", "1"}};
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        const struct settings settings = {.key = {SINK, {"ppo.chunk", "3"}, {"ppo.minibatches", "3"}, {keys[k][0], keys[k][1]}}};
        struct fixture f[3]; /* as it is; with other numbers in rows of past selves; in its own */
        struct metric metric[3][64];
        int count = 0;
        for (int i = 0; i < 3; i++) {
            struct error err = {0};
            start(&f[i], &settings);
            if (iterate(&f[i], 2, &err)) fail_msg("%s=%s: %s", keys[k][0], keys[k][1], err.text);
            if (i == 0) assert_int_equal(iterate(&f[i], 1, &err), 0);
            if (i > 0) iterate_spoilt(&f[i], 0, i == 2);
            count = f[i].algorithm->ops->metrics(f[i].algorithm, metric[i], 64);
        }
        if (hash_of(&f[1], 0) != hash_of(&f[0], 0)) fail_msg("%s=%s: it has learned from past selves", keys[k][0], keys[k][1]);
        if (hash_of(&f[2], 0) == hash_of(&f[0], 0)) fail_msg("%s=%s: it has learned nothing from itself", keys[k][0], keys[k][1]);
        for (int i = 0; i < count; i++)
            if (metric[0][i].value != metric[1][i].value &&
                !strchr(metric[0][i].name, '/')) /* all are numbers here; others' critics see it all */
                fail_msg("%s=%s: %s is %g, with other past selves %g", keys[k][0], keys[k][1], metric[0][i].name, metric[0][i].value,
                         metric[1][i].value);
        for (int i = 0; i < 3; i++) close_fixture(&f[i]);
    }
}

/* Members that always make the same choice, one that the others don't. */
static void set_member(struct fixture *f, int k, int choice)
{
    const struct policy *policy = f->policies->group[0];
    const struct network *net = &policy->net[ROLE_ACTOR];
    real *actor = self_play_of(f)->group[0].actors + (size_t)k * policy_actor_size(policy);
    for (int o = 0; o < policy->dist.head[0].size; o++) {
        memset(actor + net->at.head_weight + o * net->hidden, 0, (size_t)net->hidden * sizeof(real));
        actor[net->at.head_bias + o] = o == choice ? (real)60 : (real)0;
    }
}

static void the_drawn_member_acts_for_a_whole_rollout(void **state)
{
    (void)state;
    for (int where = 0; where < 2; where++) {
        const struct settings settings = {
            .key = {SINK, {"rollout.envs", "40"}}, .shards = where ? 2 : 1, .where = where ? COLLECT_STAGED : COLLECT_DIRECT};
        struct fixture f;
        struct error err = {0};
        int of_member[4] = {0}, other = 0;
        start(&f, &settings);
        assert_int_equal(iterate(&f, 3, &err), 0);
        for (int k = 0; k < 3; k++) set_member(&f, k, k);
        self_play_push(self_play_of(&f));
        assert_int_equal(f.algorithm->ops->collect(f.algorithm, &err), 0);
        const struct transitions *x = rollout_of(&f)->transitions;
        const struct mappo_group_io *runner = &x->all.group[0];
        const struct group_sizes *sizes = &f.policies->group[0]->sizes;
        for (int row = 0; row < x->config.steps * x->config.envs * sizes->agents; row++) {
            const int member = self_play_of(&f)->group[0].member[row / sizes->agents % x->config.envs];
            const int act = runner->act_int[row * sizes->act_ints] - f.policies->group[0]->dist.head[0].start;
            assert_in_range(member + 1, 0, 3);
            of_member[member + 1]++;
            if (member < 0) other += act != 0;
            const uint8_t *mask = runner->act_mask ? runner->act_mask + (size_t)row * (size_t)sizes->logits : NULL;
            if (member >= 0 && (!mask || mask[f.policies->group[0]->dist.head[0].mask + member]) && act != member)
                fail_msg("row %d: member %d has chosen %d", row, member, act);
        }
        for (int k = 0; k < 4; k++) assert_true(of_member[k] > 0);
        assert_true(other > 0);
        close_fixture(&f);
    }
}

/* Which copies are kept is a fair sample; with one updates' number each. */
static void a_pool_is_a_fair_sample_of_all_copies(void **state)
{
    (void)state;
    enum { COPIES = 40, SEEDS = 150, ROOM = 8 };
    double late = 0, mean = 0;
    for (int seed = 0; seed < SEEDS; seed++) {
        struct self_play_group *of;
        struct fixture f;
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        const struct settings settings = {
            .key = {SINK, {"group.runner.pool", "8"}, {"rollout.envs", "1"}, {"policy.layers", "1"}, {"seed", text}}};
        start(&f, &settings);
        of = &self_play_of(&f)->group[0];
        for (int u = 1; u <= COPIES; u++) {
            self_play_learned(self_play_of(&f), u);
            assert_int_equal(of->taken, u);
            for (int k = 0; k < ROOM && u <= ROOM; k++) assert_int_equal(of->update[k], k < u ? k + 1 : 0); /* the first all have room */
        }
        for (int k = 0; k < ROOM; k++) {
            for (int other = 0; other < k; other++) assert_true(of->update[k] != of->update[other]);
            late += of->update[k] > COPIES / 2;
            mean += (double)of->update[k];
        }
        close_fixture(&f);
    }
    const double n = SEEDS * ROOM; /* 1200 draws: half of them late, with a deviation of 1.4 %; their mean 20.5 with one of 0.33 */
    if (fabs(late / n - 0.5) > 0.06 || fabs(mean / n - 20.5) > 1.4) fail_msg("late %g, mean %g", late / n, mean / n);
}

static void shares_are_kept_and_one_group_is_away_at_most(void **state)
{
    (void)state;
    const struct settings settings = {.key = {SINK,
                                              {"rollout.envs", "5000"},
                                              {"rollout.steps", "1"},
                                              {"group.watcher.play", "self"},
                                              {"group.watcher.pool_interval", "1"},
                                              {"group.watcher.pool_share", "0.125"}}};
    struct fixture f;
    struct error err = {0};
    int away[2] = {0};
    start(&f, &settings);
    assert_int_equal(f.algorithm->ops->collect(f.algorithm, &err), 0);
    const struct self_play *s = self_play_of(&f);
    for (int e = 0; e < 5000; e++) assert_true(s->group[0].member[e] == -1 && s->group[1].member[e] == -1); /* no past yet */
    for (int g = 0; g < 2; g++) self_play_learned(self_play_of(&f), 1);
    assert_int_equal(f.algorithm->ops->collect(f.algorithm, &err), 0);
    for (int e = 0; e < 5000; e++) {
        assert_true(s->group[0].member[e] == -1 || s->group[1].member[e] == -1);
        for (int g = 0; g < 2; g++) away[g] += s->group[g].member[e] >= 0;
    }
    /* Deviations are 0.7 % and 0.5 %. */
    if (fabs(away[0] / 5000.0 - 0.5) > 0.03 || fabs(away[1] / 5000.0 - 0.125) > 0.02) fail_msg("away: %d and %d of 5000", away[0], away[1]);
    close_fixture(&f);
}

static void it_continues_and_is_cut_without_a_change_of_a_bit(void **state)
{
    (void)state;
    static const char *const keys[][2] = {{"norm.obs", "running"}, {"policy", "gru"}, {"policy.share", "0"}};
    for (int k = 0; k < 3; k++) {
        struct settings settings = {.key = {{"env", "mpe/simple_tag"},
                                            {"rollout.envs", "6"},
                                            {"rollout.steps", "7"},
                                            {"ppo.chunk", "3"},
                                            {"policy.hidden", "16"},
                                            {"adam.lr", "0.05"}, /* past selves are to differ */
                                            {"group.adversary.play", "self"},
                                            {"group.adversary.pool", "3"},
                                            {"group.adversary.pool_interval", "1"},
                                            {"group.adversary.pool_share", "0.5"},
                                            {"group.agent.play", "self"},
                                            {"group.agent.pool_interval", "2"},
                                            {"group.agent.pool_share", "0.4"},
                                            {keys[k][0], keys[k][1]}}};
        check_continuing(&settings);
        const uint64_t direct = hash_after(&settings, 5);
        settings.threads = 2;
        assert_true(hash_after(&settings, 5) == direct);
        settings.where = COLLECT_STAGED;
        assert_true(hash_after(&settings, 5) == direct);
        struct settings other = settings;
        other.key[7][1] = "1"; /* another pool is another run */
        assert_true(hash_after(&other, 5) != direct);
    }
}

static void who_begins_to_act_remembers_nothing(void **state)
{
    (void)state;
    const struct settings settings = {.key = {SINK, {"ppo.chunk", "3"}, {"rollout.envs", "20"}, {"policy", "gru"}}};
    struct fixture f;
    struct error err = {0};
    int kept = 0, gone = 0, before[20];
    start(&f, &settings);
    assert_int_equal(iterate(&f, 3, &err), 0);
    const struct self_play_group *of = &self_play_of(&f)->group[0];
    const struct states *states = &rollout_of(&f)->states;
    const struct states_role *actor = &states->group[0][ROLE_ACTOR];
    const int width = actor->rows * actor->hidden;
    for (int e = 0; e < 20; e++) before[e] = of->member[e];
    assert_int_equal(f.algorithm->ops->collect(f.algorithm, &err), 0);
    for (int e = 0; e < 20; e++) {
        double sum = 0;
        for (int i = 0; i < width; i++) sum += fabs((double)states_at(states, 0, ROLE_ACTOR, 0)[e * width + i]);
        const bool anew = before[e] >= 0 || of->member[e] >= 0;
        assert_true(anew ? sum == 0 : sum > 0);
        kept += !anew;
        gone += anew;
    }
    assert_true(kept > 0 && gone > 0);
    close_fixture(&f);
}

static void expect_refused(const char *key, const char *value, const char *other, const char *its, const char *text)
{
    struct fixture f;
    struct error err = {0};
    if (open_fixture(&f, &(struct settings){.key = {SINK, {key, value}, {other, its}}}, &err) != EXIT_USAGE || !strstr(err.text, text))
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
    close_fixture(&f);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    expect_refused("algo", "happo", "seed", "1", "algo=happo doesn't tell a group's steps from those of its past selves");
    expect_refused("algo", "ddpg", "seed", "1", "these do: mappo, ippo, coppo, ppo");
    expect_refused("group.watcher.play", "random", "seed", "1", "group.runner.play=self: no other group learns here");
    expect_refused("group.runner.pool_share", "1", "seed", "1", "it would learn nothing: less than 1");
    expect_refused("group.watcher.play", "self", "group.watcher.pool_share", "0.6",
                   "group.runner.pool_share=0.5 group.watcher.pool_share=0.6: past selves act for one group at most");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_group_learns_nothing_where_a_past_self_acts),
                                       cmocka_unit_test(the_drawn_member_acts_for_a_whole_rollout),
                                       cmocka_unit_test(a_pool_is_a_fair_sample_of_all_copies),
                                       cmocka_unit_test(shares_are_kept_and_one_group_is_away_at_most),
                                       cmocka_unit_test(it_continues_and_is_cut_without_a_change_of_a_bit),
                                       cmocka_unit_test(who_begins_to_act_remembers_nothing),
                                       cmocka_unit_test(what_makes_no_sense_is_refused)};
    return cmocka_run_group_tests_name("self-play", tests, NULL, NULL);
}
