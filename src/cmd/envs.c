/* mappo envs [NAME]: the environments there are, or everything that one of them says about itself. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "env/options.h"
#include "env/registry.h"
#include "env/vecenv.h"
#include "run/open_env.h"

static const char *const kind_names[] = {"?", "Box", "Discrete", "MultiDiscrete", "MultiBinary"};

/* ---- spaces ----------------------------------------------------------------------------------------------- */

/* "Discrete(5)", "Box(18)", "Box(4, 5, 26)", "MultiDiscrete(3, 2)", "MultiBinary(3)" */
static void space_title(const struct mappo_space *space, char *text, size_t size)
{
    text_format(text, size, "%s(", kind_names[space->kind]);
    const bool choices = space->kind == MAPPO_DISCRETE || space->kind == MAPPO_MULTI_DISCRETE;
    const bool image = space->kind == MAPPO_BOX && space->shape[0];
    const int32_t *numbers = choices ? space->n : image ? space->shape : &space->size;
    for (int i = 0; i < (choices ? space->size : image ? 3 : 1); i++) {
        const size_t used = strlen(text);
        text_format(text + used, size - used, "%s%d", i ? ", " : "", numbers[i]);
    }
    const size_t used = strlen(text);
    text_format(text + used, size - used, ")");
}

static void bound_text(float bound, char *text, size_t size)
{
    if (isinf(bound))
        text_format(text, size, bound < 0 ? "-inf" : "inf");
    else
        text_short_real(text, size, (double)bound);
}

static void space_bounds(const struct mappo_space *space, int i, char *text, size_t size)
{
    char low[32], high[32];
    bound_text(space->low ? space->low[i] : -INFINITY, low, sizeof low);
    bound_text(space->high ? space->high[i] : INFINITY, high, sizeof high);
    text_format(text, size, "%s..%s", low, high);
}

/* How many lines, or numbers of a one-hot, describe a space. */
static int space_entries(const struct mappo_space *space)
{
    return space->kind == MAPPO_DISCRETE ? space->n[0] : space->size;
}

static const struct mappo_meaning *meaning_of(const struct mappo_space *space, int i)
{
    return space->meaning && i < space->meanings ? &space->meaning[i] : NULL;
}

static int first_value(const struct mappo_space *space, int i)
{
    return space->start ? space->start[i] : 0;
}

/* Lines "number  name  unit  bounds"; `at` is the position in the observation or action where the space begins. Returns where the next
 * begins. */
static int print_space(const struct mappo_space *space, bool is_action, int at)
{
    const bool one_hot = !is_action && (space->kind == MAPPO_DISCRETE || space->kind == MAPPO_MULTI_DISCRETE);
    char title[160], text[80];
    space_title(space, title, sizeof title);
    printf("    %s%s\n", title, one_hot ? ", one-hot" : "");
    for (int i = 0; i < space_entries(space); i++) {
        const struct mappo_meaning *meaning = meaning_of(space, i);
        const char *name = meaning && meaning->name ? meaning->name : "-", *unit = meaning && meaning->unit ? meaning->unit : "";
        const int width = !is_action && space->kind == MAPPO_MULTI_DISCRETE ? space->n[i] : 1;
        if (space->kind == MAPPO_BOX) {
            space_bounds(space, i, text, sizeof text);
            printf("      %4d  %-36s %-10s %s\n", at, name, unit, text);
        } else if (space->kind == MAPPO_DISCRETE) {
            printf("      %4d  %s\n", is_action ? first_value(space, 0) + i : at, name);
        } else if (space->kind == MAPPO_MULTI_DISCRETE) {
            printf("      %4d  %-36s %-10s %d..%d\n", at, name, unit, first_value(space, i), first_value(space, i) + space->n[i] - 1);
        } else {
            printf("      %4d  %-36s %-10s 0 or 1\n", at, name, unit);
        }
        if (!is_action || space->kind != MAPPO_DISCRETE) at += width;
    }
    return is_action && space->kind == MAPPO_DISCRETE ? at + 1 : at;
}

