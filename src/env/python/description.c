#include "env/python/description.h"

#include "base/text.h"

/* ---- fields, a tab apart --------------------------------------------------------------------------------------------------------------- */

struct fields {
    char *at; /* NULL behind the last */
};

static char *next_field(struct fields *fields)
{
    char *field = fields->at;
    char *tab = field ? strchr(field, '\t') : NULL;
    if (tab) *tab = '\0';
    fields->at = tab ? tab + 1 : NULL;
    return field;
}

static bool next_int(struct fields *fields, int32_t *value)
{
    const char *field = next_field(fields);
    char *end;
    const long number = field ? strtol(field, &end, 10) : 0;
    *value = (int32_t)number;
    return field && *field && !*end && number >= INT32_MIN && number <= INT32_MAX;
}

/* Also inf and nan, as C reads them. */
static bool next_real(struct fields *fields, float *value)
{
    const char *field = next_field(fields);
    char *end;
    *value = field ? strtof(field, &end) : 0;
    return field && *field && !*end;
}

static const char *keep(struct python_description *p, const char *text)
{
    char *copy = description_alloc(&p->d, strlen(text) + 1, 1);
    return copy ? strcpy(copy, text) : "";
}

/* ---- heads ----------------------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int32_t kind;
} kinds[] = {
    {"box", MAPPO_BOX}, {"discrete", MAPPO_DISCRETE}, {"multi_discrete", MAPPO_MULTI_DISCRETE}, {"multi_binary", MAPPO_MULTI_BINARY}};

static struct mappo_group *last_group(struct python_description *p)
{
    return p->d.spec.groups ? &p->d.spec.group[p->d.spec.groups - 1] : NULL;
}

/* obs kind size height width channels, and act likewise */
static bool take_head(struct python_description *p, struct fields *fields, enum describe_side side)
{
    struct mappo_space space = {.kind = 0};
    const char *kind = next_field(fields);
    for (size_t i = 0; kind && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, kind) == 0) space.kind = kinds[i].kind;
    if (!space.kind || !next_int(fields, &space.size)) return false;
    for (int i = 0; i < 3; i++)
        if (fields->at && !next_int(fields, &space.shape[i])) return false;
    struct mappo_space *head = description_head(&p->d, side, space.kind, 1);
    if (head) *head = space;
    p->head = head;
    return true;
}

/* Numbers of the last head: [size], or one that stands for all. */
static bool take_ints(struct python_description *p, struct fields *fields, const int32_t **to)
{
    const int32_t size = p->head ? p->head->size : 0;
    int32_t *value = size > 0 ? description_alloc(&p->d, (size_t)size, sizeof *value) : NULL;
    if (!value || !next_int(fields, &value[0])) return false;
    *to = value;
    const bool alike = !fields->at;
    for (int32_t i = 1; i < size; i++) {
        value[i] = value[0];
        if (!alike && !next_int(fields, &value[i])) return false;
    }
    return !fields->at;
}

static bool take_reals(struct python_description *p, struct fields *fields, const float **to)
{
    const int32_t size = p->head && p->head->kind == MAPPO_BOX ? p->head->size : 0;
    float *value = size > 0 ? description_alloc(&p->d, (size_t)size, sizeof *value) : NULL;
    if (!value || !next_real(fields, &value[0])) return false;
    *to = value;
    const bool alike = !fields->at;
    for (int32_t i = 1; i < size; i++) {
        value[i] = value[0];
        if (!alike && !next_real(fields, &value[i])) return false;
    }
    return !fields->at;
}

static bool take_meaning(struct python_description *p, struct fields *fields)
{
    struct mappo_space *head = p->head;
    const char *name = next_field(fields);
    if (!head || !name) return false;
    struct mappo_meaning *meaning = description_grow(&p->d, head->meaning, head->meanings, sizeof *meaning);
    if (!meaning) return true; /* no memory: said at the end */
    meaning[head->meanings++] = (struct mappo_meaning){.name = keep(p, name)};
    head->meaning = meaning;
    return true;
}

/* ---- lines ----------------------------------------------------------------------------------------------------------------------------- */

/* group name agents team flags state_size */
static bool take_group(struct python_description *p, struct fields *fields)
{
    int32_t agents, team, flags, state;
    const char *name = next_field(fields);
    if (!name || !next_int(fields, &agents) || !next_int(fields, &team) || !next_int(fields, &flags) || !next_int(fields, &state))
        return false;
    struct mappo_group *group = describe_group(&p->d, keep(p, name), agents, team, (uint32_t)flags);
    if (!group) return true;
    group->state_size = state;
    p->head = NULL;
    p->named = 0;
    return agents >= 1;
}

