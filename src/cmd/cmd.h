/* The commands: each file of this folder is one of them. A command returns the process's exit code and prints its own errors. */
#ifndef MAPPO_CMD_CMD_H
#define MAPPO_CMD_CMD_H

#include "comm/comm.h"
#include "config/config.h"

int cmd_train(const struct arguments *args, struct comm *comm);
int cmd_eval(const struct arguments *args, struct comm *comm);
int cmd_render(const struct arguments *args, struct comm *comm);
int cmd_inspect(const struct arguments *args, struct comm *comm);
int cmd_runs(const struct arguments *args, struct comm *comm);
int cmd_watch(const struct arguments *args, struct comm *comm);
int cmd_report(const struct arguments *args, struct comm *comm);
int cmd_envs(const struct arguments *args, struct comm *comm);
int cmd_check(const struct arguments *args, struct comm *comm);
int cmd_bench(const struct arguments *args, struct comm *comm);
int cmd_doctor(const struct arguments *args, struct comm *comm);
int cmd_docs(const struct arguments *args, struct comm *comm); /* prints the generated pages: for `make docs` and lint */
int cmd_help(const struct arguments *args, struct comm *comm);
int cmd_version(const struct arguments *args, struct comm *comm);

/* A command that looks at files: rank 0 carries it out, and its exit code is every rank's. */
static inline int cmd_on_first_rank(int (*command)(const struct arguments *args), const struct arguments *args, struct comm *comm)
{
    int code = comm->rank == 0 ? command(args) : EXIT_DONE;
    comm_broadcast(comm, &code, sizeof code);
    return code;
}

/* The environment side of config_build: id, preset and options from the registry (find_env.c). */
int cmd_find_env(struct config_env *env, const char *name, struct error *err);
/* EXIT_USAGE where env=ENV is given to a command that takes ENV as its operand. */
int cmd_check_operand(const struct arguments *args, struct error *err);
/* The configuration of a run in the environment that is the first operand, with the settings given. */
int cmd_env_config(struct config *config, const struct arguments *args, struct error *err);

/* ---- the table of commands (commands.c) ------------------------------------------------------------------------------------------- */

enum command_takes { TAKES_SETTINGS = 1, TAKES_FRESH = 2, TAKES_QUIET = 4, TAKES_JSON = 8, TAKES_CHECK = 16, TAKES_DRY_RUN = 32 };

struct command {
    const char *name, *summary;
    const char *also;     /* what other programs call it, a blank between: for suggestions */
    const char *operands; /* "RUN|FILE": as the usage line shows them */
    int least, most;      /* how many operands */
    int takes;            /* enum command_takes */
    bool breaks_off;      /* Ctrl-C ends it at once: there is nothing to save, which it says */
    const char *looks_at; /* sections and keys that it looks at, a blank between them; NULL = all … */
    const char *but_not;  /* … but for these keys; NULL = none */
    const char *own;      /* NAME of NAME=VALUE that are no keys and that only it has, a blank between them; NULL = none */
    int (*run)(const struct arguments *args, struct comm *comm);
    const char *about;   /* paragraphs: what it does */
    const char *section; /* keys shown on its page; "" = the list of sections, NULL = none */
    const char *examples;
};
extern const struct command commands[];
extern const int command_count;
const struct command *command_named(const char *name); /* NULL where there is none */

/* The command of args->command, with operands and options that it takes. EXIT_USAGE with the nearest name where there is none. */
int command_find(const struct command **command, const struct arguments *args, struct error *err);

/* unknown.c. All fill *err with what may have been meant and return EXIT_USAGE: args->command is no command; an operand too few or many. */
int unknown_command(const struct arguments *args, struct error *err);
int missing_operand(const struct command *command, const struct arguments *args, struct error *err);
int unknown_operand(const struct command *command, const struct arguments *args, struct error *err);

/* ---- what people read (help.c) ----------------------------------------------------------------------------------------------------- */

/* `mappo --help`, `--help TOPIC`, `COMMAND --help`. EXIT_USAGE for a topic that isn't there. */
int help_check(const struct arguments *args, struct error *err);
void help_print(FILE *out, const struct arguments *args);
void version_print(FILE *out);

#endif
