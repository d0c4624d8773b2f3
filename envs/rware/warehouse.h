/* Robotic warehouse (Papoudakis et al. 2021): robots carry requested shelves to goals and bring them back. Rules of rware 2.0.0 ("v2").
 * Start reading at warehouse_step: aim, clear the way, act, deliver.
 *
 * The grid lies in an array of cells with a border as wide as agents see, so that nobody looks outside of it: cell (x, y) of the grid is
 * number (y + range) * stride + x + range. y = 0 is the top. Shelves are numbered from 1, row by row, agents from 0. */
#ifndef ENVS_RWARE_WAREHOUSE_H
#define ENVS_RWARE_WAREHOUSE_H

#include "env/rules.h"

enum {
    WAREHOUSE_MAX_AGENTS = 32,
    WAREHOUSE_MAX_RANGE = 5,
    WAREHOUSE_MAX_ROWS = 4, /* of blocks of shelves; columns are single */
    WAREHOUSE_MAX_COLUMNS = 9,
    WAREHOUSE_MAX_COLUMN_HEIGHT = 15,
    WAREHOUSE_MAX_WIDTH = 3 * WAREHOUSE_MAX_COLUMNS + 1,
    WAREHOUSE_MAX_HEIGHT = (WAREHOUSE_MAX_COLUMN_HEIGHT + 1) * WAREHOUSE_MAX_ROWS + 2,
    WAREHOUSE_MAX_CELLS = (WAREHOUSE_MAX_WIDTH + 2 * WAREHOUSE_MAX_RANGE) * (WAREHOUSE_MAX_HEIGHT + 2 * WAREHOUSE_MAX_RANGE),
    WAREHOUSE_MAX_SHELVES = 2 * WAREHOUSE_MAX_COLUMNS * WAREHOUSE_MAX_COLUMN_HEIGHT * WAREHOUSE_MAX_ROWS, /* fewer in fact */
    WAREHOUSE_MAX_MESSAGE = 8,
    WAREHOUSE_GOALS = 2,
    WAREHOUSE_OWN = 8 /* numbers of an observation about the agent itself */
};
enum warehouse_action { WAREHOUSE_NOOP, WAREHOUSE_FORWARD, WAREHOUSE_LEFT, WAREHOUSE_RIGHT, WAREHOUSE_TOGGLE, WAREHOUSE_ACTIONS };
enum warehouse_direction { WAREHOUSE_UP, WAREHOUSE_DOWN, WAREHOUSE_WEST, WAREHOUSE_EAST, WAREHOUSE_DIRECTIONS };
enum warehouse_reward { WAREHOUSE_INDIVIDUAL, WAREHOUSE_GLOBAL, WAREHOUSE_TWO_STAGE };

/* By direction: what a step adds to x and y, and the direction after a turn. */
MAPPO_TABLE(int8_t, warehouse_moves, [WAREHOUSE_DIRECTIONS][2]) = {{0, -1}, {0, 1}, {-1, 0}, {1, 0}};
MAPPO_TABLE(uint8_t, warehouse_left, [WAREHOUSE_DIRECTIONS]) = {WAREHOUSE_WEST, WAREHOUSE_EAST, WAREHOUSE_DOWN, WAREHOUSE_UP};
MAPPO_TABLE(uint8_t, warehouse_right, [WAREHOUSE_DIRECTIONS]) = {WAREHOUSE_EAST, WAREHOUSE_WEST, WAREHOUSE_UP, WAREHOUSE_DOWN};

struct warehouse_rules {
    int32_t agents, requests, shelves, message_bits, reward_type, normalised;
    int32_t width, height, range;             /* of the grid; of sight */
    int32_t stride, cells;                    /* of the array of cells */
    int32_t max_steps, max_inactivity, limit; /* 0 = none */
    int32_t goal[WAREHOUSE_GOALS];            /* cells */
    int16_t home[WAREHOUSE_MAX_CELLS];        /* the shelf that begins there; 0: highway, where none may be put down, or outside */
};

struct warehouse_agent {
    int16_t x, y;
    int16_t cell, target; /* where it is, and in a step where it would go */
    int16_t shelf;        /* that it carries; 0 = none */
    uint8_t direction, action;
    uint8_t chain;     /* in a step: agents in the longest queue that ends with it, itself included */
    uint8_t goes;      /* in a step: nothing is in its way */
    uint8_t delivered; /* the shelf that it carries was delivered */
    uint8_t message;   /* bits */
};
struct warehouse_cell {
    int16_t shelf; /* 0 = none; carried ones are here, too */
    uint8_t agent; /* its number + 1; 0 = none */
    uint8_t spare;
};