static bool take_agent(struct python_description *p, struct fields *fields)
{
    struct mappo_group *group = last_group(p);
    const char *name = next_field(fields);
    if (!group || !name || p->named >= group->agents) return false;
    const char **names = (const char **)(uintptr_t)group->agent_name;
    if (!names) names = description_alloc(&p->d, (size_t)group->agents, sizeof *names);
    if (!names) return true;
    group->agent_name = names;
    names[p->named++] = keep(p, name);
    return true;
}

/* info name at_end help */
static bool take_info(struct python_description *p, struct fields *fields)
{
    struct mappo_env_spec *spec = &p->d.spec;
    int32_t at_end;
    const char *name = next_field(fields);
    if (!name || !next_int(fields, &at_end)) return false;
    const char *help = next_field(fields);
    struct mappo_info *info = description_grow(&p->d, spec->info, spec->infos, sizeof *info);
    if (!info) return true;
    info[spec->infos++] = (struct mappo_info){.name = keep(p, name), .at_end = at_end, .help = help && *help ? keep(p, help) : NULL};
    spec->info = info;
    return true;
}

static bool take_layout(struct python_description *p, struct fields *fields)
{
    const char *text = next_field(fields);
    if (!text || !last_group(p)) return false;
    p->layout[p->d.spec.groups - 1] = keep(p, text);
    return true;
}

/* Whether it is a line that a description has, and as it should be. */
static bool take_line(struct python_description *p, const char *what, struct fields *fields)
{
    struct mappo_env_spec *spec = &p->d.spec;
    if (strcmp(what, "group") == 0) return take_group(p, fields);
    if (strcmp(what, "agent") == 0) return take_agent(p, fields);
    if (strcmp(what, "obs") == 0) return last_group(p) && take_head(p, fields, DESCRIBE_OBS);
    if (strcmp(what, "act") == 0) return last_group(p) && take_head(p, fields, DESCRIBE_ACT);
    if (strcmp(what, "n") == 0) return p->head && take_ints(p, fields, &p->head->n);
    if (strcmp(what, "start") == 0) return p->head && take_ints(p, fields, &p->head->start);
    if (strcmp(what, "low") == 0) return p->head && take_reals(p, fields, &p->head->low);
    if (strcmp(what, "high") == 0) return p->head && take_reals(p, fields, &p->head->high);
    if (strcmp(what, "meaning") == 0) return take_meaning(p, fields);
    if (strcmp(what, "info") == 0) return take_info(p, fields);
    if (strcmp(what, "layout") == 0) return take_layout(p, fields);
    if (strcmp(what, "state") == 0) return next_int(fields, &spec->state_size);
    if (strcmp(what, "max_steps") == 0) return next_int(fields, &spec->max_steps);
    if (strcmp(what, "env") == 0) return next_field(fields) != NULL; /* who it is, for people who read along */
    const char *text = next_field(fields);
    if (!text) return false;
    if (strcmp(what, "rules") == 0)
        spec->rules = *text ? keep(p, text) : NULL;
    else if (strcmp(what, "return_help") == 0)
        spec->return_help = *text ? keep(p, text) : NULL;
    else if (strcmp(what, "cannot") == 0 && p->cannots < PYTHON_CANNOT)
        p->cannot[p->cannots++] = keep(p, text);
    else
        return strcmp(what, "cannot") == 0;
    return true;
}

int description_line(struct python_description *p, char *line, struct mappo_env_error *error)
{
    char shown[120];
    text_format(shown, sizeof shown, "%s", line);
    struct fields fields = {line};
    const char *what = next_field(&fields);
    if (take_line(p, what, &fields)) return 0;
    for (char *c = shown; *c; c++)
        if (*c == '\t') *c = ' ';
    error->env = -1;
    text_format(error->text, sizeof error->text, "its worker describes it by a line that is not understood: \"%s\"", shown);
    return -1;
}

int description_close(struct python_description *p, struct mappo_env_error *error)
{
    for (int g = 0; g < p->d.spec.groups && !p->d.fault; g++) {
        const struct mappo_group *group = &p->d.spec.group[g];
        for (int a = 0; group->agent_name && a < group->agents; a++)
            if (!group->agent_name[a]) p->d.fault = "its worker names some agents of a group and not all";
    }
    const char *fault = description_finish(&p->d);
    if (!fault) return 0;
    error->env = -1;
    text_format(error->text, sizeof error->text, "%s", fault);
    return -1;
}
