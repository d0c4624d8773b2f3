/* Keeps the text of an option as it was given, and draws it. */
#define mappo_env_plugin plugin_with_nonsense
#include "plugin_with_nonsense.c"
#undef mappo_env_plugin

static const struct mappo_option text_options[] = {{"wrong", MAPPO_OPTION_CHOICE, "nothing", 0, 0, ways, "what is wrong"},
                                                   {"said", MAPPO_OPTION_TEXT, "none", 0, 60, 0, "what is drawn"},
                                                   {0, 0, 0, 0, 0, 0, 0}};
static const char *said;

static int keep(const struct mappo_env_config *config, void **self, struct mappo_env_error *error)
{
    said = config->option[1].text;
    return create(config, self, error);
}

static int draw(const void *self, int32_t env, const struct mappo_canvas *canvas)
{
    (void)self, (void)env;
    canvas->text(canvas->self, 0, 0, 1, said ? said : "nothing", 0);
    return 0;
}

const struct mappo_env mappo_env_plugin = {.struct_size = sizeof(struct mappo_env),
                                           .id = "test/text",
                                           .option = text_options,
                                           .create = keep,
                                           .destroy = destroy,
                                           .spec = spec,
                                           .reset = reset,
                                           .step = step,
                                           .draw = draw};
