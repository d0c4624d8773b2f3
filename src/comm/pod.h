/* Pods: ranks of one node that work for one of them. The leader learns (and drives the GPU); the members step environments for it. Here is
 * what they need of each other: two communicators, and a window of memory that all of a pod see. What they say in it, and how they wait
 * for each other (base/event.h), is run/pod_env.h's. */
#ifndef MAPPO_COMM_POD_H
#define MAPPO_COMM_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "comm/comm.h"

enum { POD_MOST = 1024 }; /* ranks of a pod */

struct pod {
    struct comm *world;   /* all ranks */
    struct comm *leaders; /* what learning runs on; NULL on members. Where every rank is a pod of its own this is `world` */
    struct comm *ranks;   /* of this pod; NULL where it is one rank */
    int member, members;  /* this rank's number within the pod, 0 = the leader; ranks of it */
    int leader, pods;     /* number of this pod; of all pods */
    int *leader_rank;     /* [pods] on leaders: their numbers among all ranks; NULL where every rank is a pod of its own */
    int *rank;            /* [members] their numbers among all ranks … */
    pid_t *process;       /* [members] … and processes; 0 where those of others can't be seen */
    double spin;          /* seconds for event_await: 0 where ranks share cores */
    char *memory;         /* the window; NULL before pod_memory_open */
    size_t bytes, taken;
    struct comm_window *window;
};

/* Groups the ranks of each node: `size` consecutive ones to a pod; size = 0: as many pods as the node has devices, where there are more
 * ranks than those, else each rank for itself (devices = 0 too). Collective over `world`. EXIT_USAGE beyond POD_MOST. */
int pod_open(struct pod **pod, struct comm *world, int size, int devices, struct error *err);

/* The window of the whole pod, zeroed. EXIT_PEERS where /dev/shm has not that much: says how much is missing. Collective within the pod. */
int pod_memory_open(struct pod *pod, size_t bytes, struct error *err);
/* The next bytes of it, from a multiple of 64 on: in the same order and sizes on every rank of the pod, or on the leader alone. */
void *pod_take(struct pod *pod, size_t bytes);
static inline size_t pod_room(size_t bytes) /* what pod_take will take of the window */
{
    return (bytes + 63) / 64 * 64;
}

void pod_memory_close(struct pod *pod); /* collective within the pod */

/* Does this rank of the pod still exist, as far as can be known? */
bool pod_alive(const struct pod *pod, int member);
bool pod_frozen(const struct pod *pod, int member); /* stopped, or held by the system (a driver, a file): its threads do not run */

void pod_close(struct pod *pod); /* collective within the pod; NULL is allowed. `world` stays open. */

#endif
