#include "run/evaluate.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/philox.h"
#include "base/text.h"
#include "comm/watchdog.h"
#include "env/slices.h"
#include "nn/actor.h"
#include "run/open_env.h"

/* Environments of one batch over all ranks; more episodes are played batch after batch. Of those that step elsewhere there are no more than
 * for training, as each may take a process, a window or a game of its own. Steps after which an episode counts as endless. */
enum { BATCH_ENVS = 4096, ENDLESS = 10000000 };
/* Between two looks for a reason to stop. */
static const double round_seconds = 0.2;
enum { GROWTH = 4 };

struct aimed { /* an actor and the environments it is for */
    struct actor *actor;
    struct comm_part envs;
};

struct evaluator {
    const struct config *config;
    struct backend *backend;
    struct comm *comm;
    struct stop *stop; /* NULL: nothing stops it */
    struct arena *arena;
    const struct policies *policies;
    struct aimed batch, film;      /* for the environments of the last batch; for that of a film */
    real *state[MAPPO_MAX_GROUPS]; /* [E][A][H] the backend's: what recurrent actors remember of their episodes; NULL elsewhere */
    uint8_t *begins;               /* [E] the backend's: all 1; NULL likewise */
    int64_t episodes;
    int threads, room; /* room: environments of this rank in one batch */
    int batch_envs;    /* of all ranks */
    int groups;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    struct mappo_env_io io; /* what is needed to play, and what is told of episodes */
    uint8_t *done;          /* [E] its episode has been counted */
    struct episode *ended;  /* [E] */
    struct tally tally;
    struct recording *recording; /* of what is played; NULL = none */
    double *returns;             /* [episodes] the caller's; NULL = not wanted */
    struct {                     /* of the host's, for recordings: of groups that networks act for, else NULL */
        real *output, *log_std;  /* [E][A][…] as actor_network_outputs has them */
        real *state;             /* [E][A][H] before the step, of recurrent ones */
    } made[MAPPO_MAX_GROUPS];
};

static int open_batch(struct evaluator *ev, struct vecenv **env, int64_t first, int count, struct error *err)
{
    const struct open_env_config batch = {.envs = {(int)first, count},
                                          .seed = (uint64_t)ev->config->eval_seed,
                                          .stream = PHILOX_EVALUATION,
                                          .threads = ev->threads,
                                          .horizon = 1,
                                          .plain = true};
    return open_env(env, ev->config, &batch, err);
}

static void create_slices(struct evaluator *ev, const struct mappo_env_spec *spec)
{
    struct slices slices;
    slices_of(&slices, spec);
    ev->groups = spec->groups;
    for (int g = 0; g < spec->groups; g++) ev->size[g] = group_sizes(&spec->group[g]);
    ev->io = (struct mappo_env_io){.struct_size = sizeof ev->io, .groups = spec->groups};
    for (int i = 0; i < slices.count; i++) {
        const struct slice *slice = &slices.slice[i];
        if (!slice->offered || slice_is_state(slice)) continue;
        if (slice->written == SLICE_FINAL && !ev->config->eval_record[0]) continue;
        slice_point(&ev->io, slice, arena_take(ev->arena, slice->what, (size_t)ev->room, slice->bytes));
    }
}

/* Episodes of the batch whose first is number `first`, over all ranks. */
static int batch_episodes(const struct evaluator *ev, int64_t first)
{
    const int64_t left = ev->episodes - first;
    return left < ev->batch_envs ? (int)left : ev->batch_envs;
}

/* Environments of this rank in it. */
static struct comm_part batch_part(const struct evaluator *ev, int64_t first)
{
    struct comm_part part = comm_part(batch_episodes(ev, first), ev->comm->rank, ev->comm->size);
    part.first += (int)first;
    return part;
}

/* The actor for these environments: kept from time to time where they are the same, as they are for all evaluations and films of a run. */
static void aim_actor(struct evaluator *ev, struct aimed *aimed, const struct mappo_env_spec *spec, struct comm_part envs)
{
    if (aimed->actor && aimed->envs.first == envs.first && aimed->envs.count == envs.count) return;
    actor_destroy(aimed->actor);
    const struct actor_config actor = {.groups = spec->groups,
                                       .policy = ev->policies->group,
                                       .shards = 1,
                                       .first = (const int[]){0, envs.count},
                                       .first_env = (uint32_t)envs.first,
                                       .seed = (uint64_t)ev->config->eval_seed,
                                       .stream = PHILOX_ACTION,
                                       .host_io = true};
    actor_create(&aimed->actor, &actor, ev->backend);
    aimed->envs = envs;
}

