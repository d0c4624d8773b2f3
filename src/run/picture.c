#include "run/picture.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <strings.h>

#include "base/file.h"

enum { PANEL = 220, GAP = 12, CAPTION = 22, TITLE = 30 }; /* pixels */

struct spot { /* the middle of a circle, in panel coordinates */
    double x, y;
    uint32_t fill;
};

struct frame {
    int64_t step;
    char *shapes; /* SVG elements in panel coordinates */
    size_t size;
    struct spot *spot;
    int spots, room;
};

struct picture {
    struct mappo_canvas canvas;
    struct frame *frame;
    int frames, room;
    FILE *out;            /* of the frame being drawn */
    double x0, y0, scale; /* world to panel */
};

static double px(const struct picture *p, double x)
{
    return (x - p->x0) * p->scale;
}
static double py(const struct picture *p, double y)
{
    return PANEL - (y - p->y0) * p->scale;
}

/* 0xRRGGBBAA; alpha 0 is none. */
static void paint(FILE *out, const char *what, uint32_t colour)
{
    if (!(colour & 0xff))
        fprintf(out, " %s=\"none\"", what);
    else
        fprintf(out, " %s=\"#%06x\" %s-opacity=\"%.3g\"", what, (unsigned)(colour >> 8), what, (colour & 0xff) / 255.0);
}

static void draw_view(void *self, double x0, double y0, double x1, double y1)
{
    struct picture *p = self;
    const double wide = x1 - x0, high = y1 - y0;
    p->scale = PANEL / (wide > high ? wide : high);
    p->x0 = x0;
    p->y0 = y0;
}

static void keep_spot(struct frame *frame, struct spot spot)
{
    if (frame->spots == frame->room) {
        frame->room = frame->room ? 2 * frame->room : 8;
        frame->spot = realloc(frame->spot, (size_t)frame->room * sizeof *frame->spot);
        CHECK(frame->spot, "out of memory for a picture");
    }
    frame->spot[frame->spots++] = spot;
}

static void draw_circle(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    struct picture *p = self;
    keep_spot(&p->frame[p->frames - 1], (struct spot){px(p, x), py(p, y), fill});
    fprintf(p->out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\"", px(p, x), py(p, y), radius * p->scale);
    paint(p->out, "fill", fill);
    paint(p->out, "stroke", stroke);
    fputs("/>\n", p->out);
}

static void draw_rectangle(void *self, double x0, double y0, double x1, double y1, uint32_t fill, uint32_t stroke)
{
    struct picture *p = self;
    const double left = px(p, fmin(x0, x1)), top = py(p, fmax(y0, y1));
    fprintf(p->out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"", left, top, fabs(x1 - x0) * p->scale,
            fabs(y1 - y0) * p->scale);
    paint(p->out, "fill", fill);
    paint(p->out, "stroke", stroke);
    fputs("/>\n", p->out);
}

static void draw_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    struct picture *p = self;
    fprintf(p->out, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" stroke-width=\"%.2f\"", px(p, x0), py(p, y0), px(p, x1),
            py(p, y1), width * p->scale);
    paint(p->out, "stroke", stroke);
    fputs("/>\n", p->out);
}

static void draw_polygon(void *self, const double *xy, int32_t points, uint32_t fill, uint32_t stroke)
{
    struct picture *p = self;
    fputs("<polygon points=\"", p->out);
    for (int32_t i = 0; i < points; i++) fprintf(p->out, "%.2f,%.2f ", px(p, xy[2 * i]), py(p, xy[2 * i + 1]));
    fputc('"', p->out);
    paint(p->out, "fill", fill);
    paint(p->out, "stroke", stroke);
    fputs("/>\n", p->out);
}

static void escape(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else
            fputc(*text, out);
    }
}

static void draw_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    struct picture *p = self;
    fprintf(p->out, "<text x=\"%.2f\" y=\"%.2f\" font-size=\"%.2f\"", px(p, x), py(p, y), height * p->scale);
    paint(p->out, "fill", fill);
    fputc('>', p->out);
    escape(p->out, text);
    fputs("</text>\n", p->out);
}

int picture_check(const char *path, struct error *err)
{
    const size_t length = strlen(path);
    if (length < 4 || strcasecmp(path + length - 4, ".svg") != 0)
        return error_set(err, EXIT_USAGE, "picture=%s: pictures are SVG: a name that ends in .svg is needed", path);
    return file_check_writable(path, err) ? error_prefix(err, "picture") : 0;
}

