#include "render/film.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "render/film_marks.h"

/* ---- recording ----------------------------------------------------------------------------------------------------------------------- */

/* Room for `more` behind the `count` there are. */
static void *grown(void *array, size_t *room, size_t count, size_t more, size_t width)
{
    if (count + more <= *room) return array;
    *room = 2 * *room > count + more ? 2 * *room : count + more + 64;
    array = realloc(array, *room * width);
    CHECK(array, "out of memory for a film of %zu marks", count);
    return array;
}

static struct film_mark *new_mark(struct film *film, enum film_shape shape, uint32_t fill, uint32_t stroke)
{
    film->mark = grown(film->mark, &film->mark_room, film->marks, 1, sizeof *film->mark);
    struct film_mark *mark = &film->mark[film->marks++];
    *mark = (struct film_mark){.shape = shape, .fill = fill, .stroke = stroke};
    film->shot[film->shots - 1].count++;
    return mark;
}

static void record_view(void *self, double x0, double y0, double x1, double y1)
{
    struct film *film = self;
    /* Of a view that is none the usual one is taken: `mappo check` names it. */
    if (!(x1 > x0 && y1 > y0 && isfinite(x1 - x0) && isfinite(y1 - y0))) return;
    memcpy(film->shot[film->shots - 1].view, (double[]){x0, y0, x1, y1}, sizeof film->shot->view);
}

static void record_circle(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    struct film *film = self;
    const uint32_t colour = (fill & 0xff ? fill : stroke) >> 8;
    memcpy(new_mark(film, FILM_CIRCLE, fill, stroke)->at, (double[]){x, y, radius}, 3 * sizeof(double));
    if (film->colours < FILM_COLOURS && film_colour(film, colour << 8) == film->colours) film->colour[film->colours++] = colour;
}

static void record_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    memcpy(new_mark(self, FILM_LINE, 0, stroke)->at, (double[]){x0, y0, x1, y1, width}, 5 * sizeof(double));
}

static void record_rectangle(void *self, double x0, double y0, double x1, double y1, uint32_t fill, uint32_t stroke)
{
    memcpy(new_mark(self, FILM_RECTANGLE, fill, stroke)->at, (double[]){x0, y0, x1, y1}, 4 * sizeof(double));
}

static void record_polygon(void *self, const double *xy, int32_t points, uint32_t fill, uint32_t stroke)
{
    struct film *film = self;
    struct film_mark *mark = new_mark(film, FILM_POLYGON, fill, stroke);
    const size_t numbers = 2 * (size_t)points;
    mark->points = points;
    mark->from = film->numbers;
    film->xy = grown(film->xy, &film->xy_room, film->numbers, numbers, sizeof *film->xy);
    memcpy(film->xy + film->numbers, xy, numbers * sizeof *xy);
    film->numbers += numbers;
}

static void record_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    struct film *film = self;
    struct film_mark *mark = new_mark(film, FILM_TEXT, fill, 0);
    const size_t letters = strlen(text) + 1;
    memcpy(mark->at, (double[]){x, y, height}, 3 * sizeof(double));
    mark->from = film->letters;
    film->text = grown(film->text, &film->text_room, film->letters, letters, 1);
    /* No painter could show more: XML and cairo take neither control characters nor what is no UTF-8. */
    const bool readable = text_is_utf8(text);
    for (size_t i = 0; i < letters; i++) {
        const unsigned char byte = (unsigned char)text[i];
        film->text[film->letters + i] = byte && (byte < ' ' || byte == 0x7f || (byte >= 0x80 && !readable)) ? '?' : (char)byte;
    }
    film->letters += letters;
}

/* `image` may be NULL: how many runs there would be. */
static size_t pack(const uint8_t *rgb, size_t pixels, uint32_t *run)
{
    enum { LONGEST = 255 };
    size_t runs = 0;
    for (size_t i = 0; i < pixels;) {
        size_t count = 1;
        while (count < LONGEST && i + count < pixels && memcmp(rgb + 3 * i, rgb + 3 * (i + count), 3) == 0) count++;
        if (run) run[runs] = (uint32_t)count << 24 | (uint32_t)rgb[3 * i] << 16 | (uint32_t)rgb[3 * i + 1] << 8 | (uint32_t)rgb[3 * i + 2];
        runs++;
        i += count;
    }
    return runs;
}

