/* test/wide: what is too large for the usual way of kernels, in an environment that means little: rows of hundreds of numbers, tens of
 * agents, rules of kilobytes, a table of constants, copies whose size is an option's. Walkers on a field with walls see the field around
 * them; two judges see where all of them are, and are paid for saying how many walkers stand together. Host and device. */
#include "env/lane_env.h"

enum {
    WIDE_SIDE = 64, /* cells of the field, each way; outside are walls */
    WIDE_MOVES = 5,
    WIDE_JUDGES = 2,
    WIDE_STATE = 3 /* of a judge */
};
enum wide_kind { WIDE_WALL, WIDE_WALKER, WIDE_KINDS };

MAPPO_TABLE(int8_t, wide_moves, [WIDE_MOVES][2]) = {{0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}};

struct wide_rules {
    int32_t walkers, sight, max_steps, all_obs;
    uint8_t wall[WIDE_SIDE][WIDE_SIDE];
};

struct wide { /* a struct wide_place for each walker follows */
    struct philox rng;
    int32_t steps, spare;
};
struct wide_place {
    int32_t x, y;
};

/* ---- rules ------------------------------------------------------------------------------------------------ */

static size_t wide_bytes(const struct wide_rules *rules)
{
    return sizeof(struct wide) + (size_t)rules->walkers * sizeof(struct wide_place);
}

MAPPO_FN struct wide_place *wide_places(const struct wide *w)
{
    return (struct wide_place *)(w + 1);
}

MAPPO_FN int wide_is_wall(const struct wide_rules *rules, const int32_t x, const int32_t y)
{
    return x < 0 || y < 0 || x >= WIDE_SIDE || y >= WIDE_SIDE || rules->wall[y][x];
}

MAPPO_FN int32_t wide_standing(const struct wide *w, const struct wide_rules *rules, const int32_t x, const int32_t y)
{
    const struct wide_place *place = wide_places(w);
    int32_t count = 0;
    for (int32_t i = 0; i < rules->walkers; i++) count += place[i].x == x && place[i].y == y;
    return count;
}

/* A walker rests at every fourth step. */
MAPPO_FN int wide_acts(const struct wide *w, const int32_t walker)
{
    return (w->steps + walker) % 4 != 0;
}

MAPPO_FN void wide_reset(struct wide *w, const struct wide_rules *rules)
{
    struct wide_place *place = wide_places(w);
    w->steps = 0;
    for (int32_t i = 0; i < rules->walkers; i++) {
        do {
            place[i].x = philox_below(&w->rng, WIDE_SIDE);
            place[i].y = philox_below(&w->rng, WIDE_SIDE);
        } while (wide_is_wall(rules, place[i].x, place[i].y));
    }
}

MAPPO_FN int wide_step(struct wide *w, const struct wide_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *walkers = &io->group[0], *judges = &io->group[1];
    struct wide_place *place = wide_places(w);
    int32_t together = 0;
    for (int32_t i = 0; i < rules->walkers; i++) {
        if (!wide_acts(w, i)) continue;
        const int8_t *move = wide_moves[walkers->act_int[i]];
        if (wide_is_wall(rules, place[i].x + move[0], place[i].y + move[1])) continue;
        place[i].x += move[0];
        place[i].y += move[1];
    }
    for (int32_t i = 0; i < rules->walkers; i++) {
        const int32_t here = wide_standing(w, rules, place[i].x, place[i].y);
        together += here > 1;
        if (walkers->reward) walkers->reward[i] = (rule_real)(here - 1);
        if (walkers->terminated) walkers->terminated[i] = 0;
    }
    for (int32_t a = 0; a < WIDE_JUDGES; a++) {
        const rule_real miss = judges->act_real[a] * (rule_real)rules->walkers - (rule_real)together;
        if (judges->reward) judges->reward[a] = -rule_abs(miss);
        if (judges->terminated) judges->terminated[a] = 0;
    }
    if (io->info) io->info[0] = (float)together;
    if (philox_below(&w->rng, 30) == 0) return MAPPO_TERMINATED;
    return ++w->steps >= rules->max_steps ? MAPPO_TRUNCATED : MAPPO_RUNNING;
}

/* Walls and walkers in the square around a walker, [2 sight + 1][2 sight + 1] each, and its place. */
MAPPO_FN void wide_observe_field(const struct wide *w, const struct wide_rules *rules, const int32_t i, float *wall)
{
    const struct wide_place *place = wide_places(w), own = place[i];
    const int32_t sight = rules->sight, side = 2 * sight + 1;
    float *walkers = wall + side * side, *rest = walkers + side * side;
    for (int32_t k = 0; k < side * side; k++) {
        wall[k] = (float)wide_is_wall(rules, own.x - sight + k % side, own.y - sight + k / side);
        walkers[k] = 0;
    }
    for (int32_t j = 0; j < rules->walkers; j++) {
        const int32_t x = place[j].x - own.x + sight, y = place[j].y - own.y + sight;
        if (x >= 0 && x < side && y >= 0 && y < side) walkers[y * side + x] += 1;
    }
    rest[0] = (float)own.x / WIDE_SIDE;
    rest[1] = (float)own.y / WIDE_SIDE;
}

