/* The replay of an off-policy learner (algorithm_ops.replay) in a file of its own, beside the checkpoint that it belongs to, which names it
 * with its size and SHA-256: without it, or with another, that checkpoint is no good to go on from.
 *
 * The file is a checkpoint_stream: arrays [places][environments of all ranks]…, by global index, of all places that have been written. All
 * ranks take part, some places at a time, in the order of the file: no rank holds more of another's than that, and none its own twice. */
#ifndef MAPPO_RUN_REPLAY_FILE_H
#define MAPPO_RUN_REPLAY_FILE_H

#include "run/checkpoint_stream.h"
#include "run/learning.h"

/* Of the replay that belongs to a checkpoint of so many environment steps: "replay-000000012800.h5". */
struct replay_file_name {
    char text[32];
};
struct replay_file_name replay_file_name(int64_t env_steps);
bool replay_file_name_parse(const char *text, int64_t *env_steps); /* exactly such a name, and nothing else */

/* Where something else has the name of a replay that is about to be written, it is set aside with a message. */
int replay_file_make_room(const char *path, int64_t env_steps, struct error *err);

/* What a checkpoint says of its replay. bytes = 0: it has none. */
struct replay_file_mark {
    int64_t bytes;
    char digest[65]; /* SHA-256, as text */
};
void replay_file_list_mark(struct replay_file_mark *mark, struct field_list *list); /* /replay/bytes, /replay/sha256 */

int64_t replay_file_bytes(const struct learning *learning, int64_t envs); /* of all places and all ranks: what a file has at most */

/* Collective. Rank 0's file; `mark` is what a checkpoint then says of it. On an error, which is the same on all ranks but for its text (rank
 * 0's), what stood at `path` is as it was. */
int replay_file_save(const struct learning *learning, struct comm *comm, const char *path, int64_t env_steps, struct replay_file_mark *mark,
                     struct error *err);
/* Collective; `stream` is rank 0's, of replay_file_open. */
int replay_file_load(const struct learning *learning, struct comm *comm, struct checkpoint_stream *stream, struct error *err);

/* Where the replay of a checkpoint lies, in the same folder; false where it has none. */
bool replay_file_beside(const struct checkpoint *file, const char *path, char *beside, size_t size);
bool replay_file_missing(const struct checkpoint *file, const char *path); /* it has one, which is not there */
/* The replay of a checkpoint: whole, and the one that it names. *stream is NULL where it has none. EXIT_CHECKPOINT. */
int replay_file_open(struct checkpoint_stream **stream, const struct checkpoint *file, const char *path, struct error *err);

#endif
