#include "nn/critic_input.h"

#include <stdlib.h>

#include "config/choices.h"
#include "nn/policy.h"

/* ---- what a critic sees -------------------------------------------------------------------------------------------------------------- */

int critic_view_choose(struct critic_view *view, bool central, const struct config *config, const struct mappo_env_spec *spec, int g,
                       struct error *err)
{
    const struct mappo_group *group = &spec->group[g];
    view->concatenate = config->critic_state == STATE_CONCAT;
    view->input = CRITIC_OBS;
    if (!central) return 0;
    const bool per_agent = (group->flags & MAPPO_STATE_PER_AGENT) && !view->concatenate;
    if (config->critic_state == STATE_ENVIRONMENT && !per_agent && spec->state_size == 0)
        return error_set(err, EXIT_USAGE,
                         "critic.state=environment: this environment has no state of its own; critic.state=concat takes all observations");
    if (per_agent && config->critic_agent_id)
        return error_set(err, EXIT_USAGE,
                         "critic.agent_id=true: group \"%s\" has a state per agent already; leave it off or set critic.state=concat",
                         group->name);
    view->input = per_agent ? CRITIC_AGENT_STATE : config->critic_agent_id ? CRITIC_STATE_ID : CRITIC_STATE;
    return 0;
}

static int joint_width(const struct mappo_env_spec *spec)
{
    int width = 0;
    for (int g = 0; g < spec->groups; g++) {
        const struct group_sizes sizes = group_sizes(&spec->group[g]);
        width += sizes.agents * sizes.obs;
    }
    return width;
}

int critic_view_measure(struct critic_view *view, const struct mappo_env_spec *spec, int g, struct error *err)
{
    const struct mappo_group *group = &spec->group[g];
    view->concatenate = view->concatenate || spec->state_size == 0;
    const int state = view->concatenate ? joint_width(spec) : spec->state_size;
    view->rows = group->agents;
    switch (view->input) {
    case CRITIC_OBS:
        view->size = group_sizes(group).obs;
        break;
    case CRITIC_STATE:
        view->size = state;
        view->rows = 1;
        break;
    case CRITIC_STATE_ID:
        view->size = state + group->agents;
        break;
    case CRITIC_AGENT_STATE:
        if (!(group->flags & MAPPO_STATE_PER_AGENT))
            return error_set(err, EXIT_USAGE, "group \"%s\" has no state per agent for its critic", group->name);
        view->size = group->state_size;
        break;
    default:
        return error_set(err, EXIT_INTERNAL, "critic input %d", view->input);
    }
    if (view->size < 1) return error_set(err, EXIT_USAGE, "group \"%s\": the critic would see nothing", group->name);
    return 0;
}

/* ---- where it comes from ------------------------------------------------------------------------------------------------------------- */

static bool is_central(const struct policy *policy)
{
    return policy->critic_input == CRITIC_STATE || policy->critic_input == CRITIC_STATE_ID;
}

static bool reads_joint(const struct policy *policy, const struct mappo_env_spec *spec)
{
    return is_central(policy) && policy->concatenate && spec->groups > 1;
}

static bool reads_environment(const struct policy *policy, const struct mappo_env_spec *spec)
{
    return is_central(policy) && !policy->concatenate && !(spec->state_is_all_obs && spec->groups == 1);
}

bool critics_read(struct policy *const *policy, const struct mappo_env_spec *spec, const struct slice *slice)
{
    if (slice->id == GROUP_SLICE_state || slice->id == GROUP_SLICE_final_state)
        return policy_learns(policy[slice->group]) && policy[slice->group]->critic_input == CRITIC_AGENT_STATE;
    const bool state = slice->id == ENV_SLICE_state || slice->id == ENV_SLICE_final_state;
    if (!state && slice->id != GROUP_SLICE_obs && slice->id != GROUP_SLICE_final_obs) return false;
    bool reads = false;
    for (int g = 0; g < spec->groups; g++) {
        const bool own = reads_environment(policy[g], spec);
        if (!policy_learns(policy[g])) continue;
        reads |= state ? own : !own && policy[g]->critic_input != CRITIC_AGENT_STATE;
    }
    return reads;
}

/* ---- building ------------------------------------------------------------------------------------------------------------------------ */

size_t critic_inputs_width(const struct critic_inputs *inputs, int g)
{
    const struct policy *policy = inputs->config.policy[g];
    return (size_t)policy->state_rows * (size_t)policy->state_size;
}

static float *take(const struct critic_inputs *inputs, struct backend_memory *memory, int places, size_t width)
{
    return BACKEND_NEW(memory, float, ((size_t)places * (size_t)inputs->config.envs * width));
}

/* The one-hot agent numbers behind the central state: they never change, so they are written once, for all places. */
static void fill_agent_numbers(const struct critic_inputs *inputs, int g, float *to, int places)
{
    const struct policy *policy = inputs->config.policy[g];
    struct backend *backend = inputs->backend;
    const size_t agents = (size_t)policy->sizes.agents, width = (size_t)policy->state_size;
    const size_t size = (size_t)inputs->config.envs * critic_inputs_width(inputs, g);
    if (!to || backend->planning) return;
    float *place = calloc(size, sizeof *place);
    CHECK(place, "out of memory numbering agents");
    for (size_t row = 0; row < size / width; row++) place[row * width + width - agents + row % agents] = 1;
    for (int p = 0; p < places; p++) backend->upload(backend, to + (size_t)p * size, place, size * sizeof *place);
    free(place);
}