static void create_states(struct evaluator *ev)
{
    struct backend *backend = ev->backend;
    for (int g = 0; g < ev->groups; g++) {
        const struct network *net = &ev->policies->group[g]->net[ROLE_ACTOR];
        const size_t rows = (size_t)ev->room * (size_t)ev->size[g].agents;
        if (!net->gru || ev->policies->group[g]->sets[ROLE_ACTOR] == 0) continue;
        ev->state[g] = backend->alloc(backend, "states of evaluations", rows * (size_t)net->hidden * sizeof(real));
        if (ev->begins) continue;
        memset(ev->done, 1, (size_t)ev->room); /* as it happens, of the same size */
        ev->begins = backend_copy(backend, "states of evaluations", ev->done, (size_t)ev->room);
    }
}

/* Room for what networks make, where it is recorded. */
static void create_made(struct evaluator *ev)
{
    for (int g = 0; g < ev->groups && ev->config->eval_record[0]; g++) {
        const struct policy *policy = ev->policies->group[g];
        const size_t rows = (size_t)ev->room * (size_t)ev->size[g].agents, deviations = (size_t)actor_deviation_width(policy);
        if (policy->sets[ROLE_ACTOR] == 0) continue;
        ev->made[g].output = ARENA_NEW(ev->arena, real, rows * (size_t)actor_output_width(policy));
        if (deviations) ev->made[g].log_std = ARENA_NEW(ev->arena, real, rows * deviations);
        if (ev->state[g]) ev->made[g].state = ARENA_NEW(ev->arena, real, rows * (size_t)policy->net[ROLE_ACTOR].hidden);
    }
}

int evaluator_create(struct evaluator **evaluator, const struct config *config, const struct policies *policies, struct backend *backend,
                     struct comm *comm, int threads, struct error *err)
{
    struct arena *arena = arena_create("evaluation");
    struct evaluator *ev = ARENA_NEW(arena, struct evaluator, 1);
    *ev = (struct evaluator){.config = config,
                             .backend = backend,
                             .comm = comm,
                             .arena = arena,
                             .policies = policies,
                             .episodes = config->eval_episodes,
                             .threads = threads};
    struct vecenv *env;
    const bool films = config->render_interval > 0;
    int code = open_batch(ev, &env, 0, 1, err); /* for its spec alone */
    if (!code && films && !vecenv_descriptor(env)->draw) {
        code = error_set(err, EXIT_USAGE, "render.interval=%lld: %s can't be drawn", (long long)config->render_interval,
                         vecenv_descriptor(env)->id);
        vecenv_close(env);
    }
    if (code) {
        arena_destroy(arena);
        return code;
    }
    const struct mappo_env_spec *spec = vecenv_spec(env);
    ev->batch_envs = vecenv_steps_elsewhere(env) && config->rollout_envs < BATCH_ENVS ? (int)config->rollout_envs : BATCH_ENVS;
    ev->room = comm_part(batch_episodes(ev, 0), 0, comm->size).count;
    create_slices(ev, spec);
    const struct comm_part first = batch_part(ev, 0);
    if (first.count > 0) aim_actor(ev, &ev->batch, spec, first);
    if (films && comm->rank == 0) aim_actor(ev, &ev->film, spec, (struct comm_part){0, 1});
    ev->done = ARENA_NEW(arena, uint8_t, ev->room);
    create_states(ev);
    create_made(ev);
    ev->ended = ARENA_NEW(arena, struct episode, ev->room);
    tally_create(&ev->tally, spec, policies_team(policies, spec), ev->room, batch_episodes(ev, 0), arena);
    vecenv_close(env);
    *evaluator = ev;
    return 0;
}

void evaluator_heed(struct evaluator *ev, struct stop *stop)
{
    ev->stop = stop;
}

void evaluator_record(struct evaluator *ev, struct recording *recording, int player)
{
    ev->recording = recording;
    for (int g = 0; g < ev->groups && recording && player == PLAY_TRAINED; g++) {
        const struct policy *policy = ev->policies->group[g];
        if (!ev->made[g].output) continue;
        recording_add(recording, &(struct recording_numbers){g, "network_output", "outputs of the actor's heads, without masks,",
                                                             actor_output_width(policy), ev->made[g].output});
        if (ev->made[g].log_std)
            recording_add(recording, &(struct recording_numbers){g, "network_log_std", "log standard deviations of real actions",
                                                                 actor_deviation_width(policy), ev->made[g].log_std});
        if (ev->made[g].state)
            recording_add(recording, &(struct recording_numbers){g, "network_state", "what the recurrent actor remembers",
                                                                 policy->net[ROLE_ACTOR].hidden, ev->made[g].state});
    }
}

