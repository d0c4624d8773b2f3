/* smax/battle: what recorded steps don't show. Those are compared in tests/parity. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "env/registry.h"
#include "envs/smax/battle.h"
#include "env_refusals.h"

/* One battle whose state can be written. */
struct battle {
    struct env_batch b;
    struct smax_rules rules; /* its numbers of units */
    struct smax_units u;     /* of what was taken out of it last */
    struct smax *state;
    unsigned char *snapshot;
};

static void open_battles(struct battle *battle, const struct env_option *option, int options, int32_t allies, int32_t enemies, int32_t envs)
{
    const struct vecenv_config config = batch_config("smax/battle", option, options, envs);
    memset(battle, 0, sizeof *battle);
    if (batch_open(&battle->b, &config)) fail_msg("%s", battle->b.err.text);
    battle->rules.allies = allies;
    battle->rules.enemies = enemies;
    assert_int_equal(battle->b.spec->snapshot_bytes, smax_bytes(&battle->rules));
    battle->snapshot = malloc(vecenv_snapshot_bytes(battle->b.env));
}

static void take(struct battle *battle, int32_t e)
{
    const size_t all = vecenv_snapshot_bytes(battle->b.env);
    assert_int_equal(vecenv_snapshot(battle->b.env, e, e + 1, battle->snapshot, &battle->b.err), 0);
    battle->state = (struct smax *)(void *)(battle->snapshot + all - battle->b.spec->snapshot_bytes);
    battle->u = smax_units_of(battle->state, &battle->rules);
}

static void put(struct battle *battle)
{
    if (vecenv_restore(battle->b.env, 0, 1, battle->snapshot, &battle->b.err)) fail_msg("%s", battle->b.err.text);
    assert_int_equal(vecenv_observe(battle->b.env, &battle->b.io, &battle->b.err), 0);
}

static void step(struct battle *battle)
{
    assert_int_equal(vecenv_step(battle->b.env, &battle->b.io, &battle->b.err), 0);
}

static void close_battles(struct battle *battle)
{
    batch_close(&battle->b);
    free(battle->snapshot);
}

/* Marines: allies in a row at y = 10 and enemies 4 above them, 3 apart, all ready to fire. */
static void open_rows(struct battle *battle, const struct env_option *more, int allies, int enemies)
{
    char text[2][16];
    struct env_option option[3] = {{"allies", text[0]}, {"enemies", text[1]}, more ? *more : (struct env_option){"max_steps", "100"}};
    snprintf(text[0], sizeof text[0], "%dmarine", allies);
    snprintf(text[1], sizeof text[1], "%dmarine", enemies);
    open_battles(battle, option, 3, allies, enemies, 1);
    take(battle, 0);
    for (int i = 0; i < allies + enemies; i++) {
        battle->u.x[i] = 5 + 3 * (float)(i < allies ? i : i - allies);
        battle->u.y[i] = i < allies ? 10 : 14;
    }
    for (int i = 0; i < allies; i++) battle->b.act_int[0][i] = SMAX_STOP;
}

static void kill(struct battle *battle, int i)
{
    battle->u.health[i] = 0;
    battle->u.alive[i] = 0;
}

static void assert_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-6)) fail_msg("%.7f, expected %.7f", found, expected);
}

/* ---- promises ------------------------------------------------------------------------------------------------------- */

static void masks_allow_attacks_on_the_living_in_range(void **state)
{
    (void)state;
    struct battle battle;
    open_rows(&battle, NULL, 3, 3);
    kill(&battle, 4);
    put(&battle);
    /* a marine reaches 5: enemy 0 is 4 off, enemy 1 is dead, enemy 2 is 7.2 off */
    static const uint8_t expected[3][8] = {{1, 1, 1, 1, 1, 1, 0, 0}, {1, 1, 1, 1, 1, 0, 0, 0}, {1, 1, 1, 1, 1, 0, 0, 1}};
    assert_memory_equal(battle.b.io.group[0].act_mask, expected, 3 * 8); /* enemy 0 is 5 from ally 1, which is not less than 5 */
    battle.u.y[1] = 10.01f;
    put(&battle);
    assert_int_equal(battle.b.io.group[0].act_mask[8 + 5], 1);
    close_battles(&battle);
}

