/* Rules that lane_env.h makes an environment of, sound but for one fault on request: planted_rule_faults.h lists them. Two rovers on a road with holes
 * that look where the other is. */
#include <math.h>

#include "env/lane_env.h"

#define FAULT(name, line)   fault_##name,
#define WARNING(name, line) fault_##name,
enum {
    fault_none,
    fault_configure_refuses, /* a mistake in the options, not one of the environment */
#include "planted_rule_faults.h"
};
#undef FAULT
#undef WARNING
#define FAULT(name, line)   #name,
#define WARNING(name, line) #name,
static const char *const faults[] = {"none", "configure_refuses",
#include "planted_rule_faults.h"
                                     NULL};

enum { ROVERS = 2, ROAD = 8, OBS = 3, MOVES = 3, MAX_STEPS = 12 };

struct rover_rules {
    int64_t fault;
};

struct rover {
    struct philox rng;
    int32_t steps, hole, episodes, spare;
    int32_t cell[ROVERS];
};

static int32_t global;
static int *volatile nowhere;
static const float weight[ROAD] = {0, 1, 2, 3, 4, 5, 6, 7}; /* by cell: a look at it that is not looked after leaves the table */

MAPPO_FN void rover_reset(struct rover *w, const struct rover_rules *rules)
{
    struct philox own;
    philox_start(&own, 1, 1, w->rng.index + 64 * (uint32_t)w->episodes++);
    struct philox *rng = rules->fault == fault_draws_elsewhere ? &own : &w->rng;
    if (rules->fault == fault_clears_generator) philox_start(&w->rng, 0, 0, 0);
    w->steps = 0;
    w->hole = philox_below(rng, ROAD);
    for (int i = 0; i < ROVERS; i++) w->cell[i] = philox_below(rng, ROAD);
}

MAPPO_FN int rover_step(struct rover *w, const struct rover_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *rovers = &io->group[0];
    if (rules->fault == fault_shares_global) global = (int32_t)((uint32_t)global * 1664525u + 1013904223u);
    for (int i = 0; i < ROVERS; i++) {
        const int32_t to = w->cell[i] + rovers->act_int[i] - 1 + (global >> 20 & 1);
        w->cell[i] = to < 0 ? 0 : to >= ROAD ? ROAD - 1 : to;
    }
    w->steps++;
    if (rules->fault != fault_draws_elsewhere && philox_below(&w->rng, 4) == 0) w->hole = philox_below(&w->rng, ROAD);
    for (int i = 0; i < ROVERS; i++) {
        if (rovers->reward) rovers->reward[i] = -(rule_real)(w->cell[i] == w->hole);
        if (rovers->terminated) rovers->terminated[i] = 0;
    }
    return w->steps >= MAX_STEPS ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

MAPPO_FN void rover_observe(const struct rover *w, const struct rover_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    uint8_t *mask = rules->fault == fault_mask_forgotten ? NULL : io->group[0].act_mask;
    for (int i = 0; i < ROVERS && mask; i++, mask += MOVES) {
        mask[0] = w->cell[i] > 0;
        mask[1] = 1;
        mask[2] = w->cell[i] < ROAD - 1;
    }
    for (int i = 0; i < ROVERS && obs; i++, obs += OBS) {
        obs[0] = weight[w->cell[i]] / ROAD;
        obs[1] = (float)(w->cell[1 - i] - w->cell[i]) / ROAD;
        obs[2] = (float)w->hole / ROAD;
    }
}

static const struct mappo_option options[] = {{"fault", MAPPO_OPTION_CHOICE, "none", 0, 0, faults, "what is wrong"},
                                              {"title", MAPPO_OPTION_TEXT, "none", 0, 9, NULL, "that nobody reads"},
                                              {NULL, 0, NULL, 0, 0, NULL, NULL}};
/* The second is none: what lies behind a table. */
static const struct mappo_info infos[] = {{"hole", "cells", "where it is", 0}, {(const char *)8, NULL, NULL, 0}};

static int rover_configure(struct rover_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    rules->fault = option[0].i;
    if (rules->fault == fault_exits_in_configure) exit(0);
    if (rules->fault == fault_reads_absent_text) rules->fault += option[1].text[0];
    if (rules->fault == fault_reads_beyond_options) rules->fault += option[2].i;
    return rules->fault == fault_configure_refuses ? lane_refuse(error, "not today") : 0;
}

static void rover_describe(struct description *d, const struct rover_rules *rules)
{
    const int64_t fault = rules->fault;
    if (fault == fault_crashes_in_describe) *nowhere = 1;
    if (fault == fault_prints_in_describe) puts("a word");
    d->spec.max_steps = MAX_STEPS;
    if (fault == fault_infos_beyond_table) d->spec.infos = 2, d->spec.info = infos;
    describe_group(d, "rover", ROVERS, 0, fault == fault_no_flag_mask ? 0 : MAPPO_HAS_MASK);
    describe_number(d, DESCRIBE_OBS, NULL, fault == fault_wrong_bounds ? 2 : 0, 1, "own cell");
    describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "other cell, relative");
    if (fault != fault_few_numbers) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "hole");
    describe_choice(d, DESCRIBE_ACT, fault == fault_many_actions ? MOVES + 2 : MOVES, 0, NULL);
    if (fault == fault_two_heads) describe_choice(d, DESCRIBE_ACT, MOVES, 0, NULL);
    if (fault == fault_many_agents) d->spec.group[0].agents++;
    if (fault == fault_few_agents) d->spec.group[0].agents--;
}

static int rover_sound(const struct rover *w, const struct rover_rules *rules)
{
    int sound = w->steps >= 0 && w->steps < MAX_STEPS && w->hole >= 0 && w->hole < ROAD && rules->fault != fault_sound_refuses;
    if (rules->fault == fault_sound_crashes) *nowhere = 1;
    for (int i = 0; i < ROVERS; i++) sound = sound && w->cell[i] >= 0 && w->cell[i] < ROAD;
    return sound;
}

static void rover_script(const struct rover *w, const struct rover_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)rules, (void)act_real;
    for (int i = 0; i < ROVERS; i++) act_int[0][i] = 1 + (w->cell[i] < w->hole) - (w->cell[i] > w->hole);
}

static void rover_draw(const struct rover *w, const struct rover_rules *rules, const struct mappo_canvas *canvas)
{
    (void)rules;
    canvas->view(canvas->self, 0, -1, ROAD, 1);
    for (int i = 0; i < ROVERS; i++) canvas->circle(canvas->self, w->cell[i], 0, 0.4, 0x3366ccffu, 0);
}

#ifndef WORDS
#define WORDS (observe, sound, script, draw)
#endif
LANE_PLUGIN(rover, 1, WORDS, .id = "test/rules", .summary = "rules with a fault on request", .version = 1, .option = options);
