/* The mpe suite: what recorded trajectories don't show. Those are compared in tests/parity; simple_spread has a test of its own. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#include "base/text.h"
#include "env/registry.h"
#include "env_play.h"
#include "envs/mpe/world.h"

enum { FEW = 1000, MANY = 8000, MAX_OPTIONS = 5 /* with the row of nothing */ };

/* ---- returns ------------------------------------------------------------------------------------------------ */

struct mean {
    double value, error; /* standard error */
};

/* Mean return of each group over so many episodes of 25 steps. */
static void play(const char *name, const struct env_option *option, bool scripted, int episodes, struct mean mean[MPE_KINDS])
{
    static struct episode episode[MANY];
    struct env_batch b;
    play_open(&b, name, option, episodes);
    for (int t = 0; t < 25; t++) {
        batch_act(&b, 5, 0, (uint64_t)t);
        if (scripted) assert_int_equal(vecenv_script(b.env, 0, b.envs, &b.io, &b.err), 0);
        play_step(&b);
    }
    assert_int_equal(vecenv_take_episodes(b.env, episode, MANY), episodes);
    for (int g = 0; g < b.spec->groups; g++) {
        double sum = 0, squares = 0;
        for (int k = 0; k < episodes; k++) {
            sum += (double)episode[k].group_return[g];
            squares += (double)episode[k].group_return[g] * (double)episode[k].group_return[g];
        }
        const double average = sum / episodes;
        mean[g] = (struct mean){average, sqrt((squares / episodes - average * average) / episodes)};
    }
    batch_close(&b);
}

/* Upstream's own means of 2,000 episodes, with their standard errors; apart by at most three of the difference's. */
static void random_players_return_what_they_do_upstream(void **state)
{
    (void)state;
    static const struct {
        const char *name, *rules;
        struct mean of[MPE_KINDS];
    } cases[] = {
        {"mpe/simple", "mpe2", {{-40.13, 0.75}}},
        {"mpe/simple_adversary", "mpe2", {{-27.65, 0.28}, {6.80, 0.34}}},
        {"mpe/simple_crypto", "mpe2", {{-37.37, 0.10}, {-0.28, 0.14}, {-0.28, 0.14}}},
        {"mpe/simple_push", "mpe2", {{-0.23, 0.39}, {-28.21, 0.29}}},
        {"mpe/simple_reference", "mpe2", {{-28.1, 0.2}}},
        {"mpe/simple_speaker_listener", "mpe2", {{-40.8, 0.7}, {-40.8, 0.7}}},
        {"mpe/simple_tag", "mpe2", {{4.38, 0.24}, {-16.2, 0.5}}},
        {"mpe/simple_world_comm", "mpe2", {{3.3, 0.2}, {3.3, 0.2}, {-25, 0.8}}},
        {"mpe/collect_treasure", "mpe2", {{-2.52, 0.14}, {0.71, 0.06}}},
        {"mpe/simple_reference", "on-policy", {{-68.2, 0.9}}},
        {"mpe/simple_speaker_listener", "on-policy", {{-82.1, 1.5}, {-82.1, 1.5}}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct env_option option[MAX_OPTIONS] = {{"rules", cases[k].rules}};
        struct mean found[MPE_KINDS] = {{0}};
        play(cases[k].name, option, false, MANY, found);
        for (int g = 0; g < MPE_KINDS; g++) {
            const double apart = fabs(found[g].value - cases[k].of[g].value), error = hypot(found[g].error, cases[k].of[g].error);
            if (apart > 3 * error + 1e-9)
                fail_msg("%s, group %d: %.3f, upstream %.3f, standard error of the difference %.3f", cases[k].name, g, found[g].value,
                         cases[k].of[g].value, error);
        }
    }
}

/* Scripted players of team 0 get more than random ones, in each rule set and kind of action. */
static void scripted_players_play_better_than_random_ones(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int group; /* whose return must be the better one */
    } tasks[] = {{"mpe/simple", 0},      {"mpe/simple_adversary", 1},  {"mpe/simple_crypto", 1},
                 {"mpe/simple_push", 1}, {"mpe/simple_reference", 0},  {"mpe/simple_speaker_listener", 1},
                 {"mpe/simple_tag", 0},  {"mpe/simple_world_comm", 1}, {"mpe/simple_formation", 0},
                 {"mpe/simple_line", 0}, {"mpe/collect_treasure", 0}};
    static const struct env_option kinds[][MAX_OPTIONS] = {{{"rules", "mpe2"}},
                                                           {{"rules", "mpe2"}, {"continuous_actions", "1"}},
                                                           {{"rules", "openai"}},
                                                           {{"rules", "pettingzoo-1.22"}, {"soft_actions", "1"}}};
    for (size_t t = 0; t < sizeof tasks / sizeof *tasks; t++) {
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            struct mean random[MPE_KINDS], scripted[MPE_KINDS];
            if (t > 7 && k > 1) continue; /* of mpe2 alone */
            play(tasks[t].name, kinds[k], false, FEW, random);
            play(tasks[t].name, kinds[k], true, FEW, scripted);
            const int g = tasks[t].group;
            if (!(scripted[g].value > random[g].value + 5 * random[g].error))
                fail_msg("%s, kind %d: scripted %.2f, random %.2f", tasks[t].name, (int)k, scripted[g].value, random[g].value);
        }
    }
}

