/* Pictures: what is drawn on a canvas stands in the SVG, at its place. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "env_batch.h"
#include "run/picture.h"

static char path[256];

/* The SVG of one frame that `draw` fills; to be freed. */
static char *picture_of(void (*draw)(const struct mappo_canvas *canvas))
{
    struct error err = {0};
    struct picture *picture = picture_create();
    char *text = NULL;
    size_t size;
    draw(picture_frame(picture, 7));
    if (picture_write(picture, path, 1, "a <title>", &err) || file_read(path, 1 << 20, &text, &size, &err)) fail_msg("%s", err.text);
    picture_destroy(picture);
    return text;
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("\"%s\" is not in %s", part, text);
}

/* A world of 4 x 4 on 220 pixels: 55 a unit, y up. */
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

static void every_shape_stands_at_its_place(void **state)
{
    (void)state;
    char *svg = picture_of(draw_all);
    assert_holds(svg, "<circle cx=\"110.00\" cy=\"55.00\" r=\"27.50\" fill=\"#112233\" fill-opacity=\"0.502\" stroke=\"#445566\"");
    assert_holds(svg, "<line x1=\"0.00\" y1=\"220.00\" x2=\"220.00\" y2=\"0.00\" stroke-width=\"5.50\"");
    assert_holds(svg,
                 "<polygon points=\"110.00,110.00 165.00,110.00 165.00,55.00 \" fill=\"#ff0000\" fill-opacity=\"1\" stroke=\"none\"/>");
    assert_holds(svg, "<text x=\"110.00\" y=\"110.00\" font-size=\"55.00\" fill=\"#0000ff\" fill-opacity=\"1\">&lt;&amp;&gt;</text>");
    assert_holds(svg, "<rect x=\"55.00\" y=\"27.50\" width=\"110.00\" height=\"82.50\" fill=\"#00ff00\" fill-opacity=\"1\" "
                      "stroke=\"#000000\" stroke-opacity=\"0.502\"/>");
    assert_holds(svg, "<rect x=\"0.00\" y=\"165.00\" width=\"165.00\" height=\"55.00\" fill=\"none\" stroke=\"#ff00ff\"");
    assert_holds(svg, "a &lt;title&gt;");
    assert_holds(svg, ">step 7</text>");
    free(svg);
}

/* Two circles in three frames, one of which moves; the second panel has the way between the two. */
static void circles_leave_trails_where_they_moved(void **state)
{
    (void)state;
    struct error err = {0};
    struct picture *picture = picture_create();
    char *svg = NULL;
    size_t size;
    for (int i = 0; i < 3; i++) {
        const struct mappo_canvas *c = picture_frame(picture, i);
        c->view(c->self, 0, 0, 4, 4);
        c->circle(c->self, 1, 1, 0.5, 0x112233ffu, 0);
        c->circle(c->self, 1 + i, 2, 0.5, 0x445566ffu, 0);
    }
    if (picture_write(picture, path, 2, "", &err) || file_read(path, 1 << 20, &svg, &size, &err)) fail_msg("%s", err.text);
    picture_destroy(picture);
    assert_holds(svg, "<polyline points=\"55.00,110.00 110.00,110.00 165.00,110.00 \" fill=\"none\" stroke=\"#445566\"");
    assert_null(strstr(strstr(svg, "<polyline") + 1, "<polyline"));
    free(svg);
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
        const struct mappo_canvas canvas = {.self = &places, .view = note_view, .circle = note_place, .line = note_line};
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

static struct env_batch sink;

static void draw_sink(const struct mappo_canvas *canvas)
{
    assert_int_equal(vecenv_draw(sink.env, 0, canvas, &sink.err), 0);
}

static void an_environment_draws_what_its_options_say(void **state)
{
    (void)state;
    const struct env_option option = {"title", "it's a \"title\" & more"};
    const struct vecenv_config config = {
        .name = "test/kitchen_sink", .option = &option, .options = 1, .envs = 1, .stream = PHILOX_ENVIRONMENT, .threads = 1};
    if (batch_open(&sink, &config)) fail_msg("%s", sink.err.text);
    assert_string_equal(vecenv_options_changed(sink.env), "title='it'\\''s a \"title\" & more'");
    char *svg = picture_of(draw_sink);
    assert_holds(svg, ">it's a \"title\" &amp; more</text>");
    assert_holds(svg, "<rect x=\"22.00\""); /* how far the episode is */
    free(svg);
    batch_close(&sink);
}

static int make_path(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    text_format(path, sizeof path, "%s/mappo-test-picture-%d.svg", tmp ? tmp : "/tmp", (int)getpid());
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_stands_at_its_place),
        cmocka_unit_test(circles_leave_trails_where_they_moved),
        cmocka_unit_test(the_end_of_an_episode_can_be_drawn_after_it),
        cmocka_unit_test(an_environment_draws_what_its_options_say),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
