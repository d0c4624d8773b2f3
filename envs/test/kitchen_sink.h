/* test/kitchen_sink: everything that an environment may do, in one that means nothing. Used by tests of whatever stands between
 * environments and learning.
 *
 * Scene two_teams: three runners (team 0) see a cue and should answer it; they die, reappear after two steps, and the last of them is
 * absent at first. Two watchers (team 1) should report the level. Scene single: one agent sees a cue of four and is paid 1 for naming it:
 * soon learned, return = episode length. Episodes last a drawn number of steps and end by termination or by a limit. Host and device. */
#ifndef TEST_KITCHEN_SINK_H
#define TEST_KITCHEN_SINK_H

#include "env/rules.h"

enum {
    SINK_RUNNERS = 3,
    SINK_WATCHERS = 2,
    SINK_CUES = 4,
    SINK_FIRST_CUE = 2,    /* start of the answer's Discrete space */
    SINK_FIRST_SECOND = 5, /* start of the second component of the runners' MultiDiscrete action */
    SINK_BITS = 3,
    SINK_RUNNER_LOGITS = SINK_CUES + 3 + 2 + SINK_BITS,
    SINK_RUNNER_INTS = 1 + 2 + SINK_BITS,
    SINK_RUNNER_REALS = 2,
    SINK_RUNNER_OBS = 4 + SINK_CUES,
    SINK_RUNNER_STATE = 6,
    SINK_WATCHER_REALS = 3,
    SINK_WATCHER_OBS = 2 + 3 + SINK_BITS + 1,
    SINK_STATE = SINK_RUNNERS + 2,
    SINK_AWAY = 2,  /* steps that a dead runner stays away */
    SINK_TITLE = 40 /* bytes */
};
enum sink_scene { SINK_TWO_TEAMS, SINK_SINGLE };
enum sink_info { SINK_ANSWERED, SINK_SURVIVORS, SINK_INFOS };

enum sink_fault {
    FAULT_NONE,
    FAULT_NAN_REWARD,
    FAULT_NAN_OBS,
    FAULT_INF_REWARD,
    FAULT_ERROR,
    FAULT_STALL,
    FAULT_NAN_FINAL, /* the last observation of the episode that fault_step is in */
    FAULT_NO_CHOICE, /* the last runner's third integer has nothing left */
    FAULT_UNSHARED,  /* watchers are paid alike, until then */
    FAULT_ENDLESS    /* from then on episodes go on */
};

struct sink_rules {
    int32_t scene, shortest, longest, mortal;
    int32_t fault;              /* enum sink_fault: error and stall are the host's, the others the rules' own */
    uint32_t fault_env;         /* global index */
    int64_t fault_step;         /* of struct sink's total */
    char title[SINK_TITLE + 1]; /* above its picture; empty: none */
    double stall_seconds, delay_ms;
};

struct sink {
    struct philox rng;
    int64_t total;              /* steps since the environment was made, over all episodes: where faults are injected */
    int32_t steps, length;      /* of this episode */
    int32_t ends_early;         /* 1: the episode terminates, 0: it is truncated */
    int32_t cue[SINK_RUNNERS];  /* 0 … 3; the single agent's is cue[0] */
    int32_t away[SINK_RUNNERS]; /* steps until the runner acts again; 0 = acts */
    float drift;                /* unbounded */
    float level;                /* -2 … 2 */
    int32_t padding;
};

MAPPO_FN void sink_draw_cues(struct sink *w)
{
    for (int a = 0; a < SINK_RUNNERS; a++) w->cue[a] = philox_below(&w->rng, SINK_CUES);
    w->level = philox_uniform(&w->rng, -2, 2);
}

/* What a runner may do [SINK_RUNNER_LOGITS]: not the answer two beside the cue, not one of the three moves, not one of the bits. */
MAPPO_FN void sink_mask(const struct sink *w, const int a, uint8_t *mask)
{
    for (int k = 0; k < SINK_RUNNER_LOGITS; k++) mask[k] = 1;
    mask[(w->cue[a] + 2) % SINK_CUES] = 0;
    mask[SINK_CUES + w->steps % 3] = 0;
    mask[SINK_CUES + 3 + 2 + (w->steps + a) % SINK_BITS] = 0;
}