/* struct warehouse_agent [agents], struct warehouse_cell [cells] and uint8_t [shelves + 1] (shelf k is requested) follow. */
struct warehouse {
    struct philox rng;
    int32_t steps, idle; /* idle: steps since a shelf was delivered */
    int32_t deliveries, spare;
};

MAPPO_FN struct warehouse_agent *warehouse_agents(const struct warehouse *w)
{
    return (struct warehouse_agent *)(w + 1);
}

MAPPO_FN struct warehouse_cell *warehouse_cells(const struct warehouse *w, const struct warehouse_rules *rules)
{
    return (struct warehouse_cell *)(warehouse_agents(w) + rules->agents);
}

MAPPO_FN uint8_t *warehouse_requested(const struct warehouse *w, const struct warehouse_rules *rules)
{
    return (uint8_t *)(warehouse_cells(w, rules) + rules->cells);
}

static inline size_t warehouse_bytes(const struct warehouse_rules *rules)
{
    const size_t bytes = sizeof(struct warehouse) + (size_t)rules->agents * sizeof(struct warehouse_agent) +
                         (size_t)rules->cells * sizeof(struct warehouse_cell) + (size_t)rules->shelves + 1;
    return (bytes + 7) & ~(size_t)7;
}

MAPPO_FN int32_t warehouse_cell_at(const struct warehouse_rules *rules, const int32_t x, const int32_t y)
{
    return (y + rules->range) * rules->stride + x + rules->range;
}

MAPPO_FN int warehouse_is_inside(const struct warehouse_rules *rules, const int32_t x, const int32_t y)
{
    return x >= 0 && x < rules->width && y >= 0 && y < rules->height;
}

/* ---- a new episode ----------------------------------------------------------------------------------------- */

/* One more request, for any shelf that is not requested. */
MAPPO_FN void warehouse_request(struct warehouse *w, const struct warehouse_rules *rules, const int32_t requested_now)
{
    uint8_t *requested = warehouse_requested(w, rules);
    int32_t k = philox_below(&w->rng, rules->shelves - requested_now), shelf = 1;
    for (; requested[shelf] || k > 0; shelf++) k -= !requested[shelf];
    requested[shelf] = 1;
}

MAPPO_FN void warehouse_reset(struct warehouse *w, const struct warehouse_rules *rules)
{
    struct warehouse_agent *agent = warehouse_agents(w);
    struct warehouse_cell *cell = warehouse_cells(w, rules);
    w->steps = w->idle = w->deliveries = 0;
    for (int32_t k = 0; k < rules->cells; k++) {
        cell[k].shelf = rules->home[k];
        cell[k].agent = 0;
    }
    for (int32_t i = 0; i < rules->agents; i++) {
        do {
            agent[i].x = (int16_t)philox_below(&w->rng, rules->width);
            agent[i].y = (int16_t)philox_below(&w->rng, rules->height);
            agent[i].cell = (int16_t)warehouse_cell_at(rules, agent[i].x, agent[i].y);
        } while (cell[agent[i].cell].agent);
        cell[agent[i].cell].agent = (uint8_t)(i + 1);
        agent[i].direction = (uint8_t)philox_below(&w->rng, WAREHOUSE_DIRECTIONS);
        agent[i].shelf = 0;
        agent[i].delivered = agent[i].message = 0;
    }
    for (int32_t k = 0; k <= rules->shelves; k++) warehouse_requested(w, rules)[k] = 0;
    for (int32_t k = 0; k < rules->requests; k++) warehouse_request(w, rules, k);
}

/* ---- a step: who goes ---------------------------------------------------------------------------------------- */

/* What each agent does and where it would be then. A loaded one does not try to enter a cell with a shelf that stands there. */
MAPPO_FN void warehouse_aim(struct warehouse *w, const struct warehouse_rules *rules, const int32_t *act)
{
    struct warehouse_agent *agent = warehouse_agents(w);
    const struct warehouse_cell *cell = warehouse_cells(w, rules);
    for (int32_t i = 0; i < rules->agents; i++) {
        struct warehouse_agent *own = &agent[i];
        own->action = (uint8_t)*act++;
        own->message = 0;
        for (int32_t k = 0; k < rules->message_bits; k++) own->message |= (uint8_t)((*act++ & 1) << k);
        own->target = own->cell;
        own->chain = own->goes = 0;
        if (own->action != WAREHOUSE_FORWARD) continue;
        const int32_t x = own->x + warehouse_moves[own->direction][0], y = own->y + warehouse_moves[own->direction][1];
        if (!warehouse_is_inside(rules, x, y)) continue;
        const int32_t ahead = warehouse_cell_at(rules, x, y);
        if (own->shelf && cell[ahead].shelf && !(cell[ahead].agent && agent[cell[ahead].agent - 1].shelf)) continue;
        own->target = (int16_t)ahead;
    }
}

