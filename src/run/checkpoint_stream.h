/* Checkpoint files whose large datasets memory should not hold a second time: these are written and read piece by piece, in the order of the
 * file, with a running SHA-256. It is the file of run/checkpoint.h (all that reads those reads these), only that in it everything but such
 * data comes first, and the header says where that ends ("front").
 *
 * Writing: libhdf5 makes the front in memory, as it does a whole checkpoint, and touches no file. Data go behind its place as they come;
 * the front and the header, without which nobody takes the file for one, come last; then it is made durable and takes the place of `path`.
 * A full disk is an error of whatever wrote then, and `path` is as it was. Errors: EXIT_CHECKPOINT. */
#ifndef MAPPO_RUN_CHECKPOINT_STREAM_H
#define MAPPO_RUN_CHECKPOINT_STREAM_H

#include "run/checkpoint.h"

struct checkpoint_stream;

/* Fields without data come in pieces. */
int checkpoint_stream_create(struct checkpoint_stream **stream, const char *path, const struct checkpoint_content *content,
                             struct error *err);
int checkpoint_stream_write(struct checkpoint_stream *stream, const void *bytes, size_t size, struct error *err); /* what follows */
int checkpoint_stream_finish(struct checkpoint_stream *stream, struct error *err);                                /* all have come */

/* Opens a file of this kind and reads all of it once: it is whole, and stays open. The pieces can then be read, once. */
int checkpoint_stream_open(struct checkpoint_stream **stream, const char *path, struct error *err);
int checkpoint_stream_read(struct checkpoint_stream *stream, void *bytes, size_t size, struct error *err); /* what follows */

/* All fields, in the order of the file; `data` is NULL of those that come in pieces. */
const struct field_list *checkpoint_stream_fields(const struct checkpoint_stream *stream);
uint64_t checkpoint_stream_bytes(const struct checkpoint_stream *stream);     /* of the file */
const char *checkpoint_stream_digest(const struct checkpoint_stream *stream); /* written: once it is finished */
void checkpoint_stream_close(struct checkpoint_stream *stream);               /* drops what was not finished; NULL is allowed */

#endif
