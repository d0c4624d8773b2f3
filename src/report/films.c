/* A film as JSON, for a painter of a few lines: each shape that is ever drawn once, and of every frame the numbers of its shapes, so that what
 * doesn't move costs a few characters a frame. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "render/png.h"
#include "report/parts.h"

/* Frames of a page's film, and bytes of its shapes; where there would be more, every second, third, … state is shown. */
enum { FRAMES = 600, BYTES = 700000 };

struct words { /* texts, each once, and their numbers */
    char **word;
    int count, room;
    int *place; /* [places] number + 1; 0 = free */
    int places;
    size_t bytes;
};

static void words_grow(struct words *w)
{
    w->room = w->room ? 2 * w->room : 256;
    w->places = 4 * w->room;
    w->word = realloc(w->word, (size_t)w->room * sizeof *w->word);
    free(w->place);
    w->place = calloc((size_t)w->places, sizeof *w->place);
    CHECK(w->word && w->place, "out of memory for a film");
    for (int i = 0; i < w->count; i++) {
        size_t at = hash_text(HASH_START, w->word[i]) % (size_t)w->places;
        while (w->place[at]) at = (at + 1) % (size_t)w->places;
        w->place[at] = i + 1;
    }
}

/* Takes the text over. */
static int words_add(struct words *w, char *text)
{
    if (w->count == w->room) words_grow(w);
    size_t at = hash_text(HASH_START, text) % (size_t)w->places;
    for (; w->place[at]; at = (at + 1) % (size_t)w->places)
        if (strcmp(w->word[w->place[at] - 1], text) == 0) {
            free(text);
            return w->place[at] - 1;
        }
    w->place[at] = w->count + 1;
    w->word[w->count] = text;
    w->bytes += strlen(text) + 1;
    return w->count++;
}

static void words_free(struct words *w)
{
    for (int i = 0; i < w->count; i++) free(w->word[i]);
    free(w->word);
    free(w->place);
    *w = (struct words){.count = 0};
}

/* ---- the canvas ------------------------------------------------------------------------------------------------------------------------ */

/* An image that others are patches of. */
struct key {
    uint8_t *rgb; /* [height][width][3] */
    int width, height, mark;
};

struct pen {
    struct key *key;
    FILE *out;  /* of the frame: numbers of its shapes */
    FILE *mark; /* of one shape */
    char *text; /* what that has written */
    size_t size;
    struct words *marks;
    int decimals, shapes; /* of coordinates; so far in this frame */
};

static void begin(struct pen *pen, int shape)
{
    pen->mark = open_memstream(&pen->text, &pen->size);
    CHECK(pen->mark, "out of memory for a film");
    fprintf(pen->mark, "[%d", shape);
}

static void add_shape(struct pen *pen, int number)
{
    fprintf(pen->out, "%s%d", pen->shapes++ ? "," : "", number);
}

static int end(struct pen *pen)
{
    fputc(']', pen->mark);
    fclose(pen->mark);
    const int number = words_add(pen->marks, pen->text);
    add_shape(pen, number);
    return number;
}

/* As many decimals as a screen can show, without zeros behind them. */
static void add_number(struct pen *pen, double value)
{
    char text[64];
    text_fixed(text, sizeof text, isfinite(value) ? value : 0, pen->decimals);
    if (strchr(text, '.'))
        for (char *last = text + strlen(text) - 1; *last == '0' || *last == '.'; last--) {
            const bool point = *last == '.';
            *last = '\0';
            if (point) break;
        }
    fprintf(pen->mark, ",%s", text);
}

static void add_numbers(struct pen *pen, const double *value, int count)
{
    for (int i = 0; i < count; i++) add_number(pen, value[i]);
}

static void add_colours(struct pen *pen, uint32_t fill, uint32_t stroke)
{
    fprintf(pen->mark, ",%lu,%lu", (unsigned long)fill, (unsigned long)stroke);
}

static void draw_view(void *self, double x0, double y0, double x1, double y1)
{
    struct pen *pen = self;
    const double span = fmax(fabs(x1 - x0), fabs(y1 - y0));
    pen->decimals = span > 0 ? (int)fmin(8, fmax(0, 3 - floor(log10(span)))) : 3;
}

static void draw_circle(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    begin(self, 0);
    add_numbers(self, (const double[]){x, y, radius}, 3);
    add_colours(self, fill, stroke);
    end(self);
}

static void draw_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    begin(self, 1);
    add_numbers(self, (const double[]){x0, y0, x1, y1, width}, 5);
    add_colours(self, 0, stroke);
    end(self);
}

static void draw_polygon(void *self, const double *xy, int32_t points, uint32_t fill, uint32_t stroke)
{
    begin(self, 2);
    add_colours(self, fill, stroke);
    add_numbers(self, xy, 2 * points);
    end(self);
}

static void draw_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    struct pen *pen = self;
    begin(pen, 3);
    add_numbers(pen, (const double[]){x, y, height}, 3);
    add_colours(pen, fill, 0);
    fputc(',', pen->mark);
    text_json_string(pen->mark, text);
    end(pen);
}

static void draw_rectangle(void *self, double x0, double y0, double x1, double y1, uint32_t fill, uint32_t stroke)
{
    begin(self, 4);
    add_numbers(self, (const double[]){x0, y0, x1, y1}, 4);
    add_colours(self, fill, stroke);
    end(self);
}

static void add_png(struct pen *pen, const uint8_t *rgb, int width, int height)
{
    char *png = png_base64(rgb, width, height);
    fprintf(pen->mark, ",\"%s\"", png);
    free(png);
}

