/* The table of commands: names, what they take, and their help pages. */
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "config/suggest.h"

/* What only `mappo eval` and `mappo render` take. */
#define PLAY_ONLY "eval.play eval.which eval.picture eval.record render.out render.episode"
#define FILMS     "render.out render.episode render.fps render.every render.size render.interval"

const struct command commands[] = {
    {
        .name = "train",
        .also = "start fit learn continue resume restart",
        .summary = "train, or continue, a run (what mappo does without a command)",
        .operands = "",
        .takes = TAKES_SETTINGS | TAKES_FRESH | TAKES_QUIET | TAKES_JSON | TAKES_DRY_RUN,
        .but_not = PLAY_ONLY,
        .own = "seeds",
        .run = cmd_train,
        .about =
            "Trains until train.env_steps environment steps are done and leaves everything in the run's folder, "
            "runs/<env>-<algo>-s<seed> (plus a short hash "
            "where other settings are given): config.ini, metrics.jsonl, log.txt, checkpoints (step-*.h5, latest.h5, best.h5).\n"
            "The same command again continues the run from its newest good checkpoint; a finished run says so. A folder whose "
            "settings differ is refused with "
            "the list of them; raise train.env_steps to go on with a finished run.\n"
            "To stop early and save: Ctrl-C, `kill -USR1`, or a file named STOP in the run's folder.\n"
            "seeds=1-5 (or seeds=1,2,7 or 1-3,9) in place of seed= trains a run of each, side by side on the cores or ranks there are, and "
            "ends with a table of all, what they say together, and their curve. Each is a run as if it had been started alone; what stops "
            "one stops all, and the same command continues those that have not reached their end.",
        .section = "",
        .examples = "mappo                                       MAPPO on mpe/simple_spread, all cores\n"
                    "mappo env.N=5 seed=3 ppo.clip=0.1           other settings: another run\n"
                    "mappo seeds=1-5 env=mpe/simple_tag          five runs, and what they say together\n"
                    "mappo --config my.ini train.env_steps=5e6   a file, then the command line\n"
                    "mappo preset=on-policy                      the reference's feed-forward setting\n"
                    "mappo policy=gru env=riddle/switch          recurrent MAPPO, where memory is needed\n"
                    "mappo algo=happo env=mpe/simple_tag         agents that differ, one after another\n"
                    "mappo algo=maddpg env=mpe/simple_adversary  off-policy, from a replay\n"
                    "mappo env=classic/CartPole-v1 preset=sb3    PPO of another program: mappo help sb3\n"
                    "mpirun -n 64 mappo                          the same run on 64 ranks\n"
                    "sbatch slurm/train.sh seed=3                on a cluster, through time limits\n",
    },
    {
        .name = "eval",
        .also = "evaluate test play rollout",
        .summary = "play whole episodes with a trained run and report the return",
        .operands = "RUN|FILE",
        .least = 1,
        .most = 1,
        .takes = TAKES_SETTINGS | TAKES_QUIET | TAKES_JSON,
        .looks_at = "env eval wrap group.play metrics.return backend cpu cuda.device cuda.precision comm.gpu train.threads",
        .but_not = "eval.interval eval.env_steps",
        .breaks_off = true,
        .run = cmd_eval,
        .about =
            "Plays episodes with the networks of a run (its folder) or of one checkpoint, and reports mean and standard error of the "
            "return. Environment and "
            "settings come from the checkpoint, so they can't differ from training by accident. For comparison, random and scripted "
            "players play as well; where play= or --json is given, only the one that was chosen (trained, random, noop or scripted) does.",
        .section = "eval",
        .examples = "mappo eval runs/mpe-simple_spread-mappo-s1\n"
                    "mappo eval RUN episodes=10000 which=best --json\n"
                    "mappo eval RUN play=scripted\n"
                    "mappo eval RUN group.prey.play=random       one group against another player\n"
                    "mappo eval RUN picture=episode.svg episodes=1\n"
                    "mappo eval RUN record=episodes.h5 episodes=100\n",
    },
    {
        .name = "render",
        .also = "film movie video gif record animate enjoy draw",
        .summary = "film an episode: as a picture that plays, a strip, or in the terminal",
        .operands = "RUN|FILE",
        .least = 1,
        .most = 1,
        .takes = TAKES_SETTINGS | TAKES_QUIET,
        .looks_at = "env eval render wrap group.play metrics.return backend cpu cuda.device cuda.precision comm.gpu train.threads",
        .but_not = "eval.interval eval.env_steps eval.picture eval.record render.interval",
        .breaks_off = true,
        .run = cmd_render,
        .about =
            "Plays an episode with the networks of a run (its folder) or of one checkpoint, or with another player (play=), and draws it: "
            "into "
            "a file by the ending of its name, or in the terminal. SVG needs nothing else and plays in any browser; GIF and MP4 are made "
            "by "
            "the program ffmpeg. With episode=worst or best 100 episodes (episodes=) are played first, and the one that is chosen again.\n"
            "play=, which=, episodes=, deterministic= and eval.seed are those of mappo eval (mappo help eval).",
        .section = "render",
        .examples = "mappo render runs/mpe-simple_spread-mappo-s1\n"
                    "mappo render RUN out=episode.gif            also .svg .mp4 .png .txt\n"
                    "mappo render RUN out=worst.svg episode=worst episodes=1000\n"
                    "mappo render RUN out=seven.svg episode=7 fps=10\n"
                    "mappo render RUN out=four.svg episodes=4    one after another\n"
                    "mappo render RUN play=random                in the terminal\n",
    },
    {
        .name = "inspect",
        .also = "show compare diff verify info dump",
        .summary = "show what a checkpoint holds, check it, or compare two",
        .operands = "RUN|FILE [RUN|FILE]",
        .least = 1,
        .most = 2,
        .takes = TAKES_JSON | TAKES_CHECK,
        .run = cmd_inspect,
        .about = "Shows what made the checkpoint (of a run: its newest) and when, its settings, counters and every parameter with shape, "
                 "mean, deviation and "
                 "norm. With two files: what "
                 "differs in the training state (exit code 7; 0 where it is the same bit for bit; time, host and speed don't count). "
                 "--check only verifies size and "
                 "SHA-256, of a run those of all its checkpoints (exit code 4 where a file is damaged).",
        .examples = "mappo inspect RUN/latest.h5\n"
                    "mappo inspect RUN --check\n"
                    "mappo inspect A/latest.h5 B/latest.h5\n",
    },
    {
        .name = "runs",
        .also = "history experiments jobs",
        .summary = "list the runs in a folder: what they are, how far, how good",
        .operands = "[FOLDER]",
        .most = 1,
        .takes = TAKES_JSON | TAKES_CHECK,
        .run = cmd_runs,
        .about =
            "A table of all runs in and below FOLDER (runs, unless given): environment, algorithm, state (running, finished, stopped, "
            "damaged), environment steps, mean return of training's last episodes, when it was last written, and what differs: settings "
            "that "
            "not all runs of the environment share, but for the value that most have.\n"
            "Of each run only config.ini, the lock, the header of its newest checkpoint and the end of metrics.jsonl are read. --check "
            "verifies the SHA-256 of the newest checkpoints as well (exit code 4 where one is damaged). On a terminal long paths are "
            "shortened and lines cut (>); --json, a pipe and a file have all.",
        .examples = "mappo runs\n"
                    "mappo runs /scratch/me/runs --check\n"
                    "mappo runs --json | jq -r 'select(.state == \"stopped\").run'\n",
    },
    {
        .name = "watch",
        .also = "monitor follow tail top",
        .summary = "a live page of a run in the terminal: curve, speed, phases, ETA",
        .operands = "RUN",
        .least = 1,
        .most = 1,
        .takes = 0,
        .run = cmd_watch,
        .about =
            "Draws the page anew every second until the run ends, q or Ctrl-C, and leaves it printed and the terminal as it was. It reads "
            "the "
            "run's files alone: the run may be on another node, started by anybody. Of a run that is not at work, and where the output is "
            "no "
            "terminal, the page is printed once (COLUMNS and LINES are its size).",
        .examples = "mappo watch runs/mpe-simple_spread-mappo-s1\n"
                    "ssh login1 mappo watch /scratch/me/runs/a\n",
    },
    {
        .name = "report",
        .also = "page html dashboard summary publish compare_runs",
        .summary = "a page of HTML about runs: curves, evaluation, replays, settings",
        .operands = "RUN|FOLDER ...",
        .least = 1,
        .most = ARGS_OPERANDS,
        .takes = TAKES_SETTINGS | TAKES_QUIET,
        .looks_at = "eval backend cpu cuda.device cuda.precision train.threads",
        .but_not = "eval.interval eval.env_steps eval.play eval.picture eval.record",
        .own = "out",
        .breaks_off = true,
        .run = cmd_report,
        .about =
            "Writes one file that needs nothing else, no network either: curves over steps, episodes and seconds, how the policies play "
            "beside "
            "random and scripted players, replays of a best, a median and a worst episode, where time went, what differs between the "
            "runs and the command that repeats each. Of a folder all runs in and below it are taken. Runs that differ in nothing but their "
            "seed are drawn as one band.\n"
            "Runs may be at work, stopped or damaged; where a policy can't be played the page says why. docs/report.md goes through the "
            "page.\n"
            "out=FILE names the page (report.html; - is standard output). What is no report there is set aside. episodes=N are those of "
            "each evaluation (100); episodes=0 plays nothing, and shows no replays.",
        .section = "eval",
        .examples = "mappo report runs/mpe-simple_spread-mappo-s1\n"
                    "mappo report runs/a runs/b runs/c out=abc.html\n"
                    "mappo report runs episodes=0\n"
                    "mappo report RUN which=best episodes=1000\n",
    },
    {
        .name = "envs",
        .also = "environments list ls",
        .summary = "list the environments, or describe one: spaces, options, rules",
        .operands = "[ENV]",
        .most = 1,
        .takes = TAKES_SETTINGS | TAKES_JSON,
        .looks_at = "env wrap",
        .run = cmd_envs,
        .about = "Without a name: the environments there are, each with its variants. With one (an id, a variant, upstream's name, or the "
                 "path of "
                 "a plugin): groups of agents, meaning, unit and bounds of every observation entry and action, options "
                 "(env.NAME=value), rules and sources; and with wrap.NAME=value what wrappers make of it, in their order.",
        .section = "env",
        .examples = "mappo envs\n"
                    "mappo envs mpe/simple_spread\n"
                    "mappo envs simple_spread_v3 env.N=5\n"
                    "mappo envs simple_spread_v3 wrap.agent_id=1 wrap.stack_obs=3\n",
    },
    {
        .name = "check",
        .also = "validate lint verify_env check_env",
        .summary = "check an environment: does it keep what it promises, and how fast is it",
        .operands = "ENV",
        .least = 1,
        .most = 1,
        .takes = TAKES_SETTINGS | TAKES_JSON,
        .looks_at = "env train.seed",
        .own = "steps",
        .run = cmd_check,
        .about =
            "For authors of environments, built in or plugins. Plays 8 environments for steps=N steps each (without it: two episodes and "
            "at "
            "least 500 steps, or what a second allows) with random legal actions, looks at all that they write, and plays the same again "
            "in other "
            "circumstances, where nothing may change: cut into other ranges, on threads, as other shards, beside a second instance, from "
            "snapshots, with the scripted player, drawings and resets in between. docs/env-abi.md lists what is looked at.\n"
            "One line a fault: what, which array, environment, agent and step, and what to do; exit code 3 where there are any. A crash, "
            "exit() or a call that takes longer than 10 seconds is one, too. What an environment may lack is a warning. Then its speed.",
        .section = "env",
        .examples = "mappo check mpe/simple_spread env.N=5\n"
                    "mappo check ./my_env.so steps=2000\n"
                    "mappo check ./my_env.so seed=3 --json\n",
    },
    {
        .name = "bench",
        .also = "benchmark speed profile",
        .summary = "measure the speed of training on this machine beside what its cores allow",
        .operands = "",
        .takes = TAKES_SETTINGS | TAKES_JSON,
        .but_not = PLAY_ONLY " " FILMS " run.dir",
        .own = "only",
        .run = cmd_bench,
        .about = "Measures peak arithmetic and matrix products of this machine, then whole training, rollout alone and environment alone: "
                 "environment steps and agent "
                 "steps per second, ratio to the floor, fraction of the time in each phase. Writes no run.\n"
                 "With only=env the environments alone are stepped, with random allowed actions, on the host.",
        .examples = "mappo bench\n"
                    "mappo bench env=smax/3m only=env\n"
                    "mappo bench threads=1 --json\n"
                    "mpirun -n 2 mappo bench\n",
    },
    {
        .name = "doctor",
        .also = "diagnose status",
        .summary = "look at ranks, cores, libraries and file system, and say what to mend",
        .operands = "",
        .takes = TAKES_SETTINGS | TAKES_JSON,
        .but_not = PLAY_ONLY,
        .run = cmd_doctor,
        .about = "Prints rank, node, cores and affinity of every rank, libraries and versions, instruction level, GPUs, the measured time "
                 "of an allreduce, what the run folder's file system can do, the job's time limit; then what is wrong and how to mend it.",
        .examples = "mappo doctor\n"
                    "mpirun -n 4 mappo doctor\n"
                    "srun -n 64 mappo doctor run=/scratch/me/runs/a\n",
    },
    {
        .name = "docs",
        .summary = "print a generated page of the documentation",
        .operands = "PAGE",
        .least = 1,
        .most = 1,
        .run = cmd_docs,
        .about = "Prints a page of docs/ that is generated from the program's tables: configuration, metrics, "
                 "checkpoint-format or environment-list. `make docs` renews them all.",
        .examples = "mappo docs configuration\n",
    },
    {
        .name = "help",
        .summary = "show a page: of a command, settings, an algorithm, a preset, or the exit codes",
        .also = "man usage",
        .operands = "[TOPIC]",
        .most = 1,
        .run = cmd_help,
        .about = "Without a topic: the overview, as --help. Topics are the commands, the sections of settings, any setting, `all` (every "
                 "setting), the algorithms, the presets and `exit-codes`; `keys`, `algorithms` and `presets` list what there is.",
        .examples = "mappo help eval\n"
                    "mappo help ppo\n"
                    "mappo help sb3\n"
                    "mappo help exit-codes\n",
    },
    {
        .name = "version",
        .summary = "show version, build and libraries",
        .operands = "",
        .run = cmd_version,
        .about = "Prints what the program was built from and with, and what it would run on here, as --version.",
        .examples = "mappo version\n",
    },
};
const int command_count = sizeof commands / sizeof *commands;

