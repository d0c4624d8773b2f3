#include "run/playing.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "comm/openmp.h"
#include "run/saved_run.h"

/* Who plays all groups plays those too that another player was named for now: these don't count as another way to play. */
static int find_differences(struct playing *p, const struct config *then, struct error *err)
{
    struct config *now = malloc(sizeof *now);
    CHECK(now, "out of memory");
    *now = *p->config;
    if (now->eval_play != PLAY_TRAINED) {
        memcpy(now->group_option, then->group_option, sizeof now->group_option);
        now->group_options = then->group_options;
    }
    const int code = saved_run_differences(now, p->file, p->path, p->differences, sizeof p->differences, err);
    free(now);
    return code;
}

int playing_read(struct playing *p, const char *run_or_file, const struct arguments *args, int64_t episodes, struct comm *comm,
                 struct error *err)
{
    *p = (struct playing){.comm = comm, .config = calloc(1, sizeof *p->config)};
    struct config *now = calloc(2, sizeof *now), *then = now + 1;
    CHECK(p->config && now, "out of memory");
    config_defaults(now);
    config_apply(now, args, NULL); /* mistakes are told below, where the environment's options are known */
    int code = saved_run_open_networks(run_or_file, now->eval_which == 1, &p->file, p->path, sizeof p->path, err);
    if (!code) code = saved_run_config(p->config, p->file, p->path, err);
    if (!code) *then = *p->config;
    if (!code) code = config_apply(p->config, args, err);
    if (!code) code = saved_run_find_env(p->config, p->path, err);
    if (!code) code = find_differences(p, then, err);
    for (int k = 0; k < CONFIG_KEYS; k++) p->given[k] = now->origin[k] != ORIGIN_DEFAULT;
    if (!p->given[KEY_eval_episodes]) p->config->eval_episodes = episodes;
    p->config->render_interval = 0; /* the run's own films */
    free(now);
    return code;
}

static int open_parts(struct playing *p, struct error *err)
{
    const struct config *c = p->config;
    placement_find(&p->placement, p->comm, (int)c->train_threads);
    int code = comm_vote(p->comm, openmp_start_threads(p->placement.threads, err), err);
    if (!code) code = learning_backend(&p->learning, c, p->comm, p->placement.threads, -1, err);
    if (!code) code = learning_open_alone(&p->learning, c, err);
    if (!code) learning_warn(&p->learning, c, p->comm);
    if (!code) code = evaluator_create(&p->evaluator, c, p->learning.policies, p->learning.backend, p->comm, p->placement.threads, err);
    return code;
}

/* Rank 0. */
static void say_what_differs(const struct playing *p)
{
    if (p->differences[0]) warn("%s was trained with %s: this plays something else than what was trained", p->path, p->differences);
    saved_run_warn_plugin(p->file, p->path, p->config, vecenv_descriptor(p->learning.env));
}

int playing_open(struct playing *p, int code, struct comm *comm, struct error *err)
{
    if (comm->rank) *p = (struct playing){.comm = comm, .config = calloc(1, sizeof *p->config)};
    code = comm_vote(comm, code, err);
    if (code) return code;
    CHECK(p->config, "out of memory");
    comm_broadcast(comm, p->config, sizeof *p->config);
    comm_broadcast(comm, p->given, sizeof p->given);
    code = comm_vote(comm, open_parts(p, err), err);
    if (!code) code = saved_run_load_networks(p->learning.policies, p->config, p->file, p->path, p->differences, comm, err);
    if (!code) code = saved_run_load_actors(p->learning.policies, p->config, comm, err);
    if (!code && comm->rank == 0) say_what_differs(p);
    return code;
}

bool playing_newest(const struct playing *p)
{
    char folder[sizeof p->path], newest[sizeof p->path + 64];
    const char *slash = strrchr(p->path, '/');
    struct checkpoint_name *all;
    text_format(folder, sizeof folder, "%.*s", slash ? (int)(slash - p->path) : 1, slash ? p->path : ".");
    const int count = checkpoint_list(folder, &all);
    if (count > 0) text_format(newest, sizeof newest, "%s/%s", folder, all[0].name);
    free(all);
    return count <= 0 || file_same(newest, p->path);
}

void playing_close(struct playing *p)
{
    evaluator_destroy(p->evaluator);
    learning_close(&p->learning);
    checkpoint_close(p->file);
    free(p->config);
}

const char *playing_player_of(const struct playing *p, int g)
{
    const struct policy *policy = p->learning.policies->group[g];
    return policy_learns(policy)                 ? player_name[PLAY_TRAINED]
           : player_has_networks(policy->player) ? config_group(p->config, policy->name, GROUP_play)
                                                 : player_name[policy->player];
}

const char *playing_players(const struct playing *p, int player, char *text, size_t size)
{
    static const char *const shown[] = {"trained", "random", "no-op", "scripted"};
    const struct policies *policies = p->learning.policies;
    bool others = false;
    text_format(text, size, "%s", shown[player]);
    for (int g = 0; g < policies->groups && player == PLAY_TRAINED; g++) others = others || !policy_learns(policies->group[g]);
    for (int g = 0; g < policies->groups && others; g++) {
        const size_t length = g ? strlen(text) : 0;
        text_format(text + length, size - length, "%s%s %s", g ? ", " : "", policies->group[g]->name, playing_player_of(p, g));
    }
    return text;
}