MAPPO_FN void wide_observe_walker(const struct wide *w, const struct wide_rules *rules, const int32_t i, const struct rule_group_io *row)
{
    const struct wide_place own = wide_places(w)[i];
    if (row->obs) wide_observe_field(w, rules, i, row->obs);
    if (row->active) *row->active = (uint8_t)wide_acts(w, i);
    for (int k = 0; row->act_mask && k < WIDE_MOVES; k++)
        row->act_mask[k] = !wide_is_wall(rules, own.x + wide_moves[k][0], own.y + wide_moves[k][1]);
}

MAPPO_FN void wide_observe_places(const struct wide *w, const struct wide_rules *rules, float *to)
{
    for (int32_t i = 0; i < rules->walkers; i++) {
        *to++ = (float)wide_places(w)[i].x / WIDE_SIDE;
        *to++ = (float)wide_places(w)[i].y / WIDE_SIDE;
    }
}

MAPPO_FN void wide_observe_agent(const struct wide *w, const struct wide_rules *rules, const int32_t agent, const struct rule_io *io)
{
    if (agent < 0) {
        wide_observe_places(w, rules, io->state);
        io->state[2 * rules->walkers] = (float)w->steps / (float)rules->max_steps;
    } else if (agent < rules->walkers) {
        wide_observe_walker(w, rules, agent, &io->group[0]);
    } else {
        const struct rule_group_io *row = &io->group[1];
        if (row->obs) wide_observe_places(w, rules, row->obs);
        for (int k = 0; row->state && k < WIDE_STATE; k++) row->state[k] = (float)((agent - rules->walkers) * 10 + k + w->steps);
    }
}

/* ---- what it looks like ----------------------------------------------------------------------------------- */

enum { OPTION_WALKERS, OPTION_SIGHT, OPTION_MAX_STEPS, OPTION_STATE };
static const char *const states[] = {"places", "all_obs", NULL};
static const struct mappo_option options[] = {
    {"walkers", MAPPO_OPTION_INT, "24", 1, 1000, NULL, "agents on the field"},
    {"sight", MAPPO_OPTION_INT, "6", 0, 100, NULL, "cells that a walker sees each way"},
    {"max_steps", MAPPO_OPTION_INT, "20", 1, 1e6, NULL, "steps of an episode"},
    {"state", MAPPO_OPTION_CHOICE, "places", 0, 0, states, "of the environment: where walkers are, or all observations"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int wide_configure(struct wide_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    (void)error;
    rules->walkers = (int32_t)value[OPTION_WALKERS].i;
    rules->sight = (int32_t)value[OPTION_SIGHT].i;
    rules->max_steps = (int32_t)value[OPTION_MAX_STEPS].i;
    rules->all_obs = (int32_t)value[OPTION_STATE].i;
    for (int y = 0; y < WIDE_SIDE; y++)
        for (int x = 0; x < WIDE_SIDE; x++) rules->wall[y][x] = (x * 7 + y * 13) % 5 == 0;
    return 0;
}

static void wide_describe(struct description *d, const struct wide_rules *rules)
{
    static const char *const moves[WIDE_MOVES] = {"stay", "left", "right", "down", "up"};
    static const char *const kinds[WIDE_KINDS] = {"wall", "walkers"};
    static const struct mappo_info together = {"together", "walkers", "walkers that are not alone where they stand", 0};
    d->spec.infos = 1;
    d->spec.info = &together;
    d->spec.max_steps = rules->max_steps;
    d->spec.rules = "wide";
    d->spec.return_help = "sum over the episode of the others in a walker's cell, mean over walkers";
    d->spec.state_is_all_obs = rules->all_obs;
    d->spec.state_size = 2 * rules->walkers + 1;
    describe_group(d, "walker", rules->walkers, 0, MAPPO_HAS_MASK | MAPPO_HAS_ACTIVE);
    for (int kind = 0; kind < WIDE_KINDS; kind++)
        for (int32_t y = -rules->sight; y <= rules->sight; y++)
            for (int32_t x = -rules->sight; x <= rules->sight; x++)
                describe_number(d, DESCRIBE_OBS, NULL, 0, kind == WIDE_WALL ? 1 : (float)rules->walkers, "%s at (%d, %d)", kinds[kind], x,
                                y);
    describe_number(d, DESCRIBE_OBS, "field", 0, 1, "own x");
    describe_number(d, DESCRIBE_OBS, "field", 0, 1, "own y");
    describe_choice(d, DESCRIBE_ACT, WIDE_MOVES, 0, moves);

    struct mappo_group *judges = describe_group(d, "judge", WIDE_JUDGES, 1, MAPPO_STATE_PER_AGENT);
    if (judges) judges->state_size = WIDE_STATE;
    for (int32_t i = 0; i < rules->walkers; i++) {
        describe_number(d, DESCRIBE_OBS, "field", 0, 1, "walker %d, x", i);
        describe_number(d, DESCRIBE_OBS, "field", 0, 1, "walker %d, y", i);
    }
    describe_number(d, DESCRIBE_ACT, "walkers", 0, 1, "part that is not alone");
}

static int wide_sound(const struct wide *w, const struct wide_rules *rules)
{
    const struct wide_place *place = wide_places(w);
    int sound = w->steps >= 0 && w->steps < rules->max_steps;
    for (int32_t i = 0; i < rules->walkers; i++) sound = sound && !wide_is_wall(rules, place[i].x, place[i].y);
    return sound;
}

LANE_ENV(test_wide, wide, 2, (observe_agent, bytes, sound), .id = "test/wide",
         .summary = "tens of agents with rows of hundreds of numbers, rules of kilobytes: for tests of kernels", .source = "this project",
         .version = 1, .option = options);