static void the_dead_see_nothing_may_only_stop_and_share_the_reward(void **state)
{
    (void)state;
    struct battle battle;
    open_rows(&battle, NULL, 3, 3);
    kill(&battle, 1);
    put(&battle);
    const struct mappo_group_io *io = &battle.b.io.group[0];
    static const uint8_t active[3] = {1, 0, 1}, mask[8] = {0, 0, 0, 0, 1, 0, 0, 0};
    assert_memory_equal(io->active, active, 3);
    assert_memory_equal(io->act_mask + 8, mask, 8);
    for (int k = 0; k < 75; k++) assert_true(io->obs[75 + k] == 0);
    for (int k = 0; k < 13; k++) assert_true(io->obs[k] == 0); /* nor is it seen, by ally 0 */
    assert_true(io->obs[13] == 1);                             /* ally 2 is */
    battle.b.act_int[0][0] = SMAX_MOVES;
    battle.b.act_int[0][1] = 12345; /* arbitrary */
    step(&battle);
    assert_near((double)io->reward[0], 9.0 / 45 / 3);
    assert_true(io->reward[1] == io->reward[0] && io->reward[2] == io->reward[0]);
    assert_int_equal(io->terminated[1], 0);
    assert_int_equal(io->active[1], 0);
    take(&battle, 0);
    assert_int_equal(battle.u.action[1], SMAX_STOP);
    close_battles(&battle);
}

static void one_that_falls_is_absent_but_not_terminated(void **state)
{
    (void)state;
    struct battle battle;
    open_rows(&battle, NULL, 2, 1);
    battle.u.health[0] = 5;
    put(&battle);
    step(&battle); /* the enemy stands above ally 0 */
    assert_int_equal(battle.b.io.ep_end[0], MAPPO_RUNNING);
    assert_int_equal(battle.b.io.group[0].active[0], 0);
    assert_int_equal(battle.b.io.group[0].active[1], 1);
    assert_int_equal(battle.b.io.group[0].terminated[0], 0);
    assert_true(battle.b.io.info[SMAX_DEAD_ALLIES] == 1);
    close_battles(&battle);
}

