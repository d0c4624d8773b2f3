/* Overcooked (Carroll et al. 2019): two cooks in a kitchen put three onions into a pot, wait until the soup is done, fill it into a plate
 * and bring it to the goal. Rules of jaxmarl 0.2.0, "Overcooked" (not version 2). Cells are counted row by row from the upper left.
 * Start reading at kitchen_step. */
#ifndef ENVS_OVERCOOKED_KITCHEN_H
#define ENVS_OVERCOOKED_KITCHEN_H

#include <string.h>

#include "env/rules.h"

enum {
    KITCHEN_COOKS = 2,
    KITCHEN_CELLS = 48, /* at most; whole eights */
    KITCHEN_POTS = 2,   /* at most */
    KITCHEN_DIRECTIONS = 4
};
enum kitchen_kind { KITCHEN_FLOOR, KITCHEN_COUNTER, KITCHEN_ONION_PILE, KITCHEN_PLATE_PILE, KITCHEN_GOAL, KITCHEN_POT, KITCHEN_KINDS };
enum kitchen_item { KITCHEN_NOTHING, KITCHEN_ONION, KITCHEN_PLATE, KITCHEN_DISH, KITCHEN_ITEMS }; /* a dish is a plate with soup */
enum kitchen_action { KITCHEN_UP, KITCHEN_DOWN, KITCHEN_RIGHT, KITCHEN_LEFT, KITCHEN_STAY, KITCHEN_INTERACT, KITCHEN_ACTIONS };
enum kitchen_info { KITCHEN_DELIVERIES, KITCHEN_SHAPED, KITCHEN_INFOS };

/* A pot's status: every onion takes one of 23; with three it cooks, one a step, until it is done at 0. */
enum kitchen_pot { KITCHEN_POT_DONE = 0, KITCHEN_POT_FULL = 20, KITCHEN_POT_EMPTY = 23, KITCHEN_SOUP_ONIONS = 3 };
enum kitchen_pay { KITCHEN_PAY_DELIVERY = 20, KITCHEN_PAY_ONION = 3, KITCHEN_PAY_PLATE = 3, KITCHEN_PAY_SOUP = 5 };
enum { KITCHEN_URGENT = 40 }; /* with fewer steps left, all see that it is urgent */

/* What a cell of an observation has. Tomatoes are in the original, never here. */
enum kitchen_channel {
    KITCHEN_SEES_OWN,
    KITCHEN_SEES_OTHER,
    KITCHEN_SEES_OWN_DIRECTION,
    KITCHEN_SEES_OTHER_DIRECTION = KITCHEN_SEES_OWN_DIRECTION + KITCHEN_DIRECTIONS,
    KITCHEN_SEES_POT = KITCHEN_SEES_OTHER_DIRECTION + KITCHEN_DIRECTIONS,
    KITCHEN_SEES_COUNTER,
    KITCHEN_SEES_ONION_PILE,
    KITCHEN_SEES_TOMATO_PILE,
    KITCHEN_SEES_PLATE_PILE,
    KITCHEN_SEES_GOAL,
    KITCHEN_SEES_POT_ONIONS,
    KITCHEN_SEES_POT_TOMATOES,
    KITCHEN_SEES_SOUP_ONIONS,
    KITCHEN_SEES_SOUP_TOMATOES,
    KITCHEN_SEES_COOKING,
    KITCHEN_SEES_DONE,
    KITCHEN_SEES_PLATE,
    KITCHEN_SEES_ONION,
    KITCHEN_SEES_TOMATO,
    KITCHEN_SEES_URGENCY,
    KITCHEN_CHANNELS
};

struct kitchen_rules {
    int32_t width, height, cells, pots, max_steps, limit, random_reset;
    int32_t shaped_until; /* 0: the weight stays */
    rule_real shaped_weight;
    uint8_t kind[KITCHEN_CELLS], start[KITCHEN_COOKS], pot[KITCHEN_POTS];
    float image[KITCHEN_CELLS * KITCHEN_CHANNELS]; /* what is seen of an empty kitchen: piles, goals, free counters */
};

struct kitchen_cook {
    uint8_t cell, direction, held, spare; /* direction: as the action that turns there */
};
struct kitchen {
    struct philox rng;
    int32_t steps, deliveries;
    int32_t shaped;  /* points of shaping in this episode, both cooks', before the weight */
    int32_t trained; /* steps of this copy since it began to train, at most shaped_until */
    struct kitchen_cook cook[KITCHEN_COOKS];
    uint8_t on[KITCHEN_CELLS]; /* of a counter: the item there; of a pot: its status; else 0 */
};

