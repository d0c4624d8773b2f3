/* mpe/simple_spread: what recorded trajectories don't show. Those are compared in tests/parity. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "env_play.h"
#include "envs/mpe/match.h"
#include "envs/mpe/simple_spread.h"

enum player { RANDOM, NOOP, SCRIPTED };

static void open_or_fail(struct env_batch *b, const struct env_option *option, int options, int32_t envs)
{
    const struct vecenv_config config = batch_config("mpe/simple_spread", option, options, envs);
    if (batch_open(b, &config)) fail_msg("%s", b->err.text);
}

/* Mean return of 1,000 episodes. */
static double mean_return(const char *rules, enum player player)
{
    enum { EPISODES = 1000 };
    const struct env_option option[] = {{"rules", rules}};
    static struct episode episode[EPISODES];
    struct env_batch b;
    double sum = 0;
    open_or_fail(&b, option, 1, EPISODES);
    for (int t = 0; t < 25; t++) {
        if (player == RANDOM) batch_act(&b, 5, 0, (uint64_t)t);
        if (player == SCRIPTED) assert_int_equal(vecenv_script(b.env, 0, b.envs, &b.io, &b.err), 0);
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
    }
    assert_int_equal(vecenv_take_episodes(b.env, episode, EPISODES), EPISODES);
    for (int k = 0; k < EPISODES; k++) sum += (double)episode[k].group_return[0];
    batch_close(&b);
    return sum / EPISODES;
}

/* Allowed: four standard errors of 1,000 episodes. Expected: upstream's own means, of thousands of episodes each. */
static void players_return_what_they_do_upstream(void **state)
{
    (void)state;
    assert_near(mean_return("mpe2", RANDOM), -26.42, 1.1);
    assert_near(mean_return("on-policy", RANDOM), -219.7, 6.5);
    assert_near(mean_return("on-policy", NOOP), -203.6, 6);
    assert_near(mean_return("on-policy", SCRIPTED), -110, 3);
}

/* Step 0 of every movement, from a state where nobody touches. */
static void movements_have_the_directions_that_their_names_say(void **state)
{
    (void)state;
    static const char *const sets[] = {"mpe2", "on-policy"};
    for (int set = 0; set < 2; set++) {
        for (int move = 0; move < 5; move++) {
            const struct env_option option[] = {{"rules", sets[set]}, {"N", "1"}};
            struct env_batch b;
            open_or_fail(&b, option, 2, 1);
            b.act_int[0][0] = move;
            assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
            const char *name = b.spec->group[0].act[0].meaning[move].name;
            const float *velocity = b.io.group[0].obs;
            const float x = strcmp(name, "move_right") == 0 ? 0.5f : strcmp(name, "move_left") == 0 ? -0.5f : 0;
            const float y = strcmp(name, "move_up") == 0 ? 0.5f : strcmp(name, "move_down") == 0 ? -0.5f : 0;
            assert_true(velocity[0] == x && velocity[1] == y);
            assert_true((x == 0 && y == 0) == (move == 0));
            batch_close(&b);
        }
    }
}

/* What two batches of the same size showed, bit for bit; their actions may be of different kinds. */
static void assert_same_results(const struct env_batch *a, const struct env_batch *b)
{
    const size_t rows = (size_t)a->envs * (size_t)a->size[0].agents, numbers = rows * (size_t)a->size[0].obs;
    assert_memory_equal(a->io.group[0].obs, b->io.group[0].obs, numbers * sizeof(float));
    assert_memory_equal(a->io.group[0].reward, b->io.group[0].reward, rows * sizeof(float));
    assert_memory_equal(a->io.group[0].final_obs, b->io.group[0].final_obs, numbers * sizeof(float));
    assert_memory_equal(a->io.ep_end, b->io.ep_end, (size_t)a->envs);
    assert_memory_equal(a->io.info, b->io.info, (size_t)a->envs * (size_t)a->spec->infos * sizeof(float));
}

static void continuous_one_hots_equal_discrete_actions(void **state)
{
    (void)state;
    static const char *const sets[] = {"mpe2", "on-policy"};
    for (int set = 0; set < 2; set++) {
        const struct env_option option[] = {{"rules", sets[set]}, {"continuous_actions", "1"}};
        struct env_batch discrete, continuous;
        open_or_fail(&discrete, option, 1, 4);
        open_or_fail(&continuous, option, 2, 4);
        for (int t = 0; t < 30; t++) {
            batch_act(&discrete, 9, 0, (uint64_t)t);
            for (int i = 0; i < 12; i++)
                for (int k = 0; k < 5; k++)
                    continuous.act_real[0][5 * i + k] = k == discrete.act_int[0][i] ? 3.0f : -1.0f; /* clipped to 1 and 0 */
            assert_int_equal(vecenv_step(discrete.env, &discrete.io, &discrete.err), 0);
            assert_int_equal(vecenv_step(continuous.env, &continuous.io, &continuous.err), 0);
            assert_same_results(&discrete, &continuous);
        }
        batch_close(&discrete);
        batch_close(&continuous);
    }
}