struct picture *picture_create(void)
{
    struct picture *p = calloc(1, sizeof *p);
    CHECK(p, "out of memory for a picture");
    p->canvas = (struct mappo_canvas){p, draw_view, draw_circle, draw_line, draw_polygon, draw_text, draw_rectangle, NULL};
    return p;
}

static void end_frame(struct picture *p)
{
    if (p->out) fclose(p->out);
    p->out = NULL;
}

void picture_destroy(struct picture *p)
{
    if (!p) return;
    end_frame(p);
    for (int i = 0; i < p->frames; i++) {
        free(p->frame[i].shapes);
        free(p->frame[i].spot);
    }
    free(p->frame);
    free(p);
}

const struct mappo_canvas *picture_frame(struct picture *p, int64_t step)
{
    end_frame(p);
    if (p->frames == p->room) {
        p->room = p->room ? 2 * p->room : 64;
        p->frame = realloc(p->frame, (size_t)p->room * sizeof *p->frame);
        CHECK(p->frame, "out of memory for a picture");
    }
    struct frame *frame = &p->frame[p->frames++];
    *frame = (struct frame){.step = step};
    p->out = open_memstream(&frame->shapes, &frame->size);
    CHECK(p->out, "out of memory for a picture");
    draw_view(p, -1, -1, 1, 1);
    return &p->canvas;
}

static const char mark[] = "<!-- drawn by mappo -->";

/* An older picture is replaced; anything else that stands under the name is set aside with a message. */
static int make_room(const char *path, struct error *err)
{
    enum { HEAD = 512 };
    char head[HEAD + 1] = "", moved[4096];
    struct stat info;
    if (lstat(path, &info) != 0) return 0;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return error_set(err, EXIT_USAGE, "%s: not a file that a picture could replace", path);
    FILE *file = fopen(path, "re");
    if (file) {
        head[fread(head, 1, HEAD, file)] = '\0';
        fclose(file);
    }
    if (strstr(head, mark)) return 0;
    const int code = file_set_aside(path, moved, sizeof moved, err);
    if (!code) warn("%s was no picture of an episode: it is now %s", path, moved);
    return code;
}

/* The way of each circle from frame `from` to frame `to`, where all of these have as many circles: the k-th is the same thing then. */
static void write_trails(const struct picture *p, int from, int to, FILE *out)
{
    const struct frame *last = &p->frame[to];
    for (int i = from; i < to; i++)
        if (p->frame[i].spots != last->spots) return;
    for (int k = 0; k < last->spots; k++) {
        bool moves = false;
        for (int i = from; i < to; i++)
            moves = moves || p->frame[i].spot[k].x != last->spot[k].x || p->frame[i].spot[k].y != last->spot[k].y;
        if (!moves) continue;
        fputs("<polyline points=\"", out);
        for (int i = from; i <= to; i++) fprintf(out, "%.2f,%.2f ", p->frame[i].spot[k].x, p->frame[i].spot[k].y);
        fputs("\" fill=\"none\"", out);
        paint(out, "stroke", last->spot[k].fill);
        fputs("/>\n", out);
    }
}

int picture_write(struct picture *p, const char *path, int panels, const char *title, struct error *err)
{
    end_frame(p);
    if (panels > p->frames) panels = p->frames;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory for a picture");
    const int width = panels * (PANEL + GAP) + GAP, height = TITLE + PANEL + CAPTION + GAP;
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\">\n%s\n", width, height,
            mark);
    fprintf(out, "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n<text x=\"%d\" y=\"20\" font-size=\"14\" fill=\"#222222\">",
            GAP);
    escape(out, title);
    fputs("</text>\n", out);
    for (int i = 0, before = 0; i < panels; i++) {
        const int at = panels > 1 ? i * (p->frames - 1) / (panels - 1) : 0;
        const struct frame *frame = &p->frame[at];
        fprintf(out,
                "<svg x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"><rect width=\"100%%\" height=\"100%%\" fill=\"#f7f7f5\" "
                "stroke=\"#cccccc\"/>\n",
                GAP + i * (PANEL + GAP), TITLE, PANEL, PANEL);
        write_trails(p, before, at, out);
        fprintf(out, "%s</svg>\n", frame->shapes);
        before = at;
        fprintf(out, "<text x=\"%d\" y=\"%d\" font-size=\"12\" fill=\"#555555\">step %lld</text>\n", GAP + i * (PANEL + GAP),
                TITLE + PANEL + 16, (long long)frame->step);
    }
    fputs("</svg>\n", out);
    fclose(out);
    int code = make_room(path, err);
    if (!code) code = file_replace(path, &(struct file_part){text, size}, 1, err);
    free(text);
    return code;
}
