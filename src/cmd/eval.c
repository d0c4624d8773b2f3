/* mappo eval RUN|FILE: plays whole episodes with the environment and settings of the checkpoint, so that it can't differ from training by
 * accident. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "comm/openmp.h"
#include "comm/placement.h"
#include "env/options.h"
#include "run/checkpoint.h"
#include "run/evaluate.h"
#include "run/learning.h"
#include "run/open_env.h"
#include "run/picture.h"
#include "run/recording.h"
#include "run/saved_run.h"
#include "run/spaces.h"
#include "run/trainer_work.h"

enum { EPISODES = 1000 }; /* unless given */

struct evaluating {
    const struct arguments *args;
    struct comm *comm;
    struct config *config;
    struct checkpoint *file;           /* rank 0 */
    char path[1024], differences[600]; /* rank 0: what is not as it was trained */
    struct placement placement;
    struct learning learning;
    struct evaluator *evaluator;
    struct recording_size recorded; /* once it is written */
    bool table; /* rank 0: nobody was chosen to play and people read it: random and scripted play stand beside the trained one */
};

/* Rank 0: RUN (its newest whole checkpoint, or the best) or FILE, and its configuration with what was given now. */
static int open_file(struct evaluating *e, struct error *err)
{
    if (e->args->operands != 1)
        return error_set(err, EXIT_USAGE,
                         "name one run or checkpoint: mappo eval RUN|FILE [episodes=1000] [play=trained|random|noop|scripted]");
    struct config *now = calloc(1, sizeof *now);
    CHECK(now, "out of memory");
    config_defaults(now);
    config_apply(now, e->args, NULL); /* mistakes are told below, where the environment's options are known */
    int code = saved_run_open_networks(e->args->operand[0], now->eval_which == 1, &e->file, e->path, sizeof e->path, err);
    if (!code) code = saved_run_config(e->config, e->file, e->path, err);
    if (!code) code = config_apply(e->config, e->args, err);
    if (!code) code = saved_run_find_env(e->config, e->path, err);
    if (!code) code = saved_run_differences(e->config, e->file, e->path, e->differences, sizeof e->differences, err);
    if (!code && now->origin[KEY_eval_episodes] == ORIGIN_DEFAULT) e->config->eval_episodes = EPISODES;
    e->table = !e->args->json && now->origin[KEY_eval_play] == ORIGIN_DEFAULT;
    free(now);
    if (!code && e->config->eval_picture[0]) code = picture_check(e->config->eval_picture, err);
    if (!code && e->config->eval_record[0]) code = recording_check(e->config->eval_record, err);
    if (!code && e->config->eval_record[0] && e->comm->size > 1)
        code = error_set(err, EXIT_USAGE, "record: one rank writes a recording, and there are %d: start mappo eval alone", e->comm->size);
    return code;
}

/* Rank 0. */
static void say_what_differs(const struct evaluating *e)
{
    if (e->differences[0]) warn("%s was trained with %s: this plays something else than what was trained", e->path, e->differences);
    saved_run_warn_plugin(e->file, e->path, e->config, vecenv_descriptor(e->learning.env));
}

static int open_parts(struct evaluating *e, struct error *err)
{
    const struct config *c = e->config;
    placement_find(&e->placement, e->comm, (int)c->train_threads);
    int code = comm_vote(e->comm, openmp_start_threads(e->placement.threads, err), err);
    if (!code) code = learning_backend(&e->learning, c, e->comm, e->placement.threads, -1, err);
    if (!code) code = learning_open_alone(&e->learning, c, err);
    if (!code) learning_warn(&e->learning, c, e->comm);
    if (!code) code = evaluator_create(&e->evaluator, c, e->learning.policies, e->learning.backend, e->comm, e->placement.threads, err);
    return code;
}

/* Is the return that stands first the sum over agents? */
static bool summed(const struct evaluating *e)
{
    return e->config->metrics_return == RETURN_SUM;
}

/* ,"name":mean,"name_stderr":error */
static void json_estimate(const char *name, const struct estimate *estimate)
{
    printf(",\"%s\":", name);
    text_json_real(stdout, estimate->mean);
    printf(",\"%s_stderr\":", name);
    text_json_real(stdout, estimate->error);
}

static const char *const shown_name[] = {"trained", "random", "no-op", "scripted"}; /* of the players */

