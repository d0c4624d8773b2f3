/* What both mountain cars need on the host: their options, which differ in the steps of an episode alone. */
#ifndef CLASSIC_CAR_OPTIONS_H
#define CLASSIC_CAR_OPTIONS_H

#include "envs/classic/mountain_car.h"
#include "envs/classic/suite.h"

enum { OPTION_GOAL_VELOCITY, OPTION_LOW, OPTION_HIGH, OPTION_MAX_STEPS };
/* The table, for options[]; STEPS as text. */
#define CAR_OPTIONS(STEPS)                                                                                                                 \
    {"goal_velocity", MAPPO_OPTION_REAL, "0", -CAR_SPEED, CAR_SPEED, NULL, "at the flag the car must be at least so fast"},                \
        {"low", MAPPO_OPTION_REAL, "-0.6", CAR_LEFT, CAR_RIGHT, NULL, "starts: the position is uniform from here …"},                      \
        {"high", MAPPO_OPTION_REAL, "-0.4", CAR_LEFT, CAR_RIGHT, NULL, "… to here"},                                                       \
        {"max_episode_steps", MAPPO_OPTION_INT, STEPS, 1, 1e6, NULL, "steps of an episode at most"},                                       \
    {                                                                                                                                      \
        NULL, 0, NULL, 0, 0, NULL, NULL                                                                                                    \
    }

/* Options into the rules of a car with three pushes; 0, or a refusal. */
static inline int car_read_options(struct car_rules *rules, const struct mappo_value *option, struct mappo_env_error *error)
{
    rules->goal_velocity = (rule_real)option[OPTION_GOAL_VELOCITY].r;
    rules->low = (rule_real)option[OPTION_LOW].r;
    rules->high = (rule_real)option[OPTION_HIGH].r;
    rules->max_steps = (int32_t)option[OPTION_MAX_STEPS].i;
    return classic_check_start(error, option[OPTION_LOW].r, option[OPTION_HIGH].r);
}

#endif
