/* Level-based foraging (Albrecht and Ramamoorthy 2013; Papoudakis et al. 2021): players walk on a grid and load food together. Food of a
 * level vanishes when players next to it whose levels add up to it load in the same step. Rules of lbforaging 2.0.0 ("v3").
 * Cells are (row, column), counted from 0; row 0 is the north. Start reading at forage_step. */
#ifndef ENVS_LBF_FORAGING_H
#define ENVS_LBF_FORAGING_H

#include "env/rules.h"

enum {
    FORAGE_MAX_PLAYERS = 16,
    FORAGE_MAX_FOODS = 16,
    FORAGE_MIN_FIELD = 5,
    FORAGE_MAX_FIELD = 32,
    FORAGE_ATTEMPTS = 1000, /* of placing all foods; what then has no place is left out */
    FORAGE_LAYERS = 3       /* of a grid observation: players, foods, free cells */
};
enum forage_action { FORAGE_NONE, FORAGE_NORTH, FORAGE_SOUTH, FORAGE_WEST, FORAGE_EAST, FORAGE_LOAD, FORAGE_ACTIONS };
enum forage_info { FORAGE_EATEN, FORAGE_CLEARED, FORAGE_INFOS };

/* What an action adds to row and column. */
MAPPO_TABLE(int8_t, forage_moves, [FORAGE_ACTIONS][2]) = {{0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}, {0, 0}};

struct forage_rules {
    int32_t players, field, foods, sight, max_episode_steps, limit; /* field: cells each way */
    int32_t min_player_level, max_player_level, min_food_level;
    int32_t max_food_level; /* 0: the sum of the three lowest players' */
    int32_t coop, normalize, levels, grid, mask;
    rule_real penalty;
};

struct forage_player {
    int8_t row, col;
    int8_t to_row, to_col; /* the cell that it claims in a step */
    uint8_t level;
    uint8_t valid;   /* bit k: action k would do something */
    uint8_t loading; /* in a step: wants to load, and has not yet */
    uint8_t spare;
};
struct forage_food { /* row-major order on the field */
    int8_t row, col;
    uint8_t level; /* 0: it is not there, whatever row and col say */
    uint8_t spare;
};

struct forage { /* struct forage_player [players] and struct forage_food [foods] follow */
    struct philox rng;
    int32_t steps;
    int32_t spawned, left; /* sums of levels: at the start of the episode, and now */
    int32_t spare;
};

MAPPO_FN struct forage_player *forage_players(const struct forage *w)
{
    return (struct forage_player *)(w + 1);
}

MAPPO_FN struct forage_food *forage_foods(const struct forage *w, const struct forage_rules *rules)
{
    return (struct forage_food *)(forage_players(w) + rules->players);
}

static inline size_t forage_bytes(const struct forage_rules *rules)
{
    return sizeof(struct forage) + (size_t)rules->players * sizeof(struct forage_player) +
           (size_t)rules->foods * sizeof(struct forage_food);
}

MAPPO_FN int32_t forage_distance(const int32_t a, const int32_t b)
{
    return a < b ? b - a : a - b;
}

/* ---- a new episode ----------------------------------------------------------------------------------------- */

MAPPO_FN int32_t forage_between(struct philox *rng, const int32_t low, const int32_t high) /* both included; draws only where it must */
{
    return low == high ? low : low + philox_below(rng, high - low + 1);
}

MAPPO_FN int forage_is_taken(const struct forage_player *player, const int32_t count, const int32_t row, const int32_t col)
{
    int taken = 0;
    for (int32_t i = 0; i < count; i++) taken |= player[i].row == row && player[i].col == col;
    return taken;
}

/* Food keeps its distance: none in the eight cells around it, and none two cells away in its row or column. A player is then next to one
 * food at most. */
MAPPO_FN int forage_is_crowded(const struct forage_food *food, const int32_t count, const int32_t row, const int32_t col)
{
    int crowded = 0;
    for (int32_t k = 0; k < count; k++) {
        const int32_t down = forage_distance(food[k].row, row), across = forage_distance(food[k].col, col);
        crowded |= (down <= 1 && across <= 1) || (down == 0 && across <= 2) || (across == 0 && down <= 2);
    }
    return crowded;
}

