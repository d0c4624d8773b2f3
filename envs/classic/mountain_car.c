/* classic/MountainCar-v0: what the host needs around the rules of mountain_car.h. */
#include "envs/classic/mountain_car.h"
#include "env/lane_env.h"
#include "envs/classic/suite.h"

enum { OPTION_GOAL_VELOCITY, OPTION_LOW, OPTION_HIGH, OPTION_MAX_STEPS };
static const struct mappo_option options[] = {
    {"goal_velocity", MAPPO_OPTION_REAL, "0", -CAR_SPEED, CAR_SPEED, NULL, "at the flag the car must be at least so fast"},
    {"low", MAPPO_OPTION_REAL, "-0.6", CAR_LEFT, CAR_RIGHT, NULL, "starts: the position is uniform from here …"},
    {"high", MAPPO_OPTION_REAL, "-0.4", CAR_LEFT, CAR_RIGHT, NULL, "… to here"},
    {"max_episode_steps", MAPPO_OPTION_INT, "200", 1, 1e6, NULL, "steps of an episode at most"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int car_configure(struct car_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    rules->goal_velocity = (rule_real)option[OPTION_GOAL_VELOCITY].r;
    rules->low = (rule_real)option[OPTION_LOW].r;
    rules->high = (rule_real)option[OPTION_HIGH].r;
    rules->max_steps = (int32_t)option[OPTION_MAX_STEPS].i;
    return classic_check_start(error, option[OPTION_LOW].r, option[OPTION_HIGH].r);
}

static void car_describe(struct description *d, const struct car_rules *rules)
{
    static const char *const pushes[] = {"push_left", "coast", "push_right"};
    classic_describe_car(d, rules->max_steps, "minus the steps to the flag; -110 and more counts as solved");
    describe_choice(d, DESCRIBE_ACT, 3, 0, pushes);
}

/* Pushes the way in which the car rolls, and turns round a little before it comes to rest. */
static void car_script(const struct car *w, const struct car_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)rules, (void)act_real;
    act_int[0][0] = w->velocity - 0.01f * (w->position + 0.47f) < 0 ? 0 : 2;
}

static void car_draw(const struct car *w, const struct car_rules *rules, const struct mappo_canvas *canvas)
{
    (void)rules;
    classic_draw_valley(canvas, (double)w->position, CAR_GOAL);
}

static const char *const aliases[] = {"MountainCar-v0", "gymnasium/MountainCar-v0", "classic/mountain_car", NULL};

LANE_ENV(classic_mountain_car, car, 1, (observe, sound, script, draw), .id = "classic/MountainCar-v0", .alias = aliases,
         .summary = "a weak car gathers speed in a valley to reach the flag on a hill",
         .source = "Moore 1990; Gymnasium 1.3 (MountainCar-v0)", .version = 1, .option = options);
