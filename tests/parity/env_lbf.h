/* Level-based foraging against recordings of lbforaging. */
#ifndef TESTS_PARITY_ENV_LBF_H
#define TESTS_PARITY_ENV_LBF_H

#include "envs/lbf/foraging.h"
#include "parity/env_rows.h"

struct lbf_case {
    struct rows_case base;
    struct forage_rules rules;
    struct golden_array players, foods, players_after, foods_after, spawned;
    double *found_players, *found_foods;
};

static inline int lbf_case_number(const struct env_case *of, const char *name)
{
    double value;
    return golden_numbers(of->file, of->group, name, &value, 1) ? (int)value : 0;
}

static inline bool lbf_case_open(struct lbf_case *c, const struct env_case *of)
{
    double penalty = 0;
    if (!rows_case_open(&c->base, of)) return false;
    c->players = env_read(of, "players_before");
    c->foods = env_read(of, "foods_before");
    c->players_after = env_read(of, "players_after");
    c->foods_after = env_read(of, "foods_after");
    c->spawned = env_read(of, "food_spawned");
    golden_numbers(of->file, of->group, "penalty", &penalty, 1);
    c->rules = (struct forage_rules){.players = lbf_case_number(of, "n_players"),
                                     .field = lbf_case_number(of, "rows"),
                                     .foods = lbf_case_number(of, "n_foods"),
                                     .sight = lbf_case_number(of, "sight"),
                                     .max_episode_steps = lbf_case_number(of, "max_episode_steps"),
                                     .limit = MAPPO_TERMINATED,
                                     .min_player_level = 1,
                                     .max_player_level = 2,
                                     .min_food_level = 1,
                                     .coop = lbf_case_number(of, "coop"),
                                     .normalize = 1,
                                     .levels = 1,
                                     .penalty = (rule_real)penalty};
    c->base.rules = &c->rules;
    c->found_players = calloc(c->players.count + 1, sizeof(double));
    c->found_foods = calloc(c->foods.count + 1, sizeof(double));
    const size_t players = (size_t)c->rules.players, foods = (size_t)c->rules.foods;
    return players == c->base.agents && players <= FORAGE_MAX_PLAYERS && foods <= FORAGE_MAX_FOODS &&
           c->rules.field == lbf_case_number(of, "cols") && c->base.width == 3 * (players + foods) &&
           c->players.count == c->base.rows * players * 3 && c->foods.count == c->base.rows * foods * 3 &&
           c->players_after.count == c->players.count && c->foods_after.count == c->foods.count && c->spawned.count == c->base.episodes;
}

static inline void lbf_case_close(struct lbf_case *c)
{
    golden_free(&c->players);
    golden_free(&c->foods);
    golden_free(&c->players_after);
    golden_free(&c->foods_after);
    golden_free(&c->spawned);
    free(c->found_players);
    free(c->found_foods);
    rows_case_close(&c->base);
}

static inline void lbf_put(const struct rows_case *base, size_t row, int step, void *state)
{
    const struct lbf_case *c = (const struct lbf_case *)base;
    struct forage *w = state;
    size_t e = 0;
    while (row >= (size_t)base->episode_start.data[e + 1]) e++;
    w->steps = step;
    w->spawned = (int32_t)c->spawned.data[e];
    w->left = 0;
    for (int i = 0; i < c->rules.players; i++) {
        const double *from = c->players.data + (row * (size_t)c->rules.players + (size_t)i) * 3;
        forage_players(w)[i] = (struct forage_player){.row = (int8_t)from[0], .col = (int8_t)from[1], .level = (uint8_t)from[2]};
    }
    for (int k = 0; k < c->rules.foods; k++) {
        const double *from = c->foods.data + (row * (size_t)c->rules.foods + (size_t)k) * 3;
        forage_foods(w, &c->rules)[k] = (struct forage_food){.row = (int8_t)from[0], .col = (int8_t)from[1], .level = (uint8_t)from[2]};
        w->left += (int32_t)from[2];
    }
    forage_find_valid(w, &c->rules);
}

#ifdef MAPPO_RULES_DOUBLE
static inline int lbf_step(const struct rows_case *c, void *state, const struct rule_io *io)
{
    return forage_step(state, c->rules, io);
}

static inline void lbf_observe(const struct rows_case *c, const void *state, int32_t agent, const struct rule_io *io)
{
    forage_observe_agent(state, c->rules, agent, io);
}

static inline void lbf_keep(const struct rows_case *base, size_t row, const void *state)
{
    const struct lbf_case *c = (const struct lbf_case *)base;
    for (int i = 0; i < c->rules.players; i++) {
        const struct forage_player player = forage_players(state)[i];
        double *to = c->found_players + (row * (size_t)c->rules.players + (size_t)i) * 3;
        to[0] = player.row;
        to[1] = player.col;
        to[2] = player.level;
    }
    for (int k = 0; k < c->rules.foods; k++) {
        const struct forage_food food = forage_foods(state, &c->rules)[k];
        double *to = c->found_foods + (row * (size_t)c->rules.foods + (size_t)k) * 3;
        to[0] = food.row;
        to[1] = food.col;
        to[2] = food.level;
    }
}
#endif

static const struct rows_suite lbf_rows = {
    .environment = "lbf/foraging",
    .state_bytes =
        sizeof(struct forage) + FORAGE_MAX_PLAYERS * sizeof(struct forage_player) + FORAGE_MAX_FOODS * sizeof(struct forage_food),
    .put = lbf_put,
#ifdef MAPPO_RULES_DOUBLE
    .step = lbf_step,
    .observe = lbf_observe,
    .keep = lbf_keep,
#endif
};

static inline bool env_lbf_has(const struct env_case *c)
{
    return strncmp(c->environment, "lbforaging Foraging-", 20) == 0;
}

static inline void env_lbf_check(struct parity_report *report, const struct env_case *of)
{
    struct lbf_case c = {.base = {.suite = &lbf_rows}};
    char text[6][32];
    const struct env_option option[] = {{"players", text[0]}, {"field_size", text[1]}, {"max_num_food", text[2]}, {"sight", text[3]},
                                        {"penalty", text[4]}, {"force_coop", text[5]}, {"limit", "upstream"}};
    if (lbf_case_open(&c, of)) {
        snprintf(text[0], sizeof text[0], "%d", c.rules.players);
        snprintf(text[1], sizeof text[1], "%d", c.rules.field);
        snprintf(text[2], sizeof text[2], "%d", c.rules.foods);
        snprintf(text[3], sizeof text[3], "%d", c.rules.sight);
        snprintf(text[4], sizeof text[4], "%.17g", (double)c.rules.penalty);
        snprintf(text[5], sizeof text[5], "%d", c.rules.coop);
        rows_check(report, &c.base, option, sizeof option / sizeof option[0]);
#ifdef MAPPO_RULES_DOUBLE
        env_compare(report, of, "players_after", c.found_players, &c.players_after, env_exact);
        env_compare(report, of, "foods_after", c.found_foods, &c.foods_after, env_exact);
#endif
    } else {
        env_fail_shapes(report, of);
    }
    lbf_case_close(&c);
}

static const struct env_suite env_lbf = {env_lbf_has, env_lbf_check};

#endif
