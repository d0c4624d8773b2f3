/* Films: what is drawn on a canvas is there again for every painter, at its place. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "env_batch.h"
#include "render/cells.h"
#include "render/film.h"
#include "render/page.h"
#include "render/png.h"
#include "render/svg.h"

static const struct mappo_env_spec one_group = {.groups = 1, .group = {{.name = "agent", .agents = 1}}};

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("\"%s\" is not in %s", part, text);
}

static int times(const char *text, const char *part)
{
    int count = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) count++;
    return count;
}

/* What a painter writes; to be freed. */
static char *painted(const struct film *film, void (*paint)(const struct film *film, FILE *out))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    paint(film, out);
    fclose(out);
    return text;
}

static void strip_of_220(const struct film *film, FILE *out)
{
    svg_strip(film, 6, 220, out);
}

static void film_of_220(const struct film *film, FILE *out)
{
    svg_film(film, (struct timing){.fps = 10}, 220, out);
}

static void plain_text(const struct film *film, FILE *out)
{
    cells_film(film, (struct timing){0}, out);
}

/* A world of 4 x 4 on 220 pixels: 55 a unit, y up; the panel begins at (12, 46). */
static void draw_all(const struct mappo_canvas *c)
{
    c->view(c->self, -2, -2, 2, 2);
    c->circle(c->self, 0, 1, 0.5, 0x11223380u, 0x445566ffu);
    c->line(c->self, -2, -2, 2, 2, 0.1, 0x000000ffu);
    c->polygon(c->self, (const double[]){0, 0, 1, 0, 1, 1}, 3, 0xff0000ffu, 0);
    c->text(c->self, 0, 0, 1, "<&>", 0x0000ffffu);
    c->rectangle(c->self, -1, 0, 1, 1.5, 0x00ff00ffu, 0x00000080u);
    c->rectangle(c->self, 1, -1, -2, -2, 0, 0xff00ffffu); /* the other two corners */
}

/* Frames of circles, of which one moves to the right by 1 a step. */
static struct film *film_of_circles(int frames)
{
    struct film *film = film_create("a <title>", &one_group);
    film_begin(film, 3);
    for (int i = 0; i < frames; i++) {
        const struct film_frame frame = {.step = i, .reward = i ? -0.5 : 0, .ret = -0.5 * i};
        const struct mappo_canvas *c = film_shoot(film, &frame);
        c->view(c->self, 0, 0, 4, 4);
        c->circle(c->self, 1, 1, 0.5, 0x112233ffu, 0);
        c->circle(c->self, 0.25 + i, 2, 0.25, 0x445566ffu, 0);
        if (i == frames - 1) film_end(film, &frame);
    }
    return film;
}

static void every_shape_stands_at_its_place(void **state)
{
    (void)state;
    struct film *film = film_create("a <title>", &one_group);
    film_begin(film, 0);
    draw_all(film_shoot(film, &(struct film_frame){.step = 7}));
    char *svg = painted(film, strip_of_220);
    assert_holds(svg, "<circle cx=\"122\" cy=\"101\" r=\"27.5\" fill=\"#112233\" fill-opacity=\"0.5\" stroke=\"#445566\"/>");
    assert_holds(svg, "<line x1=\"12\" y1=\"266\" x2=\"232\" y2=\"46\" stroke-width=\"5.5\" stroke=\"#000000\"/>");
    assert_holds(svg, "<polygon points=\"122,156 177,156 177,101\" fill=\"#ff0000\" stroke=\"none\"/>");
    assert_holds(svg, "<text x=\"122\" y=\"156\" font-size=\"55\" fill=\"#0000ff\">&lt;&amp;&gt;</text>");
    assert_holds(svg,
                 "<rect x=\"67\" y=\"73.5\" width=\"110\" height=\"82.5\" fill=\"#00ff00\" stroke=\"#000000\" stroke-opacity=\"0.5\"/>");
    assert_holds(svg, "<rect x=\"12\" y=\"211\" width=\"165\" height=\"55\" fill=\"none\" stroke=\"#ff00ff\"/>");
    assert_holds(svg, ">a &lt;title&gt;<");
    assert_holds(svg, ">step 7<");
    assert_holds(svg, ">episode 0: return 0.00 in 7 steps, not at its end<");
    free(svg);
    film_destroy(film);
}

