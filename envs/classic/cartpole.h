/* CartPole-v1: a cart on a track is pushed left or right to keep the pole on it upright (Barto, Sutton and Anderson 1983; Gymnasium 1.3,
 * classic_control/cartpole.py). SI units; angles are from upright, positive to the right. */
#ifndef CLASSIC_CARTPOLE_H
#define CLASSIC_CARTPOLE_H

#include "envs/classic/episode.h"

#define CARTPOLE_GRAVITY 9.8
#define CARTPOLE_MASS    1.1 /* of cart and pole */
#define CARTPOLE_POLE    0.1 /* of the pole alone */
#define CARTPOLE_LENGTH  0.5 /* half the pole's */
#define CARTPOLE_FORCE   10.0
#define CARTPOLE_DT      0.02
#define CARTPOLE_TRACK   2.4 /* beyond it, either way, an episode ends */
#define CARTPOLE_TILT    (12 * 2 * CLASSIC_PI / 360)
enum { CARTPOLE_NUMBERS = 4 };

struct cartpole_rules {
    int32_t max_steps, sutton_barto_reward;
    rule_real low, high; /* of each number of the state at a start */
};

struct cartpole {
    struct philox rng;
    int32_t steps, spare;
    rule_real position, velocity, angle, spin;
};

MAPPO_FN void cartpole_place(struct cartpole *w, const struct cartpole_rules *rules, const rule_real *unit)
{
    const rule_real range = rules->high - rules->low;
    w->steps = 0;
    w->position = rules->low + range * unit[0];
    w->velocity = rules->low + range * unit[1];
    w->angle = rules->low + range * unit[2];
    w->spin = rules->low + range * unit[3];
}

MAPPO_FN void cartpole_reset(struct cartpole *w, const struct cartpole_rules *rules)
{
    rule_real unit[CARTPOLE_NUMBERS];
    classic_draw(&w->rng, unit, CARTPOLE_NUMBERS);
    cartpole_place(w, rules, unit);
}

/* Explicit Euler: places move with the old velocities. */
MAPPO_FN int cartpole_step(struct cartpole *w, const struct cartpole_rules *rules, const struct rule_io *io)
{
    const rule_real dt = (rule_real)CARTPOLE_DT, mass = (rule_real)CARTPOLE_MASS;
    const rule_real moment = (rule_real)(CARTPOLE_POLE * CARTPOLE_LENGTH);
    const rule_real sine = rule_sin(w->angle), cosine = rule_cos(w->angle);
    const rule_real force = io->group[0].act_int[0] == 1 ? (rule_real)CARTPOLE_FORCE : -(rule_real)CARTPOLE_FORCE;
    const rule_real push = (force + moment * (w->spin * w->spin) * sine) / mass;
    const rule_real turn = ((rule_real)CARTPOLE_GRAVITY * sine - cosine * push) /
                           ((rule_real)CARTPOLE_LENGTH * ((rule_real)(4.0 / 3.0) - (rule_real)CARTPOLE_POLE * (cosine * cosine) / mass));
    const rule_real pull = push - moment * turn * cosine / mass;
    w->position += dt * w->velocity;
    w->velocity += dt * pull;
    w->angle += dt * w->spin;
    w->spin += dt * turn;
    w->steps++;
    const int fallen = rule_abs(w->position) > (rule_real)CARTPOLE_TRACK || rule_abs(w->angle) > (rule_real)CARTPOLE_TILT;
    if (io->info) io->info[0] = fallen ? 0.0f : 1.0f;
    return classic_end(io, rules->sutton_barto_reward ? -(rule_real)fallen : (rule_real)1, fallen, w->steps, rules->max_steps);
}

MAPPO_FN void cartpole_observe(const struct cartpole *w, const struct cartpole_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    (void)rules;
    if (!obs) return;
    obs[0] = (float)w->position;
    obs[1] = (float)w->velocity;
    obs[2] = (float)w->angle;
    obs[3] = (float)w->spin;
}

#endif
