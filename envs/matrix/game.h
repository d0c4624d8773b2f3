/* Repeated matrix games: two agents choose at the same time and both get the entry of one table (Claus and Boutilier 1998). All of a game but
 * its table, which climbing.c and penalty.c fill in. Source: uoe-agents/matrix-games, MatrixGame. */
#ifndef ENVS_MATRIX_GAME_H
#define ENVS_MATRIX_GAME_H

#include "env/lane_env.h"
#include "envs/limit.h"

enum { MATRIX_AGENTS = 2, MATRIX_ACTIONS = 3 };

struct matrix_rules {
    float payoff[MATRIX_ACTIONS][MATRIX_ACTIONS]; /* [agent 0's action][agent 1's] */
    float best;                                   /* the largest of them */
    int32_t ep_length, last_action_state, limit;
};

struct matrix {
    struct philox rng; /* nothing is drawn */
    int32_t steps, spare;
    int32_t last[MATRIX_AGENTS]; /* actions of the step before; -1 = none */
};

/* ---- rules ------------------------------------------------------------------------------------------------ */

MAPPO_FN void matrix_reset(struct matrix *w, const struct matrix_rules *rules)
{
    (void)rules;
    w->steps = 0;
    for (int i = 0; i < MATRIX_AGENTS; i++) w->last[i] = -1;
}

MAPPO_FN int matrix_step(struct matrix *w, const struct matrix_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    for (int i = 0; i < MATRIX_AGENTS; i++) w->last[i] = group->act_int[i];
    const float payoff = rules->payoff[w->last[0]][w->last[1]];
    const int end = ++w->steps >= rules->ep_length ? rules->limit : MAPPO_RUNNING;
    for (int i = 0; i < MATRIX_AGENTS; i++) {
        if (group->reward) group->reward[i] = (rule_real)payoff;
        if (group->terminated) group->terminated[i] = (uint8_t)(end == MAPPO_TERMINATED);
    }
    if (io->info) io->info[0] = (float)(payoff == rules->best);
    return end;
}

MAPPO_FN void matrix_observe(const struct matrix *w, const struct matrix_rules *rules, const struct rule_io *io)
{
    float *obs = io->group[0].obs;
    for (int i = 0; obs && i < MATRIX_AGENTS; i++)
        for (int j = 0; j < MATRIX_AGENTS; j++) *obs++ = rules->last_action_state ? (float)w->last[j] : 0;
}

/* ---- what it looks like ----------------------------------------------------------------------------------- */

enum matrix_option { MATRIX_EP_LENGTH, MATRIX_LAST_ACTION_STATE, MATRIX_LIMIT, MATRIX_OPTIONS };
/* Rows that both games have, in that order. */
#define MATRIX_OPTION_ROWS                                                                                                                 \
    {"ep_length", MAPPO_OPTION_INT, "25", 1, 1e6, NULL, "steps of an episode; upstream registers 1000, EPyMARL and its papers play 25"},   \
        {"last_action_state", MAPPO_OPTION_BOOL, "0", 0, 1, NULL, "both agents see the actions of the step before instead of zeros"},      \
        LIMIT_OPTION("truncate")

/* The rest of the rules, once the table is there. */
static inline void matrix_take_options(struct matrix_rules *rules, const struct mappo_value *value)
{
    rules->ep_length = (int32_t)value[MATRIX_EP_LENGTH].i;
    rules->last_action_state = (int32_t)value[MATRIX_LAST_ACTION_STATE].i;
    rules->limit = limit_end(value[MATRIX_LIMIT].i);
    rules->best = rules->payoff[0][0];
    for (int i = 0; i < MATRIX_ACTIONS; i++)
        for (int j = 0; j < MATRIX_ACTIONS; j++) rules->best = fmaxf(rules->best, rules->payoff[i][j]);
}

static inline void matrix_describe(struct description *d, const struct matrix_rules *rules)
{
    static const struct mappo_info best = {"best_payoff", "steps", "part of the steps in which the agents got the largest payoff", 0};
    static const char *const actions[MATRIX_ACTIONS] = {"0", "1", "2"};
    d->spec.max_steps = rules->ep_length;
    d->spec.rules = "matrix-games";
    d->spec.state_is_all_obs = 1;
    d->spec.infos = 1;
    d->spec.info = &best;
    d->spec.return_help = describe_text(d, "sum of the payoffs over the episode, the same for both agents; at most %g",
                                        (double)rules->best * rules->ep_length);
    describe_group(d, "agent", MATRIX_AGENTS, 0, MAPPO_SHARED_REWARD);
    for (int j = 0; j < MATRIX_AGENTS; j++) {
        if (rules->last_action_state)
            describe_number(d, DESCRIBE_OBS, NULL, -1, MATRIX_ACTIONS - 1, "last action of agent %d (-1: none yet)", j);
        else
            describe_number(d, DESCRIBE_OBS, NULL, 0, 0, "always 0");
    }
    describe_choice(d, DESCRIBE_ACT, MATRIX_ACTIONS, 0, actions);
}

static inline int matrix_sound(const struct matrix *w, const struct matrix_rules *rules)
{
    int sound = w->steps >= 0 && w->steps < rules->ep_length;
    for (int i = 0; i < MATRIX_AGENTS; i++) sound = sound && w->last[i] >= -1 && w->last[i] < MATRIX_ACTIONS;
    return sound;
}

/* The first largest payoff. */
static inline void matrix_script(const struct matrix *w, const struct matrix_rules *rules, int32_t *const act_int[],
                                 float *const act_real[])
{
    (void)w, (void)act_real;
    for (int k = MATRIX_ACTIONS * MATRIX_ACTIONS - 1; k >= 0; k--) {
        if (rules->payoff[k / MATRIX_ACTIONS][k % MATRIX_ACTIONS] != rules->best) continue;
        act_int[0][0] = k / MATRIX_ACTIONS;
        act_int[0][1] = k % MATRIX_ACTIONS;
    }
}

/* The table, agent 0's actions downwards; the payoff of the last step in colour. */
static inline void matrix_draw(const struct matrix *w, const struct matrix_rules *rules, const struct mappo_canvas *canvas)
{
    char text[64];
    canvas->view(canvas->self, -0.8, -MATRIX_ACTIONS - 0.2, MATRIX_ACTIONS + 0.2, 0.8);
    for (int i = 0; i < MATRIX_ACTIONS; i++) {
        snprintf(text, sizeof text, "%d", i);
        canvas->text(canvas->self, -0.35, -i - 0.6, 0.3, text, 0x3366ccffu);
        canvas->text(canvas->self, i + 0.4, 0.15, 0.3, text, 0xcc6633ffu);
        for (int j = 0; j < MATRIX_ACTIONS; j++) {
            const float payoff = rules->payoff[i][j];
            const int chosen = w->last[0] == i && w->last[1] == j;
            canvas->rectangle(canvas->self, j, -i - 1, j + 1, -i,
                              chosen ? (payoff == rules->best ? 0x66cc66ffu : 0xffcc66ffu) : 0xf4f4f4ffu, 0x000000ffu);
            snprintf(text, sizeof text, "%g", (double)payoff);
            canvas->text(canvas->self, j + 0.25, -i - 0.6, 0.25, text, 0x000000ffu);
        }
    }
    canvas->text(canvas->self, -0.72, 0.15, 0.17, "agent 0", 0x3366ccffu);
    canvas->text(canvas->self, MATRIX_ACTIONS - 0.65, 0.5, 0.17, "agent 1", 0xcc6633ffu);
    canvas->text(canvas->self, 0, 0.5, 0.17, "what both are paid", 0x000000ffu);
}

#endif