/* A painter gets what was drawn, call for call. */
static void a_film_is_painted_as_it_was_drawn(void **state)
{
    (void)state;
    struct film *first = film_create("", &one_group), *again = film_create("", &one_group);
    film_begin(first, 0);
    film_begin(again, 0);
    draw_all(film_shoot(first, &(struct film_frame){.step = 7}));
    film_paint(first, 0, 0, film_shoot(again, &(struct film_frame){.step = 7}));
    char *one = painted(first, strip_of_220), *two = painted(again, strip_of_220);
    assert_string_equal(one, two);
    free(one);
    free(two);
    film_destroy(first);
    film_destroy(again);
}

/* Two circles in three frames, one of which moves; the second panel has the way between the two. */
static void circles_leave_trails_where_they_moved(void **state)
{
    (void)state;
    struct film *film = film_of_circles(3);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    svg_strip(film, 2, 220, out);
    fclose(out);
    assert_int_equal(times(text, "<line"), 2);
    assert_holds(text, "<line x1=\"25.8\" y1=\"156\" x2=\"80.8\" y2=\"156\" stroke-width=\"4.8\" stroke=\"#445566\" stroke-opacity=");
    free(text);
    film_destroy(film);
}

/* What stands still is there once and moves nothing; what moves is one shape that glides, and no frame is left out. */
static void shapes_are_the_same_from_frame_to_frame(void **state)
{
    (void)state;
    struct film *film = film_of_circles(4);
    char *svg = painted(film, film_of_220);
    assert_int_equal(times(svg, "<circle"), 2);
    assert_holds(svg, "<circle cx=\"67\" cy=\"211\" r=\"27.5\" fill=\"#112233\" stroke=\"none\"/>");
    /* 0.1 s a frame, and 1.2 s for the last */
    assert_holds(svg, "<animate attributeName=\"cx\" values=\"25.8;80.8;135.8;190.8;190.8\" keyTimes=\"0;.0667;.1333;.2;1\" dur=\"1.5s\"");
    for (int i = 0; i < 4; i++) {
        char step[32];
        text_format(step, sizeof step, ">step %d<", i);
        assert_int_equal(times(svg, step), 1);
    }
    assert_holds(svg, ">reward -0.50<");
    assert_holds(svg, ">return -1.50<");
    assert_holds(svg, ">episode 3: return -1.50 in 3 steps<");
    free(svg);
    film_destroy(film);
}

/* A circle that goes away does not become the one that was drawn after it, and what comes later is seen only then. */
static void shapes_come_and_go(void **state)
{
    (void)state;
    struct film *film = film_create("", &one_group);
    film_begin(film, 0);
    for (int i = 0; i < 3; i++) {
        const struct mappo_canvas *c = film_shoot(film, &(struct film_frame){.step = i});
        c->view(c->self, 0, 0, 4, 4);
        if (i < 1) c->circle(c->self, 1, 1, 0.5, 0xff0000ffu, 0);
        c->circle(c->self, 1, 2, 0.5, 0x00ff00ffu, 0);
        if (i == 2) c->text(c->self, 3, 3, 0.5, "late", 0x000000ffu);
    }
    char *svg = painted(film, film_of_220);
    assert_holds(svg,
                 "fill=\"#ff0000\" stroke=\"none\" visibility=\"hidden\"><animate attributeName=\"visibility\" values=\"visible;hidden\"");
    assert_holds(svg, "fill=\"#00ff00\" stroke=\"none\"/>");
    assert_holds(svg, ">late<animate attributeName=\"visibility\" values=\"hidden;visible\"");
    free(svg);
    film_destroy(film);
}

/* The way of a circle is drawn while it glides: to 80.8 in the time from frame 0 to 1, to 135.8 in that from 1 to 2. */
static void trails_grow_with_their_circles(void **state)
{
    (void)state;
    struct film *film = film_of_circles(4);
    char *svg = painted(film, film_of_220);
    assert_holds(svg, "<animate attributeName=\"x2\" values=\"25.8;80.8;80.8\" keyTimes=\"0;.0667;1\" dur=\"1.5s\"");
    assert_holds(svg, "<animate attributeName=\"x2\" values=\"80.8;80.8;135.8;135.8\" keyTimes=\"0;.0667;.1333;1\" dur=\"1.5s\"");
    assert_int_equal(times(svg, "attributeName=\"x2\""), 3);
    assert_int_equal(times(svg, "attributeName=\"y2\""), 0);
    assert_int_equal(times(svg, "attributeName=\"x1\""), 0); /* none glides to where the next one is */
    free(svg);
    film_destroy(film);
}

