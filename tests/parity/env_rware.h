/* Robotic warehouse against recordings of rware. Where two queues of the same length meet, upstream's graph library decides which moves; those
 * steps are marked, and left out. */
#ifndef TESTS_PARITY_ENV_RWARE_H
#define TESTS_PARITY_ENV_RWARE_H

#include "envs/rware/warehouse.h"
#include "parity/env_rows.h"

struct rware_case {
    struct rows_case base;
    struct warehouse_rules rules;
    struct golden_array agents, shelves, requests, agents_after, shelves_after, requests_after, tie;
    double *found_agents, *found_shelves, *found_requests;
};

static inline int rware_case_number(const struct env_case *of, const char *name)
{
    double value;
    return golden_numbers(of->file, of->group, name, &value, 1) ? (int)value : 0;
}

/* The grid as recorded, not as it is laid out here. */
static inline bool rware_case_layout(struct rware_case *c, const struct env_case *of)
{
    struct warehouse_rules *rules = &c->rules;
    struct golden_array highway = env_read(of, "highway");
    double goal[2 * WAREHOUSE_GOALS];
    *rules = (struct warehouse_rules){.agents = rware_case_number(of, "n_agents"),
                                      .requests = rware_case_number(of, "request_queue_size"),
                                      .width = rware_case_number(of, "grid_width"),
                                      .height = rware_case_number(of, "grid_height"),
                                      .range = 1,
                                      .max_steps = rware_case_number(of, "max_steps"),
                                      .limit = MAPPO_TERMINATED,
                                      .reward_type = WAREHOUSE_INDIVIDUAL};
    const bool fits = rules->width <= WAREHOUSE_MAX_WIDTH && rules->height <= WAREHOUSE_MAX_HEIGHT &&
                      highway.count == (size_t)rules->width * (size_t)rules->height &&
                      golden_numbers(of->file, of->group, "goals_xy", goal, 4) == 2 * WAREHOUSE_GOALS;
    while (rules->range < WAREHOUSE_MAX_RANGE && warehouse_obs_size(rules) < rware_case_number(of, "obs_dim")) rules->range++;
    rules->stride = rules->width + 2 * rules->range;
    rules->cells = rules->stride * (rules->height + 2 * rules->range);
    for (int32_t y = 0; fits && y < rules->height; y++)
        for (int32_t x = 0; x < rules->width; x++)
            if (!highway.data[y * rules->width + x]) rules->home[warehouse_cell_at(rules, x, y)] = (int16_t)++rules->shelves;
    for (int k = 0; fits && k < WAREHOUSE_GOALS; k++)
        rules->goal[k] = warehouse_cell_at(rules, (int32_t)goal[2 * k], (int32_t)goal[2 * k + 1]);
    golden_free(&highway);
    return fits && rules->shelves == rware_case_number(of, "n_shelves");
}

static inline bool rware_case_open(struct rware_case *c, const struct env_case *of)
{
    if (!rows_case_open(&c->base, of) || !rware_case_layout(c, of)) return false;
    c->agents = env_read(of, "agents_before");
    c->agents_after = env_read(of, "agents_after");
    c->shelves = env_read(of, "shelves_before");
    c->shelves_after = env_read(of, "shelves_after");
    c->requests = env_read(of, "requests_before");
    c->requests_after = env_read(of, "requests_after");
    c->tie = env_read(of, "tie");
    c->base.rules = &c->rules;
    c->found_agents = calloc(c->agents.count + 1, sizeof(double));
    c->found_shelves = calloc(c->shelves.count + 1, sizeof(double));
    c->found_requests = calloc(c->requests.count + 1, sizeof(double));
    const size_t agents = (size_t)c->rules.agents, rows = c->base.rows;
    return agents == c->base.agents && agents <= WAREHOUSE_MAX_AGENTS && (size_t)warehouse_obs_size(&c->rules) == c->base.width &&
           c->agents.count == rows * agents * 4 && c->agents_after.count == c->agents.count &&
           c->shelves.count == rows * (size_t)c->rules.shelves * 2 && c->shelves_after.count == c->shelves.count &&
           c->requests.count == rows * (size_t)c->rules.requests && c->requests_after.count == c->requests.count && c->tie.count == rows;
}

