/* classic/Acrobot-v1: what the host needs around the rules of acrobot.h. */
#include "envs/classic/acrobot.h"
#include "env/lane_env.h"
#include "envs/classic/suite.h"

enum { OPTION_LOW, OPTION_HIGH, OPTION_MAX_STEPS };
static const struct mappo_option options[] = {
    {"low", MAPPO_OPTION_REAL, "-0.1", -3, 3, NULL, "starts: each angle and angular velocity is uniform from here …"},
    {"high", MAPPO_OPTION_REAL, "0.1", -3, 3, NULL, "… to here"},
    {"max_episode_steps", MAPPO_OPTION_INT, "500", 1, 1e6, NULL, "steps of an episode at most"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int acrobot_configure(struct acrobot_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    rules->low = (rule_real)option[OPTION_LOW].r;
    rules->high = (rule_real)option[OPTION_HIGH].r;
    rules->max_steps = (int32_t)option[OPTION_MAX_STEPS].i;
    return classic_check_start(error, option[OPTION_LOW].r, option[OPTION_HIGH].r);
}

static void acrobot_describe(struct description *d, const struct acrobot_rules *rules)
{
    static const struct mappo_info success = {"success", "episodes", "part of the episodes that reach the line", 1};
    static const char *const torques[] = {"torque_negative", "torque_none", "torque_positive"};
    classic_describe(d, rules->max_steps, &success,
                     "minus the steps before the free end is above the line; -100 and more counts as solved");
    for (int i = 1; i <= 2; i++) {
        describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "cosine of angle %d%s", i, i == 1 ? ", from hanging down" : ", relative to link 1");
        describe_number(d, DESCRIBE_OBS, NULL, -1, 1, "sine of angle %d", i);
    }
    describe_number(d, DESCRIBE_OBS, "rad/s", -(float)ACROBOT_SPIN_1, (float)ACROBOT_SPIN_1, "angular velocity 1");
    describe_number(d, DESCRIBE_OBS, "rad/s", -(float)ACROBOT_SPIN_2, (float)ACROBOT_SPIN_2, "angular velocity 2");
    describe_choice(d, DESCRIBE_ACT, 3, 0, torques);
}

static int acrobot_sound(const struct acrobot *w, const struct acrobot_rules *rules)
{
    const float *s = w->state, pi = (float)CLASSIC_PI;
    return w->steps >= 0 && w->steps < rules->max_steps && fabsf(s[0]) <= pi && fabsf(s[1]) <= pi && fabsf(s[2]) <= (float)ACROBOT_SPIN_1 &&
           fabsf(s[3]) <= (float)ACROBOT_SPIN_2;
}

/* Pumps energy: pushes the way in which the joint turns, and a little against the turn of the first link. */
static void acrobot_script(const struct acrobot *w, const struct acrobot_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    (void)rules, (void)act_real;
    act_int[0][0] = w->state[3] - 0.3f * w->state[2] < 0 ? 0 : 2;
}

static void acrobot_draw(const struct acrobot *w, const struct acrobot_rules *rules, const struct mappo_canvas *canvas)
{
    const double angle = CLASSIC_PI - (double)w->state[0];
    double x = 0, y = 0;
    (void)rules;
    canvas->view(canvas->self, -2.2, -2.2, 2.2, 2.2);
    canvas->line(canvas->self, -2.2, 1, 2.2, 1, 0.03, 0xd04040ffu);
    for (int i = 0; i < 2; i++) {
        const double joint_x = x, joint_y = y;
        classic_draw_rod(canvas, joint_x, joint_y, i == 0 ? angle : angle - (double)w->state[1], 1, 0.16, i ? 0x66a3e0ffu : 0x3366ccffu, &x,
                         &y);
        canvas->circle(canvas->self, joint_x, joint_y, 0.1, 0xe0c040ffu, 0x333333ffu);
    }
}

static const char *const aliases[] = {"Acrobot-v1", "gymnasium/Acrobot-v1", "classic/acrobot", NULL};

LANE_ENV(classic_acrobot, acrobot, 1, (observe, sound, script, draw), .id = "classic/Acrobot-v1", .alias = aliases,
         .summary = "two hanging links are swung up by a torque at the joint between them",
         .source = "Sutton 1996; Gymnasium 1.3 (Acrobot-v1)", .version = 1, .option = options);
