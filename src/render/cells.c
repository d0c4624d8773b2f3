#include "render/cells.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"

/* Samples of a pixel in each direction; lines above the panel; how wide those below are; rows that a picture has before there is a title. */
enum { SAMPLES = 3, HEAD = 2, LINE = 66, LEAST = 3 };

struct pixel {
    double red, green, blue;
    char glyph;
};

struct letter { /* in the place of a character; 0: none */
    char byte;
    double font;
    uint32_t colour;
};

struct cells {
    const struct film *film;
    int columns, rows;                  /* of the panel */
    int wide, head, told, side_by_side; /* columns of the page; lines above the panel and below it; how many are told in one of these */
    enum cells_colour colour;
    struct mappo_canvas canvas;
    struct page page; /* its panel is all pixels: as wide as the columns, twice as high as the rows */
    struct page_view view;
    struct pixel *pixel;   /* [2 rows][columns] */
    struct letter *letter; /* [rows][columns] */
};

/* ---- shapes -------------------------------------------------------------------------------------------------------------------------- */

struct area { /* in pixels; what is inside is asked point by point */
    double x0, y0, x1, y1;
    bool (*inside)(const struct area *area, double x, double y);
    double x, y, radius, ring;   /* circle; ring > 0: no farther than that from its edge */
    double ax, ay, bx, by, half; /* line, half as wide as that */
    const double *xy;            /* polygon, in the world */
    int32_t points;
    const struct page_view *view;
};

static bool in_circle(const struct area *a, double x, double y)
{
    const double far = hypot(x - a->x, y - a->y);
    return a->ring > 0 ? fabs(far - a->radius) <= a->ring : far <= a->radius;
}

static bool in_rectangle(const struct area *a, double x, double y)
{
    const double edge = fmin(fmin(x - a->x0, a->x1 - x), fmin(y - a->y0, a->y1 - y));
    return edge >= 0 && (a->ring <= 0 || edge <= 2 * a->ring);
}

static bool in_line(const struct area *a, double x, double y)
{
    const double dx = a->bx - a->ax, dy = a->by - a->ay, square = dx * dx + dy * dy;
    const double along = square > 0 ? fmin(1, fmax(0, ((x - a->ax) * dx + (y - a->ay) * dy) / square)) : 0;
    return hypot(x - a->ax - along * dx, y - a->ay - along * dy) <= a->half;
}

static bool in_polygon(const struct area *a, double x, double y)
{
    bool inside = false;
    for (int32_t i = 0, j = a->points - 1; i < a->points; j = i++) {
        const double xi = page_x(a->view, a->xy[2 * i]), yi = page_y(a->view, a->xy[2 * i + 1]), xj = page_x(a->view, a->xy[2 * j]),
                     yj = page_y(a->view, a->xy[2 * j + 1]);
        if ((yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi) inside = !inside;
    }
    return inside;
}

static void blend(struct pixel *pixel, uint32_t colour, double part, char glyph)
{
    const double alpha = part * (colour & 0xff) / 255;
    pixel->red += alpha * ((colour >> 24) - pixel->red);
    pixel->green += alpha * ((colour >> 16 & 0xff) - pixel->green);
    pixel->blue += alpha * ((colour >> 8 & 0xff) - pixel->blue);
    if (alpha > 0.3) pixel->glyph = glyph;
}

static void fill(struct cells *c, const struct area *area, uint32_t colour, char glyph)
{
    if (!(colour & 0xff)) return;
    const int left = (int)fmin(c->columns, fmax(0, floor(area->x0))), top = (int)fmin(2 * c->rows, fmax(0, floor(area->y0)));
    for (int y = top; y < 2 * c->rows && y <= area->y1; y++)
        for (int x = left; x < c->columns && x <= area->x1; x++) {
            int hits = 0;
            for (int k = 0; k < SAMPLES * SAMPLES; k++)
                hits += area->inside(area, x + (k % SAMPLES + 0.5) / SAMPLES, y + (k / SAMPLES + 0.5) / SAMPLES);
            if (hits) blend(&c->pixel[y * c->columns + x], colour, (double)hits / (SAMPLES * SAMPLES), glyph);
        }
}

/* Edges are drawn where there is nothing between them: as thin as they are, they would cover all else. */
static const double edge = 0.35;

static void set_view(void *self, double x0, double y0, double x1, double y1)
{
    struct cells *c = self;
    c->view = page_view(&c->page, x0, y0, x1, y1);
}

/* Of circles, by their colour. */
static const char signs[FILM_COLOURS + 1] = "oO@x*&=$";

static void add_circle(void *self, double x, double y, double radius, uint32_t inner, uint32_t stroke)
{
    struct cells *c = self;
    const double px = page_x(&c->view, x), py = page_y(&c->view, y), r = fmax(0.5, radius * c->view.scale);
    struct area area = {px - r - 1, py - r - 1, px + r + 1, py + r + 1, in_circle, .x = px, .y = py, .radius = r};
    if (!(inner & 0xff)) area.ring = edge;
    const uint32_t colour = inner & 0xff ? inner : stroke;
    fill(c, &area, colour, signs[film_colour(c->film, colour)]);
}

static void add_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    struct cells *c = self;
    const double ax = page_x(&c->view, x0), ay = page_y(&c->view, y0), bx = page_x(&c->view, x1), by = page_y(&c->view, y1);
    const double half = fmax(edge, width * c->view.scale / 2), dx = fabs(bx - ax), dy = fabs(by - ay);
    const struct area area = {
        fmin(ax, bx) - half, fmin(ay, by) - half, fmax(ax, bx) + half, fmax(ay, by) + half, in_line, .ax = ax, .ay = ay, .bx = bx, .by = by,
        .half = half};
    fill(c, &area, stroke, dy < 0.4 * dx ? '-' : dx < 0.4 * dy ? '|' : (bx > ax) == (by > ay) ? '\\' : '/');
}

