#include "render/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "render/svg_items.h"

enum { VALUE = 32 };

/* ---- one shape ----------------------------------------------------------------------------------------------------------------------- */

static void escape(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '>')
            fputs("&gt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else
            fputc(*text, out);
    }
}

/* Tenths of a pixel: "12.3", "12". */
static void tenths(char *text, double x)
{
    const double rounded = round(10 * x) / 10;
    text_format(text, VALUE, rounded == round(rounded) ? "%.0f" : "%.1f", rounded + 0.0);
}

/* What a shape has: attributes of numbers, in the order of item.at. */
static const struct {
    const char *element, *number[5];
} kind[] = {
    [FILM_CIRCLE] = {"circle", {"cx", "cy", "r"}},
    [FILM_LINE] = {"line", {"x1", "y1", "x2", "y2", "stroke-width"}},
    [FILM_POLYGON] = {"polygon", {NULL}},
    [FILM_TEXT] = {"text", {"x", "y", "font-size"}},
    [FILM_RECTANGLE] = {"rect", {"x", "y", "width", "height"}},
    [FILM_IMAGE] = {"image", {"x", "y", "width", "height"}},
};

/* Its attributes: numbers, points, and two colours with their opacity. */
enum attribute { NUMBER, POINTS = 5, FILL, FILL_OPACITY, STROKE, STROKE_OPACITY, ATTRIBUTES };

static const char *name_of(enum film_shape shape, enum attribute a)
{
    static const char *const rest[] = {"points", "fill", "fill-opacity", "stroke", "stroke-opacity"};
    if (a < POINTS) return kind[shape].number[a];
    if (a == POINTS) return shape == FILM_POLYGON ? rest[0] : NULL;
    if (shape == FILM_LINE && (a == FILL || a == FILL_OPACITY)) return NULL;
    if (shape == FILM_IMAGE) return NULL;
    if (shape == FILM_TEXT && (a == STROKE || a == STROKE_OPACITY)) return NULL;
    return rest[a - POINTS];
}

/* Values as texts; the two are there at the same time. */
struct values {
    const struct items *items;
    char *text[2];
    size_t room;
};

static void values_create(struct values *v, const struct items *items)
{
    int32_t points = 0;
    for (size_t i = 0; i < items->count; i++)
        points = items->item[i].shape == FILM_POLYGON && items->item[i].points > points ? items->item[i].points : points;
    *v = (struct values){.items = items, .room = (size_t)(2 * points + 2) * VALUE};
    for (int slot = 0; slot < 2; slot++) {
        v->text[slot] = malloc(v->room);
        CHECK(v->text[slot], "out of memory for a picture");
    }
}

static void values_destroy(struct values *v)
{
    free(v->text[0]);
    free(v->text[1]);
}

/* "12.3"; "1,2 3,4" of points; "#aabbcc" and 0.5 of colours, whose opacity is empty where it is 1 and where there is none. */
static const char *value_of(const struct values *v, size_t at, enum attribute a, int slot)
{
    const struct item *item = &v->items->item[at];
    char *to = v->text[slot];
    to[0] = '\0';
    if (a < POINTS) {
        tenths(to, item->at[a]);
    } else if (a == POINTS) {
        for (int i = 0; i < 2 * item->points; i++) {
            tenths(to, v->items->xy[item->from + (size_t)i]);
            to += strlen(to);
            *to++ = i % 2 ? ' ' : ',';
        }
        to[item->points ? -1 : 0] = '\0';
    } else {
        const uint32_t colour = a == FILL || a == FILL_OPACITY ? item->fill : item->stroke;
        if (a == FILL || a == STROKE)
            text_format(to, VALUE, colour & 0xff ? "#%06x" : "none", (unsigned)(colour >> 8));
        else if ((colour & 0xff) != 0xff && colour & 0xff)
            text_format(to, VALUE, "%.2g", (colour & 0xff) / 255.0);
    }
    return v->text[slot];
}