/* ---- a new episode ------------------------------------------------------------------------------------------- */

/* Any cell of the floor but `taken`. */
MAPPO_FN int32_t kitchen_draw_cell(struct kitchen *w, const struct kitchen_rules *rules, const int32_t taken)
{
    for (;;) {
        const int32_t cell = philox_below(&w->rng, rules->cells);
        if (rules->kind[cell] == KITCHEN_FLOOR && cell != taken) return cell;
    }
}

MAPPO_FN void kitchen_reset(struct kitchen *w, const struct kitchen_rules *rules)
{
    w->steps = w->deliveries = w->shaped = 0;
    for (int32_t c = 0; c < KITCHEN_CELLS; c++) w->on[c] = 0;
    for (int32_t p = 0; p < rules->pots; p++) w->on[rules->pot[p]] = KITCHEN_POT_EMPTY;
    for (int i = 0; i < KITCHEN_COOKS; i++) {
        struct kitchen_cook *cook = &w->cook[i];
        cook->cell = rules->start[i];
        cook->direction = (uint8_t)philox_below(&w->rng, KITCHEN_DIRECTIONS);
        cook->held = KITCHEN_NOTHING;
        cook->spare = 0;
    }
    if (!rules->random_reset) return;
    for (int i = 0; i < KITCHEN_COOKS; i++) {
        w->cook[i].cell = (uint8_t)kitchen_draw_cell(w, rules, i ? w->cook[0].cell : -1);
        w->cook[i].held = (uint8_t)philox_below(&w->rng, KITCHEN_ITEMS);
    }
    for (int32_t p = 0; p < rules->pots; p++) w->on[rules->pot[p]] = (uint8_t)philox_below(&w->rng, KITCHEN_POT_EMPTY + 1);
}

/* ---- a step ---------------------------------------------------------------------------------------------------- */

/* The neighbour of a cell of the floor; the kitchen has walls around it. */
MAPPO_FN int32_t kitchen_ahead(const struct kitchen_rules *rules, const int32_t cell, const int32_t direction)
{
    return cell + (direction == KITCHEN_UP      ? -rules->width
                   : direction == KITCHEN_DOWN  ? rules->width
                   : direction == KITCHEN_RIGHT ? 1
                                                : -1);
}

/* Both move at once; neither does where they would meet or change places. */
MAPPO_FN void kitchen_move(struct kitchen *w, const struct kitchen_rules *rules, const int32_t *act_int)
{
    const int32_t from0 = w->cook[0].cell, from1 = w->cook[1].cell;
    int32_t to0 = from0, to1 = from1;
    if (act_int[0] < KITCHEN_STAY) {
        w->cook[0].direction = (uint8_t)act_int[0];
        to0 = kitchen_ahead(rules, from0, act_int[0]);
        if (rules->kind[to0] != KITCHEN_FLOOR) to0 = from0;
    }
    if (act_int[1] < KITCHEN_STAY) {
        w->cook[1].direction = (uint8_t)act_int[1];
        to1 = kitchen_ahead(rules, from1, act_int[1]);
        if (rules->kind[to1] != KITCHEN_FLOOR) to1 = from1;
    }
    if (to0 == to1 || (to0 == from1 && to1 == from0)) return;
    w->cook[0].cell = (uint8_t)to0;
    w->cook[1].cell = (uint8_t)to1;
}

/* Taking a plate is worth something where a pot waits for it: no other lies about, and hands hold fewer than there are pots in use. */
MAPPO_FN int kitchen_plate_is_useful(const struct kitchen *w, const struct kitchen_rules *rules)
{
    int32_t held = 0, used = 0;
    for (int i = 0; i < KITCHEN_COOKS; i++) held += w->cook[i].held == KITCHEN_PLATE;
    for (int32_t p = 0; p < rules->pots; p++) used += w->on[rules->pot[p]] != KITCHEN_POT_EMPTY;
    if (held >= used) return 0;
    for (int32_t c = 0; c < rules->cells; c++)
        if (rules->kind[c] == KITCHEN_COUNTER && w->on[c] == KITCHEN_PLATE) return 0;
    return 1;
}

