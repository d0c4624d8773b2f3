#include "run/untrained.h"

#include <math.h>

#include "base/normal.h"
#include "base/philox.h"

static struct philox_draw draw_at(const struct untrained *player, uint64_t step, int row, int column)
{
    const int agents = player->group->agents;
    return philox_at(player->seed, PHILOX_ACTION, player->first_env + (uint32_t)(row / agents),
                     (uint32_t)(player->first_agent + row % agents) + ((uint32_t)column << 12), step);
}

static float bounded(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

static float random_real(struct philox_draw draw, float low, float high)
{
    if (isfinite(low) && isfinite(high)) return low + (high - low) * philox_float(draw.v[0]);
    return bounded((float)philox_normal(draw), low, high);
}

static void fill_reals(const struct untrained *player, uint64_t step, int row, float *act)
{
    int k = 0;
    for (int h = 0; h < player->group->act_heads; h++) {
        const struct mappo_space *space = &player->group->act[h];
        for (int i = 0; space->kind == MAPPO_BOX && i < space->size; i++, k++) {
            const float low = space->low ? space->low[i] : -INFINITY, high = space->high ? space->high[i] : INFINITY;
            act[k] = player->random ? random_real(draw_at(player, step, row, 64 + k), low, high) : bounded(0, low, high);
        }
    }
}

/* One of the allowed choices: each with equal probability, or the first. */
static int choose_allowed(const uint8_t *mask, int size, bool random, uint32_t word)
{
    int allowed = 0, seen = 0;
    for (int i = 0; i < size; i++) allowed += !mask || mask[i];
    const int wanted = random && allowed ? (int)(((uint64_t)word * (uint64_t)allowed) >> 32) : 0;
    for (int i = 0; i < size; i++)
        if ((!mask || mask[i]) && seen++ == wanted) return i;
    return 0;
}

static void fill_integers(const struct untrained *player, uint64_t step, int row, const uint8_t *masks, int32_t *actions)
{
    for (int h = 0; h < player->dist->heads; h++) {
        const struct head *head = &player->dist->head[h];
        if (head->kind == HEAD_GAUSSIAN) continue;
        int32_t *act = actions + head->action;
        const uint8_t *mask = masks ? masks + head->mask : NULL;
        if (head->kind == HEAD_CATEGORICAL)
            *act = head->start + choose_allowed(mask, head->size, player->random, draw_at(player, step, row, h).v[0]);
        for (int i = 0; head->kind == HEAD_BERNOULLI && i < head->size; i++)
            act[i] = player->random && (!mask || mask[i]) && (draw_at(player, step, row, 256 + head->action + i).v[0] & 1);
    }
}

void untrained_act(const struct untrained *player, uint64_t step, int envs, const uint8_t *mask, int32_t *act_int, float *act_real)
{
    const struct group_sizes sizes = group_sizes(player->group);
    for (int row = 0; row < envs * sizes.agents; row++) {
        if (act_int)
            fill_integers(player, step, row, mask ? mask + (size_t)row * (size_t)sizes.logits : NULL,
                          act_int + (size_t)row * (size_t)sizes.act_ints);
        if (act_real) fill_reals(player, step, row, act_real + (size_t)row * (size_t)sizes.act_reals);
    }
}