/* Whether two items have the same value; looked at as they are first, since most shapes never change. */
static bool alike(const struct values *v, size_t one, size_t two, enum attribute a)
{
    const struct item *p = &v->items->item[one], *q = &v->items->item[two];
    if (a < POINTS && p->at[a] == q->at[a]) return true;
    if (a == POINTS && memcmp(v->items->xy + p->from, v->items->xy + q->from, 2 * (size_t)p->points * sizeof *v->items->xy) == 0)
        return true;
    if (a > POINTS && p->fill == q->fill && p->stroke == q->stroke) return true;
    return strcmp(value_of(v, one, a, 0), value_of(v, two, a, 1)) == 0;
}

/* ---- over time ----------------------------------------------------------------------------------------------------------------------- */

struct film_writer {
    FILE *out;
    struct values values;
    const struct timetable *time;
    double end;
};

/* The moment of frame f, as a part of all. */
static void key_time(FILE *out, const struct film_writer *w, int f)
{
    char text[VALUE];
    text_format(text, sizeof text, "%.*f", w->time->count > 200 ? 5 : 4, w->time->seconds[f] / w->end);
    for (size_t last = strlen(text) - 1; text[last] == '0'; last--) text[last] = '\0';
    const size_t length = strlen(text);
    if (text[length - 1] == '.') text[length - 1] = '\0';
    fputs(text[0] == '0' && text[1] ? text + 1 : text, out);
}

static void end_animation(const struct film_writer *w, bool glides)
{
    fprintf(w->out, "\" dur=\"%.4gs\"%s repeatCount=\"indefinite\"/>", w->end, glides ? "" : " calcMode=\"discrete\"");
}

/* Frames of the thread at which its value is needed: where it changes, and, of what glides, the frames on both sides. */
static bool needed(const struct film_writer *w, const struct thread *t, enum attribute a, int i, bool glides)
{
    if (i == 0 || (glides && i == t->count - 1)) return true;
    if (!alike(&w->values, t->item[i - 1], t->item[i], a)) return true;
    return glides && !alike(&w->values, t->item[i], t->item[i + 1], a);
}

/* An opacity that is not written is 1. */
static const char *written(const char *value)
{
    return value[0] ? value : "1";
}

static void animate(const struct film_writer *w, const struct thread *t, enum attribute a)
{
    const enum film_shape shape = w->values.items->item[t->item[0]].shape;
    const bool glides = a <= POINTS;
    fprintf(w->out, "<animate attributeName=\"%s\" values=\"", name_of(shape, a));
    for (int i = 0; i < t->count; i++)
        if (needed(w, t, a, i, glides)) fprintf(w->out, "%s%s", i ? ";" : "", written(value_of(&w->values, t->item[i], a, 0)));
    if (glides) fprintf(w->out, ";%s", value_of(&w->values, t->item[t->count - 1], a, 0)); /* it stands until the end */
    fputs("\" keyTimes=\"0", w->out);
    for (int i = 1; i < t->count; i++) {
        if (!needed(w, t, a, i, glides)) continue;
        fputc(';', w->out);
        key_time(w->out, w, t->first + i);
    }
    if (glides) fputs(";1", w->out);
    end_animation(w, glides);
}

static bool changes(const struct film_writer *w, const struct thread *t, enum attribute a)
{
    for (int i = 1; i < t->count; i++)
        if (!alike(&w->values, t->item[i - 1], t->item[i], a)) return true;
    return false;
}

/* Seen from frame `first` on, for `count` frames. Without that what is seen at the end is seen. */
static void write_visibility(const struct film_writer *w, int first, int count)
{
    fputs("<animate attributeName=\"visibility\" values=\"", w->out);
    fprintf(w->out, "%s%s\" keyTimes=\"0", first ? "hidden;visible" : "visible", first + count < w->time->count ? ";hidden" : "");
    if (first) {
        fputc(';', w->out);
        key_time(w->out, w, first);
    }
    if (first + count < w->time->count) {
        fputc(';', w->out);
        key_time(w->out, w, first + count);
    }
    end_animation(w, false);
}

