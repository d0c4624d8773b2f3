#include "cmd/doctor_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

/* ---- file systems -------------------------------------------------------------------------------------------------------------------- */

/* Magic numbers of statfs(2). */
static const struct {
    uint32_t magic;
    const char *name;
} types[] = {
    {0xef53, "ext4"},      {0x58465342, "xfs"},     {0x9123683e, "btrfs"},  {0x2fc12fc1, "zfs"},  {0x01021994, "tmpfs"},
    {0x6969, "nfs"},       {0x0bd00bd0, "lustre"},  {0x19830326, "beegfs"}, {0x47504653, "gpfs"}, {0xc36400, "ceph"},
    {0x65735546, "fuse"},  {0x794c7630, "overlay"}, {0x01021997, "9p"},     {0xff534d42, "cifs"}, {0xfe534d42, "smb2"},
    {0xaad7aaea, "panfs"}, {0x7461636f, "ocfs2"},   {0x01161970, "gfs2"},
};

static void name_type(const char *folder, char *name, size_t size)
{
    struct statfs about;
    text_format(name, size, "unknown type");
    if (statfs(folder, &about)) return;
    text_format(name, size, "type %#lx", (unsigned long)(uint32_t)about.f_type);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if ((uint32_t)about.f_type == types[i].magic) text_format(name, size, "%s", types[i].name);
}

/* Up to the first folder that exists. */
static void find_existing(struct probe_disk *disk, const char *folder)
{
    struct stat about;
    text_format(disk->looked_at, sizeof disk->looked_at, "%s", folder[0] ? folder : ".");
    disk->exists = stat(disk->looked_at, &about) == 0;
    while (stat(disk->looked_at, &about)) {
        char *slash = strrchr(disk->looked_at, '/');
        if (!slash) {
            text_format(disk->looked_at, sizeof disk->looked_at, ".");
            return;
        }
        slash[slash == disk->looked_at] = '\0';
        if (slash == disk->looked_at) return;
    }
}

enum { ROUNDS = 5, FILE_BYTES = 512 << 10 };

static int compare_seconds(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *seconds)
{
    qsort(seconds, ROUNDS, sizeof *seconds, compare_seconds);
    return seconds[ROUNDS / 2];
}

static bool sync_folder(const char *folder)
{
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0) return false;
    const int code = fsync(descriptor);
    close(descriptor);
    return code == 0 || errno == EINVAL; /* some file systems have nothing to sync for a folder */
}

/* One file written, synced, renamed: the seconds of each step. False with errno where a step fails. */
static bool write_once(const char *folder, const char *temporary, const char *final, const char *bytes, double seconds[4])
{
    const double began = clock_seconds();
    const int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (descriptor < 0) return false;
    const bool written = write(descriptor, bytes, FILE_BYTES) == FILE_BYTES;
    const double created = clock_seconds();
    const bool synced = written && fsync(descriptor) == 0;
    const double then = clock_seconds();
    close(descriptor);
    if (!synced || rename(temporary, final)) {
        const int code = errno ? errno : ENOSPC;
        unlink(temporary);
        errno = code;
        return false;
    }
    const double renamed = clock_seconds();
    const bool folder_synced = sync_folder(folder);
    seconds[0] = created - began, seconds[1] = then - created, seconds[2] = renamed - then, seconds[3] = clock_seconds() - renamed;
    return folder_synced;
}

void probe_disk(struct probe_disk *disk, const char *folder)
{
    memset(disk, 0, sizeof *disk);
    find_existing(disk, folder);
    name_type(disk->looked_at, disk->type, sizeof disk->type);
    struct statvfs room;
    disk->free_bytes = statvfs(disk->looked_at, &room) ? 0 : (double)room.f_bavail * (double)room.f_frsize;

    char temporary[600], final[600];
    text_format(temporary, sizeof temporary, "%s/.mappo-doctor-%d.tmp", disk->looked_at, (int)getpid());
    text_format(final, sizeof final, "%s/.mappo-doctor-%d", disk->looked_at, (int)getpid());
    char *bytes = calloc(1, FILE_BYTES);
    double seconds[4][ROUNDS];
    bool good = bytes != NULL;
    for (int i = 0; i < ROUNDS && good; i++) {
        double once[4];
        errno = 0;
        good = write_once(disk->looked_at, temporary, final, bytes, once);
        for (int k = 0; k < 4 && good; k++) seconds[k][i] = once[k];
    }
    if (!good) text_format(disk->error, sizeof disk->error, "a file of 512 kB cannot be written there: %s", strerror(errno));
    unlink(final);
    free(bytes);
    if (!good) return;
    disk->create = median(seconds[0]), disk->sync = median(seconds[1]), disk->rename = median(seconds[2]),
    disk->sync_folder = median(seconds[3]);
}