static void json_space(const struct mappo_space *space)
{
    char text[64];
    printf("{\"kind\": \"%s\", \"size\": %d", kind_names[space->kind], space->size);
    const bool choices = space->kind == MAPPO_DISCRETE || space->kind == MAPPO_MULTI_DISCRETE;
    for (int i = 0; choices && i < space->size; i++)
        printf("%s%d%s", i ? ", " : ", \"n\": [", space->n[i], i == space->size - 1 ? "]" : "");
    for (int i = 0; choices && i < space->size; i++)
        printf("%s%d%s", i ? ", " : ", \"start\": [", first_value(space, i), i == space->size - 1 ? "]" : "");
    for (int side = 0; side < 2 && space->kind == MAPPO_BOX; side++) {
        const float *bounds = side ? space->high : space->low;
        printf(", \"%s\": [", side ? "high" : "low");
        for (int i = 0; i < space->size; i++) {
            if (bounds) bound_text(bounds[i], text, sizeof text);
            printf("%s%s", i ? ", " : "", bounds && !isinf(bounds[i]) ? text : "null");
        }
        printf("]");
    }
    printf(", \"meaning\": [");
    for (int i = 0; i < space->meanings; i++) {
        printf("%s{\"name\": ", i ? ", " : "");
        text_json_string(stdout, space->meaning[i].name ? space->meaning[i].name : "");
        if (space->meaning[i].unit) {
            printf(", \"unit\": ");
            text_json_string(stdout, space->meaning[i].unit);
        }
        printf("}");
    }
    printf("]}");
}

/* ---- returns ---------------------------------------------------------------------------------------------- */

/* The next one of this environment from number *i on; NULL where there is none. */
static const struct env_return *next_return(const char *id, int *i)
{
    const struct env_return *found;
    while ((found = registry_return_at((*i)++)) && strcmp(found->env, id) != 0) continue;
    return found;
}

/* "-112.00", or "-" where there is none: as many digits as `mappo eval` shows. */
static const char *return_text(double value, char *text, size_t size)
{
    text_format(text, size, "-");
    if (!isnan(value)) text_fixed(text, size, value, text_decimals(value));
    return text;
}

/* Who plays, how well; after how long, of which group, under what. */
static void print_returns(const char *id, bool with_rows)
{
    const struct env_return *found;
    for (int i = 0, lines = 0; (found = next_return(id, &i)); lines++) {
        char random[64], scripted[64], trained[64];
        return_text(found->random, random, sizeof random);
        return_text(found->scripted, scripted, sizeof scripted);
        return_text(found->trained, trained, sizeof trained);
        printf("%s  random %-8s  scripted %-8s  trained ", with_rows ? "" : lines ? "            " : "    returns ", random, scripted);
        const bool more = found->row || found->group[0] || found->setting[0];
        printf(more ? "%-8s" : "%s", trained);
        if (found->row)
            printf("  %g %s steps", found->env_steps / (found->env_steps < 1e6 ? 1e3 : 1e6), found->env_steps < 1e6 ? "k" : "M");
        if (found->group[0]) printf("  %s", found->group);
        if (found->setting[0]) printf("  %s", found->setting);
        if (with_rows && found->row) printf("  (make learn ROW=%s)", found->row);
        printf("\n");
    }
}

static void json_pair(const char *before, const char *name, const char *value)
{
    printf("%s\"%s\": ", before, name);
    if (value)
        text_json_string(stdout, value);
    else
        printf("null");
}

static void json_number(const char *name, double value)
{
    printf(", \"%s\": ", name);
    text_json_real(stdout, value);
}

static void json_returns(const char *id)
{
    const struct env_return *found;
    printf(", \"returns\": [");
    for (int i = 0, lines = 0; (found = next_return(id, &i)); lines++) {
        json_pair(lines ? ", {" : "{", "setting", found->setting);
        json_pair(", ", "group", found->group[0] ? found->group : NULL);
        json_number("random", found->random);
        json_number("random_stderr", found->random_error);
        json_number("scripted", found->scripted);
        json_number("scripted_stderr", found->scripted_error);
        json_number("trained", found->trained);
        json_number("env_steps", found->row ? found->env_steps : NAN);
        json_pair(", ", "row", found->row);
        printf("}");
    }
    printf("]");
}

