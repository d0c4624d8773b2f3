/* The GPUs of this machine and what this build has for them: for `mappo doctor` and `--version`. */
#ifndef MAPPO_BACKEND_DEVICES_H
#define MAPPO_BACKEND_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

struct device_info {
    char name[64], uuid[48];    /* "NVIDIA H200", "GPU-…" */
    int major, minor;           /* compute capability */
    double memory, memory_free; /* bytes; free < 0: not known */
    bool exclusive;             /* one process at a time */
    char error[384];            /* why this program can't use it; empty where it can */
};

struct device_build {
    char toolkit[16]; /* "13.0"; empty: built without CUDA */
    char code[128];   /* architectures that there is code for: "90 100" */
    char driver[16];  /* the newest CUDA that the driver knows; empty: no driver */
    char error[384];  /* why there are no devices; empty where there are */
};

/* How many there are; fills in at most `most` of them, which takes a context on each: seconds on a large node. */
int device_list(struct device_build *build, struct device_info *list, int most);

/* Whether machine code for `code`, as in device_build, runs on a device: that for x.y does on x.z, z >= y. true where `code` names none. */
bool device_has_code(const char *code, int major, int minor);

#endif