static void record_image(void *self, const uint8_t *rgb, int32_t width, int32_t height)
{
    struct film *film = self;
    if (width < 1 || height < 1) return;
    const size_t pixels = (size_t)width * (size_t)height;
    struct film_image image = {.width = width, .height = height, .runs = pack(rgb, pixels, NULL)};
    image.run = malloc(image.runs * sizeof *image.run);
    CHECK(image.run, "out of memory for a film of %zu images", film->images);
    pack(rgb, pixels, image.run);
    film->image = grown(film->image, &film->image_room, film->images, 1, sizeof *film->image);
    new_mark(film, FILM_IMAGE, 0xff, 0)->from = film->images;
    film->image[film->images++] = image;
}

static void paint_image(const struct film_image *image, const struct mappo_canvas *c)
{
    if (!c->image) return;
    uint8_t *rgb = malloc(3 * (size_t)image->width * (size_t)image->height), *to = rgb;
    CHECK(rgb, "out of memory for an image of %d x %d pixels", image->width, image->height);
    for (size_t i = 0; i < image->runs; i++)
        for (uint32_t k = image->run[i] >> 24; k > 0; k--) {
            *to++ = (uint8_t)(image->run[i] >> 16);
            *to++ = (uint8_t)(image->run[i] >> 8);
            *to++ = (uint8_t)image->run[i];
        }
    c->image(c->self, rgb, image->width, image->height);
    free(rgb);
}

struct film *film_create(const char *title, const struct mappo_env_spec *spec)
{
    struct film *film = calloc(1, sizeof *film);
    CHECK(film, "out of memory for a film");
    film->canvas = (struct mappo_canvas){.self = film,
                                         .view = record_view,
                                         .circle = record_circle,
                                         .line = record_line,
                                         .polygon = record_polygon,
                                         .text = record_text,
                                         .rectangle = record_rectangle,
                                         .image = record_image};
    text_format(film->title, sizeof film->title, "%s", title);
    film->groups = spec->groups;
    film->group = calloc((size_t)spec->groups + 1, sizeof *film->group);
    CHECK(film->group, "out of memory for a film");
    for (int g = 0; g < spec->groups; g++) text_format(film->group[g], sizeof film->group[g], "%s", spec->group[g].name);
    return film;
}

void film_destroy(struct film *film)
{
    if (!film) return;
    free(film->group);
    free(film->episode);
    free(film->extra);
    free(film->shot);
    free(film->mark);
    free(film->xy);
    free(film->text);
    for (size_t i = 0; i < film->images; i++) free(film->image[i].run);
    free(film->image);
    free(film);
}

/* ---- circles that move -------------------------------------------------------------------------------------------------------------- */

static int circles_of(const struct film *film, int i)
{
    const struct film_shot *shot = &film->shot[i];
    int count = 0;
    for (size_t m = 0; m < shot->count; m++) count += film->mark[shot->first + m].shape == FILM_CIRCLE;
    return count;
}

/* The k-th circle of frame i. */
static const struct film_mark *circle_of(const struct film *film, int i, int k)
{
    const struct film_mark *mark = film->mark + film->shot[i].first;
    for (;; mark++)
        if (mark->shape == FILM_CIRCLE && k-- == 0) return mark;
}

/* Whether circle k of frame i + 1 is that of frame i, elsewhere, and how far. */
static bool has_moved(const struct film *film, int i, int k)
{
    const struct film_mark *a = circle_of(film, i, k), *b = circle_of(film, i + 1, k);
    const double *view = film->shot[i + 1].view, reach = 0.25 * fmax(view[2] - view[0], view[3] - view[1]);
    const double far = hypot(b->at[0] - a->at[0], b->at[1] - a->at[1]);
    return far > 0 && far <= reach && a->at[2] == b->at[2] && (a->fill ^ b->fill) >> 8 == 0;
}

/* Looks at the last two frames. */
static void note_movers(struct film *film)
{
    const struct film_episode *episode = &film->episode[film->episodes - 1];
    double *mover = &film->extra[film->episodes - 1].mover;
    const int i = film->shots - 2, circles = episode->frames < 2 ? 0 : circles_of(film, i);
    if (!circles || circles_of(film, i + 1) != circles) return;
    for (int k = 0; k < circles; k++)
        if (has_moved(film, i, k)) *mover = fmax(*mover, circle_of(film, i, k)->at[2]);
}

/* ---- episodes and frames ------------------------------------------------------------------------------------------------------------- */

void film_players(struct film *film, const char *who)
{
    text_format(film->who, sizeof film->who, "%s", who);
}

