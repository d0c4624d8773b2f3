/* rware/warehouse: what the host needs around the rules of warehouse.h: options, layout, spaces, the scripted player, drawing. */
#include "envs/rware/warehouse.h"
#include "env/lane_env.h"
#include "envs/draw.h"
#include "envs/limit.h"

/* ---- options and layout ------------------------------------------------------------------------------------ */

enum warehouse_option {
    OPTION_N_AGENTS,
    OPTION_SHELF_COLUMNS,
    OPTION_COLUMN_HEIGHT,
    OPTION_SHELF_ROWS,
    OPTION_REQUESTS,
    OPTION_SENSOR_RANGE,
    OPTION_MSG_BITS,
    OPTION_MAX_STEPS,
    OPTION_MAX_INACTIVITY,
    OPTION_REWARD_TYPE,
    OPTION_NORMALISED,
    OPTION_LIMIT
};

static const char *const reward_types[] = {"individual", "global", "two_stage", NULL}; /* enum warehouse_reward */
static const struct mappo_option options[] = {
    {"n_agents", MAPPO_OPTION_INT, "2", 1, WAREHOUSE_MAX_AGENTS, NULL, "robots"},
    {"shelf_columns", MAPPO_OPTION_INT, "3", 1, WAREHOUSE_MAX_COLUMNS, NULL, "columns of shelves, two shelves wide each; an odd number"},
    {"column_height", MAPPO_OPTION_INT, "8", 1, WAREHOUSE_MAX_COLUMN_HEIGHT, NULL, "shelves from a column's one end to the other"},
    {"shelf_rows", MAPPO_OPTION_INT, "1", 1, WAREHOUSE_MAX_ROWS, NULL, "rows of columns"},
    {"request_queue_size", MAPPO_OPTION_INT, "none", 1, 1000, NULL, "shelves that are requested at a time; none = as many as robots"},
    {"sensor_range", MAPPO_OPTION_INT, "1", 1, WAREHOUSE_MAX_RANGE, NULL, "cells that a robot sees each way"},
    {"msg_bits", MAPPO_OPTION_INT, "0", 0, WAREHOUSE_MAX_MESSAGE, NULL, "bits that a robot shows to those who see it, part of its action"},
    {"max_steps", MAPPO_OPTION_INT, "500", 0, 1e6, NULL, "steps of an episode; 0 = no limit"},
    {"max_inactivity_steps", MAPPO_OPTION_INT, "none", 1, 1e6, NULL,
     "an episode ends after so many steps without a delivery; none = never"},
    {"reward_type", MAPPO_OPTION_CHOICE, "individual", 0, 0, reward_types,
     "who is paid for a delivery: the carrier; all; or the carrier by halves, the second when it puts the shelf back"},
    {"normalised_coordinates", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "places are seen as parts of the grid instead of cells"},
    LIMIT_OPTION("truncate"),
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

/* Highways run between the columns, around them, and from the lowest row to the goals in the middle of the bottom. */
static int is_highway(const struct warehouse_rules *rules, int32_t column_height, int32_t x, int32_t y)
{
    const int32_t middle = rules->width / 2;
    return x % 3 == 0 || y % (column_height + 1) == 0 || y == rules->height - 1 ||
           (y > rules->height - (column_height + 3) && (x == middle - 1 || x == middle));
}

static void lay_out(struct warehouse_rules *rules, const struct mappo_value *value)
{
    const int32_t column_height = (int32_t)value[OPTION_COLUMN_HEIGHT].i;
    rules->width = 3 * (int32_t)value[OPTION_SHELF_COLUMNS].i + 1;
    rules->height = (column_height + 1) * (int32_t)value[OPTION_SHELF_ROWS].i + 2;
    rules->stride = rules->width + 2 * rules->range;
    rules->cells = rules->stride * (rules->height + 2 * rules->range);
    for (int32_t y = 0; y < rules->height; y++)
        for (int32_t x = 0; x < rules->width; x++)
            if (!is_highway(rules, column_height, x, y)) rules->home[warehouse_cell_at(rules, x, y)] = (int16_t)++rules->shelves;
    for (int32_t k = 0; k < WAREHOUSE_GOALS; k++) rules->goal[k] = warehouse_cell_at(rules, rules->width / 2 - 1 + k, rules->height - 1);
}

static int32_t number_or_none(const struct mappo_value *value, int32_t none)
{
    return value->i == INT64_MIN ? none : (int32_t)value->i;
}

static int warehouse_configure(struct warehouse_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    rules->agents = (int32_t)value[OPTION_N_AGENTS].i;
    rules->requests = number_or_none(&value[OPTION_REQUESTS], rules->agents);
    rules->range = (int32_t)value[OPTION_SENSOR_RANGE].i;
    rules->message_bits = (int32_t)value[OPTION_MSG_BITS].i;
    rules->max_steps = (int32_t)value[OPTION_MAX_STEPS].i;
    rules->max_inactivity = number_or_none(&value[OPTION_MAX_INACTIVITY], 0);
    rules->reward_type = (int32_t)value[OPTION_REWARD_TYPE].i;
    rules->normalised = (int32_t)value[OPTION_NORMALISED].i;
    rules->limit = limit_end(value[OPTION_LIMIT].i);
    if (value[OPTION_SHELF_COLUMNS].i % 2 == 0)
        return lane_refuse(error, "option shelf_columns=%d is even; the goals need a column in the middle: take an odd number",
                           (int)value[OPTION_SHELF_COLUMNS].i);
    lay_out(rules, value);
    if (rules->requests >= rules->shelves)
        return lane_refuse(error, "option request_queue_size=%d leaves none of the %d shelves to be requested next: take a lower one",
                           rules->requests, rules->shelves);
    if (rules->agents >= rules->width * rules->height)
        return lane_refuse(error, "option n_agents=%d: the grid has %d cells; take fewer robots", rules->agents,
                           rules->width * rules->height);
    return 0;
}

/* ---- spaces ------------------------------------------------------------------------------------------------- */

static void describe_directions(struct description *d, const char *whose)
{
    static const char *const directions[WAREHOUSE_DIRECTIONS] = {"up", "down", "left", "right"};
    for (int k = 0; k < WAREHOUSE_DIRECTIONS; k++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "%s faces %s", whose, directions[k]);
}

static void describe_cell(struct description *d, const struct warehouse_rules *rules, int32_t x, int32_t y)
{
    const char *there = describe_text(d, "robot at (%d, %d)", x, y);
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "%s", there);
    describe_directions(d, there);
    for (int32_t k = 0; k < rules->message_bits; k++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "bit %d of the %s", k, there);
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "shelf at (%d, %d)", x, y);
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "shelf at (%d, %d) is requested", x, y);
}

