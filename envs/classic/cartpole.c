/* classic/CartPole-v1: what the host needs around the rules of cartpole.h. */
#include "envs/classic/cartpole.h"
#include "env/lane_env.h"
#include "envs/classic/suite.h"

enum { OPTION_REWARD, OPTION_LOW, OPTION_HIGH, OPTION_MAX_STEPS };
static const struct mappo_option options[] = {
    {"sutton_barto_reward", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "0 for a step and -1 for a fall, instead of 1 for each step"},
    {"low", MAPPO_OPTION_REAL, "-0.05", -0.2, 0.2, NULL, "starts: each number of the state is uniform from here …"},
    {"high", MAPPO_OPTION_REAL, "0.05", -0.2, 0.2, NULL, "… to here"},
    {"max_episode_steps", MAPPO_OPTION_INT, "500", 1, 1e6, NULL, "steps of an episode at most"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int cartpole_configure(struct cartpole_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    rules->sutton_barto_reward = (int32_t)option[OPTION_REWARD].i;
    rules->low = (rule_real)option[OPTION_LOW].r;
    rules->high = (rule_real)option[OPTION_HIGH].r;
    rules->max_steps = (int32_t)option[OPTION_MAX_STEPS].i;
    return classic_check_start(error, option[OPTION_LOW].r, option[OPTION_HIGH].r);
}

static void cartpole_describe(struct description *d, const struct cartpole_rules *rules)
{
    static const struct mappo_info success = {"success", "episodes", "part of the episodes that end without a fall", 1};
    static const char *const pushes[] = {"push_left", "push_right"};
    classic_describe(d, rules->max_steps, &success,
                     rules->sutton_barto_reward ? "-1 if the pole falls or the cart leaves the track, else 0"
                                                : "steps until the pole falls or the cart leaves the track; 475 and more counts as solved");
    describe_number(d, DESCRIBE_OBS, "m", -2 * (float)CARTPOLE_TRACK, 2 * (float)CARTPOLE_TRACK, "cart position");
    describe_number(d, DESCRIBE_OBS, "m/s", -INFINITY, INFINITY, "cart velocity");
    describe_number(d, DESCRIBE_OBS, "rad", -2 * (float)CARTPOLE_TILT, 2 * (float)CARTPOLE_TILT, "pole angle, to the right of upright");
    describe_number(d, DESCRIBE_OBS, "rad/s", -INFINITY, INFINITY, "pole angular velocity");
    describe_choice(d, DESCRIBE_ACT, 2, 0, pushes);
}

static int cartpole_sound(const struct cartpole *w, const struct cartpole_rules *rules)
{
    return w->steps >= 0 && w->steps < rules->max_steps && fabsf(w->position) <= (float)CARTPOLE_TRACK && isfinite(w->velocity) &&
           fabsf(w->angle) <= (float)CARTPOLE_TILT && isfinite(w->spin);
}

/* Pushes to the side to which the pole falls, and lets it lean against the way back to the middle. */
static void cartpole_script(const struct cartpole *w, const struct cartpole_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)rules, (void)act_real;
    act_int[0][0] = w->angle + 0.25f * w->spin + 0.05f * w->position + 0.15f * w->velocity > 0;
}

static void cartpole_draw(const struct cartpole *w, const struct cartpole_rules *rules, const struct mappo_canvas *canvas)
{
    const double x = (double)w->position, track = CARTPOLE_TRACK;
    double end_x, end_y;
    (void)rules;
    canvas->view(canvas->self, -2.6, -0.7, 2.6, 1.6);
    canvas->line(canvas->self, -track, 0, track, 0, 0.03, 0x333333ffu);
    for (int side = -1; side <= 1; side += 2) canvas->line(canvas->self, side * track, -0.2, side * track, 0.2, 0.03, 0xd04040ffu);
    canvas->rectangle(canvas->self, x - 0.3, -0.18, x + 0.3, 0.18, 0x3366ccffu, 0x1a3366ffu);
    classic_draw_rod(canvas, x, 0.1, (double)w->angle, 2 * CARTPOLE_LENGTH, 0.1, 0xca9865ffu, &end_x, &end_y);
    canvas->circle(canvas->self, x, 0.1, 0.07, 0x8184cbffu, 0x333366ffu);
}

static const char *const aliases[] = {"CartPole-v1", "gymnasium/CartPole-v1", "classic/cartpole", NULL};

LANE_ENV(classic_cartpole, cartpole, 1, (observe, sound, script, draw), .id = "classic/CartPole-v1", .alias = aliases,
         .summary = "a cart is pushed left or right to keep the pole on it upright",
         .source = "Barto, Sutton and Anderson 1983; Gymnasium 1.3 (CartPole-v1)", .version = 1, .option = options);