/* ---- steps by hand ------------------------------------------------------------------------------------------ */

/* Environment 0's own copy: taken out, to be changed and put back. */
struct copy {
    unsigned char *bytes;
    struct mpe *w;
    float *number; /* velocities [A][2], positions of agents and landmarks [A + L][2], utterances */
};

static struct copy copy_take(struct env_batch *b)
{
    struct copy copy = {.bytes = malloc(vecenv_snapshot_bytes(b->env))};
    assert_int_equal(vecenv_snapshot(b->env, 0, 1, copy.bytes, &b->err), 0);
    copy.w = (struct mpe *)(void *)(copy.bytes + vecenv_snapshot_bytes(b->env) - b->spec->snapshot_bytes);
    copy.number = (float *)(copy.w + 1);
    return copy;
}

static void copy_put(struct copy *copy, struct env_batch *b)
{
    if (vecenv_restore(b->env, 0, 1, copy->bytes, &b->err)) fail_msg("%s", b->err.text);
    assert_int_equal(vecenv_observe(b->env, &b->io, &b->err), 0);
    free(copy->bytes);
}

/* Puts agents at rest and landmarks where we want them. */
static void place(struct env_batch *b, int agents, int landmarks, const float *position, int goal0, int goal1)
{
    struct copy copy = copy_take(b);
    memset(copy.number, 0, 2 * (size_t)agents * sizeof(float));
    memcpy(copy.number + 2 * agents, position, 2 * (size_t)(agents + landmarks) * sizeof(float));
    copy.w->goal[0] = (int16_t)goal0;
    copy.w->goal[1] = (int16_t)goal1;
    copy_put(&copy, b);
}

/* The velocity changes first and the position moves with the new one; movement 1 is to the right. From (0, 0) at rest: the force 5 over 0.1 s
 * makes 0.5, which over 0.1 s is 0.05; then 0.5 · 0.75 + 0.5 = 0.875, which makes 0.1375. */
static void openai_moves_with_the_new_velocity_and_to_the_right_first(void **state)
{
    (void)state;
    static const float position[4] = {0, 0, 1, 1};
    const struct env_option option[MAX_OPTIONS] = {{"rules", "openai"}};
    struct env_batch b;
    play_open(&b, "mpe/simple", option, 1);
    place(&b, 1, 1, position, 0, 0);
    const float *obs = b.io.group[0].obs; /* velocity, landmark relative */
    b.act_int[0][0] = 1;
    play_step(&b);
    assert_near((double)obs[0], 0.5, 1e-6);
    assert_near((double)obs[2], 0.95, 1e-6);
    assert_near((double)b.io.group[0].reward[0], -(0.95 * 0.95 + 1), 1e-6);
    play_step(&b);
    assert_near((double)obs[0], 0.875, 1e-6);
    assert_near((double)obs[2], 1 - 0.1375, 1e-6);
    b.act_int[0][0] = 4; /* down */
    play_step(&b);
    assert_near((double)obs[1], -0.5, 1e-6);
    batch_close(&b);
}

