#include "render/svg_items.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "render/png.h"

/* ---- the canvas ---------------------------------------------------------------------------------------------------------------------- */

static void *grown(void *array, size_t *room, size_t count, size_t more, size_t width)
{
    if (count + more <= *room) return array;
    *room = 2 * (count + more) + 64;
    array = realloc(array, *room * width);
    CHECK(array, "out of memory for a picture");
    return array;
}

static struct item *add(struct items *items, enum film_shape shape, uint32_t fill, uint32_t stroke)
{
    items->item = grown(items->item, &items->room, items->count, 1, sizeof *items->item);
    struct item *item = &items->item[items->count++];
    *item = (struct item){.shape = shape, .fill = fill, .stroke = stroke};
    return item;
}

static void set_view(void *self, double x0, double y0, double x1, double y1)
{
    struct items *items = self;
    const struct page_view before = items->view;
    items->view = page_view(items->page, x0, y0, x1, y1);
    items->turns = memcmp(&before, &items->view, sizeof before) != 0;
}

static void add_circle(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    const struct items *items = self;
    const struct page_view *v = &items->view;
    memcpy(add(self, FILM_CIRCLE, fill, stroke)->at, (double[]){page_x(v, x), page_y(v, y), radius * v->scale}, 3 * sizeof(double));
}

static void add_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    const struct items *items = self;
    const struct page_view *v = &items->view;
    const double at[5] = {page_x(v, x0), page_y(v, y0), page_x(v, x1), page_y(v, y1), width * v->scale};
    memcpy(add(self, FILM_LINE, 0, stroke)->at, at, sizeof at);
}

static void add_way(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    struct items *items = self;
    add_line(self, x0, y0, x1, y1, width, stroke);
    items->item[items->count - 1].trail = true;
    items->item[items->count - 1].stays = !items->turns;
}

static void add_rectangle(void *self, double x0, double y0, double x1, double y1, uint32_t fill, uint32_t stroke)
{
    const struct items *items = self;
    const struct page_view *v = &items->view;
    const double at[4] = {page_x(v, fmin(x0, x1)), page_y(v, fmax(y0, y1)), fabs(x1 - x0) * v->scale, fabs(y1 - y0) * v->scale};
    memcpy(add(self, FILM_RECTANGLE, fill, stroke)->at, at, sizeof at);
}

static void add_polygon(void *self, const double *xy, int32_t points, uint32_t fill, uint32_t stroke)
{
    struct items *items = self;
    struct item *item = add(items, FILM_POLYGON, fill, stroke);
    item->points = points;
    item->from = items->numbers;
    items->xy = grown(items->xy, &items->xy_room, items->numbers, 2 * (size_t)points, sizeof *items->xy);
    for (int32_t i = 0; i < points; i++) {
        items->xy[items->numbers++] = page_x(&items->view, xy[2 * i]);
        items->xy[items->numbers++] = page_y(&items->view, xy[2 * i + 1]);
    }
}

/* Where it begins in items->text. */
static size_t keep_text(struct items *items, const char *text)
{
    const size_t from = items->letters, letters = strlen(text) + 1;
    items->text = grown(items->text, &items->text_room, from, letters, 1);
    memcpy(items->text + from, text, letters);
    items->letters += letters;
    return from;
}

static void add_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    struct items *items = self;
    const struct page_view *v = &items->view;
    struct item *item = add(items, FILM_TEXT, fill, 0);
    memcpy(item->at, (double[]){page_x(v, x), page_y(v, y), height * v->scale}, 3 * sizeof(double));
    item->from = keep_text(items, text);
}

static void add_image(void *self, const uint8_t *rgb, int32_t width, int32_t height)
{
    struct items *items = self;
    const struct page_view *v = &items->view;
    struct item *item = add(items, FILM_IMAGE, 0xff, 0);
    item->points = width;
    memcpy(item->at, (double[]){page_x(v, v->x0), page_y(v, v->y1), v->wide * v->scale, v->high * v->scale}, 4 * sizeof(double));
    char *png = png_base64(rgb, width, height);
    item->from = keep_text(items, png);
    free(png);
}

void items_create(struct items *items, const struct page *page)
{
    *items = (struct items){.page = page,
                            .canvas = {.view = set_view,
                                       .circle = add_circle,
                                       .line = add_line,
                                       .polygon = add_polygon,
                                       .text = add_text,
                                       .rectangle = add_rectangle,
                                       .image = add_image}};
    items->canvas.self = items;
    items->way = items->canvas;
    items->way.line = add_way;
}

void items_destroy(struct items *items)
{
    free(items->item);
    free(items->xy);
    free(items->text);
}

/* ---- threads ------------------------------------------------------------------------------------------------------------------------- */

static int numbers_of(const struct item *item)
{
    return item->shape == FILM_LINE                                     ? 5
           : item->shape == FILM_RECTANGLE || item->shape == FILM_IMAGE ? 4
           : item->shape == FILM_POLYGON                                ? 0
                                                                        : 3;
}

