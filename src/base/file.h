/* Files that are either old or new, never half: write to a temporary file of this writer, fsync, rename, fsync of the folder. */
#ifndef MAPPO_BASE_FILE_H
#define MAPPO_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"

/* A file that takes the place of `path` once it is finished. Until then it stands in the same folder as ".tmp-<name>-<pid>-<counter>",
 * created 0600 with O_EXCL|O_NOFOLLOW; finishing gives it the user's umask and makes it durable. A folder that is moved meanwhile is
 * followed. Where anything fails, `path` is as it was; finish then drops the draft itself. EXIT_CHECKPOINT. */
struct file_draft;
int file_draft_create(struct file_draft **draft, const char *path, struct error *err);
int file_draft_write(struct file_draft *draft, uint64_t at, const void *bytes, size_t size, struct error *err);
int file_draft_finish(struct file_draft *draft, struct error *err);
void file_draft_drop(struct file_draft *draft); /* NULL is allowed */

/* Replaces `path` with the concatenation of the parts, by such a draft. */
struct file_part {
    const void *bytes;
    size_t size;
};
int file_replace(const char *path, const struct file_part *parts, int count, struct error *err);

/* Can a file be left at `path`, as far as can be told beforehand? EXIT_USAGE where its folder isn't there or takes no files, or a folder
 * or anything else that is no file (a device, a pipe) has that name. */
int file_check_writable(const char *path, struct error *err);

/* Reads a whole regular file of at most `limit` bytes into memory from malloc (caller frees); one zero byte follows the content. */
int file_read(const char *path, size_t limit, char **bytes, size_t *size, struct error *err);

/* Renames a file or folder that is in the way to the first free one of PATH.1, PATH.2, …; `moved` receives the new name. EXIT_USAGE. */
int file_set_aside(const char *path, char *moved, size_t size, struct error *err);

/* Before something made here (a picture, a page) takes the place of `path`: what holds `mark` in its first or last 512 bytes is one made
 * before, and may be replaced; anything else is set aside, and a warning says that it was no `what`. EXIT_USAGE. */
int file_make_room(const char *path, const char *mark, const char *what, struct error *err);

/* For a file that is appended to for long, opened with "a+": where `path` no longer is that file, because somebody removed, moved or
 * replaced it, all of it is written there anew, and `file` goes on there; what stands there instead is set aside (`moved` receives its new
 * name, else ""). Positions in the file stay what they were. Returns whether that was so; where it can't be written, err->code is
 * EXIT_CHECKPOINT and `file` is left as it was. */
bool file_return(FILE *file, const char *path, char *moved, size_t size, struct error *err);

/* A path as somebody wrote it, with ~ and ~user at its beginning replaced as shells do (which don't inside quotes, in files, or behind an
 * =). EXIT_USAGE, without the path in the text: no such user, a $VARIABLE that no shell has replaced, too long. */
int file_path_given(const char *written, char *path, size_t size, struct error *err);

int file_make_folders(const char *path, struct error *err); /* mkdir -p */
bool file_exists(const char *path);                         /* follows links */
double file_room(const char *folder);                       /* bytes that can be written there, as far as the file system tells */
bool file_same(const char *a, const char *b);               /* two names of one file or folder that is there */
bool file_leads_to(const char *path, int fd);               /* to the file or folder that is open there */
/* `path` is a link to what is not there; `target` receives what it names. */
bool file_dangles(const char *path, char *target, size_t size);
int file_link_replace(const char *folder, const char *link, const char *target, struct error *err); /* relative symbolic link, by rename */
int file_sync_folder(const char *folder, struct error *err);

#endif