/* Of one group, where all play as the configuration has it: "trained", the name of another player, or a run. */
static const char *player_of_group(const struct evaluating *e, int g)
{
    const struct policy *policy = e->learning.policies->group[g];
    return policy_learns(policy)                 ? player_name[PLAY_TRAINED]
           : player_has_networks(policy->player) ? config_group(e->config, policy->name, GROUP_play)
                                                 : player_name[policy->player];
}

/* "random"; "trained"; or, where some group is played by another, "adversary random, agent trained". */
static const char *players_text(const struct evaluating *e, int player, char *text, size_t size)
{
    const struct policies *policies = e->learning.policies;
    bool others = false;
    text_format(text, size, "%s", shown_name[player]);
    for (int g = 0; g < policies->groups && player == PLAY_TRAINED; g++) others = others || !policy_learns(policies->group[g]);
    for (int g = 0; g < policies->groups && others; g++) {
        const size_t length = g ? strlen(text) : 0;
        text_format(text + length, size - length, "%s%s %s", g ? ", " : "", policies->group[g]->name, player_of_group(e, g));
    }
    return text;
}

/* ,"players":{"adversary":"random","agent":"trained"} */
static void json_players(const struct evaluating *e)
{
    const int player = e->config->eval_play;
    fputs(",\"players\":{", stdout);
    for (int g = 0; g < e->learning.policies->groups; g++) {
        if (g) putchar(',');
        text_json_string(stdout, e->learning.policies->group[g]->name);
        putchar(':');
        text_json_string(stdout, player == PLAY_TRAINED ? player_of_group(e, g) : player_name[player]);
    }
    putchar('}');
}

static void print_json(const struct evaluating *e, const struct evaluation *r)
{
    const struct mappo_env_spec *spec = vecenv_spec(e->learning.env);
    printf("{\"checkpoint\":");
    text_json_string(stdout, e->path);
    printf(",\"environment\":");
    text_json_string(stdout, vecenv_descriptor(e->learning.env)->id);
    printf(",\"options\":");
    text_json_string(stdout, vecenv_options(e->learning.env));
    printf(",\"rules\":");
    text_json_string(stdout, vecenv_spec(e->learning.env)->rules);
    printf(",\"play\":\"%s\",\"deterministic\":%s,\"episodes\":%lld,\"return_mean\":", player_name[e->config->eval_play],
           e->config->eval_play != PLAY_TRAINED ? "null"
           : e->config->eval_deterministic      ? "true"
                                                : "false",
           (long long)r->episodes);
    text_json_real(stdout, r->return_mean);
    printf(",\"return_stderr\":");
    text_json_real(stdout, r->return_stderr);
    printf(",\"episode_length\":");
    text_json_real(stdout, r->length_mean);
    json_players(e);
    for (int g = 0; spec->groups > 1 && g < spec->groups; g++) {
        const int agents = summed(e) ? spec->group[g].agents : 1;
        char name[160];
        text_format(name, sizeof name, "return_mean/%s", spec->group[g].name);
        json_estimate(name, &(struct estimate){agents * r->group[g].mean, agents * r->group[g].error, r->episodes});
    }
    const double agents = episode_return_agents(spec, policies_team(e->learning.policies, spec));
    json_estimate("return_over_agents_mean", &(struct estimate){r->team->mean, r->team->error, r->episodes});
    json_estimate("return_over_agents_sum", &(struct estimate){agents * r->team->mean, agents * r->team->error, r->episodes});
    fputs(",\"return_per_agent\":{", stdout);
    for (int g = 0, agent = 0; g < spec->groups; g++) {
        printf("%s\"%s\":[", g ? "," : "", spec->group[g].name);
        for (int a = 0; a < spec->group[g].agents; a++) {
            if (a) putchar(',');
            text_json_real(stdout, r->agent[agent++].mean);
        }
        putchar(']');
    }
    putchar('}');
    for (int i = 0; i < spec->infos; i++) {
        char name[160];
        text_format(name, sizeof name, "info/%s", spec->info[i].name);
        json_estimate(name, &r->info[i]);
    }
    if (e->config->eval_record[0]) {
        fputs(",\"record\":", stdout);
        text_json_string(stdout, e->config->eval_record);
    }
    puts("}");
}

