/* overcooked/kitchen: what the host needs around the rules of kitchen.h: layouts, options, spaces, the scripted players, drawing. */
#include "envs/overcooked/kitchen.h"
#include "env/lane_env.h"
#include "envs/draw.h"
#include "envs/limit.h"

/* ---- layouts and options --------------------------------------------------------------------------------------- */

/* W counter, O onions, B plates, P pot, X goal; 0 and 1: where the cooks begin. */
static const char *const layouts[] = {"WWPWW"
                                      "O0 1O"
                                      "W   W"
                                      "WBWXW",
                                      "WWWWWWWWW"
                                      "O WXWOW X"
                                      "W   P   W"
                                      "W 0 P1  W"
                                      "WWWBWBWWW",
                                      "WWWPW"
                                      "W 0 P"
                                      "B1W W"
                                      "O   W"
                                      "WOXWW",
                                      "WWWPW"
                                      "O W1P"
                                      "O0W W"
                                      "B W W"
                                      "WWWXW",
                                      "WWWPPWWW"
                                      "W 0    W"
                                      "B WWWW X"
                                      "W     1W"
                                      "WWWOOWWW"};
static const int32_t layout_width[] = {5, 9, 5, 5, 8};
static const char *const layout_names[] = {"cramped_room", "asymm_advantages", "coord_ring", "forced_coord", "counter_circuit", NULL};

