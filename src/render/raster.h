/* Films as pixels, by cairo: a page with one frame, or a strip. */
#ifndef MAPPO_RENDER_RASTER_H
#define MAPPO_RENDER_RASTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "render/page.h"

struct raster {
    int width, height;
    uint32_t *pixel; /* [height][width] 0x00RRGGBB */
    struct raster_work *work;
};

/* EXIT_USAGE where cairo is missing. */
int raster_check(struct error *err);
int raster_create(struct raster *raster, int width, int height, struct error *err);
void raster_destroy(struct raster *raster);

void raster_frame(struct raster *raster, const struct film *film, const struct page *page, int i); /* of the page's size */
void raster_strip(struct raster *raster, const struct film *film, const struct strip *strip, int panels);

#endif
