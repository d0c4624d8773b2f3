/* The GPU lines of `mappo doctor`: those of rank 0's node. */
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "cmd/doctor_devices.h"
#include "cmd/doctor_json.h"

static int shown(const struct doctor_devices *d)
{
    return d->count < DOCTOR_DEVICES ? d->count : DOCTOR_DEVICES;
}

void doctor_find_devices(struct doctor_devices *d)
{
    d->count = device_list(&d->build, d->list, DOCTOR_DEVICES);
}

static void print_device(const struct device_info *info, int number)
{
    char memory[64];
    if (info->memory_free >= 0)
        text_format(memory, sizeof memory, "%.1f of %.1f GiB free", info->memory_free / 1073741824.0, info->memory / 1073741824.0);
    else
        text_format(memory, sizeof memory, "free memory not known");
    printf("            %d  %s, %s, %s, compute capability %d.%d%s\n", number, info->name, info->uuid, memory, info->major, info->minor,
           info->exclusive ? ", exclusive mode" : "");
}

void doctor_print_devices(const struct doctor_devices *d)
{
    const struct device_build *build = &d->build;
    if (!build->toolkit[0]) {
        printf("GPUs        this build computes on the CPU only: it was made without nvcc\n");
        return;
    }
    printf("GPUs        %d; built with CUDA %s for %s; driver %s%s\n", d->count, build->toolkit, build->code,
           build->driver[0] ? "up to CUDA " : "none", build->driver);
    if (d->count == 0) printf("            %s\n", build->error);
    for (int i = 0; i < shown(d); i++) print_device(&d->list[i], i);
    if (d->count > DOCTOR_DEVICES) printf("            and %d more\n", d->count - DOCTOR_DEVICES);
}

void doctor_json_devices(const struct doctor_devices *d)
{
    json_text("cuda", d->build.toolkit, ",");
    json_text("cuda_code", d->build.code, ",");
    json_text("cuda_driver", d->build.driver, ",");
    fputs("\"gpus\":[", stdout);
    for (int i = 0; i < shown(d); i++) {
        const struct device_info *info = &d->list[i];
        printf("%s{\"number\":%d,", i ? "," : "", i);
        json_text("name", info->name, ",");
        json_text("uuid", info->uuid, ",");
        printf("\"compute_capability\":\"%d.%d\",\"exclusive\":%s,", info->major, info->minor, info->exclusive ? "true" : "false");
        json_real("memory", info->memory_free >= 0 ? info->memory : NAN, ",");
        json_real("memory_free", info->memory_free >= 0 ? info->memory_free : NAN, ",");
        json_text("trouble", info->error, "}");
    }
    fputs("],", stdout);
}
