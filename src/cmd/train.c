/* mappo train: everything is in run/trainer. */
#include <stdlib.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/seeds.h"
#include "run/saved_run.h"
#include "run/trainer.h"

/* Options of an environment without its name are of the run that the command line names, which tells its environment itself. Rank 0. */
static void find_env_of_run(struct arguments *args)
{
    struct config *config = malloc(2 * sizeof *config), *then = config + 1;
    struct arguments *assigned = malloc(sizeof *assigned);
    struct checkpoint *file = NULL;
    struct error ignored = {0}; /* what is wrong is said where it matters */
    char path[CONFIG_TEXT + 64];
    CHECK(config && assigned, "out of memory");
    *assigned = *args;
    assigned->files = 0; /* files are read once */
    config_defaults(config);
    const bool asked = !config_apply(config, assigned, &ignored) && config->env_options > 0 && config->run_dir[0] &&
                       !config_is_explicit(config->origin[KEY_env_name]) && !args->fresh;
    if (asked && !saved_run_newest(config->run_dir, &file, path, sizeof path, NULL, NULL, &ignored) && file) {
        if (!saved_run_config(then, file, path, &ignored)) text_format(args->env_of_run, sizeof args->env_of_run, "%s", then->env_name);
        checkpoint_close(file);
    }
    free(assigned);
    free(config);
}

int cmd_train(const struct arguments *given, struct comm *comm)
{
    if (seeds_asked(given)) return seeds_train(given, comm);
    struct error err = {0};
    struct config *config = calloc(1, sizeof *config);
    struct arguments *args = malloc(sizeof *args);
    CHECK(config && args, "out of memory");
    *args = *given;
    if (comm->rank == 0) find_env_of_run(args);
    comm_broadcast(comm, args->env_of_run, sizeof args->env_of_run);
    int code = args->operands ? error_set(&err, EXIT_USAGE, "\"%s\" is neither a command nor key=value (mappo --help)", args->operand[0])
                              : config_build(config, args, cmd_find_env, &err);
    code = comm_vote(comm, code, &err);
    error_report(&err);
    if (!code && comm->rank == 0) config_warn_left_out(config);
    if (!code) code = trainer_run(config, args, comm);
    free(args);
    free(config);
    return code;
}