static double light(struct pixel p)
{
    return 0.3 * p.red + 0.6 * p.green + 0.1 * p.blue;
}

/* How dark it is, in three steps. */
static char shade(double bright)
{
    return bright < 110 ? '#' : bright < 200 ? '+' : bright < 240 ? '.' : ' ';
}

static struct pixel pixel_of(uint32_t colour)
{
    return (struct pixel){colour >> 24, colour >> 16 & 0xff, colour >> 8 & 0xff, ' '};
}

static void add_rectangle(void *self, double x0, double y0, double x1, double y1, uint32_t inner, uint32_t stroke)
{
    struct cells *c = self;
    const double left = page_x(&c->view, fmin(x0, x1)), right = page_x(&c->view, fmax(x0, x1)), top = page_y(&c->view, fmax(y0, y1)),
                 bottom = page_y(&c->view, fmin(y0, y1));
    struct area area = {.x0 = left, .y0 = top, .x1 = right, .y1 = bottom, .inside = in_rectangle};
    if (!(inner & 0xff)) area.ring = edge;
    fill(c, &area, inner & 0xff ? inner : stroke, shade(light(pixel_of(inner & 0xff ? inner : stroke))));
}

static void add_polygon(void *self, const double *xy, int32_t points, uint32_t inner, uint32_t stroke)
{
    struct cells *c = self;
    struct area area = {INFINITY, INFINITY, -INFINITY, -INFINITY, in_polygon, .xy = xy, .points = points, .view = &c->view};
    for (int32_t i = 0; i < points; i++) {
        const double x = page_x(&c->view, xy[2 * i]), y = page_y(&c->view, xy[2 * i + 1]);
        area.x0 = fmin(area.x0, x);
        area.x1 = fmax(area.x1, x);
        area.y0 = fmin(area.y0, y);
        area.y1 = fmax(area.y1, y);
    }
    fill(c, &area, inner & 0xff ? inner : stroke, '%');
}

/* Around its middle; a letter stays where a smaller one would stand. Letters that are not ASCII are shown as ?. */
static void add_text(void *self, double x, double y, double height, const char *text, uint32_t colour)
{
    struct cells *c = self;
    const double font = height * c->view.scale, least = 0.3, letter = 0.56;
    int length = 0;
    for (const char *at = text; *at; at++) length += (*at & 0xc0) != 0x80;
    const int row = (int)fmin(c->rows, fmax(-1, floor((page_y(&c->view, y) - 0.35 * font) / 2)));
    int column = (int)fmin(c->columns, fmax(-1, round(page_x(&c->view, x) + letter * font * length / 2 - length / 2.0)));
    if (font < least || row < 0 || row >= c->rows || !(colour & 0xff)) return;
    if (column + length > c->columns) column = c->columns - length;
    if (column < 0) column = 0;
    for (const char *at = text; *at && column < c->columns; at++) {
        if ((*at & 0xc0) == 0x80) continue;
        struct letter *to = &c->letter[row * c->columns + column++];
        if (*at != ' ' && font >= to->font) *to = (struct letter){*at & 0x80 ? '?' : *at, font, colour};
    }
}

