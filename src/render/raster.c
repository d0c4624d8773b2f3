#include "render/raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "render/cairo.h"

struct raster_work {
    const struct cairo *cairo;
    cairo_surface *surface;
    cairo_context *context;
    struct mappo_canvas canvas;
    const struct page *page;
    struct page_view view;
};

/* ---- the canvas ---------------------------------------------------------------------------------------------------------------------- */

static void set_colour(const struct raster_work *w, uint32_t colour)
{
    w->cairo->set_source_rgba(w->context, (colour >> 24) / 255.0, (colour >> 16 & 0xff) / 255.0, (colour >> 8 & 0xff) / 255.0,
                              (colour & 0xff) / 255.0);
}

/* Fills and strokes the path, with lines of one pixel. */
static void finish(const struct raster_work *w, uint32_t fill, uint32_t stroke)
{
    if (fill & 0xff) {
        set_colour(w, fill);
        w->cairo->fill_preserve(w->context);
    }
    if (stroke & 0xff) {
        set_colour(w, stroke);
        w->cairo->set_line_width(w->context, 1);
        w->cairo->stroke(w->context);
    }
    w->cairo->new_path(w->context);
}

static void set_view(void *self, double x0, double y0, double x1, double y1)
{
    struct raster_work *w = self;
    w->view = page_view(w->page, x0, y0, x1, y1);
}

static void paint_circle(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    const struct raster_work *w = self;
    const double turn = 6.283185307179586;
    w->cairo->new_path(w->context);
    w->cairo->arc(w->context, page_x(&w->view, x), page_y(&w->view, y), radius * w->view.scale, 0, turn);
    finish(w, fill, stroke);
}

static void paint_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    const struct raster_work *w = self;
    w->cairo->new_path(w->context);
    w->cairo->move_to(w->context, page_x(&w->view, x0), page_y(&w->view, y0));
    w->cairo->line_to(w->context, page_x(&w->view, x1), page_y(&w->view, y1));
    w->cairo->set_line_width(w->context, width * w->view.scale);
    set_colour(w, stroke);
    w->cairo->stroke(w->context);
}

static void paint_rectangle(void *self, double x0, double y0, double x1, double y1, uint32_t fill, uint32_t stroke)
{
    const struct raster_work *w = self;
    w->cairo->new_path(w->context);
    w->cairo->rectangle(w->context, page_x(&w->view, fmin(x0, x1)), page_y(&w->view, fmax(y0, y1)), fabs(x1 - x0) * w->view.scale,
                        fabs(y1 - y0) * w->view.scale);
    finish(w, fill, stroke);
}

static void paint_polygon(void *self, const double *xy, int32_t points, uint32_t fill, uint32_t stroke)
{
    const struct raster_work *w = self;
    w->cairo->new_path(w->context);
    for (int32_t i = 0; i < points; i++) w->cairo->line_to(w->context, page_x(&w->view, xy[2 * i]), page_y(&w->view, xy[2 * i + 1]));
    w->cairo->close_path(w->context);
    finish(w, fill, stroke);
}

static void write_text(const struct raster_work *w, double x, double y, double font, uint32_t colour, const char *text)
{
    set_colour(w, colour);
    w->cairo->set_font_size(w->context, font);
    w->cairo->move_to(w->context, x, y);
    w->cairo->show_text(w->context, text);
    w->cairo->new_path(w->context);
}

static void paint_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    const struct raster_work *w = self;
    if (fill & 0xff) write_text(w, page_x(&w->view, x), page_y(&w->view, y), height * w->view.scale, fill, text);
}

/* Large pixels have edges. */
static void paint_image(void *self, const uint8_t *rgb, int32_t width, int32_t height)
{
    const struct raster_work *w = self;
    const struct page_view *v = &w->view;
    const double scale = v->wide * v->scale / width;
    uint32_t *pixel = malloc((size_t)width * (size_t)height * sizeof *pixel);
    CHECK(pixel, "out of memory for an image of %d x %d pixels", width, height);
    for (size_t i = 0; i < (size_t)width * (size_t)height; i++)
        pixel[i] = (uint32_t)rgb[3 * i] << 16 | (uint32_t)rgb[3 * i + 1] << 8 | (uint32_t)rgb[3 * i + 2];
    cairo_surface *image = w->cairo->image_surface_create_for_data((unsigned char *)pixel, CAIRO_RGB24, width, height, 4 * width);
    w->cairo->save(w->context);
    w->cairo->translate(w->context, page_x(v, v->x0), page_y(v, v->y1));
    w->cairo->scale(w->context, scale, v->high * v->scale / height);
    w->cairo->set_source_surface(w->context, image, 0, 0);
    w->cairo->pattern_set_filter(w->cairo->get_source(w->context), scale > 2 ? CAIRO_NEAREST : CAIRO_GOOD);
    w->cairo->paint(w->context);
    w->cairo->restore(w->context);
    w->cairo->surface_destroy(image);
    free(pixel);
}

/* ---- pages --------------------------------------------------------------------------------------------------------------------------- */