void film_team(struct film *film, const struct mappo_env_spec *spec, int team)
{
    bool others = false;
    film->team[0] = '\0';
    for (int g = 0; g < spec->groups; g++) others = others || spec->group[g].team != team;
    for (int g = 0; g < spec->groups && others; g++) {
        const size_t length = strlen(film->team);
        if (spec->group[g].team == team)
            text_format(film->team + length, sizeof film->team - length, "%s%s", length ? " and " : " of ", spec->group[g].name);
    }
}

void film_begin(struct film *film, int64_t number)
{
    size_t room = (size_t)film->episode_room;
    film->episode = grown(film->episode, &room, (size_t)film->episodes, 1, sizeof *film->episode);
    film->episode_room = (int)room;
    film->extra = realloc(film->extra, room * sizeof *film->extra);
    CHECK(film->extra, "out of memory for a film");
    film->extra[film->episodes] = (struct film_extra){.mover = 0};
    text_format(film->extra[film->episodes].who, sizeof film->who, "%s", film->who);
    film->episode[film->episodes++] = (struct film_episode){.number = number, .first = film->shots};
}

const struct mappo_canvas *film_shoot(struct film *film, const struct film_frame *frame)
{
    CHECK(film->episodes > 0, "a film's frame without an episode");
    note_movers(film);
    size_t room = (size_t)film->shot_room;
    film->shot = grown(film->shot, &room, (size_t)film->shots, 1, sizeof *film->shot);
    film->shot_room = (int)room;
    struct film_shot *shot = &film->shot[film->shots++];
    *shot = (struct film_shot){.frame = *frame, .view = {-1, -1, 1, 1}, .first = film->marks};
    shot->frame.episode = film->episodes - 1;
    struct film_episode *episode = &film->episode[film->episodes - 1];
    episode->frames++;
    episode->steps = frame->step;
    episode->ret = frame->ret;
    return &film->canvas;
}

void film_end(struct film *film, const struct film_frame *last)
{
    struct film_episode *episode = &film->episode[film->episodes - 1];
    episode->whole = true;
    episode->steps = last->step;
    episode->ret = last->ret;
}

/* ---- what was recorded --------------------------------------------------------------------------------------------------------------- */

const char *film_title(const struct film *film)
{
    return film->title;
}

int film_groups(const struct film *film)
{
    return film->groups;
}

const char *film_group(const struct film *film, int g)
{
    return film->group[g];
}

int film_episodes(const struct film *film)
{
    return film->episodes;
}

const struct film_episode *film_episode(const struct film *film, int k)
{
    return &film->episode[k];
}

int film_frames(const struct film *film)
{
    return film->shots;
}

const struct film_frame *film_frame(const struct film *film, int i)
{
    return &film->shot[i].frame;
}

int film_colour(const struct film *film, uint32_t colour)
{
    int k = 0;
    while (k < film->colours && film->colour[k] != colour >> 8) k++;
    return k < FILM_COLOURS ? k : FILM_COLOURS - 1;
}

bool film_has_images(const struct film *film)
{
    return film->images > 0;
}

void film_view(const struct film *film, int i, double view[4])
{
    memcpy(view, film->shot[i].view, sizeof film->shot[i].view);
}

/* ---- painting ------------------------------------------------------------------------------------------------------------------------ */

static void paint_mark(const struct film *film, const struct film_mark *mark, const struct mappo_canvas *c)
{
    const double *at = mark->at;
    switch (mark->shape) {
    case FILM_CIRCLE:
        c->circle(c->self, at[0], at[1], at[2], mark->fill, mark->stroke);
        break;
    case FILM_LINE:
        c->line(c->self, at[0], at[1], at[2], at[3], at[4], mark->stroke);
        break;
    case FILM_POLYGON:
        c->polygon(c->self, film->xy + mark->from, mark->points, mark->fill, mark->stroke);
        break;
    case FILM_TEXT:
        c->text(c->self, at[0], at[1], at[2], film->text + mark->from, mark->fill);
        break;
    case FILM_IMAGE:
        paint_image(&film->image[mark->from], c);
        break;
    case FILM_RECTANGLE:
        c->rectangle(c->self, at[0], at[1], at[2], at[3], mark->fill, mark->stroke);
        break;
    }
}

/* The earliest frame from which the ways of frame i's circles are known. */
static int trail_start(const struct film *film, int i, int trail)
{
    const int circles = circles_of(film, i);
    int from = i;
    while (circles && i - from < trail && from > film->episode[film->shot[i].frame.episode].first && circles_of(film, from - 1) == circles)
        from--;
    return from;
}

