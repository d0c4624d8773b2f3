/* A run's folder: its lock, the names in it, pruning, moving an old one aside. Rank 0 only.
 *
 * The lock file `lock` holds host, pid, start time, Slurm job id, restart count and a counter that a thread rewrites every 10 s. It belongs
 * to a live run when: same host and the pid with that start time lives; or another host and the counter moves within 30 s. The same Slurm
 * job with a higher restart count takes over at once. No flock (some Lustre and NFS mounts have none): run/lock.h. */
#ifndef MAPPO_RUN_FOLDER_H
#define MAPPO_RUN_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct folder;
/* Creates it, takes the lock, removes what a killed save left behind. EXIT_USAGE where it is not writable or owned by a live run. May wait
 * 30 s for the verdict, and says so. */
int folder_open(struct folder **folder, const char *path, struct error *err);
void folder_close(struct folder *folder); /* releases the lock; NULL is allowed */
/* Before anything is replaced in it: EXIT_PEERS where another process has taken the folder over meanwhile (this one was suspended for
 * long). */
int folder_ours(struct folder *folder, struct error *err);
/* Before anything is looked for or written by its name: a folder that somebody has moved or renamed is followed to where it is now, with a
 * word. False where it is gone, and what its path leads to is somebody else's. */
bool folder_follow(struct folder *folder);
const char *folder_path(const struct folder *folder);
/* Moves an existing run to PATH.1, PATH.2, …; `moved` receives the new name, empty where there was nothing. EXIT_USAGE where a live run
 * owns it, or where it holds something else than a run. */
int folder_set_aside(const char *path, char *moved, size_t size, struct error *err);
/* What of that can be told without touching anything: EXIT_USAGE where the path is no folder, or with `aside` one of something else. */
int folder_check(const char *path, bool aside, struct error *err);
/* Removes all but the newest `keep` of step-*.h5, never that of `best` environment steps (-1: there is none), never update 0's, and none
 * that holds something else than its name says. */
void folder_prune(const struct folder *folder, int keep, int64_t best);
/* Removes the replays (run/replay_file.h) of all but the newest `keep` checkpoints, and those without one; folder_prune does with REPLAYS_KEPT. */
enum { REPLAYS_KEPT = 2 };
void folder_prune_replays(const struct folder *folder, int keep);
double folder_replay_bytes(const struct folder *folder); /* of all that are there */
/* Takes a damaged checkpoint or replay out of the way of loading and pruning: renamed to damaged-<name>, never removed. */
void folder_reject(const struct folder *folder, const char *name);
/* Makes `link` (latest.h5, best.h5) a symbolic link to `target` in the folder. A person's file in its place is set aside with a message. */
int folder_point(const struct folder *folder, const char *link, const char *target, struct error *err);

#endif