/* Large pixels have edges. */
static void write_image(const struct film_writer *w, const struct item *item)
{
    const bool large = item->at[2] > 2 * item->points;
    fprintf(w->out, "%s href=\"data:image/png;base64,%s\"", large ? " style=\"image-rendering:pixelated\"" : "",
            w->values.items->text + item->from);
}

/* Whether t is the part of a trail that a circle draws while it glides to frame t->first. (With every k-th frame only, it is drawn there.) */
static bool grows(const struct film_writer *w, const struct thread *t)
{
    return w->values.items->item[t->item[0]].stays && t->first > 0 && w->time->frame[t->first] == w->time->frame[t->first - 1] + 1;
}

/* Its newer end goes from the older one to its place. */
static void grow(const struct film_writer *w, const struct thread *t, enum attribute from, enum attribute to)
{
    if (w->values.items->item[t->item[0]].at[from] == w->values.items->item[t->item[0]].at[to]) return;
    const int begins = t->first - 1;
    fprintf(w->out, "<animate attributeName=\"%s\" values=\"", name_of(FILM_LINE, to));
    for (int i = begins ? 0 : 1; i < 2; i++) fprintf(w->out, "%s;", value_of(&w->values, t->item[0], from, 0));
    const char *end = value_of(&w->values, t->item[0], to, 0);
    fprintf(w->out, "%s;%s\" keyTimes=\"0", end, end);
    for (int f = begins ? begins : t->first; f <= t->first; f++) {
        fputc(';', w->out);
        key_time(w->out, w, f);
    }
    fputs(";1", w->out);
    end_animation(w, true);
}

/* A line that comes and goes: how strong it is, and 0 where it is not there. Most are trails, of which there are many. */
static void write_strength(const struct film_writer *w, const struct thread *t)
{
    const bool ends = t->first + t->count < w->time->count;
    const int first = grows(w, t) ? t->first - 1 : t->first;
    fprintf(w->out, "<animate attributeName=\"stroke-opacity\" values=\"%s", first ? "0;" : "");
    for (int i = 0; i < t->count; i++)
        if (needed(w, t, STROKE_OPACITY, i, false))
            fprintf(w->out, "%s%s", i ? ";" : "", written(value_of(&w->values, t->item[i], STROKE_OPACITY, 0)));
    fprintf(w->out, "%s\" keyTimes=\"0", ends ? ";0" : "");
    for (int i = first ? 0 : 1; i < t->count; i++) {
        if (!needed(w, t, STROKE_OPACITY, i, false)) continue;
        fputc(';', w->out);
        key_time(w->out, w, i ? t->first + i : first);
    }
    if (ends) {
        fputc(';', w->out);
        key_time(w->out, w, t->first + t->count);
    }
    end_animation(w, false);
}

