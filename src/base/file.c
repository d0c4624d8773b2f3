#include "base/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"

enum { PATH_ROOM = 4096 };

/* The folder part of `path` ("." where there is none) and the name in it. */
static bool path_split(const char *path, char *folder, size_t size, const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL) return text_format(folder, size, ".");
    if (slash == path) return text_format(folder, size, "/");
    return text_format(folder, size, "%.*s", (int)(slash - path), path);
}

/* A name of this writer alone: no two threads, processes or moments share one. */
static bool temporary_name(const char *name, char *text, size_t size)
{
    static atomic_uint counter;
    return text_format(text, size, ".tmp-%s-%ld-%u", name, (long)getpid(), atomic_fetch_add(&counter, 1));
}

/* Whether what is in an open folder is durable now: 0 or errno. */
static int sync_folder(int fd)
{
    /* Some network file systems know no fsync of a folder and say EINVAL: there is nothing more to be done there. */
    return fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EROFS ? errno : 0;
}

int file_sync_folder(const char *folder, struct error *err)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return error_set(err, EXIT_CHECKPOINT, "%s: can't open the folder: %s", folder, strerror(errno));
    const int failed = sync_folder(fd);
    close(fd);
    if (failed) return error_set(err, EXIT_CHECKPOINT, "%s: can't make the folder durable: %s", folder, strerror(failed));
    return EXIT_DONE;
}

static int write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return ENOSPC;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* The user's umask. There is no call that only reads it, and setting it twice would race with other threads that create files. */
static mode_t current_umask(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    unsigned mask = 077;
    char line[256];
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "Umask: %o", &mask) == 1) break;
    if (status != NULL) fclose(status);
    return (mode_t)mask;
}

/* ---- drafts -------------------------------------------------------------------------------------------------------------------------- */

struct file_draft {
    char path[PATH_ROOM], temporary[PATH_ROOM]; /* the latter in the folder that is open as `folder`, wherever that is moved meanwhile */
    const char *name;                           /* of path */
    int folder, fd;
};

static void draft_free(struct file_draft *draft)
{
    if (draft->fd >= 0) close(draft->fd);
    if (draft->folder >= 0) close(draft->folder);
    free(draft);
}

