/* Curves as characters: a picture of some columns and rows, dots of Braille where the terminal speaks Unicode, else ASCII. */
#ifndef MAPPO_CMD_CURVE_H
#define MAPPO_CMD_CURVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct range {
    double low, high; /* low > high: of nothing */
};
struct range range_of(const double *value, int64_t rows); /* NaNs are passed over */

enum { CURVE_LABEL = 10 }; /* columns that the numbers at the left take */

struct curve;
/* `width`: columns of the page, labels included. All that is drawn lies in x and y, or is left out. */
struct curve *curve_create(int width, int rows, bool unicode, struct range x, struct range y);
void curve_destroy(struct curve *curve);
void curve_line(struct curve *curve, const double *x, const double *y, int64_t rows);  /* from one known point to the next */
void curve_marks(struct curve *curve, const double *x, const double *y, int64_t rows); /* an o each */
/* All cells between two lines, behind everything else. */
void curve_band(struct curve *curve, const double *x, const double *low, const double *high, int64_t rows);
/* rows + 1 lines: the picture, with its highest and lowest y at the left, and below it what x goes from and to. */
void curve_print(FILE *out, const struct curve *curve);

void curve_number(char *text, size_t size, double value); /* in at most CURVE_LABEL - 2 characters */

#endif
