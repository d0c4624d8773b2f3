#include "run/stored.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

int stored_newest(const char *folder, struct checkpoint **file, char *path, size_t size, struct error *err)
{
    enum { MOST = 4096 };
    *file = NULL;
    struct checkpoint_name *name = calloc(MOST, sizeof *name);
    CHECK(name, "out of memory while listing checkpoints");
    const int count = checkpoint_list(folder, name, MOST);
    int code = 0;
    for (int i = 0; i < count; i++) {
        struct error bad = {0};
        text_format(path, size, "%s/%s", folder, name[i].name);
        if (!(code = checkpoint_open(file, path, &bad))) break;
        *file = NULL;
        if (i + 1 < count)
            warn("%s; falling back to %s/%s", bad.text, folder, name[i + 1].name);
        else
            code = error_set(err, EXIT_CHECKPOINT,
                             "%s; no checkpoint in %s is whole: put a good one back, or start again with --fresh (moves the folder aside)",
                             bad.text, folder);
    }
    free(name);
    return code;
}

int stored_open(const char *run_or_file, bool best, struct checkpoint **file, char *path, size_t size, struct error *err)
{
    struct stat there;
    if (stat(run_or_file, &there)) return error_set(err, EXIT_CHECKPOINT, "%s: no such run or checkpoint", run_or_file);
    if (!S_ISDIR(there.st_mode)) {
        text_format(path, size, "%s", run_or_file);
        return checkpoint_open(file, path, err);
    }
    if (best) {
        text_format(path, size, "%s/best.h5", run_or_file);
        if (stat(path, &there))
            return error_set(err, EXIT_CHECKPOINT, "%s: there is no best checkpoint yet (which=latest, or train with eval.env_steps)",
                             run_or_file);
        return checkpoint_open(file, path, err);
    }
    const int code = stored_newest(run_or_file, file, path, size, err);
    if (!code && !*file) return error_set(err, EXIT_CHECKPOINT, "%s: there is no checkpoint (step-*.h5) in this folder", run_or_file);
    return code;
}

struct visit {
    struct config *config;
    struct error *err;
    const char *path;
};

static void take_key(void *user, const char *key, const char *value)
{
    struct visit *visit = user;
    struct error bad = {0};
    if (config_set(visit->config, key, value, ORIGIN_CHECKPOINT, visit->path, &bad) && !visit->err->code)
        error_set(visit->err, EXIT_CHECKPOINT, "%s was written by another version of the program: %s", visit->path, bad.text);
}

int stored_config(struct config *config, const struct checkpoint *file, const char *path, struct error *err)
{
    struct error bad = {0};
    config_defaults(config);
    struct visit visit = {config, &bad, path};
    checkpoint_config(file, take_key, &visit);
    if (bad.code && err) *err = bad;
    return bad.code;
}

int stored_load_networks(struct algorithm *algorithm, const struct checkpoint *file, struct comm *comm, struct error *err)
{
    struct field_list all = {0}, networks = {0};
    algorithm->ops->fields(algorithm, &all);
    for (int i = 0; i < all.count; i++)
        if (!strncmp(all.field[i].name, "/policy/", 8)) field_copy(&networks, &all.field[i]);
    const int code = comm_vote(comm, comm->rank == 0 ? checkpoint_read(file, &networks, err) : 0, err);
    for (int i = 0; i < networks.count && !code; i++) comm_broadcast(comm, networks.field[i].data, field_bytes(&networks.field[i]));
    if (!code) algorithm->ops->push(algorithm);
    free(all.field);
    free(networks.field);
    return code;
}