int file_draft_create(struct file_draft **out, const char *path, struct error *err)
{
    char folder[PATH_ROOM];
    struct file_draft *draft = malloc(sizeof *draft);
    CHECK(draft != NULL, "out of memory writing %s", path);
    *out = NULL;
    draft->folder = draft->fd = -1;
    if (!text_format(draft->path, sizeof draft->path, "%s", path) || !path_split(draft->path, folder, sizeof folder, &draft->name) ||
        !temporary_name(draft->name, draft->temporary, sizeof draft->temporary)) {
        draft_free(draft);
        return error_set(err, EXIT_CHECKPOINT, "%.200s…: the path is too long", path);
    }
    draft->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (draft->folder >= 0) draft->fd = openat(draft->folder, draft->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (draft->fd < 0) { /* what exists under that name already is not ours to remove */
        const int failed = errno;
        draft_free(draft);
        return error_set(err, EXIT_CHECKPOINT, "%s: can't create a temporary file: %s", folder, strerror(failed));
    }
    *out = draft;
    return EXIT_DONE;
}

static int draft_failed(const struct file_draft *draft, const char *doing, int failed, struct error *err)
{
    return error_set(err, EXIT_CHECKPOINT, "%s: can't %s the temporary file: %s; what was there before is untouched", draft->path, doing,
                     strerror(failed));
}

int file_draft_write(struct file_draft *draft, uint64_t at, const void *bytes, size_t size, struct error *err)
{
    const int failed = lseek(draft->fd, (off_t)at, SEEK_SET) < 0 ? errno : write_all(draft->fd, bytes, size);
    return failed ? draft_failed(draft, "write", failed, err) : EXIT_DONE;
}

/* 0, or errno and what was being done. */
static int settle(struct file_draft *draft, const char **doing)
{
    *doing = "set the permissions of";
    if (fchmod(draft->fd, 0666 & ~current_umask()) != 0 && errno != EPERM && errno != ENOTSUP) return errno;
    *doing = "fsync";
    if (fsync(draft->fd) != 0 && errno != EINVAL) return errno;
    *doing = "close";
    const int fd = draft->fd;
    draft->fd = -1;
    if (close(fd) != 0 && errno != EINTR) return errno; /* NFS reports a full disk here */
    *doing = "rename";
    return renameat(draft->folder, draft->temporary, draft->folder, draft->name) != 0 ? errno : 0;
}

int file_draft_finish(struct file_draft *draft, struct error *err)
{
    const char *doing;
    int failed = settle(draft, &doing);
    if (failed) {
        const int code = draft_failed(draft, doing, failed, err);
        file_draft_drop(draft);
        return code;
    }
    failed = sync_folder(draft->folder);
    const int code =
        failed ? error_set(err, EXIT_CHECKPOINT, "%s: can't make its folder durable: %s", draft->path, strerror(failed)) : EXIT_DONE;
    draft_free(draft);
    return code;
}

void file_draft_drop(struct file_draft *draft)
{
    if (draft == NULL) return;
    unlinkat(draft->folder, draft->temporary, 0);
    draft_free(draft);
}

int file_replace(const char *path, const struct file_part *parts, int count, struct error *err)
{
    struct file_draft *draft;
    uint64_t at = 0;
    int code = file_draft_create(&draft, path, err);
    if (code != EXIT_DONE) return code;
    for (int i = 0; i < count && code == EXIT_DONE; at += parts[i++].size)
        code = file_draft_write(draft, at, parts[i].bytes, parts[i].size, err);
    if (code == EXIT_DONE) return file_draft_finish(draft, err);
    file_draft_drop(draft);
    return code;
}

int file_read(const char *path, size_t limit, char **bytes, size_t *size, struct error *err)
{
    *bytes = NULL;
    *size = 0;
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return error_set(err, EXIT_CHECKPOINT, "%s: can't open: %s", path, strerror(errno));
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return error_set(err, EXIT_CHECKPOINT, "%s: not a regular file", path);
    }
    if (info.st_size < 0 || (uint64_t)info.st_size > limit) {
        close(fd);
        return error_set(err, EXIT_CHECKPOINT, "%s: has %lld bytes, at most %zu are read", path, (long long)info.st_size, limit);
    }
    const size_t expected = (size_t)info.st_size;
    char *buffer = malloc(expected + 1);
    if (buffer == NULL) {
        close(fd);
        return error_set(err, EXIT_CHECKPOINT, "%s: no memory for its %zu bytes", path, expected);
    }
    size_t got = 0;
    int failed = 0;
    while (got < expected) {
        const ssize_t n = read(fd, buffer + got, expected - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) failed = errno;
        if (n <= 0) break;
        got += (size_t)n;
    }
    close(fd);
    if (failed != 0) {
        free(buffer);
        return error_set(err, EXIT_CHECKPOINT, "%s: can't read: %s", path, strerror(failed));
    }
    buffer[got] = '\0'; /* a file that shrank meanwhile gives what is left: its reader checks the content */
    *bytes = buffer;
    *size = got;
    return EXIT_DONE;
}

int file_make_folders(const char *path, struct error *err)
{
    char part[PATH_ROOM];
    if (!text_format(part, sizeof part, "%s", path) || part[0] == '\0')
        return error_set(err, EXIT_USAGE, "%.200s: not a usable path of a folder", path);
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0') continue;
        const char end = *at;
        *at = '\0';
        struct stat info;
        if (mkdir(part, 0777) != 0 && (errno != EEXIST || stat(part, &info) != 0 || !S_ISDIR(info.st_mode))) {
            const int failed = errno == EEXIST ? ENOTDIR : errno;
            return error_set(err, EXIT_USAGE, "%s: can't make the folder: %s", part, strerror(failed));
        }
        *at = end;
        if (end == '\0') return EXIT_DONE;
    }
}