MAPPO_FN int32_t kitchen_use_pot(struct kitchen_cook *cook, uint8_t *status)
{
    if (cook->held == KITCHEN_ONION && *status > KITCHEN_POT_FULL) {
        --*status;
        cook->held = KITCHEN_NOTHING;
        return KITCHEN_PAY_ONION;
    }
    if (cook->held == KITCHEN_PLATE && *status == KITCHEN_POT_DONE) {
        *status = KITCHEN_POT_EMPTY;
        cook->held = KITCHEN_DISH;
        return KITCHEN_PAY_SOUP;
    }
    return 0;
}

/* Cook i, whose hands are empty, takes an item. */
MAPPO_FN int32_t kitchen_take(struct kitchen *w, const struct kitchen_rules *rules, const int i, const int32_t item)
{
    const int useful = item == KITCHEN_PLATE && kitchen_plate_is_useful(w, rules);
    w->cook[i].held = (uint8_t)item;
    return useful ? KITCHEN_PAY_PLATE : 0;
}

/* Cook i uses what is ahead of it; returns its points of shaping. */
MAPPO_FN int32_t kitchen_interact(struct kitchen *w, const struct kitchen_rules *rules, const int i, int32_t *delivered)
{
    struct kitchen_cook *cook = &w->cook[i];
    const int32_t ahead = kitchen_ahead(rules, cook->cell, cook->direction), kind = rules->kind[ahead];
    uint8_t *on = &w->on[ahead];
    if (kind == KITCHEN_POT) return kitchen_use_pot(cook, on);
    if (kind == KITCHEN_GOAL && cook->held == KITCHEN_DISH) {
        cook->held = KITCHEN_NOTHING;
        ++*delivered;
    } else if (kind == KITCHEN_ONION_PILE || kind == KITCHEN_PLATE_PILE) {
        if (cook->held == KITCHEN_NOTHING) return kitchen_take(w, rules, i, kind == KITCHEN_ONION_PILE ? KITCHEN_ONION : KITCHEN_PLATE);
    } else if (kind == KITCHEN_COUNTER && *on == KITCHEN_NOTHING) {
        *on = cook->held;
        cook->held = KITCHEN_NOTHING;
    } else if (kind == KITCHEN_COUNTER && cook->held == KITCHEN_NOTHING) {
        const int32_t points = kitchen_take(w, rules, i, *on);
        *on = KITCHEN_NOTHING;
        return points;
    }
    return 0;
}

/* The weight of shaping, which counts in training alone: from shaped_weight to 0 in shaped_until steps. */
MAPPO_FN rule_real kitchen_shaped_weight(struct kitchen *w, const struct kitchen_rules *rules)
{
    if (w->rng.stream == PHILOX_EVALUATION) return 0;
    if (!rules->shaped_until) return rules->shaped_weight;
    const rule_real left = (rule_real)(rules->shaped_until - w->trained) / (rule_real)rules->shaped_until;
    w->trained += w->trained < rules->shaped_until;
    return rules->shaped_weight * left;
}

MAPPO_FN int kitchen_step(struct kitchen *w, const struct kitchen_rules *rules, const struct rule_io *io)
{
    const struct rule_group_io *group = &io->group[0];
    const rule_real weight = kitchen_shaped_weight(w, rules);
    int32_t points[KITCHEN_COOKS] = {0}, delivered = 0;
    for (int i = 0; i < KITCHEN_COOKS; i++) /* cook 1 finds what cook 0 has left */
        if (group->act_int[i] == KITCHEN_INTERACT) points[i] = kitchen_interact(w, rules, i, &delivered);
    kitchen_move(w, rules, group->act_int);
    for (int32_t p = 0; p < rules->pots; p++) {
        uint8_t *status = &w->on[rules->pot[p]];
        *status = (uint8_t)(*status - (*status <= KITCHEN_POT_FULL && *status > KITCHEN_POT_DONE));
    }
    w->steps++;
    w->deliveries += delivered;
    w->shaped += points[0] + points[1];
    for (int i = 0; i < KITCHEN_COOKS; i++) {
        if (group->reward) group->reward[i] = (rule_real)(KITCHEN_PAY_DELIVERY * delivered) + weight * (rule_real)points[i];
        if (group->terminated) group->terminated[i] = 0;
    }
    if (io->info) {
        io->info[KITCHEN_DELIVERIES] = (float)w->deliveries;
        io->info[KITCHEN_SHAPED] = (float)w->shaped;
    }
    return w->steps >= rules->max_steps ? rules->limit : MAPPO_RUNNING;
}