double probe_shared_memory(void)
{
    struct statvfs room;
    return statvfs("/dev/shm", &room) ? -1 : (double)room.f_bavail * (double)room.f_frsize;
}

/* ---- the job's time limit ------------------------------------------------------------------------------------------------------------ */

/* squeue's "[days-][[hours:]minutes:]seconds"; -1 for "UNLIMITED" and the like. */
static double parse_time_left(const char *text)
{
    int days = 0, part[3], parts = 0;
    const char *dash = strchr(text, '-');
    if (dash && dash > text) {
        days = atoi(text);
        text = dash + 1;
    }
    while (parts < 3 && sscanf(text, "%d", &part[parts]) == 1) {
        parts++;
        const char *colon = strchr(text, ':');
        if (!colon) break;
        text = colon + 1;
    }
    if (parts == 0) return -1;
    double seconds = 0;
    for (int i = 0; i < parts; i++) seconds = 60 * seconds + part[i];
    return 86400.0 * days + seconds;
}

static double ask_squeue(const char *job)
{
    static const char *const names[] = {"squeue", "yhqueue", "yhq"};
    for (int i = 0; i < 3; i++) {
        char command[160], line[64];
        text_format(command, sizeof command, "%s -h -j %.20s -o %%L 2>/dev/null", names[i], job);
        FILE *pipe = popen(command, "r");
        if (!pipe) continue;
        const bool got = fgets(line, sizeof line, pipe) != NULL;
        pclose(pipe);
        if (got) return parse_time_left(line);
    }
    return -1;
}

void probe_limit(struct probe_limit *limit)
{
    static const char *const names[] = {"MAPPO_DEADLINE", "SLURM_JOB_END_TIME"};
    const char *job = getenv("SLURM_JOB_ID");
    memset(limit, 0, sizeof *limit);
    limit->seconds_left = -1;
    if (job) text_format(limit->job, sizeof limit->job, "Slurm job %.40s", job);
    for (int i = 0; i < 2; i++) {
        int64_t end;
        const char *text = getenv(names[i]);
        if (!text || !text_to_int(text, &end) || (double)end <= (double)time(NULL)) continue;
        limit->seconds_left = (double)end - (double)time(NULL);
        limit->seen_by_run = true;
        text_format(limit->source, sizeof limit->source, "%s", names[i]);
        return;
    }
    if (!job || strspn(job, "0123456789") != strlen(job)) return;
    limit->seconds_left = ask_squeue(job);
    text_format(limit->source, sizeof limit->source, "squeue");
}

/* ---- this process -------------------------------------------------------------------------------------------------------------------- */

/* The value behind "name<spaces>:" in a file of such lines. */
static void read_entry(const char *path, const char *name, char *text, size_t size)
{
    char line[1024];
    text[0] = '\0';
    FILE *file = fopen(path, "r");
    if (!file) return;
    while (!text[0] && fgets(line, sizeof line, file)) {
        const size_t length = strlen(name);
        if (strncmp(line, name, length)) continue;
        const char *value = line + length + strspn(line + length, " \t");
        if (*value != ':') continue;
        value += 1 + strspn(value + 1, " \t");
        text_format(text, size, "%.*s", (int)strcspn(value, "\n"), value);
    }
    fclose(file);
}

void probe_affinity(char *text, size_t size)
{
    read_entry("/proc/self/status", "Cpus_allowed_list", text, size);
}

void probe_processor(char *text, size_t size)
{
    read_entry("/proc/cpuinfo", "model name", text, size);
}