/* Speeds are limited before the position moves: a predator that turns round from 1 field/s with force 3 has 0.75 - 0.3 = 0.45; one that goes on has
 * 1.05, cut to 1. */
static void openai_limits_speeds_before_positions_move(void **state)
{
    (void)state;
    static const float position[12] = {0, 0, -1, -1, 1, -1, -1, 1, 1, 1, 0.9f, 0};
    const struct env_option option[MAX_OPTIONS] = {{"rules", "openai"}};
    for (int on = 0; on < 2; on++) {
        struct env_batch b;
        play_open(&b, "mpe/simple_tag", option, 1);
        place(&b, 4, 2, position, 0, 0);
        struct copy copy = copy_take(&b);
        copy.number[0] = 1;
        copy_put(&copy, &b);
        b.act_int[0][0] = on ? 1 : 2;
        play_step(&b);
        assert_near((double)b.io.group[0].obs[0], on ? 1 : 0.45, 1e-6);
        assert_near((double)b.io.group[0].obs[2], on ? 0.1 : 0.045, 1e-6);
        batch_close(&b);
    }
}

/* What each pays where nobody moves: places, goals and the rewards that §1.7 and §1.14 of the specification make of them. */
static void rewards_of_openai_follow_by_hand(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int agents, landmarks, goal[2];
        float position[22];
        double reward[6];
    } cases[] = {
        /* the adversary's distance, 0.5, is squared; the nearest agent is 0.3 away */
        {"mpe/simple_adversary", 3, 2, {1, 0}, {0, 0.5f, 0.3f, 0, -1, -1, 1, 1, 0, 0}, {-0.25, 0.2, 0.2}},
        /* agent 1 is 0.5 from landmark 2, agent 0 is 1 from landmark 0: -0.25 - 1 for both */
        {"mpe/simple_reference", 2, 3, {2, 0}, {0, 0, 0.5f, 0, 0, 1, -1, -1, 0.5f, 0.5f}, {-1.25, -1.25}},
        /* both are paid -0.16 twice */
        {"mpe/simple_speaker_listener", 2, 3, {1, 0}, {-1, -1, 0, 0.4f, 1, 1, 0, 0, -1, 1}, {-0.32, -0.32}},
        /* landmarks lie on agents but one, 0.4 away; nobody touches but each itself; all three are paid the sum */
        {"mpe/simple_spread", 3, 3, {0, 0}, {0, 0, 0.9f, 0, 0, 0.9f, 0, 0, 0.9f, 0, 0, 0.4f}, {-3 * 0.4 - 3, -3 * 0.4 - 3, -3 * 0.4 - 3}},
        /* all say word 0 of a message that is 1: Eve's error is 2, and so is Bob's */
        {"mpe/simple_crypto", 3, 2, {1, 0}, {0}, {-2, 0, 0}},
        {"mpe/simple_push", 2, 2, {0, 0}, {0.5f, 0, 0, 0.3f, 0, 0, 1, 1}, {0.3 - 0.5, -0.3}},
        /* prey at 0.95 pays (0.95 - 0.9) 10 = 0.5; nobody touches */
        {"mpe/simple_tag", 4, 2, {0, 0}, {0, 0, -1, -1, 1, -1, 0.95f, 0.5f, -0.5f, 0.5f, -0.5f, -0.3f}, {0, 0, 0, -0.5}},
        /* prey 0 is 1 from the nearest food, which pays 0.05; prey 1 eats, 2; hunters pay a tenth of the distance to the nearest prey */
        {"mpe/simple_world_comm",
         6,
         5,
         {0, 0},
         {-0.9f, -0.9f, -0.9f, -0.4f, -0.9f, 0.1f, -0.9f, 0.6f, 0.5f, 0.5f, 0.5f, -0.5f, 0, 0.9f, 0.5f, -0.5f, 0.9f, -0.5f, 0, 0, 0, 0},
         {-0.145602, -0.140357, -0.145602, -0.140357, 0.05, 2}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct env_option option[MAX_OPTIONS] = {{"rules", "openai"}};
        struct env_batch b;
        play_open(&b, cases[k].name, option, 1);
        place(&b, cases[k].agents, cases[k].landmarks, cases[k].position, cases[k].goal[0], cases[k].goal[1]);
        play_step(&b);
        for (int g = 0, a = 0; g < b.spec->groups; g++)
            for (int i = 0; i < b.size[g].agents; i++, a++) assert_near((double)b.io.group[g].reward[i], cases[k].reward[a], 1e-5);
        batch_close(&b);
    }
}