static void a_victory_pays_the_bonus_and_a_draw_does_not(void **state)
{
    (void)state;
    static const struct {
        struct env_option option;
        float cooldown; /* of the enemy, who has 5 points left, as the ally has */
        float victory;
    } cases[] = {{{"won_battle_bonus", "1"}, 1, 1},
                 {{"won_battle_bonus", "2.5"}, 1, 2.5f},
                 {{"won_battle_bonus", "1"}, 0, 0},
                 {{"use_self_play_reward", "1"}, 1, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct battle battle;
        open_rows(&battle, &cases[k].option, 1, 1);
        battle.u.health[0] = battle.u.health[1] = 5;
        battle.u.cooldown[1] = cases[k].cooldown;
        put(&battle);
        battle.b.act_int[0][0] = SMAX_MOVES;
        step(&battle);
        assert_int_equal(battle.b.io.ep_end[0], MAPPO_TERMINATED);
        assert_near((double)battle.b.io.group[0].reward[0], (k == 3 ? 0 : 5.0 / 45) + (double)cases[k].victory);
        assert_true(battle.b.io.info[SMAX_BATTLE_WON] == (cases[k].victory > 0));
        assert_true(battle.b.io.info[SMAX_DEAD_ENEMIES] == 1);
        close_battles(&battle);
    }
}

static void a_defeat_costs_the_bonus_under_the_reward_of_self_play(void **state)
{
    (void)state;
    for (int self_play = 0; self_play < 2; self_play++) {
        const struct env_option option = {"use_self_play_reward", self_play ? "1" : "0"};
        struct battle battle;
        open_rows(&battle, &option, 1, 1);
        battle.u.health[0] = 5;
        put(&battle);
        step(&battle);
        assert_int_equal(battle.b.io.ep_end[0], MAPPO_TERMINATED);
        assert_near((double)battle.b.io.group[0].reward[0], self_play ? -1 : 0);
        close_battles(&battle);
    }
}

static void an_undecided_battle_has_a_step_more_than_max_steps(void **state)
{
    (void)state;
    static const char *const limits[] = {"100", "7"};
    for (int k = 0; k < 2; k++) {
        const struct env_option option[] = {{"enemy_shoots", "0"}, {"max_steps", limits[k]}};
        const int steps = atoi(limits[k]) + 1;
        struct battle battle;
        open_battles(&battle, option, 2, 5, 5, 1);
        assert_int_equal(battle.b.spec->max_steps, steps);
        for (int i = 0; i < 5; i++) battle.b.act_int[0][i] = SMAX_STOP;
        for (int t = 1; t <= steps; t++) {
            step(&battle);
            assert_int_equal(battle.b.io.ep_end[0], t == steps ? MAPPO_TRUNCATED : MAPPO_RUNNING);
        }
        close_battles(&battle);
    }
}

static void the_edge_of_the_map_kills_unless_told_otherwise(void **state)
{
    (void)state;
    for (int kills = 0; kills < 2; kills++) {
        const struct env_option option = {"walls_cause_death", kills ? "1" : "0"};
        struct battle battle;
        open_rows(&battle, &option, 2, 1);
        battle.u.y[0] = 1.5f; /* a marine walks 1.575 a step */
        battle.u.y[1] = 1.6f;
        battle.u.y[2] = 30;
        put(&battle);
        battle.b.act_int[0][0] = battle.b.act_int[0][1] = 2; /* south */
        step(&battle);
        assert_int_equal(battle.b.io.group[0].active[0], !kills);
        assert_int_equal(battle.b.io.group[0].active[1], 1);
        take(&battle, 0);
        assert_true(battle.u.y[0] == 0 && battle.u.y[1] > 0.02f && battle.u.y[1] < 0.03f);
        close_battles(&battle);
    }
}

static void a_weapon_cools_before_it_fires_again(void **state)
{
    (void)state;
    const struct env_option option = {"enemy_shoots", "0"};
    struct battle battle;
    open_rows(&battle, &option, 1, 1);
    battle.u.goal_y[1] = battle.u.y[1];
    put(&battle);
    battle.b.act_int[0][0] = SMAX_MOVES;
    float left[3];
    for (int t = 0; t < 3; t++) {
        take(&battle, 0);
        battle.u.x[1] = 5, battle.u.y[1] = 14; /* it comes nearer */
        put(&battle);
        step(&battle);
        take(&battle, 0);
        left[t] = battle.u.health[1];
    }
    /* every 0.61 s, -0.06 to +0.12: not twice in the first half second, and once in each of the next */
    assert_true(left[0] == 36 && left[1] == 27 && left[2] <= 18 && left[2] >= 9);
    close_battles(&battle);
}

/* Enemies count allies backwards. */
static void enemies_keep_their_target_and_else_take_the_nearest(void **state)
{
    (void)state;
    static const struct {
        int32_t before, after;                           /* actions of the enemy */
        float far;                                       /* of ally 0: that far to the left of the enemy */
        int dead;                                        /* ally 0 */
    } cases[] = {{SMAX_STOP, SMAX_MOVES + 1, 0, 0},      /* nobody before: ally 1 of 3 is nearest */
                 {SMAX_MOVES + 2, SMAX_MOVES + 2, 0, 0}, /* ally 0, who is still in range */
                 {SMAX_MOVES + 2, SMAX_MOVES + 1, 4, 0}, /* out of range */
                 {SMAX_MOVES + 2, SMAX_MOVES + 1, 0, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct battle battle;
        open_rows(&battle, NULL, 3, 1);
        battle.u.x[3] = 7; /* allies are at 5, 8 and 11, and 4 below */
        battle.u.x[0] -= cases[k].far;
        battle.u.action[3] = cases[k].before;
        if (cases[k].dead) kill(&battle, 0);
        put(&battle);
        step(&battle);
        take(&battle, 0);
        assert_int_equal(battle.u.action[3], cases[k].after);
        close_battles(&battle);
    }
}

static void enemies_walk_to_whom_they_see_and_else_across_the_map(void **state)
{
    (void)state;
    struct battle battle;
    open_rows(&battle, NULL, 1, 1);
    battle.u.x[0] = 13.5f, battle.u.y[0] = 13; /* seen from 5, 14, and not in range */
    put(&battle);
    step(&battle);
    take(&battle, 0);
    assert_int_equal(battle.u.action[1], 1); /* east */
    battle.u.x[0] = 25;                      /* out of sight */
    battle.u.goal_x[1] = battle.u.x[1];
    battle.u.goal_y[1] = 2;
    put(&battle);
    step(&battle);
    take(&battle, 0);
    assert_int_equal(battle.u.action[1], 2); /* south */
    close_battles(&battle);
}

static void actions_of_enemies_are_seen_unless_hidden(void **state)
{
    (void)state;
    for (int seen = 0; seen < 2; seen++) {
        const struct env_option option = {"see_enemy_actions", seen ? "1" : "0"};
        struct battle battle;
        open_rows(&battle, &option, 2, 1);
        battle.u.action[2] = SMAX_MOVES + 1;
        battle.u.action[1] = 3; /* west */
        put(&battle);
        const float *obs = battle.b.io.group[0].obs;
        assert_true(obs[3] == -1 && obs[4] == 0 && obs[5] == 0);                                  /* the ally's */
        assert_near((double)obs[13 + 5], seen ? (double)(SMAX_MOVES + 1) / (SMAX_MOVES + 1) : 0); /* the enemy's: the last of 7 actions */
        close_battles(&battle);
    }
}

/* Of 400 episodes: as many enemies as allies of each type; mirrored, or one side in the middle. */
static void smacv2_draws_types_and_positions(void **state)
{
    (void)state;
    enum { EPISODES = 400, N = 5 };
    static const struct env_option option[] = {{"smacv2_position_generation", "1"}, {"smacv2_unit_type_generation", "1"}};
    struct battle battle;
    int types[SMAX_TYPES] = {0}, mirrored = 0, mirror_of[N] = {0}, inside[2] = {0};
    open_battles(&battle, option, 2, N, N, EPISODES);
    for (int e = 0; e < EPISODES; e++) {
        int pairs = 0, middle[2] = {0};
        take(&battle, e);
        for (int i = 0; i < N; i++) {
            const struct smax_units *u = &battle.u;
            assert_int_equal(u->type[i], u->type[N + i]);
            types[u->type[i]]++;
            const int pair = fabsf(u->x[i] + u->x[N + i] - 32) < 0.01f && fabsf(u->y[i] - u->y[N + i]) < 0.01f; /* unless it was pushed */
            pairs += pair;
            mirror_of[i] += pair;
        }
        for (int i = 0; i < 2 * N; i++) middle[i / N] += fabsf(battle.u.x[i] - 16) < 3.5f && fabsf(battle.u.y[i] - 16) < 3.5f;
        if (pairs >= 2)
            mirrored++;
        else
            for (int side = 0; side < 2; side++) inside[side] += middle[side] == N && middle[1 - side] < N;
    }
    for (int k = 0; k < SMAX_TYPES; k++)
        assert_in_range(types[k], EPISODES * N / 6 - 70, EPISODES * N / 6 + 70); /* 4 standard deviations */
    assert_in_range(mirrored, EPISODES / 2 - 40, EPISODES / 2 + 40);
    for (int i = 0; i < N; i++) assert_in_range(mirror_of[i], mirrored * 8 / 10, mirrored);
    for (int side = 0; side < 2; side++) assert_in_range(inside[side], EPISODES / 4 - 40, EPISODES / 4 + 40);
    close_battles(&battle);
}

static void teams_are_read_as_they_are_written(void **state)
{
    (void)state;
    static const struct env_option option[] = {{"allies", "1marauder,2zergling,1hydralisk"}, {"enemies", "10zealot"}};
    static const int32_t types[] = {1, 4, 4, 5, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3};
    struct battle battle;
    open_battles(&battle, option, 2, 4, 10, 1);
    take(&battle, 0);
    assert_memory_equal(battle.u.type, types, sizeof types);
    close_battles(&battle);
    static const struct {
        const char *text, *says;
    } wrong[] = {{"3marines", "\"marines\" is no type of unit"}, {"marine", "does not begin with a number"},
                 {"2stalker,", "does not begin with a number"},  {"0marine", "does not begin with a number"},
                 {"60marine,5zealot", "1 to 64 in all"},         {"99999999999999999999marine", "1 to 64 in all"},
                 {"3 marine", "\" marine\" is no type of unit"}};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        struct error err;
        assert_int_not_equal(open_with("smax/battle", "enemies", wrong[k].text, &err), 0);
        assert_says(&err, wrong[k].says);
        assert_says(&err, "option enemies");
    }
}

/* Expected: 2,048 episodes of JaxMARL's HeuristicEnemySMAX. Allowed: four standard errors of the difference. */
static void random_players_return_what_they_do_upstream(void **state)
{
    (void)state;
    enum { EPISODES = 2000 };
    static const struct {
        const char *map;
        double mean, mean_allowed, length, length_allowed;
    } cases[] = {{"smax/3m", 0.1778, 0.012, 17.78, 0.46}, {"smax/smacv2_5_units", 0.2591, 0.023, 35.93, 1.95}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct env_variant *map = registry_variant(cases[k].map);
        static bool over[EPISODES];
        struct battle battle;
        double sum = 0;
        int left = EPISODES, steps = 0;
        const int agents = k ? 5 : 3;
        memset(over, 0, sizeof over);
        open_battles(&battle, map->option, map->options, agents, agents, EPISODES);
        for (int t = 0; left > 0; t++) {
            batch_act(&battle.b, 5, 0, (uint64_t)t);
            step(&battle);
            for (int e = 0; e < EPISODES; e++) {
                if (over[e]) continue;
                steps++;
                sum += (double)battle.b.io.group[0].reward[e * agents];
                over[e] = battle.b.io.ep_end[e] != MAPPO_RUNNING;
                left -= over[e];
            }
        }
        if (fabs(sum / EPISODES - cases[k].mean) > cases[k].mean_allowed) fail_msg("%s: mean return %.4f", cases[k].map, sum / EPISODES);
        if (fabs((double)steps / EPISODES - cases[k].length) > cases[k].length_allowed)
            fail_msg("%s: mean length %.2f", cases[k].map, (double)steps / EPISODES);
        close_battles(&battle);
    }
}

/* A file may be damaged: kinds and actions are indices. */
static void damaged_states_are_refused(void **state)
{
    (void)state;
    for (int k = 0; k < 6; k++) {
        struct battle battle;
        open_rows(&battle, NULL, 3, 3);
        if (k == 0) battle.u.type[2] = SMAX_TYPES;
        if (k == 1) battle.u.action[0] = SMAX_MOVES + 3;
        if (k == 2) battle.u.x[1] = NAN;
        if (k == 3) battle.u.alive[5] = 0;
        if (k == 4) battle.u.action[4] = -1;
        if (k == 5) battle.state->steps = 102;
        assert_int_not_equal(vecenv_restore(battle.b.env, 0, 1, battle.snapshot, &battle.b.err), 0);
        close_battles(&battle);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_allow_attacks_on_the_living_in_range),
        cmocka_unit_test(the_dead_see_nothing_may_only_stop_and_share_the_reward),
        cmocka_unit_test(one_that_falls_is_absent_but_not_terminated),
        cmocka_unit_test(a_victory_pays_the_bonus_and_a_draw_does_not),
        cmocka_unit_test(a_defeat_costs_the_bonus_under_the_reward_of_self_play),
        cmocka_unit_test(an_undecided_battle_has_a_step_more_than_max_steps),
        cmocka_unit_test(the_edge_of_the_map_kills_unless_told_otherwise),
        cmocka_unit_test(a_weapon_cools_before_it_fires_again),
        cmocka_unit_test(enemies_keep_their_target_and_else_take_the_nearest),
        cmocka_unit_test(enemies_walk_to_whom_they_see_and_else_across_the_map),
        cmocka_unit_test(actions_of_enemies_are_seen_unless_hidden),
        cmocka_unit_test(smacv2_draws_types_and_positions),
        cmocka_unit_test(teams_are_read_as_they_are_written),
        cmocka_unit_test(random_players_return_what_they_do_upstream),
        cmocka_unit_test(damaged_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
