/* mappo runs: a table of the runs in a folder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "run/run_list.h"

/* ---- what differs ------------------------------------------------------------------------------------------------------------------ */

/* Have columns of their own, or say where, how long and how fast, not how. */
static const char told_elsewhere[] = "env.name algo.name train.env_steps train.threads run.dir";

/* Runs of one environment. */
struct alike {
    const struct run_told **run; /* [runs] */
    int runs;
};

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The value that more than half of them have of a setting; NULL = none is. Where all have one, *all is set. `value` has room for one of each. */
static const char *usual_value(const struct alike *alike, const char *key, const char **value, bool *all)
{
    int longest = 0;
    const char *usual = NULL;
    for (int i = 0; i < alike->runs; i++) value[i] = run_setting(alike->run[i], key);
    qsort(value, (size_t)alike->runs, sizeof *value, by_text);
    for (int i = 0, length = 0; i < alike->runs; i++) {
        length = i && strcmp(value[i], value[i - 1]) == 0 ? length + 1 : 1;
        if (length > longest) longest = length, usual = value[i];
    }
    *all = longest == alike->runs;
    return 2 * longest > alike->runs ? usual : NULL;
}

/* A setting stands beside a run where others of its environment have it otherwise, and most do. */
static void tell_setting(FILE *const *out, const struct run_list *list, const struct alike *alike, const char *key, const char **value)
{
    bool all;
    const char *usual = usual_value(alike, key, value, &all);
    for (int i = 0; i < alike->runs && !all; i++) {
        const char *has = run_setting(alike->run[i], key);
        FILE *stream = out[alike->run[i] - list->run];
        if (usual && strcmp(usual, has) == 0) continue;
        fprintf(stream, "%s%s=%s", ftell(stream) ? " " : "", key, has);
    }
}

static void tell_alike(FILE *const *out, const struct run_list *list, const struct alike *alike)
{
    const char **key, **value = malloc((size_t)alike->runs * sizeof *value);
    const int keys = run_setting_names(alike->run, alike->runs, &key);
    CHECK(value, "out of memory listing runs");
    for (int k = 0; k < keys; k++)
        if (!text_lists(told_elsewhere, key[k])) tell_setting(out, list, alike, key[k], value);
    free(key);
    free(value);
}

/* Of each run "ppo.clip=0.1 train.seed=3": [runs] texts, which the caller frees. */
static char **differences(const struct run_list *list)
{
    const size_t n = (size_t)list->runs;
    char **text = calloc(n + 1, sizeof *text);
    size_t *size = calloc(n + 1, sizeof *size);
    FILE **out = calloc(n + 1, sizeof *out);
    bool *told = calloc(n + 1, sizeof *told);
    struct alike alike = {.run = malloc((n + 1) * sizeof *alike.run)};
    CHECK(text && size && out && told && alike.run, "out of memory listing runs");
    for (size_t i = 0; i < n; i++) {
        out[i] = open_memstream(&text[i], &size[i]);
        CHECK(out[i], "out of memory listing runs");
    }
    for (size_t i = 0; i < n; i++) {
        const char *env = run_setting(&list->run[i], "env.name");
        alike.runs = 0;
        for (size_t k = i; k < n && !told[i]; k++)
            if (strcmp(run_setting(&list->run[k], "env.name"), env) == 0) alike.run[alike.runs++] = &list->run[k];
        for (int k = 0; k < alike.runs; k++) told[alike.run[k] - list->run] = true;
        if (alike.runs) tell_alike(out, list, &alike);
    }
    for (size_t i = 0; i < n; i++) fclose(out[i]);
    free(size);
    free(out);
    free(told);
    free(alike.run);
    return text;
}

/* ---- the table --------------------------------------------------------------------------------------------------------------------- */

enum { COLUMNS = 7, CELL = 512 };
static const char *const titles[COLUMNS] = {"run", "environment", "algo", "state", "env-steps", "return", "last written"};
static const bool to_the_right[COLUMNS] = {[4] = true, [5] = true};

static void tell_steps(char *text, size_t size, const struct run_told *run)
{
    double asked = 0;
    text_count(text, size, (double)run->env_steps);
    const size_t length = strlen(text);
    if (run->state != RUN_FINISHED && text_to_real(run_setting(run, "train.env_steps"), &asked) && (double)run->env_steps < asked)
        text_format(text + length, size - length, " (%.0f %%)", 100 * (double)run->env_steps / asked);
}

static void tell_age(char *text, size_t size, int64_t written)
{
    const double seconds = difftime(time(NULL), (time_t)written);
    if (!written)
        text_format(text, size, "-");
    else if (seconds < 120)
        text_format(text, size, "%.0f s ago", seconds > 0 ? seconds : 0);
    else if (seconds < 7200)
        text_format(text, size, "%.0f min ago", seconds / 60);
    else if (seconds < 48 * 3600.0)
        text_format(text, size, "%.0f h ago", seconds / 3600);
    else
        text_format(text, size, "%.0f days ago", seconds / 86400);
}