bool file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

double file_room(const char *folder)
{
    struct statvfs room;
    return statvfs(folder, &room) == 0 ? (double)room.f_bavail * (double)room.f_frsize : INFINITY;
}

bool file_same(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

bool file_leads_to(const char *path, int fd)
{
    struct stat ours, there;
    return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

bool file_dangles(const char *path, char *target, size_t size)
{
    if (file_exists(path)) return false;
    const ssize_t length = readlink(path, target, size - 1);
    if (length >= 0) target[length] = '\0';
    return length >= 0;
}

int file_link_replace(const char *folder, const char *link, const char *target, struct error *err)
{
    char path[PATH_ROOM], name[PATH_ROOM], temporary[PATH_ROOM];
    if (!text_format(path, sizeof path, "%s/%s", folder, link) || !temporary_name(link, name, sizeof name) ||
        !text_format(temporary, sizeof temporary, "%s/%s", folder, name))
        return error_set(err, EXIT_CHECKPOINT, "%.200s…: the path is too long", folder);
    if (symlink(target, temporary) != 0)
        return error_set(err, EXIT_CHECKPOINT, "%s: can't make a symbolic link: %s", path, strerror(errno));
    if (rename(temporary, path) != 0) {
        const int failed = errno;
        unlink(temporary);
        return error_set(err, EXIT_CHECKPOINT, "%s: can't replace the link: %s", path, strerror(failed));
    }
    return file_sync_folder(folder, err);
}

/* ---- what is in the way, what was taken away ----------------------------------------------------------------------------------------- */

int file_set_aside(const char *path, char *moved, size_t size, struct error *err)
{
    for (int k = 1; k < 100000; k++) {
        struct stat info;
        if (!text_format(moved, size, "%s.%d", path, k)) return error_set(err, EXIT_USAGE, "%.200s…: the path is too long", path);
        if (lstat(moved, &info) == 0) continue;
        if (rename(path, moved) == 0) return EXIT_DONE;
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
            return error_set(err, EXIT_USAGE, "%s: can't be renamed to %s: %s", path, moved, strerror(errno));
    }
    return error_set(err, EXIT_USAGE, "%s: all names up to %s are taken", path, moved);
}

static bool holds_mark(const char *path, const char *mark)
{
    enum { PART = 512 };
    char part[PART];
    FILE *file = fopen(path, "re");
    bool found = false;
    if (!file) return false;
    for (int end = 0; end < 2 && !found; end++) {
        if (end && fseek(file, -PART, SEEK_END) != 0) break; /* it is shorter: all of it has been looked at */
        found = memmem(part, fread(part, 1, PART, file), mark, strlen(mark)) != NULL;
    }
    fclose(file);
    return found;
}

int file_make_room(const char *path, const char *mark, const char *what, struct error *err)
{
    char moved[PATH_ROOM];
    struct stat info;
    if (lstat(path, &info) != 0) return EXIT_DONE;
    const int code = file_check_writable(path, err); /* also what came there meanwhile */
    if (code || holds_mark(path, mark)) return code;
    if (file_set_aside(path, moved, sizeof moved, err)) return EXIT_USAGE;
    warn("%s was no %s: it is now %s", path, what, moved);
    return EXIT_DONE;
}

static int copy_all(int from, int to)
{
    char block[1 << 16];
    off_t at = 0;
    for (ssize_t n; (n = pread(from, block, sizeof block, at)) != 0; at += n) {
        if (n < 0) return errno;
        const int failed = write_all(to, block, (size_t)n);
        if (failed != 0) return failed;
    }
    return 0;
}

bool file_return(FILE *file, const char *path, char *moved, size_t size, struct error *err)
{
    moved[0] = '\0';
    fflush(file);
    if (file_leads_to(path, fileno(file))) return false;
    const bool found = file_exists(path);
    if (!found && errno != ENOENT) return false; /* can't be told now: a file system that doesn't answer */
    if (found && file_set_aside(path, moved, size, err) != EXIT_DONE) return true;
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    int failed = fd < 0 ? errno : copy_all(fileno(file), fd);
    /* The stream stays, so that everybody who writes to it goes on in the new file. */
    if (failed == 0 && dup3(fd, fileno(file), O_CLOEXEC) < 0) failed = errno;
    if (failed != 0 && fd >= 0) unlink(path);
    if (fd >= 0) close(fd);
    if (failed != 0) error_set(err, EXIT_CHECKPOINT, "%s: can't be written anew: %s", path, strerror(failed));
    return true;
}

int file_check_writable(const char *path, struct error *err)
{
    char folder[PATH_ROOM];
    const char *name;
    struct stat there;
    if (!path_split(path, folder, sizeof folder, &name)) return error_set(err, EXIT_USAGE, "%.200s…: the path is too long", path);
    if (!*name || (stat(path, &there) == 0 && S_ISDIR(there.st_mode)))
        return error_set(err, EXIT_USAGE, "%s: is a folder; a file's name is needed", path);
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return error_set(err, EXIT_USAGE, "%s: is a device or a pipe, which a file would replace; another name is needed", path);
    if (stat(folder, &there) != 0) return error_set(err, EXIT_USAGE, "%s: can't be written: %s: %s", path, folder, strerror(errno));
    if (!S_ISDIR(there.st_mode)) return error_set(err, EXIT_USAGE, "%s: can't be written: %s is no folder", path, folder);
    if (access(folder, W_OK | X_OK) != 0) return error_set(err, EXIT_USAGE, "%s: can't be written: %s: %s", path, folder, strerror(errno));
    return EXIT_DONE;
}

/* ---- paths as people write them ------------------------------------------------------------------------------------------------------ */

/* "$HOME" or "${HOME}" in it, and no file or folder of that very name. */
static bool holds_variable(const char *path)
{
    char part[PATH_ROOM];
    for (const char *c = path; (c = strchr(c, '$')); c++) {
        if (!isalpha((unsigned char)c[1]) && c[1] != '_' && c[1] != '{') continue;
        const size_t length = (size_t)(c - path) + strcspn(c, "/");
        if (!text_format(part, sizeof part, "%.*s", (int)length, path) || !file_exists(part)) return true;
    }
    return false;
}

int file_path_given(const char *written, char *path, size_t size, struct error *err)
{
    const char *home = "", *rest = written;
    if (holds_variable(written))
        return error_set(err, EXIT_USAGE, "variables are replaced by a shell only, not in files and single quotes: write the path out");
    if (*written == '~') {
        char user[64];
        rest = written + strcspn(written, "/");
        if (!text_format(user, sizeof user, "%.*s", (int)(rest - written - 1), written + 1))
            return error_set(err, EXIT_USAGE, "no user's name is that long (./~NAME is a file of that name)");
        const struct passwd *entry = *user ? getpwnam(user) : NULL;
        if (*user && !entry) return error_set(err, EXIT_USAGE, "there is no user \"%s\" (./~%s is a file of that name)", user, user);
        if (!*user && (!(home = getenv("HOME")) || !*home)) entry = getpwuid(getuid());
        if (entry) home = entry->pw_dir;
        if (!home || !*home) return error_set(err, EXIT_USAGE, "~ has no meaning here, because HOME is not set: write the path out");
    }
    if (!text_format(path, size, "%s%s", home, rest)) return error_set(err, EXIT_USAGE, "the path is too long");
    return EXIT_DONE;
}