MAPPO_FN void sink_reset(struct sink *w, const struct sink_rules *rules)
{
    w->steps = 0;
    w->length = rules->shortest + philox_below(&w->rng, rules->longest - rules->shortest + 1);
    w->ends_early = rules->scene == SINK_TWO_TEAMS && philox_below(&w->rng, 2);
    for (int a = 0; a < SINK_RUNNERS; a++) w->away[a] = rules->mortal && a == SINK_RUNNERS - 1 ? SINK_AWAY : 0;
    w->drift = 0;
    sink_draw_cues(w);
}

/* One runner: paid for its answer, for the second component, for allowed bits, and less for the square of its first real number. */
MAPPO_FN rule_real sink_runner_reward(const struct sink *w, const int a, const int32_t *act_int, const float *act_real)
{
    rule_real reward = 0.25f; /* the team's share, which the absent get as well */
    if (w->away[a]) return reward;
    reward += act_int[0] - SINK_FIRST_CUE == w->cue[a];
    reward += 0.5f * (float)(act_int[2] - SINK_FIRST_SECOND == w->cue[a] % 2);
    for (int k = 0; k < SINK_BITS; k++) reward += 0.1f * (float)act_int[3 + k];
    return reward - 0.1f * act_real[0] * act_real[0];
}

MAPPO_FN int sink_step_runners(struct sink *w, const struct sink_rules *rules, const struct rule_group_io *io)
{
    int answered = 0;
    for (int a = 0; a < SINK_RUNNERS; a++) {
        const int32_t *act_int = io->act_int + a * SINK_RUNNER_INTS;
        if (io->reward) io->reward[a] = sink_runner_reward(w, a, act_int, io->act_real + a * SINK_RUNNER_REALS);
        answered += !w->away[a] && act_int[0] - SINK_FIRST_CUE == w->cue[a];
        if (io->terminated) io->terminated[a] = 0;
        if (w->away[a]) {
            w->away[a]--;
        } else if (rules->mortal && philox_below(&w->rng, 10) == 0) {
            w->away[a] = SINK_AWAY;
            if (io->terminated) io->terminated[a] = 1;
        }
    }
    return answered;
}

/* Whether `fault` strikes this environment at its step number `step`. */
MAPPO_FN int sink_strikes(const struct sink *w, const struct sink_rules *rules, const int fault, const int64_t step)
{
    return rules->fault == fault && w->rng.index == rules->fault_env && step == rules->fault_step;
}

MAPPO_FN int sink_step(struct sink *w, const struct sink_rules *rules, const struct rule_io *io)
{
    int answered;
    if (rules->scene == SINK_SINGLE) {
        answered = io->group[0].act_int[0] == w->cue[0];
        if (io->group[0].reward) io->group[0].reward[0] = (float)answered;
        if (io->group[0].terminated) io->group[0].terminated[0] = 0;
    } else {
        answered = sink_step_runners(w, rules, &io->group[0]);
        for (int a = 0; a < SINK_WATCHERS; a++) {
            const float miss = io->group[1].act_real[a * SINK_WATCHER_REALS] - w->level;
            if (io->group[1].reward) io->group[1].reward[a] = -(miss < 0 ? -miss : miss) - (float)a;
            if (io->group[1].reward && rules->fault == FAULT_UNSHARED)
                io->group[1].reward[a] = sink_strikes(w, rules, FAULT_UNSHARED, w->total) ? (float)a : 0.0f;
            if (io->group[1].terminated) io->group[1].terminated[a] = 0;
        }
    }
    if (io->group[0].reward && sink_strikes(w, rules, FAULT_NAN_REWARD, w->total)) io->group[0].reward[0] = NAN;
    if (io->group[0].reward && sink_strikes(w, rules, FAULT_INF_REWARD, w->total)) io->group[0].reward[0] = INFINITY;
    w->steps++;
    w->total++;
    w->drift += philox_uniform(&w->rng, -1, 1.5f);
    sink_draw_cues(w);
    int present = 0;
    for (int a = 0; a < SINK_RUNNERS; a++) present += !w->away[a];
    if (io->info) {
        io->info[SINK_ANSWERED] = (float)answered;
        io->info[SINK_SURVIVORS] = (float)present;
    }
    if (w->steps < w->length) return MAPPO_RUNNING;
    if (sink_strikes(w, rules, FAULT_ENDLESS, rules->fault_step) && w->total > rules->fault_step) return MAPPO_RUNNING;
    return w->ends_early ? MAPPO_TERMINATED : MAPPO_TRUNCATED;
}