/* Three cards of which the first is played: the others move up at once, with what is written on them, and none through another. A card that
 * goes to a free place glides, with its text. */
static void cards_that_move_up_do_not_glide(void **state)
{
    (void)state;
    const char *const name[] = {"one", "two", "three"};
    for (int free_place = 0; free_place < 2; free_place++) {
        struct film *film = film_create("", &one_group);
        film_begin(film, 0);
        for (int i = 0; i < 2; i++) {
            const struct mappo_canvas *c = film_shoot(film, &(struct film_frame){.step = i});
            c->view(c->self, 0, 0, 9, 9);
            c->rectangle(c->self, 0.1, 0.1, 8.9, 3, 0xfff3c4ffu, 0);
            for (int k = free_place ? 0 : i; k < 3; k++) {
                const double x = free_place ? 2 * k + (k == 2) * i : 2 * (k - i);
                c->rectangle(c->self, x + 1, 1, x + 2, 2, (0x10000000u << k) | 0xffu, 0);
                c->text(c->self, x + 1.1, 1.1, 0.3, name[k], 0x000000ffu);
            }
        }
        char *svg = painted(film, film_of_220);
        assert_int_equal(times(svg, "attributeName=\"x\""), free_place ? 2 : 0);
        assert_int_equal(times(svg, ">two<"), free_place ? 1 : 2);
        free(svg);
        film_destroy(film);
    }
}

/* An image that stays the same is there once, and a canvas without pixels is spared. */
static void images_fill_the_view(void **state)
{
    (void)state;
    uint8_t rgb[2 * 3 * 3] = {255, 0, 0, 255, 0, 0, 0, 0, 255, 10, 20, 30, 10, 20, 30, 10, 20, 30};
    struct film *film = film_create("", &one_group), *blind = film_create("", &one_group);
    film_begin(film, 0);
    for (int i = 0; i < 3; i++) {
        const struct mappo_canvas *c = film_shoot(film, &(struct film_frame){.step = i});
        c->view(c->self, 0, 0, 3, 2);
        rgb[0] = i == 2 ? 0 : 255;
        c->image(c->self, rgb, 3, 2);
    }
    char *svg = painted(film, film_of_220);
    assert_int_equal(times(svg, "<image x=\"12\" y=\"46.2\" width=\"220\" height=\"146.7\" "), 2);
    assert_int_equal(times(svg, "href=\"data:image/png;base64,iVBORw0KGgo"), 2);
    film_begin(blind, 0);
    struct mappo_canvas without = *film_shoot(blind, &(struct film_frame){.step = 0});
    without.image = NULL;
    film_paint(film, 0, 0, &without);
    free(svg);
    svg = painted(blind, strip_of_220);
    assert_null(strstr(svg, "<image"));
    free(svg);
    /* What was packed is what was drawn. */
    struct film *again = film_create("", &one_group);
    film_begin(again, 0);
    film_paint(film, 0, 0, film_shoot(again, &(struct film_frame){.step = 0}));
    char *text = painted(again, plain_text), *first = painted(film, plain_text);
    assert_memory_equal(text + 30, first + 30, 1000);
    assert_non_null(strchr(text, '#'));
    free(text);
    free(first);
    film_destroy(again);
    film_destroy(film);
    film_destroy(blind);
}

/* Divided by nothing is no number, and none of JSON or SVG: the usual view is taken. */
static void a_view_that_is_none_is_not_taken(void **state)
{
    (void)state;
    const double none[][4] = {{0, 0, 0, 1}, {0, 0, NAN, 1}, {-INFINITY, 0, 1, 1}, {1, 1, 0, 0}};
    double view[4];
    struct film *film = film_create("", &one_group);
    film_begin(film, 0);
    for (int i = 0; i < 4; i++) {
        const struct mappo_canvas *c = film_shoot(film, &(struct film_frame){.step = i});
        c->view(c->self, none[i][0], none[i][1], none[i][2], none[i][3]);
        film_view(film, i, view);
        assert_memory_equal(view, ((const double[]){-1, -1, 1, 1}), sizeof view);
    }
    film_destroy(film);
}