static void state_is_all_observations_in_a_row(void **state)
{
    (void)state;
    struct env_batch b;
    open_or_fail(&b, NULL, 0, 3);
    assert_int_equal(b.spec->state_is_all_obs, 1);
    for (int t = 0; t < 26; t++) {
        assert_memory_equal(b.io.state, b.io.group[0].obs, 3 * 54 * sizeof(float));
        batch_act(&b, 1, 0, (uint64_t)t);
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
        if (b.io.ep_end[0]) assert_memory_equal(b.io.final_state, b.io.group[0].final_obs, 3 * 54 * sizeof(float));
    }
    batch_close(&b);
}

/* Puts agents and landmarks of environment 0 where we want them, at rest. */
static void place(struct env_batch *b, int n, const float *agents, const float *landmarks)
{
    const size_t bytes = vecenv_snapshot_bytes(b->env), tail = 6 * (size_t)n * sizeof(float);
    const size_t padded = (sizeof(struct mpe) + tail + 7) / 8 * 8;
    unsigned char *saved = malloc(bytes);
    assert_int_equal(vecenv_snapshot(b->env, 0, 1, saved, &b->err), 0);
    float *numbers = (float *)(void *)(saved + bytes - padded + sizeof(struct mpe));
    memset(numbers, 0, 2 * (size_t)n * sizeof(float));
    memcpy(numbers + 2 * n, agents, 2 * (size_t)n * sizeof(float));
    memcpy(numbers + 4 * n, landmarks, 2 * (size_t)n * sizeof(float));
    assert_int_equal(vecenv_restore(b->env, 0, 1, saved, &b->err), 0);
    assert_int_equal(vecenv_observe(b->env, &b->io, &b->err), 0);
    free(saved);
}

static const float row_of_agents[6] = {0, 0, 0.28f, 0, 1, 0}, landmarks_away[6] = {0, 1, 0.28f, 0, 1, 0.05f};

static void rewards_follow_the_rule_set_and_its_options(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        double reward[3]; /* D = nearest distances 1 + 0 + 0.05 of agents that don't move; agents 0 and 1 touch */
    } cases[] = {{"local_ratio", "0.5", {-1.025, -1.025, -0.525}},
                 {"local_ratio", "1", {-1, -1, 0}},
                 {"local_ratio", "0", {-1.05, -1.05, -1.05}},
                 {"curriculum", "1", {-0.525, -0.525, -0.525}},
                 {"rules", "on-policy", {-6.2106, -6.2106, -6.2106}}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct env_batch b;
        const struct env_option option[] = {{cases[k].name, cases[k].value}};
        open_or_fail(&b, option, 1, 1);
        place(&b, 3, row_of_agents, landmarks_away);
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
        /* on-policy: the contact has already parted them by 0.02 each, so 3 (-1.0002 - 0.02 - 0.05) - 3, each agent touching itself */
        for (int i = 0; i < 3; i++) assert_near((double)b.io.group[0].reward[i], cases[k].reward[i], 1e-4);
        assert_int_equal((int)b.io.info[SPREAD_OCCUPIED], 2); /* two landmarks are covered */
        batch_close(&b);
    }
    const struct env_option last_stage[] = {{"curriculum", "1"}, {"curriculum_stage", "1"}};
    struct env_batch b;
    open_or_fail(&b, last_stage, 2, 1);
    place(&b, 3, row_of_agents, landmarks_away);
    assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
    assert_near((double)b.io.group[0].reward[0], -1.025, 1e-5);
    batch_close(&b);
}

static void success_ends_the_episode_only_when_asked(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        static const float agents[6] = {0, 0, 1, 0, -1, 0}, covered[6] = {1, 0.05f, 0, -0.05f, -1, 0.09f};
        const struct env_option option[] = {{"terminate_on_success", asked ? "true" : "false"}};
        struct env_batch b;
        open_or_fail(&b, option, 1, 1);
        place(&b, 3, agents, covered);
        assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
        assert_int_equal(b.io.ep_end[0], asked ? MAPPO_TERMINATED : MAPPO_RUNNING);
        for (int i = 0; i < 3; i++) assert_int_equal(b.io.group[0].terminated[i], asked);
        if (asked) assert_near((double)b.io.group[0].final_obs[2], 0, 1e-6); /* the episode's own last position, not the next one's */
        batch_close(&b);
    }
}

