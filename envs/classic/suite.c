#include "envs/classic/suite.h"

#include <math.h>
#include <stdio.h>

#include "envs/classic/mountain_car.h"

void classic_describe(struct description *d, int32_t max_steps, const struct mappo_info *info, const char *return_help)
{
    d->spec.max_steps = max_steps;
    d->spec.rules = "gymnasium";
    d->spec.return_help = return_help;
    d->spec.infos = 1;
    d->spec.info = info;
    d->spec.state_is_all_obs = 1;
    describe_group(d, "agent", 1, 0, MAPPO_SHARED_REWARD);
}

void classic_describe_car(struct description *d, int32_t max_steps, const char *return_help)
{
    static const struct mappo_info success = {"success", "episodes", "part of the episodes that reach the flag", 1};
    classic_describe(d, max_steps, &success, return_help);
    describe_number(d, DESCRIBE_OBS, "m", (float)CAR_LEFT, (float)CAR_RIGHT, "position");
    describe_number(d, DESCRIBE_OBS, "m/step", -(float)CAR_SPEED, (float)CAR_SPEED, "velocity");
}

int classic_check_start(struct mappo_env_error *error, double low, double high)
{
    if (low <= high) return 0;
    error->env = -1;
    snprintf(error->text, sizeof error->text, "starts lie between low and high, and low=%g is above high=%g", low, high);
    return -1;
}

void classic_draw_rod(const struct mappo_canvas *canvas, double x, double y, double angle, double length, double width, uint32_t colour,
                      double *end_x, double *end_y)
{
    *end_x = x + length * sin(angle);
    *end_y = y + length * cos(angle);
    canvas->line(canvas->self, x, y, *end_x, *end_y, width, colour);
}

static double road(double x)
{
    return 0.45 * sin(3 * x);
}

void classic_draw_valley(const struct mappo_canvas *canvas, double x, double goal)
{
    enum { PIECES = 60 };
    const double wheel = 0.045, length = 0.08, slope = atan(1.35 * cos(3 * x)), dx = cos(slope), dy = sin(slope);
    double ground[PIECES + 3][2] = {{CAR_LEFT, -0.95}, {CAR_RIGHT, -0.95}};
    for (int k = 0; k <= PIECES; k++) {
        ground[2 + k][0] = CAR_RIGHT + (CAR_LEFT - CAR_RIGHT) * k / PIECES;
        ground[2 + k][1] = road(ground[2 + k][0]);
    }
    canvas->view(canvas->self, CAR_LEFT - 0.05, -0.95, CAR_RIGHT + 0.05, 0.95);
    canvas->polygon(canvas->self, ground[0], PIECES + 3, 0x8a9a5bffu, 0x5a663bffu);
    canvas->line(canvas->self, goal, road(goal), goal, road(goal) + 0.3, 0.015, 0x333333ffu);
    const double flag[6] = {goal, road(goal) + 0.3, goal, road(goal) + 0.2, goal - 0.14, road(goal) + 0.25};
    canvas->polygon(canvas->self, flag, 3, 0xd04040ffu, 0xd04040ffu);
    /* the car stands on its wheels, along the slope */
    const double cx = x - dy * wheel, cy = road(x) + dx * wheel, up = 0.1;
    const double body[8] = {cx - dx * length - dy * 0.01, cy - dy * length + dx * 0.01, cx + dx * length - dy * 0.01,
                            cy + dy * length + dx * 0.01, cx + dx * length - dy * up,   cy + dy * length + dx * up,
                            cx - dx * length - dy * up,   cy - dy * length + dx * up};
    canvas->polygon(canvas->self, body, 4, 0x3366ccffu, 0x1a3366ffu);
    for (int side = -1; side <= 1; side += 2)
        canvas->circle(canvas->self, cx + side * 0.6 * length * dx, cy + side * 0.6 * length * dy, wheel, 0x333333ffu, 0x000000ffu);
}
