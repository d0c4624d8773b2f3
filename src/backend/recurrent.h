/* What every backend asks of a recurrent pass (struct recurrent, backend.h). */
#ifndef MAPPO_BACKEND_RECURRENT_H
#define MAPPO_BACKEND_RECURRENT_H

#include "backend/backend.h"

/* Sequences that have a step t, in a pass of so many rows. */
static inline int recurrent_width(const struct recurrent *time, int rows, int t)
{
    return time->width ? time->width[t] : rows / time->steps;
}

/* Is the state kept before the step of row `row` of the pass's arrays? */
static inline bool recurrent_kept(const struct recurrent *time, size_t row)
{
    return !time->ended || time->ended[row / (size_t)time->ended_rows] == 0;
}

/* That the sequences of a pass are its rows, and that it has no more steps than there is room for. */
static inline void recurrent_check(const struct network *net, const struct recurrent *time, int rows, int most_steps)
{
    CHECK(net->gru == (time != NULL), "a pass of a network %s GRU comes %s steps", net->gru ? "with a" : "without",
          time ? "with" : "without");
    if (!time) return;
    CHECK(time->steps >= 1 && time->steps <= most_steps, "a pass of %d steps, 1 to %d are possible", time->steps, most_steps);
    CHECK(time->steps == 1 || !time->batch.count, "a pass of %d steps whose rows are counted on the device", time->steps);
    int found = 0;
    for (int t = 0; t < time->steps; t++) found += recurrent_width(time, rows, t);
    CHECK(found == rows, "sequences of %d rows, %d are packed", found, rows);
}

#endif