static void warehouse_describe(struct description *d, const struct warehouse_rules *rules)
{
    static const struct mappo_info deliveries = {"deliveries", "shelves", "requested shelves brought to a goal in the episode", 1};
    static const char *const actions[WAREHOUSE_ACTIONS] = {"NOOP", "FORWARD", "LEFT", "RIGHT", "TOGGLE_LOAD"};
    static const char *const returns[] = {
        "deliveries of the episode, mean over robots; papers report the sum over robots, the number of deliveries",
        "deliveries of the episode, which each robot is paid for", "half a point a delivery and half a point a return, mean over robots"};
    const int32_t last_x = rules->normalised ? 1 : rules->width - 1, last_y = rules->normalised ? 1 : rules->height - 1;
    const char *unit = rules->normalised ? "grid" : "cells";
    d->spec.state_is_all_obs = 1;
    d->spec.infos = 1;
    d->spec.info = &deliveries;
    d->spec.max_steps = rules->max_steps;
    d->spec.rules = "rware 2";
    d->spec.return_help = returns[rules->reward_type];
    describe_group(d, "robot", rules->agents, 0, rules->agents == 1 || rules->reward_type == WAREHOUSE_GLOBAL ? MAPPO_SHARED_REWARD : 0);
    describe_number(d, DESCRIBE_OBS, unit, 0, (float)last_x, "own x");
    describe_number(d, DESCRIBE_OBS, unit, 0, (float)last_y, "own y");
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "carries a shelf");
    describe_directions(d, "it");
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "on a highway");
    for (int32_t y = -rules->range; y <= rules->range; y++)
        for (int32_t x = -rules->range; x <= rules->range; x++) describe_cell(d, rules, x, y);
    if (!rules->message_bits) {
        describe_choice(d, DESCRIBE_ACT, WAREHOUSE_ACTIONS, 0, actions);
    } else {
        describe_component(d, DESCRIBE_ACT, WAREHOUSE_ACTIONS, 0);
        for (int32_t k = 0; k < rules->message_bits; k++) describe_component(d, DESCRIBE_ACT, 2, 0);
    }
}

/* ---- snapshots ---------------------------------------------------------------------------------------------- */

static int agent_is_sound(const struct warehouse *w, const struct warehouse_rules *rules, int32_t i)
{
    const struct warehouse_agent own = warehouse_agents(w)[i];
    if (!warehouse_is_inside(rules, own.x, own.y) || own.cell != warehouse_cell_at(rules, own.x, own.y)) return 0;
    const struct warehouse_cell at = warehouse_cells(w, rules)[own.cell];
    return at.agent == i + 1 && (own.shelf == 0 || own.shelf == at.shelf) && own.direction < WAREHOUSE_DIRECTIONS;
}

