#include "run/run_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "run/checkpoint.h"
#include "run/lock.h"
#include "run/metrics_file.h"
#include "run/open_env.h"

enum { DEEPEST = 8, CONFIG_MOST = 1 << 20, TAIL = 4096 };
static const double stale = 60; /* of a lock whose process can't be looked at: six of its beats (run/folder.h) */

const char *run_state_name(enum run_state state)
{
    static const char *const names[] = {"running", "finished", "stopped", "damaged"};
    return names[state];
}

const char *run_setting(const struct run_told *run, const char *key)
{
    for (int i = 0; i < run->settings; i++)
        if (strcmp(run->setting[i].key, key) == 0) return run->setting[i].value;
    return "";
}

const char *run_variant(const struct run_told *run)
{
    static const char prefix[] = "env.";
    struct env_option option[CONFIG_ENV_OPTIONS];
    int options = 0;
    for (int i = 0; i < run->settings && options < CONFIG_ENV_OPTIONS; i++) {
        const struct run_setting *setting = &run->setting[i];
        if (strncmp(setting->key, prefix, strlen(prefix)) == 0 && strcmp(setting->key, "env.name") != 0)
            option[options++] = (struct env_option){setting->key + strlen(prefix), setting->value};
    }
    return open_env_called(run_setting(run, "env.name"), option, options);
}

static void *grown(void *array, int count, size_t size)
{
    /* In powers of two: there is room for one more unless `count` is one. */
    if (count & (count - 1)) return array;
    void *more = realloc(array, (size_t)(count ? 2 * count : 1) * size);
    CHECK(more, "out of memory listing runs");
    return more;
}

static char *copied(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy, "out of memory listing runs");
    return copy;
}

/* ---- one run ------------------------------------------------------------------------------------------------------------------------- */

static void take_setting(void *user, const char *key, const char *value)
{
    struct run_told *run = user;
    run->setting = grown(run->setting, run->settings, sizeof *run->setting);
    run->setting[run->settings++] = (struct run_setting){copied(key), copied(value)};
}

static int read_settings(struct run_told *run)
{
    char path[4096], *text;
    size_t size;
    struct error err = {0};
    text_format(path, sizeof path, "%s/config.ini", run->path);
    int code = file_read(path, CONFIG_MOST, &text, &size, &err);
    if (!code) code = config_entries(text, "config.ini", take_setting, run, &err);
    if (!code) free(text);
    if (code) text_format(run->why, sizeof run->why, "%s", err.text);
    return code;
}

/* When it was written; 0 where it can't be told. */
static int64_t time_of(const struct run_told *run, const char *name)
{
    char path[4096];
    struct stat info;
    return text_format(path, sizeof path, "%s/%s", run->path, name) && stat(path, &info) == 0 ? (int64_t)info.st_mtime : 0;
}

static void take_metric(void *user, const char *name, double value)
{
    struct run_told *run = user;
    if (strcmp(name, "env_steps") == 0 && value > (double)run->env_steps && value < 0x1p62) run->env_steps = (int64_t)value;
    if (strcmp(name, "return_mean") == 0) run->return_mean = value;
    if (strcmp(name, "eval_return") == 0) run->eval_return = value;
    if (strcmp(name, "episodes") == 0) run->episodes = value;
}

/* The last whole line of metrics.jsonl, ended by 0; NULL = there is none in the last `size` bytes. One that is being written, or was when its
 * run was killed, has no end yet. */
static const char *last_line(char *tail /* [size + 1] */, size_t size, int fd, off_t end)
{
    const off_t begin = end > (off_t)size ? end - (off_t)size : 0;
    ssize_t length = pread(fd, tail, size, begin);
    while (length > 0 && tail[length - 1] != '\n') length--;
    if (length <= 0) return NULL;
    tail[length - 1] = '\0';
    const char *before = strrchr(tail, '\n');
    return before ? before + 1 : begin == 0 ? tail : NULL;
}