/* ---- what rule sets and options change ----------------------------------------------------------------------- */

/* The reference MAPPO's landmarks start within 0.8 of the field in five tasks; predators' obstacles elsewhere within 0.9. */
static void landmarks_start_where_the_rules_say(void **state)
{
    (void)state;
    static const struct {
        const char *name, *rules;
        int agents, landmarks;
        float within;
    } cases[] = {{"mpe/simple_reference", "on-policy", 2, 3, 0.8f}, {"mpe/simple_push", "on-policy", 2, 2, 0.8f},
                 {"mpe/simple_tag", "on-policy", 4, 2, 0.8f},       {"mpe/simple_world_comm", "on-policy", 6, 5, 0.8f},
                 {"mpe/simple_spread", "on-policy", 3, 3, 0.8f},    {"mpe/simple_speaker_listener", "on-policy", 2, 3, 1},
                 {"mpe/simple_adversary", "on-policy", 3, 2, 1},    {"mpe/simple_tag", "mpe2", 4, 2, 0.9f},
                 {"mpe/simple_world_comm", "openai", 6, 5, 0.9f},   {"mpe/simple_reference", "openai", 2, 3, 1},
                 {"mpe/simple_push", "pettingzoo-1.22", 2, 2, 1}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct env_option option[MAX_OPTIONS] = {{"rules", cases[k].rules}};
        struct env_batch b;
        float most = 0;
        play_open(&b, cases[k].name, option, 1);
        for (int episode = 0; episode < 200; episode++) {
            struct copy copy = copy_take(&b);
            const float *landmark = copy.number + 4 * cases[k].agents;
            for (int i = 0; i < 2 * cases[k].landmarks; i++) most = fmaxf(most, fabsf(landmark[i]));
            free(copy.bytes);
            assert_int_equal(vecenv_reset(b.env, &b.io, &b.err), 0);
        }
        if (!(most <= cases[k].within && most > 0.97f * cases[k].within))
            fail_msg("%s, %s: up to %g, not %g", cases[k].name, cases[k].rules, (double)most, (double)cases[k].within);
        batch_close(&b);
    }
}

static void old_names_choose_the_rules_of_their_time(void **state)
{
    (void)state;
    static const char *const names[] = {"simple_v2",           "simple_adversary_v2", "simple_crypto_v2",           "simple_push_v2",
                                        "simple_reference_v2", "simple_spread_v2",    "simple_speaker_listener_v3", "simple_tag_v2",
                                        "MPE_simple_tag_v2",   "simple_world_comm_v2"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct env_batch b;
        play_open(&b, names[k], NULL, 1);
        assert_string_equal(b.spec->rules, "pettingzoo-1.22");
        batch_close(&b);
    }
}

/* An agent that moves and speaks has one choice among all pairs, or two choices; numbers for both, one after the other. */
static void movement_and_utterance_are_one_choice_or_two(void **state)
{
    (void)state;
    static const struct {
        struct env_option option[MAX_OPTIONS];
        int ints, reals, logits;
    } cases[] = {{{{"rules", "mpe2"}}, 1, 0, 50},
                 {{{"rules", "pettingzoo-1.22"}}, 1, 0, 50},
                 {{{"rules", "on-policy"}}, 2, 0, 15},
                 {{{"rules", "openai"}}, 2, 0, 15},
                 {{{"rules", "openai"}, {"soft_actions", "1"}}, 0, 15, 0},
                 {{{"rules", "mpe2"}, {"continuous_actions", "1"}}, 0, 15, 0}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct env_batch b;
        play_open(&b, "mpe/simple_reference", cases[k].option, 1);
        assert_int_equal(b.size[0].act_ints, cases[k].ints);
        assert_int_equal(b.size[0].act_reals, cases[k].reals);
        assert_int_equal(b.size[0].logits, cases[k].logits);
        batch_close(&b);
    }
}

