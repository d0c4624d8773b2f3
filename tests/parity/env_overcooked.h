/* Overcooked against recordings of JaxMARL. The rewards compared are those of training: the team's and the cook's shaped reward. */
#ifndef TESTS_PARITY_ENV_OVERCOOKED_H
#define TESTS_PARITY_ENV_OVERCOOKED_H

#include "envs/overcooked/kitchen.h"
#include "parity/env_rows.h"

struct overcooked_case {
    struct rows_case base;
    struct kitchen_rules rules;
    struct golden_array place[2], direction[2], held[2], grid[2], pot[2], step[2]; /* before and after each step */
    double *found_place, *found_direction, *found_held, *found_grid, *found_pot, *found_step;
};

/* Upstream's objects. */
enum { OVERCOOKED_EMPTY = 1, OVERCOOKED_WALL, OVERCOOKED_ONION, OVERCOOKED_ONIONS, OVERCOOKED_PLATE, OVERCOOKED_PLATES, OVERCOOKED_GOAL };
enum { OVERCOOKED_POT = 8, OVERCOOKED_DISH, OVERCOOKED_AGENT, OVERCOOKED_OBJECTS };

static inline uint8_t overcooked_item(double object)
{
    return object == OVERCOOKED_ONION   ? KITCHEN_ONION
           : object == OVERCOOKED_PLATE ? KITCHEN_PLATE
           : object == OVERCOOKED_DISH  ? KITCHEN_DISH
                                        : KITCHEN_NOTHING;
}

/* What upstream calls the thing in a cell; of a counter what lies there. */
static inline int overcooked_object(const struct kitchen *w, const struct kitchen_rules *rules, int32_t c)
{
    static const int items[] = {OVERCOOKED_WALL, OVERCOOKED_ONION, OVERCOOKED_PLATE, OVERCOOKED_DISH};
    static const int kinds[] = {OVERCOOKED_EMPTY, OVERCOOKED_WALL, OVERCOOKED_ONIONS, OVERCOOKED_PLATES, OVERCOOKED_GOAL, OVERCOOKED_POT};
    if (w->cook[0].cell == c || w->cook[1].cell == c) return OVERCOOKED_AGENT;
    return rules->kind[c] == KITCHEN_COUNTER ? items[w->on[c]] : kinds[rules->kind[c]];
}

/* The layout, from the first grid. */
static inline void overcooked_read_layout(struct overcooked_case *c)
{
    static const uint8_t kinds[OVERCOOKED_OBJECTS] = {
        [OVERCOOKED_WALL] = KITCHEN_COUNTER,  [OVERCOOKED_ONION] = KITCHEN_COUNTER,     [OVERCOOKED_ONIONS] = KITCHEN_ONION_PILE,
        [OVERCOOKED_PLATE] = KITCHEN_COUNTER, [OVERCOOKED_PLATES] = KITCHEN_PLATE_PILE, [OVERCOOKED_GOAL] = KITCHEN_GOAL,
        [OVERCOOKED_POT] = KITCHEN_POT,       [OVERCOOKED_DISH] = KITCHEN_COUNTER};
    for (int32_t k = 0; k < c->rules.cells; k++) {
        const double object = c->grid[0].data[k];
        c->rules.kind[k] = object >= 0 && object < OVERCOOKED_OBJECTS ? kinds[(int)object] : KITCHEN_FLOOR;
        if (c->rules.kind[k] == KITCHEN_POT && c->rules.pots < KITCHEN_POTS) c->rules.pot[c->rules.pots++] = (uint8_t)k;
    }
    kitchen_paint(&c->rules);
}

static inline bool overcooked_case_open(struct overcooked_case *c, const struct env_case *of)
{
    static const char *const when[] = {"before", "after"};
    struct golden_array *set[] = {c->place, c->direction, c->held, c->grid, c->pot, c->step};
    static const char *const name[] = {"agent_pos", "agent_dir", "agent_inv", "grid", "pot_status", "step"};
    double **found[] = {&c->found_place, &c->found_direction, &c->found_held, &c->found_grid, &c->found_pot, &c->found_step};
    if (!rows_case_open(&c->base, of)) return false;
    for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
        for (int i = 0; i < 2; i++) {
            char dataset[64];
            text_format(dataset, sizeof dataset, "%s_%s", name[k], when[i]);
            set[k][i] = env_read(of, dataset);
        }
        if (set[k][0].count != set[k][1].count) return false;
        *found[k] = calloc(set[k][0].count + 1, sizeof(double));
    }
    struct golden_array shaped = env_read(of, "shaped_reward");
    const bool same = shaped.count == c->base.reward.count;
    for (size_t k = 0; k < shaped.count && same; k++) c->base.reward.data[k] += shaped.data[k];
    golden_free(&shaped);
    double height = 0, width = 0, max_steps = 0;
    golden_numbers(of->file, of->group, "height", &height, 1);
    golden_numbers(of->file, of->group, "width", &width, 1);
    golden_numbers(of->file, of->group, "max_steps", &max_steps, 1);
    if (!(height > 0 && width > 0 && height * width <= KITCHEN_CELLS)) return false;
    c->rules = (struct kitchen_rules){.width = (int32_t)width,
                                      .height = (int32_t)height,
                                      .cells = (int32_t)(width * height),
                                      .max_steps = (int32_t)max_steps,
                                      .limit = MAPPO_TERMINATED,
                                      .shaped_weight = 1};
    c->base.rules = &c->rules;
    const size_t rows = c->base.rows, cells = (size_t)c->rules.cells;
    if (!same || c->base.agents != KITCHEN_COOKS || c->base.width != cells * KITCHEN_CHANNELS || c->grid[0].count != rows * cells)
        return false;
    overcooked_read_layout(c);
    return c->place[0].count == rows * 4 && c->direction[0].count == rows * 2 && c->held[0].count == rows * 2 && c->step[0].count == rows &&
           c->pot[0].count == rows * (size_t)c->rules.pots;
}

