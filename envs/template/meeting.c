/* meeting: N agents on a line of cells try to meet. A complete environment to copy: docs/env-abi.md goes through it.
 *
 *     cc -std=c11 -Wall -O3 -shared -fPIC -Isrc -o meeting.so envs/template/meeting.c
 *     mappo env=./meeting.so env.N=4 */
#include "env/lane_env.h"

enum { MAX_AGENTS = 16, OBS = 3, MOVES = 3 };

/* ---- the rules: constants, the state of one copy, and three functions on it ------------------------------- */

struct meeting_rules {
    int32_t agents, cells, max_steps;
};

struct meeting { /* plain data without padding: its bytes are its snapshot */
    struct philox rng;
    int32_t steps, spare;
    int32_t cell[MAX_AGENTS];
};

MAPPO_FN void meeting_reset(struct meeting *w, const struct meeting_rules *rules)
{
    w->steps = 0;
    for (int i = 0; i < rules->agents; i++) w->cell[i] = philox_below(&w->rng, rules->cells);
}

/* Writes reward, terminated and info of the step; returns what ep_end gets. */
MAPPO_FN int meeting_step(struct meeting *w, const struct meeting_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    int32_t low = rules->cells, high = 0;
    for (int i = 0; i < rules->agents; i++) {
        const int32_t cell = w->cell[i] + group->act_int[i] - 1; /* 0 left, 1 stay, 2 right */
        w->cell[i] = cell < 0 ? 0 : cell >= rules->cells ? rules->cells - 1 : cell;
        low = w->cell[i] < low ? w->cell[i] : low;
        high = w->cell[i] > high ? w->cell[i] : high;
    }
    w->steps++;
    const int met = low == high;
    for (int i = 0; i < rules->agents; i++) {
        if (group->reward) group->reward[i] = -(rule_real)(high - low) / (rule_real)rules->cells;
        if (group->terminated) group->terminated[i] = (uint8_t)met;
    }
    if (io->info) io->info[0] = (float)met;
    return met ? MAPPO_TERMINATED : w->steps >= rules->max_steps ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

/* Writes what the agents see now. */
MAPPO_FN void meeting_observe(const struct meeting *w, const struct meeting_rules *rules, const struct rule_io *io)
{
    float mean = 0, *obs = io->group[0].obs;
    for (int i = 0; i < rules->agents; i++) mean += (float)w->cell[i] / (float)rules->agents;
    for (int i = 0; i < rules->agents && obs; i++, obs += OBS) {
        obs[0] = (float)w->cell[i] / (float)rules->cells;
        obs[1] = (mean - (float)w->cell[i]) / (float)rules->cells;
        obs[2] = (float)w->steps / (float)rules->max_steps;
    }
}

/* ---- what it looks like ----------------------------------------------------------------------------------- */

enum { OPTION_N, OPTION_CELLS, OPTION_MAX_STEPS };
static const struct mappo_option options[] = {{"N", MAPPO_OPTION_INT, "3", 1, MAX_AGENTS, NULL, "agents"},
                                              {"cells", MAPPO_OPTION_INT, "9", 2, 1000, NULL, "length of the line"},
                                              {"max_steps", MAPPO_OPTION_INT, "20", 1, 10000, NULL, "steps of an episode"},
                                              {NULL, 0, NULL, 0, 0, NULL, NULL}};

/* Options into rules; their ranges were checked against the table. */
static int meeting_configure(struct meeting_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    (void)error; /* return lane_refuse(error, "why") where options don't go together */
    rules->agents = (int32_t)option[OPTION_N].i;
    rules->cells = (int32_t)option[OPTION_CELLS].i;
    rules->max_steps = (int32_t)option[OPTION_MAX_STEPS].i;
    return 0;
}

static void meeting_describe(struct description *d, const struct meeting_rules *rules)
{
    static const struct mappo_info met = {"met", "episodes", "part of the episodes in which they met", 1};
    static const char *const moves[MOVES] = {"left", "stay", "right"};
    d->spec.max_steps = rules->max_steps;
    d->spec.rules = "meeting 1";
    d->spec.return_help = "minus the agents' spread in parts of the line, summed over the episode; 0 = met at once";
    d->spec.infos = 1;
    d->spec.info = &met;
    describe_group(d, "agent", rules->agents, 0 /* team */, MAPPO_SHARED_REWARD);
    describe_number(d, DESCRIBE_OBS, "line", 0, 1, "own cell");
    describe_number(d, DESCRIBE_OBS, "line", -1, 1, "mean cell, relative");
    describe_number(d, DESCRIBE_OBS, "episode", 0, 1, "time");
    describe_choice(d, DESCRIBE_ACT, MOVES, 0, moves);
}

/* ---- what may be left out: a look at snapshots, a player, pictures ----------------------------------------- */

/* Whether a state that was read from a file is valid: the file may be damaged. */
static int meeting_sound(const struct meeting *w, const struct meeting_rules *rules)
{
    int sound = w->steps >= 0 && w->steps < rules->max_steps;
    for (int i = 0; i < rules->agents; i++) sound = sound && w->cell[i] >= 0 && w->cell[i] < rules->cells;
    return sound;
}

/* Everyone goes to the first agent. */
static void meeting_script(const struct meeting *w, const struct meeting_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)act_real;
    for (int i = 0; i < rules->agents; i++) act_int[0][i] = 1 + (w->cell[i] < w->cell[0]) - (w->cell[i] > w->cell[0]);
}

static void meeting_draw(const struct meeting *w, const struct meeting_rules *rules, const struct mappo_canvas *canvas)
{
    char number[16];
    canvas->view(canvas->self, -1, -1, rules->cells, rules->agents);
    canvas->line(canvas->self, -0.5, -0.5, rules->cells - 0.5, -0.5, 0.05, 0x000000ffu);
    for (int i = 0; i < rules->agents; i++) { /* above each other, so that all are seen where they meet */
        snprintf(number, sizeof number, "%d", i);
        canvas->circle(canvas->self, w->cell[i], i, 0.4, 0x3366ccffu, 0x000000ffu);
        canvas->text(canvas->self, w->cell[i] - 0.14, i - 0.18, 0.5, number, 0xffffffffu);
    }
}

/* 1 group. Built in, the last line is LANE_ENV(suite_meeting, meeting, 1, …) instead. */
LANE_PLUGIN(meeting, 1, (observe, sound, script, draw), .id = "template/meeting", .summary = "N agents on a line try to meet",
            .source = "docs/env-abi.md", .version = 1, .option = options);
