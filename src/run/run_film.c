#include "run/run_film.h"

#include "base/file.h"
#include "base/text.h"
#include "render/output.h"

void run_film(struct evaluator *evaluator, const struct config *config, const struct vecenv *env, const char *folder, int64_t env_steps)
{
    struct error err = {0};
    char path[CONFIG_TEXT + 128], who[64];
    const struct output output = {
        .path = path, .kind = OUTPUT_SVG, .timing = {config->render_fps, (int)config->render_every}, .size = (int)config->render_size};
    struct film *film = evaluator_film_create(config, env);
    text_format(who, sizeof who, "after %lld steps", (long long)env_steps);
    film_players(film, who);
    text_format(path, sizeof path, "%s/films", folder);
    int code = evaluator_film(evaluator, PLAY_TRAINED, config->eval_deterministic, 0, film, &err);
    if (!code) code = file_make_folders(path, &err);
    text_format(path, sizeof path, "%s/films/step-%012lld.svg", folder, (long long)env_steps);
    if (!code) code = output_write(&output, film, &err);
    if (code) warn("no film of step %lld: %s", (long long)env_steps, err.text);
    film_destroy(film);
}
