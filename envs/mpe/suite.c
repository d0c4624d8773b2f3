#include "envs/mpe/suite.h"

#include <math.h>
#include <stdarg.h>

#include "envs/mpe/world.h"

void mpe_describe_xy(struct description *d, const char *unit, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *name = description_text(d, format, args);
    va_end(args);
    describe_number(d, DESCRIBE_OBS, unit, -INFINITY, INFINITY, "%s, x", name);
    describe_number(d, DESCRIBE_OBS, unit, -INFINITY, INFINITY, "%s, y", name);
}

void mpe_describe_movement(struct description *d, int continuous, int on_policy)
{
    static const char *const mpe2[MPE_MOVES] = {"no_action", "move_left", "move_right", "move_down", "move_up"};
    static const char *const reference[MPE_MOVES] = {"no_action", "move_right", "move_left", "move_up", "move_down"};
    const char *const *name = on_policy ? reference : mpe2;
    if (!continuous) describe_choice(d, DESCRIBE_ACT, MPE_MOVES, 0, name);
    for (int k = 0; continuous && k < MPE_MOVES; k++) describe_number(d, DESCRIBE_ACT, NULL, 0, 1, "%s", name[k]);
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
