/* classic/MountainCar-v0: what the host needs around the rules of mountain_car.h. */
#include "envs/classic/car_options.h"
#include "env/lane_env.h"

static const struct mappo_option options[] = {CAR_OPTIONS("200")};

static int car_configure(struct car_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    return car_read_options(rules, option, error);
}

/* Of every instance here: steps are compiled for one of the two cars. */
MAPPO_FN void car_usual(struct car_rules *rules)
{
    rules->continuous = 0;
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

LANE_ENV(classic_mountain_car, car, 1, (observe, usual, sound, script, draw), .id = "classic/MountainCar-v0", .alias = aliases,
         .summary = "a weak car gathers speed in a valley to reach the flag on a hill",
         .source = "Moore 1990; Gymnasium 1.3 (MountainCar-v0)", .version = 1, .option = options);