/* A soft choice of right by 0.75 and left by 0.25 pushes with half of the force. */
static void a_soft_choice_moves_by_its_differences(void **state)
{
    (void)state;
    static const char *const rules[] = {"openai", "mpe2"};
    for (int k = 0; k < 2; k++) {
        const struct env_option option[MAX_OPTIONS] = {{"rules", rules[k]}, {"soft_actions", "1"}};
        struct env_batch b;
        play_open(&b, "mpe/simple", option, 1);
        const struct mappo_space *space = &b.spec->group[0].act[0];
        assert_int_equal(space->kind, MAPPO_BOX);
        for (int m = 0; m < MPE_MOVES; m++)
            b.act_real[0][m] = strcmp(space->meaning[m].name, "move_right") == 0  ? 0.75f
                               : strcmp(space->meaning[m].name, "move_left") == 0 ? 0.25f
                                                                                  : 0;
        play_step(&b);
        assert_near((double)b.io.group[0].obs[0], 0.25, 1e-6);
        assert_near((double)b.io.group[0].obs[1], 0, 0);
        batch_close(&b);
    }
}

/* Numbers that are all 0 say nothing, which costs nothing; a guess of 0.5 for both messages costs 0.5. */
static void saying_nothing_costs_nothing(void **state)
{
    (void)state;
    const struct env_option option[MAX_OPTIONS] = {{"continuous_actions", "1"}};
    struct env_batch b;
    play_open(&b, "mpe/simple_crypto", option, 1);
    play_step(&b);
    assert_near((double)b.io.group[0].reward[0], 0, 0);
    assert_near((double)b.io.group[1].reward[0], 0, 0);
    b.act_real[0][0] = b.act_real[0][1] = 0.5f; /* Eve */
    play_step(&b);
    assert_near((double)b.io.group[0].reward[0], -0.5, 1e-6);
    assert_near((double)b.io.group[2].reward[0], 0.5, 1e-6);
    batch_close(&b);
}

static void groups_are_upstreams_kinds_and_adversaries_are_a_team(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int groups, agents[MPE_KINDS], obs[MPE_KINDS], team[MPE_KINDS], choices[MPE_KINDS];
        const char *group[MPE_KINDS], *first; /* of team 0 */
    } cases[] = {{"mpe/simple", 1, {1}, {4}, {0}, {5}, {"agent"}, NULL},
                 {"mpe/simple_adversary", 2, {1, 2}, {8, 10}, {1, 0}, {5, 5}, {"adversary", "agent"}, "agents"},
                 {"mpe/simple_crypto", 3, {1, 1, 1}, {4, 8, 8}, {1, 0, 0}, {4, 4, 4}, {"eve", "bob", "alice"}, "agents"},
                 {"mpe/simple_push", 2, {1, 1}, {8, 19}, {1, 0}, {5, 5}, {"adversary", "agent"}, "agents"},
                 {"mpe/simple_reference", 1, {2}, {21}, {0}, {50}, {"agent"}, NULL},
                 {"mpe/simple_speaker_listener", 2, {1, 1}, {3, 11}, {0, 0}, {3, 5}, {"speaker", "listener"}, NULL},
                 {"mpe/simple_tag", 2, {3, 1}, {16, 14}, {0, 1}, {5, 5}, {"adversary", "agent"}, "adversaries"},
                 {"mpe/simple_world_comm",
                  3,
                  {1, 3, 2},
                  {34, 34, 28},
                  {0, 0, 1},
                  {20, 5, 5},
                  {"leadadversary", "adversary", "agent"},
                  "adversaries"},
                 {"mpe/collect_treasure", 2, {6, 2}, {86, 84}, {0, 0}, {5, 5}, {"collector", "deposit"}, NULL}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        struct env_batch b;
        play_open(&b, cases[k].name, NULL, 1);
        assert_int_equal(b.spec->groups, cases[k].groups);
        for (int g = 0; g < cases[k].groups; g++) {
            const struct mappo_group *group = &b.spec->group[g];
            assert_string_equal(group->name, cases[k].group[g]);
            assert_int_equal(group->agents, cases[k].agents[g]);
            assert_int_equal(group->team, cases[k].team[g]);
            assert_int_equal(b.size[g].obs, cases[k].obs[g]);
            assert_int_equal(group->act[0].n[0], cases[k].choices[g]);
            assert_int_equal(group->obs[0].meanings, cases[k].obs[g]);
        }
        assert_int_equal(b.spec->teams, cases[k].first ? 2 : 0);
        if (cases[k].first) assert_string_equal(b.spec->team_name[0], cases[k].first);
        batch_close(&b);
    }
}

