/* Checkpoint files: HDF5 behind a 512-byte header with size and SHA-256. HDF5 appears only here.
 *
 * Writing builds the image in memory (core driver, earliest format), re-opens it to be sure, and replaces the file (base/file.h): a kill at any moment leaves the old
 * file or the new one. Reading checks size, header and SHA-256 before libhdf5 sees a byte, opens that verified memory image, follows no links, external storage, virtual datasets or filters, and
 * compares every type and shape with what the caller expects before anything is written into the caller's memory.
 * Errors: EXIT_CHECKPOINT with the file, the dataset, and what differs. */
#ifndef MAPPO_RUN_CHECKPOINT_H
#define MAPPO_RUN_CHECKPOINT_H

#include "algo/algorithm.h"

enum { CHECKPOINT_VERSION = 1, CHECKPOINT_HEADER = 512 };

/* Provenance and settings, stored as attributes of the root group. Everything that is text. */
struct checkpoint_attribute {
    const char *name;  /* "config/ppo.clip": attribute "ppo.clip" of group /config; "host": of the root */
    const char *value;
};
struct checkpoint_content {
    struct field_list fields;
    const struct checkpoint_attribute *attribute;
    int attributes;
};

int checkpoint_write(const char *path, const struct checkpoint_content *content, struct error *err);

/* An opened, verified file. */
struct checkpoint;
int checkpoint_open(struct checkpoint **file, const char *path, struct error *err);
void checkpoint_close(struct checkpoint *file);
/* All fields of the list, in order; nothing is written to any of them unless all are there with the right type and shape. */
int checkpoint_read(const struct checkpoint *file, const struct field_list *fields, struct error *err);
/* Text attribute; NULL where there is none. Lives as long as the file is open. */
const char *checkpoint_attribute(const struct checkpoint *file, const char *name);
/* Visits attributes of /config as key and value. */
void checkpoint_config(const struct checkpoint *file, void (*visit)(void *user, const char *key, const char *value), void *user);

/* Runs: `step-<12 digits>.h5`, highest first. Returns how many names (without folder) were filled in. */
struct checkpoint_name {
    char name[32];
    int64_t env_steps;
};
int checkpoint_list(const char *folder, struct checkpoint_name *out, int max);

#endif