static void read_metrics(struct run_told *run)
{
    enum { LONGEST = 64 * TAIL }; /* of many groups and columns a line may be longer than usual */
    char path[4096], *tail = NULL;
    const char *line = NULL;
    struct stat info;
    text_format(path, sizeof path, "%s/metrics.jsonl", run->path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno != ENOENT && !run->why[0]) text_format(run->why, sizeof run->why, "metrics.jsonl: %s", strerror(errno));
    if (fd < 0) return;
    const bool readable = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    for (size_t size = TAIL; readable && !line && size <= LONGEST; size *= 4) {
        tail = realloc(tail, size + 1);
        CHECK(tail, "out of memory listing runs");
        line = last_line(tail, size, fd, info.st_size);
        if (info.st_size <= (off_t)size) break;
    }
    close(fd);
    if (line) run->written = (int64_t)info.st_mtime;
    if (line) metrics_line_numbers(line, take_metric, run, &(struct error){0});
    free(tail);
}

/* What latest.h5 leads to, or is; without it the newest by its name, for which all have to be looked at. False where there is none. */
static bool newest_checkpoint(const struct run_told *run, char *name, size_t size)
{
    char path[4096];
    struct stat info;
    text_format(path, sizeof path, "%s/latest.h5", run->path);
    const ssize_t length = readlink(path, name, size - 1);
    name[length > 0 ? length : 0] = '\0';
    if (length > 0 && !strchr(name, '/')) return true;
    text_format(name, size, "latest.h5");
    if (length < 0 && lstat(path, &info) == 0 && S_ISREG(info.st_mode)) return true; /* copied with its links followed */
    struct checkpoint_name *all;
    const int count = checkpoint_list(run->path, &all);
    if (count > 0) text_format(name, size, "%s", all[0].name);
    free(all);
    return count > 0;
}

/* False where the newest is not what its header says. */
static bool read_checkpoint(struct run_told *run, bool check)
{
    struct checkpoint *file = NULL;
    struct error err = {0};
    char path[4096], name[64];
    if (!newest_checkpoint(run, name, sizeof name)) return true;
    text_format(path, sizeof path, "%s/%s", run->path, name);
    const int64_t env_steps = checkpoint_file_env_steps(path);
    bool good = env_steps >= 0;
    if (!good) text_format(run->why, sizeof run->why, "%s is no whole checkpoint", name);
    if (good && check && checkpoint_open(&file, path, &err)) {
        text_format(run->why, sizeof run->why, "%s", err.text);
        good = false;
    }
    checkpoint_close(file);
    if (good) run->env_steps = env_steps;
    return good;
}

static bool reached(double so_far, const struct run_told *run, const char *key, double least)
{
    double asked;
    return text_to_real(run_setting(run, key), &asked) && asked >= least && so_far >= asked;
}

/* Any of the three that end a run. */
static bool has_what_was_asked(const struct run_told *run)
{
    const bool by_training = strcmp(run_setting(run, "checkpoint.best"), "training") == 0;
    return reached((double)run->env_steps, run, "train.env_steps", 0) || reached(run->episodes, run, "train.episodes", 1) ||
           reached(by_training ? run->return_mean : run->eval_return, run, "train.stop_return", -HUGE_VAL);
}

