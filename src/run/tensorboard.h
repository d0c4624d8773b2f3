/* Event files that TensorBoard reads, beside metrics.jsonl (metrics.tensorboard): the same numbers at the same environment steps, and the
 * settings as text. Rank 0 only. docs/decisions/014 says why they are written without a library. */
#ifndef MAPPO_RUN_TENSORBOARD_H
#define MAPPO_RUN_TENSORBOARD_H

#include <stdint.h>

#include "base/check.h"

struct tensorboard;
/* A file of its own for each leg of a run: <folder>/events.out.tfevents.<seconds since 1970>.<host>.<pid>. It tells TensorBoard to forget
 * what earlier files have beyond `env_steps`, where this leg begins. `text`: the settings, as config.ini has them. EXIT_USAGE. */
int tensorboard_create(struct tensorboard **board, const char *folder, int64_t env_steps, const char *text, struct error *err);
void tensorboard_destroy(struct tensorboard *board); /* NULL is allowed */
/* The numbers of a line of metrics.jsonl, whole and at once on the disk's side of this process; what can't be written is warned of once. */
void tensorboard_write(struct tensorboard *board, const char *line);

#endif
