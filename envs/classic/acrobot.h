/* Acrobot-v1: two links hang from a fixed point; a torque at the joint between them must swing the free end up by one link's length (Sutton
 * 1996; Gymnasium 1.3, classic_control/acrobot.py, with the equations of Sutton and Barto's book). Links are 1 m and 1 kg. SI units; angle 0
 * hangs down, that of the second link is relative to the first. */
#ifndef CLASSIC_ACROBOT_H
#define CLASSIC_ACROBOT_H

#include "envs/classic/episode.h"

#define ACROBOT_GRAVITY 9.8
#define ACROBOT_DT      0.2
#define ACROBOT_SPIN_1  (4 * CLASSIC_PI) /* fastest turns, rad/s */
#define ACROBOT_SPIN_2  (9 * CLASSIC_PI)
enum { ACROBOT_NUMBERS = 4, ACROBOT_OBS = 6 };

struct acrobot_rules {
    int32_t max_steps, spare;
    rule_real low, high; /* of each number of the state at a start */
};

struct acrobot {
    struct philox rng;
    int32_t steps, spare;
    rule_real state[ACROBOT_NUMBERS]; /* angles of the two links, then how fast they turn */
};

/* Upstream rounds starts to float32, and starts alone. */
MAPPO_FN void acrobot_place(struct acrobot *w, const struct acrobot_rules *rules, const rule_real *unit)
{
    w->steps = 0;
    for (int i = 0; i < ACROBOT_NUMBERS; i++) w->state[i] = (rule_real)(float)(rules->low + (rules->high - rules->low) * unit[i]);
}

MAPPO_FN void acrobot_reset(struct acrobot *w, const struct acrobot_rules *rules)
{
    rule_real unit[ACROBOT_NUMBERS];
    classic_draw(&w->rng, unit, ACROBOT_NUMBERS);
    acrobot_place(w, rules, unit);
}

/* How fast a state changes under a torque. */
MAPPO_FN void acrobot_rate(const rule_real *state, const rule_real torque, rule_real *rate)
{
    const rule_real g = (rule_real)ACROBOT_GRAVITY, quarter = (rule_real)(CLASSIC_PI / 2), half = (rule_real)0.5;
    const rule_real spin1 = state[2], spin2 = state[3], sine = rule_sin(state[1]), cosine = rule_cos(state[1]);
    const rule_real inertia = (rule_real)0.25 + ((rule_real)1.25 + cosine) + 1 + 1, coupling = (rule_real)0.25 + half * cosine + 1;
    const rule_real outer = half * g * rule_cos(state[0] + state[1] - quarter);
    const rule_real inner =
        -half * (spin2 * spin2) * sine - spin2 * spin1 * sine + (rule_real)1.5 * g * rule_cos(state[0] - quarter) + outer;
    const rule_real turn2 =
        (torque + coupling / inertia * inner - half * (spin1 * spin1) * sine - outer) / ((rule_real)1.25 - coupling * coupling / inertia);
    rate[0] = spin1;
    rate[1] = spin2;
    rate[2] = -(coupling * turn2 + inner) / inertia;
    rate[3] = turn2;
}

/* One step of the classical Runge-Kutta method under a constant torque. */
MAPPO_FN void acrobot_integrate(rule_real *state, const rule_real torque)
{
    const rule_real dt = (rule_real)ACROBOT_DT, half = dt / 2;
    rule_real k1[ACROBOT_NUMBERS], k2[ACROBOT_NUMBERS], k3[ACROBOT_NUMBERS], k4[ACROBOT_NUMBERS], at[ACROBOT_NUMBERS];
    acrobot_rate(state, torque, k1);
    for (int i = 0; i < ACROBOT_NUMBERS; i++) at[i] = state[i] + half * k1[i];
    acrobot_rate(at, torque, k2);
    for (int i = 0; i < ACROBOT_NUMBERS; i++) at[i] = state[i] + half * k2[i];
    acrobot_rate(at, torque, k3);
    for (int i = 0; i < ACROBOT_NUMBERS; i++) at[i] = state[i] + dt * k3[i];
    acrobot_rate(at, torque, k4);
    for (int i = 0; i < ACROBOT_NUMBERS; i++) state[i] += dt / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
}

MAPPO_FN rule_real acrobot_wrap(rule_real angle)
{
    const rule_real pi = (rule_real)CLASSIC_PI;
    while (angle > pi) angle -= 2 * pi;
    while (angle < -pi) angle += 2 * pi;
    return angle;
}

MAPPO_FN int acrobot_step(struct acrobot *w, const struct acrobot_rules *rules, const struct rule_io *io)
{
    const rule_real fast1 = (rule_real)ACROBOT_SPIN_1, fast2 = (rule_real)ACROBOT_SPIN_2;
    acrobot_integrate(w->state, (rule_real)(io->group[0].act_int[0] - 1));
    w->state[0] = acrobot_wrap(w->state[0]);
    w->state[1] = acrobot_wrap(w->state[1]);
    w->state[2] = classic_clip(w->state[2], -fast1, fast1);
    w->state[3] = classic_clip(w->state[3], -fast2, fast2);
    w->steps++;
    const int reached = -rule_cos(w->state[0]) - rule_cos(w->state[1] + w->state[0]) > 1;
    if (io->info) io->info[0] = (float)reached;
    return classic_end(io, (rule_real)(reached - 1), reached, w->steps, rules->max_steps);
}

MAPPO_FN void acrobot_observe(const struct acrobot *w, const struct acrobot_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    (void)rules;
    for (int i = 0; i < 2 && obs; i++) {
        obs[2 * i] = (float)rule_cos(w->state[i]);
        obs[2 * i + 1] = (float)rule_sin(w->state[i]);
        obs[4 + i] = (float)w->state[2 + i];
    }
}

#endif