/* Every agent in its cell and nowhere else, every shelf in one cell, as many requests as there should be. */
static int warehouse_sound(const struct warehouse *w, const struct warehouse_rules *rules)
{
    uint8_t seen[WAREHOUSE_MAX_SHELVES + 1] = {0};
    const uint8_t *requested = warehouse_requested(w, rules);
    int sound = w->steps >= 0 && (!rules->max_steps || w->steps < rules->max_steps) && w->idle >= 0 && w->deliveries >= 0;
    int32_t agents = 0, shelves = 0, requests = 0;
    for (int32_t k = 0; k < rules->cells; k++) {
        const struct warehouse_cell cell = warehouse_cells(w, rules)[k];
        if (cell.shelf < 0 || cell.shelf > rules->shelves || (cell.shelf && seen[cell.shelf]++)) return 0;
        agents += cell.agent != 0;
        shelves += cell.shelf != 0;
    }
    for (int32_t k = 0; k <= rules->shelves; k++) {
        sound = sound && requested[k] <= (k > 0);
        requests += requested[k];
    }
    for (int32_t i = 0; i < rules->agents; i++) sound = sound && agent_is_sound(w, rules, i);
    return sound && agents == rules->agents && shelves == rules->shelves && requests == rules->requests;
}

/* ---- a scripted player -------------------------------------------------------------------------------------- */

/* Each robot goes for the nearest requested shelf that no robot before it goes for, brings it to a goal, and puts it into the nearest
 * place that is free. It goes the shortest way around the robots before it and, loaded, around shelves, as if those after it were not there:
 * they step aside when they stand where it will soon be. */
struct warehouse_plan {
    const struct warehouse *w;
    const struct warehouse_rules *rules;
    uint8_t taken[WAREHOUSE_MAX_CELLS];  /* a robot goes there */
    uint8_t wanted[WAREHOUSE_MAX_CELLS]; /* a robot will soon be there */
};
enum { SOON = 4 }; /* cells */
enum search { SEARCH_TARGET, SEARCH_ASIDE };

static int is_target(const struct warehouse_plan *plan, const struct warehouse_agent *own, int32_t k, enum search search)
{
    const struct warehouse_rules *rules = plan->rules;
    const struct warehouse_cell cell = warehouse_cells(plan->w, rules)[k];
    const uint8_t *requested = warehouse_requested(plan->w, rules);
    if (search == SEARCH_ASIDE) return !plan->wanted[k];
    if (plan->taken[k]) return 0;
    if (own->shelf && requested[own->shelf]) return k == rules->goal[0] || k == rules->goal[1];
    if (own->shelf) return rules->home[k] && !(cell.shelf && cell.shelf != own->shelf);
    return cell.shelf && requested[cell.shelf] && (!cell.agent || &warehouse_agents(plan->w)[cell.agent - 1] == own);
}

static int is_in_the_way(const struct warehouse_plan *plan, const struct warehouse_agent *own, int32_t k, enum search search)
{
    const struct warehouse_cell cell = warehouse_cells(plan->w, plan->rules)[k];
    const struct warehouse_agent *other = cell.agent ? &warehouse_agents(plan->w)[cell.agent - 1] : NULL;
    if (other && (other < own || search == SEARCH_ASIDE)) return 1;
    return own->shelf && cell.shelf && !(other && other->shelf);
}

/* The direction of the first step to the nearest target, whose cell and way are marked; -1 = it is there; -2 = there is no way. */
static int find_way(struct warehouse_plan *plan, const struct warehouse_agent *own, enum search search)
{
    int16_t queue[WAREHOUSE_MAX_CELLS];
    int8_t turned[WAREHOUSE_MAX_CELLS] = {0}; /* the direction in which a cell was entered + 1 */
    const struct warehouse_rules *rules = plan->rules;
    const int32_t step[WAREHOUSE_DIRECTIONS] = {-rules->stride, rules->stride, -1, 1};
    int head = 0, tail = 0, way = -1;
    int32_t at = own->cell;
    queue[tail++] = own->cell;
    while (head < tail && !is_target(plan, own, at = queue[head], search)) {
        head++;
        for (int k = 0; k < WAREHOUSE_DIRECTIONS; k++) {
            const int turn = (own->direction + k) % WAREHOUSE_DIRECTIONS, to = at + step[turn]; /* straight on first: turns take time */
            const int x = to % rules->stride - rules->range, y = to / rules->stride - rules->range;
            if (!warehouse_is_inside(rules, x, y) || turned[to] || to == own->cell || is_in_the_way(plan, own, to, search)) continue;
            turned[to] = (int8_t)(turn + 1);
            queue[tail++] = (int16_t)to;
        }
    }
    if (head == tail) return -2;
    if (search == SEARCH_TARGET) plan->taken[at] = 1;
    plan->wanted[own->cell] = 1;
    for (; at != own->cell; at -= step[way]) {
        const int x = at % rules->stride - rules->range - own->x, y = at / rules->stride - rules->range - own->y;
        if (abs(x) + abs(y) <= SOON) plan->wanted[at] = 1;
        way = turned[at] - 1;
    }
    return way;
}

