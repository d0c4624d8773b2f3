/* A run's folder: its lock, the names in it, pruning, moving an old one aside. Rank 0 only.
 *
 * The lock file `lock` holds host, pid, start time, Slurm job id, restart count and a counter that a thread rewrites every 10 s. It belongs to a live run when: same host and the pid with that
 * start time lives; or another host and the counter moves within 30 s. The same Slurm job with a higher restart count takes over at once. No flock (some Lustre and NFS mounts have none). */
#ifndef MAPPO_RUN_FOLDER_H
#define MAPPO_RUN_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct folder;
int folder_open(struct folder **folder, const char *path, struct error *err); /* creates it, takes the lock; EXIT_USAGE where it is not writable or owned by a live run */
void folder_close(struct folder *folder);                                     /* releases the lock */
const char *folder_path(const struct folder *folder);
void folder_file(const struct folder *folder, const char *name, char *path, size_t size);
/* Moves an existing run to PATH.1, PATH.2, …; `moved` receives the new name, empty where there was nothing. */
int folder_set_aside(const char *path, char *moved, size_t size, struct error *err);
/* Removes all but the newest `keep` of step-*.h5, never `best` (a file name; may be empty) and never update 0's. */
void folder_prune(const struct folder *folder, int keep, const char *best);

#endif
