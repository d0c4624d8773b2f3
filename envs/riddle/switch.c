/* riddle/switch: a hundred prisoners and a light bulb (Foerster et al. 2016), with few prisoners and a deadline. One of them, drawn anew each
 * step, is in a room with a bulb that it can switch, and may tell that all have been there: right, and all go free; wrong, and all die.
 * Rules of JaxMARL's switch_riddle. Whose turn it is not is not active: its action is not looked at. */
#include "env/lane_env.h"
#include "envs/draw.h"
#include "envs/limit.h"

enum { RIDDLE_MIN_AGENTS = 3, RIDDLE_MAX_AGENTS = 30, RIDDLE_OBS = 2 };
enum riddle_action { RIDDLE_NOTHING, RIDDLE_SWITCH, RIDDLE_TELL, RIDDLE_ACTIONS };
enum riddle_info { RIDDLE_FREE, RIDDLE_DEAD, RIDDLE_INFOS };

struct riddle_rules {
    int32_t agents, bulb, max_steps, limit;
    rule_real live, die; /* what telling pays when it is right, and when it is wrong */
};

struct riddle {
    struct philox rng;
    int32_t steps, room; /* room: who is in it */
    int32_t bulb;
    uint32_t been; /* bit i: agent i has been in the room and acted there */
};

/* ---- rules ------------------------------------------------------------------------------------------------ */

MAPPO_FN void riddle_reset(struct riddle *w, const struct riddle_rules *rules)
{
    w->steps = 0;
    w->room = philox_below(&w->rng, rules->agents);
    w->bulb = rules->bulb;
    w->been = 0;
}

MAPPO_FN int riddle_step(struct riddle *w, const struct riddle_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    const int32_t action = group->act_int[w->room];
    w->been |= 1u << w->room; /* before it is judged: who tells counts as one who has been there */
    const int tells = action == RIDDLE_TELL, right = tells && w->been == (1u << rules->agents) - 1;
    if (action == RIDDLE_SWITCH) w->bulb = !w->bulb;
    w->steps++;
    w->room = philox_below(&w->rng, rules->agents);
    const int end = tells ? MAPPO_TERMINATED : w->steps >= rules->max_steps ? rules->limit : MAPPO_RUNNING;
    for (int32_t i = 0; i < rules->agents; i++) {
        if (group->reward) group->reward[i] = right ? rules->live : tells ? rules->die : 0;
        if (group->terminated) group->terminated[i] = (uint8_t)(end == MAPPO_TERMINATED);
    }
    if (io->info) {
        io->info[RIDDLE_FREE] = (float)right;
        io->info[RIDDLE_DEAD] = (float)(tells && !right);
    }
    return end;
}

MAPPO_FN void riddle_observe(const struct riddle *w, const struct riddle_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    for (int32_t i = 0; i < rules->agents; i++) {
        if (group->obs) {
            group->obs[i * RIDDLE_OBS] = (float)(i == w->room);
            group->obs[i * RIDDLE_OBS + 1] = (float)(i == w->room && w->bulb);
        }
        if (group->active) group->active[i] = (uint8_t)(i == w->room);
    }
}

/* ---- what it looks like ----------------------------------------------------------------------------------- */

enum { OPTION_NUM_AGENTS, OPTION_BULB, OPTION_DIE, OPTION_LIVE, OPTION_LIMIT };
static const struct mappo_option options[] = {
    {"num_agents", MAPPO_OPTION_INT, "3", RIDDLE_MIN_AGENTS, RIDDLE_MAX_AGENTS, NULL, "prisoners; an episode has 4 of them - 6 steps"},
    {"initial_bulb_state", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "whether the bulb is on at first"},
    {"reward_all_die", MAPPO_OPTION_REAL, "-1", -1e6, 1e6, NULL, "what telling pays before all have been in the room"},
    {"reward_all_live", MAPPO_OPTION_REAL, "1", -1e6, 1e6, NULL, "what telling pays once all have been there"},
    LIMIT_OPTION("upstream"),
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int riddle_configure(struct riddle_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    (void)error;
    rules->agents = (int32_t)value[OPTION_NUM_AGENTS].i;
    rules->bulb = (int32_t)value[OPTION_BULB].i;
    rules->die = (rule_real)value[OPTION_DIE].r;
    rules->live = (rule_real)value[OPTION_LIVE].r;
    rules->max_steps = 4 * rules->agents - 6;
    rules->limit = limit_end(value[OPTION_LIMIT].i);
    return 0;
}

static void riddle_describe(struct description *d, const struct riddle_rules *rules)
{
    static const struct mappo_info infos[RIDDLE_INFOS] = {
        {"freed", "episodes", "part of the episodes in which one told in time, and was right", 1},
        {"died", "episodes", "part of the episodes in which one told too early", 1}};
    static const char *const actions[RIDDLE_ACTIONS] = {"NOTHING", "SWITCH_LIGHT", "TELL"};
    d->spec.state_is_all_obs = 1;
    d->spec.infos = RIDDLE_INFOS;
    d->spec.info = infos;
    d->spec.max_steps = rules->max_steps;
    d->spec.rules = "JaxMARL";
    d->spec.return_help = describe_text(d, "%g if one tells once all have been in the room, %g if one tells before, 0 if nobody tells",
                                        (double)rules->live, (double)rules->die);
    describe_group(d, "agent", rules->agents, 0, MAPPO_SHARED_REWARD | MAPPO_HAS_ACTIVE);
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "in the room");
    describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "the bulb is on (0 outside of the room)");
    describe_choice(d, DESCRIBE_ACT, RIDDLE_ACTIONS, 0, actions);
}

