/* The part of cairo that pictures are made with. The library is opened when the first picture is asked for, so that nothing is linked with it:
 * a program that only trains loads none of what cairo brings along, and one that was built where it is missing finds it when it is there. Its
 * interface is stable since 1.0 (cairographics.org); the types and constants below are those of its header. */
#ifndef MAPPO_RENDER_CAIRO_H
#define MAPPO_RENDER_CAIRO_H

#include "base/check.h"

typedef struct cairo_surface cairo_surface;
typedef struct cairo_context cairo_context;
typedef struct cairo_pattern cairo_pattern;
/* cairo_format_t; slants and weights of fonts; cairo_filter_t. */
enum { CAIRO_RGB24 = 1, CAIRO_NORMAL = 0, CAIRO_GOOD = 1, CAIRO_NEAREST = 3 };

/* FUNCTION(result, name, arguments) */
#define CAIRO_FUNCTIONS(FUNCTION)                                                                                                          \
    FUNCTION(cairo_surface *, image_surface_create_for_data, (unsigned char *, int format, int width, int height, int stride))             \
    FUNCTION(void, surface_flush, (cairo_surface *))                                                                                       \
    FUNCTION(void, surface_destroy, (cairo_surface *))                                                                                     \
    FUNCTION(cairo_context *, create, (cairo_surface *))                                                                                   \
    FUNCTION(void, destroy, (cairo_context *))                                                                                             \
    FUNCTION(int, status, (cairo_context *))                                                                                               \
    FUNCTION(void, save, (cairo_context *))                                                                                                \
    FUNCTION(void, restore, (cairo_context *))                                                                                             \
    FUNCTION(void, translate, (cairo_context *, double x, double y))                                                                       \
    FUNCTION(void, scale, (cairo_context *, double x, double y))                                                                           \
    FUNCTION(void, clip, (cairo_context *))                                                                                                \
    FUNCTION(void, set_source_rgba, (cairo_context *, double r, double g, double b, double a))                                             \
    FUNCTION(void, set_source_surface, (cairo_context *, cairo_surface *, double x, double y))                                             \
    FUNCTION(cairo_pattern *, get_source, (cairo_context *))                                                                               \
    FUNCTION(void, pattern_set_filter, (cairo_pattern *, int))                                                                             \
    FUNCTION(void, paint, (cairo_context *))                                                                                               \
    FUNCTION(void, set_line_width, (cairo_context *, double))                                                                              \
    FUNCTION(void, new_path, (cairo_context *))                                                                                            \
    FUNCTION(void, move_to, (cairo_context *, double x, double y))                                                                         \
    FUNCTION(void, line_to, (cairo_context *, double x, double y))                                                                         \
    FUNCTION(void, close_path, (cairo_context *))                                                                                          \
    FUNCTION(void, rectangle, (cairo_context *, double x, double y, double width, double height))                                          \
    FUNCTION(void, arc, (cairo_context *, double x, double y, double radius, double from, double to))                                      \
    FUNCTION(void, fill_preserve, (cairo_context *))                                                                                       \
    FUNCTION(void, stroke, (cairo_context *))                                                                                              \
    FUNCTION(void, select_font_face, (cairo_context *, const char *family, int slant, int weight))                                         \
    FUNCTION(void, set_font_size, (cairo_context *, double))                                                                               \
    FUNCTION(void, show_text, (cairo_context *, const char *))

struct cairo {
#define FUNCTION(result, name, arguments) result(*name) arguments;
    CAIRO_FUNCTIONS(FUNCTION)
#undef FUNCTION
};

/* EXIT_USAGE, with what to install, where it can't be opened. */
int cairo_open(const struct cairo **cairo, struct error *err);

#endif