static bool lives(struct run_told *run)
{
    char who[sizeof run->why];
    const int directory = open(run->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool is = directory >= 0 && lock_lives(directory, stale, who, sizeof who);
    if (directory >= 0) close(directory);
    if (is) text_format(run->why, sizeof run->why, "%s", who);
    return is;
}

static void read_run(struct run_told *run, bool check)
{
    run->return_mean = run->eval_return = run->episodes = NAN;
    bool good = read_settings(run) == 0;
    good = read_checkpoint(run, check) && good;
    read_metrics(run);
    if (!run->written) run->written = time_of(run, "config.ini");
    if (!good)
        run->state = RUN_DAMAGED;
    else if (lives(run))
        run->state = RUN_RUNNING;
    else
        run->state = has_what_was_asked(run) ? RUN_FINISHED : RUN_STOPPED;
}

/* ---- all of them --------------------------------------------------------------------------------------------------------------------- */

static bool is_there(const char *folder, const char *name)
{
    char path[4096];
    struct stat info;
    return text_format(path, sizeof path, "%s/%s", folder, name) && stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

bool run_is_one(const char *folder)
{
    return is_there(folder, "config.ini") &&
           (is_there(folder, "metrics.jsonl") || is_there(folder, "log.txt") || is_there(folder, "latest.h5"));
}

/* Without slashes behind it. */
static int take_folder(char *path, size_t size, const char *folder, struct error *err)
{
    text_format(path, size, "%s", folder);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--) path[n - 1] = '\0';
    DIR *dir = opendir(path);
    if (!dir) return error_set(err, EXIT_USAGE, "%s: %s", path, strerror(errno));
    closedir(dir);
    return 0;
}

int run_read(struct run_told *run, const char *folder, bool check, struct error *err)
{
    char path[4096];
    *run = (struct run_told){.path = NULL};
    const int code = take_folder(path, sizeof path, folder, err);
    if (code) return code;
    if (!run_is_one(path)) return error_set(err, EXIT_USAGE, "%s: is no run's folder; mappo runs %s lists those in it", path, path);
    run->path = copied(path);
    read_run(run, check);
    return 0;
}

void run_forget(struct run_told *run)
{
    for (int k = 0; k < run->settings; k++) {
        free(run->setting[k].key);
        free(run->setting[k].value);
    }
    free(run->setting);
    free(run->path);
    *run = (struct run_told){.path = NULL};
}

static void add_closed(struct run_list *list, char *folder)
{
    list->closed = grown(list->closed, list->closed_count, sizeof *list->closed);
    list->closed[list->closed_count++] = folder;
}

static void find(struct run_list *list, const char *folder, int depth)
{
    if (run_is_one(folder)) {
        list->run = grown(list->run, list->runs, sizeof *list->run);
        list->run[list->runs++] = (struct run_told){.path = copied(folder)};
        return;
    }
    errno = 0;
    DIR *dir = depth < DEEPEST ? opendir(folder) : NULL;
    if (!dir && depth < DEEPEST && errno != ENOENT) warn("%s: %s: left out", folder, strerror(errno));
    for (const struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        char path[4096];
        struct stat info;
        if (entry->d_name[0] == '.' || !text_format(path, sizeof path, "%s/%s", folder, entry->d_name)) continue;
        if (entry->d_type == DT_DIR || (entry->d_type == DT_UNKNOWN && lstat(path, &info) == 0 && S_ISDIR(info.st_mode)))
            find(list, path, depth + 1);
    }
    if (dir)
        closedir(dir);
    else if (depth < DEEPEST && errno == EACCES)
        add_closed(list, copied(folder));
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct run_told *)a)->path, ((const struct run_told *)b)->path);
}

int run_list_read(struct run_list *list, const char *folder, bool check, struct error *err)
{
    char path[4096];
    *list = (struct run_list){.runs = 0};
    const int code = take_folder(path, sizeof path, folder, err);
    if (code) return code;
    find(list, path, 0);
    if (list->runs) qsort(list->run, (size_t)list->runs, sizeof *list->run, by_path);
    for (int i = 0; i < list->runs; i++) read_run(&list->run[i], check);
    return 0;
}

void run_list_free(struct run_list *list)
{
    for (int i = 0; i < list->runs; i++) run_forget(&list->run[i]);
    for (int i = 0; i < list->closed_count; i++) free(list->closed[i]);
    free(list->closed);
    free(list->run);
    *list = (struct run_list){.runs = 0};
}

void run_list_append(struct run_list *list, struct run_list *more)
{
    for (int i = 0; i < more->runs; i++) {
        bool known = false;
        for (int k = 0; k < list->runs; k++) known = known || strcmp(list->run[k].path, more->run[i].path) == 0;
        if (known) {
            run_forget(&more->run[i]);
            continue;
        }
        list->run = grown(list->run, list->runs, sizeof *list->run);
        list->run[list->runs++] = more->run[i];
    }
    for (int i = 0; i < more->closed_count; i++) add_closed(list, more->closed[i]);
    free(more->closed);
    free(more->run);
    *more = (struct run_list){.runs = 0};
}

int run_setting_names(const struct run_told *const *run, int runs, const char ***name)
{
    int names = 0;
    *name = NULL;
    for (int i = 0; i < runs; i++)
        for (int s = 0; s < run[i]->settings; s++) {
            const char *one = run[i]->setting[s].key;
            int k = s < names && strcmp((*name)[s], one) == 0 ? s : 0; /* runs of one version have the same names in one order */
            while (k < names && strcmp((*name)[k], one) != 0) k++;
            if (k < names) continue;
            *name = grown(*name, names, sizeof **name);
            (*name)[names++] = one;
        }
    return names;
}