static inline void rware_case_close(struct rware_case *c)
{
    golden_free(&c->agents);
    golden_free(&c->shelves);
    golden_free(&c->requests);
    golden_free(&c->agents_after);
    golden_free(&c->shelves_after);
    golden_free(&c->requests_after);
    golden_free(&c->tie);
    free(c->found_agents);
    free(c->found_shelves);
    free(c->found_requests);
    rows_case_close(&c->base);
}

static inline void rware_put_requests(const struct rware_case *c, const struct golden_array *from, size_t row, struct warehouse *w)
{
    uint8_t *requested = warehouse_requested(w, &c->rules);
    memset(requested, 0, (size_t)c->rules.shelves + 1);
    for (int k = 0; k < c->rules.requests; k++) requested[(int)from->data[row * (size_t)c->rules.requests + (size_t)k]] = 1;
}

static inline void rware_put(const struct rows_case *base, size_t row, int step, void *state)
{
    const struct rware_case *c = (const struct rware_case *)base;
    struct warehouse *w = state;
    struct warehouse_cell *cell = warehouse_cells(w, &c->rules);
    w->steps = step;
    w->idle = 0;
    memset(cell, 0, (size_t)c->rules.cells * sizeof *cell);
    for (int k = 0; k < c->rules.shelves; k++) {
        const double *from = c->shelves.data + (row * (size_t)c->rules.shelves + (size_t)k) * 2;
        cell[warehouse_cell_at(&c->rules, (int32_t)from[0], (int32_t)from[1])].shelf = (int16_t)(k + 1);
    }
    for (int i = 0; i < c->rules.agents; i++) {
        const double *from = c->agents.data + (row * (size_t)c->rules.agents + (size_t)i) * 4;
        struct warehouse_agent *agent = &warehouse_agents(w)[i];
        *agent = (struct warehouse_agent){
            .x = (int16_t)from[0], .y = (int16_t)from[1], .direction = (uint8_t)from[2], .shelf = (int16_t)from[3]};
        agent->cell = (int16_t)warehouse_cell_at(&c->rules, agent->x, agent->y);
        cell[agent->cell].agent = (uint8_t)(i + 1);
    }
    rware_put_requests(c, &c->requests, row, w);
}

static inline void rware_redraw(const struct rows_case *base, size_t row, void *state)
{
    const struct rware_case *c = (const struct rware_case *)base;
    if (!c->tie.data[row]) rware_put_requests(c, &c->requests_after, row, state);
}

static inline bool rware_left_out(const struct rows_case *base, size_t row)
{
    return ((const struct rware_case *)base)->tie.data[row] != 0;
}

static inline bool rware_replaced(const struct rows_case *base, size_t episode)
{
    const struct rware_case *c = (const struct rware_case *)base;
    const size_t n = (size_t)c->rules.agents * 4, first = (size_t)base->episode_start.data[episode];
    if ((size_t)base->episode_start.data[episode + 1] < first + 2) return false;
    return memcmp(c->agents_after.data + first * n, c->agents.data + (first + 1) * n, n * sizeof(double)) != 0;
}

#ifdef MAPPO_RULES_DOUBLE
static inline int rware_step(const struct rows_case *c, void *state, const struct rule_io *io)
{
    return warehouse_step(state, c->rules, io);
}

static inline void rware_observe(const struct rows_case *c, const void *state, int32_t agent, const struct rule_io *io)
{
    warehouse_observe_agent(state, c->rules, agent, io);
}

/* Request k as recorded where the state agrees: it is kept, or it is gone and as many are requested as before. */
static inline void rware_keep_requests(const struct rware_case *c, size_t row, const struct warehouse *w)
{
    const uint8_t *requested = warehouse_requested(w, &c->rules);
    const size_t n = (size_t)c->rules.requests;
    size_t count = 0;
    for (int k = 0; k <= c->rules.shelves; k++) count += requested[k];
    for (size_t k = row * n; k < (row + 1) * n; k++) {
        const bool kept = c->requests.data[k] == c->requests_after.data[k];
        c->found_requests[k] = count == n && requested[(int)c->requests.data[k]] == kept ? c->requests_after.data[k] : 0;
    }
}