/* What is far outside is not drawn, and nothing is written for it; texts are what every painter can show. */
static void what_can_not_be_shown_harms_nothing(void **state)
{
    (void)state;
    struct film *film = film_create("", &one_group);
    film_begin(film, 0);
    const struct mappo_canvas *c = film_shoot(film, &(struct film_frame){.step = 0});
    c->view(c->self, 0, 0, 72, 72);
    for (int sign = -1; sign <= 1; sign += 2) {
        const double far = sign * 1e12;
        c->circle(c->self, far, 9, 3, 0x000000ffu, 0);
        c->circle(c->self, 9, far, 3, 0x000000ffu, 0);
        c->rectangle(c->self, far, far, far + 5, far + 5, 0x000000ffu, 0);
        c->text(c->self, far, 60, 3, "far", 0x000000ffu);
        c->text(c->self, 9, far, 3, "high", 0x000000ffu);
    }
    c->text(c->self, 30, 40, 2,
            "a\x01"
            "b\xff"
            "c\xc3",
            0x000000ffu);
    char *text = painted(film, plain_text), *svg = painted(film, strip_of_220);
    assert_holds(text, "a?b?c?");
    assert_null(strstr(text, "oo"));
    assert_null(strstr(text, "high"));
    assert_holds(svg, ">a?b?c?<");
    free(text);
    free(svg);
    film_destroy(film);
}

/* Of every third step; first and last of an episode are there whatever it is. */
static void a_timetable_shows_every_so_many_steps(void **state)
{
    (void)state;
    struct film *film = film_of_circles(9);
    struct timetable table = timetable_create(film, (struct timing){.fps = 4, .every = 3});
    assert_int_equal(table.count, 4);
    for (int i = 0; i < 4; i++) assert_int_equal(table.frame[i], i < 3 ? 3 * i : 8);
    assert_true(table.seconds[3] == 0.75 && table.seconds[4] == 0.75 + 1.2);
    timetable_destroy(&table);
    film_destroy(film);
    film = film_of_circles(1300);
    table = timetable_create(film, (struct timing){0});
    assert_in_range(table.count, TIMING_FRAMES / 2, TIMING_FRAMES + 1);
    assert_true(table.fps == 30);
    timetable_destroy(&table);
    film_destroy(film);
}

static void plain_text_has_shapes_and_letters(void **state)
{
    (void)state;
    struct film *film = film_create("a title", &one_group);
    film_begin(film, 0);
    const struct mappo_canvas *c = film_shoot(film, &(struct film_frame){.step = 0});
    c->view(c->self, 0, 0, 72, 72); /* a character is a unit wide, and two high */
    c->rectangle(c->self, 10, 10, 14, 14, 0x101010ffu, 0);
    c->circle(c->self, 41.5, 41, 4.4, 0x3366ccffu, 0);
    c->text(c->self, 41, 40, 1, "7", 0xffffffffu);
    c->circle(c->self, 8.5, 61, 4.4, 0xcc6633ffu, 0);
    c->circle(c->self, 28.5, 61, 4.4, 0x3366cc80u, 0);
    c->line(c->self, 0, 1, 72, 1, 0.1, 0x000000ffu);
    char *text = painted(film, plain_text);
    const char *row = text;
    int rows = 0, numbered = -1;
    for (; *row; row += strcspn(row, "\n") + 1, rows++)
        if (memchr(row, '7', strcspn(row, "\n"))) numbered = rows;
    assert_int_equal(rows, 2 + 36 + 1);
    assert_int_equal(numbered, 2 + 15); /* row 15 of 36 from the top: 40 to 42 */
    assert_holds(text, "oooo7oooo");
    assert_holds(text, "    OOOOOOOOO           ooooooooo    "); /* signs are those of colours */
    assert_holds(text, "          ####    ");
    assert_int_equal(times(text, "------------------------------------------------------------------------"), 1);
    free(text);
    film_destroy(film);
}

