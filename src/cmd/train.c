/* mappo train: everything is in run/trainer. */
#include <stdlib.h>

#include "cmd/cmd.h"
#include "run/trainer.h"

int cmd_train(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct config *config = calloc(1, sizeof *config);
    CHECK(config, "out of memory");
    int code = args->operands ? error_set(&err, EXIT_USAGE, "\"%s\" is neither a command nor key=value (mappo --help)", args->operand[0])
                              : config_build(config, args, cmd_find_env, &err);
    code = comm_vote(comm, code, &err);
    error_report(&err);
    if (!code) code = trainer_run(config, args, comm);
    free(config);
    return code;
}