/* ---- the list --------------------------------------------------------------------------------------------- */

enum { LIST_WIDTH = 120 };

static void print_aliases(const char *before, const char *const *names)
{
    for (const char *const *alias = names; alias && *alias; alias++) printf("%s%s", alias == names ? before : ", ", *alias);
    if (names && *names) printf("\n");
}

/* "N=2 rules=on-policy" */
static void settings_text(const struct env_variant *variant, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < variant->options; i++) {
        const size_t used = strlen(text);
        text_format(text + used, size - used, "%s%s=%s", i ? " " : "", variant->option[i].name, variant->option[i].value);
    }
}

static bool is_listed(const struct env_variant *variant, const struct mappo_env *env)
{
    return strcmp(variant->base, env->id) == 0 && (!registry_hidden(variant->name) || registry_hidden(env->id));
}

static void print_variants(const struct mappo_env *env)
{
    const struct env_variant *variant;
    for (int i = 0; (variant = registry_variant_at(i)); i++) {
        char text[OPTIONS_TEXT];
        if (!is_listed(variant, env)) continue;
        settings_text(variant, text, sizeof text);
        printf("  %-24s %s\n", variant->name, text);
        print_aliases("                             also ", variant->alias);
    }
}

/* Names alone, as many on a line as it holds. */
static void print_variant_names(const struct mappo_env *env)
{
    const struct env_variant *variant;
    size_t at = 0;
    for (int i = 0; (variant = registry_variant_at(i)); i++) {
        if (!is_listed(variant, env)) continue;
        const size_t length = strlen(variant->name);
        const bool first = at == 0, next = first || at + 2 + length > LIST_WIDTH;
        at = next ? 14 + length : at + 2 + length;
        printf("%s%s", first ? "    variants  " : next ? "\n              " : "  ", variant->name);
    }
    if (at) printf("\n");
}

/* "3 agent: 18 numbers -> Discrete(5)", of each group */
static void print_groups(const struct mappo_env *env, bool kernels)
{
    struct vecenv *instance;
    struct error err = {0};
    const struct vecenv_config config = {.name = env->id, .envs = 1, .threads = 1, .horizon = 1, .stream = PHILOX_EVALUATION};
    const int code = vecenv_open(&instance, &config, &err);
    const struct mappo_env_spec *spec = code ? NULL : vecenv_spec(instance);
    for (int g = 0; spec && g < spec->groups; g++) {
        const struct mappo_group *group = &spec->group[g];
        const int numbers = group_sizes(group).obs;
        char title[160];
        printf("%s%d %s: %d number%s", g ? "; " : "    ", group->agents, group->name, numbers, numbers == 1 ? "" : "s");
        for (int h = 0; h < group->act_heads; h++) {
            space_title(&group->act[h], title, sizeof title);
            printf("%s%s", h ? " x " : " -> ", title);
        }
    }
    if (spec) printf("%s\n", kernels ? "" : " (steps on the host only)");
    vecenv_close(instance);
}

static void print_list(void)
{
    const char *before = NULL;
    for (int i = 0; i < registry_count(); i++) {
        const struct mappo_env *env = registry_at(i);
        const size_t suite = strcspn(env->id, "/");
        if (registry_hidden(env->id)) continue;
        if (before && strncmp(before, env->id, suite + 1) != 0) printf("\n");
        before = env->id;
        printf("%-34s %s\n", env->id, env->summary);
        print_groups(env, registry_has_kernels(i));
        print_returns(env->id, false);
        print_aliases("    also      ", env->alias);
        print_variant_names(env);
    }
    printf("\nEach group: agents, what one of them observes -> what it chooses, by default; on CPU and GPU. A variant is the environment "
           "above it with "
           "options set.\n"
           "Returns: mean return of an agent in an episode by who plays, also under other settings where those were trained; -: there is "
           "none\n"
           "mappo envs NAME tells all about one of them; a plugin is given by the path of its .so (docs/env-abi.md)\n"
           "Of Python: py:gymnasium:ID, py:pettingzoo:FAMILY/NAME, py:package.module:function, py:./file.py:function (docs/python.md)\n");
}