/* `from`: characters of the folder that was asked for, which all paths begin with. */
static void tell_cells(char cell[COLUMNS][CELL], const struct run_told *run, size_t from)
{
    text_format(cell[0], CELL, "%s", run->path[from] ? run->path + from : run->path);
    text_format(cell[1], CELL, "%s", run_setting(run, "env.name"));
    text_format(cell[2], CELL, "%s", run_setting(run, "algo.name"));
    text_format(cell[3], CELL, "%s", run_state_name(run->state));
    tell_steps(cell[4], CELL, run);
    text_known(cell[5], CELL, run->return_mean, text_decimals(run->return_mean));
    tell_age(cell[6], CELL, run->written);
}

static void print_cells(char cell[COLUMNS][CELL], const int width[COLUMNS], const char *last)
{
    for (int c = 0; c < COLUMNS; c++)
        printf("%s%*s", c ? "  " : "", c == COLUMNS - 1 && !last[0] ? 0 : to_the_right[c] ? width[c] : -width[c], cell[c]);
    printf("%s%s\n", last[0] ? "  " : "", last);
}

static void print_table(const struct run_list *list, char *const *differs, size_t from)
{
    char(*cell)[COLUMNS][CELL] = calloc((size_t)list->runs + 1, sizeof *cell);
    int width[COLUMNS] = {0}, count[RUN_DAMAGED + 1] = {0};
    bool any = false;
    CHECK(cell, "out of memory listing runs");
    for (int i = 0; i <= list->runs; i++)
        for (int c = 0; c < COLUMNS; c++) {
            if (i && c == 0) tell_cells(cell[i], &list->run[i - 1], from);
            if (!i) text_format(cell[0][c], CELL, "%s", titles[c]);
            if ((int)strlen(cell[i][c]) > width[c]) width[c] = (int)strlen(cell[i][c]);
        }
    for (int i = 0; i < list->runs; i++) any = any || differs[i][0] || list->run[i].why[0];
    print_cells(cell[0], width, any ? "what differs" : "");
    for (int i = 0; i < list->runs; i++) {
        const char *why = list->run[i].why, *what = differs[i];
        char text[4096];
        text_format(text, sizeof text, "%s%s%s%s%s", what, what[0] && why[0] ? "  " : "", why[0] ? "(" : "", why, why[0] ? ")" : "");
        print_cells(cell[i + 1], width, text);
        count[list->run[i].state]++;
    }
    printf("%d run%s", list->runs, list->runs == 1 ? "" : "s");
    for (int s = 0; s <= RUN_DAMAGED; s++)
        if (count[s]) printf(", %d %s", count[s], run_state_name(s));
    printf("\n");
    free(cell);
}

static void json_text(const char *before, const char *value)
{
    fputs(before, stdout);
    text_json_string(stdout, value);
}

static void print_json(const struct run_told *run)
{
    double asked;
    json_text("{\"run\": ", run->path);
    json_text(", \"environment\": ", run_setting(run, "env.name"));
    json_text(", \"algo\": ", run_setting(run, "algo.name"));
    json_text(", \"state\": ", run_state_name(run->state));
    if (run->why[0]) json_text(", \"why\": ", run->why);
    printf(", \"env_steps\": %lld, \"of_env_steps\": ", (long long)run->env_steps);
    text_json_real(stdout, text_to_real(run_setting(run, "train.env_steps"), &asked) ? asked : NAN);
    printf(", \"return_mean\": ");
    text_json_real(stdout, run->return_mean);
    printf(", \"written\": %lld, \"settings\": {", (long long)run->written);
    for (int s = 0; s < run->settings; s++) {
        json_text(s ? ", " : "", run->setting[s].key);
        json_text(": ", run->setting[s].value);
    }
    printf("}}\n");
}

static int list_runs(const struct arguments *args)
{
    struct error err = {0};
    struct run_list list;
    const char *folder = args->operands ? args->operand[0] : "runs";
    if (run_list_read(&list, folder, args->check, &err)) {
        if (!args->operands)
            error_set(&err, EXIT_USAGE,
                      "there is no folder \"runs\" here: mappo runs FOLDER lists the runs of another, mappo runs . those of this one");
        return error_report(&err);
    }
    char **differs = differences(&list);
    size_t from = strlen(folder);
    while (from > 0 && folder[from - 1] == '/') from--;
    if (args->json)
        for (int i = 0; i < list.runs; i++) print_json(&list.run[i]);
    else if (list.runs)
        print_table(&list, differs, from + 1);
    else
        printf("no run in %s%s\n", folder,
               args->operands ? "" : ": mappo runs FOLDER lists those of another folder, mappo runs . those of this one");
    bool damaged = false;
    for (int i = 0; i < list.runs; i++) {
        damaged = damaged || list.run[i].state == RUN_DAMAGED;
        free(differs[i]);
    }
    free(differs);
    run_list_free(&list);
    return args->check && damaged ? EXIT_CHECKPOINT : EXIT_DONE;
}

int cmd_runs(const struct arguments *args, struct comm *comm)
{
    return cmd_on_first_rank(list_runs, args, comm);
}
