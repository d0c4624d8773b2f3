/* Frames as text: half blocks in colour, two pixels a character, or plain characters, in which circles are o, lines - | / and \, rectangles
 * # + and . by how dark they are, polygons %, and texts themselves. */
#ifndef MAPPO_RENDER_CELLS_H
#define MAPPO_RENDER_CELLS_H

#include <stdio.h>

#include "render/page.h"

enum cells_colour { CELLS_PLAIN, CELLS_256, CELLS_TRUE }; /* colours are those of xterm, or 24 bits; both write UTF-8 */

struct cells;
/* For a panel of at most so many columns and rows, in the proportions of the film's views. */
struct cells *cells_create(const struct film *film, int columns, int rows, enum cells_colour colour);
void cells_destroy(struct cells *cells);

/* Title, panel and what is told of frame i, in lines that are not wider than `columns`, as many of each frame. */
void cells_print(struct cells *cells, int i, int columns, FILE *out);
/* Lines that stand above and below the panel. */
int cells_words(const struct film *film);

/* All frames of the timetable in plain characters, an empty line between: a text file. */
void cells_film(const struct film *film, struct timing timing, FILE *out);

#endif