enum { OPTION_LAYOUT, OPTION_MAX_STEPS, OPTION_RANDOM_RESET, OPTION_SHAPED_WEIGHT, OPTION_SHAPED_UNTIL, OPTION_LIMIT };
static const struct mappo_option options[] = {
    {"layout", MAPPO_OPTION_CHOICE, "cramped_room", 0, 0, layout_names, "the kitchen"},
    {"max_steps", MAPPO_OPTION_INT, "400", 1, 1e6, NULL, "steps of an episode"},
    {"random_reset", MAPPO_OPTION_BOOL, "0", 0, 1, NULL,
     "episodes begin anywhere, with anything in hands and pots; 0 = only directions are drawn"},
    {"shaped_weight", MAPPO_OPTION_REAL, "1", 0, 1e6, NULL,
     "in training, what a point of the shaped reward (onion into a pot 3, useful plate 3, soup onto a plate 5) adds to that cook's reward"},
    {"shaped_until", MAPPO_OPTION_INT, "none", 1, 2e9, NULL,
     "steps of one copy in which the weight falls evenly to 0 (train.env_steps / rollout.envs is all of a training); none = it stays"},
    LIMIT_OPTION("truncate"),
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static void lay_out(struct kitchen_rules *rules, int64_t layout)
{
    const char *cell = layouts[layout];
    rules->width = layout_width[layout];
    rules->cells = (int32_t)strlen(cell);
    rules->height = rules->cells / rules->width;
    for (int32_t c = 0; c < rules->cells; c++) {
        static const char kinds[] = " WOBXP"; /* enum kitchen_kind */
        const char *kind = strchr(kinds, cell[c]);
        rules->kind[c] = (uint8_t)(kind ? (int)(kind - kinds) : (int)KITCHEN_FLOOR);
        if (!kind) rules->start[cell[c] - '0'] = (uint8_t)c;
        if (cell[c] == 'P') rules->pot[rules->pots++] = (uint8_t)c;
    }
    kitchen_paint(rules);
}

static int kitchen_configure(struct kitchen_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    (void)error;
    lay_out(rules, value[OPTION_LAYOUT].i);
    rules->max_steps = (int32_t)value[OPTION_MAX_STEPS].i;
    rules->random_reset = (int32_t)value[OPTION_RANDOM_RESET].i;
    rules->shaped_weight = (rule_real)value[OPTION_SHAPED_WEIGHT].r;
    rules->shaped_until = value[OPTION_SHAPED_UNTIL].i == INT64_MIN ? 0 : (int32_t)value[OPTION_SHAPED_UNTIL].i;
    rules->limit = limit_end(value[OPTION_LIMIT].i);
    return 0;
}

/* ---- spaces ------------------------------------------------------------------------------------------------------ */

static void describe_cell(struct description *d, int32_t y, int32_t x)
{
    static const struct {
        const char *name, *unit;
        float high;
    } channel[KITCHEN_CHANNELS] = {{"own place", NULL, 1},
                                   {"the other's place", NULL, 1},
                                   {"facing up", NULL, 1},
                                   {"facing down", NULL, 1},
                                   {"facing right", NULL, 1},
                                   {"facing left", NULL, 1},
                                   {"the other faces up", NULL, 1},
                                   {"the other faces down", NULL, 1},
                                   {"the other faces right", NULL, 1},
                                   {"the other faces left", NULL, 1},
                                   {"pot", NULL, 1},
                                   {"free counter", NULL, 1},
                                   {"pile of onions", NULL, 1},
                                   {"pile of tomatoes (none)", NULL, 1},
                                   {"pile of plates", NULL, 1},
                                   {"goal", NULL, 1},
                                   {"onions in a pot that does not cook", "onions", KITCHEN_SOUP_ONIONS},
                                   {"tomatoes in a pot (none)", NULL, 1},
                                   {"onions in a soup", "onions", KITCHEN_SOUP_ONIONS},
                                   {"tomatoes in a soup (none)", NULL, 1},
                                   {"until the soup is done", "steps", KITCHEN_POT_FULL - 1},
                                   {"soup that is done", NULL, 1},
                                   {"plate", NULL, 1},
                                   {"onion", NULL, 1},
                                   {"tomato (none)", NULL, 1},
                                   {"fewer than 40 steps left", NULL, 1}};
    for (int k = 0; k < KITCHEN_CHANNELS; k++)
        describe_number(d, DESCRIBE_OBS, channel[k].unit, 0, channel[k].high, "%s at (%d, %d)", channel[k].name, y, x);
}

static void kitchen_describe(struct description *d, const struct kitchen_rules *rules)
{
    static const struct mappo_info infos[KITCHEN_INFOS] = {
        {"deliveries", "soups", "soups brought to the goal in the episode", 1},
        {"shaped_reward", "points", "points of the shaped reward in the episode, both cooks', before the weight", 1}};
    static const char *const actions[KITCHEN_ACTIONS] = {"up", "down", "right", "left", "stay", "interact"};
    d->spec.state_is_all_obs = 1;
    d->spec.infos = KITCHEN_INFOS;
    d->spec.info = infos;
    d->spec.max_steps = rules->max_steps;
    d->spec.rules = "JaxMARL 0.2";
    d->spec.return_help =
        rules->shaped_weight > 0
            ? "20 a soup that is delivered; in training, and not in evaluations, also the cook's shaped reward by its weight"
            : "20 a soup that is delivered";
    describe_group(d, "agent", KITCHEN_COOKS, 0, rules->shaped_weight > 0 ? 0 : MAPPO_SHARED_REWARD);
    for (int32_t c = 0; c < rules->cells; c++) describe_cell(d, c / rules->width, c % rules->width);
    describe_image(d, rules->height, rules->width, KITCHEN_CHANNELS);
    describe_choice(d, DESCRIBE_ACT, KITCHEN_ACTIONS, 0, actions);
}

/* ---- snapshots ----------------------------------------------------------------------------------------------------- */

static int kitchen_sound(const struct kitchen *w, const struct kitchen_rules *rules)
{
    int sound = w->steps >= 0 && w->steps < rules->max_steps && w->deliveries >= 0 && w->shaped >= 0 && w->trained >= 0 &&
                w->trained <= rules->shaped_until && w->cook[0].cell != w->cook[1].cell;
    for (int i = 0; i < KITCHEN_COOKS; i++)
        sound = sound && w->cook[i].cell < rules->cells && rules->kind[w->cook[i].cell] == KITCHEN_FLOOR &&
                w->cook[i].direction < KITCHEN_DIRECTIONS && w->cook[i].held < KITCHEN_ITEMS;
    for (int32_t c = 0; c < KITCHEN_CELLS; c++) {
        const int kind = c < rules->cells ? rules->kind[c] : (int)KITCHEN_FLOOR;
        sound = sound && w->on[c] <= (kind == KITCHEN_POT ? KITCHEN_POT_EMPTY : kind == KITCHEN_COUNTER ? KITCHEN_ITEMS - 1 : 0);
    }
    return sound;
}

/* ---- scripted players ------------------------------------------------------------------------------------------------ */

/* One cook's way: around `blocked` cells to the nearest cell beside one that is `wished` for (aside: to the nearest cell that is). */
struct kitchen_plan {
    const struct kitchen *w;
    const struct kitchen_rules *rules;
    int32_t cook;
    uint8_t wished[KITCHEN_CELLS], blocked[KITCHEN_CELLS];
    uint8_t path[KITCHEN_CELLS]; /* cells of the last way that was found, its first and last included */
};

static struct kitchen_plan plan_of(const struct kitchen *w, const struct kitchen_rules *rules, int32_t cook)
{
    struct kitchen_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.w = w;
    plan.rules = rules;
    plan.cook = cook;
    return plan;
}

/* The first step of the way, an action: KITCHEN_INTERACT where the cook stands and looks right; -1 where there is no way. */
static int32_t find_way(struct kitchen_plan *plan, int aside)
{
    const struct kitchen_cook *cook = &plan->w->cook[plan->cook];
    int32_t queue[KITCHEN_CELLS], head = 0, tail = 0;
    int8_t entered[KITCHEN_CELLS]; /* the direction in which a cell was entered; -1 = not yet */
    memset(entered, -1, sizeof entered);
    memset(plan->path, 0, sizeof plan->path);
    queue[tail++] = cook->cell;
    for (; head < tail; head++) {
        const int32_t at = queue[head];
        for (int32_t k = 0; k < KITCHEN_DIRECTIONS; k++) {
            const int32_t direction = (cook->direction + k) % KITCHEN_DIRECTIONS, to = kitchen_ahead(plan->rules, at, direction);
            const int is_free = plan->rules->kind[to] == KITCHEN_FLOOR && !plan->blocked[to];
            if (plan->wished[to] && (!aside || is_free)) {
                int32_t way = direction == cook->direction && !aside ? KITCHEN_INTERACT : direction;
                for (int32_t back = at; back != cook->cell; back = kitchen_ahead(plan->rules, back, entered[back] ^ 1)) {
                    plan->path[back] = 1;
                    way = entered[back];
                }
                plan->path[cook->cell] = 1;
                return way;
            }
            if (!is_free || entered[to] >= 0 || to == cook->cell) continue;
            entered[to] = (int8_t)direction;
            queue[tail++] = to;
        }
    }
    return -1;
}

/* Towards cells of a kind: pots that take the item (plates: that cook or are done), counters where it lies, all of any other kind. */
static int32_t go_for(struct kitchen_plan *plan, int32_t kind, int32_t item)
{
    for (int32_t c = 0; c < plan->rules->cells; c++) {
        const int32_t on = plan->w->on[c];
        plan->wished[c] = plan->rules->kind[c] == kind;
        if (kind == KITCHEN_POT && item) plan->wished[c] &= (item == KITCHEN_ONION) == (on > KITCHEN_POT_FULL);
        if (kind == KITCHEN_COUNTER) plan->wished[c] &= on == item;
    }
    return find_way(plan, 0);
}

/* Whether a cook could get to a cell of a kind, or to cell `c` (-1: any), were it alone. */
static int reaches(const struct kitchen_plan *of, int32_t cook, int32_t kind, int32_t c)
{
    struct kitchen_plan plan = plan_of(of->w, of->rules, cook);
    if (c < 0) return go_for(&plan, kind, 0) >= 0;
    plan.wished[c] = 1;
    return find_way(&plan, 0) >= 0;
}

/* To a free counter that the other cook gets at, too. */
static int32_t pass_on(struct kitchen_plan *plan)
{
    for (int32_t c = 0; c < plan->rules->cells; c++)
        plan->wished[c] = plan->rules->kind[c] == KITCHEN_COUNTER && plan->w->on[c] == KITCHEN_NOTHING &&
                          reaches(plan, 1 - plan->cook, KITCHEN_COUNTER, c);
    return find_way(plan, 0);
}

/* How many more of an item the pots could use than hands hold. */
static int32_t lacking(const struct kitchen_plan *plan, int32_t item)
{
    int32_t count = 0;
    for (int32_t p = 0; p < plan->rules->pots; p++) {
        const int32_t status = plan->w->on[plan->rules->pot[p]];
        const int cooks = status <= KITCHEN_POT_FULL;
        count += item == KITCHEN_PLATE ? cooks : cooks ? 0 : status - KITCHEN_POT_FULL;
    }
    for (int i = 0; i < KITCHEN_COOKS; i++) count -= plan->w->cook[i].held == item;
    return count;
}

/* With empty hands: to a dish, to a plate for a pot that cooks, to an onion for one that does not. */
static int32_t fetch(struct kitchen_plan *plan, int at_pot)
{
    const int32_t dish = reaches(plan, plan->cook, KITCHEN_GOAL, -1) ? go_for(plan, KITCHEN_COUNTER, KITCHEN_DISH) : -1;
    if (dish >= 0) return dish;
    for (int32_t item = KITCHEN_PLATE; item >= KITCHEN_ONION; item--) {
        int32_t needed = lacking(plan, item), way = -1;
        for (int32_t c = 0; c < plan->rules->cells && !at_pot; c++)
            needed -= plan->rules->kind[c] == KITCHEN_COUNTER && plan->w->on[c] == item;
        if (needed > 0 && at_pot) way = go_for(plan, KITCHEN_COUNTER, item);
        if (needed > 0 && way < 0) way = go_for(plan, item == KITCHEN_ONION ? KITCHEN_ONION_PILE : KITCHEN_PLATE_PILE, 0);
        if (way >= 0) return way;
    }
    return -1;
}

/* What the cook does next; -1 = it has nothing to do. Who does not get at a pot, or at the goal, passes on what belongs there. */
static int32_t choose(struct kitchen_plan *plan)
{
    const int32_t held = plan->w->cook[plan->cook].held;
    const int at_pot = reaches(plan, plan->cook, KITCHEN_POT, -1);
    if (held == KITCHEN_NOTHING) return fetch(plan, at_pot);
    if (held == KITCHEN_DISH) return reaches(plan, plan->cook, KITCHEN_GOAL, -1) ? go_for(plan, KITCHEN_GOAL, 0) : pass_on(plan);
    return at_pot ? go_for(plan, KITCHEN_POT, held) : pass_on(plan);
}

/* The cook that is further on with a soup goes as if it were alone; the other keeps off its way, and steps aside where it stands there. */
static void kitchen_script(const struct kitchen *w, const struct kitchen_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    struct kitchen_plan plan[KITCHEN_COOKS] = {plan_of(w, rules, 0), plan_of(w, rules, 1)};
    int32_t way[KITCHEN_COOKS];
    (void)act_real;
    for (int i = 0; i < KITCHEN_COOKS; i++) way[i] = choose(&plan[i]);
    const int first = way[0] < 0 || (way[1] >= 0 && w->cook[1].held > w->cook[0].held), second = 1 - first;
    struct kitchen_plan *after = &plan[second];
    memcpy(after->blocked, plan[first].path, sizeof after->blocked);
    after->blocked[w->cook[first].cell] = 1;
    if (way[first] >= 0 && after->blocked[w->cook[second].cell]) {
        for (int32_t c = 0; c < rules->cells; c++) after->wished[c] = rules->kind[c] == KITCHEN_FLOOR && !after->blocked[c];
        memset(after->blocked, 0, sizeof after->blocked);
        after->blocked[w->cook[first].cell] = 1;
        way[second] = find_way(after, 1);
    } else {
        way[second] = choose(after);
    }
    for (int i = 0; i < KITCHEN_COOKS; i++) act_int[0][i] = way[i] < 0 ? KITCHEN_STAY : way[i];
}

/* ---- drawing ------------------------------------------------------------------------------------------------------------ */

static const uint32_t onion_colour = 0xf0c419ffu, soup_colour = 0xc8641effu, ready_colour = 0x2e9e4fffu;

static void draw_item(const struct mappo_canvas *canvas, int32_t item, double x, double y)
{
    if (item == KITCHEN_ONION) canvas->circle(canvas->self, x, y, 0.16, onion_colour, 0x000000ffu);
    if (item == KITCHEN_PLATE || item == KITCHEN_DISH) canvas->circle(canvas->self, x, y, 0.2, 0xffffffffu, 0x000000ffu);
    if (item == KITCHEN_DISH) canvas->circle(canvas->self, x, y, 0.13, soup_colour, 0x00000000u);
}

static void draw_pot(const struct mappo_canvas *canvas, int32_t status, double x, double y)
{
    canvas->circle(canvas->self, x, y, 0.38, 0x333333ffu, 0x000000ffu);
    for (int k = 0; k < KITCHEN_POT_EMPTY - status && status >= KITCHEN_POT_FULL; k++)
        canvas->circle(canvas->self, x - 0.18 + 0.18 * k, y, 0.1, onion_colour, 0x00000000u);
    if (status >= KITCHEN_POT_FULL) return;
    canvas->circle(canvas->self, x, y, 0.3, status ? soup_colour : ready_colour, 0x00000000u);
    if (status) draw_number(canvas, x, y, 0.32, status, 0xffffffffu);
}

static void draw_cell(const struct kitchen *w, const struct kitchen_rules *rules, const struct mappo_canvas *canvas, int32_t c)
{
    static const uint32_t fill[KITCHEN_KINDS] = {0xf7f3e9ffu, 0xb08d57ffu, 0xb08d57ffu, 0xb08d57ffu, 0x8fbf8fffu, 0xb08d57ffu};
    const double x = c % rules->width + 0.5, y = -(c / rules->width) - 0.5;
    canvas->rectangle(canvas->self, x - 0.5, y - 0.5, x + 0.5, y + 0.5, fill[rules->kind[c]], 0x7a6a4affu);
    if (rules->kind[c] == KITCHEN_COUNTER) draw_item(canvas, w->on[c], x, y);
    if (rules->kind[c] == KITCHEN_POT) draw_pot(canvas, w->on[c], x, y);
    if (rules->kind[c] == KITCHEN_GOAL) draw_middle(canvas, x, y, 0.28, "goal", 0x000000ffu);
    for (int k = 0; k < 3 && rules->kind[c] == KITCHEN_ONION_PILE; k++)
        draw_item(canvas, KITCHEN_ONION, x - 0.2 + 0.2 * k, y - 0.1 + 0.2 * (k % 2));
    for (int k = 0; k < 3 && rules->kind[c] == KITCHEN_PLATE_PILE; k++) draw_item(canvas, KITCHEN_PLATE, x, y - 0.1 + 0.1 * k);
}

static void kitchen_draw(const struct kitchen *w, const struct kitchen_rules *rules, const struct mappo_canvas *canvas)
{
    char text[64];
    canvas->view(canvas->self, -0.1, -rules->height - 0.1, rules->width + 0.1, 0.6);
    snprintf(text, sizeof text, "%d soup%s delivered", w->deliveries, w->deliveries == 1 ? "" : "s");
    canvas->text(canvas->self, 0, 0.15, 0.045 * rules->width, text, 0x000000ffu);
    for (int32_t c = 0; c < rules->cells; c++) draw_cell(w, rules, canvas, c);
    for (int i = 0; i < KITCHEN_COOKS; i++) {
        static const int8_t look[KITCHEN_DIRECTIONS][2] = {{0, 1}, {0, -1}, {1, 0}, {-1, 0}};
        const struct kitchen_cook *cook = &w->cook[i];
        const double x = cook->cell % rules->width + 0.5, y = -(cook->cell / rules->width) - 0.5;
        const int8_t *to = look[cook->direction];
        canvas->circle(canvas->self, x, y, 0.34, draw_colour(i), 0xffffffffu);
        canvas->line(canvas->self, x + 0.22 * to[0], y + 0.22 * to[1], x + 0.45 * to[0], y + 0.45 * to[1], 0.1, 0x000000ffu);
        draw_number(canvas, x - 0.12 * to[0], y - 0.12 * to[1], 0.3, i, 0xffffffffu);
        draw_item(canvas, cook->held, x + 0.3 * to[0], y + 0.3 * to[1]);
    }
}

static const char *const aliases[] = {"overcooked", NULL};

LANE_ENV(overcooked_kitchen, kitchen, 1, (observe_agent, sound, script, draw), .id = "overcooked/kitchen", .alias = aliases,
         .summary = "two cooks boil onion soup and bring it to the goal, in a kitchen where they are in each other's way (Overcooked)",
         .source = "Carroll et al. 2019; FLAIROx/JaxMARL 0.2.0, overcooked", .version = 1, .option = options);
