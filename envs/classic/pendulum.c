/* classic/Pendulum-v1: what the host needs around the rules of pendulum.h. */
#include "envs/classic/pendulum.h"
#include "env/lane_env.h"
#include "envs/classic/suite.h"

enum { OPTION_G, OPTION_X_INIT, OPTION_Y_INIT, OPTION_MAX_STEPS };
static const struct mappo_option options[] = {
    {"g", MAPPO_OPTION_REAL, "10", 0, 100, NULL, "acceleration of gravity, m/s²"},
    {"x_init", MAPPO_OPTION_REAL, "3.141592653589793", 0, 10, NULL, "starts: the angle is uniform within this, either way, rad"},
    {"y_init", MAPPO_OPTION_REAL, "1", 0, PENDULUM_SPIN, NULL, "starts: so is the angular velocity, rad/s"},
    {"max_episode_steps", MAPPO_OPTION_INT, "200", 1, 1e6, NULL, "steps of an episode"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int pendulum_configure(struct pendulum_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    (void)error;
    rules->g = (rule_real)option[OPTION_G].r;
    rules->angle = (rule_real)option[OPTION_X_INIT].r;
    rules->spin = (rule_real)option[OPTION_Y_INIT].r;
    rules->max_steps = (int32_t)option[OPTION_MAX_STEPS].i;
    return 0;
}

static void pendulum_describe(struct description *d, const struct pendulum_rules *rules)
{
    static const struct mappo_info upright = {"upright", "steps", "part of the steps that begin within 0.2 rad of upright", 0};
    classic_describe(d, rules->max_steps, &upright,
                     "minus the sum over the episode of angle² + 0.1 angular velocity² + 0.001 torque²; 0 = upright throughout");
    describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "cosine of the angle, from upright");
    describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "sine of the angle");
    describe_number(d, DESCRIBE_OBS, "rad/s", -PENDULUM_SPIN, PENDULUM_SPIN, "angular velocity");
    describe_number(d, DESCRIBE_ACT, "N m", -PENDULUM_TORQUE, PENDULUM_TORQUE, "torque");
}

static int pendulum_sound(const struct pendulum *w, const struct pendulum_rules *rules)
{
    return w->steps >= 0 && w->steps < rules->max_steps && fabsf(w->angle) < FLOAT_ANGLE_MOST && fabsf(w->spin) <= PENDULUM_SPIN;
}

/* Far from upright: as much energy as upright and at rest, by pushing with or against the turn. Near to it: holds. */
static void pendulum_script(const struct pendulum *w, const struct pendulum_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const float angle = pendulum_normal(w->angle), energy = w->spin * w->spin / 2 + 1.5f * rules->g * (float_cos(angle) - 1);
    const float pump = w->spin < 0 ? energy : -energy, hold = -(10 * angle + 2 * w->spin);
    (void)act_int;
    act_real[0][0] = classic_clip(fabsf(angle) < 0.5f ? hold : pump, -PENDULUM_TORQUE, PENDULUM_TORQUE);
}

static void pendulum_draw(const struct pendulum *w, const struct pendulum_rules *rules, const struct mappo_canvas *canvas)
{
    double x, y;
    (void)rules;
    canvas->view(canvas->self, -1.3, -1.3, 1.3, 1.3);
    canvas->line(canvas->self, 0, 0, 0, 1.2, 0.01, 0x99999999u);
    classic_draw_rod(canvas, 0, 0, -(double)w->angle, 1, 0.16, 0xcc4d4dffu, &x, &y);
    canvas->circle(canvas->self, x, y, 0.08, 0xcc4d4dffu, 0xcc4d4dffu);
    canvas->circle(canvas->self, 0, 0, 0.05, 0x333333ffu, 0x000000ffu);
}

static const char *const aliases[] = {"Pendulum-v1", "gymnasium/Pendulum-v1", "classic/pendulum", NULL};

LANE_ENV(classic_pendulum, pendulum, 1, (observe, sound, script, draw), .id = "classic/Pendulum-v1", .alias = aliases,
         .summary = "a rod is swung up and held upright by a torque too weak to lift it", .source = "Gymnasium 1.3 (Pendulum-v1)",
         .version = 1, .option = options);