static void write_thread(const struct film_writer *w, const struct thread *t)
{
    const size_t last = t->item[t->count - 1];
    const struct item *item = &w->values.items->item[last];
    const bool always = t->count == w->time->count, gone = t->first + t->count < w->time->count; /* at the end */
    const bool fades = !always && item->shape == FILM_LINE;
    bool changing[ATTRIBUTES] = {false}, any = !always;
    fprintf(w->out, "<%s", kind[item->shape].element);
    for (enum attribute a = NUMBER; a < ATTRIBUTES; a++) {
        if (!name_of(item->shape, a)) continue;
        const char *value = value_of(&w->values, last, a, 0);
        if (fades && a == STROKE_OPACITY && gone) value = "0";
        if (value[0]) fprintf(w->out, " %s=\"%s\"", name_of(item->shape, a), value);
        changing[a] = changes(w, t, a) && !(fades && a == STROKE_OPACITY);
        any = any || changing[a];
    }
    if (item->shape == FILM_IMAGE) write_image(w, item);
    if (gone && !fades) fputs(" visibility=\"hidden\"", w->out);
    if (!any && item->shape != FILM_TEXT) {
        fputs("/>\n", w->out);
        return;
    }
    fputc('>', w->out);
    if (item->shape == FILM_TEXT) escape(w->out, w->values.items->text + item->from);
    for (enum attribute a = NUMBER; a < ATTRIBUTES; a++)
        if (changing[a]) animate(w, t, a);
    if (fades && grows(w, t)) {
        grow(w, t, NUMBER + 0, NUMBER + 2); /* x1, x2 */
        grow(w, t, NUMBER + 1, NUMBER + 3);
    }
    if (fades)
        write_strength(w, t);
    else if (!always)
        write_visibility(w, t->first, t->count);
    fprintf(w->out, "</%s>\n", kind[item->shape].element);
}

/* ---- the page ------------------------------------------------------------------------------------------------------------------------ */

static void write_line(FILE *out, double x, double y, double font, const char *text)
{
    char at[3][VALUE];
    tenths(at[0], x);
    tenths(at[1], y);
    tenths(at[2], font);
    fprintf(out, "<text x=\"%s\" y=\"%s\" font-size=\"%s\" fill=\"#%06x\">", at[0], at[1], at[2], PAGE_INK);
    escape(out, text);
    fputs("</text>\n", out);
}

static void write_begin(FILE *out, int width, int height)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\">\n"
            "<!-- drawn by mappo -->\n<rect width=\"%d\" height=\"%d\" fill=\"#%06x\"/>\n",
            width, height, width, height, width, height, PAGE_PAPER);
}

/* What is drawn beyond the panel is cut off: the shapes stand in an <svg> of its size, with the page's coordinates. */
static void write_panel(FILE *out, const struct page *page, double x, double y)
{
    fprintf(out,
            "<svg x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" viewBox=\"%g %g %g %g\"><rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" "
            "fill=\"#%06x\" stroke=\"#%06x\"/>\n",
            x, y, page->wide, page->high, page->left, page->top, page->wide, page->high, page->left, page->top, page->wide, page->high,
            PAGE_GROUND, PAGE_EDGE);
}

/* The texts of frame f of the timetable below the panel, or above it where its episode begins. */
static void write_words(const struct film_writer *w, const struct film *film, const struct page *page, int f)
{
    const int frame = w->time->frame[f];
    char text[400];
    fprintf(w->out, "<text font-size=\"%.3g\" fill=\"#%06x\"%s>", page->font, PAGE_INK,
            f < w->time->count - 1 ? " visibility=\"hidden\"" : "");
    for (int c = 0; c < film_cells(film); c++) {
        film_cell(film, frame, c, text, sizeof text);
        fprintf(w->out, "<tspan x=\"%.0f\" y=\"%.0f\">", page_cell_x(page, c), page_cell_y(page, c));
        escape(w->out, text);
        fputs("</tspan>", w->out);
    }
    if (w->time->count > 1) write_visibility(w, f, 1);
    fputs("</text>\n", w->out);
}

/* Of every episode its line below the title, while it lasts. */
static void write_episodes(const struct film_writer *w, const struct film *film, const struct page *page)
{
    char text[400];
    for (int f = 0; f < w->time->count;) {
        const int episode = film_frame(film, w->time->frame[f])->episode;
        int count = 1;
        while (f + count < w->time->count && film_frame(film, w->time->frame[f + count])->episode == episode) count++;
        film_episode_title(film, episode, text, sizeof text);
        const bool seen = f + count == w->time->count;
        fprintf(w->out, "<text x=\"%g\" y=\"%d\" font-size=\"%.3g\" fill=\"#%06x\"%s>", page->left, PAGE_TITLE - 8,
                page_font(text, page->wide, PAGE_FONT), PAGE_INK, seen ? "" : " visibility=\"hidden\"");
        escape(w->out, text);
        if (count < w->time->count) write_visibility(w, f, count);
        fputs("</text>\n", w->out);
        f += count;
    }
}

