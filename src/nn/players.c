#include "nn/players.h"

#include <math.h>
#include <string.h>

#include "base/normal.h"
#include "base/philox.h"

const char *const player_name[] = {"trained", "random", "noop", "scripted", "self"};

int player_named(const char *play)
{
    int player = 0;
    while (player < PLAY_RUN && strcmp(player_name[player], play) != 0) player++;
    return player;
}

/* One group whose player has no networks. */
struct untrained {
    const struct players *of;
    const struct mappo_group *group;
    const struct distribution *dist;
    int first_agent; /* agents of the groups before: those of two groups must not draw the same */
    bool random;
    uint64_t step;
};

static struct philox_draw draw_at(const struct untrained *player, int row, int column)
{
    const int agents = player->group->agents;
    return philox_at(player->of->seed, PHILOX_ACTION, player->of->first_env + (uint32_t)(row / agents),
                     (uint32_t)(player->first_agent + row % agents) + ((uint32_t)column << 12), player->step);
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

/* Whose tanh is uniform in (-1, 1). */
static float random_squashed(struct philox_draw draw)
{
    const double p = (double)philox_float(draw.v[0]) + 0x1p-25; /* in the middle between 0 and 1, and never there */
    return (float)(0.5 * log(p / (1 - p)));
}

static float random_action(const struct untrained *player, int row, int k, float low, float high)
{
    const struct philox_draw draw = draw_at(player, row, 64 + k);
    return player->of->squashed ? random_squashed(draw) : random_real(draw, low, high);
}

static void fill_reals(const struct untrained *player, int row, float *act)
{
    int k = 0;
    for (int h = 0; h < player->group->act_heads; h++) {
        const struct mappo_space *space = &player->group->act[h];
        for (int i = 0; space->kind == MAPPO_BOX && i < space->size; i++, k++) {
            const float low = space->low ? space->low[i] : -INFINITY, high = space->high ? space->high[i] : INFINITY;
            act[k] = player->random ? random_action(player, row, k, low, high) : bounded(0, low, high);
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

static void fill_integers(const struct untrained *player, int row, const uint8_t *masks, int32_t *actions)
{
    for (int h = 0; h < player->dist->heads; h++) {
        const struct head *head = &player->dist->head[h];
        if (head->kind == HEAD_GAUSSIAN) continue;
        int32_t *act = actions + head->action;
        const uint8_t *mask = masks ? masks + head->mask : NULL;
        if (head->kind == HEAD_CATEGORICAL)
            *act = head->start + choose_allowed(mask, head->size, player->random, draw_at(player, row, h).v[0]);
        for (int i = 0; head->kind == HEAD_BERNOULLI && i < head->size; i++)
            act[i] = player->random && (!mask || mask[i]) && (draw_at(player, row, 256 + head->action + i).v[0] & 1);
    }
}

static void act(const struct untrained *player, int lo, int hi, const struct mappo_group_io *io)
{
    const struct group_sizes sizes = group_sizes(player->group);
    int32_t *ints = (int32_t *)(uintptr_t)io->act_int; /* the environment only reads actions; here they are written */
    float *reals = (float *)(uintptr_t)io->act_real;
    for (int row = lo * sizes.agents; row < hi * sizes.agents; row++) {
        const uint8_t *mask = io->act_mask ? io->act_mask + (size_t)row * (size_t)sizes.logits : NULL;
        if (ints) fill_integers(player, row, mask, ints + (size_t)row * (size_t)sizes.act_ints);
        if (reals) fill_reals(player, row, reals + (size_t)row * (size_t)sizes.act_reals);
    }
}

int players_act(const struct players *players, struct vecenv *env, int lo, int hi, const struct mappo_env_io *io, uint64_t step,
                struct error *err)
{
    const struct mappo_env_spec *spec = players->spec;
    struct mappo_env_io scripted = *io;
    bool any = false;
    for (int g = 0, agents = 0; g < spec->groups; agents += spec->group[g++].agents) {
        const int player = players->player[g];
        const struct untrained untrained = {players, &spec->group[g], players->dist[g], agents, player == PLAY_RANDOM, step};
        any = any || player == PLAY_SCRIPTED;
        if (player != PLAY_SCRIPTED) scripted.group[g].act_int = NULL, scripted.group[g].act_real = NULL;
        if (player == PLAY_RANDOM || player == PLAY_NOOP) act(&untrained, lo, hi, &io->group[g]);
    }
    return any ? vecenv_script(env, lo, hi, &scripted, err) : 0;
}
