/* The parts of a report's JSON, each written by a file of its own. Inside report/. */
#ifndef MAPPO_REPORT_PARTS_H
#define MAPPO_REPORT_PARTS_H

#include "render/film.h"
#include "report/report.h"
#include "run/metrics_file.h"

/* settings.c */
/* Which runs are seeds of one experiment: fills band[list->runs], returns how many bands. */
int settings_bands(const struct run_list *list, int *band);
/* [{"key":"ppo.clip","value":"0.2" | "values":["0.2","0.1" of each run],"usual":"0.2","help":"…","apart":true}, …] */
void settings_write(FILE *out, const struct run_list *list);
/* As a JSON string the command that begins such a run, "mappo env=… ppo.clip=0.1"; null where the environment isn't known here. */
void settings_write_command(FILE *out, const struct run_told *run, config_find_env *find_env);

/* curves.c */
/* {"rows":…,"x":{"env_steps":[…],"episodes":[…],"seconds":[…]},"y":{"return_mean":{"mean":[…],"low":[…],"high":[…]} | 0.5, …},
 * "phases":{"step":s,…}}: columns thinned out to `points`, each the mean, and with `ranges` the least and greatest, of as many lines. */
void curves_write(FILE *out, const struct metrics_file *metrics, int points, bool ranges);

/* story.c */
/* ,"machine":[["host","a"], …],"saved":"2026-…","log":[…],"ended":"said" | "unsaid" | "": of the newest checkpoint and log.txt. */
void story_write(FILE *out, const struct run_told *run);

/* films.c */
/* {"number":…,"every":n,"marks":[[shape, …], …],"frames":[[step, reward, return, view, [marks], [returns of groups]], …]} of a film of one
 * episode. Shapes: 0 circle x y radius fill stroke; 1 line x0 y0 x1 y1 width 0 stroke; 2 polygon fill stroke x0 y0 …; 3 text x y height fill 0
 * "text"; 4 rectangle x0 y0 x1 y1 fill stroke; 5 image of the whole view "PNG in base 64"; 6 patch on the image before
 * it left top "PNG", in its pixels. */
void films_write(FILE *out, const struct film *film);

/* page.c */
void page_write(FILE *out, const char *json);

#endif