/* Each pixel gets the mean of what lies within it. */
static void add_image(void *self, const uint8_t *rgb, int32_t width, int32_t height)
{
    struct cells *c = self;
    const struct page_view *v = &c->view;
    const double left = page_x(v, v->x0), top = page_y(v, v->y1), wide = v->wide * v->scale / width, high = v->high * v->scale / height;
    for (int y = 0; y < 2 * c->rows; y++)
        for (int x = 0; x < c->columns; x++) {
            double sum[3] = {0};
            int count = 0;
            const int x0 = (int)fmax(0, (x - left) / wide), x1 = (int)fmin(width, ceil((x + 1 - left) / wide)),
                      y0 = (int)fmax(0, (y - top) / high), y1 = (int)fmin(height, ceil((y + 1 - top) / high));
            for (int j = y0; j < y1; j++)
                for (int i = x0; i < x1; i++, count++)
                    for (int k = 0; k < 3; k++) sum[k] += rgb[3 * ((size_t)j * (size_t)width + (size_t)i) + (size_t)k];
            if (!count) continue;
            const struct pixel mean = {sum[0] / count, sum[1] / count, sum[2] / count, ' '};
            c->pixel[y * c->columns + x] = mean;
            c->pixel[y * c->columns + x].glyph = shade(light(mean));
        }
}

/* ---- a frame ------------------------------------------------------------------------------------------------------------------------- */

/* What is told takes so many columns. */
static int widest_cell(const struct film *film)
{
    char text[160];
    int widest = 0;
    for (int i = 0; i < film_frames(film); i++)
        for (int cell = 0; cell < film_cells(film); cell++) {
            film_cell(film, i, cell, text, sizeof text);
            const int letters = (int)strlen(text);
            if (letters > widest) widest = letters;
        }
    return widest;
}

/* As many of them side by side as there is room for. */
static int cells_a_line(const struct film *film, int columns)
{
    const int fit = ((columns < LINE ? columns : LINE) + 1) / (widest_cell(film) + 1);
    return fit < 1 ? 1 : fit < PAGE_COLUMNS ? fit : PAGE_COLUMNS;
}

/* On a small terminal the picture comes first, then what is told, then the titles. Sets the number of rows that are left. */
static void lay_out(struct cells *c, int columns, int lines)
{
    const int cells = film_cells(c->film);
    c->wide = columns;
    c->side_by_side = cells_a_line(c->film, columns);
    c->head = HEAD;
    c->told = (cells + c->side_by_side - 1) / c->side_by_side;
    if (lines - c->head - c->told < LEAST) c->told = 1;
    while (lines - c->head - c->told < LEAST && c->head > 0) c->head--;
    c->rows = lines - c->head - c->told;
    if (c->rows < 1) c->told = 0, c->rows = 1;
}

struct cells *cells_create(const struct film *film, int columns, int lines, enum cells_colour colour)
{
    struct cells *c = calloc(1, sizeof *c);
    CHECK(c, "out of memory for a picture");
    const struct page unit = page_plan(film, 1000); /* its proportions */
    c->film = film;
    lay_out(c, columns, lines);
    const double scale = fmin(columns / unit.wide, 2 * c->rows / unit.high);
    c->colour = colour;
    c->columns = (int)fmax(1, floor(unit.wide * scale));
    c->rows = (int)fmax(1, floor(unit.high * scale / 2));
    c->page = (struct page){.wide = c->columns, .high = 2.0 * c->rows};
    c->pixel = calloc(2 * (size_t)c->rows * (size_t)c->columns, sizeof *c->pixel);
    c->letter = calloc((size_t)c->rows * (size_t)c->columns, sizeof *c->letter);
    CHECK(c->pixel && c->letter, "out of memory for a picture");
    c->canvas = (struct mappo_canvas){.self = c,
                                      .view = set_view,
                                      .circle = add_circle,
                                      .line = add_line,
                                      .polygon = add_polygon,
                                      .text = add_text,
                                      .rectangle = add_rectangle,
                                      .image = add_image};
    return c;
}

void cells_destroy(struct cells *c)
{
    if (!c) return;
    free(c->pixel);
    free(c->letter);
    free(c);
}

static void begin(struct cells *c)
{
    const struct pixel ground = {PAGE_GROUND >> 16, PAGE_GROUND >> 8 & 0xff, PAGE_GROUND & 0xff, ' '};
    for (int i = 0; i < 2 * c->rows * c->columns; i++) c->pixel[i] = ground;
    memset(c->letter, 0, (size_t)c->rows * (size_t)c->columns * sizeof *c->letter);
}