/* Read back by hand: chunks, checks and a deflate stream are looked at by other programs in tests/unit/test_render.py. */
static void areas_of_one_colour_take_little_room(void **state)
{
    (void)state;
    enum { SIDE = 300 };
    uint8_t *rgb = calloc(3 * SIDE, SIDE);
    unsigned char *png;
    for (int i = 0; i < 3 * SIDE * SIDE; i++) rgb[i] = (uint8_t)(i / (3 * SIDE) < 100 ? 200 : i % 3 * 40);
    const size_t size = png_write(rgb, SIDE, SIDE, "hello", &png);
    assert_memory_equal(png, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\x2c\0\0\1\x2c\x8\x2", 26);
    assert_non_null(memmem(png, size, "tEXtComment\0hello", 17));
    assert_in_range(size, 100, 4000);
    free(png);
    free(rgb);
}

/* Each four digits are three bytes, whatever is left at the end (sizes of all remainders by 3 are among these). */
static void base_64_says_the_same(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bool seen[3] = {false};
    uint8_t rgb[3 * 64];
    for (int i = 0; i < 3 * 64; i++) rgb[i] = (uint8_t)(i * i * 37);
    for (int width = 1; width <= 64; width++) {
        unsigned char *png;
        const size_t size = png_write(rgb, width, 1, NULL, &png);
        char *text = png_base64(rgb, width, 1);
        assert_int_equal(strlen(text), (size + 2) / 3 * 4);
        for (size_t i = 0; i < size; i++) {
            const char *at = text + i / 3 * 4 + i % 3;
            const int high = (int)(strchr(digits, at[0]) - digits), low = (int)(strchr(digits, at[1]) - digits);
            assert_int_equal(png[i], (high << (2 + 2 * (i % 3)) | low >> (4 - 2 * (i % 3))) & 0xff);
        }
        for (size_t i = 0; i < 3 - size % 3 && size % 3; i++) assert_int_equal(text[strlen(text) - 1 - i], '=');
        seen[size % 3] = true;
        free(png);
        free(text);
    }
    assert_true(seen[0] && seen[1] && seen[2]);
}

/* Where circles stand, in the world. */
struct places {
    double x[8];
    int count;
};

static void note_place(void *self, double x, double y, double radius, uint32_t fill, uint32_t stroke)
{
    struct places *places = self;
    (void)y, (void)radius, (void)fill, (void)stroke;
    places->x[places->count++] = x;
}

static void note_view(void *self, double x0, double y0, double x1, double y1)
{
    (void)self, (void)x0, (void)y0, (void)x1, (void)y1;
}

static void note_text(void *self, double x, double y, double height, const char *text, uint32_t fill)
{
    (void)self, (void)x, (void)y, (void)height, (void)text, (void)fill;
}

static void note_line(void *self, double x0, double y0, double x1, double y1, double width, uint32_t stroke)
{
    (void)self, (void)x0, (void)y0, (void)x1, (void)y1, (void)width, (void)stroke;
}

/* The template draws agents at their cells, and observes these in parts of the line. */
static void the_end_of_an_episode_can_be_drawn_after_it(void **state)
{
    (void)state;
    char plugin[512];
    const char *build = getenv("BUILD");
    text_format(plugin, sizeof plugin, "%s/tests/meeting.so", build ? build : "build");
    const struct env_option option = {"cells", "5"};
    for (int limit = 0; limit <= 3; limit += 3) { /* the environment ends its episode, or the wrapper does */
        const struct vecenv_config config = {
            .name = plugin, .option = &option, .options = 1, .envs = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1, .time_limit = limit};
        struct env_batch b;
        struct places places = {.count = 0};
        const struct mappo_canvas canvas = {.self = &places, .view = note_view, .circle = note_place, .line = note_line, .text = note_text};
        if (batch_open(&b, &config)) fail_msg("%s", b.err.text);
        assert_true(vecenv_can_draw_ended(b.env));
        for (int t = 0; t == 0 || !b.io.ep_end[0]; t++) {
            batch_act(&b, 1, 0, (uint64_t)t);
            if (vecenv_step(b.env, &b.io, &b.err)) fail_msg("%s", b.err.text);
        }
        assert_int_equal(vecenv_draw_ended(b.env, &canvas, &b.err), 0);
        assert_int_equal(places.count, 3);
        for (int i = 0; i < 3; i++) assert_true((int)(5 * b.io.group[0].final_obs[3 * i] + 0.5f) == (int)places.x[i]);
        batch_close(&b);
    }
}

static void an_environment_draws_what_its_options_say(void **state)
{
    (void)state;
    struct env_batch sink;
    const struct env_option option = {"title", "it's a \"title\" & more"};
    const struct vecenv_config config = {
        .name = "test/kitchen_sink", .option = &option, .options = 1, .envs = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1};
    if (batch_open(&sink, &config)) fail_msg("%s", sink.err.text);
    assert_string_equal(vecenv_options_changed(sink.env), "title='it'\\''s a \"title\" & more'");
    struct film *film = film_create("", vecenv_spec(sink.env));
    film_begin(film, 0);
    assert_int_equal(vecenv_draw(sink.env, 0, film_shoot(film, &(struct film_frame){.step = 0}), &sink.err), 0);
    char *svg = painted(film, strip_of_220);
    assert_holds(svg, ">it's a &quot;title&quot; &amp; more</text>");
    assert_holds(svg, "<rect x=\"34\"");   /* how far the episode is */
    assert_int_equal(film_cells(film), 5); /* its two groups, too */
    free(svg);
    film_destroy(film);
    batch_close(&sink);
}

/* Expected: the map with its walls, whoever is left of the units and wherever they are. */
static void a_battle_is_seen_from_one_place(void **state)
{
    (void)state;
    struct env_batch b;
    const struct vecenv_config config = batch_config("smax/battle", NULL, 0, 1);
    if (batch_open(&b, &config)) fail_msg("%s", b.err.text);
    struct film *film = film_create("", vecenv_spec(b.env));
    film_begin(film, 0);
    for (int t = 0; t < 10; t++) {
        double view[4];
        assert_int_equal(vecenv_draw(b.env, 0, film_shoot(film, &(struct film_frame){.step = t}), &b.err), 0);
        film_view(film, t, view);
        assert_true(view[0] < 0 && view[1] < 0 && view[2] > 32 && view[3] > 32);
        if (t) {
            double first[4];
            film_view(film, 0, first);
            assert_memory_equal(view, first, sizeof view);
        }
        batch_act(&b, 1, 0, (uint64_t)t);
        if (vecenv_step(b.env, &b.io, &b.err)) fail_msg("%s", b.err.text);
    }
    char *text = painted(film, plain_text);
    assert_holds(text, "allies 5");
    free(text);
    film_destroy(film);
    batch_close(&b);
}

static void several_groups_are_told_whose_return_it_is(void **state)
{
    (void)state;
    const struct mappo_env_spec spec = {
        .groups = 3,
        .group = {{.name = "leader", .agents = 1}, {.name = "adversary", .agents = 3}, {.name = "agent", .agents = 2, .team = 1}}};
    char text[200];
    struct film *film = film_create("", &spec);
    film_team(film, &spec, 0);
    film_begin(film, 2);
    film_end(film, &(struct film_frame){.step = 25, .ret = 7});
    film_episode_title(film, 0, text, sizeof text);
    assert_string_equal(text, "episode 2: return 7.00 of leader and adversary in 25 steps");
    film_team(film, &one_group, 0);
    film_episode_title(film, 0, text, sizeof text);
    assert_string_equal(text, "episode 2: return 7.00 in 25 steps");
    film_destroy(film);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_stands_at_its_place),
        cmocka_unit_test(a_film_is_painted_as_it_was_drawn),
        cmocka_unit_test(circles_leave_trails_where_they_moved),
        cmocka_unit_test(shapes_are_the_same_from_frame_to_frame),
        cmocka_unit_test(shapes_come_and_go),
        cmocka_unit_test(trails_grow_with_their_circles),
        cmocka_unit_test(cards_that_move_up_do_not_glide),
        cmocka_unit_test(images_fill_the_view),
        cmocka_unit_test(a_view_that_is_none_is_not_taken),
        cmocka_unit_test(what_can_not_be_shown_harms_nothing),
        cmocka_unit_test(a_timetable_shows_every_so_many_steps),
        cmocka_unit_test(plain_text_has_shapes_and_letters),
        cmocka_unit_test(areas_of_one_colour_take_little_room),
        cmocka_unit_test(base_64_says_the_same),
        cmocka_unit_test(the_end_of_an_episode_can_be_drawn_after_it),
        cmocka_unit_test(an_environment_draws_what_its_options_say),
        cmocka_unit_test(a_battle_is_seen_from_one_place),
        cmocka_unit_test(several_groups_are_told_whose_return_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