static int riddle_sound(const struct riddle *w, const struct riddle_rules *rules)
{
    return w->steps >= 0 && w->steps < rules->max_steps && w->room >= 0 && w->room < rules->agents && (w->bulb == 0 || w->bulb == 1) &&
           w->been < 1u << rules->agents;
}

/* Knows of the state only what a prisoner with a memory knows: the day, whether it was there before, the bulb. With three, "on" means that
 * two have been there: the second of them switches it on, the third tells; that frees them whenever all come in time. With more one bit is
 * too little for that, and whoever is there on the last day tells. */
static void riddle_script(const struct riddle *w, const struct riddle_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const int new_here = !(w->been >> w->room & 1), lit = w->bulb != rules->bulb;
    (void)act_real;
    for (int32_t i = 0; i < rules->agents; i++) act_int[0][i] = RIDDLE_NOTHING;
    if (rules->agents > 3) {
        if (w->steps == rules->max_steps - 1) act_int[0][w->room] = RIDDLE_TELL;
    } else if (new_here && w->steps > 0) {
        act_int[0][w->room] = lit ? RIDDLE_TELL : RIDDLE_SWITCH;
    }
}

static void riddle_draw(const struct riddle *w, const struct riddle_rules *rules, const struct mappo_canvas *canvas)
{
    const int32_t n = rules->agents;
    const double width = n > 4 ? n : 4;
    char text[64];
    canvas->view(canvas->self, -0.2, -2.3, width + 0.2, 1.2);
    snprintf(text, sizeof text, "%d of %d days are over", w->steps, rules->max_steps);
    draw_middle(canvas, width / 2, 0.85, 0.22, text, 0x000000ffu);
    canvas->rectangle(canvas->self, width / 2 - 0.9, -0.7, width / 2 + 0.9, 0.6, 0xf4f4f4ffu, 0x000000ffu);
    canvas->circle(canvas->self, width / 2 - 0.4, 0.1, 0.25, w->bulb ? 0xffd700ffu : 0x444444ffu, 0x000000ffu);
    draw_middle(canvas, width / 2 - 0.4, -0.42, 0.2, w->bulb ? "on" : "off", 0x000000ffu);
    for (int32_t i = 0; i < n; i++) {
        const int inside = i == w->room;
        const double x = inside ? width / 2 + 0.4 : (width - n) / 2 + i + 0.5, y = inside ? -0.05 : -1.3;
        canvas->circle(canvas->self, x, y, 0.32, draw_colour(i), w->been >> i & 1 ? 0x000000ffu : 0xffffffffu);
        draw_number(canvas, x, y, 0.35, i, 0xffffffffu);
        if (w->been >> i & 1) draw_middle(canvas, (width - n) / 2 + i + 0.5, -1.9, 0.18, "was in", 0x000000ffu);
    }
}

static const char *const aliases[] = {"switch_riddle", NULL};

LANE_ENV(riddle_switch, riddle, 1, (observe, sound, script, draw), .id = "riddle/switch", .alias = aliases,
         .summary = "prisoners who meet a light bulb one by one tell when all have seen it (needs memory)",
         .source = "Foerster et al. 2016 (DIAL); FLAIROx/JaxMARL, switch_riddle", .version = 1, .option = options);