static void options_of_other_rules_and_readings_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct env_option option[2];
        const char *text;
    } cases[] = {
        {"mpe/simple", {{"rules", "on-policy"}, {"max_cycles", "9"}}, "rules=on-policy is not one of mpe2, pettingzoo-1.22, openai"},
        {"mpe/simple_tag", {{"rules", "openai"}, {"curriculum", "1"}}, "curriculum belongs to rules=mpe2; rules=openai doesn't have it"},
        {"mpe/simple_adversary", {{"rules", "pettingzoo-1.22"}, {"num_agent_neighbors", "1"}}, "num_agent_neighbors belongs to rules=mpe2"},
        {"mpe/simple_reference", {{"rules", "on-policy"}, {"local_ratio", "0.1"}}, "local_ratio belongs to rules=mpe2 and pettingzoo-1.22"},
        {"mpe/simple_tag", {{"continuous_actions", "1"}, {"soft_actions", "1"}}, "give one of them"},
        {"mpe/simple_tag", {{"num_good", "0"}, {"max_cycles", "9"}}, "num_good=0 is out of range"},
        {"mpe/collect_treasure", {{"num_deposits", "7"}, {"max_cycles", "9"}}, "num_deposits=7 is out of range"},
        {"mpe/collect_treasure", {{"rules", "openai"}, {"max_cycles", "9"}}, "rules=openai is not one of mpe2"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const struct vecenv_config config = {
            .name = cases[k].name, .option = cases[k].option, .options = 2, .envs = 1, .stream = PHILOX_ENVIRONMENT};
        struct vecenv *env;
        struct error err = {0};
        assert_int_equal(vecenv_open(&env, &config, &err), EXIT_USAGE);
        assert_says(&err, cases[k].text);
    }
    const struct env_option ratio[MAX_OPTIONS] = {{"rules", "pettingzoo-1.22"}, {"local_ratio", "0.1"}};
    struct env_batch b;
    play_open(&b, "mpe/simple_reference", ratio, 1);
    batch_close(&b);
}

/* Stage 0 halves the prey's force and speed: from rest 4 · 0.5 · 0.1. */
static void the_curriculum_of_tag_slows_prey_down(void **state)
{
    (void)state;
    static const float position[12] = {0, 0, -1, -1, 1, -1, 0.5f, 0.5f, -0.5f, 0.5f, -0.5f, -0.3f};
    static const char *const stage[] = {"0", "1", "2"};
    static const double speed[] = {0.2, 0.3, 0.4};
    for (int k = 0; k < 3; k++) {
        const struct env_option option[MAX_OPTIONS] = {{"curriculum", "1"}, {"curriculum_stage", stage[k]}};
        struct env_batch b;
        play_open(&b, "mpe/simple_tag", option, 1);
        place(&b, 4, 2, position, 0, 0);
        b.act_int[1][0] = 2;
        play_step(&b);
        assert_near((double)b.io.group[1].obs[0], speed[k], 1e-6);
        batch_close(&b);
    }
}

