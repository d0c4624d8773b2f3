/* HDF5 images in memory. checkpoint_image.c makes them with libhdf5, and is the only file that knows it; checkpoint_index.c reads them
 * without it. Used by checkpoint.c alone.
 *
 * image_build: fields and text attributes → the bytes of an HDF5 file (earliest format, contiguous datasets, no filters, no time stamps:
 * the same content gives the same bytes). image_index: bytes → the list of what is in them. It knows the part of the format that
 * image_build uses and nothing else, looks at no byte outside the image, and refuses whatever it does not know: a file that somebody made
 * on purpose never reaches libhdf5, which has memory errors on such (use after free in H5Aexists of 1.10.8, found by
 * tests/unit/test_checkpoint_hostile.c). Errors: EXIT_CHECKPOINT with the dataset's name, without the file's. */
#ifndef MAPPO_RUN_CHECKPOINT_IMAGE_H
#define MAPPO_RUN_CHECKPOINT_IMAGE_H

#include "run/checkpoint.h"

enum { IMAGE_MAX_TEXT = 60000 }; /* bytes of an attribute: the format has room for 64 kB */

struct image_index {
    struct field_list fields;               /* data points into the image; NULL where they lie behind it */
    uint64_t *address;                      /* [fields.count] of their data in the file */
    struct checkpoint_attribute *attribute; /* names and values from malloc */
    int attributes, room;
    char **text; /* units of the fields: from malloc */
    int texts;
};

/* Fields without data are datasets without storage. */
int image_build(const struct field_list *fields, const struct checkpoint_attribute *attribute, int attributes, char **bytes, size_t *size,
                struct error *err);
/* Gives these their places behind the image, without gaps and in the order of the index; `extent`: size of the file that it then begins. */
int image_place(char *bytes, size_t size, uint64_t *extent, struct error *err);
int image_try(const char *bytes, size_t size, struct error *err); /* libhdf5 itself opens it: for images of image_build only */
const char *image_library(void);                                  /* "HDF5 1.10.8" */

/* `bytes`: the first `size` of a file of `extent` bytes, with all that is not data. */
int image_index(struct image_index *index, const char *bytes, size_t size, uint64_t extent, struct error *err);
void image_index_clear(struct image_index *index);

#endif
