/* classic/MountainCarContinuous-v0: what the host needs around the rules of mountain_car.h. */
#include "envs/classic/car_options.h"
#include "env/lane_env.h"

static const struct mappo_option options[] = {CAR_OPTIONS("999")};

static int car_configure(struct car_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    rules->continuous = 1;
    return car_read_options(rules, option, error);
}

/* Of every instance here: steps are compiled for one of the two cars. */
MAPPO_FN void car_usual(struct car_rules *rules)
{
    rules->continuous = 1;
}

static void car_describe(struct description *d, const struct car_rules *rules)
{
    classic_describe_car(d, rules->max_steps, "100 at the flag, minus 0.1 throttle² a step; 90 and more counts as solved");
    describe_number(d, DESCRIBE_ACT, NULL, -1, 1, "throttle, positive to the right");
}

/* Pushes the way in which the car rolls, with little of the throttle: its cost grows with its square, and time costs nothing. */
static void car_script(const struct car *w, const struct car_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)rules, (void)act_int;
    act_real[0][0] = w->velocity < 0 ? -0.25f : 0.25f;
}

static void car_draw(const struct car *w, const struct car_rules *rules, const struct mappo_canvas *canvas)
{
    (void)rules;
    classic_draw_valley(canvas, (double)w->position, (double)CAR_GOAL_NEARER);
}

static const char *const aliases[] = {"MountainCarContinuous-v0", "gymnasium/MountainCarContinuous-v0", "classic/mountain_car_continuous",
                                      NULL};

LANE_ENV(classic_mountain_car_continuous, car, 1, (observe, usual, sound, script, draw), .id = "classic/MountainCarContinuous-v0",
         .alias = aliases, .summary = "the same with a throttle, which costs: a weak car must reach the flag on a hill",
         .source = "Moore 1990; Gymnasium 1.3 (MountainCarContinuous-v0)", .version = 1, .option = options);
