/* lbf/foraging: what the host needs around the rules of foraging.h: options, spaces, the scripted player, drawing. */
#include "envs/lbf/foraging.h"
#include "env/lane_env.h"
#include "envs/draw.h"
#include "envs/limit.h"

/* ---- options and spaces ------------------------------------------------------------------------------------ */

enum forage_option {
    OPTION_PLAYERS,
    OPTION_FIELD_SIZE,
    OPTION_MAX_NUM_FOOD,
    OPTION_SIGHT,
    OPTION_FORCE_COOP,
    OPTION_MAX_EPISODE_STEPS,
    OPTION_MIN_PLAYER_LEVEL,
    OPTION_MAX_PLAYER_LEVEL,
    OPTION_MIN_FOOD_LEVEL,
    OPTION_MAX_FOOD_LEVEL,
    OPTION_NORMALIZE_REWARD,
    OPTION_PENALTY,
    OPTION_OBSERVE_AGENT_LEVELS,
    OPTION_GRID_OBSERVATION,
    OPTION_MASK,
    OPTION_LIMIT
};

enum { MAX_LEVEL = 60 }; /* three of them, and so the level of food, fit a byte */

static const struct mappo_option options[] = {
    {"players", MAPPO_OPTION_INT, "2", 1, FORAGE_MAX_PLAYERS, NULL, "players"},
    {"field_size", MAPPO_OPTION_INT, "8", FORAGE_MIN_FIELD, FORAGE_MAX_FIELD, NULL, "rows, and as many columns"},
    {"max_num_food", MAPPO_OPTION_INT, "3", 1, FORAGE_MAX_FOODS, NULL, "foods at the start of an episode, as far as there is room"},
    {"sight", MAPPO_OPTION_INT, "none", 1, FORAGE_MAX_FIELD, NULL, "cells that a player sees each way; none = all of the field"},
    {"force_coop", MAPPO_OPTION_BOOL, "0", 0, 1, NULL,
     "all food has the highest level, so that it takes the three lowest players (or all there are) to load it"},
    {"max_episode_steps", MAPPO_OPTION_INT, "50", 1, 1e6, NULL, "steps of an episode at most"},
    {"min_player_level", MAPPO_OPTION_INT, "1", 1, MAX_LEVEL, NULL, "lowest level of a player"},
    {"max_player_level", MAPPO_OPTION_INT, "2", 1, MAX_LEVEL, NULL, "highest level of a player"},
    {"min_food_level", MAPPO_OPTION_INT, "1", 1, MAX_LEVEL, NULL, "lowest level of food"},
    {"max_food_level", MAPPO_OPTION_INT, "none", 1, MAX_LEVEL, NULL,
     "highest level of food; none = the sum of the episode's three lowest players"},
    {"normalize_reward", MAPPO_OPTION_BOOL, "1", 0, 1, NULL, "an episode pays 1 in all, shared by levels; 0: level times the food's level"},
    {"penalty", MAPPO_OPTION_REAL, "0", 0, 1e3, NULL, "what it costs each player to load food that is too much for them"},
    {"observe_agent_levels", MAPPO_OPTION_BOOL, "1", 0, 1, NULL, "players see the levels of players"},
    {"grid_observation", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "observations are three layers of the cells around a player instead of lists"},
    {"mask", MAPPO_OPTION_BOOL, "1", 0, 1, NULL,
     "actions that would do nothing (off the field, onto food, loading without food) are not offered; 0: they count as none"},
    LIMIT_OPTION("truncate"),
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int32_t three_at_most(const struct forage_rules *rules)
{
    return rules->players < 3 ? rules->players : 3;
}

static int forage_configure(struct forage_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    rules->players = (int32_t)value[OPTION_PLAYERS].i;
    rules->field = (int32_t)value[OPTION_FIELD_SIZE].i;
    rules->foods = (int32_t)value[OPTION_MAX_NUM_FOOD].i;
    rules->sight = value[OPTION_SIGHT].i == INT64_MIN ? rules->field : (int32_t)value[OPTION_SIGHT].i;
    rules->coop = (int32_t)value[OPTION_FORCE_COOP].i;
    rules->max_episode_steps = (int32_t)value[OPTION_MAX_EPISODE_STEPS].i;
    rules->min_player_level = (int32_t)value[OPTION_MIN_PLAYER_LEVEL].i;
    rules->max_player_level = (int32_t)value[OPTION_MAX_PLAYER_LEVEL].i;
    rules->min_food_level = (int32_t)value[OPTION_MIN_FOOD_LEVEL].i;
    rules->max_food_level = value[OPTION_MAX_FOOD_LEVEL].i == INT64_MIN ? 0 : (int32_t)value[OPTION_MAX_FOOD_LEVEL].i;
    rules->normalize = (int32_t)value[OPTION_NORMALIZE_REWARD].i;
    rules->penalty = (rule_real)value[OPTION_PENALTY].r;
    rules->levels = (int32_t)value[OPTION_OBSERVE_AGENT_LEVELS].i;
    rules->grid = (int32_t)value[OPTION_GRID_OBSERVATION].i;
    rules->mask = (int32_t)value[OPTION_MASK].i;
    rules->limit = limit_end(value[OPTION_LIMIT].i);
    if (rules->min_player_level > rules->max_player_level)
        return lane_refuse(error, "option min_player_level=%d is more than max_player_level=%d", rules->min_player_level,
                           rules->max_player_level);
    if (rules->max_food_level && rules->min_food_level > rules->max_food_level)
        return lane_refuse(error, "option min_food_level=%d is more than max_food_level=%d", rules->min_food_level, rules->max_food_level);
    if (!rules->max_food_level && rules->min_food_level > three_at_most(rules) * rules->min_player_level)
        return lane_refuse(error,
                           "option min_food_level=%d can be more than the three lowest players load together (%d): set max_food_level, or "
                           "a lower one",
                           rules->min_food_level, three_at_most(rules) * rules->min_player_level);
    return 0;
}

static void describe_thing(struct description *d, const struct forage_rules *rules, const char *name, int32_t i, int32_t level)
{
    describe_number(d, DESCRIBE_OBS, "cells", -1, (float)(rules->field - 1), "%s %d, row in sight (-1: none)", name, i);
    describe_number(d, DESCRIBE_OBS, "cells", -1, (float)(rules->field - 1), "%s %d, column in sight (-1: none)", name, i);
    if (level) describe_number(d, DESCRIBE_OBS, "levels", 0, (float)level, "%s %d, level", name, i);
}

static void describe_layers(struct description *d, const struct forage_rules *rules, int32_t food_level)
{
    static const char *const layer[FORAGE_LAYERS] = {"player", "food", "free"};
    const int32_t high[FORAGE_LAYERS] = {rules->levels ? rules->max_player_level : 1, food_level, 1};
    for (int k = 0; k < FORAGE_LAYERS; k++)
        for (int32_t row = -rules->sight; row <= rules->sight; row++)
            for (int32_t col = -rules->sight; col <= rules->sight; col++)
                describe_number(d, DESCRIBE_OBS, k < 2 ? "levels" : NULL, 0, (float)high[k], "%s at (%d, %d)", layer[k], row, col);
}

static void forage_describe(struct description *d, const struct forage_rules *rules)
{
    static const struct mappo_info infos[FORAGE_INFOS] = {/* in the order of enum forage_info */
                                                          {"food", "levels", "part of the food's levels that was loaded", 1},
                                                          {"cleared", "episodes", "part of the episodes in which all food was loaded", 1}};
    static const char *const actions[FORAGE_ACTIONS] = {"NONE", "NORTH", "SOUTH", "WEST", "EAST", "LOAD"};
    const int32_t food_level = rules->max_food_level ? rules->max_food_level : three_at_most(rules) * rules->max_player_level;
    d->spec.state_is_all_obs = 1;
    d->spec.infos = FORAGE_INFOS;
    d->spec.info = infos;
    d->spec.max_steps = rules->max_episode_steps;
    d->spec.rules = "lbforaging 2";
    d->spec.return_help = rules->normalize ? describe_text(d,
                                                           "loaded part of the food, shared among those who load it, mean over the %d "
                                                           "players: %.4g when all is loaded; papers report the sum, which is then 1",
                                                           rules->players, 1.0 / rules->players)
                                           : "level times the food's level for each food that a player helps to load, mean over players";
    describe_group(d, "player", rules->players, 0, (rules->mask ? MAPPO_HAS_MASK : 0) | (rules->players == 1 ? MAPPO_SHARED_REWARD : 0));
    if (rules->grid) {
        describe_layers(d, rules, food_level);
    } else {
        for (int32_t k = 0; k < rules->foods; k++) describe_thing(d, rules, "food", k, food_level);
        for (int32_t i = 0; i < rules->players; i++)
            describe_thing(d, rules, i ? "other player" : "own place,", i ? i - 1 : 0, rules->levels ? rules->max_player_level : 0);
    }
    describe_choice(d, DESCRIBE_ACT, FORAGE_ACTIONS, 0, actions);
}

/* ---- snapshots ---------------------------------------------------------------------------------------------- */

static int on_field(const struct forage_rules *rules, int32_t row, int32_t col)
{
    return row >= 0 && row < rules->field && col >= 0 && col < rules->field;
}

static int forage_sound(const struct forage *w, const struct forage_rules *rules)
{
    const struct forage_player *player = forage_players(w);
    const struct forage_food *food = forage_foods(w, rules);
    int sound = w->steps >= 0 && w->steps < rules->max_episode_steps;
    int32_t left = 0;
    for (int32_t i = 0; i < rules->players; i++)
        sound = sound && on_field(rules, player[i].row, player[i].col) && player[i].level > 0 && (player[i].valid & 1);
    for (int32_t k = 0; k < rules->foods; k++) {
        sound = sound && (food[k].level == 0 || on_field(rules, food[k].row, food[k].col));
        left += food[k].level;
    }
    return sound && left == w->left && w->left <= w->spawned;
}

/* ---- a scripted player -------------------------------------------------------------------------------------- */

/* Teams are made food by food: of all foods the one that the nearest players who suffice reach first, then the same with those left over.
 * Members walk to its side by the shortest way around everything and load once all are there. */
struct forage_plan {
    const struct forage *w;
    const struct forage_rules *rules;
    int32_t food[FORAGE_MAX_PLAYERS];                    /* where player i goes; -1 = nowhere */
    uint8_t blocked[FORAGE_MAX_FIELD][FORAGE_MAX_FIELD]; /* by food, by players, and by where they go now */
};

static int32_t steps_to_side(const struct forage_player *player, const struct forage_food *food)
{
    return forage_distance(player->row, food->row) + forage_distance(player->col, food->col) - 1;
}

/* The nearest free players whose levels suffice for food k, as bits; 0 = none do. *far: how far the last of them is. */
static uint32_t find_team(const struct forage_plan *plan, int32_t k, int32_t *far)
{
    const struct forage_player *player = forage_players(plan->w);
    const struct forage_food *food = &forage_foods(plan->w, plan->rules)[k];
    uint32_t team = 0;
    for (int32_t levels = 0, members = 0; levels < food->level; members++) {
        int32_t next = -1;
        for (int32_t i = 0; i < plan->rules->players; i++) {
            if (plan->food[i] >= 0 || (team >> i & 1)) continue;
            if (next < 0 || steps_to_side(&player[i], food) < steps_to_side(&player[next], food)) next = i;
        }
        if (next < 0 || members == 4) return 0;
        team |= 1u << next;
        levels += player[next].level;
        *far = steps_to_side(&player[next], food);
    }
    return team;
}

static void make_teams(struct forage_plan *plan)
{
    for (int32_t i = 0; i < plan->rules->players; i++) plan->food[i] = -1;
    for (uint32_t done = 0;;) {
        uint32_t best = 0;
        int32_t best_food = -1, best_far = 0;
        for (int32_t k = 0; k < plan->rules->foods; k++) {
            int32_t far = 0;
            const uint32_t team = forage_foods(plan->w, plan->rules)[k].level && !(done >> k & 1) ? find_team(plan, k, &far) : 0;
            if (!team || (best_food >= 0 && far >= best_far)) continue;
            best = team;
            best_food = k;
            best_far = far;
        }
        if (best_food < 0) return;
        done |= 1u << best_food;
        for (int32_t i = 0; i < plan->rules->players; i++)
            if (best >> i & 1) plan->food[i] = best_food;
    }
}

/* The first step of player i's shortest way to a side of its food, by a search that begins there. */
static int32_t find_step(const struct forage_plan *plan, int32_t i)
{
    const struct forage_player own = forage_players(plan->w)[i];
    const struct forage_food food = forage_foods(plan->w, plan->rules)[plan->food[i]];
    int16_t queue[FORAGE_MAX_FIELD * FORAGE_MAX_FIELD];
    uint8_t seen[FORAGE_MAX_FIELD][FORAGE_MAX_FIELD] = {{0}};
    int head = 0, tail = 0;
    queue[tail++] = (int16_t)(food.row * FORAGE_MAX_FIELD + food.col);
    while (head < tail) {
        const int32_t row = queue[head] / FORAGE_MAX_FIELD, col = queue[head++] % FORAGE_MAX_FIELD;
        for (int move = FORAGE_NORTH; move <= FORAGE_EAST; move++) { /* from where the player would come */
            const int32_t r = row - forage_moves[move][0], c = col - forage_moves[move][1];
            if (r == own.row && c == own.col) return move;
            if (!on_field(plan->rules, r, c) || plan->blocked[r][c] || seen[r][c]) continue;
            seen[r][c] = 1;
            queue[tail++] = (int16_t)(r * FORAGE_MAX_FIELD + c);
        }
    }
    return FORAGE_NONE;
}

static void forage_script(const struct forage *w, const struct forage_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    struct forage_plan plan;
    const struct forage_player *player = forage_players(w);
    const struct forage_food *food = forage_foods(w, rules);
    (void)act_real;
    memset(&plan, 0, sizeof plan);
    plan.w = w;
    plan.rules = rules;
    make_teams(&plan);
    for (int32_t k = 0; k < rules->foods; k++)
        if (food[k].level) plan.blocked[food[k].row][food[k].col] = 1;
    for (int32_t i = 0; i < rules->players; i++) plan.blocked[player[i].row][player[i].col] = 1;
    for (int32_t i = 0; i < rules->players; i++) {
        int32_t action = FORAGE_NONE;
        if (plan.food[i] >= 0 && steps_to_side(&player[i], &food[plan.food[i]]) > 0) {
            action = find_step(&plan, i);
            plan.blocked[player[i].row + forage_moves[action][0]][player[i].col + forage_moves[action][1]] = 1;
        } else if (plan.food[i] >= 0) {
            int there = 1;
            for (int32_t j = 0; j < rules->players; j++)
                there = there && (plan.food[j] != plan.food[i] || steps_to_side(&player[j], &food[plan.food[i]]) == 0);
            action = there ? FORAGE_LOAD : FORAGE_NONE;
        }
        act_int[0][i] = action;
    }
}

/* ---- drawing ------------------------------------------------------------------------------------------------ */

static void forage_draw(const struct forage *w, const struct forage_rules *rules, const struct mappo_canvas *canvas)
{
    const struct forage_player *player = forage_players(w);
    const struct forage_food *food = forage_foods(w, rules);
    const int32_t n = rules->field;
    char text[64];
    canvas->view(canvas->self, -0.2, -n - 0.2, n + 0.2, 0.9);
    snprintf(text, sizeof text, "%d of %d food levels loaded; large numbers: levels", w->spawned - w->left, w->spawned);
    canvas->text(canvas->self, 0, 0.25, 0.04 * n, text, 0x000000ffu);
    for (int32_t i = 0; i <= n; i++) {
        canvas->line(canvas->self, i, 0, i, -n, 0.03, 0xccccccffu);
        canvas->line(canvas->self, 0, -i, n, -i, 0.03, 0xccccccffu);
    }
    for (int32_t k = 0; k < rules->foods; k++) {
        if (!food[k].level) continue;
        canvas->rectangle(canvas->self, food[k].col + 0.12, -food[k].row - 0.88, food[k].col + 0.88, -food[k].row - 0.12, 0xcc2222ffu,
                          0x661111ffu);
        draw_number(canvas, food[k].col + 0.5, -food[k].row - 0.5, 0.45, food[k].level, 0xffffffffu);
    }
    for (int32_t i = 0; i < rules->players; i++) {
        const double x = player[i].col + 0.5, y = -player[i].row - 0.5;
        canvas->circle(canvas->self, x, y, 0.42, draw_colour(i), 0x000000ffu);
        draw_number(canvas, x, y - 0.08, 0.42, player[i].level, 0xffffffffu);
        snprintf(text, sizeof text, "P%d", i);
        draw_middle(canvas, x, y + 0.27, 0.2, text, 0xffffffffu);
    }
}

static const char *const aliases[] = {"lbf", NULL};

LANE_ENV(lbf_foraging, forage, 1, (observe_agent, bytes, sound, script, draw), .id = "lbf/foraging", .alias = aliases,
         .summary = "players of different levels collect food that often takes several of them (level-based foraging)",
         .source = "Albrecht and Ramamoorthy 2013; Papoudakis et al. 2021; semitable/lb-foraging (lbforaging 2.0.0)", .version = 1,
         .option = options);
