/* Pendulum-v1: a rod of 1 m and 1 kg must be swung up and held upright by a torque that is too weak to lift it at once (Gymnasium 1.3,
 * classic_control/pendulum.py). SI units; angle 0 is upright and grows without bounds, positive to the left. */
#ifndef CLASSIC_PENDULUM_H
#define CLASSIC_PENDULUM_H

#include "envs/classic/episode.h"

#define PENDULUM_DT     0.05
#define PENDULUM_TORQUE 2.0f
#define PENDULUM_SPIN   8 /* fastest turn, rad/s */
enum { PENDULUM_NUMBERS = 2, PENDULUM_OBS = 3 };

struct pendulum_rules {
    int32_t max_steps, spare;
    rule_real g, angle, spin; /* starts lie within the last two, either way */
};

struct pendulum {
    struct philox rng;
    int32_t steps, spare;
    rule_real angle, spin;
};

MAPPO_FN void pendulum_place(struct pendulum *w, const struct pendulum_rules *rules, const rule_real *unit)
{
    w->steps = 0;
    w->angle = -rules->angle + 2 * rules->angle * unit[0];
    w->spin = -rules->spin + 2 * rules->spin * unit[1];
}

MAPPO_FN void pendulum_reset(struct pendulum *w, const struct pendulum_rules *rules)
{
    rule_real unit[PENDULUM_NUMBERS];
    classic_draw(&w->rng, unit, PENDULUM_NUMBERS);
    pendulum_place(w, rules, unit);
}

/* The same angle in [-pi, pi). */
MAPPO_FN rule_real pendulum_normal(const rule_real angle)
{
    const rule_real pi = (rule_real)CLASSIC_PI, turned = rule_fmod(angle + pi, 2 * pi);
    return (turned < 0 ? turned + 2 * pi : turned) - pi;
}

/* Pays for the state before the step. The torque is float upstream, too, and so are its multiples. */
MAPPO_FN int pendulum_step(struct pendulum *w, const struct pendulum_rules *rules, const struct rule_io *io)
{
    const float action = io->group[0].act_real[0];
    const float torque = action < -PENDULUM_TORQUE ? -PENDULUM_TORQUE : action > PENDULUM_TORQUE ? PENDULUM_TORQUE : action;
    const rule_real dt = (rule_real)PENDULUM_DT, angle = pendulum_normal(w->angle);
    const rule_real cost = angle * angle + (rule_real)0.1 * (w->spin * w->spin) + (rule_real)(0.001f * (torque * torque));
    const rule_real turn = 3 * rules->g / 2 * rule_sin(w->angle) + (rule_real)(3.0f * torque);
    w->spin = classic_clip(w->spin + turn * dt, -PENDULUM_SPIN, PENDULUM_SPIN);
    w->angle += w->spin * dt;
    w->steps++;
    if (io->info) io->info[0] = rule_abs(angle) < (rule_real)0.2 ? 1.0f : 0.0f;
    return classic_end(io, -cost, 0, w->steps, rules->max_steps);
}

MAPPO_FN void pendulum_observe(const struct pendulum *w, const struct pendulum_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    (void)rules;
    if (!obs) return;
    obs[0] = (float)rule_cos(w->angle);
    obs[1] = (float)rule_sin(w->angle);
    obs[2] = (float)w->spin;
}

#endif
