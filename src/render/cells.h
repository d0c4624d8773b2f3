/* Frames as text: half blocks in colour, two pixels a character, or plain characters, in which circles are o, O, @, … by their colour, lines - | / and \, rectangles
 * # + and . by how dark they are, polygons %, and texts themselves. */
#ifndef MAPPO_RENDER_CELLS_H
#define MAPPO_RENDER_CELLS_H

#include <stdio.h>

#include "render/page.h"

enum cells_colour { CELLS_PLAIN, CELLS_256, CELLS_TRUE }; /* colours are those of xterm, or 24 bits; both write UTF-8 */

struct cells;
/* For pages of at most so many columns and lines: a panel in the proportions of the film's views, a title above, what is told below. Where
 * these leave it less than three lines, they are shortened. */
struct cells *cells_create(const struct film *film, int columns, int lines, enum cells_colour colour);
void cells_destroy(struct cells *cells);

/* Frame i: as many lines of each. */
void cells_print(struct cells *cells, int i, FILE *out);

/* All frames of the timetable in plain characters, an empty line between: a text file. */
void cells_film(const struct film *film, struct timing timing, FILE *out);

#endif
