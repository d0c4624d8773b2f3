#include "cmd/curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

/* Dots of a cell of braille, by column and row: bits of U+2800. */
static const uint8_t braille[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};

struct curve {
    int columns, rows, wide, high; /* cells; dots of one */
    bool unicode;
    uint8_t *dots;         /* [rows][columns] bits as braille has them; ASCII: not 0 */
    bool *marked, *shaded; /* [rows][columns] */
    struct range x, y;
};

struct range range_of(const double *value, int64_t rows)
{
    struct range range = {INFINITY, -INFINITY};
    for (int64_t i = 0; i < rows; i++) {
        if (!isfinite(value[i])) continue;
        range.low = fmin(range.low, value[i]);
        range.high = fmax(range.high, value[i]);
    }
    return range;
}

void curve_number(char *text, size_t size, double value)
{
    if (!isfinite(value))
        text_format(text, size, "-");
    else if (fabs(value) >= 1e5 || (value != 0 && fabs(value) < 1e-3))
        text_format(text, size, "%.2g", value);
    else
        text_format(text, size, "%.4g", value);
}

struct curve *curve_create(int width, int rows, bool unicode, struct range x, struct range y)
{
    struct curve *curve = calloc(1, sizeof *curve);
    CHECK(curve, "out of memory drawing a curve");
    *curve = (struct curve){
        .columns = width - CURVE_LABEL, .rows = rows, .wide = unicode ? 2 : 1, .high = unicode ? 4 : 1, .unicode = unicode, .x = x, .y = y};
    const size_t cells = (size_t)(curve->columns * rows);
    curve->dots = calloc(cells, sizeof *curve->dots);
    curve->marked = calloc(cells, sizeof *curve->marked);
    curve->shaded = calloc(cells, sizeof *curve->shaded);
    CHECK(curve->dots && curve->marked && curve->shaded, "out of memory drawing a curve");
    return curve;
}

void curve_destroy(struct curve *curve)
{
    if (!curve) return;
    free(curve->dots);
    free(curve->marked);
    free(curve->shaded);
    free(curve);
}

static bool place(const struct curve *curve, double x, double y, int *column, int *row)
{
    if (!isfinite(x) || !isfinite(y)) return false;
    const double right = curve->x.high > curve->x.low ? (x - curve->x.low) / (curve->x.high - curve->x.low) : 0;
    const double up = curve->y.high > curve->y.low ? (y - curve->y.low) / (curve->y.high - curve->y.low) : 0.5;
    if (right < 0 || right > 1 || up < 0 || up > 1) return false;
    *column = (int)(right * (curve->columns * curve->wide - 1) + 0.5);
    *row = (int)((1 - up) * (curve->rows * curve->high - 1) + 0.5);
    return true;
}

static int cell_at(const struct curve *curve, int column, int row)
{
    return row / curve->high * curve->columns + column / curve->wide;
}

static void set_dot(struct curve *curve, int column, int row)
{
    curve->dots[cell_at(curve, column, row)] |= curve->wide == 1 ? 1 : braille[column % 2][row % 4];
}

/* From the dot before to this one. */
static void join(struct curve *curve, const int before[2], int column, int row)
{
    const int right = column - before[0], down = row - before[1], steps = abs(right) > abs(down) ? abs(right) : abs(down);
    for (int s = 1; s < steps; s++)
        set_dot(curve, before[0] + (int)lround((double)right * s / steps), before[1] + (int)lround((double)down * s / steps));
    set_dot(curve, column, row);
}

void curve_line(struct curve *curve, const double *x, const double *y, int64_t rows)
{
    int column, row, before[2];
    bool begun = false;
    for (int64_t i = 0; i < rows; i++) {
        if (!place(curve, x[i], y[i], &column, &row)) continue;
        if (begun)
            join(curve, before, column, row);
        else
            set_dot(curve, column, row);
        before[0] = column;
        before[1] = row;
        begun = true;
    }
}

void curve_marks(struct curve *curve, const double *x, const double *y, int64_t rows)
{
    int column, row;
    for (int64_t i = 0; i < rows; i++)
        if (place(curve, x[i], y[i], &column, &row)) curve->marked[cell_at(curve, column, row)] = true;
}

void curve_band(struct curve *curve, const double *x, const double *low, const double *high, int64_t rows)
{
    int column, top, bottom;
    for (int64_t i = 0; i < rows; i++) {
        if (!place(curve, x[i], high[i], &column, &top) || !place(curve, x[i], low[i], &column, &bottom)) continue;
        for (int row = top; row <= bottom; row++) curve->shaded[cell_at(curve, column, row)] = true;
    }
}

static void print_cell(FILE *out, const struct curve *curve, int cell)
{
    const uint8_t dots = curve->dots[cell];
    if (curve->marked[cell])
        fputc('o', out);
    else if (!dots)
        fputs(!curve->shaded[cell] ? " " : curve->unicode ? "░" : ".", out);
    else if (!curve->unicode)
        fputc('*', out);
    else
        fprintf(out, "\xe2%c%c", 0xa0 + (dots >> 6), 0x80 + (dots & 0x3f)); /* U+2800 + dots in UTF-8 */
}

void curve_print(FILE *out, const struct curve *curve)
{
    char label[CURVE_LABEL + 32], first[24], last[24];
    for (int r = 0; r < curve->rows; r++) {
        int end = curve->columns - 1;
        const int at = r * curve->columns;
        while (end >= 0 && !curve->dots[at + end] && !curve->marked[at + end] && !curve->shaded[at + end]) end--;
        curve_number(label, sizeof label, r == 0 ? curve->y.high : curve->y.low);
        fprintf(out, "%*s %s", CURVE_LABEL - 2, r == 0 || (r == curve->rows - 1 && curve->y.high > curve->y.low) ? label : "",
                curve->unicode ? "│" : "|");
        for (int c = 0; c <= end; c++) print_cell(out, curve, at + c);
        fputc('\n', out);
    }
    text_count(first, sizeof first, curve->x.low);
    text_count(last, sizeof last, curve->x.high);
    fprintf(out, "%*s%s%*s\n", CURVE_LABEL, "", first, curve->columns - (int)strlen(first), curve->x.high > curve->x.low ? last : "");
}