int raster_check(struct error *err)
{
    const struct cairo *cairo;
    return cairo_open(&cairo, err);
}

int raster_create(struct raster *raster, int width, int height, struct error *err)
{
    const struct cairo *cairo;
    const int code = cairo_open(&cairo, err);
    *raster = (struct raster){.width = width, .height = height};
    if (code) return code;
    raster->pixel = calloc((size_t)width * (size_t)height, sizeof *raster->pixel);
    struct raster_work *w = raster->work = calloc(1, sizeof *w);
    CHECK(raster->pixel && w, "out of memory for a picture of %d x %d pixels", width, height);
    w->cairo = cairo;
    w->surface = cairo->image_surface_create_for_data((unsigned char *)raster->pixel, CAIRO_RGB24, width, height, 4 * width);
    w->context = cairo->create(w->surface);
    if (cairo->status(w->context)) { /* cairo's: 32767 pixels each way */
        raster_destroy(raster);
        return error_set(err, EXIT_USAGE, "cairo makes no picture of %d x %d pixels: a smaller render.size or fewer episodes=", width,
                         height);
    }
    w->canvas = (struct mappo_canvas){.self = w,
                                      .view = set_view,
                                      .circle = paint_circle,
                                      .line = paint_line,
                                      .polygon = paint_polygon,
                                      .text = paint_text,
                                      .rectangle = paint_rectangle,
                                      .image = paint_image};
    cairo->select_font_face(w->context, "sans-serif", CAIRO_NORMAL, CAIRO_NORMAL);
    return 0;
}

void raster_destroy(struct raster *raster)
{
    struct raster_work *w = raster->work;
    if (w) {
        w->cairo->destroy(w->context);
        w->cairo->surface_destroy(w->surface);
    }
    free(w);
    free(raster->pixel);
}

enum { OPAQUE = 0xff };
static const uint32_t paper = (uint32_t)PAGE_PAPER << 8 | OPAQUE, ground = (uint32_t)PAGE_GROUND << 8 | OPAQUE,
                      edge = (uint32_t)PAGE_EDGE << 8 | OPAQUE, ink = (uint32_t)PAGE_INK << 8 | OPAQUE;

static void begin(const struct raster_work *w)
{
    set_colour(w, paper);
    w->cairo->paint(w->context);
}

/* Frame i in a panel at (x, y); nothing is drawn beyond that. */
static void paint_panel(struct raster_work *w, const struct film *film, const struct page *page, int i, int trail, double x, double y)
{
    w->page = page;
    w->cairo->save(w->context);
    w->cairo->translate(w->context, x - page->left, y - page->top);
    w->cairo->rectangle(w->context, page->left, page->top, page->wide, page->high);
    w->cairo->clip(w->context);
    set_colour(w, ground);
    w->cairo->paint(w->context);
    film_paint(film, i, trail, &w->canvas);
    w->cairo->rectangle(w->context, page->left + 0.5, page->top + 0.5, page->wide - 1, page->high - 1);
    finish(w, 0, edge);
    w->cairo->restore(w->context);
}

void raster_frame(struct raster *raster, const struct film *film, const struct page *page, int i)
{
    struct raster_work *w = raster->work;
    char text[400];
    begin(w);
    write_text(w, page->left, PAGE_MARGIN + 10, page_font(film_title(film), page->wide, PAGE_FONT + 2), ink, film_title(film));
    film_episode_title(film, film_frame(film, i)->episode, text, sizeof text);
    write_text(w, page->left, PAGE_TITLE - 8, page_font(text, page->wide, PAGE_FONT), ink, text);
    paint_panel(w, film, page, i, PAGE_TRAIL, page->left, page->top);
    for (int c = 0; c < film_cells(film); c++) {
        film_cell(film, i, c, text, sizeof text);
        write_text(w, page_cell_x(page, c), page_cell_y(page, c), page->font, ink, text);
    }
    w->cairo->surface_flush(w->surface);
}

void raster_strip(struct raster *raster, const struct film *film, const struct strip *strip, int panels)
{
    struct raster_work *w = raster->work;
    const double wide = strip->width - 2 * PAGE_MARGIN;
    char text[400];
    begin(w);
    write_text(w, PAGE_MARGIN, PAGE_MARGIN + 10, page_font(film_title(film), wide, PAGE_FONT + 2), ink, film_title(film));
    for (int k = 0; k < film_episodes(film); k++) {
        const double top = strip_top(strip, k);
        film_episode_title(film, k, text, sizeof text);
        write_text(w, PAGE_MARGIN, top - 8, page_font(text, wide, PAGE_FONT), ink, text);
        for (int i = 0, before = -1, at; (at = strip_frame(film, k, panels, i)) >= 0; i++, before = at) {
            const double left = strip_left(strip, i);
            paint_panel(w, film, strip->page, at, before < 0 ? 0 : at - before, left, top);
            film_cell(film, at, 0, text, sizeof text);
            write_text(w, left, top + strip->page->high + PAGE_LINE - 2, PAGE_FONT, ink, text);
        }
    }
    w->cairo->surface_flush(w->surface);
}