static int32_t choose_action(struct warehouse_plan *plan, int32_t i)
{
    const struct warehouse_agent *own = &warehouse_agents(plan->w)[i];
    int way = plan->wanted[own->cell] ? find_way(plan, own, SEARCH_ASIDE) : -2;
    if (way == -2) way = find_way(plan, own, SEARCH_TARGET);
    if (way == -2) return WAREHOUSE_NOOP;
    if (way == -1) return own->shelf && warehouse_requested(plan->w, plan->rules)[own->shelf] ? WAREHOUSE_NOOP : WAREHOUSE_TOGGLE;
    if (way == own->direction) return WAREHOUSE_FORWARD;
    return way == warehouse_left[own->direction] ? WAREHOUSE_LEFT : WAREHOUSE_RIGHT;
}

static void warehouse_script(const struct warehouse *w, const struct warehouse_rules *rules, int32_t *const act_int[],
                             float *const act_real[])
{
    struct warehouse_plan plan;
    (void)act_real;
    memset(&plan, 0, sizeof plan);
    plan.w = w;
    plan.rules = rules;
    for (int32_t i = 0; i < rules->agents; i++) {
        int32_t *act = act_int[0] + i * (1 + rules->message_bits);
        for (int32_t k = 1; k <= rules->message_bits; k++) act[k] = 0;
        act[0] = choose_action(&plan, i);
    }
}

/* ---- drawing ------------------------------------------------------------------------------------------------ */

static void draw_floor(const struct warehouse *w, const struct warehouse_rules *rules, const struct mappo_canvas *canvas)
{
    canvas->rectangle(canvas->self, 0, -rules->height, rules->width, 0, 0xffffffffu, 0xccccccffu);
    for (int32_t y = 0; y < rules->height; y++)
        for (int32_t x = 0; x < rules->width; x++) {
            const int32_t k = warehouse_cell_at(rules, x, y);
            const int16_t shelf = warehouse_cells(w, rules)[k].shelf;
            if (k == rules->goal[0] || k == rules->goal[1]) canvas->text(canvas->self, x + 0.3, -y - 0.75, 0.6, "G", 0x000000ffu);
            if (!rules->home[k] && !shelf) continue;
            canvas->rectangle(canvas->self, x + 0.06, -y - 0.94, x + 0.94, -y - 0.06,
                              !shelf                                 ? 0xeeeeeeffu
                              : warehouse_requested(w, rules)[shelf] ? 0x66c2a5ffu
                                                                     : 0xb39ddbffu,
                              shelf ? 0x555555ffu : 0xeeeeeeffu);
        }
}

static void warehouse_draw(const struct warehouse *w, const struct warehouse_rules *rules, const struct mappo_canvas *canvas)
{
    char text[64];
    canvas->view(canvas->self, -0.2, -rules->height - 0.2, rules->width + 0.2, 1.1);
    snprintf(text, sizeof text, "%d delivered; green: requested, G: goals", w->deliveries);
    canvas->text(canvas->self, 0, 0.3, 0.039 * rules->width, text, 0x000000ffu);
    draw_floor(w, rules, canvas);
    for (int32_t i = 0; i < rules->agents; i++) {
        const struct warehouse_agent own = warehouse_agents(w)[i];
        const double x = own.x + 0.5, y = -own.y - 0.5;
        canvas->circle(canvas->self, x, y, 0.36, draw_colour(i), own.shelf ? 0x000000ffu : 0xffffffffu);
        const double right = warehouse_moves[own.direction][0], up = -warehouse_moves[own.direction][1];
        canvas->line(canvas->self, x + 0.22 * right, y + 0.22 * up, x + 0.46 * right, y + 0.46 * up, 0.1, 0x000000ffu);
        draw_number(canvas, x - 0.08 * right, y - 0.08 * up, 0.4, i, 0xffffffffu);
    }
}

static const char *const aliases[] = {"rware", NULL};

LANE_ENV(rware_warehouse, warehouse, 1, (observe_agent, bytes, sound, script, draw), .id = "rware/warehouse", .alias = aliases,
         .summary = "robots bring requested shelves to goals and back without getting into each other's way (robotic warehouse)",
         .source = "Papoudakis et al. 2021; semitable/robotic-warehouse (rware 2.0.0)", .version = 1, .option = options);
