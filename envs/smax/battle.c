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
    d->spec.rules = "JaxMARL 0.2";
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

/* What pictures show of the world: the whole map, always, and a line above it. Units are drawn larger than they are, to be seen from there. */
static const double margin = 0.6, headline = 2, larger = 1.4;
static const uint32_t team_fill[2] = {0x0072b2ffu, 0xd55e00ffu}, team_edge[2] = {0x003f63ffu, 0x7a3600ffu};

/* Its health is a bar within it. */
static void draw_unit(const struct smax_units *u, const struct smax_rules *rules, int32_t i, const struct mappo_canvas *canvas)
{
    static const char letter[SMAX_TYPES + 1] = "mMsZzh"; /* upstream's */
    const int enemy = i >= rules->allies;
    const struct smax_type *type = &smax_types[u->type[i]];
    const double x = u->x[i], y = u->y[i], radius = larger * type->radius, high = 0.95 * radius;
    const double left = x - 0.7 * radius, right = x + 0.7 * radius, low = y - 0.6 * radius, top = y - 0.3 * radius;
    char text[16];
    snprintf(text, sizeof text, "%c%d", letter[u->type[i]], enemy ? i - rules->allies : i);
    canvas->circle(canvas->self, x, y, radius, team_fill[enemy], team_edge[enemy]);
    const double wide = high * (0.6 * (double)strlen(text) + (u->type[i] < 2 ? 0.3 : 0)); /* an m is */
    canvas->text(canvas->self, x - wide / 2, y - 0.1 * radius, high, text, 0xffffffffu);
    canvas->rectangle(canvas->self, left, low, right, top, team_edge[enemy], 0);
    canvas->rectangle(canvas->self, left, low, left + (right - left) * u->health[i] / type->health, top, 0xffffffffu, 0);
}

/* The map with its walls, and lines every 4. */
static void draw_ground(const struct mappo_canvas *canvas)
{
    canvas->view(canvas->self, -margin, -margin, SMAX_SIDE + margin, SMAX_SIDE + margin + headline);
    canvas->rectangle(canvas->self, 0, 0, SMAX_SIDE, SMAX_SIDE, 0xfdfcf8ffu, 0x000000ffu);
    for (double at = 4; at < SMAX_SIDE; at += 4) {
        canvas->line(canvas->self, at, 0, at, SMAX_SIDE, 0.05, 0xe0ddd0ffu);
        canvas->line(canvas->self, 0, at, SMAX_SIDE, at, 0.05, 0xe0ddd0ffu);
    }
}

/* Crosses where the dead lie. */
static void draw_fallen(const struct smax_units *u, const struct smax_rules *rules, int32_t i, const struct mappo_canvas *canvas)
{
    const double x = u->x[i], y = u->y[i], arm = 0.45;
    const uint32_t colour = (team_fill[i >= rules->allies] & 0xffffff00u) | 0x90;
    canvas->line(canvas->self, x - arm, y - arm, x + arm, y + arm, 0.18, colour);
    canvas->line(canvas->self, x - arm, y + arm, x + arm, y - arm, 0.18, colour);
}

/* How many live, above the map: each side at its end. */
static void draw_counts(const struct smax_units *u, const struct smax_rules *rules, int32_t n, const struct mappo_canvas *canvas)
{
    int32_t living[2] = {0, 0};
    char text[32];
    const double y = SMAX_SIDE + margin + headline / 2 - 0.2;
    for (int32_t i = 0; i < n; i++) living[i >= rules->allies] += u->alive[i] != 0;
    for (int side = 0; side < 2; side++) {
        const double x = side ? SMAX_SIDE / 2 + 0.8 : 0.6;
        snprintf(text, sizeof text, "%s %d", side ? "enemies" : "allies", living[side]);
        canvas->circle(canvas->self, x, y, 0.55, team_fill[side], team_edge[side]);
        canvas->text(canvas->self, x + 1, y - 0.5, 1.4, text, team_fill[side]);
    }
}

/* The living, a line to whom they fired at, and where the others fell. */
static void smax_draw(const struct smax *w, const struct smax_rules *rules, const struct mappo_canvas *canvas)
{
    const struct smax_units u = smax_units_of(w, rules);
    const int32_t n = smax_count(rules);
    draw_ground(canvas);
    draw_counts(&u, rules, n, canvas);
    for (int32_t i = 0; i < n; i++)
        if (!u.alive[i]) draw_fallen(&u, rules, i, canvas);
    for (int32_t i = 0; i < n; i++) {
        if (!u.alive[i] || u.action[i] < SMAX_MOVES) continue;
        const int32_t j = smax_opponent(rules, i, u.action[i] - SMAX_MOVES);
        canvas->line(canvas->self, u.x[i], u.y[i], u.x[j], u.y[j], 0.12, (team_fill[i >= rules->allies] & 0xffffff00u) | 0x80);
    }
    for (int32_t i = 0; i < n; i++)
        if (u.alive[i]) draw_unit(&u, rules, i, canvas);
}

static const char *const aliases[] = {"smax", "HeuristicEnemySMAX", NULL};

LANE_ENV(smax_battle, smax, 1, (observe_agent, bytes, sound, script, draw), .id = "smax/battle", .alias = aliases,
         .summary = "a team of units fights one that a heuristic commands",
         .source = "Rutherford et al. 2023; JaxMARL 0.2 (c793d09, HeuristicEnemySMAX)", .version = 1, .option = options);
