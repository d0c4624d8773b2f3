/* smax/battle: the host's side; the rules are in battle.h. Maps are variants of envs/envs.def. */
#include "envs/smax/battle.h"

#include "env/lane_env.h"

/* ---- options ---------------------------------------------------------------------------------------------- */

enum smax_option {
    OPTION_ALLIES,
    OPTION_ENEMIES,
    OPTION_MAX_STEPS,
    OPTION_WALLS,
    OPTION_SEE_ENEMY_ACTIONS,
    OPTION_WON_BATTLE_BONUS,
    OPTION_SELF_PLAY_REWARD,
    OPTION_POSITIONS,
    OPTION_TYPES,
    OPTION_ENEMY_SHOOTS,
    OPTION_ATTACK_MODE
};
static const char *const attack_modes[] = {"closest", "random", NULL};
static const struct mappo_option options[] = {
    {"allies", MAPPO_OPTION_TEXT, "5marine", 1, 255, NULL, "units of the team, as 2stalker,3zealot"},
    {"enemies", MAPPO_OPTION_TEXT, "5marine", 1, 255, NULL, "units of the other team"},
    {"max_steps", MAPPO_OPTION_INT, "100", 1, 1e6, NULL, "an undecided battle ends after one step more than this, as upstream's"},
    {"walls_cause_death", MAPPO_OPTION_BOOL, "1", 0, 1, NULL, "units that touch the map's edge die"},
    {"see_enemy_actions", MAPPO_OPTION_BOOL, "1", 0, 1, NULL, "observations tell what visible enemies did last"},
    {"won_battle_bonus", MAPPO_OPTION_REAL, "1", 0, 1e6, NULL, "reward of a victory"},
    {"use_self_play_reward", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "pay for victory and defeat alone: plus and minus the bonus"},
    {"smacv2_position_generation", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "one side surrounded, or both mirrored, drawn for each episode"},
    {"smacv2_unit_type_generation", MAPPO_OPTION_BOOL, "0", 0, 1, NULL,
     "types drawn for each episode; of allies and enemies the numbers count"},
    {"enemy_shoots", MAPPO_OPTION_BOOL, "1", 0, 1, NULL, "0: enemies only walk"},
    {"attack_mode", MAPPO_OPTION_CHOICE, "closest", 0, 0, attack_modes, "whom an enemy fires at first, of those in range"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const char *const type_name[SMAX_TYPES] = {"marine", "marauder", "stalker", "zealot", "zergling", "hydralisk"};

/* Reads one "3zealot" at *text into type[*count …]. */
static int read_units(const char *option, const char **text, uint8_t *type, int32_t *count, struct mappo_env_error *error)
{
    char *name;
    const long units = **text >= '0' && **text <= '9' ? strtol(*text, &name, 10) : 0;
    int32_t k = 0;
    if (units < 1 || units > SMAX_TEAM - *count)
        return lane_refuse(error,
                           "option %s: \"%s\" does not begin with a number of units that makes them 1 to %d in all: write 2stalker,3zealot",
                           option, *text, SMAX_TEAM);
    const size_t length = strcspn(name, ",");
    while (k < SMAX_TYPES && (strlen(type_name[k]) != length || strncmp(type_name[k], name, length) != 0)) k++;
    if (k == SMAX_TYPES)
        return lane_refuse(error,
                           "option %s: \"%.*s\" is no type of unit; there are marine, marauder, stalker, zealot, zergling, hydralisk",
                           option, (int)length, name);
    for (long i = 0; i < units; i++) type[(*count)++] = (uint8_t)k;
    *text = name + length;
    return 0;
}

/* "2stalker,3zealot" into type[0 …]. */
static int read_team(const char *option, const char *text, uint8_t *type, int32_t *count, struct mappo_env_error *error)
{
    for (;; text++) {
        const int rc = read_units(option, &text, type, count, error);
        if (rc || *text == 0) return rc;
    }
}

static int smax_configure(struct smax_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    int rc = read_team("allies", value[OPTION_ALLIES].text, rules->type, &rules->allies, error);
    if (!rc) rc = read_team("enemies", value[OPTION_ENEMIES].text, rules->type + rules->allies, &rules->enemies, error);
    rules->max_steps = (int32_t)value[OPTION_MAX_STEPS].i;
    rules->walls_kill = (int32_t)value[OPTION_WALLS].i;
    rules->sees_enemy_actions = (int32_t)value[OPTION_SEE_ENEMY_ACTIONS].i;
    rules->victory = (float)value[OPTION_WON_BATTLE_BONUS].r;
    rules->self_play_reward = (int32_t)value[OPTION_SELF_PLAY_REWARD].i;
    rules->random_positions = (int32_t)value[OPTION_POSITIONS].i;
    rules->random_types = (int32_t)value[OPTION_TYPES].i;
    rules->enemy_shoots = (int32_t)value[OPTION_ENEMY_SHOOTS].i;
    rules->attacks_random = (int32_t)value[OPTION_ATTACK_MODE].i;
    return rc;
}

/* ---- spaces ----------------------------------------------------------------------------------------------- */

static const struct mappo_info infos[SMAX_INFOS] = {/* in the order of enum smax_info */
                                                    {"battle_won", "episodes", "part of the battles that were won", 1},
                                                    {"dead_allies", "units", "allies that were dead at the end", 1},
                                                    {"dead_enemies", "units", "enemies that were dead at the end", 1}};

static void describe_types(struct description *d, const char *who)
{
    for (int k = 0; k < SMAX_TYPES; k++) describe_number(d, DESCRIBE_OBS, NULL, 0, 1, "%s: is a %s", who, type_name[k]);
}

static void describe_other(struct description *d, const char *who)
{
    describe_number(d, DESCRIBE_OBS, "full health", 0, 1, "%s: health", who);
    describe_number(d, DESCRIBE_OBS, "sight range", -1, 1, "%s: relative x", who);
    describe_number(d, DESCRIBE_OBS, "sight range", -1, 1, "%s: relative y", who);
    describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "%s: last move, x", who);
    describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "%s: last move, y", who);
    describe_number(d, DESCRIBE_OBS, "largest action", 0, 1, "%s: last attack", who);
    describe_number(d, DESCRIBE_OBS, "full cooldown", 0, 1, "%s: weapon cooldown", who);
    describe_types(d, who);
}

