/* What a film is made of, for film.c and film_paint.c. */
#ifndef MAPPO_RENDER_FILM_MARKS_H
#define MAPPO_RENDER_FILM_MARKS_H

#include "render/film.h"

enum film_shape { FILM_CIRCLE, FILM_LINE, FILM_POLYGON, FILM_TEXT, FILM_RECTANGLE, FILM_IMAGE };

/* A shape that was drawn. */
struct film_mark {
    enum film_shape shape;
    uint32_t fill, stroke;
    double at[5];   /* as canvas functions take them: x y radius; x0 y0 x1 y1 width; -; x y height; x0 y0 x1 y1 */
    int32_t points; /* of a polygon */
    size_t from;    /* its points in film->xy; a text in film->text; the number of an image */
};

struct film_shot {
    struct film_frame frame;
    double view[4];
    size_t first, count; /* of film->mark */
};

/* Pixels in runs of one colour, row after row: 0xNNRRGGBB stands for N of them, since such pictures have large areas. */
struct film_image {
    int32_t width, height;
    size_t runs;
    uint32_t *run;
};

struct film {
    struct mappo_canvas canvas; /* that records */
    char title[256], who[200], team[200], (*group)[64];
    int groups;
    struct film_episode *episode;
    struct film_extra {
        char who[200];
        double mover; /* radius of the largest circle that moves in the episode */
    } * extra;        /* [episodes] */
    int episodes, episode_room;
    struct film_shot *shot;
    int shots, shot_room;
    struct film_mark *mark;
    size_t marks, mark_room;
    double *xy;
    size_t numbers, xy_room;
    char *text;
    size_t letters, text_room;
    uint32_t colour[FILM_COLOURS]; /* of circles, in the order in which they were drawn first */
    int colours;
    struct film_image *image;
    size_t images, image_room;
};

#endif
