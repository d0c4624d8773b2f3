/* draw.h: what pictures of several suites share: agents told apart by colour and number. */
#ifndef ENVS_DRAW_H
#define ENVS_DRAW_H

#include <stdio.h>
#include <string.h>

#include "env/mappo_env.h"

/* A colour for agent i, 0xRRGGBBAA; after eight they come again (Okabe and Ito 2008: told apart by colour-blind people, too). */
static inline uint32_t draw_colour(int32_t i)
{
    static const uint32_t colour[] = {0x0072b2ffu, 0xd55e00ffu, 0x009e73ffu, 0xcc79a7ffu,
                                      0xe69f00ffu, 0x56b4e9ffu, 0x8c6d31ffu, 0x666666ffu};
    return colour[i % (int32_t)(sizeof colour / sizeof colour[0])];
}

/* A short text of that height around (x, y), by the width that digits have. */
static inline void draw_middle(const struct mappo_canvas *canvas, double x, double y, double height, const char *text, uint32_t fill)
{
    canvas->text(canvas->self, x - 0.29 * height * (double)strlen(text), y - 0.36 * height, height, text, fill);
}

static inline void draw_number(const struct mappo_canvas *canvas, double x, double y, double height, int number, uint32_t fill)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    draw_middle(canvas, x, y, height, text, fill);
}

#endif