/* The sum of the three lowest levels among players: food of any level can then be loaded by some three. */
MAPPO_FN int32_t forage_lowest_three(const struct forage_player *player, const int32_t count)
{
    int32_t sum = 0, taken = 0;
    for (int32_t level = 1; taken < 3 && taken < count && level <= UINT8_MAX; level++)
        for (int32_t i = 0; i < count && taken < 3; i++) {
            if (player[i].level != level) continue;
            sum += level;
            taken++;
        }
    return sum;
}

/* Puts the last of `count` foods where it belongs. */
MAPPO_FN void forage_sort_last(struct forage_food *food, const int32_t count)
{
    for (int32_t k = count - 1; k > 0; k--) {
        const struct forage_food before = food[k - 1], after = food[k];
        if (before.row < after.row || (before.row == after.row && before.col < after.col)) return;
        food[k - 1] = after;
        food[k] = before;
    }
}

MAPPO_FN void forage_spawn_foods(struct forage *w, const struct forage_rules *rules)
{
    const struct forage_player *player = forage_players(w);
    struct forage_food *food = forage_foods(w, rules);
    const int32_t high = rules->max_food_level ? rules->max_food_level : forage_lowest_three(player, rules->players);
    const int32_t low = rules->coop ? high : rules->min_food_level;
    int32_t placed = 0;
    for (int32_t attempt = 0; attempt < FORAGE_ATTEMPTS && placed < rules->foods; attempt++) {
        const int32_t row = 1 + philox_below(&w->rng, rules->field - 2), col = 1 + philox_below(&w->rng, rules->field - 2);
        if (forage_is_crowded(food, placed, row, col) || forage_is_taken(player, rules->players, row, col)) continue;
        const int32_t level = forage_between(&w->rng, low, high);
        food[placed].row = (int8_t)row;
        food[placed].col = (int8_t)col;
        food[placed].level = (uint8_t)level;
        w->spawned += level;
        forage_sort_last(food, ++placed);
    }
    for (; placed < rules->foods; placed++) {
        food[placed].row = food[placed].col = -1;
        food[placed].level = 0;
    }
}

/* ---- what would do something ------------------------------------------------------------------------------- */

/* Moves off the field and onto food, and loading where there is none, do nothing. Players are not looked at. */
MAPPO_FN void forage_find_valid(struct forage *w, const struct forage_rules *rules)
{
    struct forage_player *player = forage_players(w);
    const struct forage_food *food = forage_foods(w, rules);
    const int32_t last = rules->field - 1;
    for (int32_t i = 0; i < rules->players; i++) {
        const int32_t row = player[i].row, col = player[i].col;
        uint32_t valid = 1u << FORAGE_NONE | (uint32_t)(row > 0) << FORAGE_NORTH | (uint32_t)(row < last) << FORAGE_SOUTH |
                         (uint32_t)(col > 0) << FORAGE_WEST | (uint32_t)(col < last) << FORAGE_EAST;
        for (int32_t k = 0; k < rules->foods; k++) {
            const int32_t down = food[k].row - row, right = food[k].col - col;
            if (food[k].level == 0 || down * down + right * right != 1) continue;
            const int towards = down ? (down < 0 ? FORAGE_NORTH : FORAGE_SOUTH) : (right < 0 ? FORAGE_WEST : FORAGE_EAST);
            valid = (valid & ~(1u << towards)) | 1u << FORAGE_LOAD;
        }
        player[i].valid = (uint8_t)valid;
    }
}