MAPPO_FN void sink_observe_runner(const struct sink *w, const int a, const struct rule_group_io *io)
{
    const float done = (float)w->steps / (float)w->length, there = w->away[a] ? 0.0f : 1.0f;
    if (io->obs) {
        float *obs = io->obs + a * SINK_RUNNER_OBS;
        obs[0] = w->drift;
        obs[1] = done;
        obs[2] = 2 * there - 1;
        obs[3] = w->level;
        for (int k = 0; k < SINK_CUES; k++) obs[4 + k] = k == w->cue[a] ? 1.0f : 0.0f;
    }
    if (io->state) {
        float *state = io->state + a * SINK_RUNNER_STATE;
        state[0] = (float)w->cue[a];
        state[1] = there;
        state[2] = w->drift;
        state[3] = w->level;
        state[4] = done;
        state[5] = (float)a;
    }
    if (io->active) io->active[a] = !w->away[a];
    if (io->act_mask) sink_mask(w, a, io->act_mask + a * SINK_RUNNER_LOGITS);
}

MAPPO_FN void sink_observe_watcher(const struct sink *w, float *obs)
{
    for (int k = 0; k < 2; k++) obs[k] = k == w->steps % 2 ? 1.0f : 0.0f;
    for (int k = 0; k < 3; k++) obs[2 + k] = k == w->steps % 3 ? 1.0f : 0.0f;
    for (int k = 0; k < SINK_BITS; k++) obs[5 + k] = w->away[k] ? 0.0f : 1.0f;
    obs[5 + SINK_BITS] = w->level;
}

MAPPO_FN void sink_observe_all(const struct sink *w, const struct rule_io *io)
{
    for (int a = 0; a < SINK_RUNNERS; a++) sink_observe_runner(w, a, &io->group[0]);
    for (int a = 0; a < SINK_WATCHERS; a++)
        if (io->group[1].obs) sink_observe_watcher(w, io->group[1].obs + a * SINK_WATCHER_OBS);
    if (io->state) {
        for (int a = 0; a < SINK_RUNNERS; a++) io->state[a] = w->away[a] ? 0.0f : 1.0f;
        io->state[SINK_RUNNERS] = w->drift;
        io->state[SINK_RUNNERS + 1] = (float)w->steps / (float)w->length;
    }
}

MAPPO_FN void sink_observe(const struct sink *w, const struct sink_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    if (rules->scene == SINK_TWO_TEAMS) sink_observe_all(w, io);
    if (rules->scene == SINK_SINGLE && obs)
        for (int k = 0; k < SINK_CUES; k++) obs[k] = k == w->cue[0] ? 1.0f : 0.0f;
    if (obs && sink_strikes(w, rules, FAULT_NAN_OBS, w->total - 1)) obs[0] = NAN;
    if (obs && sink_strikes(w, rules, FAULT_NAN_FINAL, rules->fault_step) && w->steps == w->length && w->total > rules->fault_step)
        obs[0] = NAN;
    if (io->group[0].act_mask && sink_strikes(w, rules, FAULT_NO_CHOICE, w->total - 1))
        for (int k = 0; k < 2; k++) io->group[0].act_mask[(SINK_RUNNERS - 1) * SINK_RUNNER_LOGITS + SINK_CUES + 3 + k] = 0;
}

#endif