static void json_names(const char *const *name)
{
    printf("[");
    for (int i = 0; name && name[i]; i++) {
        if (i) printf(", ");
        text_json_string(stdout, name[i]);
    }
    printf("]");
}

static void json_variants(const struct mappo_env *env)
{
    const struct env_variant *variant;
    bool first = true;
    printf(", \"variants\": [");
    for (int i = 0; (variant = registry_variant_at(i)); i++) {
        if (!is_listed(variant, env)) continue;
        printf("%s{\"id\": ", first ? "" : ", ");
        text_json_string(stdout, variant->name);
        printf(", \"aliases\": ");
        json_names(variant->alias);
        printf(", \"options\": {");
        for (int k = 0; k < variant->options; k++) {
            if (k) printf(", ");
            text_json_string(stdout, variant->option[k].name);
            printf(": ");
            text_json_string(stdout, variant->option[k].value);
        }
        printf("}}");
        first = false;
    }
    printf("]");
}

static void print_list_json(void)
{
    bool first = true;
    printf("[");
    for (int i = 0; i < registry_count(); i++) {
        const struct mappo_env *env = registry_at(i);
        if (registry_hidden(env->id)) continue;
        printf("%s{\"id\": ", first ? "" : ", ");
        text_json_string(stdout, env->id);
        printf(", \"aliases\": ");
        json_names(env->alias);
        printf(", \"summary\": ");
        text_json_string(stdout, env->summary);
        json_variants(env);
        json_returns(env->id);
        printf("}");
        first = false;
    }
    puts("]");
}

/* ---- one environment -------------------------------------------------------------------------------------- */

/* "1", or "1 (enemies)" */
static void team_text(const struct mappo_env_spec *spec, int team, char *text, size_t size)
{
    if (spec->teams)
        text_format(text, size, "%d (%s)", team, spec->team_name[team]);
    else
        text_format(text, size, "%d", team);
}

static void print_group(const struct mappo_env_spec *spec, const struct mappo_group *group)
{
    const struct group_sizes sizes = group_sizes(group);
    char team[1100];
    team_text(spec, group->team, team, sizeof team);
    printf("\ngroup %s: %d agent%s, team %s%s%s%s%s\n", group->name, group->agents, group->agents == 1 ? "" : "s", team,
           group->flags & MAPPO_SHARED_REWARD ? ", one reward for all" : "", group->flags & MAPPO_HAS_MASK ? ", masked actions" : "",
           group->flags & MAPPO_HAS_ACTIVE ? ", agents come and go" : "",
           group->flags & MAPPO_STATE_PER_AGENT ? ", a state for each agent" : "");
    printf("  observation: %d number%s\n", sizes.obs, sizes.obs == 1 ? "" : "s");
    for (int h = 0, at = 0; h < group->obs_heads; h++) at = print_space(&group->obs[h], false, at);
    printf("  action: %d integer%s, %d real%s\n", sizes.act_ints, sizes.act_ints == 1 ? "" : "s", sizes.act_reals,
           sizes.act_reals == 1 ? "" : "s");
    for (int h = 0, ints = 0, reals = 0; h < group->act_heads; h++) {
        if (group->act[h].kind == MAPPO_BOX)
            reals = print_space(&group->act[h], true, reals);
        else
            ints = print_space(&group->act[h], true, ints);
    }
    if (group->state_size) printf("  state: %d numbers for each agent\n", group->state_size);
}

