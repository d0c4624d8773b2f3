/* The GPUs that `mappo doctor` shows: those of rank 0's node. */
#ifndef MAPPO_CMD_DOCTOR_DEVICES_H
#define MAPPO_CMD_DOCTOR_DEVICES_H

#include "backend/devices.h"

enum { DOCTOR_DEVICES = 16 };
struct doctor_devices {
    struct device_build build;
    struct device_info list[DOCTOR_DEVICES];
    int count; /* may be more than the list has room for */
};

void doctor_find_devices(struct doctor_devices *devices);
void doctor_print_devices(const struct doctor_devices *devices);
void doctor_json_devices(const struct doctor_devices *devices); /* members of an object, each with its comma */

#endif