/* Who stands where agent i would go; -1 = nobody. */
MAPPO_FN int32_t warehouse_ahead(const struct warehouse *w, const struct warehouse_rules *rules, const int32_t i)
{
    return warehouse_cells(w, rules)[warehouse_agents(w)[i].target].agent - 1;
}

/* Of those who would go to `cell`, the one with the longest queue behind it; of equals the first. -1 = nobody. */
MAPPO_FN int32_t warehouse_first_into(const struct warehouse *w, const struct warehouse_rules *rules, const int32_t cell)
{
    const struct warehouse_agent *agent = warehouse_agents(w);
    int32_t first = -1;
    for (int32_t i = 0; i < rules->agents; i++)
        if (agent[i].target == cell && agent[i].cell != cell && (first < 0 || agent[i].chain > agent[first].chain)) first = i;
    return first;
}

/* Agents that would follow one another are a queue. One that ends at a free cell moves; of several that meet the longest does, and the
 * others wait. One that ends at an agent that stays waits. A ring of more than two moves, and who queues behind it waits; two cannot change
 * places. */
MAPPO_FN void warehouse_clear_the_way(struct warehouse *w, const struct warehouse_rules *rules)
{
    struct warehouse_agent *agent = warehouse_agents(w);
    for (int32_t i = 0; i < rules->agents; i++)
        for (int32_t j = i, length = 1; j >= 0 && length <= rules->agents && agent[j].chain < length; length++) {
            agent[j].chain = (uint8_t)length;
            j = agent[j].target == agent[j].cell ? -1 : warehouse_ahead(w, rules, j);
        }
    for (int32_t i = 0; i < rules->agents; i++) {
        int32_t ahead = warehouse_ahead(w, rules, i);
        if (ahead == i) { /* it stays */
            agent[i].goes = 1;
        } else if (ahead < 0) { /* at the head of a queue */
            for (int32_t j = warehouse_first_into(w, rules, agent[i].target) == i ? i : -1; j >= 0;) {
                agent[j].goes = 1;
                j = warehouse_first_into(w, rules, agent[j].cell);
            }
        } else {
            int32_t length = 1;
            for (; ahead >= 0 && ahead != i && length <= rules->agents; length++)
                ahead = agent[ahead].target == agent[ahead].cell ? -1 : warehouse_ahead(w, rules, ahead);
            if (ahead == i && length > 2) agent[i].goes = 1;
        }
    }
}

/* ---- a step: what happens ------------------------------------------------------------------------------------ */

MAPPO_FN void warehouse_turn_or_toggle(struct warehouse *w, const struct warehouse_rules *rules, struct warehouse_agent *own,
                                       rule_real *reward)
{
    if (own->action == WAREHOUSE_LEFT) own->direction = warehouse_left[own->direction];
    if (own->action == WAREHOUSE_RIGHT) own->direction = warehouse_right[own->direction];
    if (own->action != WAREHOUSE_TOGGLE) return;
    if (!own->shelf) {
        own->shelf = warehouse_cells(w, rules)[own->cell].shelf;
    } else if (rules->home[own->cell]) {
        own->shelf = 0;
        if (own->delivered && rules->reward_type == WAREHOUSE_TWO_STAGE && reward) *reward += (rule_real)0.5;
        own->delivered = 0;
    }
}

MAPPO_FN void warehouse_act(struct warehouse *w, const struct warehouse_rules *rules, rule_real *reward)
{
    struct warehouse_agent *agent = warehouse_agents(w);
    struct warehouse_cell *cell = warehouse_cells(w, rules);
    for (int32_t i = 0; i < rules->agents; i++) { /* all leave before one arrives */
        if (!agent[i].goes || agent[i].target == agent[i].cell) continue;
        cell[agent[i].cell].agent = 0;
        if (agent[i].shelf) cell[agent[i].cell].shelf = 0;
    }
    for (int32_t i = 0; i < rules->agents; i++) {
        struct warehouse_agent *own = &agent[i];
        if (own->goes && own->target != own->cell) {
            own->cell = own->target;
            own->x = (int16_t)(own->x + warehouse_moves[own->direction][0]);
            own->y = (int16_t)(own->y + warehouse_moves[own->direction][1]);
            cell[own->cell].agent = (uint8_t)(i + 1);
            if (own->shelf) cell[own->cell].shelf = own->shelf;
        } else {
            warehouse_turn_or_toggle(w, rules, own, reward ? reward + i : NULL);
        }
    }
}