static void print_options(const struct mappo_env *env)
{
    char range[160];
    printf("\noptions (env.NAME=value)\n");
    for (int i = 0; i < options_count(env); i++) {
        const struct mappo_option *option = &env->option[i];
        options_range(option, range, sizeof range);
        printf("  %-24s %-7s default %-10s %-18s %s\n", option->name, options_type_name(option), *option->def ? option->def : "(empty)",
               range, option->help ? option->help : "");
    }
}

static void print_env(const struct vecenv *env, const struct config *config)
{
    char title[OPTIONS_TEXT];
    const struct mappo_env *d = vecenv_descriptor(env);
    const struct mappo_env_spec *spec = vecenv_spec(env);
    printf("%s: %s\n", d->id, d->summary ? d->summary : "");
    for (const char *const *alias = d->alias; alias && *alias; alias++) printf("%s%s", alias == d->alias ? "  also      " : ", ", *alias);
    if (d->alias && *d->alias) printf("\n");
    open_env_title(config, env, title, sizeof title);
    if (config->env_variant[0] || config->env_asked[0]) printf("  shown     %s\n", title);
    printf("  source    %s\n", d->source ? d->source : "not given");
    printf("  rules     %s\n", spec->rules);
    printf("  options   %s\n", vecenv_options(env));
    printf("  return    %s\n", spec->return_help ? spec->return_help : "sum of rewards over the episode (mean over agents)");
    if (spec->max_steps)
        printf("  episode   at most %d steps\n", spec->max_steps);
    else
        printf("  episode   unlimited\n");
    if (*vecenv_wrappers(env)) printf("  wrapped   %s\n", vecenv_wrappers(env));
    printf("  has       %s, %s, %s\n", spec->snapshot_bytes ? "snapshots" : "no snapshots (episodes restart when a run is continued)",
           d->script ? "a scripted player" : "no scripted player", d->draw ? "drawing" : "no drawing");
    for (int g = 0; g < spec->groups; g++) print_group(spec, &spec->group[g]);
    if (spec->state_size)
        printf("\nstate: %d numbers%s\n", spec->state_size, spec->state_is_all_obs ? ": all observations one after the other" : "");
    if (spec->infos) printf("\ninfo (metrics of that name)\n");
    for (int k = 0; k < spec->infos; k++)
        printf("  %-24s %-10s %s%s\n", spec->info[k].name, spec->info[k].unit ? spec->info[k].unit : "",
               spec->info[k].help ? spec->info[k].help : "", spec->info[k].at_end ? " (where episodes end)" : "");
    int first = 0;
    if (next_return(d->id, &first)) printf("\nreturns of an agent, mean over episodes; trained: and over seeds, most probable actions\n");
    print_returns(d->id, true);
    print_options(d);
    const struct env_variant *variant;
    for (int i = 0; (variant = registry_variant_at(i)) && !is_listed(variant, d); i++) continue;
    if (variant) printf("\nvariants\n");
    print_variants(d);
}

static void json_group(const struct mappo_env_spec *spec, const struct mappo_group *group)
{
    json_pair("{", "name", group->name);
    json_pair(", ", "team_name", spec->teams ? spec->team_name[group->team] : NULL);
    printf(", \"agents\": %d, \"team\": %d, \"shared_reward\": %s, \"masks\": %s, \"active\": %s, \"state_per_agent\": %d", group->agents,
           group->team, group->flags & MAPPO_SHARED_REWARD ? "true" : "false", group->flags & MAPPO_HAS_MASK ? "true" : "false",
           group->flags & MAPPO_HAS_ACTIVE ? "true" : "false", group->state_size);
    printf(", \"observation\": [");
    for (int h = 0; h < group->obs_heads; h++) {
        printf("%s", h ? ", " : "");
        json_space(&group->obs[h]);
    }
    printf("], \"action\": [");
    for (int h = 0; h < group->act_heads; h++) {
        printf("%s", h ? ", " : "");
        json_space(&group->act[h]);
    }
    printf("]}");
}

