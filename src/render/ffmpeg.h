/* GIF and MP4, by the program ffmpeg: it gets the frames as pixels through a pipe. */
#ifndef MAPPO_RENDER_FFMPEG_H
#define MAPPO_RENDER_FFMPEG_H

#include <stdbool.h>

#include "render/page.h"
#include "render/raster.h"

/* EXIT_USAGE, with what to install, where it is not on PATH. */
int ffmpeg_check(struct error *err);

/* The film as a file in memory (malloc), a GIF that plays again and again or an MP4. EXIT_USAGE with ffmpeg's own last word where it fails. */
int ffmpeg_write(const struct film *film, struct timing timing, int size, bool gif, char **bytes, size_t *length, struct error *err);

#endif