static void print_row(const struct evaluating *e, int player, const struct evaluation *r)
{
    char number[64], who[CONFIG_TEXT + 200];
    const int decimals = text_decimals(r->episodes > 1 ? fmax(fabs(r->return_mean), r->return_stderr) : r->return_mean);
    text_fixed(number, sizeof number, r->return_mean, decimals);
    printf("  %-10s %10s", players_text(e, player, who, sizeof who), number);
    if (r->episodes > 1) printf(" ± %.*f", decimals, r->return_stderr);
    for (int g = 0; vecenv_spec(e->learning.env)->groups > 1 && g < vecenv_spec(e->learning.env)->groups; g++) {
        const double group = r->group[g].mean * (summed(e) ? vecenv_spec(e->learning.env)->group[g].agents : 1);
        text_fixed(number, sizeof number, group, text_decimals(group));
        printf("   %s %s", vecenv_spec(e->learning.env)->group[g].name, number);
    }
    printf("   (%.1f steps%s)\n", r->length_mean,
           player != PLAY_TRAINED          ? ""
           : e->config->eval_deterministic ? "; most probable actions"
                                           : "; sampled actions");
}

/* "1.20 ± 0.03" */
static void print_estimate(double mean, double error)
{
    char number[64];
    const int decimals = text_decimals(isnan(error) ? mean : fmax(fabs(mean), error));
    text_fixed(number, sizeof number, mean, decimals);
    fputs(number, stdout);
    if (!isnan(error)) printf(" ± %.*f", decimals, error);
}

/* Beneath a player's row: the return that does not stand there, of every agent, and what the environment counts. */
static void print_details(const struct evaluating *e, const struct evaluation *r)
{
    enum { MOST_AGENTS = 12 };
    const struct mappo_env_spec *spec = vecenv_spec(e->learning.env);
    const double agents = episode_return_agents(spec, policies_team(e->learning.policies, spec)), other = summed(e) ? 1 : agents;
    if (r->agents > 1) {
        printf("    %s over agents ", summed(e) ? "mean" : "sum");
        print_estimate(other * r->team->mean, other * r->team->error);
        for (int g = 0, agent = 0; r->agents <= MOST_AGENTS && g < spec->groups; g++) {
            printf("; each %s", spec->groups > 1 ? spec->group[g].name : "agent");
            for (int a = 0; a < spec->group[g].agents; a++, agent++) {
                char number[64];
                text_fixed(number, sizeof number, r->agent[agent].mean, text_decimals(r->agent[agent].mean));
                printf(" %s", number);
            }
        }
        putchar('\n');
    }
    for (int i = 0; i < spec->infos; i++) {
        if (isnan(r->info[i].mean)) continue;
        const char *unit = spec->info[i].unit;
        printf("    %s ", spec->info[i].name);
        print_estimate(r->info[i].mean, r->info[i].error);
        printf("%s%s\n", unit && strcmp(unit, "1") != 0 ? " " : "", unit && strcmp(unit, "1") != 0 ? unit : "");
    }
}

static void print_heading(const struct evaluating *e)
{
    char title[OPTIONS_TEXT];
    open_env_title(e->config, e->learning.env, title, sizeof title);
    printf("%s\n%s\n", e->path, title);
    const char *rules = vecenv_spec(e->learning.env)->rules, *sum = summed(e) ? ", summed over agents," : "";
    if (e->config->eval_episodes > 1)
        printf("mean return%s over %lld episodes ± standard error, %s rules\n", sum, (long long)e->config->eval_episodes, rules);
    else
        printf("return%s of one episode, which has no standard error, %s rules\n", sum, rules);
}

static int write_recording(const struct evaluating *e, struct recording *recording, struct error *err)
{
    static char heads[4096], infos[4096];
    const struct mappo_env_spec *spec = vecenv_spec(e->learning.env);
    const bool trained = e->config->eval_play == PLAY_TRAINED;
    char seed[32], who[CONFIG_TEXT + 200];
    text_format(seed, sizeof seed, "%lld", (long long)e->config->eval_seed);
    trainer_action_heads(e->learning.policies, spec, heads, sizeof heads);
    FILE *out = fmemopen(infos, sizeof infos, "w");
    CHECK(out, "out of memory for a recording");
    for (int i = 0; i < spec->infos; i++) {
        fputs(i ? "," : "[", out);
        text_json_string(out, spec->info[i].name);
    }
    fputs(spec->infos ? "]" : "[]", out);
    CHECK(fclose(out) == 0, "more info columns than room");
    char *spaces = spaces_json(e->learning.env);
    const struct checkpoint_attribute attribute[] = {{"kind", "episodes"},
                                                     {"program", version_line()},
                                                     {"checkpoint", e->path},
                                                     {"environment", vecenv_descriptor(e->learning.env)->id},
                                                     {"environment_options", vecenv_options(e->learning.env)},
                                                     {"rules", spec->rules},
                                                     {"play", players_text(e, e->config->eval_play, who, sizeof who)},
                                                     {"deterministic", !trained                        ? ""
                                                                       : e->config->eval_deterministic ? "true"
                                                                                                       : "false"},
                                                     {"eval.seed", seed},
                                                     {"action_heads", heads},
                                                     {"spaces", spaces},
                                                     {"info_columns", infos}};
    const int code = recording_write(recording, e->config->eval_record, attribute, (int)(sizeof attribute / sizeof *attribute), err);
    free(spaces);
    return code;
}

