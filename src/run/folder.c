#include "run/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "run/checkpoint.h"
#include "run/lock.h"
#include "run/replay_file.h"

struct folder {
    char path[4096];
    int directory;
    struct lock *lock;
};

static const struct lock_timing timing = {.beat = 10, .stale = 30};

/* Temporary files of a save that was killed. Nobody else writes here while we hold the lock; .tmp-lock-… are those of processes that
 * contend for it. */
static void remove_leftovers(const struct folder *folder)
{
    static const char *const ours[] = {".tmp-step-", ".tmp-replay-", ".tmp-config.ini-", ".tmp-latest.h5-", ".tmp-best.h5-"};
    DIR *dir = opendir(folder->path);
    if (dir == NULL) return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        for (int i = 0; i < (int)(sizeof ours / sizeof *ours); i++)
            if (strncmp(entry->d_name, ours[i], strlen(ours[i])) == 0) unlinkat(folder->directory, entry->d_name, 0);
    closedir(dir);
}

static int folder_lock(struct folder **out, const char *path, struct error *err)
{
    *out = NULL;
    struct folder *folder = calloc(1, sizeof *folder);
    CHECK(folder != NULL, "out of memory opening %s", path);
    if (!text_format(folder->path, sizeof folder->path, "%s", path)) {
        free(folder);
        return error_set(err, EXIT_USAGE, "%.200s…: the path is too long", path);
    }
    folder->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = folder->directory < 0 ? error_set(err, EXIT_USAGE, "%s: can't open the run's folder: %s", path, strerror(errno)) : EXIT_DONE;
    if (code == EXIT_DONE) code = lock_take(&folder->lock, path, folder->directory, &timing, err);
    if (code != EXIT_DONE) {
        if (folder->directory >= 0) close(folder->directory);
        free(folder);
        return code;
    }
    *out = folder;
    return EXIT_DONE;
}

int folder_open(struct folder **folder, const char *path, struct error *err)
{
    *folder = NULL;
    int code = file_make_folders(path, err);
    if (code == EXIT_DONE) code = folder_lock(folder, path, err);
    if (code == EXIT_DONE) remove_leftovers(*folder);
    return code;
}

void folder_close(struct folder *folder)
{
    if (folder == NULL) return;
    lock_release(folder->lock);
    close(folder->directory);
    free(folder);
}

bool folder_follow(struct folder *folder)
{
    char link[64], now[sizeof folder->path];
    if (file_leads_to(folder->path, folder->directory)) return true;
    text_format(link, sizeof link, "/proc/self/fd/%d", folder->directory);
    const ssize_t length = readlink(link, now, sizeof now - 1);
    now[length > 0 ? length : 0] = '\0';
    if (!file_leads_to(now, folder->directory)) return false;
    warn("%s was moved while the run writes it: the run goes on in %s", folder->path, now);
    text_format(folder->path, sizeof folder->path, "%s", now);
    return true;
}

int folder_ours(struct folder *folder, struct error *err)
{
    if (!lock_held(folder->lock))
        return error_set(err, EXIT_PEERS, "%s: the run's lock is no longer ours: another process took the folder over, or removed it",
                         folder->path);
    if (!file_leads_to(folder->path, folder->directory))
        return error_set(err, EXIT_PEERS, "%s: is no longer the run's folder, which was moved or removed", folder->path);
    return EXIT_DONE;
}

const char *folder_path(const struct folder *folder)
{
    return folder->path;
}

/* ---- setting aside ------------------------------------------------------------------------------------------------------------------- */

enum content { CONTENT_NOTHING, CONTENT_RUN, CONTENT_OTHER };

/* A folder that a run was in has a configuration, a log or a checkpoint. Anything else might be somebody's home. */
static enum content folder_content(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) return CONTENT_OTHER;
    enum content content = CONTENT_NOTHING;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL && content != CONTENT_RUN;) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strncmp(name, ".tmp-", 5) == 0 || strncmp(name, "lock", 4) == 0) continue;
        const bool run = strcmp(name, "config.ini") == 0 || strcmp(name, "metrics.jsonl") == 0 || strncmp(name, "step-", 5) == 0;
        content = run ? CONTENT_RUN : CONTENT_OTHER;
    }
    closedir(dir);
    return content;
}

int folder_check(const char *path, bool aside, struct error *err)
{
    struct stat info;
    char target[256];
    if (file_dangles(path, target, sizeof target))
        return error_set(err, EXIT_USAGE, "%s: is a link to %s, which is not there: make that folder, or choose another with run=DIR", path,
                         target);
    if (stat(path, &info) != 0) return EXIT_DONE;
    const char *slash = strrchr(path, '/');
    const int above = slash != NULL ? (int)(slash - path) : 0;
    if (!S_ISDIR(info.st_mode) && above > 0)
        return error_set(err, EXIT_USAGE, "%s: is a file, and run= names the folder of a run: run=%.*s is the one that it lies in", path,
                         above, path);
    if (!S_ISDIR(info.st_mode)) return error_set(err, EXIT_USAGE, "%s: is a file, and run= names the folder of a run", path);
    if (aside && folder_content(path) == CONTENT_OTHER)
        return error_set(err, EXIT_USAGE, "%s: is there, but no run's folder (no config.ini, metrics.jsonl or step-*.h5); it is left alone",
                         path);
    return EXIT_DONE;
}

