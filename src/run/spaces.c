#include "run/spaces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "env/python/names.h"

static void write_reals(FILE *out, const char *name, const float *value, int32_t count)
{
    fprintf(out, ",\"%s\":[", name);
    for (int32_t i = 0; i < count; i++) {
        if (i) putc(',', out);
        text_json_real(out, value ? (double)value[i] : NAN); /* null */
    }
    putc(']', out);
}

static void write_integers(FILE *out, const char *name, const int32_t *value, int32_t count)
{
    fprintf(out, ",\"%s\":[", name);
    for (int32_t i = 0; i < count; i++) fprintf(out, "%s%d", i ? "," : "", value ? value[i] : 0);
    putc(']', out);
}

static void write_space(FILE *out, const struct mappo_space *space, bool action)
{
    static const char *const kind[] = {[MAPPO_BOX] = "box",
                                       [MAPPO_DISCRETE] = "discrete",
                                       [MAPPO_MULTI_DISCRETE] = "multi_discrete",
                                       [MAPPO_MULTI_BINARY] = "multi_binary"};
    fprintf(out, "{\"kind\":\"%s\"", kind[space->kind]);
    if (space->kind == MAPPO_DISCRETE || space->kind == MAPPO_MULTI_DISCRETE) {
        write_integers(out, "n", space->n, space->size);
        write_integers(out, "start", space->start, space->size);
    } else {
        fprintf(out, ",\"size\":%d", space->size);
    }
    if (space->kind == MAPPO_BOX && action) {
        write_reals(out, "low", space->low, space->size);
        write_reals(out, "high", space->high, space->size);
    }
    if (space->kind == MAPPO_BOX && space->shape[0]) write_integers(out, "shape", space->shape, 3);
    putc('}', out);
}

static void write_spaces(FILE *out, const char *name, const struct mappo_space *space, int32_t heads, bool action)
{
    fprintf(out, ",\"%s\":[", name);
    for (int32_t h = 0; h < heads; h++) {
        if (h) putc(',', out);
        write_space(out, &space[h], action);
    }
    putc(']', out);
}

char *spaces_json(const struct vecenv *env)
{
    const struct mappo_env_spec *seen = vecenv_spec(env), *own = vecenv_own_spec(env);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory while saving");
    for (int32_t g = 0; g < seen->groups; g++) {
        fputs(g ? "," : "{", out);
        text_json_string(out, seen->group[g].name);
        fprintf(out, ":{\"agents\":%d,\"masks\":%s", seen->group[g].agents, seen->group[g].flags & MAPPO_HAS_MASK ? "true" : "false");
        write_spaces(out, "obs", seen->group[g].obs, seen->group[g].obs_heads, false);
        write_spaces(out, "act", own->group[g].act, own->group[g].act_heads, true);
        const char *layout = python_layout(vecenv_descriptor(env), g);
        if (layout) fprintf(out, ",\"layout\":%s", layout);
        putc('}', out);
    }
    putc('}', out);
    CHECK(fclose(out) == 0 && text, "out of memory while saving");
    return text;
}
