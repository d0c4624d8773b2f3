/* Films as SVG: an animation that plays by itself, again and again, without scripts (SMIL), and a strip of still frames. Both are one <svg>
 * element that needs nothing else: a file of its own, or a part of an HTML page, where pauseAnimations() and setCurrentTime() of the element
 * stop and wind it. Programs that don't play show the last frame. */
#ifndef MAPPO_RENDER_SVG_H
#define MAPPO_RENDER_SVG_H

#include <stdio.h>

#include "render/page.h"

/* size: pixels of the panel's longer side. Shapes that move between two frames glide. */
void svg_film(const struct film *film, struct timing timing, int size, FILE *out);

/* At most `panels` frames of each episode, evenly spaced from the first to the last, side by side, an episode below the other; each shows the
 * way of the circles since the one before. */
void svg_strip(const struct film *film, int panels, int size, FILE *out);

#endif
