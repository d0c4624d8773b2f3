#include "envs/mpe/suite.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envs/mpe/world.h"

int mpe_refuse(struct mappo_env_error *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    error->env = -1;
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return -1;
}

int mpe_meanings_create(struct mpe_meanings *meanings, int room)
{
    meanings->count = 0;
    meanings->room = room;
    meanings->meaning = calloc((size_t)room, sizeof *meanings->meaning);
    meanings->name = calloc((size_t)room, sizeof *meanings->name);
    return meanings->meaning && meanings->name ? 0 : -1;
}

void mpe_meanings_destroy(struct mpe_meanings *meanings)
{
    free(meanings->meaning);
    free(meanings->name);
    memset(meanings, 0, sizeof *meanings);
}

static void add_meaning(struct mpe_meanings *meanings, const char *unit, const char *suffix, const char *format, va_list args)
{
    if (meanings->count == meanings->room) return;
    const int i = meanings->count++;
    const int length = vsnprintf(meanings->name[i], sizeof meanings->name[i], format, args);
    if (length >= 0 && (size_t)length < sizeof meanings->name[i])
        snprintf(meanings->name[i] + length, sizeof meanings->name[i] - (size_t)length, "%s", suffix);
    meanings->meaning[i].name = meanings->name[i];
    meanings->meaning[i].unit = unit;
}

void mpe_meaning(struct mpe_meanings *meanings, const char *unit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_meaning(meanings, unit, "", format, args);
    va_end(args);
}

void mpe_meaning_xy(struct mpe_meanings *meanings, const char *unit, const char *format, ...)
{
    static const char *const axis[2] = {", x", ", y"};
    for (int k = 0; k < 2; k++) {
        va_list args;
        va_start(args, format);
        add_meaning(meanings, unit, axis[k], format, args);
        va_end(args);
    }
}

struct mappo_space mpe_movement_space(int continuous, int on_policy)
{
    static const int32_t moves = MPE_MOVES;
    static const float zeros[MPE_MOVES] = {0}, ones[MPE_MOVES] = {1, 1, 1, 1, 1};
    static const struct mappo_meaning mpe2[MPE_MOVES] = {
        {"no_action", NULL}, {"move_left", NULL}, {"move_right", NULL}, {"move_down", NULL}, {"move_up", NULL}};
    static const struct mappo_meaning reference[MPE_MOVES] = {
        {"no_action", NULL}, {"move_right", NULL}, {"move_left", NULL}, {"move_up", NULL}, {"move_down", NULL}};
    struct mappo_space space = {.meanings = MPE_MOVES, .meaning = on_policy ? reference : mpe2};
    if (continuous) {
        space.kind = MAPPO_BOX;
        space.size = MPE_MOVES;
        space.low = zeros;
        space.high = ones;
    } else {
        space.kind = MAPPO_DISCRETE;
        space.size = 1;
        space.n = &moves;
    }
    return space;
}

/* Shortest augmenting paths with potentials (Kuhn 1955; Jonker and Volgenant 1987); row and column 0 are sentinels. */
void mpe_assign(int n, const float *agent, const float *target_position, int *target)
{
    enum { ROOM = 65 };
    double row_price[ROOM] = {0}, column_price[ROOM] = {0};
    int owner[ROOM] = {0}, previous[ROOM];
    for (int i = 1; i <= n; i++) {
        double slack[ROOM];
        char used[ROOM] = {0};
        int column = 0;
        owner[0] = i;
        for (int j = 0; j <= n; j++) slack[j] = INFINITY;
        do {
            const int row = owner[column];
            double step = INFINITY;
            int next = 0;
            used[column] = 1;
            for (int j = 1; j <= n; j++) {
                if (used[j]) continue;
                const float dx = agent[2 * (row - 1)] - target_position[2 * (j - 1)],
                            dy = agent[2 * (row - 1) + 1] - target_position[2 * (j - 1) + 1];
                const double reduced = (double)sqrtf(dx * dx + dy * dy) - row_price[row] - column_price[j];
                if (reduced < slack[j]) {
                    slack[j] = reduced;
                    previous[j] = column;
                }
                if (slack[j] < step) {
                    step = slack[j];
                    next = j;
                }
            }
            if (next == 0) { /* a position is not a number: any assignment will do */
                for (int k = 0; k < n; k++) target[k] = k;
                return;
            }
            for (int j = 0; j <= n; j++) {
                if (used[j]) {
                    row_price[owner[j]] += step;
                    column_price[j] -= step;
                } else {
                    slack[j] -= step;
                }
            }
            column = next;
        } while (owner[column] != 0);
        while (column != 0) {
            owner[column] = owner[previous[column]];
            column = previous[column];
        }
    }
    for (int j = 1; j <= n; j++) target[owner[j] - 1] = j - 1;
}