static void smax_describe(struct description *d, const struct smax_rules *rules)
{
    const char *actions[SMAX_MOVES + SMAX_TEAM] = {"north", "east", "south", "west", "stop"};
    d->spec.max_steps = rules->max_steps + 1;
    d->spec.rules = "JaxMARL 0.2 (heuristic enemy)";
    d->spec.return_help = rules->self_play_reward
                              ? "1 victory, -1 defeat (times won_battle_bonus)"
                              : "part of the enemies' health that was shot away, and won_battle_bonus (1) for a victory";
    d->spec.infos = SMAX_INFOS;
    d->spec.info = infos;
    d->spec.state_size = SMAX_STATE * smax_count(rules);
    describe_group(d, "ally", rules->allies, 0, MAPPO_HAS_ACTIVE | MAPPO_HAS_MASK | MAPPO_SHARED_REWARD);
    for (int32_t k = 0; k < rules->allies - 1; k++) describe_other(d, describe_text(d, "other ally %d", k));
    for (int32_t k = 0; k < rules->enemies; k++) describe_other(d, describe_text(d, "enemy %d", k));
    describe_number(d, DESCRIBE_OBS, "full health", 0, 1, "own health");
    describe_number(d, DESCRIBE_OBS, "map", -INFINITY, INFINITY, "own x (0 to 1 but for who is pushed over the edge)");
    describe_number(d, DESCRIBE_OBS, "map", -INFINITY, INFINITY, "own y");
    describe_number(d, DESCRIBE_OBS, "full cooldown", 0, 1, "own weapon cooldown");
    describe_types(d, "self");
    for (int32_t k = 0; k < rules->enemies; k++) actions[SMAX_MOVES + k] = describe_text(d, "attack enemy %d", k);
    describe_choice(d, DESCRIBE_ACT, SMAX_MOVES + rules->enemies, 0, actions);
}

/* ---- snapshots, scripted player, drawing ------------------------------------------------------------------ */

static int smax_sound(const struct smax *w, const struct smax_rules *rules)
{
    const struct smax_units u = smax_units_of(w, rules);
    const int32_t n = smax_count(rules);
    int sound = w->steps >= 0 && w->steps <= rules->max_steps;
    for (int32_t i = 0; i < SMAX_REALS * n; i++) sound = sound && isfinite(u.x[i]);
    for (int32_t i = 0; i < n; i++)
        sound = sound && u.type[i] >= 0 && u.type[i] < SMAX_TYPES && u.action[i] >= 0 &&
                u.action[i] < SMAX_MOVES + smax_opponents(rules, i) && u.alive[i] == (u.health[i] > 0);
    return sound;
}

/* The enemies' heuristic, but walking to the nearest instead of any. */
static void smax_script(const struct smax *w, const struct smax_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const struct smax_units u = smax_units_of(w, rules);
    (void)act_real;
    for (int32_t i = 0; i < rules->allies; i++) {
        const struct smax_sight sight = smax_look(&u, rules, i);
        act_int[0][i] = u.alive[i] ? smax_heuristic(&u, rules, i, &sight, sight.nearest, 1) : SMAX_STOP;
    }
}