void evaluator_returns(struct evaluator *ev, double *returns)
{
    ev->returns = returns;
}

void evaluator_destroy(struct evaluator *ev)
{
    if (!ev) return;
    actor_destroy(ev->batch.actor);
    actor_destroy(ev->film.actor);
    for (int g = 0; g < ev->groups; g++) ev->backend->free(ev->backend, ev->state[g]);
    ev->backend->free(ev->backend, ev->begins);
    arena_destroy(ev->arena);
}

/* ---- players ------------------------------------------------------------------------------------------------------------------------ */

struct turn { /* one step of one batch */
    struct evaluator *ev;
    struct actor *actor;
    struct players players;
    bool networks; /* act for some group */
    int envs;
    uint32_t first;
    uint64_t step;
};

/* What actors remember before the step; in the first one what an episode begins with. */
static void keep_states(const struct turn *t)
{
    struct evaluator *ev = t->ev;
    for (int g = 0; g < ev->groups; g++) {
        const size_t rows = (size_t)t->envs * (size_t)ev->size[g].agents;
        const size_t bytes = rows * (size_t)ev->policies->group[g]->net[ROLE_ACTOR].hidden * sizeof(real);
        if (!ev->made[g].state) continue;
        if (t->step == 0)
            memset(ev->made[g].state, 0, bytes);
        else
            ev->backend->download(ev->backend, ev->made[g].state, ev->state[g], bytes);
    }
}

static int choose(struct turn *t, struct vecenv *env, bool deterministic, struct error *err)
{
    struct evaluator *ev = t->ev;
    struct actor_io io[MAPPO_MAX_GROUPS];
    for (int g = 0; g < ev->groups; g++) {
        const struct mappo_group_io *from = &ev->io.group[g];
        io[g] = (struct actor_io){.obs = from->obs,
                                  .mask = from->act_mask,
                                  .act_int = (int32_t *)(uintptr_t)from->act_int, /* the environment only reads actions */
                                  .act_real = (float *)(uintptr_t)from->act_real,
                                  .state = ev->state[g],
                                  .state_after = ev->state[g],
                                  .ended = t->step == 0 ? ev->begins : NULL}; /* only an environment's first episode counts */
    }
    const bool keeps = t->networks && ev->recording;
    if (keeps) keep_states(t);
    if (t->networks) actor_act(t->actor, io, ACTOR_ALL, t->step, deterministic);
    for (int g = 0; g < ev->groups && keeps; g++)
        if (ev->made[g].output) actor_network_outputs(t->actor, g, ev->made[g].output, ev->made[g].log_std);
    return players_act(&t->players, env, 0, t->envs, &ev->io, t->step, err);
}

/* ---- one batch of episodes ----------------------------------------------------------------------------------------------------------- */

static void count_episodes(struct evaluator *ev, struct vecenv *env, int64_t first, int64_t batch_first, int *left)
{
    for (int e = 0; e < vecenv_envs(env); e++) {
        if (ev->done[e]) continue;
        tally_step(&ev->tally, &ev->io, e);
        if (ev->recording) recording_after(ev->recording, &ev->io, e, first + e);
    }
    const int count = vecenv_take_episodes(env, ev->ended, ev->room);
    for (int i = 0; i < count; i++) {
        const struct episode *episode = &ev->ended[i];
        const int64_t e = (int64_t)episode->env - first;
        if (ev->done[e]) continue;
        ev->done[e] = 1;
        (*left)--;
        tally_end(&ev->tally, episode, (int)e, (int)((int64_t)episode->env - batch_first));
    }
}

