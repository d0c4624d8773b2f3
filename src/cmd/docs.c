/* mappo docs PAGE: the pages of docs/ that the program's tables make. */
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "run/checkpoint.h"
#include "run/metrics.h"

static int configuration_page(FILE *out, struct comm *comm)
{
    if (comm->rank == 0) config_markdown(out);
    return EXIT_DONE;
}

static int metrics_page(FILE *out, struct comm *comm)
{
    if (comm->rank == 0) metrics_markdown(out);
    return EXIT_DONE;
}

static const struct {
    const char *name;
    int (*print)(FILE *out, struct comm *comm); /* collective; an exit code */
} pages[] = {
    {"configuration", configuration_page},
    {"metrics", metrics_page},
    {"checkpoint-format", checkpoint_markdown},
};
enum { PAGES = sizeof pages / sizeof *pages };

int cmd_docs(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    const char *names[PAGES], *wanted = args->operand[0];
    for (int i = 0; i < PAGES; i++) {
        names[i] = pages[i].name;
        if (strcmp(names[i], wanted) != 0) continue;
        return pages[i].print(stdout, comm);
    }
    const char *nearest = text_nearest(wanted, names, PAGES);
    if (nearest)
        error_set(&err, EXIT_USAGE, "no page \"%s\"; did you mean \"%s\"? (mappo docs --help)", wanted, nearest);
    else
        error_set(&err, EXIT_USAGE, "no page \"%s\" (mappo docs --help lists them)", wanted);
    return error_report(&err);
}
