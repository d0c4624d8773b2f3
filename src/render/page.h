/* The page around a film's frames, in pixels, y down: a title above, the panel that the frame is drawn in, what is told of it below. And the
 * time that frames take: every k-th of them, at so many a second, the last of an episode for a while. */
#ifndef MAPPO_RENDER_PAGE_H
#define MAPPO_RENDER_PAGE_H

#include "render/film.h"

enum {
    PAGE_MARGIN = 12,
    PAGE_TITLE = 46, /* height above the panel: two lines */
    PAGE_FONT = 13,
    PAGE_LINE = 18,   /* height of a line below it */
    PAGE_COLUMNS = 3, /* cells in such a line */
    PAGE_TRAIL = 12   /* steps that a circle's trail shows */
};
/* Colours, 0xRRGGBB: of texts, the page, the panel and its edge. */
enum { PAGE_INK = 0x222222, PAGE_PAPER = 0xffffff, PAGE_GROUND = 0xf7f7f5, PAGE_EDGE = 0xcccccc };

struct page {
    int width, height;            /* of all: even numbers, as video wants them */
    double left, top, wide, high; /* the panel */
    double font;                  /* of what stands below it, so that all of that fits */
};

/* For a panel whose longer side has `size` pixels: as wide and as high as the widest and the highest view of the film. */
struct page page_plan(const struct film *film, int size);
/* Where the left end of cell c's base line is. */
double page_cell_x(const struct page *page, int c);
double page_cell_y(const struct page *page, int c);
/* How large letters may be so that `text` is not wider than `wide`, at most `most`: by the width that letters have on average. */
double page_font(const char *text, double wide, double most);

/* From a view of the world to the panel, in whose middle it stands. */
struct page_view {
    double x0, y1, wide, high; /* of the world */
    double left, top, scale;
};
struct page_view page_view(const struct page *page, double x0, double y0, double x1, double y1);
static inline double page_x(const struct page_view *v, double x)
{
    return v->left + (x - v->x0) * v->scale;
}
static inline double page_y(const struct page_view *v, double y)
{
    return v->top + (v->y1 - y) * v->scale;
}

/* Still frames side by side, episodes one below the other. */
struct strip {
    const struct page *page; /* the panels' */
    int width, height;
};
struct strip strip_plan(const struct film *film, const struct page *page, int panels);
double strip_left(const struct strip *strip, int i); /* of panel i of an episode */
double strip_top(const struct strip *strip, int k);  /* of the panels of episode k; its line stands above */
/* The film's frame that panel i of at most `panels` of episode k shows: evenly spaced from the first to the last; -1 = there are no more. */
int strip_frame(const struct film *film, int k, int panels, int i);

/* When frames are shown. */
struct timing {
    double fps; /* 0 = by the number of frames: 4 to 30 */
    int every;  /* steps; the first and the last frame of an episode are shown whatever it is; 0 = so that at most TIMING_FRAMES are */
};
enum { TIMING_FRAMES = 600 };
struct timetable {
    int count;
    int *frame;      /* [count] of the film */
    double *seconds; /* [count + 1] since the beginning; at `count` the end */
    double fps;
};
struct timetable timetable_create(const struct film *film, struct timing timing);
void timetable_destroy(struct timetable *table);

#endif