static void tag_ends_once_every_prey_is_touched(void **state)
{
    (void)state;
    static const float position[14] = {0, 0, 0.5f, 0, 0.05f, 0, 0.52f, 0, 0, 0.9f, 0.9f, 0.9f};
    for (int both = 0; both < 2; both++) {
        const struct env_option option[MAX_OPTIONS] = {
            {"terminate_on_success", "1"}, {"num_adversaries", "2"}, {"num_good", both ? "2" : "1"}};
        struct env_batch b;
        play_open(&b, "mpe/simple_tag", option, 1);
        float where[14];
        memcpy(where, position, sizeof where);
        if (!both) where[4] = -0.9f; /* the only prey is out of reach */
        place(&b, both ? 4 : 3, 2, where, 0, 0);
        play_step(&b);
        assert_int_equal(b.io.ep_end[0], both ? MAPPO_TERMINATED : MAPPO_RUNNING);
        assert_int_equal(b.io.group[1].terminated[0], both);
        assert_int_equal(b.io.group[0].terminated[1], both);
        batch_close(&b);
    }
}

/* Velocities stand in the places of the nearest agents, zeros for predators among them and where there are fewer. */
static void neighbours_of_tag_bring_the_velocities_of_prey(void **state)
{
    (void)state;
    static const float position[12] = {0, 0, 0.3f, 0, 0.9f, 0, 0.5f, 0, -0.5f, 0.5f, -0.5f, -0.3f};
    static const float expected[4 + 2 + 8 + 8] = {0, 0, 0, 0, -0.5f, -0.3f, 0.3f, 0, 0.5f, 0, 0.9f, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};
    const struct env_option option[MAX_OPTIONS] = {{"num_agent_neighbors", "4"}, {"num_landmark_neighbors", "1"}};
    struct env_batch b;
    play_open(&b, "mpe/simple_tag", option, 1);
    assert_int_equal(b.size[0].obs, 22);
    place(&b, 4, 2, position, 0, 0);
    struct copy copy = copy_take(&b);
    copy.number[7] = 1; /* the prey goes up */
    copy_put(&copy, &b);
    for (int i = 0; i < 22; i++) assert_near((double)b.io.group[0].obs[i], (double)expected[i], 0);
    batch_close(&b);
}

static void damaged_snapshots_are_refused(void **state)
{
    (void)state;
    struct env_batch b;
    play_open(&b, "mpe/simple_speaker_listener", NULL, 1);
    for (int k = 0; k < 3; k++) {
        struct copy copy = copy_take(&b);
        if (k == 0) copy.w->goal[0] = 3; /* of three landmarks */
        if (k == 1) copy.w->steps = 25;
        if (k == 2) copy.number[2] = NAN;
        assert_int_equal(vecenv_restore(b.env, 0, 1, copy.bytes, &b.err), EXIT_CHECKPOINT);
        free(copy.bytes);
    }
    batch_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_players_return_what_they_do_upstream),
        cmocka_unit_test(scripted_players_play_better_than_random_ones),
        cmocka_unit_test(openai_moves_with_the_new_velocity_and_to_the_right_first),
        cmocka_unit_test(openai_limits_speeds_before_positions_move),
        cmocka_unit_test(rewards_of_openai_follow_by_hand),
        cmocka_unit_test(landmarks_start_where_the_rules_say),
        cmocka_unit_test(old_names_choose_the_rules_of_their_time),
        cmocka_unit_test(movement_and_utterance_are_one_choice_or_two),
        cmocka_unit_test(a_soft_choice_moves_by_its_differences),
        cmocka_unit_test(saying_nothing_costs_nothing),
        cmocka_unit_test(groups_are_upstreams_kinds_and_adversaries_are_a_team),
        cmocka_unit_test(options_of_other_rules_and_readings_are_refused),
        cmocka_unit_test(the_curriculum_of_tag_slows_prey_down),
        cmocka_unit_test(tag_ends_once_every_prey_is_touched),
        cmocka_unit_test(neighbours_of_tag_bring_the_velocities_of_prey),
        cmocka_unit_test(damaged_snapshots_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
