#include "env/plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/file.h"
#include "env/calls.h"
#include "env/options.h"
#include "env/spec.h"

enum { MAX_PLUGINS = 16 };

/* Plugins stay open until the process ends: their descriptors are handed out for good. */
static struct plugin {
    char path[PATH_MAX];
    char digest[65];
    struct mappo_env env;
    const struct mappo_kernels *kernels; /* NULL = none */
} plugins[MAX_PLUGINS];
static int plugin_count;

bool plugin_is_path(const char *name)
{
    const size_t length = strlen(name);
    return strchr(name, '/') && length > 3 && strcmp(name + length - 3, ".so") == 0;
}

/* Only the user and root may be able to change what is at `path`. */
static int check_rights(const char *what, const char *path, bool folder, struct error *err)
{
    struct stat info;
    if (stat(path, &info)) return error_set(err, EXIT_ENVIRONMENT, "environment plugin: cannot read %s: %m", path);
    if (folder ? !S_ISDIR(info.st_mode) : !S_ISREG(info.st_mode))
        return error_set(err, EXIT_ENVIRONMENT, "environment plugin: %s is not a %s", path, folder ? "folder" : "regular file");
    if (info.st_uid != geteuid() && info.st_uid != 0)
        return error_set(err, EXIT_ENVIRONMENT, "environment plugin: the %s %s belongs to another user (uid %u); it is not opened", what,
                         path, (unsigned)info.st_uid);
    if (info.st_mode & S_IWOTH)
        return error_set(err, EXIT_ENVIRONMENT, "environment plugin: everyone may write to the %s %s; it is not opened (chmod o-w)", what,
                         path);
    if (info.st_mode & S_IWGRP) warn("environment plugin: the group may write to the %s %s (chmod g-w)", what, path);
    return 0;
}

/* Copies the descriptor, so that one built against a shorter struct reads as NULL where it has nothing. */
static int read_descriptor(void *handle, const char *path, struct mappo_env *out, struct error *err)
{
    const uint32_t *abi = dlsym(handle, "mappo_env_abi");
    if (!abi)
        return error_set(err, EXIT_ENVIRONMENT,
                         "environment plugin %s: no data symbol mappo_env_abi (docs/env-abi.md shows what a plugin exports)", path);
    if (*abi != MAPPO_ENV_ABI)
        return error_set(err, EXIT_ENVIRONMENT,
                         "environment plugin %s: built for ABI %u, this program has %u; compile it again, with this program's mappo_env.h",
                         path, *abi, MAPPO_ENV_ABI);
    const struct mappo_env *env = dlsym(handle, "mappo_env_plugin");
    if (!env) return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: no data symbol mappo_env_plugin", path);
    if (env->struct_size < offsetof(struct mappo_env, snapshot))
        return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: struct_size %u is shorter than the required members", path,
                         env->struct_size);
    memset(out, 0, sizeof *out);
    memcpy(out, env, env->struct_size < sizeof *out ? env->struct_size : sizeof *out);
    const char *missing = !out->id        ? "id"
                          : !out->create  ? "create"
                          : !out->destroy ? "destroy"
                          : !out->spec    ? "spec"
                          : !out->reset   ? "reset"
                          : !out->step    ? "step"
                                          : NULL;
    if (missing) return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: the descriptor has no %s", path, missing);
    const char *fault = *out->id ? spec_line_fault(out->id) : "is empty"; /* it names folders and stands in every file */
    if (fault) return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: the descriptor's id %s", path, fault);
    return options_check(out, err);
}

/* Optional. */
static int read_kernels(void *handle, const char *path, const struct mappo_kernels **out, struct error *err)
{
    const struct mappo_kernels *kernels = *out = dlsym(handle, "mappo_env_plugin_kernels");
    if (!kernels || (kernels->struct_size >= sizeof *kernels && kernels->reset && kernels->observe && kernels->step)) return 0;
    return error_set(err, EXIT_ENVIRONMENT,
                     "environment plugin %s: mappo_env_plugin_kernels lacks reset, observe or step, or has a struct_size below %zu", path,
                     sizeof *kernels);
}

/* Now, because the file may be replaced while the run goes on. */
static int read_digest(const char *path, char digest[65], struct error *err)
{
    char *bytes;
    size_t size;
    uint8_t sum[32];
    const int rc = file_read(path, SIZE_MAX / 2, &bytes, &size, err);
    if (rc) return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: cannot be read", path);
    digest_sha256(bytes, size, sum);
    digest_hex(sum, sizeof sum, digest);
    free(bytes);
    return 0;
}

static const struct plugin *find_plugin(const struct mappo_env *env)
{
    for (int i = 0; i < plugin_count; i++)
        if (&plugins[i].env == env) return &plugins[i];
    return NULL;
}

const struct mappo_kernels *plugin_kernels(const struct mappo_env *env)
{
    const struct plugin *plugin = find_plugin(env);
    return plugin ? plugin->kernels : NULL;
}

const char *plugin_digest(const struct mappo_env *env)
{
    const struct plugin *plugin = find_plugin(env);
    return plugin ? plugin->digest : NULL;
}

/* Does the file begin as shared libraries do? */
static bool is_library(const char *path)
{
    char begin[4] = "";
    FILE *file = fopen(path, "rb");
    const bool read = file && fread(begin, 1, sizeof begin, file) == sizeof begin;
    if (file) fclose(file);
    return read && memcmp(begin, "\177ELF", sizeof begin) == 0;
}

int plugin_open(const char *path, const struct mappo_env **env, struct error *err)
{
    char real[PATH_MAX], folder[PATH_MAX];
    if (!realpath(path, real)) return error_set(err, EXIT_USAGE, "environment plugin %s: %m", path);
    for (int i = 0; i < plugin_count; i++) {
        if (strcmp(plugins[i].path, real) == 0) {
            *env = &plugins[i].env;
            return 0;
        }
    }
    if (plugin_count == MAX_PLUGINS)
        return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: more than %d plugins", path, MAX_PLUGINS);
    memcpy(folder, real, sizeof folder);
    char *slash = strrchr(folder, '/');
    slash[slash == folder] = 0;
    if (check_rights("folder", folder, true, err) || check_rights("file", real, false, err)) return err ? err->code : EXIT_ENVIRONMENT;
    if (!is_library(real))
        return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: it is no shared library; docs/env-abi.md says how to build one",
                         path);
    calls_enter(path, "while it was loaded"); /* its constructors */
    void *handle = dlopen(real, RTLD_NOW | RTLD_LOCAL);
    calls_leave();
    if (!handle) {
        const char *reason = dlerror();
        const char *advice =
            !reason                        ? ""
            : strstr(reason, "emulation_") ? ": its kernels are for the emulated device of build/emulated/mappo (docs/env-abi.md)"
            : strstr(reason, "cuda")       ? ": its kernels need a program with CUDA (make CUDA=1); compile it without for this one"
                                           : "";
        return error_set(err, EXIT_ENVIRONMENT, "environment plugin %s: %s%s", path, reason ? reason : "it cannot be loaded", advice);
    }
    struct plugin *plugin = &plugins[plugin_count];
    calls_enter(path, "while its descriptor was read (does its table of options end with a row of nothing?)");
    int rc = read_descriptor(handle, path, &plugin->env, err);
    if (!rc) rc = read_kernels(handle, path, &plugin->kernels, err);
    calls_leave();
    if (!rc) rc = read_digest(real, plugin->digest, err);
    if (rc) {
        dlclose(handle);
        return rc;
    }
    memcpy(plugin->path, real, sizeof real);
    plugin_count++;
    *env = &plugin->env;
    return 0;
}
