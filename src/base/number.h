/* Numbers that were written as people write them ("20M", "1,000,000", "0,5", "10%"): how they should have been written. */
#ifndef MAPPO_BASE_NUMBER_H
#define MAPPO_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

struct number_kind {
    bool whole;   /* only whole numbers are taken */
    bool seconds; /* a time: "30m" are minutes */
    double low, high;
};

/* For a text that is no number of this kind: ": write 20e6" where it has one reading and that would be taken, how numbers are written where
 * a comma or point may be a decimal's or the thousands', empty where nothing is certain. */
void number_advice(const char *value, const struct number_kind *kind, char *text, size_t size);

#endif