/* How far a shape went from a to b, in pixels; infinite where they can't be the same one. */
static double distance(const struct items *items, const struct item *a, const struct item *b)
{
    const double never = INFINITY;
    double far = 0;
    if (a->shape != b->shape || a->points != b->points || a->trail != b->trail) return never;
    if (!(a->fill & 0xff) != !(b->fill & 0xff) || !(a->stroke & 0xff) != !(b->stroke & 0xff)) return never;
    if ((a->shape == FILM_TEXT || a->shape == FILM_IMAGE) && strcmp(items->text + a->from, items->text + b->from) != 0) return never;
    for (int i = 0; i < numbers_of(a); i++) far = fmax(far, fabs(a->at[i] - b->at[i]));
    for (int i = 0; a->shape == FILM_POLYGON && i < 2 * a->points; i++)
        far = fmax(far, fabs(items->xy[a->from + (size_t)i] - items->xy[b->from + (size_t)i]));
    return far;
}

static bool same(const struct items *items, const struct item *a, const struct item *b)
{
    return a->fill == b->fill && a->stroke == b->stroke && distance(items, a, b) == 0;
}

/* What it costs that b is a one frame later: nothing where it is as it was, and the more the farther it went; a shape that ends and one that
 * begins cost 1 each. */
static double change(const struct items *items, const struct item *a, const struct item *b)
{
    const double far = distance(items, a, b), reach = 0.3 * fmax(items->page->wide, items->page->high);
    if (far > (b->stays ? 0 : reach)) return INFINITY;
    const bool hue = a->fill >> 8 != b->fill >> 8 || a->stroke >> 8 != b->stroke >> 8;
    return far > 0 ? 0.1 + far / reach + (hue ? 0.7 : 0) : a->fill == b->fill && a->stroke == b->stroke ? 0 : hue ? 0.2 : 0.01;
}

static struct thread *begun(struct thread **after, int frame)
{
    struct thread *thread = calloc(1, sizeof *thread);
    CHECK(thread, "out of memory for a picture");
    thread->first = frame;
    thread->next = *after;
    return *after = thread;
}

static void go_on(struct thread *thread, size_t item)
{
    if (thread->count == thread->room) {
        thread->room = 2 * thread->room + 1;
        thread->item = realloc(thread->item, (size_t)thread->room * sizeof *thread->item);
        CHECK(thread->item, "out of memory for a picture");
    }
    thread->item[thread->count++] = item;
}

/* What of two rows of items belongs together, in their orders, at the least cost: match[j] is the one of a[0 … n) that b[j] goes on, or -1.
 * (Needleman and Wunsch 1970.) */
static void align(const struct items *items, const struct item *a, int n, const struct item *b, int m, int *match)
{
    const int width = m + 1;
    const size_t cells = (size_t)(n + 1) * (size_t)width;
    double *cost = malloc(cells * sizeof *cost);
    CHECK(cost, "out of memory for a picture");
    for (int j = 0; j <= m; j++) cost[j] = j;
    for (int i = 1; i <= n; i++) {
        double *row = cost + (size_t)i * (size_t)width, *above = row - width;
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            row[j] = fmin(above[j], row[j - 1]) + 1;
            const double both = above[j - 1] + change(items, &a[i - 1], &b[j - 1]);
            if (both < row[j]) row[j] = both;
        }
    }
    for (int i = n, j = m; j > 0;) {
        const double *row = cost + (size_t)i * (size_t)width, *above = row - width;
        if (row[j] == row[j - 1] + 1) {
            match[--j] = -1;
        } else if (i > 0 && row[j] == above[j] + 1) {
            i--;
        } else {
            match[--j] = --i;
        }
    }
    free(cost);
}

/* As far as the rows are the same at both ends, they are not compared further; rows that are far too long only index by index. */
static void match_rows(const struct items *items, const struct item *a, int n, const struct item *b, int m, int *match)
{
    enum { MOST_CELLS = 4000000 };
    int head = 0, tail = 0;
    while (head < n && head < m && same(items, &a[head], &b[head])) match[head] = head, head++;
    while (tail < n - head && tail < m - head && same(items, &a[n - 1 - tail], &b[m - 1 - tail]))
        match[m - 1 - tail] = n - 1 - tail, tail++;
    n -= head + tail;
    m -= head + tail;
    if ((int64_t)n * m <= MOST_CELLS)
        align(items, a + head, n, b + head, m, match + head);
    else
        for (int j = 0; j < m; j++) match[head + j] = j < n && isfinite(change(items, &a[head + j], &b[head + j])) ? j : -1;
    for (int j = head; j < head + m; j++) match[j] += match[j] < 0 ? 0 : head;
}

/* ---- what can't glide ---------------------------------------------------------------------------------------------------------------- */

static const double still = 0.5; /* pixels: a place is the same within that */

static bool moves(const struct items *items, const struct item *a, const struct item *b)
{
    return distance(items, a, b) > still;
}

