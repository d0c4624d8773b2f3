/* GIF and MP4, by the program ffmpeg: it gets the frames as pixels through a pipe. */
#ifndef MAPPO_RENDER_FFMPEG_H
#define MAPPO_RENDER_FFMPEG_H

#include <stdbool.h>

#include "render/page.h"
#include "render/raster.h"

/* EXIT_USAGE, with what to install, where it is not on PATH. */
int ffmpeg_check(struct error *err);

struct video {
    struct timing timing;
    int size; /* pixels of the panel's longer side */
    bool gif; /* that plays again and again; else an MP4 */
    const char
        *name; /* how far it is stands behind that on standard error where this is a terminal and it takes more than a second; or NULL */
};
/* The film as a file in memory (malloc). EXIT_USAGE with ffmpeg's own last word where it fails. */
int ffmpeg_write(const struct film *film, const struct video *video, char **bytes, size_t *length, struct error *err);

#endif
