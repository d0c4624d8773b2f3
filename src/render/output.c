#include "render/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/text.h"
#include "render/cells.h"
#include "render/ffmpeg.h"
#include "render/png.h"
#include "render/raster.h"
#include "render/svg.h"

static const char *const ending[] = {".svg", ".gif", ".mp4", ".png", ".txt"};

/* ---- what can be made ---------------------------------------------------------------------------------------------------------------- */

static int kind_of(const char *path, enum output_kind *kind)
{
    const size_t length = strlen(path);
    for (size_t i = 0; i < sizeof ending / sizeof *ending; i++) {
        const size_t own = strlen(ending[i]);
        *kind = (enum output_kind)i;
        if (length > own && strcasecmp(path + length - own, ending[i]) == 0 && path[length - own - 1] != '/') return 0;
    }
    return EXIT_USAGE;
}

/* What does without any of the programs and libraries: the same name with another ending. */
static int name_a_way_out(const char *path, struct error *err)
{
    const char *dot = strrchr(path, '.');
    error_prefix(err, "%s", path);
    return error_suffix(err, "; %.*s.svg needs nothing, and plays in any browser", (int)(dot - path), path);
}

int output_check(const char *path, enum output_kind *kind, struct error *err)
{
    if (kind_of(path, kind))
        return error_set(err, EXIT_USAGE, "%s: a name that ends in " OUTPUT_ENDINGS " is needed", path[0] ? path : "(nothing)");
    if ((*kind == OUTPUT_GIF || *kind == OUTPUT_MP4) && ffmpeg_check(err)) return name_a_way_out(path, err);
    if ((*kind == OUTPUT_GIF || *kind == OUTPUT_MP4 || *kind == OUTPUT_PNG) && raster_check(err)) return name_a_way_out(path, err);
    return file_check_writable(path, err);
}

/* ---- files --------------------------------------------------------------------------------------------------------------------------- */

/* Stands in every file, so that it is known again. */
#define MARK "drawn by mappo"

static int size_of(const struct output *output)
{
    const bool still = output->kind == OUTPUT_PNG || (output->kind == OUTPUT_SVG && output->strip);
    return output->size ? output->size : still ? OUTPUT_STILL : OUTPUT_PLAYS;
}

static int write_text(const struct output *output, const struct film *film, char **bytes, size_t *size)
{
    FILE *out = open_memstream(bytes, size);
    CHECK(out, "out of memory for a picture");
    if (output->kind == OUTPUT_TEXT)
        cells_film(film, output->timing, out);
    else if (output->strip)
        svg_strip(film, OUTPUT_PANELS, size_of(output), out);
    else
        svg_film(film, output->timing, size_of(output), out);
    if (output->kind == OUTPUT_TEXT) fputs("\n" MARK "\n", out);
    fclose(out);
    return 0;
}

static int write_png(const struct output *output, const struct film *film, char **bytes, size_t *size, struct error *err)
{
    const struct page page = page_plan(film, size_of(output));
    const struct strip strip = strip_plan(film, &page, OUTPUT_PANELS);
    struct raster raster;
    const int code = raster_create(&raster, strip.width, strip.height, err);
    if (code) return code;
    raster_strip(&raster, film, &strip, OUTPUT_PANELS);
    const size_t pixels = (size_t)raster.width * (size_t)raster.height;
    uint8_t *rgb = malloc(3 * pixels);
    CHECK(rgb, "out of memory for a picture");
    for (size_t i = 0; i < pixels; i++) {
        rgb[3 * i] = (uint8_t)(raster.pixel[i] >> 16);
        rgb[3 * i + 1] = (uint8_t)(raster.pixel[i] >> 8);
        rgb[3 * i + 2] = (uint8_t)raster.pixel[i];
    }
    raster_destroy(&raster);
    *size = png_write(rgb, strip.width, strip.height, MARK, (unsigned char **)bytes);
    free(rgb);
    return 0;
}

static int write_video(const struct output *output, const struct film *film, char **bytes, size_t *size, struct error *err)
{
    const struct video video = {
        .timing = output->timing, .size = size_of(output), .gif = output->kind == OUTPUT_GIF, .name = output->silent ? NULL : output->path};
    return ffmpeg_write(film, &video, bytes, size, err);
}

int output_write(const struct output *output, const struct film *film, struct error *err)
{
    /* Behind what ffmpeg made: a comment and the end of a GIF in the place of its end, a box that players skip. */
    static const char gif_end[] = "\x21\xfe\x0e" MARK "\0;", mp4_end[] = "\0\0\0\x16"
                                                                         "free" MARK;
    char *bytes = NULL;
    size_t size = 0;
    int code = 0;
    const bool gif = output->kind == OUTPUT_GIF, video = gif || output->kind == OUTPUT_MP4;
    if (video)
        code = write_video(output, film, &bytes, &size, err);
    else if (output->kind == OUTPUT_PNG)
        code = write_png(output, film, &bytes, &size, err);
    else
        code = write_text(output, film, &bytes, &size);
    if (code) return error_prefix(err, "%s", output->path);
    const struct file_part part[] = {{bytes, size - (gif && size && bytes[size - 1] == ';')},
                                     {gif ? gif_end : mp4_end, gif ? sizeof gif_end - 1 : sizeof mp4_end - 1}};
    code = file_make_room(output->path, MARK, "picture of an episode", err);
    if (!code) code = file_replace(output->path, part, video ? 2 : 1, err);
    free(bytes);
    return code;
}