static inline void overcooked_case_close(struct overcooked_case *c)
{
    struct golden_array *set[] = {c->place, c->direction, c->held, c->grid, c->pot, c->step};
    double *found[] = {c->found_place, c->found_direction, c->found_held, c->found_grid, c->found_pot, c->found_step};
    for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
        golden_free(&set[k][0]);
        golden_free(&set[k][1]);
        free(found[k]);
    }
    rows_case_close(&c->base);
}

static inline void overcooked_put(const struct rows_case *base, size_t row, int step, void *state)
{
    const struct overcooked_case *c = (const struct overcooked_case *)base;
    const size_t cells = (size_t)c->rules.cells, pots = (size_t)c->rules.pots;
    struct kitchen *w = state;
    (void)step;
    w->steps = (int32_t)c->step[0].data[row];
    w->deliveries = w->shaped = 0;
    for (size_t k = 0; k < cells; k++)
        w->on[k] = c->rules.kind[k] == KITCHEN_COUNTER ? overcooked_item(c->grid[0].data[row * cells + k]) : KITCHEN_NOTHING;
    for (size_t p = 0; p < pots; p++) w->on[c->rules.pot[p]] = (uint8_t)c->pot[0].data[row * pots + p];
    for (size_t i = 0; i < KITCHEN_COOKS; i++) {
        const double *place = c->place[0].data + (row * 2 + i) * 2;
        w->cook[i] = (struct kitchen_cook){.cell = (uint8_t)(place[1] * c->rules.width + place[0]),
                                           .direction = (uint8_t)c->direction[0].data[row * 2 + i],
                                           .held = overcooked_item(c->held[0].data[row * 2 + i])};
    }
}

#ifdef MAPPO_RULES_DOUBLE
static inline int overcooked_step(const struct rows_case *c, void *state, const struct rule_io *io)
{
    return kitchen_step(state, c->rules, io);
}

static inline void overcooked_observe(const struct rows_case *c, const void *state, int32_t agent, const struct rule_io *io)
{
    kitchen_observe_agent(state, c->rules, agent, io);
}

static inline void overcooked_keep(const struct rows_case *base, size_t row, const void *state)
{
    static const int items[] = {OVERCOOKED_EMPTY, OVERCOOKED_ONION, OVERCOOKED_PLATE, OVERCOOKED_DISH};
    const struct overcooked_case *c = (const struct overcooked_case *)base;
    const size_t cells = (size_t)c->rules.cells, pots = (size_t)c->rules.pots;
    const struct kitchen *w = state;
    c->found_step[row] = w->steps;
    for (size_t i = 0; i < KITCHEN_COOKS; i++) {
        c->found_place[(row * 2 + i) * 2] = w->cook[i].cell % c->rules.width;
        c->found_place[(row * 2 + i) * 2 + 1] = w->cook[i].cell / c->rules.width;
        c->found_direction[row * 2 + i] = w->cook[i].direction;
        c->found_held[row * 2 + i] = items[w->cook[i].held];
    }
    for (size_t k = 0; k < cells; k++) c->found_grid[row * cells + k] = overcooked_object(w, &c->rules, (int32_t)k);
    for (size_t p = 0; p < pots; p++) c->found_pot[row * pots + p] = w->on[c->rules.pot[p]];
}
#endif

static const struct rows_suite overcooked_rows = {
    .environment = "overcooked/kitchen",
    .state_bytes = sizeof(struct kitchen),
    .put = overcooked_put,
#ifdef MAPPO_RULES_DOUBLE
    .step = overcooked_step,
    .observe = overcooked_observe,
    .keep = overcooked_keep,
#endif
};

static const char overcooked_name[] = "jaxmarl Overcooked layout ";

static inline bool env_overcooked_has(const struct env_case *c)
{
    return strncmp(c->environment, overcooked_name, sizeof overcooked_name - 1) == 0;
}

static inline void env_overcooked_check(struct parity_report *report, const struct env_case *of)
{
    struct overcooked_case c = {.base = {.suite = &overcooked_rows}};
    char max_steps[16];
    const struct env_option option[] = {
        {"layout", of->environment + sizeof overcooked_name - 1}, {"max_steps", max_steps}, {"limit", "upstream"}};
    if (overcooked_case_open(&c, of)) {
        snprintf(max_steps, sizeof max_steps, "%d", c.rules.max_steps);
        rows_check(report, &c.base, option, sizeof option / sizeof option[0]);
#ifdef MAPPO_RULES_DOUBLE
        env_compare(report, of, "agent_pos_after", c.found_place, &c.place[1], env_exact);
        env_compare(report, of, "agent_dir_after", c.found_direction, &c.direction[1], env_exact);
        env_compare(report, of, "agent_inv_after", c.found_held, &c.held[1], env_exact);
        env_compare(report, of, "grid_after", c.found_grid, &c.grid[1], env_exact);
        env_compare(report, of, "pot_status_after", c.found_pot, &c.pot[1], env_exact);
        env_compare(report, of, "step_after", c.found_step, &c.step[1], env_exact);
#endif
    } else {
        env_fail_shapes(report, of);
    }
    overcooked_case_close(&c);
}

static const struct env_suite env_overcooked = {env_overcooked_has, env_overcooked_check};

#endif
