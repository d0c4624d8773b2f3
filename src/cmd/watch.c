/* mappo watch: a page in the terminal that is drawn anew as the run goes on. Beside a terminal it is printed once. */
#include "cmd/watch.h"

#include <stdlib.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/screen.h"

enum { WIDEST = 200, SECONDS = 1 };

static void measure(struct watch_page *page)
{
    screen_size(&page->width, &page->height);
    page->height--; /* the cursor's */
    if (page->width < 1) page->width = 1;
    if (page->width > WIDEST) page->width = WIDEST;
}

struct watched {
    const char *folder;
    struct watch_page page;
    struct run_told run;
    struct metrics_file metrics;
};

static int look(struct watched *watched, struct error *err)
{
    run_forget(&watched->run);
    int code = run_read(&watched->run, watched->folder, false, err);
    if (!code) code = metrics_file_read(&watched->metrics, err);
    return code;
}

static void draw(void *user)
{
    struct watched *watched = user;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory drawing a page");
    measure(&watched->page);
    watch_print(out, &watched->page, &watched->run, &watched->metrics);
    fclose(out);
    screen_draw(text);
    free(text);
}

static int watch_live(struct watched *watched, struct error *err)
{
    int code = screen_open(err);
    if (code) return code;
    watched->page.live = true;
    do {
        draw(watched);
        if (!screen_wait(SECONDS, draw, watched)) break;
        code = look(watched, err);
    } while (!code && watched->run.state == RUN_RUNNING);
    screen_close();
    watched->page.live = false;
    return code;
}

static int watch(const struct arguments *args)
{
    struct error err = {0};
    struct watched watched = {.folder = args->operand[0], .page = {.unicode = screen_unicode()}};
    metrics_file_begin(&watched.metrics, watched.folder);
    int code = look(&watched, &err);
    if (!code && isatty(STDOUT_FILENO) && watched.run.state == RUN_RUNNING) code = watch_live(&watched, &err);
    if (!code) {
        measure(&watched.page);
        watch_print(stdout, &watched.page, &watched.run, &watched.metrics);
    }
    metrics_file_end(&watched.metrics);
    run_forget(&watched.run);
    return code ? error_report(&err) : EXIT_DONE;
}

int cmd_watch(const struct arguments *args, struct comm *comm)
{
    return cmd_on_first_rank(watch, args, comm);
}
