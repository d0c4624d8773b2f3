/* PNG files, written by hand: 8 bits a channel, no alpha, each row by the filter that leaves least, and a small deflate (fixed codes, matches
 * in 32 KiB) that makes pictures with areas of one colour about a hundred times smaller and photographs hardly. RFC 1950, 1951 and 2083. */
#ifndef MAPPO_RENDER_PNG_H
#define MAPPO_RENDER_PNG_H

#include <stddef.h>
#include <stdint.h>

/* rgb [height][width][3]. `comment` stands in the file, readable (NULL: none). Memory from malloc; returns its size. */
size_t png_write(const uint8_t *rgb, int width, int height, const char *comment, unsigned char **bytes);

/* The same without a comment, in base 64, as SVG and pages hold images: ended by 0, from malloc. */
char *png_base64(const uint8_t *rgb, int width, int height);

#endif
