/* MountainCar-v0 and MountainCarContinuous-v0: a car in a valley, whose engine is too weak for the slope, must reach the flag on the right
 * (Moore 1990; Gymnasium 1.3, classic_control/mountain_car.py and continuous_mountain_car.py). The road is sin(3 x) high. */
#ifndef CLASSIC_MOUNTAIN_CAR_H
#define CLASSIC_MOUNTAIN_CAR_H

#include "envs/classic/episode.h"

#define CAR_LEFT        (-1.2) /* a wall, where the car stops */
#define CAR_RIGHT       0.6
#define CAR_SPEED       0.07 /* the fastest, a step */
#define CAR_GRAVITY     0.0025
#define CAR_FORCE       0.001  /* discrete: of either push */
#define CAR_FORCE_FULL  0.0015 /* continuous: of full throttle */
#define CAR_GOAL        0.5
#define CAR_GOAL_NEARER 0.45f /* continuous; compared in float32 */
#define CAR_PRIZE       100   /* continuous: for the goal */
#define CAR_COST        0.1   /* continuous: of throttle squared */
enum { CAR_NUMBERS = 2 };

struct car_rules {
    int32_t max_steps, continuous;
    rule_real low, high; /* of the position at a start */
    rule_real goal_velocity;
};

struct car {
    struct philox rng;
    int32_t steps, spare;
    rule_real position, velocity;
};

MAPPO_FN void car_place(struct car *w, const struct car_rules *rules, const rule_real *unit)
{
    w->steps = 0;
    w->position = rules->low + (rules->high - rules->low) * unit[0];
    w->velocity = 0;
}

MAPPO_FN void car_reset(struct car *w, const struct car_rules *rules)
{
    rule_real unit;
    classic_draw(&w->rng, &unit, 1);
    car_place(w, rules, &unit);
}

/* Continuous: upstream stores the state as float32, and so NumPy computes in that precision from the second step on. */
MAPPO_FN rule_real car_round(const struct car *w, const struct car_rules *rules, const rule_real x)
{
    return rules->continuous && w->steps > 0 ? (rule_real)(float)x : x;
}

/* What a step adds to the velocity. */
MAPPO_FN rule_real car_gain(const struct car *w, const struct car_rules *rules, const struct rule_io *io)
{
    const rule_real slope = (rule_real)CAR_GRAVITY * rule_cos(car_round(w, rules, 3 * w->position));
    if (!rules->continuous) return (rule_real)(io->group[0].act_int[0] - 1) * (rule_real)CAR_FORCE - slope;
    const float throttle = io->group[0].act_real[0];
    if (throttle >= -1 && throttle <= 1) return (rule_real)(throttle * (float)CAR_FORCE_FULL - (float)slope);
    return car_round(w, rules, (throttle > 0 ? (rule_real)CAR_FORCE_FULL : -(rule_real)CAR_FORCE_FULL) - slope);
}

/* Continuous: the cost is of what was asked for, also beyond full throttle. */
MAPPO_FN rule_real car_reward(const struct car_rules *rules, const struct rule_io *io, const int reached)
{
    if (!rules->continuous) return -1;
    const rule_real throttle = (rule_real)io->group[0].act_real[0];
    return (reached ? (rule_real)CAR_PRIZE : 0) - throttle * throttle * (rule_real)CAR_COST;
}

MAPPO_FN int car_step(struct car *w, const struct car_rules *rules, const struct rule_io *io)
{
    const rule_real fastest = (rule_real)CAR_SPEED, left = (rule_real)CAR_LEFT;
    const rule_real velocity = classic_clip(w->velocity + car_gain(w, rules, io), -fastest, fastest);
    w->velocity = car_round(w, rules, velocity);
    w->position = classic_clip(car_round(w, rules, w->position + w->velocity), left, (rule_real)CAR_RIGHT);
    if (w->position == left && w->velocity < 0) w->velocity = 0;
    if (rules->continuous) {
        w->position = (rule_real)(float)w->position;
        w->velocity = (rule_real)(float)w->velocity;
    }
    w->steps++;
    const rule_real goal = rules->continuous ? (rule_real)CAR_GOAL_NEARER : (rule_real)CAR_GOAL;
    const int reached = w->position >= goal && w->velocity >= rules->goal_velocity;
    if (io->info) io->info[0] = (float)reached;
    return classic_end(io, car_reward(rules, io, reached), reached, w->steps, rules->max_steps);
}

MAPPO_FN void car_observe(const struct car *w, const struct car_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    (void)rules;
    if (!obs) return;
    obs[0] = (float)w->position;
    obs[1] = (float)w->velocity;
}

/* Whether a state that was read from a file can be. */
MAPPO_FN int car_sound(const struct car *w, const struct car_rules *rules)
{
    return w->steps >= 0 && w->steps < rules->max_steps && w->position >= (rule_real)CAR_LEFT && w->position <= (rule_real)CAR_RIGHT &&
           rule_abs(w->velocity) <= (rule_real)CAR_SPEED;
}

#endif