static inline void rware_keep(const struct rows_case *base, size_t row, const void *state)
{
    const struct rware_case *c = (const struct rware_case *)base;
    const struct warehouse_cell *cell = warehouse_cells(state, &c->rules);
    const size_t agents = (size_t)c->rules.agents * 4, shelves = (size_t)c->rules.shelves * 2, n = (size_t)c->rules.requests;
    if (rware_left_out(base, row)) {
        memcpy(c->found_agents + row * agents, c->agents_after.data + row * agents, agents * sizeof(double));
        memcpy(c->found_shelves + row * shelves, c->shelves_after.data + row * shelves, shelves * sizeof(double));
        memcpy(c->found_requests + row * n, c->requests_after.data + row * n, n * sizeof(double));
        return;
    }
    for (int i = 0; i < c->rules.agents; i++) {
        const struct warehouse_agent agent = warehouse_agents(state)[i];
        double *to = c->found_agents + row * agents + 4 * i;
        to[0] = agent.x;
        to[1] = agent.y;
        to[2] = agent.direction;
        to[3] = agent.shelf;
    }
    for (int32_t y = 0; y < c->rules.height; y++)
        for (int32_t x = 0; x < c->rules.width; x++) {
            const int16_t shelf = cell[warehouse_cell_at(&c->rules, x, y)].shelf;
            if (!shelf) continue;
            c->found_shelves[row * shelves + 2 * (size_t)(shelf - 1)] = x;
            c->found_shelves[row * shelves + 2 * (size_t)(shelf - 1) + 1] = y;
        }
    rware_keep_requests(c, row, state);
}
#endif

static const struct rows_suite rware_rows = {
    .environment = "rware/warehouse",
    .state_bytes = sizeof(struct warehouse) + WAREHOUSE_MAX_AGENTS * sizeof(struct warehouse_agent) +
                   WAREHOUSE_MAX_CELLS * sizeof(struct warehouse_cell) + WAREHOUSE_MAX_SHELVES + 1,
    .put = rware_put,
    .redraw = rware_redraw,
    .left_out = rware_left_out,
    .replaced = rware_replaced,
    .drawn = true,
#ifdef MAPPO_RULES_DOUBLE
    .step = rware_step,
    .observe = rware_observe,
    .keep = rware_keep,
#endif
};

static inline bool env_rware_has(const struct env_case *c)
{
    return strncmp(c->environment, "rware rware-", 12) == 0;
}

static inline void env_rware_check(struct parity_report *report, const struct env_case *of)
{
    struct rware_case c = {.base = {.suite = &rware_rows}};
    char text[5][32];
    const struct env_option option[] = {{"n_agents", text[0]},      {"shelf_rows", text[1]},   {"request_queue_size", text[2]},
                                        {"shelf_columns", text[3]}, {"sensor_range", text[4]}, {"limit", "upstream"}};
    if (rware_case_open(&c, of)) {
        snprintf(text[0], sizeof text[0], "%d", c.rules.agents);
        snprintf(text[1], sizeof text[1], "%d", (c.rules.height - 2) / 9); /* of columns of 8 */
        snprintf(text[2], sizeof text[2], "%d", c.rules.requests);
        snprintf(text[3], sizeof text[3], "%d", c.rules.width / 3);
        snprintf(text[4], sizeof text[4], "%d", c.rules.range);
        rows_check(report, &c.base, option, sizeof option / sizeof option[0]);
#ifdef MAPPO_RULES_DOUBLE
        env_compare(report, of, "agents_after", c.found_agents, &c.agents_after, env_exact);
        env_compare(report, of, "shelves_after", c.found_shelves, &c.shelves_after, env_exact);
        env_compare(report, of, "requests_after", c.found_requests, &c.requests_after, env_exact);
#endif
    } else {
        env_fail_shapes(report, of);
    }
    rware_case_close(&c);
}

static const struct env_suite env_rware = {env_rware_has, env_rware_check};

#endif
