/* Films in files: what the name's ending asks for. */
#ifndef MAPPO_RENDER_OUTPUT_H
#define MAPPO_RENDER_OUTPUT_H

#include "base/check.h"
#include "render/page.h"

enum output_kind { OUTPUT_SVG, OUTPUT_GIF, OUTPUT_MP4, OUTPUT_PNG, OUTPUT_TEXT };
#define OUTPUT_ENDINGS ".svg, .gif, .mp4, .png or .txt"

struct output {
    const char *path;
    enum output_kind kind;
    struct timing timing; /* of what moves */
    int size;             /* pixels of the panel's longer side; 0 = the usual */
    bool strip;           /* .svg: still frames side by side, as .png is */
    bool silent;          /* a terminal is not told how far it is (.gif, .mp4) */
};
enum { OUTPUT_PANELS = 6, OUTPUT_STILL = 220, OUTPUT_PLAYS = 480 }; /* frames of an episode's strip; usual sizes */

/* Which kind of file `path` is to be, and whether it can be made and left there: to be asked before anything is played. EXIT_USAGE, with what
 * to install or to ask for instead. */
int output_check(const char *path, enum output_kind *kind, struct error *err);

/* An older picture under that name is replaced, anything else set aside with a message. */
int output_write(const struct output *output, const struct film *film, struct error *err);

#endif
