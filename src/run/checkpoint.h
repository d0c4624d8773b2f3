/* Checkpoint files: HDF5 behind a 512-byte header with size and SHA-256. libhdf5 appears only in checkpoint_image.c.
 *
 * Writing builds the image in memory (core driver, earliest format), re-opens it to be sure, and replaces the file (base/file.h): a kill at
 * any moment leaves the old file or the new one. Reading checks size, header and SHA-256, then walks that verified memory image with a
 * strict reader of its own (checkpoint_index.c), which knows no links, external storage, virtual datasets or filters, and compares every
 * type and shape with what the caller expects before anything is written into the caller's memory. Errors: EXIT_CHECKPOINT with the file,
 * the dataset, and what differs. Main thread only: libhdf5 is not thread-safe. */
#ifndef MAPPO_RUN_CHECKPOINT_H
#define MAPPO_RUN_CHECKPOINT_H

#include <stdio.h>

#include "base/field.h"
#include "comm/comm.h"

enum { CHECKPOINT_VERSION = 1, CHECKPOINT_HEADER = 512 };

/* Provenance and settings: everything that is text. */
struct checkpoint_attribute {
    const char *name; /* "config/ppo.clip": attribute "ppo.clip" of group /config; "rules": of the root */
    const char *value;
};
/* The header names the environment steps of field /counters/env_steps, where there is one. */
struct checkpoint_content {
    struct field_list fields;
    const struct checkpoint_attribute *attribute;
    int attributes;
};

/* What is told of a run besides its training state: attributes of the root and a few fields. `inspect A B` leaves it out,
 * docs/checkpoint-format.md lists it. */
struct checkpoint_provenance {
    const char *name; /* "host"; "/counters/seconds" */
    const char *help;
};
extern const struct checkpoint_provenance checkpoint_provenance[]; /* ends with name NULL */
bool checkpoint_is_provenance(const char *name);

int checkpoint_write(const char *path, const struct checkpoint_content *content, struct error *err);

/* An opened, verified file. `path` may be a symbolic link to a name in its own folder (latest.h5); no other link is followed. */
struct checkpoint;
int checkpoint_open(struct checkpoint **file, const char *path, struct error *err);
void checkpoint_close(struct checkpoint *file); /* NULL is allowed */
/* All fields of the list, in order; nothing is written to any of them unless all are there with the right type and shape. */
int checkpoint_read(const struct checkpoint *file, const struct field_list *fields, struct error *err);
/* Text attribute; NULL where there is none. Lives as long as the file is open. */
const char *checkpoint_attribute(const struct checkpoint *file, const char *name);
/* Visits attributes of /config as key and value. */
void checkpoint_config(const struct checkpoint *file, void (*visit)(void *user, const char *key, const char *value), void *user);

/* For those who look without knowing what they will find. Everything lives as long as the file is open; fields are in alphabetical order
 * and their `data` points into the verified image (not aligned). */
const struct field_list *checkpoint_fields(const struct checkpoint *file);
const struct checkpoint_attribute *checkpoint_attributes(const struct checkpoint *file, int *count);
int64_t checkpoint_env_steps(const struct checkpoint *file);
size_t checkpoint_bytes(const struct checkpoint *file);
const char *checkpoint_digest(const struct checkpoint *file); /* SHA-256 of the image in hexadecimal */

/* Runs: the regular files `step-<12 digits>.h5` of a folder, those of most environment steps first. What counts is what a file says in its
 * header, not its name: people rename files. Only headers are read (512 bytes each), and none is verified. Returns how many; the list is
 * from malloc (NULL where there are none). */
struct checkpoint_name {
    char name[32];
    int64_t named;     /* environment steps by its name */
    int64_t env_steps; /* by its header; by its name where that says nothing */
};
int checkpoint_list(const char *folder, struct checkpoint_name **list);
struct checkpoint_name checkpoint_name(int64_t env_steps);
int64_t checkpoint_file_env_steps(const char *path); /* by the header; < 0: it says nothing of them, or this is no checkpoint */
/* Whether both are checkpoints of the same content, by their headers: size, SHA-256 and steps. */
bool checkpoint_alike(const char *a, const char *b);
/* Where another content has the name of a checkpoint that is about to be written (a person's copy), it is set aside with a message. */
int checkpoint_make_room(const char *path, int64_t env_steps, struct error *err);

/* docs/checkpoint-format.md, from what a default run saves. Collective, printed by rank 0; an exit code, errors are reported. */
int checkpoint_markdown(FILE *out, struct comm *comm);

#endif
