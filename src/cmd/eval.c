/* mappo eval RUN|FILE: plays whole episodes with the environment and settings of the checkpoint, so that it can't differ from training by
 * accident. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/version.h"
#include "cmd/cmd.h"
#include "env/options.h"
#include "render/output.h"
#include "run/open_env.h"
#include "run/playing.h"
#include "run/recording.h"
#include "run/spaces.h"
#include "run/trainer_work.h"

enum { EPISODES = 1000 }; /* unless given */

struct evaluating {
    const struct arguments *args;
    struct comm *comm;
    struct playing run;
    struct recording_size recorded; /* once it is written */
    struct output picture;
    bool table; /* nobody was chosen to play and people read it: random and scripted play stand beside the trained one */
};

/* Rank 0: what is to be played, and whether all that is asked for can be left. */
static int read_run(struct evaluating *e, struct error *err)
{
    const char *const operand = e->args->operands == 1 ? e->args->operand[0] : NULL;
    if (!operand)
        return error_set(err, EXIT_USAGE,
                         "name one run or checkpoint: mappo eval RUN|FILE [episodes=1000] [play=trained|random|noop|scripted]");
    int code = playing_read(&e->run, operand, e->args, EPISODES, e->comm, err);
    const struct config *config = e->run.config;
    if (!code && config->eval_picture[0] && (code = output_check(config->eval_picture, &e->picture.kind, err)))
        error_prefix(err, "picture");
    if (!code && config->eval_record[0]) code = recording_check(config->eval_record, err);
    if (!code && config->eval_record[0] && e->comm->size > 1)
        code = error_set(err, EXIT_USAGE, "record: one rank writes a recording, and there are %d: start mappo eval alone", e->comm->size);
    return code;
}

/* Is the return that stands first the sum over agents? */
static bool summed(const struct evaluating *e)
{
    return e->run.config->metrics_return == RETURN_SUM;
}

/* ,"name":mean,"name_stderr":error */
static void json_estimate(const char *name, const struct estimate *estimate)
{
    printf(",\"%s\":", name);
    text_json_real(stdout, estimate->mean);
    printf(",\"%s_stderr\":", name);
    text_json_real(stdout, estimate->error);
}

/* ,"players":{"adversary":"random","agent":"trained"} */
static void json_players(const struct evaluating *e)
{
    const int player = e->run.config->eval_play;
    fputs(",\"players\":{", stdout);
    for (int g = 0; g < e->run.learning.policies->groups; g++) {
        if (g) putchar(',');
        text_json_string(stdout, e->run.learning.policies->group[g]->name);
        putchar(':');
        text_json_string(stdout, player == PLAY_TRAINED ? playing_player_of(&e->run, g) : player_name[player]);
    }
    putchar('}');
}

