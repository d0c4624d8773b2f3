/* Which launcher started this process, read from the environment variables that it sets. Private to this folder. */
#ifndef MAPPO_COMM_LAUNCHER_H
#define MAPPO_COMM_LAUNCHER_H

struct launcher {
    const char *name; /* "Open MPI's mpirun"; NULL for a plain start */
    int rank, size;   /* -1 where the launcher does not say */
};

struct launcher launcher_find(void);

#endif
