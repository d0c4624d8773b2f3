/* HDF5 images in memory: the only place that knows HDF5. Used by checkpoint.c alone.
 *
 * image_build: fields and text attributes → the bytes of an HDF5 file (earliest format, contiguous datasets, no filters, no time stamps: the same content gives the same bytes).
 * image_index: bytes → the list of what is in them, refusing whatever image_build would not have made. After it libhdf5 is done with: data are copied straight from the bytes.
 * Errors: EXIT_CHECKPOINT with the dataset's name, without the file's. */
#ifndef MAPPO_RUN_CHECKPOINT_IMAGE_H
#define MAPPO_RUN_CHECKPOINT_IMAGE_H

#include "run/checkpoint.h"

struct image_index {
    struct field_list fields;               /* data points into the image */
    struct checkpoint_attribute *attribute; /* names and values from malloc */
    int attributes, room;
    char **text; /* units of the fields: from malloc */
    int texts;
};

int image_build(const struct field_list *fields, const struct checkpoint_attribute *attribute, int attributes, char **bytes, size_t *size,
                struct error *err);
int image_index(struct image_index *index, const char *bytes, size_t size, struct error *err);
void image_index_clear(struct image_index *index);
const char *image_library(void); /* "HDF5 1.10.8" */

#endif