/* Opens what a batch of environments needs. */
static int turn_open(struct turn *turn, struct evaluator *ev, struct aimed *aimed, int player, struct comm_part envs, struct vecenv **env,
                     struct error *err)
{
    *turn = (struct turn){.ev = ev, .envs = envs.count, .first = (uint32_t)envs.first, .networks = player == PLAY_TRAINED};
    const int code = open_batch(ev, env, envs.first, envs.count, err);
    if (code) return code;
    if (player == PLAY_SCRIPTED && !vecenv_can_script(*env)) {
        error_set(err, EXIT_USAGE, "%s has no scripted player; play=trained, random or noop", vecenv_descriptor(*env)->id);
        vecenv_close(*env);
        *env = NULL;
        return EXIT_USAGE;
    }
    turn->players = (struct players){
        .spec = vecenv_spec(*env), .seed = (uint64_t)ev->config->eval_seed, .first_env = turn->first, .squashed = vecenv_squashes(*env)};
    for (int g = 0; g < ev->groups; g++) {
        turn->players.player[g] = player == PLAY_TRAINED ? ev->policies->group[g]->player : player;
        turn->players.dist[g] = &ev->policies->group[g]->dist;
    }
    aim_actor(ev, aimed, vecenv_spec(*env), envs);
    turn->actor = aimed->actor;
    return 0;
}

static int take_step(struct turn *turn, struct vecenv *env, struct error *err)
{
    const int code = vecenv_step(env, &turn->ev->io, err);
    if (code) error_suffix(err, ", after step %llu of an evaluation", (unsigned long long)turn->step);
    turn->step++;
    return code;
}

/* Until all episodes of this rank have ended, at most `steps`. */
static int play_steps(struct turn *turn, struct vecenv *env, bool deterministic, int64_t batch_first, int steps, int *left,
                      struct error *err)
{
    struct evaluator *ev = turn->ev;
    for (int i = 0; i < steps && *left; i++) {
        int code = choose(turn, env, deterministic, err);
        for (int e = 0; e < turn->envs && ev->recording && !code; e++)
            if (!ev->done[e]) recording_before(ev->recording, &ev->io, e, (int64_t)turn->first + e);
        if (!code) code = take_step(turn, env, err);
        if (code) return code;
        watchdog_sign();
        count_episodes(ev, env, turn->first, batch_first, left);
        if (turn->step > ENDLESS)
            return error_set(err, EXIT_ENVIRONMENT, "%s: an episode did not end within %d steps; set wrap.time_limit",
                             vecenv_descriptor(env)->id, ENDLESS);
    }
    return 0;
}

/* After every round the ranks agree whether there is another one and how many steps it has: about `round_seconds` of them. True: there is;
 * `asked` is the code of a reason to stop, where there is one. */
static bool another_round(const struct evaluator *ev, bool failed, int left, double seconds, int *steps, int *asked)
{
    double worst[3] = {failed, failed ? 0 : left, seconds / *steps};
    comm_max_double(ev->comm, worst, 3);
    if (worst[0] > 0 || worst[1] == 0) return false;
    if (ev->stop && (*asked = stop_agreed(ev->stop, ev->comm, NULL, 0))) return false;
    *steps = (int)fmin(fmax(1, round_seconds / fmax(worst[2], 1e-9)), GROWTH * *steps); /* one quick step promises nothing */
    return true;
}

/* All ranks, also those that have no environments of this batch. */
static int play_batch(struct evaluator *ev, int player, bool deterministic, int64_t batch_first, struct error *err)
{
    const struct comm_part part = batch_part(ev, batch_first);
    struct turn turn;
    struct vecenv *env = NULL;
    int code = 0, left = part.count, steps = 1, asked = 0;
    double start;
    if (left) code = turn_open(&turn, ev, &ev->batch, player, part, &env, err);
    if (env && !code) {
        memset(ev->done, 0, (size_t)ev->room);
        code = vecenv_reset(env, &ev->io, err);
    }
    do {
        start = clock_seconds();
        if (!code && left) code = play_steps(&turn, env, deterministic, batch_first, steps, &left, err);
    } while (another_round(ev, code != 0, left, clock_seconds() - start, &steps, &asked));
    vecenv_close(env);
    code = comm_vote(ev->comm, code, err);
    return code ? code : asked;
}

/* ---- films --------------------------------------------------------------------------------------------------------------------------- */

struct film *evaluator_film_create(const struct config *config, const struct vecenv *env)
{
    char title[256];
    const char *variant = open_env_called_of(config);
    text_format(title, sizeof title, "%s, %s rules", variant[0] ? variant : vecenv_descriptor(env)->id, vecenv_spec(env)->rules);
    return film_create(title, vecenv_spec(env));
}

/* How many times the mean over the team's agents is what is reported. */
static double times_the_mean(const struct evaluator *ev)
{
    return ev->config->metrics_return == RETURN_SUM ? episode_return_agents(&ev->tally.spec, ev->tally.team) : 1;
}