static void draw_unit(const struct smax_units *u, const struct smax_rules *rules, int32_t i, const struct mappo_canvas *canvas)
{
    static const char letter[SMAX_TYPES + 1] = "mMsZzh"; /* upstream's */
    const int ally = i < rules->allies;
    const struct smax_type *type = &smax_types[u->type[i]];
    const double x = u->x[i], y = u->y[i], top = y + type->radius + 0.15, left = u->health[i] / type->health;
    char text[16];
    snprintf(text, sizeof text, "%c%d", letter[u->type[i]], ally ? i : i - rules->allies);
    canvas->circle(canvas->self, x, y, type->radius, ally ? 0x0072b2ffu : 0xd55e00ffu, ally ? 0x003f63ffu : 0x7a3600ffu);
    const double wide = 0.4 * (0.6 * (double)strlen(text) + (u->type[i] < 2 ? 0.3 : 0)); /* an m is */
    canvas->text(canvas->self, x - wide / 2, y - 0.15, 0.4, text, 0xffffffffu);
    canvas->rectangle(canvas->self, x - 0.5, top, x + 0.5, top + 0.15, 0xd0d0d0ffu, 0xd0d0d0ffu);
    canvas->rectangle(canvas->self, x - 0.5, top, x - 0.5 + left, top + 0.15, 0x009e73ffu, 0x009e73ffu);
}

/* A square around the living, with lines every 4 that show where on the map it is. Its upper left corner; returns how wide it is. */
static double draw_ground(const struct smax_units *u, int32_t n, const struct mappo_canvas *canvas, double corner[2])
{
    double low[2] = {SMAX_SIDE, SMAX_SIDE}, high[2] = {0, 0};
    for (int32_t i = 0; i < n; i++) {
        const double at[2] = {u->x[i], u->y[i]};
        for (int k = 0; k < 2 && u->alive[i]; k++) {
            low[k] = fmin(low[k], at[k]);
            high[k] = fmax(high[k], at[k]);
        }
    }
    const double x = (low[0] + high[0]) / 2, y = (low[1] + high[1]) / 2;
    const double half = fmax(6, fmax(high[0] - low[0], high[1] - low[1]) / 2 + 1.5);
    canvas->view(canvas->self, x - half, y - half, x + half, y + half);
    canvas->rectangle(canvas->self, 0, 0, SMAX_SIDE, SMAX_SIDE, 0xfdfcf8ffu, 0x000000ffu);
    for (double at = 4; at < SMAX_SIDE; at += 4) {
        canvas->line(canvas->self, at, 0, at, SMAX_SIDE, 0.05, 0xe0ddd0ffu);
        canvas->line(canvas->self, 0, at, SMAX_SIDE, at, 0.05, 0xe0ddd0ffu);
    }
    corner[0] = x - half;
    corner[1] = y + half;
    return 2 * half;
}

/* Crosses where the dead lie. */
static void draw_fallen(const struct smax_units *u, const struct smax_rules *rules, int32_t i, const struct mappo_canvas *canvas)
{
    const double x = u->x[i], y = u->y[i], arm = 0.25;
    const uint32_t colour = i < rules->allies ? 0x0072b270u : 0xd55e0070u;
    canvas->line(canvas->self, x - arm, y - arm, x + arm, y + arm, 0.1, colour);
    canvas->line(canvas->self, x - arm, y + arm, x + arm, y - arm, 0.1, colour);
}

/* How many live, in the corner of the view. */
static void draw_counts(const struct smax_units *u, const struct smax_rules *rules, int32_t n, const double corner[2], double height,
                        const struct mappo_canvas *canvas)
{
    int32_t living[2] = {0, 0};
    char text[32];
    for (int32_t i = 0; i < n; i++) living[i >= rules->allies] += u->alive[i] != 0;
    for (int side = 0; side < 2; side++) {
        snprintf(text, sizeof text, "%s %d", side ? "enemies" : "allies", living[side]);
        canvas->text(canvas->self, corner[0] + 0.4 * height, corner[1] - (1.3 + 1.3 * side) * height, height, text,
                     side ? 0xd55e00ffu : 0x0072b2ffu);
    }
}

/* The living, their health above them, a line to whom they fired at, and where the others fell. */
static void smax_draw(const struct smax *w, const struct smax_rules *rules, const struct mappo_canvas *canvas)
{
    const struct smax_units u = smax_units_of(w, rules);
    const int32_t n = smax_count(rules);
    double corner[2];
    const double wide = draw_ground(&u, n, canvas, corner);
    for (int32_t i = 0; i < n; i++)
        if (!u.alive[i]) draw_fallen(&u, rules, i, canvas);
    for (int32_t i = 0; i < n; i++) {
        if (!u.alive[i] || u.action[i] < SMAX_MOVES) continue;
        const int32_t j = smax_opponent(rules, i, u.action[i] - SMAX_MOVES);
        canvas->line(canvas->self, u.x[i], u.y[i], u.x[j], u.y[j], 0.08, i < rules->allies ? 0x0072b280u : 0xd55e0080u);
    }
    for (int32_t i = 0; i < n; i++)
        if (u.alive[i]) draw_unit(&u, rules, i, canvas);
    draw_counts(&u, rules, n, corner, 0.035 * wide, canvas);
}

static const char *const aliases[] = {"smax", "HeuristicEnemySMAX", NULL};

LANE_ENV(smax_battle, smax, 1, (observe_agent, bytes, sound, script, draw), .id = "smax/battle", .alias = aliases,
         .summary = "a team of units fights one that a heuristic commands",
         .source = "Rutherford et al. 2023; JaxMARL 0.2 (c793d09, HeuristicEnemySMAX)", .version = 1, .option = options);
