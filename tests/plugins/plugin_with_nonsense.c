/* Its spec or its results are not what the interface allows; option `wrong` chooses how. */
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "env/mappo_env.h"
#include "env/slices.h"

static const char *const ways[] = {"kind",    "heads", "groups", "choices", "ep_end", "nothing", "no_n",
                                   "meaning", "info",  "rules",  "folder",  "locale", "wild",    0};
static const struct mappo_option options[] = {{"wrong", MAPPO_OPTION_CHOICE, "nothing", 0, 0, ways, "what is wrong"},
                                              {0, 0, 0, 0, 0, 0, 0}};
static const int32_t two = 2, none = 0;
static struct mappo_env_spec told;
static int64_t way;

static int create(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    static struct slice_strides strides;
    (void)error;
    way = config->option[0].i;
    if (way == 10 && chdir("/")) return -1;
    if (way == 11 && !setlocale(LC_ALL, "")) return -1;
    memset(&told, 0, sizeof told);
    told.struct_size = sizeof told;
    told.groups = way == 2 ? 99 : 1;
    told.group[0].name = "agent";
    told.group[0].agents = 1;
    told.group[0].obs_heads = way == 1 ? 0 : 1;
    told.group[0].act_heads = 1;
    told.group[0].obs[0].kind = way == 0 ? 77 : MAPPO_BOX;
    told.group[0].obs[0].size = 1;
    told.group[0].act[0].kind = MAPPO_DISCRETE;
    told.group[0].act[0].size = 1;
    told.group[0].act[0].n = way == 3 ? &none : way == 6 ? 0 : &two;
    told.group[0].act[0].meanings = way == 7 ? 2 : 0;
    told.infos = way == 8 || way == 12 ? 3 : 0;
    told.info = way == 12 ? (const struct mappo_info *)8 : 0;
    told.rules = way == 9 ? 0 : "its own";
    slice_strides_of(&strides, &told); /* looks at the spec before anybody has checked it */
    *self = &told;
    return 0;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct mappo_env_spec *spec(const void *self)
{
    return (const struct mappo_env_spec *)self;
}

static int reset(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    (void)self, (void)error;
    for (int32_t e = lo; e < hi; e++) io->group[0].obs[e] = 0;
    return 0;
}

static int step(void *self, int32_t lo, int32_t hi, const struct mappo_env_io *io, struct mappo_env_error *error)
{
    for (int32_t e = lo; e < hi; e++) {
        io->group[0].reward[e] = 0;
        io->ep_end[e] = way == 4 ? 7 : 0;
    }
    return reset(self, lo, hi, io, error);
}

const uint32_t mappo_env_abi = MAPPO_ENV_ABI;
const struct mappo_env mappo_env_plugin = {.struct_size = sizeof(struct mappo_env),
                                           .id = "test/nonsense",
                                           .summary = "breaks the interface's rules",
                                           .option = options,
                                           .create = create,
                                           .destroy = destroy,
                                           .spec = spec,
                                           .reset = reset,
                                           .step = step};
