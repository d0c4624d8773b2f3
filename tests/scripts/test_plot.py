#!/usr/bin/env python3
"""scripts/plot.py on made-up runs: what is grouped, what is drawn, what is refused."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

PLOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts", "plot.py")
failures = 0


def check(name, expected, actual):
    global failures
    if expected == actual:
        print(f"ok - {name}")
    else:
        failures += 1
        print(f"not ok - {name}: expected {expected!r}, got {actual!r}")


def make_run(folder, seed, rate, level, broken_last_line=False):
    os.makedirs(folder)
    with open(os.path.join(folder, "config.ini"), "w") as file:
        file.write(f"[env]\nname = mpe/simple_spread\nrules = on-policy\n[algo]\nname = mappo\n[adam]\nlr = {rate}\n[train]\nseed = {seed}\n[metrics]\nwindow = 100\n")
    with open(os.path.join(folder, "metrics.jsonl"), "w") as file:
        for update in range(1, 101):
            value = None if update == 1 else level + seed
            row = {"update": update, "env_steps": 3200 * update, "seconds": 0.1 * update, "episodes": 128 * update, "return_mean": value, "eval_return": level if update % 25 == 0 else None}
            file.write(json.dumps(row) + "\n")
        if broken_last_line:
            file.write('{"update": 101, "env')


def plot(*arguments):
    result = subprocess.run([sys.executable, PLOT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    return result.returncode, result.stdout.strip(), result.stderr.strip()


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return " ".join(re.findall(r">([^<>]+)</text>", file.read()))


work = tempfile.mkdtemp(suffix=".mappo-plot")
try:
    code, _, error = plot("--help")
    if code != 0 and "matplotlib" in error:
        print(f"ok - curves_are_drawn # SKIP {error}")
        sys.exit(0)
    for rate in ("0.0007", "0.0003"):
        for seed in (1, 2, 3):
            make_run(os.path.join(work, f"lr{rate}-s{seed}"), seed, rate, -120 if rate == "0.0007" else -150, broken_last_line=seed == 3)
    runs = sorted(os.path.join(work, name) for name in os.listdir(work))
    picture = os.path.join(work, "all.svg")
    code, out, error = plot(*runs, "-o", picture, "--line", "scripted=-110.5")
    check("six_runs_of_two_configurations_are_drawn", (0, picture, ""), (code, out, error))
    text = text_of(picture)
    check("runs_that_differ_only_in_their_seed_are_one_curve", ["0.0003  (3 seeds)", "0.0007  (3 seeds)"], re.findall(r"adam\.lr = (\S+\s+\(3 seeds\))", text))
    check("the_axes_say_what_they_show", (True, True), ("environment steps" in text, "return per episode, last 100 episodes  (on-policy rules)" in text))
    check("a_line_to_compare_with_has_its_label", True, "scripted" in text)
    picture = os.path.join(work, "one.png")
    code, out, error = plot(runs[0], "--x", "seconds", "--y", "eval_return", "-o", picture)
    with open(picture, "rb") as file:
        check("a_png_is_a_png", (0, b"\x89PNG"), (code, file.read(4)))
    # Curves that were stored: seeds of a file are one curve.
    curves = []
    for name, level in (("small", 1), ("large", 1000)):
        curves.append(os.path.join(work, f"{name}.csv"))
        with open(curves[-1], "w") as file:
            file.write("seed,env_steps,return_mean\n" + "".join(f"{seed},{steps},{level * seed}\n" for seed in (1, 2) for steps in (100, 200, 300)))
    picture = os.path.join(work, "panels.svg")
    code, out, error = plot(*curves, "--panels", "--band", "range", "-o", picture)
    check("each_file_of_curves_has_a_panel", (0, "", True, True, True), (code, error, " small " in text_of(picture), " large " in text_of(picture), "range over seeds" in text_of(picture)))
    code, _, error = plot(*curves, "--panels", "--y", "return_mean,entropy", "-o", picture)
    check("panels_are_of_one_metric", (2, True), (code, "--panels shows one metric" in error))
    with open(curves[0], "w") as file:
        file.write("a,b\n1,x\n")
    code, _, error = plot(curves[0], "-o", picture)
    check("a_table_that_holds_no_curves_is_named", (2, True), (code, "small.csv: no table of numbers" in error))
    # A plugin's run: its id, wherever it lay; of older runs, which don't name it, the file's name.
    plugins = {"a": "/there/my.so\n# the plugin of my/env", "b": "/here/my.so\n# the plugin of my/env", "c": "/here/older.so"}
    titles = []
    for seed, (name, value) in enumerate(plugins.items()):
        make_run(os.path.join(work, name), seed, "0.0007", -120)
        with open(os.path.join(work, name, "config.ini"), "r+") as file:
            config = file.read().replace("name = mpe/simple_spread", f"name = {value}")
            file.seek(0)
            file.truncate()
            file.write(config)
    for chosen in ("ab", "c"):
        picture = os.path.join(work, f"{chosen}.svg")
        plot(*(os.path.join(work, name) for name in chosen), "-o", picture)
        titles.append(text_of(picture))
    check("a_plugin_is_called_by_its_id_and_not_by_its_path", ([True, True], False), (["my/env, mappo" in titles[0], "older, mappo" in titles[1]], ".so" in " ".join(titles)))
    check("and_is_one_environment_wherever_it_lay", True, "(2 seeds)" in titles[0])
    # What stood under the picture's name.
    for kind in ("svg", "png", "pdf"):
        picture = os.path.join(work, f"thesis.{kind}")
        with open(picture, "w") as file:
            file.write("mine")
        first, second = plot(runs[0], "-o", picture), plot(runs[0], "-o", picture)
        with open(f"{picture}.1") as file:
            kept = file.read()
        check(f"a_persons_{kind}_is_kept_and_an_older_picture_replaced", (0, True, "mine", (0, picture, ""), False),
              (first[0], f"it is now {picture}.1" in first[2], kept, second, os.path.exists(f"{picture}.2")))
    picture = os.path.join(work, "one.png")
    code, _, error = plot(runs[0], "--y", "nosuch", "-o", picture)
    check("an_unknown_metric_is_refused_with_those_there_are", (2, True, True), (code, 'no "nosuch"' in error, "return_mean" in error))
    code, _, error = plot(os.path.join(work, "nowhere"), "-o", picture)
    check("a_folder_without_metrics_is_named", (2, True), (code, "nowhere: no metrics.jsonl there" in error))
    with open(os.path.join(work, "latest.h5"), "wb") as file:
        file.write(b"mappo checkpoint\n\x89HDF\r\n")
    code, _, error = plot(os.path.join(work, "latest.h5"), "-o", picture)
    check("a_checkpoint_for_a_run_is_named_in_one_line", (2, True, 1), (code, f"a run's folder is meant, such as {work}" in error, len(error.splitlines())))
    twice = os.path.join(work, "twice.svg")
    os.symlink(runs[0], os.path.join(work, "again"))
    code, _, error = plot(runs[0], os.path.join(work, "again"), os.path.join(runs[0], "metrics.jsonl"), "-o", twice)
    check("a_run_named_twice_is_no_second_seed", (0, 2, False), (code, error.count("drawn once"), "seeds" in text_of(twice)))
    for name, part in (("all.jpg", "a name that ends in .svg, .png or .pdf is needed"), ("no/all.svg", "no folder that can be written to")):
        code, _, error = plot(os.path.join(work, "nowhere"), "-o", os.path.join(work, name))
        check(f"{name.replace('/', '_')}_is_refused_before_anything_is_read", (2, True), (code, part in error))
    with open(os.path.join(runs[0], "metrics.jsonl"), "r+") as file:
        file.write("{broken")
    code, _, error = plot(runs[0], "-o", picture)
    check("a_broken_line_is_named", (2, True), (code, "metrics.jsonl, line 1: not JSON" in error))
finally:
    shutil.rmtree(work)
sys.exit(failures > 0)
