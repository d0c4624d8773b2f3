/* The lock of a run's folder: file `lock`, one owner. Works without flock, which some Lustre and NFS mounts have not.
 *
 * The file says who owns the folder (host, boot, pid, start time, Slurm job and restart count, a random token) and holds a counter that a
 * thread rewrites every `beat` seconds.
 *   same machine                          the owner lives when the pid with that start time does
 *   same Slurm job, lower restart count   superseded: taken over at once
 *   else                                  the owner lives when the counter moves; taken over after `stale` seconds without change
 * It appears complete (hard link of a finished file), and takeovers are made one at a time under `lock.taking`, after looking again: of
 * several that find a stale lock one gets it. An owner that was suspended and lost its lock writes into its own, removed file and notices
 * by the inode: lock_held. */
#ifndef MAPPO_RUN_LOCK_H
#define MAPPO_RUN_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct lock;
struct lock_timing {
    double beat, stale; /* seconds; 10 and 30 */
};

/* `folder` is for messages, `directory` an open descriptor of it that stays open as long as the lock. EXIT_USAGE where it is owned by a
 * live run or not writable. */
int lock_take(struct lock **lock, const char *folder, int directory, const struct lock_timing *timing, struct error *err);
/* For those who only look, at what stands in the open `directory`. `who` receives the owner ("process 7 on node3 (since …)"); of another
 * machine's process nothing is known but that its counter moved less than `stale` seconds ago, by the file's time. */
bool lock_lives(int directory, double stale, char *who, size_t size);
bool lock_held(struct lock *lock);
void lock_release(struct lock *lock); /* NULL is allowed */

#endif