const struct command *command_named(const char *name)
{
    for (int i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

/* A key of any group is "group.play" here. */
static bool looks_at_key(const struct command *command, const struct config_key *key)
{
    char full[128];
    text_format(full, sizeof full, "%s.%s", key->section, key->name);
    if (command->but_not && text_lists(command->but_not, full)) return false;
    return !command->looks_at || text_lists(command->looks_at, key->section) || text_lists(command->looks_at, full);
}

static bool looks_at(const struct command *command, int k)
{
    return looks_at_key(command, &config_keys[k]);
}

/* Unknown keys are reported when the configuration is made, with the nearest: which must be one that the command looks at. */
static int check_unknown(const struct command *command, const char *key, struct error *err)
{
    struct suggested found;
    suggest_keys(key, &found);
    for (int i = 0; i < found.keys; i++)
        if (config_find(found.key[i]) < 0 || looks_at(command, config_find(found.key[i]))) return 0;
    if (!found.keys) return 0;
    if (command->own && text_lists(command->own, found.key[0]))
        return error_set(err, EXIT_USAGE, "unknown key \"%s\" on the command line; did you mean \"%s\"? (mappo %s --help)", key,
                         found.key[0], command->name);
    /* What is spelt a little like it and belongs to another command was hardly meant. */
    if (found.how == SUGGEST_NEAR)
        return error_set(err, EXIT_USAGE, "unknown key \"%s\" on the command line (mappo %s --help lists what it looks at)", key,
                         command->name);
    return error_set(err, EXIT_USAGE, "unknown key \"%s\" on the command line, and mappo %s doesn't look at %s (mappo %s --help)", key,
                     command->name, found.key[0], command->name);
}

/* A setting that the command doesn't look at would be ignored in silence. */
static int check_settings(const struct command *command, const struct arguments *args, struct error *err)
{
    char key[128], full[128], own[160];
    for (int i = 0; i < args->assignments; i++) {
        assignment_split(args->assignment[i], key, sizeof key);
        const int k = config_find(key);
        const struct config_key *of_group = config_group_key(key);
        if (of_group && !looks_at_key(command, of_group))
            return error_set(err, EXIT_USAGE, "mappo %s doesn't look at %s (mappo %s --help)", command->name, key, command->name);
        if (strncmp(key, "group.", strlen("group.")) == 0) continue;
        if (command->own && text_lists(command->own, key)) continue;
        if (k < 0 && check_unknown(command, key, err)) return EXIT_USAGE;
        if (k < 0 || looks_at(command, k)) continue;
        config_full_name(k, full, sizeof full);
        /* "mappo eval RUN seed=3": there is a key of that name that it does look at. */
        text_format(own, sizeof own, "%s.%s", command->name, config_keys[k].name);
        if (config_find(own) >= 0 && looks_at(command, config_find(own)))
            return error_set(err, EXIT_USAGE, "mappo %s doesn't look at %s; did you mean \"%s\"? (mappo %s --help)", command->name, full,
                             own, command->name);
        const struct command *other = command_named(config_keys[k].section);
        if (other && other != command && looks_at(other, k))
            return error_set(err, EXIT_USAGE, "mappo %s doesn't look at %s: mappo %s does (mappo %s --help)", command->name, full,
                             other->name, other->name);
        return error_set(err, EXIT_USAGE, "mappo %s doesn't look at %s (mappo %s --help)", command->name, full, command->name);
    }
    return 0;
}

/* Nor is an option that the command doesn't take. */
static int check_options(const struct command *command, const struct arguments *args, struct error *err)
{
    const struct {
        bool given;
        int needs;
        const char *name;
    } options[] = {{args->fresh, TAKES_FRESH, "--fresh"},       {args->quiet, TAKES_QUIET, "--quiet"},
                   {args->json, TAKES_JSON, "--json"},          {args->check, TAKES_CHECK, "--check"},
                   {args->dry_run, TAKES_DRY_RUN, "--dry-run"}, {args->files > 0, TAKES_SETTINGS, "--config"}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].given && !(command->takes & options[i].needs))
            return error_set(err, EXIT_USAGE, "mappo %s takes no %s (mappo %s --help)", command->name, options[i].name, command->name);
    if (args->assignments && !(command->takes & TAKES_SETTINGS))
        return error_set(err, EXIT_USAGE, "mappo %s takes no settings, but \"%s\" was given (mappo %s --help)", command->name,
                         args->assignment[0], command->name);
    return 0;
}

int command_find(const struct command **command, const struct arguments *args, struct error *err)
{
    *command = command_named(args->command);
    if (!*command) return unknown_command(args, err);
    if (args->help || args->version) return 0;
    const struct command *c = *command;
    if (args->operands < c->least) return missing_operand(c, args, err);
    if (args->operands > c->most) return unknown_operand(c, args, err);
    int code = check_options(c, args, err);
    return code ? code : check_settings(c, args, err);
}
