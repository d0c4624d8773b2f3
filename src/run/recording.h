/* Recordings: what was seen and done in whole episodes, in an HDF5 file for other programs (docs/recordings.md). It is the container of
 * checkpoints (run/checkpoint.h), so it is replaced whole, and `mappo inspect` shows it.
 *
 * Steps of an episode follow one another, episodes are in the order of their numbers: step t of episode k is row start[k] + t. */
#ifndef MAPPO_RUN_RECORDING_H
#define MAPPO_RUN_RECORDING_H

#include "env/slices.h"
#include "run/checkpoint.h"

struct recording;

/* Can a recording be left at `path`? EXIT_USAGE where it doesn't end in .h5 or can't be written: to be asked before anything is played. */
int recording_check(const char *path, struct error *err);

/* Keeps all slices but states, as far as the environment writes them: an io needs arrays for these. spec must outlive it. */
struct recording *recording_create(const struct mappo_env_spec *spec, int64_t episodes);
void recording_destroy(struct recording *recording); /* NULL is allowed */

/* What is kept of each step besides, from here on: /<group>/<name>, and what it is. */
struct recording_numbers {
    int group;
    const char *name, *what; /* must outlive the recording */
    int width;               /* numbers of an agent */
    const real *from;        /* [E][A][width] the caller's: what stands there when recording_before is called */
};
void recording_add(struct recording *recording, const struct recording_numbers *numbers);

/* Environment e of `io` is about to take a step of its episode: what it sees and does. Then: it has taken it. */
void recording_before(struct recording *recording, const struct mappo_env_io *io, int e, int64_t episode);
void recording_after(struct recording *recording, const struct mappo_env_io *io, int e, int64_t episode);

/* All episodes have ended: bytes of their numbers, and of those among them that were added. */
struct recording_size {
    size_t all, added;
};
struct recording_size recording_size(const struct recording *recording);

/* All episodes have ended. `attribute`: texts of the root. What has that name and is no recording is set aside with a message. EXIT_USAGE
 * where there is no room in memory. */
int recording_write(struct recording *recording, const char *path, const struct checkpoint_attribute *attribute, int attributes,
                    struct error *err);

#endif