/* Requested shelves that are at a goal now; each is replaced among the requests by another one. Returns how many. */
MAPPO_FN int32_t warehouse_deliver(struct warehouse *w, const struct warehouse_rules *rules, rule_real *reward)
{
    uint8_t *requested = warehouse_requested(w, rules);
    int32_t delivered = 0;
    for (int k = 0; k < WAREHOUSE_GOALS; k++) {
        const struct warehouse_cell at = warehouse_cells(w, rules)[rules->goal[k]];
        if (!at.shelf || !requested[at.shelf] || !at.agent) continue;
        const int32_t carrier = at.agent - 1;
        warehouse_request(w, rules, rules->requests); /* while the old one counts: it is not asked for again at once */
        requested[at.shelf] = 0;
        delivered++;
        if (rules->reward_type == WAREHOUSE_TWO_STAGE) warehouse_agents(w)[carrier].delivered = 1;
        for (int32_t i = 0; i < rules->agents && reward; i++) {
            if (rules->reward_type == WAREHOUSE_GLOBAL)
                reward[i] += 1;
            else if (i == carrier)
                reward[i] += rules->reward_type == WAREHOUSE_TWO_STAGE ? (rule_real)0.5 : 1;
        }
    }
    return delivered;
}

MAPPO_FN int warehouse_step(struct warehouse *w, const struct warehouse_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    for (int32_t i = 0; i < rules->agents && group->reward; i++) group->reward[i] = 0;
    warehouse_aim(w, rules, group->act_int);
    warehouse_clear_the_way(w, rules);
    warehouse_act(w, rules, group->reward);
    const int32_t delivered = warehouse_deliver(w, rules, group->reward);
    w->deliveries += delivered;
    w->idle = delivered ? 0 : w->idle + 1;
    w->steps++;
    const int over = (rules->max_inactivity && w->idle >= rules->max_inactivity) || (rules->max_steps && w->steps >= rules->max_steps);
    const int end = over ? rules->limit : MAPPO_RUNNING;
    for (int32_t i = 0; i < rules->agents && group->terminated; i++) group->terminated[i] = (uint8_t)(end == MAPPO_TERMINATED);
    if (io->info) io->info[0] = (float)w->deliveries;
    return end;
}

/* ---- what agents see ------------------------------------------------------------------------------------------ */

MAPPO_FN int32_t warehouse_cell_numbers(const struct warehouse_rules *rules)
{
    return 1 + WAREHOUSE_DIRECTIONS + rules->message_bits + 2;
}

MAPPO_FN int32_t warehouse_obs_size(const struct warehouse_rules *rules)
{
    return WAREHOUSE_OWN + (2 * rules->range + 1) * (2 * rules->range + 1) * warehouse_cell_numbers(rules);
}

MAPPO_FN float *warehouse_write_direction(float *obs, const int32_t direction)
{
    for (int k = 0; k < WAREHOUSE_DIRECTIONS; k++) *obs++ = (float)(direction == k);
    return obs;
}

/* Place, load, direction, highway; then for each cell around it, row by row: an agent, its direction ("up" where there is none) and message,
 * a shelf, and whether that is requested. */
MAPPO_FN void warehouse_observe_agent(const struct warehouse *w, const struct warehouse_rules *rules, const int32_t i,
                                      const struct rule_io *io)
{
    const struct warehouse_agent *agent = warehouse_agents(w), own = agent[i];
    const uint8_t *requested = warehouse_requested(w, rules);
    const int32_t side = 2 * rules->range + 1;
    float *obs = io->group[0].obs;
    if (!obs) return;
    *obs++ = rules->normalised ? (float)own.x / (float)(rules->width - 1) : (float)own.x;
    *obs++ = rules->normalised ? (float)own.y / (float)(rules->height - 1) : (float)own.y;
    *obs++ = (float)(own.shelf != 0);
    obs = warehouse_write_direction(obs, own.direction);
    *obs++ = (float)!rules->home[own.cell];
    for (int32_t row = 0; row < side; row++) {
        const struct warehouse_cell *cell = warehouse_cells(w, rules) + own.cell + (row - rules->range) * rules->stride - rules->range;
        for (int32_t k = 0; k < side; k++, cell++) {
            const struct warehouse_agent *other = cell->agent ? &agent[cell->agent - 1] : NULL;
            *obs++ = (float)(other != NULL);
            obs = warehouse_write_direction(obs, other ? (int32_t)other->direction : (int32_t)WAREHOUSE_UP);
            for (int32_t bit = 0; bit < rules->message_bits; bit++) *obs++ = (float)(other ? other->message >> bit & 1 : 0);
            *obs++ = (float)(cell->shelf != 0);
            *obs++ = (float)(cell->shelf && requested[cell->shelf]);
        }
    }
}

#endif