static void json_option(const struct mappo_option *option)
{
    json_pair("{", "name", option->name);
    json_pair(", ", "type", options_type_name(option));
    json_pair(", ", "default", option->def);
    if (option->type == MAPPO_OPTION_CHOICE) {
        printf(", \"choices\": ");
        json_names(option->choice);
    } else {
        printf(", \"low\": ");
        text_json_real(stdout, option->low);
        printf(", \"high\": ");
        text_json_real(stdout, option->high);
    }
    json_pair(", ", "help", option->help);
    printf("}");
}

static void print_env_json(const struct vecenv *env, const struct config *config)
{
    const struct mappo_env *d = vecenv_descriptor(env);
    const struct mappo_env_spec *spec = vecenv_spec(env);
    json_pair("{", "id", d->id);
    printf(", \"aliases\": ");
    json_names(d->alias);
    json_pair(", ", "variant", config->env_variant[0] ? config->env_variant : NULL);
    json_pair(", ", "summary", d->summary);
    json_pair(", ", "source", d->source);
    json_pair(", ", "rules", spec->rules);
    json_pair(", ", "options_in_force", vecenv_options(env));
    json_pair(", ", "return", spec->return_help);
    json_pair(", ", "wrappers", *vecenv_wrappers(env) ? vecenv_wrappers(env) : NULL);
    printf(", \"version\": %u, \"max_steps\": %d, \"state_size\": %d, \"snapshots\": %s, \"scripted_player\": %s, \"drawing\": %s",
           d->version, spec->max_steps, spec->state_size, spec->snapshot_bytes ? "true" : "false", d->script ? "true" : "false",
           d->draw ? "true" : "false");
    printf(", \"groups\": [");
    for (int g = 0; g < spec->groups; g++) {
        printf("%s", g ? ", " : "");
        json_group(spec, &spec->group[g]);
    }
    printf("], \"info\": [");
    for (int k = 0; k < spec->infos; k++) {
        json_pair(k ? ", {" : "{", "name", spec->info[k].name);
        json_pair(", ", "unit", spec->info[k].unit);
        json_pair(", ", "help", spec->info[k].help);
        printf(", \"at_end\": %s}", spec->info[k].at_end ? "true" : "false");
    }
    printf("], \"options\": [");
    for (int i = 0; i < options_count(d); i++) {
        printf("%s", i ? ", " : "");
        json_option(&d->option[i]);
    }
    printf("]");
    json_variants(d);
    json_returns(d->id);
    printf("}\n");
}

/* The environment as a run with the same settings would have it. */
static int open_named(struct vecenv **env, struct config *config, const struct arguments *args, struct error *err)
{
    *env = NULL;
    int code = cmd_env_config(config, args, err);
    if (code == 0) code = open_env_alone(env, config, err);
    return code;
}

/* Settings have a meaning in one environment, and the list of them has none. */
static int check_given(const struct arguments *args, struct error *err)
{
    const int code = cmd_check_operand(args, err);
    if (code) return code;
    if (args->operands || !(args->assignments || args->files)) return 0;
    return error_set(err, EXIT_USAGE, "mappo envs lists the environments; %s is for one of them: mappo envs ENV %s%s",
                     args->assignments ? args->assignment[0] : "--config", args->assignments ? "" : "--config ",
                     args->assignments ? args->assignment[0] : args->file[0]);
}

int cmd_envs(const struct arguments *args, struct comm *comm)
{
    struct error err = {0};
    struct vecenv *env;
    if (comm_vote(comm, check_given(args, &err), &err)) return error_report(&err);
    if (args->operands == 0) {
        if (comm->rank == 0 && args->json) print_list_json();
        if (comm->rank == 0 && !args->json) print_list();
        return EXIT_DONE;
    }
    struct config *config = calloc(1, sizeof *config);
    CHECK(config, "out of memory");
    const int code = comm_vote(comm, open_named(&env, config, args, &err), &err);
    if (!code && comm->rank == 0 && args->json) print_env_json(env, config);
    if (!code && comm->rank == 0 && !args->json) print_env(env, config);
    vecenv_close(env);
    free(config);
    return code ? error_report(&err) : EXIT_DONE;
}
