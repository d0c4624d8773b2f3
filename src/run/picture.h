/* Pictures of an episode: what an environment draws (mappo_env.h, struct mappo_canvas) as an SVG film strip. */
#ifndef MAPPO_RUN_PICTURE_H
#define MAPPO_RUN_PICTURE_H

#include "base/check.h"
#include "env/mappo_env.h"

struct picture;

/* Can a picture be left at `path`? EXIT_USAGE where it doesn't end in .svg or can't be written: to be asked before anything is played. */
int picture_check(const char *path, struct error *err);

struct picture *picture_create(void);
void picture_destroy(struct picture *picture); /* NULL is allowed */

/* Begins the frame of one step; what is drawn on the returned canvas until the next call belongs to it. */
const struct mappo_canvas *picture_frame(struct picture *picture, int64_t step);

/* At most `panels` frames, evenly spaced from the first to the last, side by side under `title`. Circles leave trails: the k-th of a frame is
 * the k-th of the one before. */
int picture_write(struct picture *picture, const char *path, int panels, const char *title, struct error *err);

#endif