static void create_group(struct critic_inputs *inputs, int g, struct backend_memory *memory)
{
    const struct critic_inputs_config *config = &inputs->config;
    const struct policy *policy = config->policy[g];
    const struct mappo_group_io *group = &config->all.group[g];
    float **current = &inputs->group[g].current, **last = &inputs->group[g].last;
    if (policy->critic_input == CRITIC_STATE_ID) {
        const size_t width = critic_inputs_width(inputs, g);
        *current = take(inputs, memory, config->places, width);
        if (config->finals) *last = take(inputs, memory, config->finals, width);
        fill_agent_numbers(inputs, g, *current, config->places);
        fill_agent_numbers(inputs, g, *last, config->finals);
        inputs->composes = true;
    } else if (policy->critic_input == CRITIC_AGENT_STATE) {
        *current = group->state;
        *last = group->final_state;
    } else if (reads_environment(policy, config->spec)) {
        *current = config->all.state;
        *last = config->all.final_state;
    } else if (reads_joint(policy, config->spec)) {
        *current = inputs->joint;
        *last = inputs->final_joint;
    } else {
        *current = group->obs;
        *last = group->final_obs;
    }
}

void critic_inputs_create(struct critic_inputs *inputs, const struct critic_inputs_config *config, struct backend_memory *memory)
{
    *inputs = (struct critic_inputs){.config = *config, .backend = memory->backend};
    bool joint = false;
    for (int g = 0; g < config->spec->groups; g++) joint |= reads_joint(config->policy[g], config->spec);
    if (joint) {
        const size_t width = (size_t)joint_width(config->spec);
        inputs->joint = take(inputs, memory, config->places, width);
        if (config->finals) inputs->final_joint = take(inputs, memory, config->finals, width);
        inputs->composes = true;
    }
    for (int g = 0; g < config->spec->groups; g++) create_group(inputs, g, memory);
}

/* ---- putting together ---------------------------------------------------------------------------------------------------------------- */

/* Environments [lo, hi) of a place, counted from the beginning of its array; or of final observations. */
struct compose {
    const struct critic_inputs *inputs;
    bool finals;
    size_t lo, hi;
};

static float *rows_of(const struct compose *c, float *current, float *last, size_t width)
{
    return (c->finals ? last : current) + c->lo * width;
}

/* All observations of all groups, one after the other. */
static void compose_joint(const struct compose *c)
{
    const struct critic_inputs *inputs = c->inputs;
    const struct mappo_env_spec *spec = inputs->config.spec;
    struct copy_pass pass[MAPPO_MAX_GROUPS];
    const size_t width = (size_t)joint_width(spec);
    float *to = rows_of(c, inputs->joint, inputs->final_joint, width);
    for (int g = 0; g < spec->groups; g++) {
        const struct group_sizes *sizes = &inputs->config.policy[g]->sizes;
        const struct mappo_group_io *group = &inputs->config.all.group[g];
        const size_t part = (size_t)sizes->agents * (size_t)sizes->obs;
        pass[g] = (struct copy_pass){.rows = (int)(c->hi - c->lo),
                                     .width = (int)part,
                                     .repeat = 1,
                                     .to_stride = (int)width,
                                     .from_stride = (int)part,
                                     .from = rows_of(c, group->obs, group->final_obs, part),
                                     .to = to};
        to += part;
    }
    inputs->backend->copy_rows(inputs->backend, pass, spec->groups);
}

/* The central state once for each agent, before its number. */
static void compose_numbered(const struct compose *c, int g)
{
    const struct critic_inputs *inputs = c->inputs;
    const struct mappo_env_io *all = &inputs->config.all;
    const struct policy *policy = inputs->config.policy[g];
    const size_t agents = (size_t)policy->sizes.agents, whole = (size_t)policy->state_size, width = whole - agents;
    const float *from = reads_environment(policy, inputs->config.spec) ? rows_of(c, all->state, all->final_state, width)
                        : reads_joint(policy, inputs->config.spec)
                            ? rows_of(c, inputs->joint, inputs->final_joint, width)
                            : rows_of(c, all->group[g].obs, all->group[g].final_obs, width); /* one group's are the joint ones */
    const struct copy_pass pass = {.rows = (int)(c->hi - c->lo) * (int)agents,
                                   .width = (int)width,
                                   .repeat = (int)agents,
                                   .to_stride = (int)whole,
                                   .from_stride = (int)width,
                                   .from = from,
                                   .to = rows_of(c, inputs->group[g].current, inputs->group[g].last, agents * whole)};
    inputs->backend->copy_rows(inputs->backend, &pass, 1);
}

static void compose(const struct compose *c)
{
    const struct critic_inputs *inputs = c->inputs;
    if (inputs->joint) compose_joint(c);
    for (int g = 0; g < inputs->config.spec->groups; g++)
        if (inputs->config.policy[g]->critic_input == CRITIC_STATE_ID) compose_numbered(c, g);
}

void critic_inputs_compose(const struct critic_inputs *inputs, int place, int lo, int hi)
{
    const size_t first = (size_t)place * (size_t)inputs->config.envs;
    if (inputs->composes) compose(&(struct compose){inputs, false, first + (size_t)lo, first + (size_t)hi});
}

void critic_inputs_compose_finals(const struct critic_inputs *inputs, int lo, int hi)
{
    if (inputs->composes) compose(&(struct compose){inputs, true, (size_t)lo, (size_t)hi});
}