MAPPO_FN void forage_reset(struct forage *w, const struct forage_rules *rules)
{
    struct forage_player *player = forage_players(w);
    w->steps = 0;
    w->spawned = 0;
    for (int32_t i = 0; i < rules->players; i++) {
        int32_t row, col;
        do {
            row = philox_below(&w->rng, rules->field);
            col = philox_below(&w->rng, rules->field);
        } while (forage_is_taken(player, i, row, col));
        player[i].row = (int8_t)row;
        player[i].col = (int8_t)col;
        player[i].level = (uint8_t)forage_between(&w->rng, rules->min_player_level, rules->max_player_level);
    }
    forage_spawn_foods(w, rules);
    w->left = w->spawned;
    forage_find_valid(w, rules);
}

/* ---- a step ------------------------------------------------------------------------------------------------- */

/* Every player claims a cell, its own if it stays; a cell that one player claims is its new place. Nobody enters a cell that another one
 * keeps by choice, but players can change places, and one whose own claim failed can find itself in company. */
MAPPO_FN void forage_move(struct forage *w, const struct forage_rules *rules, const int32_t *act)
{
    struct forage_player *player = forage_players(w);
    for (int32_t i = 0; i < rules->players; i++) {
        const int32_t action = (player[i].valid >> act[i] & 1) ? act[i] : FORAGE_NONE;
        player[i].to_row = (int8_t)(player[i].row + forage_moves[action][0]);
        player[i].to_col = (int8_t)(player[i].col + forage_moves[action][1]);
        player[i].loading = action == FORAGE_LOAD;
    }
    for (int32_t i = 0; i < rules->players; i++) {
        int claims = 0;
        for (int32_t j = 0; j < rules->players; j++) claims += player[j].to_row == player[i].to_row && player[j].to_col == player[i].to_col;
        if (claims > 1) continue;
        player[i].row = player[i].to_row;
        player[i].col = player[i].to_col;
    }
}

MAPPO_FN int forage_loads(const struct forage_player *player, const struct forage_food *food)
{
    const int32_t down = player->row - food->row, right = player->col - food->col;
    return player->loading && down * down + right * right == 1;
}

MAPPO_FN void forage_load(struct forage *w, const struct forage_rules *rules, rule_real *reward)
{
    const struct forage_player *player = forage_players(w);
    struct forage_food *food = forage_foods(w, rules);
    for (int32_t k = 0; k < rules->foods; k++) {
        int32_t levels = 0;
        if (food[k].level == 0) continue;
        for (int32_t i = 0; i < rules->players; i++) levels += forage_loads(&player[i], &food[k]) ? player[i].level : 0;
        if (levels == 0) continue;
        for (int32_t i = 0; i < rules->players && reward; i++) {
            if (!forage_loads(&player[i], &food[k])) continue;
            const rule_real share = (rule_real)(player[i].level * food[k].level);
            if (levels < food[k].level)
                reward[i] -= rules->penalty;
            else
                reward[i] = rules->normalize ? share / (rule_real)(levels * w->spawned) : share;
        }
        if (levels < food[k].level) continue;
        w->left -= food[k].level;
        food[k].level = 0;
    }
}

MAPPO_FN int forage_step(struct forage *w, const struct forage_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    for (int32_t i = 0; i < rules->players && group->reward; i++) group->reward[i] = 0;
    forage_move(w, rules, group->act_int);
    forage_load(w, rules, group->reward);
    forage_find_valid(w, rules);
    w->steps++;
    const int end = w->left == 0 ? MAPPO_TERMINATED : w->steps >= rules->max_episode_steps ? rules->limit : MAPPO_RUNNING;
    for (int32_t i = 0; i < rules->players && group->terminated; i++) group->terminated[i] = (uint8_t)(end == MAPPO_TERMINATED);
    if (io->info) {
        io->info[FORAGE_EATEN] = w->spawned ? (float)(w->spawned - w->left) / (float)w->spawned : 1;
        io->info[FORAGE_CLEARED] = (float)(w->left == 0);
    }
    return end;
}

/* ---- what players see --------------------------------------------------------------------------------------- */

MAPPO_FN int32_t forage_player_numbers(const struct forage_rules *rules)
{
    return rules->levels ? 3 : 2;
}