/* The nearest of 0, 95, 135, 175, 215 and 255, which are xterm's. */
static int step_of(int x)
{
    return x < 48 ? 0 : x < 115 ? 1 : (x - 35) / 40;
}

/* The escape sequence's numbers of a colour: 24 bits, or the nearest of xterm's 6 x 6 x 6. */
static void put_colour(const struct cells *c, bool front, struct pixel p, FILE *out)
{
    const int red = (int)lround(p.red), green = (int)lround(p.green), blue = (int)lround(p.blue);
    if (c->colour == CELLS_TRUE)
        fprintf(out, "\033[%d;2;%d;%d;%dm", front ? 38 : 48, red, green, blue);
    else
        fprintf(out, "\033[%d;5;%dm", front ? 38 : 48, 16 + 36 * step_of(red) + 6 * step_of(green) + step_of(blue));
}

static void put_letter(const struct cells *c, const struct letter *letter, struct pixel top, struct pixel bottom, FILE *out)
{
    const struct pixel back = {(top.red + bottom.red) / 2, (top.green + bottom.green) / 2, (top.blue + bottom.blue) / 2, ' '};
    struct pixel ink = pixel_of(letter->colour);
    if (fabs(light(ink) - light(back)) < 70) ink = light(back) > 128 ? (struct pixel){0, 0, 0, ' '} : (struct pixel){255, 255, 255, ' '};
    put_colour(c, true, ink, out);
    put_colour(c, false, back, out);
    fputc(letter->byte, out);
}

static void put_row(const struct cells *c, int row, FILE *out)
{
    for (int x = 0; x < c->columns; x++) {
        const struct pixel top = c->pixel[2 * row * c->columns + x], bottom = c->pixel[(2 * row + 1) * c->columns + x];
        const struct letter *letter = &c->letter[row * c->columns + x];
        if (c->colour == CELLS_PLAIN) {
            fputc(letter->byte ? letter->byte : top.glyph != ' ' ? top.glyph : bottom.glyph, out);
        } else if (letter->byte) {
            put_letter(c, letter, top, bottom, out);
        } else {
            put_colour(c, true, top, out);
            put_colour(c, false, bottom, out);
            fputs("\xe2\x96\x80", out); /* the upper half of a block */
        }
    }
    if (c->colour != CELLS_PLAIN) fputs("\033[0m", out);
}

/* Where one line has no room for all: which step it is, and the return. */
static void tell(const struct cells *c, int i, FILE *out)
{
    char text[400];
    const int cells = c->told ? film_cells(c->film) : 0, wide = c->wide < LINE ? c->wide : LINE, room = wide / c->side_by_side;
    if (c->told * c->side_by_side < cells && c->told == 1) {
        film_cell(c->film, i, FILM_CELL_STEP, text, sizeof text);
        const int used = (int)strlen(text);
        film_cell(c->film, i, FILM_CELL_RETURN, text + used + 1, sizeof text - (size_t)used - 1);
        text[used] = ' ';
        fprintf(out, "%.*s\n", c->wide, text);
        return;
    }
    for (int cell = 0; cell < cells; cell++) {
        film_cell(c->film, i, cell, text, sizeof text);
        const bool last = cell % c->side_by_side == c->side_by_side - 1 || cell == cells - 1;
        fprintf(out, "%-*.*s%s", last ? 0 : room, room, text, last ? "\n" : "");
    }
}

void cells_print(struct cells *c, int i, FILE *out)
{
    char text[400];
    begin(c);
    film_paint(c->film, i, c->colour == CELLS_PLAIN ? 0 : PAGE_TRAIL, &c->canvas);
    if (c->head == HEAD) fprintf(out, "%.*s\n", c->wide, film_title(c->film));
    film_episode_title(c->film, film_frame(c->film, i)->episode, text, sizeof text);
    if (c->head > 0) fprintf(out, "%.*s\n", c->wide, text);
    for (int row = 0; row < c->rows; row++) {
        put_row(c, row, out);
        fputc('\n', out);
    }
    tell(c, i, out);
}

void cells_film(const struct film *film, struct timing timing, FILE *out)
{
    enum { COLUMNS = 72, ROWS = 36 };
    const int told = (film_cells(film) + PAGE_COLUMNS - 1) / PAGE_COLUMNS;
    struct timetable time = timetable_create(film, timing);
    struct cells *cells = cells_create(film, COLUMNS, HEAD + ROWS + told, CELLS_PLAIN);
    for (int f = 0; f < time.count; f++) {
        if (f) fputc('\n', out);
        cells_print(cells, time.frame[f], out);
    }
    cells_destroy(cells);
    timetable_destroy(&time);
}
