/* What stands in an SVG: the shapes of a frame in pixels, and threads, which are one shape over several frames. For svg.c. */
#ifndef MAPPO_RENDER_SVG_ITEMS_H
#define MAPPO_RENDER_SVG_ITEMS_H

#include <stdio.h>

#include "render/film_marks.h"
#include "render/page.h"

struct item { /* film_mark in pixels */
    enum film_shape shape;
    bool trail, stays; /* a line that is a part of one; one that stays where it is, as the frame shows what the one before does */
    uint32_t fill, stroke;
    double at[5];   /* circle: x y r; line: x1 y1 x2 y2 width; text: x y size; rectangle, image: x y width height */
    int32_t points; /* of a polygon */
    size_t from;    /* its points in xy; where a text, or an image as PNG in base 64, begins in `text` */
};

/* All items of some frames, one frame after the other. */
struct items {
    struct mappo_canvas canvas, way; /* that fill it; `way` with trails */
    const struct page *page;
    struct page_view view;
    bool turns; /* it is another one than that of the frame before */
    struct item *item;
    size_t count, room;
    double *xy;
    size_t numbers, xy_room;
    char *text;
    size_t letters, text_room;
};
void items_create(struct items *items, const struct page *page);
void items_destroy(struct items *items);

/* A shape from frame to frame. */
struct thread {
    int first, count; /* frames in which it is there */
    size_t *item;     /* [count] of items */
    int room;
    struct thread *next; /* that is drawn right after it */
};
/* What is the same shape in two frames is told by its kind, text, place and colours, in the order of drawing. What can't glide is another shape
 * where it is next: one that goes to where a shape like it stood that stays or ends (cards of a hand that move up), and a text that goes
 * another way than what it stands on. begin[f]: the first item of frame f, [frames + 1]. Returns the first thread. */
struct thread *threads_weave(const struct items *items, const size_t *begin, int frames);
void threads_free(struct thread *first);

#endif
