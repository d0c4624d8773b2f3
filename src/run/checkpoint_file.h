/* What checkpoint.c (files as a whole) and checkpoint_stream.c (piece by piece) share: the header of 512 bytes, how a file is opened, and
 * images that are made. Nobody else includes it. Errors: EXIT_CHECKPOINT. */
#ifndef MAPPO_RUN_CHECKPOINT_FILE_H
#define MAPPO_RUN_CHECKPOINT_FILE_H

#include "run/checkpoint_image.h"

struct checkpoint_head {
    size_t size;       /* bytes of the image behind the header */
    char digest[65];   /* its SHA-256 */
    int64_t env_steps; /* -1: says nothing of them */
    int64_t front;     /* from this byte of the image on there is nothing but data; 0: that isn't said */
};

void head_make(char text[CHECKPOINT_HEADER], const struct checkpoint_head *head);
/* Opens `path`, or the name in the same folder that it links to; never through a second link. < 0 where it can't be. */
int head_open(const char *path, struct error *err);
/* The header of an open regular file, whose size must be what it says; the digest is not taken from it. */
int head_read(struct checkpoint_head *head, char text[CHECKPOINT_HEADER], int fd, const char *path, struct error *err);
/* Whether it states this digest of the image, which head->digest then is, and nothing else: no flipped bit passes. */
int head_verify(struct checkpoint_head *head, const char text[CHECKPOINT_HEADER], const uint8_t sum[32], const char *path,
                struct error *err);
int head_verify_steps(const struct checkpoint_head *head, const struct field_list *fields, const char *path, struct error *err);
/* At most `size` bytes from where `fd` stands; fewer where the file ends. */
size_t read_some(int fd, char *bytes, size_t size);

/* An image, looked at as its readers will. Fields without data have their places behind it. */
struct made_image {
    char *bytes; /* [size] */
    size_t size;
    uint64_t extent; /* bytes of image and data */
    struct image_index index;
};
int image_make(struct made_image *image, const struct field_list *fields, const struct checkpoint_attribute *attribute, int attributes,
               struct error *err);
void image_discard(struct made_image *image);
int64_t image_env_steps(const struct field_list *fields); /* -1: they say nothing of them */

#endif