/* ---- what is seen ------------------------------------------------------------------------------------------------ */

MAPPO_FN void kitchen_observe_item(const int32_t item, float *cell)
{
    if (item == KITCHEN_ONION) cell[KITCHEN_SEES_ONION] = 1;
    if (item == KITCHEN_PLATE) cell[KITCHEN_SEES_PLATE] = 1;
    if (item == KITCHEN_DISH) {
        cell[KITCHEN_SEES_SOUP_ONIONS] = KITCHEN_SOUP_ONIONS;
        cell[KITCHEN_SEES_DONE] = 1;
    }
}

MAPPO_FN void kitchen_observe_pot(const int32_t status, float *cell)
{
    if (status >= KITCHEN_POT_FULL) {
        cell[KITCHEN_SEES_POT_ONIONS] = (float)(KITCHEN_POT_EMPTY - status);
    } else {
        cell[KITCHEN_SEES_SOUP_ONIONS] = KITCHEN_SOUP_ONIONS;
        cell[KITCHEN_SEES_COOKING] = (float)status;
        cell[KITCHEN_SEES_DONE] = (float)(status == KITCHEN_POT_DONE);
    }
}

/* The image of an empty kitchen, for kitchen_rules. */
static inline void kitchen_paint(struct kitchen_rules *rules)
{
    static const uint8_t channel[KITCHEN_KINDS] = {
        0, KITCHEN_SEES_COUNTER, KITCHEN_SEES_ONION_PILE, KITCHEN_SEES_PLATE_PILE, KITCHEN_SEES_GOAL, KITCHEN_SEES_POT};
    memset(rules->image, 0, sizeof rules->image);
    for (int32_t c = 0; c < rules->cells; c++)
        if (rules->kind[c] != KITCHEN_FLOOR) rules->image[c * KITCHEN_CHANNELS + channel[rules->kind[c]]] = 1;
}

/* Items on counters. Most cells have nothing on them: eight are looked at together. */
MAPPO_FN void kitchen_observe_counters(const struct kitchen *w, const struct kitchen_rules *rules, float *image)
{
    for (int32_t first = 0; first < rules->cells; first += 8) {
        uint64_t eight;
        memcpy(&eight, w->on + first, sizeof eight);
        if (!eight) continue;
        for (int32_t c = first; c < first + 8; c++) {
            if (w->on[c] == KITCHEN_NOTHING || rules->kind[c] != KITCHEN_COUNTER) continue;
            image[c * KITCHEN_CHANNELS + KITCHEN_SEES_COUNTER] = 0;
            kitchen_observe_item(w->on[c], image + c * KITCHEN_CHANNELS);
        }
    }
}

/* The image [height][width][KITCHEN_CHANNELS] of one cook. */
MAPPO_FN void kitchen_observe_agent(const struct kitchen *w, const struct kitchen_rules *rules, const int32_t agent,
                                    const struct rule_io *io)
{
    float *image = io->group[0].obs;
    if (!image) return;
    memcpy(image, rules->image, (size_t)(rules->cells * KITCHEN_CHANNELS) * sizeof *image);
    kitchen_observe_counters(w, rules, image);
    for (int32_t p = 0; p < rules->pots; p++) kitchen_observe_pot(w->on[rules->pot[p]], image + rules->pot[p] * KITCHEN_CHANNELS);
    for (int i = 0; i < KITCHEN_COOKS; i++) {
        const struct kitchen_cook *cook = &w->cook[i];
        float *cell = image + cook->cell * KITCHEN_CHANNELS;
        cell[i == agent ? KITCHEN_SEES_OWN : KITCHEN_SEES_OTHER] = 1;
        cell[(i == agent ? KITCHEN_SEES_OWN_DIRECTION : KITCHEN_SEES_OTHER_DIRECTION) + cook->direction] = 1;
        kitchen_observe_item(cook->held, cell);
    }
    if (rules->max_steps - w->steps >= KITCHEN_URGENT) return;
    for (int32_t c = 0; c < rules->cells; c++) image[c * KITCHEN_CHANNELS + KITCHEN_SEES_URGENCY] = 1;
}

#endif
