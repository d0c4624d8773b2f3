/* What the classic control tasks share on the host: the rest of their descriptions, refusals, drawing. */
#ifndef CLASSIC_SUITE_H
#define CLASSIC_SUITE_H

#include "env/describe.h"

struct mappo_env_error;

/* The group and what all five have in common; observations and action follow. */
void classic_describe(struct description *d, int32_t max_steps, const struct mappo_info *info, const char *return_help);

/* The same for a mountain car, with its observations. */
void classic_describe_car(struct description *d, int32_t max_steps, const char *return_help);

/* 0, or a refusal where starts would lie between bounds the wrong way round. */
int classic_check_start(struct mappo_env_error *error, double low, double high);

/* A rod from (x, y), `angle` from upright to the right; its end goes to *end_x, *end_y. */
void classic_draw_rod(const struct mappo_canvas *canvas, double x, double y, double angle, double length, double width, uint32_t colour,
                      double *end_x, double *end_y);

/* The valley of the mountain cars, the flag at `goal` and the car at `x`. */
void classic_draw_valley(const struct mappo_canvas *canvas, double x, double goal);

#endif