/* Whether a shape like b stands at b's place among a[0 … n) that does not go away from there. to[i]: where a[i] is among b[0 …), -1 = nowhere. */
static bool held(const struct items *items, const struct item *a, int n, const int *to, const struct item *b, int j)
{
    for (int i = 0; i < n; i++)
        if (to[i] != j && !moves(items, &a[i], &b[j]) && (to[i] < 0 || !moves(items, &a[i], &b[to[i]]))) return true;
    return false;
}

/* Whether the point lies in the shape, or in the box around it. */
static bool covers(const struct items *items, const struct item *shape, double x, double y)
{
    const double *at = shape->at;
    if (shape->shape == FILM_CIRCLE) return hypot(x - at[0], y - at[1]) <= at[2];
    if (shape->shape == FILM_RECTANGLE) return x >= at[0] && x <= at[0] + at[2] && y >= at[1] && y <= at[1] + at[3];
    if (shape->shape != FILM_POLYGON) return false;
    double low[2] = {INFINITY, INFINITY}, high[2] = {-INFINITY, -INFINITY};
    for (int i = 0; i < 2 * shape->points; i++) {
        const double c = items->xy[shape->from + (size_t)i];
        low[i % 2] = fmin(low[i % 2], c);
        high[i % 2] = fmax(high[i % 2], c);
    }
    return x >= low[0] && x <= high[0] && y >= low[1] && y <= high[1];
}

/* Whether a text stands on p and then on q, which are the same shape, or goes as far as that. On a field that stays others may stand, too. */
static bool goes_along(const struct items *items, const struct item *p, const struct item *q, const struct item *from,
                       const struct item *to)
{
    if ((p->shape == FILM_CIRCLE || moves(items, p, q)) && covers(items, p, from->at[0], from->at[1]) &&
        covers(items, q, to->at[0], to->at[1]))
        return true;
    const bool polygon = p->shape == FILM_POLYGON;
    for (int k = 0; k < 2; k++) {
        const double before = polygon ? items->xy[p->from + (size_t)k] : p->at[k];
        const double after = polygon ? items->xy[q->from + (size_t)k] : q->at[k];
        if (fabs(after - before - (to->at[k] - from->at[k])) > still) return false;
    }
    return true;
}

/* Whether text b[j], which moves, leaves all that it stands on, and the shape that was drawn before it, which it may stand beside. */
static bool leaves_ground(const struct items *items, const struct item *a, const struct item *b, int j, const int *match)
{
    bool stands = false, beside = true;
    for (int i = j - 1; i >= 0; i--) {
        if (b[i].shape == FILM_TEXT) continue;
        const bool on = covers(items, &b[i], b[j].at[0], b[j].at[1]);
        if ((on || beside) && match[i] >= 0 && goes_along(items, &a[match[i]], &b[i], &a[match[j]], &b[j])) return false;
        stands = stands || on;
        beside = false;
    }
    return stands;
}

/* Takes from `match` what would glide through others. One that stays holds the place of the next: so it is done until nothing changes. */
static void part(const struct items *items, const struct item *a, int n, const struct item *b, int m, int *match)
{
    int *to = malloc(((size_t)n + 1) * sizeof *to);
    CHECK(to, "out of memory for a picture");
    for (int i = 0; i < n; i++) to[i] = -1;
    for (int j = 0; j < m; j++)
        if (match[j] >= 0) to[match[j]] = j;
    for (bool changed = true; changed;) {
        changed = false;
        for (int j = 0; j < m; j++) {
            if (match[j] < 0 || b[j].shape == FILM_LINE || !moves(items, &a[match[j]], &b[j])) continue;
            if (b[j].shape == FILM_TEXT ? !leaves_ground(items, a, b, j, match) : !held(items, a, n, to, b, j)) continue;
            to[match[j]] = -1;
            match[j] = -1;
            changed = true;
        }
    }
    free(to);
}

struct thread *threads_weave(const struct items *items, const size_t *begin, int frames)
{
    struct thread *first = NULL, **before = NULL;
    int there = 0;
    for (int f = 0; f < frames; f++) {
        const int count = (int)(begin[f + 1] - begin[f]);
        struct thread **now = calloc((size_t)count + 1, sizeof *now), **end = &first;
        int *match = calloc((size_t)count + 1, sizeof *match);
        CHECK(now && match, "out of memory for a picture");
        const struct item *row = items->item + begin[f], *above = f ? items->item + begin[f - 1] : NULL;
        match_rows(items, above, there, row, count, match);
        if (f) part(items, above, there, row, count, match);
        for (int j = 0; j < count; j++) {
            now[j] = match[j] >= 0 ? before[match[j]] : begun(end, f);
            go_on(now[j], begin[f] + (size_t)j);
            end = &now[j]->next;
        }
        free(match);
        free(before);
        before = now;
        there = count;
    }
    free(before);
    return first;
}

void threads_free(struct thread *thread)
{
    while (thread) {
        struct thread *next = thread->next;
        free(thread->item);
        free(thread);
        thread = next;
    }
}