static void time_limit_wins_over_success_at_the_last_step(void **state)
{
    (void)state;
    static const float agents[6] = {0, 0, 1, 0, -1, 0}, covered[6] = {1, 0, 0, 0, -1, 0};
    const struct env_option option[] = {{"terminate_on_success", "1"}, {"max_cycles", "1"}};
    struct env_batch b;
    open_or_fail(&b, option, 2, 1);
    place(&b, 3, agents, covered);
    assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
    assert_int_equal(b.io.ep_end[0], MAPPO_TRUNCATED);
    assert_int_equal(b.io.group[0].terminated[0], 0);
    batch_close(&b);
}

static void neighbours_are_the_nearest_first_and_zero_padded(void **state)
{
    (void)state;
    static const float agents[8] = {0, 0, 0, 3, 1, 0, 0, -2}, landmarks[8] = {4, 0, 0, 1, -2, 0, 0, 3.5f};
    const struct env_option option[] = {{"N", "4"}, {"num_agent_neighbors", "2"}, {"num_landmark_neighbors", "6"}};
    static const float expected[4 + 12 + 4 + 4] = {0, 0, 0, 0, 0, 1, -2, 0, 0, 3.5f, 4, 0, 0, 0, 0, 0, 1, 0, 0, -2, 0, 0, 0, 0};
    struct env_batch b;
    open_or_fail(&b, option, 3, 1);
    assert_int_equal(b.size[0].obs, 24);
    place(&b, 4, agents, landmarks);
    for (int i = 0; i < 24; i++) assert_near((double)b.io.group[0].obs[i], (double)expected[i], 0);
    assert_string_equal(b.spec->group[0].obs[0].meaning[4].name, "nearest landmark 0, relative, x");
    batch_close(&b);
    /* one kind limited, the other complete */
    const struct env_option landmarks_only[] = {{"N", "4"}, {"num_landmark_neighbors", "1"}};
    open_or_fail(&b, landmarks_only, 2, 1);
    assert_int_equal(b.size[0].obs, 4 + 2 + 12);
    place(&b, 4, agents, landmarks);
    assert_near((double)b.io.group[0].obs[5], 1, 0);
    assert_near((double)b.io.group[0].obs[7], 3, 0); /* other 0 is agent 1 */
    batch_close(&b);
}

static void sizes_follow_the_number_of_agents(void **state)
{
    (void)state;
    static const char *const sizes[] = {"1", "2", "5", "64"};
    for (int k = 0; k < 4; k++) {
        const struct env_option option[] = {{"N", sizes[k]}};
        const int n = atoi(sizes[k]);
        struct env_batch b;
        open_or_fail(&b, option, 1, 2);
        assert_int_equal(b.size[0].agents, n);
        assert_int_equal(b.size[0].obs, 6 * n);
        assert_int_equal(b.spec->group[0].obs[0].meanings, 6 * n);
        for (int t = 0; t < 26; t++) {
            batch_act(&b, 2, 0, (uint64_t)t);
            assert_int_equal(vecenv_step(b.env, &b.io, &b.err), 0);
        }
        for (int i = 0; i < 2 * n * 6 * n; i++) assert_true(isfinite(b.io.group[0].obs[i]));
        assert_int_equal(vecenv_script(b.env, 0, b.envs, &b.io, &b.err), 0);
        batch_close(&b);
    }
}

/* The loops for three agents have constants in place of the rules; the general ones must give the same bits. */
static void loops_for_three_agents_equal_the_general_ones(void **state)
{
    (void)state;
    const struct env_option general[] = {{"num_agent_neighbors", "none"}, {"continuous_actions", "1"}};
    struct env_batch fast, slow;
    open_or_fail(&fast, general, 1, 8);
    open_or_fail(&slow, general, 2, 8); /* continuous actions take the general path */
    for (int t = 0; t < 60; t++) {
        batch_act(&fast, 4, 0, (uint64_t)t);
        for (int i = 0; i < 24; i++)
            for (int k = 0; k < 5; k++) slow.act_real[0][5 * i + k] = k == fast.act_int[0][i];
        assert_int_equal(vecenv_step(fast.env, &fast.io, &fast.err), 0);
        assert_int_equal(vecenv_step(slow.env, &slow.io, &slow.err), 0);
        assert_same_results(&fast, &slow);
    }
    batch_close(&fast);
    batch_close(&slow);
}

/* Beyond its reach the force is skipped: there the full formula must be exactly zero. Elsewhere it is the formula, up to the rounding of
 * the gap: half a unit in the last place of the distance is 3e-8, that is 3e-5 of the margin. */