int folder_set_aside(const char *path, char *moved, size_t size, struct error *err)
{
    char plain[4096];
    moved[0] = '\0';
    if (!text_format(plain, sizeof plain, "%s", path)) return error_set(err, EXIT_USAGE, "%.200s…: the path is too long", path);
    for (size_t end = strlen(plain); end > 1 && plain[end - 1] == '/'; end--) plain[end - 1] = '\0';
    struct stat info;
    if (stat(plain, &info) != 0 && errno == ENOENT) return EXIT_DONE;
    int code = folder_check(plain, true, err);
    if (code != EXIT_DONE || folder_content(plain) == CONTENT_NOTHING) return code;
    struct folder *folder;
    code = folder_lock(&folder, plain, err);
    if (code != EXIT_DONE) return code;
    code = file_set_aside(plain, moved, size, err);
    if (code != EXIT_DONE) moved[0] = '\0';
    folder_close(folder); /* by its descriptor: the lock went along */
    return code;
}

/* ---- pruning ------------------------------------------------------------------------------------------------------------------------- */

void folder_prune(const struct folder *folder, int keep, int64_t best)
{
    struct checkpoint_name *name;
    const int count = checkpoint_list(folder->path, &name);
    for (int i = 0, seen = 0; i < count; i++) {
        if (name[i].named != name[i].env_steps || ++seen <= keep) continue; /* renamed by a person, who wants to keep it */
        if (name[i].env_steps != 0 && name[i].env_steps != best) unlinkat(folder->directory, name[i].name, 0);
    }
    free(name);
    folder_prune_replays(folder, REPLAYS_KEPT);
}

/* Calls `visit` for each replay by its name. */
static void each_replay(const struct folder *folder, void (*visit)(const struct folder *, const char *name, int64_t env_steps, void *user),
                        void *user)
{
    int64_t env_steps;
    DIR *dir = opendir(folder->path);
    if (dir == NULL) return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        if (replay_file_name_parse(entry->d_name, &env_steps)) visit(folder, entry->d_name, env_steps, user);
    closedir(dir);
}

struct newest {
    struct checkpoint_name *name;
    int count;
};

static void remove_unless_newest(const struct folder *folder, const char *name, int64_t env_steps, void *user)
{
    const struct newest *newest = user;
    for (int i = 0; i < newest->count; i++)
        if (newest->name[i].env_steps == env_steps) return;
    unlinkat(folder->directory, name, 0);
}

void folder_prune_replays(const struct folder *folder, int keep)
{
    struct newest newest;
    newest.count = checkpoint_list(folder->path, &newest.name);
    if (newest.count > keep) newest.count = keep;
    each_replay(folder, remove_unless_newest, &newest);
    free(newest.name);
}

static void add_bytes(const struct folder *folder, const char *name, int64_t env_steps, void *user)
{
    struct stat info;
    (void)env_steps;
    if (fstatat(folder->directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0) *(double *)user += (double)info.st_size;
}

double folder_replay_bytes(const struct folder *folder)
{
    double bytes = 0;
    each_replay(folder, add_bytes, &bytes);
    return bytes;
}

void folder_reject(const struct folder *folder, const char *name)
{
    char path[sizeof folder->path + 64], rejected[sizeof path], moved[sizeof path] = "";
    struct stat info;
    struct error err = {0};
    text_format(path, sizeof path, "%s/%s", folder->path, name);
    text_format(rejected, sizeof rejected, "%s/damaged-%s", folder->path, name);
    /* One of the same name may have been put away before. */
    const int code = lstat(rejected, &info) == 0 ? file_set_aside(rejected, moved, sizeof moved, &err) : EXIT_DONE;
    if (code != EXIT_DONE || rename(path, rejected) != 0)
        warn("%s: can't rename the damaged file: %s", path, code != EXIT_DONE ? err.text : strerror(errno));
}

/* ---- links --------------------------------------------------------------------------------------------------------------------------- */

/* What copying a run with its links followed leaves under their names. */
static bool is_copy(const struct folder *folder, const char *path)
{
    struct checkpoint_name *name;
    char other[sizeof folder->path + 64];
    bool copy = false;
    const int count = checkpoint_list(folder->path, &name);
    for (int i = 0; i < count && !copy; i++) {
        text_format(other, sizeof other, "%s/%s", folder->path, name[i].name);
        copy = checkpoint_alike(path, other);
    }
    free(name);
    return copy;
}

int folder_point(const struct folder *folder, const char *link, const char *target, struct error *err)
{
    char path[sizeof folder->path + 64], now[64], moved[sizeof path];
    text_format(path, sizeof path, "%s/%s", folder->path, link);
    const ssize_t length = readlink(path, now, sizeof now - 1);
    now[length > 0 ? length : 0] = '\0';
    if (length > 0 && strcmp(now, target) == 0) return EXIT_DONE;
    const bool ours = (length < 0 && errno == ENOENT) || strncmp(now, "step-", 5) == 0;
    if (!ours && !is_copy(folder, path)) {
        const int code = file_set_aside(path, moved, sizeof moved, err);
        if (code != EXIT_DONE) return code;
        warn("%s was no link to a checkpoint of this folder: it is now %s", path, moved);
    }
    return file_link_replace(folder->path, link, target, err);
}