MAPPO_FN float *forage_write(float *obs, const int32_t row, const int32_t col, const int32_t level, const int32_t numbers)
{
    obs[0] = (float)row;
    obs[1] = (float)col;
    if (numbers == 3) obs[2] = (float)level;
    return obs + numbers;
}

/* Food in row-major order, then the player itself, then the others in their order, as (row, column, level); (-1, -1, 0) fills up. Cells are
 * counted from the corner of what the player sees, which the field's edges cut off. Upstream looks for players as far from that corner as
 * if nothing were cut off, so near the north and west they are seen further than food. */
MAPPO_FN void forage_observe_list(const struct forage *w, const struct forage_rules *rules, const int32_t i, float *obs)
{
    const struct forage_player *player = forage_players(w), own = player[i];
    const struct forage_food *food = forage_foods(w, rules);
    const int32_t sight = rules->sight, numbers = forage_player_numbers(rules);
    const int32_t top = own.row > sight ? own.row - sight : 0, left = own.col > sight ? own.col - sight : 0;
    float *const others = obs + 3 * rules->foods, *const end = others + numbers * rules->players;
    for (int32_t k = 0; k < rules->foods; k++) {
        if (food[k].level == 0 || forage_distance(food[k].row, own.row) > sight || forage_distance(food[k].col, own.col) > sight) continue;
        obs = forage_write(obs, food[k].row - top, food[k].col - left, food[k].level, 3);
    }
    while (obs < others) obs = forage_write(obs, -1, -1, 0, 3);
    obs = forage_write(obs, own.row - top, own.col - left, own.level, numbers);
    for (int32_t j = 0; j < rules->players; j++) {
        const int32_t row = player[j].row - top, col = player[j].col - left;
        if (j == i || row < 0 || col < 0 || row > 2 * sight || col > 2 * sight) continue;
        obs = forage_write(obs, row, col, player[j].level, numbers);
    }
    while (obs < end) obs = forage_write(obs, -1, -1, 0, numbers);
}

/* Three layers of (2 sight + 1)² cells around the player: levels of players (ones without `levels`), levels of food, and whether a cell of
 * the field is free. */
MAPPO_FN void forage_observe_grid(const struct forage *w, const struct forage_rules *rules, const int32_t i, float *obs)
{
    const struct forage_player *player = forage_players(w), own = player[i];
    const struct forage_food *food = forage_foods(w, rules);
    const int32_t sight = rules->sight, side = 2 * sight + 1, cells = side * side;
    const int32_t top = own.row - sight, left = own.col - sight;
    for (int32_t row = 0, k = 0; row < side; row++)
        for (int32_t col = 0; col < side; col++, k++) {
            obs[k] = obs[cells + k] = 0;
            obs[2 * cells + k] = (float)(top + row >= 0 && top + row < rules->field && left + col >= 0 && left + col < rules->field);
        }
    for (int32_t j = 0; j < rules->players; j++) {
        const int32_t row = player[j].row - top, col = player[j].col - left;
        if (row < 0 || row >= side || col < 0 || col >= side) continue;
        obs[row * side + col] = rules->levels ? (float)player[j].level : 1;
        obs[2 * cells + row * side + col] = 0;
    }
    for (int32_t k = 0; k < rules->foods; k++) {
        const int32_t row = food[k].row - top, col = food[k].col - left;
        if (food[k].level == 0 || row < 0 || row >= side || col < 0 || col >= side) continue;
        obs[cells + row * side + col] = (float)food[k].level;
        obs[2 * cells + row * side + col] = 0;
    }
}

MAPPO_FN void forage_observe_agent(const struct forage *w, const struct forage_rules *rules, const int32_t agent, const struct rule_io *io)
{
    const struct rule_group_io *row = &io->group[0];
    if (row->obs && rules->grid) forage_observe_grid(w, rules, agent, row->obs);
    if (row->obs && !rules->grid) forage_observe_list(w, rules, agent, row->obs);
    for (int k = 0; row->act_mask && rules->mask && k < FORAGE_ACTIONS; k++) row->act_mask[k] = forage_players(w)[agent].valid >> k & 1;
}

#endif