static void contact_force_is_skipped_only_where_it_is_zero(void **state)
{
    (void)state;
    const float touch = 0.3f;
    for (float gap = 0.0f; gap < 0.3f; gap += 0.0005f) {
        float fx, fy;
        mpe_contact(touch + gap, 0, touch, &fx, &fy);
        const float x = -gap / 1e-3f, formula = float_log1p(float_exp(x)) * 1e-3f * 100;
        assert_true(fy == 0 && fabsf(fx - formula) <= 1e-3f * formula + 1e-37f);
        if (gap > 0.11f) assert_true(formula == 0 && fx == 0);
        if (gap < 0.08f) assert_true(fx > 0);
    }
    float sx = 1, sy = 1;
    mpe_contact(0, 0, touch, &sx, &sy); /* two agents in one point: no direction, no NaN */
    assert_true(sx == 0 && sy == 0);
}

/* All permutations of up to six agents. */
static double best_by_trying(int n, const float *agent, const float *target, int at, unsigned used, double sum)
{
    if (at == n) return sum;
    double best = INFINITY;
    for (int j = 0; j < n; j++) {
        if (used & 1u << j) continue;
        const double d = hypot((double)(agent[2 * at] - target[2 * j]), (double)(agent[2 * at + 1] - target[2 * j + 1]));
        best = fmin(best, best_by_trying(n, agent, target, at + 1, used | 1u << j, sum + d));
    }
    return best;
}

static void assignment_has_the_least_sum_of_distances(void **state)
{
    (void)state;
    struct philox rng;
    philox_start(&rng, 1, PHILOX_EVALUATION, 0);
    for (int trial = 0; trial < 200; trial++) {
        const int n = 1 + trial % 6;
        float agent[12], target[12];
        int chosen[6];
        double sum = 0;
        unsigned used = 0;
        for (int i = 0; i < 2 * n; i++) {
            agent[i] = philox_uniform(&rng, -1, 1);
            target[i] = philox_uniform(&rng, -1, 1);
        }
        mpe_match(n, agent, target, chosen);
        for (int i = 0; i < n; i++) {
            used |= 1u << chosen[i];
            sum += hypot((double)(agent[2 * i] - target[2 * chosen[i]]), (double)(agent[2 * i + 1] - target[2 * chosen[i] + 1]));
        }
        assert_int_equal(used, (1u << n) - 1);
        assert_near(sum, best_by_trying(n, agent, target, 0, 0, 0), 1e-5);
    }
}

struct drawn {
    int circles, views, texts;
    double x[8], y[8];
};

static void see_view(void *self, double x0, double y0, double x1, double y1)
{
    ((struct drawn *)self)->views += x0 < x1 && y0 < y1;
}

static void see_circle(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    struct drawn *drawn = self;
    (void)fill, (void)stroke;
    assert_true(radius > 0);
    drawn->x[drawn->circles] = x;
    drawn->y[drawn->circles++] = y;
}

static void see_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    struct drawn *drawn = self;
    (void)x, (void)y, (void)fill;
    assert_true(height > 0);
    assert_int_equal(text[0], '0' + drawn->texts++); /* an agent's number */
}

static void drawing_shows_agents_and_landmarks_where_they_are(void **state)
{
    (void)state;
    struct drawn drawn = {0};
    const struct mappo_canvas canvas = {.self = &drawn, .view = see_view, .circle = see_circle, .text = see_text};
    struct env_batch b;
    open_or_fail(&b, NULL, 0, 1);
    place(&b, 3, row_of_agents, landmarks_away);
    assert_int_equal(vecenv_draw(b.env, 0, &canvas, &b.err), 0);
    assert_int_equal(drawn.views, 1);
    assert_int_equal(drawn.circles, 6);
    assert_int_equal(drawn.texts, 3);
    assert_near(drawn.y[0], 1, 1e-6); /* landmarks lie under the agents */
    assert_near(drawn.x[4], 0.28, 1e-6);
    batch_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(players_return_what_they_do_upstream),
        cmocka_unit_test(movements_have_the_directions_that_their_names_say),
        cmocka_unit_test(continuous_one_hots_equal_discrete_actions),
        cmocka_unit_test(state_is_all_observations_in_a_row),
        cmocka_unit_test(rewards_follow_the_rule_set_and_its_options),
        cmocka_unit_test(success_ends_the_episode_only_when_asked),
        cmocka_unit_test(time_limit_wins_over_success_at_the_last_step),
        cmocka_unit_test(neighbours_are_the_nearest_first_and_zero_padded),
        cmocka_unit_test(sizes_follow_the_number_of_agents),
        cmocka_unit_test(loops_for_three_agents_equal_the_general_ones),
        cmocka_unit_test(contact_force_is_skipped_only_where_it_is_zero),
        cmocka_unit_test(assignment_has_the_least_sum_of_distances),
        cmocka_unit_test(drawing_shows_agents_and_landmarks_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