static void print_json(const struct evaluating *e, const struct evaluation *r)
{
    const struct mappo_env_spec *spec = vecenv_spec(e->run.learning.env);
    printf("{\"checkpoint\":");
    text_json_string(stdout, e->run.path);
    printf(",\"environment\":");
    text_json_string(stdout, vecenv_descriptor(e->run.learning.env)->id);
    printf(",\"options\":");
    text_json_string(stdout, vecenv_options(e->run.learning.env));
    printf(",\"rules\":");
    text_json_string(stdout, vecenv_spec(e->run.learning.env)->rules);
    printf(",\"play\":\"%s\",\"deterministic\":%s,\"episodes\":%lld,\"return_mean\":", player_name[e->run.config->eval_play],
           e->run.config->eval_play != PLAY_TRAINED ? "null"
           : e->run.config->eval_deterministic      ? "true"
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
    const double agents = episode_return_agents(spec, policies_team(e->run.learning.policies, spec));
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
    if (e->run.config->eval_record[0]) {
        fputs(",\"record\":", stdout);
        text_json_string(stdout, e->run.config->eval_record);
    }
    puts("}");
}

static void print_row(const struct evaluating *e, int player, const struct evaluation *r)
{
    char number[64], who[CONFIG_TEXT + 200];
    const int decimals = text_decimals(r->episodes > 1 ? fmax(fabs(r->return_mean), r->return_stderr) : r->return_mean);
    text_fixed(number, sizeof number, r->return_mean, decimals);
    printf("  %-10s %10s", playing_players(&e->run, player, who, sizeof who), number);
    if (r->episodes > 1) printf(" ± %.*f", decimals, r->return_stderr);
    for (int g = 0; vecenv_spec(e->run.learning.env)->groups > 1 && g < vecenv_spec(e->run.learning.env)->groups; g++) {
        const double group = r->group[g].mean * (summed(e) ? vecenv_spec(e->run.learning.env)->group[g].agents : 1);
        text_fixed(number, sizeof number, group, text_decimals(group));
        printf("   %s %s", vecenv_spec(e->run.learning.env)->group[g].name, number);
    }
    printf("   (%.1f steps%s)\n", r->length_mean,
           player != PLAY_TRAINED              ? ""
           : e->run.config->eval_deterministic ? "; most probable actions"
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

/* One and the same game many times over says less than its number of episodes. */
static void print_alike(const struct evaluating *e, int player, const struct evaluation *r)
{
    if (r->episodes < 2 || !r->alike) return;
    printf("    all %lld episodes had the same return and length%s\n", (long long)r->episodes,
           player == PLAY_TRAINED && e->run.config->eval_deterministic
               ? ": if nothing in the environment is left to chance, they are one game; deterministic=0 draws actions"
               : "");
}

/* Beneath a player's row: the return that does not stand there, of every agent, and what the environment counts. */
static void print_details(const struct evaluating *e, const struct evaluation *r)
{
    enum { MOST_AGENTS = 12 };
    const struct mappo_env_spec *spec = vecenv_spec(e->run.learning.env);
    const double agents = episode_return_agents(spec, policies_team(e->run.learning.policies, spec)), other = summed(e) ? 1 : agents;
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

/* " of agent": the groups whose return stands first, where they aren't those of the first team, as where that one's player is exchanged. */
static void name_team(const struct evaluating *e, char *text, size_t size)
{
    const struct mappo_env_spec *spec = vecenv_spec(e->run.learning.env);
    const int team = policies_team(e->run.learning.policies, spec);
    text[0] = '\0';
    for (int g = 0; g < spec->groups && team != spec->group[0].team; g++)
        if (spec->group[g].team == team)
            text_format(text + strlen(text), size - strlen(text), "%s %s", *text ? " and" : " of", spec->group[g].name);
}

static void print_heading(const struct evaluating *e)
{
    char title[OPTIONS_TEXT];
    open_env_title(e->run.config, e->run.learning.env, title, sizeof title);
    printf("%s\n%s\n", e->run.path, title);
    const char *rules = vecenv_spec(e->run.learning.env)->rules, *sum = summed(e) ? ", summed over agents," : "";
    char team[256];
    name_team(e, team, sizeof team);
    if (e->run.config->eval_episodes > 1)
        printf("mean return%s%s over %lld episodes ± standard error, %s rules\n", team, sum, (long long)e->run.config->eval_episodes,
               rules);
    else
        printf("return%s%s of one episode, which has no standard error, %s rules\n", team, sum, rules);
}

static int write_recording(const struct evaluating *e, struct recording *recording, struct error *err)
{
    static char heads[4096], infos[4096];
    const struct mappo_env_spec *spec = vecenv_spec(e->run.learning.env);
    const bool trained = e->run.config->eval_play == PLAY_TRAINED;
    char seed[32], who[CONFIG_TEXT + 200];
    text_format(seed, sizeof seed, "%lld", (long long)e->run.config->eval_seed);
    trainer_action_heads(e->run.learning.policies, spec, heads, sizeof heads);
    FILE *out = fmemopen(infos, sizeof infos, "w");
    CHECK(out, "out of memory for a recording");
    for (int i = 0; i < spec->infos; i++) {
        fputs(i ? "," : "[", out);
        text_json_string(out, spec->info[i].name);
    }
    fputs(spec->infos ? "]" : "[]", out);
    CHECK(fclose(out) == 0, "more info columns than room");
    char *spaces = spaces_json(e->run.learning.env);
    const struct checkpoint_attribute attribute[] = {{"kind", "episodes"},
                                                     {"program", version_line()},
                                                     {"checkpoint", e->run.path},
                                                     {"environment", vecenv_descriptor(e->run.learning.env)->id},
                                                     {"environment_options", vecenv_options(e->run.learning.env)},
                                                     {"rules", spec->rules},
                                                     {"play", playing_players(&e->run, e->run.config->eval_play, who, sizeof who)},
                                                     {"deterministic", !trained                            ? ""
                                                                       : e->run.config->eval_deterministic ? "true"
                                                                                                           : "false"},
                                                     {"eval.seed", seed},
                                                     {"action_heads", heads},
                                                     {"spaces", spaces},
                                                     {"info_columns", infos}};
    const int code = recording_write(recording, e->run.config->eval_record, attribute, (int)(sizeof attribute / sizeof *attribute), err);
    free(spaces);
    return code;
}

/* The player who was chosen leaves a recording. */
static int play_one(struct evaluating *e, int player, struct evaluation *result, struct error *err)
{
    const bool records = e->run.config->eval_record[0] && player == e->run.config->eval_play;
    const struct mappo_env_spec *spec = vecenv_spec(e->run.learning.env);
    struct recording *recording = records ? recording_create(spec, e->run.config->eval_episodes) : NULL;
    evaluator_record(e->run.evaluator, recording, player);
    int code = evaluator_play(e->run.evaluator, player, e->run.config->eval_deterministic, result, err);
    if (!code && records) e->recorded = recording_size(recording);
    if (!code && records) code = write_recording(e, recording, err);
    evaluator_record(e->run.evaluator, NULL, player);
    recording_destroy(recording);
    return code;
}

/* Below the table, whose other players are not in it. */
static void say_recording(const struct evaluating *e)
{
    const long long episodes = e->run.config->eval_episodes;
    char who[CONFIG_TEXT + 200];
    if (!e->run.config->eval_record[0] || e->args->json || e->args->quiet || e->comm->rank) return;
    printf("%s: %lld episode%s, %s, %.3g MB", e->run.config->eval_record, episodes, episodes == 1 ? "" : "s",
           playing_players(&e->run, e->run.config->eval_play, who, sizeof who), (double)e->recorded.all * 1e-6);
    if (e->recorded.added) printf(", of it %.3g MB what networks made", (double)e->recorded.added * 1e-6);
    putchar('\n');
}

static int play(struct evaluating *e, struct error *err)
{
    static const int all[] = {PLAY_RANDOM, PLAY_SCRIPTED, PLAY_TRAINED};
    const int *player = e->table ? all : &e->run.config->eval_play;
    if (!e->args->json && e->comm->rank == 0) print_heading(e);
    for (int i = 0; i < (e->table ? 3 : 1); i++) {
        struct evaluation result;
        if (e->table && player[i] == PLAY_SCRIPTED && !vecenv_can_script(e->run.learning.env)) continue;
        const int code = play_one(e, player[i], &result, err);
        if (code) return code;
        if (e->comm->rank) continue;
        if (e->args->json)
            print_json(e, &result);
        else {
            print_row(e, player[i], &result);
            print_alike(e, player[i], &result);
            print_details(e, &result);
        }
    }
    say_recording(e);
    return 0;
}

/* The first episode. */
static int draw(struct evaluating *e, struct error *err)
{
    const struct config *c = e->run.config;
    char who[CONFIG_TEXT + 200];
    struct film *film = evaluator_film_create(c, e->run.learning.env);
    struct output *picture = &e->picture;
    picture->path = c->eval_picture;
    picture->strip = true;
    picture->silent = e->args->quiet || e->args->json;
    film_players(film, playing_players(&e->run, (int)c->eval_play, who, sizeof who));
    int code = evaluator_film(e->run.evaluator, (int)c->eval_play, c->eval_deterministic, 0, film, err);
    if (!code) code = output_write(picture, film, err);
    film_destroy(film);
    if (!code && !e->args->json && !e->args->quiet) printf("%s: the first episode, %s\n", c->eval_picture, who);
    return code;
}

int cmd_eval(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct evaluating e = {.args = args, .comm = comm};
    int code = playing_open(&e.run, comm->rank == 0 ? read_run(&e, &err) : 0, comm, &err);
    e.table = !args->json && !e.run.given[KEY_eval_play];
    if (!code && e.run.config->eval_picture[0] && !vecenv_descriptor(e.run.learning.env)->draw)
        code = error_set(&err, EXIT_USAGE, "picture: %s can't be drawn", vecenv_descriptor(e.run.learning.env)->id);
    if (!code) code = play(&e, &err);
    if (!code && comm->rank == 0 && e.run.config->eval_picture[0]) code = draw(&e, &err);
    error_report(&err);
    playing_close(&e.run);
    return code;
}