static void set_key(struct pen *pen, const uint8_t *rgb, int width, int height)
{
    struct key *key = pen->key;
    const size_t bytes = 3 * (size_t)width * (size_t)height;
    key->rgb = realloc(key->rgb, bytes);
    CHECK(key->rgb, "out of memory for a film");
    memcpy(key->rgb, rgb, bytes);
    key->width = width;
    key->height = height;
    begin(pen, 5);
    add_png(pen, rgb, width, height);
    key->mark = end(pen);
}

/* The rectangle in which an image is not as the key: left, top, right, bottom, where right and bottom are outside; all 0 = it is the same. */
static void difference(const struct key *key, const uint8_t *rgb, int box[4])
{
    const size_t row = 3 * (size_t)key->width;
    memcpy(box, (int[]){key->width, key->height, 0, 0}, 4 * sizeof *box);
    for (int y = 0; y < key->height; y++) {
        const uint8_t *a = key->rgb + (size_t)y * row, *b = rgb + (size_t)y * row;
        if (memcmp(a, b, row) == 0) continue;
        int left = 0, right = key->width;
        while (memcmp(a + 3 * left, b + 3 * left, 3) == 0) left++;
        while (memcmp(a + 3 * (right - 1), b + 3 * (right - 1), 3) == 0) right--;
        if (left < box[0]) box[0] = left;
        if (right > box[2]) box[2] = right;
        if (y < box[1]) box[1] = y;
        box[3] = y + 1;
    }
    if (box[3] == 0) memset(box, 0, 4 * sizeof *box);
}

/* Of the whole view: most images of an episode are the first one with a patch on it. */
static void draw_image(void *self, const uint8_t *rgb, int32_t width, int32_t height)
{
    enum { LARGEST = 2 }; /* half of the image */
    struct pen *pen = self;
    struct key *key = pen->key;
    int box[4];
    if (key->width == width && key->height == height) {
        difference(key, rgb, box);
        const int across = box[2] - box[0], down = box[3] - box[1];
        if (LARGEST * (int64_t)across * down < (int64_t)width * height) {
            add_shape(pen, key->mark);
            if (across == 0) return;
            uint8_t *patch = malloc(3 * (size_t)across * (size_t)down);
            CHECK(patch, "out of memory for a film");
            for (int y = 0; y < down; y++)
                memcpy(patch + 3 * (size_t)y * (size_t)across, rgb + 3 * ((size_t)(box[1] + y) * (size_t)width + (size_t)box[0]),
                       3 * (size_t)across);
            begin(pen, 6);
            fprintf(pen->mark, ",%d,%d", box[0], box[1]);
            add_png(pen, patch, across, down);
            end(pen);
            free(patch);
            return;
        }
    }
    set_key(pen, rgb, width, height);
}

/* ---- the film -------------------------------------------------------------------------------------------------------------------------- */

static void write_frame(FILE *out, const struct film *film, int i, struct words *marks, struct key *key)
{
    struct pen pen = {.out = out, .marks = marks, .key = key, .decimals = 3};
    const struct mappo_canvas canvas = {&pen, draw_view, draw_circle, draw_line, draw_polygon, draw_text, draw_rectangle, draw_image};
    const struct film_frame *frame = film_frame(film, i);
    double view[4];
    film_view(film, i, view);
    fprintf(out, "[%lld,%.5g,%.6g,[%.6g,%.6g,%.6g,%.6g],[", (long long)frame->step, frame->reward, frame->ret, view[0], view[1], view[2],
            view[3]);
    film_paint(film, i, 0, &canvas);
    fputs("],[", out);
    for (int g = 0; film_groups(film) > 1 && g < film_groups(film); g++) fprintf(out, "%s%.5g", g ? "," : "", frame->group_ret[g]);
    fputs("]]", out);
}

/* False where that became too much. */
static bool write_frames(FILE *out, const struct film *film, int every, struct words *marks)
{
    const int frames = film_frames(film);
    struct key key = {.rgb = NULL};
    bool fits = true;
    fputs("\"frames\":[", out);
    for (int i = 0, told = 0; i < frames && fits; i++) {
        if (i % every && i != frames - 1) continue;
        if (told++) fputs(",\n", out);
        write_frame(out, film, i, marks, &key);
        fits = marks->bytes + (size_t)ftell(out) <= BYTES || every >= frames;
    }
    fputc(']', out);
    free(key.rgb);
    return fits;
}

void films_write(FILE *out, const struct film *film)
{
    int every = (film_frames(film) + FRAMES - 1) / FRAMES;
    char *text = NULL;
    size_t size = 0;
    struct words marks = {.count = 0};
    if (every < 1) every = 1;
    for (bool fits = false; !fits; every *= 2) {
        words_free(&marks);
        free(text);
        FILE *frames = open_memstream(&text, &size);
        CHECK(frames, "out of memory for a film");
        fits = write_frames(frames, film, every, &marks);
        fclose(frames);
    }
    every /= 2;
    const struct film_episode *episode = film_episode(film, 0);
    fprintf(out, "{\"number\":%lld,\"every\":%d,\"whole\":%s,\"groups\":[", (long long)episode->number, every,
            episode->whole ? "true" : "false");
    for (int g = 0; film_groups(film) > 1 && g < film_groups(film); g++) {
        if (g) fputc(',', out);
        text_json_string(out, film_group(film, g));
    }
    fputs("],\"marks\":[", out);
    for (int i = 0; i < marks.count; i++) fprintf(out, "%s%s", i ? "," : "", marks.word[i]);
    fprintf(out, "],\n%s}", text);
    words_free(&marks);
    free(text);
}