/* What the step that was just taken adds to the frame. */
static void add_rewards(const struct evaluator *ev, struct film_frame *frame)
{
    struct episode step = {.length = 1};
    for (int g = 0; g < ev->groups; g++) {
        double sum = 0;
        for (int a = 0; a < ev->size[g].agents; a++) sum += (double)ev->io.group[g].reward[a];
        frame->group_reward[g] = sum / ev->size[g].agents;
        frame->group_ret[g] += frame->group_reward[g];
        step.group_return[g] = (float)frame->group_reward[g];
    }
    frame->reward = times_the_mean(ev) * episode_return(&ev->tally.spec, ev->tally.team, &step);
    frame->ret += frame->reward;
}

/* The sums as they are reported. */
static void set_returns(const struct evaluator *ev, struct vecenv *env, struct film_frame *frame)
{
    struct episode episode;
    if (vecenv_take_episodes(env, &episode, 1) != 1) return;
    frame->ret = times_the_mean(ev) * episode_return(&ev->tally.spec, ev->tally.team, &episode);
    for (int g = 0; g < ev->groups; g++) frame->group_ret[g] = (double)episode.group_return[g];
}

/* The end is shown where the environment can draw it, and told in any case. */
static int shoot_end(const struct evaluator *ev, struct vecenv *env, struct film *film, struct film_frame *frame, struct error *err)
{
    set_returns(ev, env, frame);
    const int code = vecenv_can_draw_ended(env) ? vecenv_draw_ended(env, film_shoot(film, frame), err) : 0;
    film_end(film, frame);
    return code;
}

int evaluator_film(struct evaluator *ev, int player, bool deterministic, int64_t number, struct film *film, struct error *err)
{
    enum { MOST_FRAMES = 10000 };
    struct turn turn;
    struct vecenv *env;
    struct film_frame frame = {.step = 0};
    int code = turn_open(&turn, ev, &ev->film, player, (struct comm_part){(int)number, 1}, &env, err);
    if (code) return code;
    film_team(film, vecenv_spec(env), ev->tally.team);
    film_begin(film, number);
    code = vecenv_reset(env, &ev->io, err);
    ev->io.ep_end[0] = MAPPO_RUNNING;
    while (!code && !ev->io.ep_end[0] && frame.step < MOST_FRAMES) {
        if ((code = vecenv_draw(env, 0, film_shoot(film, &frame), err))) break;
        if ((code = choose(&turn, env, deterministic, err))) break;
        if ((code = take_step(&turn, env, err))) break;
        watchdog_sign();
        frame.step = (int64_t)turn.step;
        add_rewards(ev, &frame);
    }
    if (!code && ev->io.ep_end[0]) code = shoot_end(ev, env, film, &frame, err);
    vecenv_close(env);
    return code;
}

int evaluator_play(struct evaluator *ev, int player, bool deterministic, struct evaluation *out, struct error *err)
{
    struct tally *tally = &ev->tally;
    const double times = times_the_mean(ev);
    tally_begin(tally);
    for (int64_t first = 0; first < ev->episodes; first += ev->batch_envs) {
        const int total = batch_episodes(ev, first);
        tally_begin_batch(tally, total);
        const int code = play_batch(ev, player, deterministic, first, err);
        if (code) return code;
        /* Each row is one rank's, zero elsewhere: exact whatever the ranks. */
        comm_sum_double(ev->comm, tally->row, (size_t)total * (size_t)tally->columns);
        for (int k = 0; k < total && ev->returns; k++)
            ev->returns[first + k] = times * tally->row[(size_t)k * (size_t)tally->columns + TALLY_RETURN];
        tally_end_batch(tally, total);
    }
    tally_finish(tally);
    const struct estimate *estimate = tally->estimate, *team = &estimate[TALLY_RETURN];
    *out = (struct evaluation){.episodes = ev->episodes,
                               .return_mean = times * team->mean,
                               .return_stderr = times * team->error,
                               .length_mean = estimate[TALLY_LENGTH].mean,
                               .alike = tally->alike,
                               .agents = tally->agents,
                               .team = team,
                               .group = estimate + TALLY_GROUPS,
                               .agent = estimate + tally->first_agent,
                               .info = estimate + tally->first_info};
    if (!isfinite(out->return_mean))
        return error_set(err, EXIT_NUMERICAL, "evaluation: the mean return is not finite; look at the environment's rewards");
    return 0;
}