/* The player who was chosen leaves a recording. */
static int play_one(struct evaluating *e, int player, struct evaluation *result, struct error *err)
{
    const bool records = e->config->eval_record[0] && player == e->config->eval_play;
    const struct mappo_env_spec *spec = vecenv_spec(e->learning.env);
    struct recording *recording = records ? recording_create(spec, e->config->eval_episodes) : NULL;
    evaluator_record(e->evaluator, recording, player);
    int code = evaluator_play(e->evaluator, player, e->config->eval_deterministic, result, err);
    if (!code && records) e->recorded = recording_size(recording);
    if (!code && records) code = write_recording(e, recording, err);
    evaluator_record(e->evaluator, NULL, player);
    recording_destroy(recording);
    return code;
}

/* Below the table, whose other players are not in it. */
static void say_recording(const struct evaluating *e)
{
    const long long episodes = e->config->eval_episodes;
    if (!e->config->eval_record[0] || e->args->json || e->args->quiet || e->comm->rank) return;
    printf("%s: %lld episode%s, %s, %.3g MB", e->config->eval_record, episodes, episodes == 1 ? "" : "s", shown_name[e->config->eval_play],
           (double)e->recorded.all * 1e-6);
    if (e->recorded.added) printf(", of it %.3g MB what networks made", (double)e->recorded.added * 1e-6);
    putchar('\n');
}

static int play(struct evaluating *e, struct error *err)
{
    static const int all[] = {PLAY_RANDOM, PLAY_SCRIPTED, PLAY_TRAINED};
    const int *player = e->table ? all : &e->config->eval_play;
    if (!e->args->json && e->comm->rank == 0) print_heading(e);
    for (int i = 0; i < (e->table ? 3 : 1); i++) {
        struct evaluation result;
        if (e->table && player[i] == PLAY_SCRIPTED && !vecenv_can_script(e->learning.env)) continue;
        const int code = play_one(e, player[i], &result, err);
        if (code) return code;
        if (e->comm->rank) continue;
        if (e->args->json)
            print_json(e, &result);
        else {
            print_row(e, player[i], &result);
            print_details(e, &result);
        }
    }
    say_recording(e);
    return 0;
}

static int draw(const struct evaluating *e, struct error *err)
{
    const struct config *c = e->config;
    char who[CONFIG_TEXT + 200];
    const int code = evaluator_picture(e->evaluator, c->eval_play, c->eval_deterministic, c->eval_picture, err);
    if (!code && !e->args->json && !e->args->quiet)
        printf("%s: the first episode, %s\n", c->eval_picture, players_text(e, c->eval_play, who, sizeof who));
    return code;
}

int cmd_eval(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct evaluating e = {.args = args, .comm = comm, .config = calloc(1, sizeof *e.config)};
    CHECK(e.config, "out of memory");
    int code = comm_vote(comm, comm->rank == 0 ? open_file(&e, &err) : 0, &err);
    if (!code) {
        comm_broadcast(comm, e.config, sizeof *e.config);
        comm_broadcast(comm, &e.table, sizeof e.table);
        code = comm_vote(comm, open_parts(&e, &err), &err);
    }
    if (!code && e.config->eval_picture[0] && !vecenv_descriptor(e.learning.env)->draw)
        code = error_set(&err, EXIT_USAGE, "picture: %s can't be drawn", vecenv_descriptor(e.learning.env)->id);
    if (!code) code = saved_run_load_networks(e.learning.policies, e.config, e.file, e.path, e.differences, comm, &err);
    if (!code) code = saved_run_load_actors(e.learning.policies, e.config, comm, &err);
    if (!code && comm->rank == 0) say_what_differs(&e);
    if (!code) code = play(&e, &err);
    if (!code && comm->rank == 0 && e.config->eval_picture[0]) code = draw(&e, &err);
    error_report(&err);
    evaluator_destroy(e.evaluator);
    learning_close(&e.learning);
    checkpoint_close(e.file);
    free(e.config);
    return code;
}
