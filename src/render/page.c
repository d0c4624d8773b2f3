#include "render/page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static int even(double x)
{
    return 2 * (int)ceil(x / 2);
}

/* For the longest text of any frame. */
static double cells_font(const struct film *film, double wide)
{
    char text[160];
    double font = PAGE_FONT;
    for (int i = 0; i < film_frames(film); i++)
        for (int c = 0; c < film_cells(film); c++) {
            film_cell(film, i, c, text, sizeof text);
            font = page_font(text, wide, font);
        }
    return font;
}

struct page page_plan(const struct film *film, int size)
{
    double wide = 0, high = 0, view[4];
    for (int i = 0; i < film_frames(film); i++) {
        film_view(film, i, view);
        const double w = view[2] - view[0], h = view[3] - view[1], longer = fmax(w, h);
        wide = fmax(wide, w / longer);
        high = fmax(high, h / longer);
    }
    struct page page = {.left = PAGE_MARGIN, .top = PAGE_TITLE, .wide = ceil(size * wide), .high = ceil(size * high)};
    page.font = cells_font(film, page.wide / PAGE_COLUMNS - 4);
    const int lines = (film_cells(film) + PAGE_COLUMNS - 1) / PAGE_COLUMNS;
    page.width = even(page.wide + 2 * PAGE_MARGIN);
    page.height = even(page.top + page.high + lines * PAGE_LINE + PAGE_MARGIN);
    return page;
}

double page_cell_x(const struct page *page, int c)
{
    return page->left + c % PAGE_COLUMNS * page->wide / PAGE_COLUMNS;
}

double page_cell_y(const struct page *page, int c)
{
    return page->top + page->high + (1 + c / PAGE_COLUMNS) * PAGE_LINE;
}

double page_font(const char *text, double wide, double most)
{
    const double letter = 0.6; /* of its size a letter is as wide as that, on average */
    size_t letters = 0;
    for (const char *at = text; *at; at++) letters += (*at & 0xc0) != 0x80;
    return fmin(most, letters ? wide / (letter * (double)letters) : most);
}

struct page_view page_view(const struct page *page, double x0, double y0, double x1, double y1)
{
    const double scale = fmin(page->wide / (x1 - x0), page->high / (y1 - y0));
    return (struct page_view){.x0 = x0,
                              .y1 = y1,
                              .wide = x1 - x0,
                              .high = y1 - y0,
                              .left = page->left + (page->wide - scale * (x1 - x0)) / 2,
                              .top = page->top + (page->high - scale * (y1 - y0)) / 2,
                              .scale = scale};
}

/* ---- strips -------------------------------------------------------------------------------------------------------------------------- */

enum { STRIP_TITLE = 26, STRIP_LINE = 22 };

struct strip strip_plan(const struct film *film, const struct page *page, int panels)
{
    int most = 1;
    for (int k = 0; k < film_episodes(film); k++)
        for (int i = most; strip_frame(film, k, panels, i) >= 0; i++) most = i + 1;
    struct strip strip = {.page = page};
    strip.width = even(strip_left(&strip, most));
    strip.height = even(strip_top(&strip, film_episodes(film)) - STRIP_LINE + PAGE_MARGIN / 2.0);
    return strip;
}

double strip_left(const struct strip *strip, int i)
{
    return PAGE_MARGIN + i * (strip->page->wide + PAGE_MARGIN);
}

double strip_top(const struct strip *strip, int k)
{
    return STRIP_TITLE + STRIP_LINE + k * (strip->page->high + PAGE_LINE + STRIP_LINE);
}

int strip_frame(const struct film *film, int k, int panels, int i)
{
    const struct film_episode *episode = film_episode(film, k);
    if (panels > episode->frames) panels = episode->frames;
    if (i >= panels) return -1;
    return episode->first + (panels > 1 ? i * (episode->frames - 1) / (panels - 1) : 0);
}

/* ---- time ---------------------------------------------------------------------------------------------------------------------------- */

static const double hold = 1.2; /* seconds that the last state of an episode stands */

static double usual_fps(int frames)
{
    const double length = 8; /* seconds that few steps are stretched to, and many shrunk */
    return fmin(30, fmax(4, round(frames / length)));
}

struct timetable timetable_create(const struct film *film, struct timing timing)
{
    const int frames = film_frames(film);
    const int every = timing.every > 0 ? timing.every : 1 + (frames - 1) / TIMING_FRAMES;
    struct timetable table = {.frame = calloc((size_t)frames + 1, sizeof *table.frame),
                              .seconds = calloc((size_t)frames + 1, sizeof *table.seconds)};
    CHECK(table.frame && table.seconds, "out of memory for a film");
    for (int k = 0; k < film_episodes(film); k++) {
        const struct film_episode *episode = film_episode(film, k);
        for (int i = 0; i < episode->frames; i++)
            if (i % every == 0 || i == episode->frames - 1) table.frame[table.count++] = episode->first + i;
    }
    table.fps = timing.fps > 0 ? timing.fps : usual_fps(table.count / (film_episodes(film) ? film_episodes(film) : 1));
    for (int i = 0; i < table.count; i++) {
        const struct film_episode *episode = film_episode(film, film_frame(film, table.frame[i])->episode);
        const bool last = table.frame[i] == episode->first + episode->frames - 1;
        table.seconds[i + 1] = table.seconds[i] + (last ? fmax(hold, 1 / table.fps) : 1 / table.fps);
    }
    return table;
}

void timetable_destroy(struct timetable *table)
{
    free(table->frame);
    free(table->seconds);
}