static bool leaves_trail(const struct film *film, int from, int to, int k)
{
    const double carried = 0.6;
    if (circle_of(film, to, k)->at[2] < carried * film->extra[film->shot[to].frame.episode].mover) return false;
    for (int i = from; i < to; i++)
        if (has_moved(film, i, k)) return true;
    return false;
}

/* The way of circle k: thinner than it, and in four shades fainter the longer ago. */
static void paint_trail(const struct film *film, int from, int to, int k, int trail, const struct mappo_canvas *c)
{
    const struct film_mark *now = circle_of(film, to, k);
    const uint32_t colour = now->fill & 0xff ? now->fill : now->stroke;
    for (int i = from; i < to; i++) {
        if (!has_moved(film, i, k)) continue;
        const struct film_mark *a = circle_of(film, i, k), *b = circle_of(film, i + 1, k);
        const double strength = 0.15 * ceil(4 * (1 - (double)(to - i - 1) / trail));
        const uint32_t alpha = (uint32_t)lround(strength * (colour & 0xff));
        c->line(c->self, a->at[0], a->at[1], b->at[0], b->at[1], 0.35 * now->at[2], (colour & 0xffffff00u) | alpha);
    }
}

void film_paint(const struct film *film, int i, int trail, const struct mappo_canvas *canvas)
{
    film_paint_ways(film, i, trail, canvas, canvas);
}

void film_paint_ways(const struct film *film, int i, int trail, const struct mappo_canvas *canvas, const struct mappo_canvas *way)
{
    const struct film_shot *shot = &film->shot[i];
    const int from = trail_start(film, i, trail), circles = from < i ? circles_of(film, i) : 0;
    bool drawn = false;
    int k = 0;
    canvas->view(canvas->self, shot->view[0], shot->view[1], shot->view[2], shot->view[3]);
    for (size_t m = 0; m < shot->count; m++) {
        const struct film_mark *mark = &film->mark[shot->first + m];
        if (mark->shape == FILM_CIRCLE && k < circles && !drawn && leaves_trail(film, from, i, k)) {
            for (int other = k; other < circles; other++)
                if (leaves_trail(film, from, i, other)) paint_trail(film, from, i, other, trail, way);
            drawn = true;
        }
        k += mark->shape == FILM_CIRCLE;
        paint_mark(film, mark, canvas);
    }
}

/* ---- words --------------------------------------------------------------------------------------------------------------------------- */

/* Of what is next to nothing not all zeros are shown. */
static void number(char *text, size_t size, double value)
{
    enum { MOST_DECIMALS = 4 };
    const int decimals = text_decimals(value);
    text_fixed(text, size, value, decimals > MOST_DECIMALS ? fabs(value) < 1e-4 ? 2 : MOST_DECIMALS : decimals);
}

int film_cells(const struct film *film)
{
    return FILM_CELL_GROUPS + (film->groups > 1 ? film->groups : 0);
}

void film_cell(const struct film *film, int i, int cell, char *text, size_t size)
{
    const struct film_frame *frame = &film->shot[i].frame;
    char value[64];
    number(value, sizeof value,
           cell == FILM_CELL_REWARD   ? frame->reward
           : cell == FILM_CELL_RETURN ? frame->ret
           : cell >= FILM_CELL_GROUPS ? frame->group_ret[cell - FILM_CELL_GROUPS]
                                      : 0);
    if (cell == FILM_CELL_STEP)
        text_format(text, size, "step %lld", (long long)frame->step);
    else if (cell == FILM_CELL_REWARD)
        text_format(text, size, "reward %s", frame->step ? value : "-");
    else
        text_format(text, size, "%s %s", cell == FILM_CELL_RETURN ? "return" : film->group[cell - FILM_CELL_GROUPS], value);
}

void film_episode_title(const struct film *film, int k, char *text, size_t size)
{
    const struct film_episode *episode = &film->episode[k];
    char ret[64];
    number(ret, sizeof ret, episode->ret);
    const char *who = film->extra[k].who;
    text_format(text, size, "episode %lld%s%s: return %s%s in %lld step%s%s", (long long)episode->number, who[0] ? ", " : "", who, ret,
                film->team, (long long)episode->steps, episode->steps == 1 ? "" : "s", episode->whole ? "" : ", not at its end");
}