/* The items of frames, one after the other; begin [frames + 1]. */
static size_t *collect(struct items *items, const struct film *film, const struct timetable *time)
{
    size_t *begin = calloc((size_t)time->count + 1, sizeof *begin);
    CHECK(begin, "out of memory for a picture");
    for (int f = 0; f < time->count; f++) {
        film_paint_ways(film, time->frame[f], PAGE_TRAIL, &items->canvas, &items->way);
        begin[f + 1] = items->count;
    }
    return begin;
}

void svg_film(const struct film *film, struct timing timing, int size, FILE *out)
{
    const struct page page = page_plan(film, size);
    struct timetable time = timetable_create(film, timing);
    struct items items;
    items_create(&items, &page);
    size_t *begin = collect(&items, film, &time);
    struct film_writer w = {.out = out, .time = &time, .end = time.seconds[time.count]};
    values_create(&w.values, &items);
    write_begin(out, page.width, page.height);
    write_line(out, page.left, PAGE_MARGIN + 10, page_font(film_title(film), page.wide, PAGE_FONT + 2), film_title(film));
    write_episodes(&w, film, &page);
    write_panel(out, &page, page.left, page.top);
    struct thread *first = threads_weave(&items, begin, time.count);
    for (const struct thread *t = first; t; t = t->next) write_thread(&w, t);
    fputs("</svg>\n", out);
    for (int f = 0; f < time.count; f++) write_words(&w, film, &page, f);
    fputs("</svg>\n", out);
    threads_free(first);
    free(begin);
    values_destroy(&w.values);
    items_destroy(&items);
    timetable_destroy(&time);
}

/* ---- strips -------------------------------------------------------------------------------------------------------------------------- */

/* Frames `before` to `at` of the film: the panel of the latter, with what is told below it. */
static void write_still(FILE *out, const struct film *film, const struct page *page, int before, int at, double x, double y)
{
    const struct timetable alone = {.count = 1, .frame = &at, .seconds = (double[]){0, 1}};
    struct items items;
    char text[400];
    items_create(&items, page);
    film_paint(film, at, at - before, &items.canvas);
    struct film_writer w = {.out = out, .time = &alone, .end = 1};
    values_create(&w.values, &items);
    write_panel(out, page, x, y);
    for (size_t i = 0; i < items.count; i++) write_thread(&w, &(struct thread){.count = 1, .item = &i});
    fputs("</svg>\n", out);
    values_destroy(&w.values);
    items_destroy(&items);
    film_cell(film, at, 0, text, sizeof text);
    write_line(out, x, y + page->high + PAGE_LINE - 2, PAGE_FONT, text);
}

void svg_strip(const struct film *film, int panels, int size, FILE *out)
{
    const struct page page = page_plan(film, size);
    const struct strip strip = strip_plan(film, &page, panels);
    char text[400];
    write_begin(out, strip.width, strip.height);
    write_line(out, PAGE_MARGIN, PAGE_MARGIN + 10, page_font(film_title(film), strip.width - 2 * PAGE_MARGIN, PAGE_FONT + 2),
               film_title(film));
    for (int k = 0; k < film_episodes(film); k++) {
        const double top = strip_top(&strip, k);
        film_episode_title(film, k, text, sizeof text);
        write_line(out, PAGE_MARGIN, top - 8, page_font(text, strip.width - 2 * PAGE_MARGIN, PAGE_FONT), text);
        for (int i = 0, before = -1, at; (at = strip_frame(film, k, panels, i)) >= 0; i++, before = at)
            write_still(out, film, &page, before < 0 ? at : before, at, strip_left(&strip, i), top);
    }
    fputs("</svg>\n", out);
}
