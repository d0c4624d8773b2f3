#!/usr/bin/env python3
"""mappo report: what stands in the page, and that a browser (headless Chromium) draws it, plays its episodes and fits it to any window."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../faults"))
sys.path.insert(0, here)
import chromium  # noqa: E402
from runs import MAPPO, check, finish, lines, mappo  # noqa: E402

MARK = "<!doctype html><!-- mappo report -->"


def train(run, *settings):
    code, said = mappo(f"run={run}", "env=mpe/simple_spread", "threads=1", "rollout.envs=4", "policy.hidden=16", "train.env_steps=4000", "eval.interval=10", "eval.episodes=4", "--quiet", *settings)
    assert code == 0, said


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def data_of(path):
    return json.loads(re.search(r'<script type="application/json" id="data">\n(.*?)\n</script>', read(path), re.S).group(1))


def edit(path, before, after):
    text = read(path)
    assert before in text, (path, before)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(before, after))


def make_runs():
    train("runs/one-s1")
    train("runs/one-s2", "seed=2")
    train("runs/rate", "adam.lr=0.003", "seed=7", "env.max_cycles=25")
    for i, rate in enumerate(("1e-4", "1e-3", "1e-2", "2e-2")):
        train(f"sweep/{i}", f"adam.lr={rate}", "train.env_steps=400", "eval.interval=0", "eval.env_steps=0")
    # A run that was killed: more was asked for, and its log says nothing of an end. Its name would end a script and begin a comment.
    crashed = "runs/crashed<!--<script>"
    shutil.copytree("runs/one-s1", crashed, symlinks=True)
    edit(f"{crashed}/config.ini", "env_steps = 4000\n", "env_steps = 40000\n")
    log = [line for line in read(f"{crashed}/log.txt").splitlines() if "env-steps" not in line and "latest.h5" not in line]
    with open(f"{crashed}/log.txt", "w") as file:
        file.write("\n".join(log + ["2026-01-01T00:00:00Z mappo: a node was lost"]) + "\n")
    # One whose checkpoints are all cut off.
    shutil.copytree("runs/one-s1", "broken", symlinks=True)
    for name in os.listdir("broken"):
        if name.startswith("step-"):
            os.truncate(f"broken/{name}", 700)
    # A long one, made up: a spike that a mean would hide.
    os.makedirs("long")
    shutil.copy("runs/one-s1/config.ini", "long")
    with open("long/metrics.jsonl", "w") as file:
        for i in range(100000):
            file.write(f'{{"update":{i + 1},"env_steps":{100 * (i + 1)},"episodes":{4 * (i + 1)},"seconds":{0.01 * (i + 1):.2f},"return_mean":{"null" if i < 10 else i / 100000},"entropy":{9 if i == 54321 else 0.5 + i % 2},"learning_rate":0.001}}\n')


def pages():
    code, said = mappo("report", "runs", "out=all.html")
    check("a_folder_of_runs_becomes_a_page", code == 0 and re.fullmatch(r"all.html: 4 runs, [0-9.]+ [kM]B\n", said), said)
    data, text = data_of("all.html"), read("all.html")
    runs = {os.path.basename(run["path"]): run for run in data["runs"]}
    check("it_needs_no_network", text.startswith(MARK) and re.findall(r"https?://[^\"' )]+", text) == ["http://www.w3.org/2000/svg"] and " src=" not in text, re.findall(r"https?://[^\"' )]+", text))
    check("seeds_are_one_experiment", runs["one-s1"]["band"] == runs["one-s2"]["band"] == runs["crashed<!--<script>"]["band"] != runs["rate"]["band"] and data["bands"] == 2, data["bands"])
    differs = {entry["key"]: entry for entry in data["settings"] if "values" in entry}
    check("what_differs_is_named", sorted(differs) == ["adam.lr", "train.env_steps", "train.seed"] and differs["adam.lr"]["apart"] and not differs["train.seed"]["apart"], sorted(differs))
    check("a_run_that_was_killed_is_said_to_have_crashed", runs["crashed<!--<script>"]["ended"] == "crashed" and runs["one-s1"]["state"] == "finished" and runs["one-s1"]["ended"] == "", runs["crashed<!--<script>"]["ended"])
    told = [line["return_mean"] for line in lines("runs/one-s1")]
    shown = runs["one-s1"]["curves"]["y"]["return_mean"]["mean"]
    check("short_curves_are_whole", len(told) == len(shown) and all(abs(a - b) <= 1e-4 * abs(a) for a, b in zip(told, shown)), shown[:5])
    players = {player["who"]: player for run in data["runs"] for player in run["played"]["players"]}
    check("random_and_scripted_play_stand_beside", set(players) == {"trained", "random", "scripted"} and players["random"]["return"][0] < players["scripted"]["return"][0], players.keys())
    said = json.loads(mappo("eval", "runs/one-s1", "episodes=100", "--json")[1])
    trained = runs["one-s1"]["played"]["players"][-1]
    check("evaluations_are_those_of_mappo_eval", abs(trained["return"][0] - said["return_mean"]) < 1e-9 and len(trained["returns"]) == 100, (trained["return"], said["return_mean"]))
    films = {film["which"]: film["film"] for film in runs["one-s1"]["played"]["films"]}
    ends = {name: film["frames"][-1][2] for name, film in films.items()}
    check("a_best_a_median_and_a_worst_episode_are_filmed", set(ends) == {"best", "median", "worst"} and abs(ends["best"] - trained["returns"][-1]) < 1e-3 and abs(ends["worst"] - trained["returns"][0]) < 1e-3 and ends["worst"] <= ends["median"] <= ends["best"], ends)
    check("a_film_has_all_states", all([frame[0] for frame in film["frames"]] == list(range(26)) and film["whole"] for film in films.values()), ends)
    return runs


def commands(runs):
    words = shlex.split(runs["rate"]["command"])
    check("the_command_has_what_was_given_and_no_more", words[0] == "mappo" and "adam.lr=0.003" in words and "seed=7" in words and not any(word.startswith(("env.", "ppo.", "gae.")) for word in words), words)
    code, said = mappo(*words[1:], "run=again", "--quiet")
    settings = [line for line in read("runs/rate/config.ini").splitlines() if " = " in line and not line.startswith("#")]
    repeated = [line for line in read("again/config.ini").splitlines() if " = " in line and not line.startswith("#")] if code == 0 else said
    check("the_command_repeats_the_run", settings == repeated and lines("again")[-1]["return_mean"] == lines("runs/rate")[-1]["return_mean"], repeated)


def thinned():
    code, said = mappo("report", "long", "out=long.html", "episodes=0")
    curves = data_of("long.html")["runs"][0]["curves"] if code == 0 else {}
    entropy = curves.get("y", {}).get("entropy", {})
    check("long_curves_are_thinned_out", curves.get("rows") == 100000 and len(entropy.get("mean", [])) == 1000 and len(curves["x"]["seconds"]) == 1000 and os.path.getsize("long.html") < 500000, said)
    check("what_a_mean_hides_is_in_the_range", max(entropy["high"]) == 9 and entropy["high"].index(9) == 543 and max(entropy["mean"]) < 1.2 and min(entropy["low"]) == 0.5, max(entropy["high"]))
    check("a_mean_is_that_of_its_lines", abs(curves["y"]["return_mean"]["mean"][1] - sum(range(100, 200)) / 100 / 100000) < 1e-7 and curves["y"]["learning_rate"] == 0.001, curves["y"]["return_mean"]["mean"][:3])


def refusals():
    os.makedirs("empty", exist_ok=True)
    for name, words, part in [("a_folder_without_runs_is_refused", ["empty"], "there is no run"), ("a_file_is_refused", ["runs/one-s1/config.ini"], "Not a directory"), ("a_missing_folder_is_refused", ["runs", "elsewhere"], "elsewhere: No such file"),
                              ("a_page_needs_a_folder", ["runs", "out=nowhere/page.html"], "nowhere"), ("a_mistake_is_said_before_anything_is_played", ["runs", "episodes=many"], "many"), ("settings_of_training_are_refused", ["runs", "ppo.clip=0.1"], "ppo.clip"),
                              ("a_page_needs_a_run", [], "RUN|FOLDER")]:
        code, said = mappo("report", *words)
        check(name, code == 2 and part in said and said.count("\n") == 1 and not os.path.exists("report.html"), (code, said))
    with open("report.html", "w") as file:
        file.write("my own page")
    said = mappo("report", "long", "episodes=0")[1]
    check("what_is_no_report_is_set_aside", "report.html.1" in said and read("report.html.1") == "my own page" and read("report.html").startswith(MARK), said)
    said = mappo("report", "long", "episodes=0")[1]
    check("a_report_is_written_again", not os.path.exists("report.html.2") and "set" not in said, said)
    done = subprocess.run([MAPPO, "report", "long", "episodes=0", "out=-"], stdout=subprocess.PIPE, universal_newlines=True, encoding="utf-8")
    check("a_dash_is_standard_output", done.stdout.startswith(MARK) and done.stdout.endswith("</html>\n"), done.stdout[-80:])
    code, said = mappo("report", "broken", "out=broken.html")
    played = data_of("broken.html")["runs"][0]["played"]
    check("a_run_that_can_not_be_played_has_a_page_that_says_why", code == 0 and "no checkpoint in broken is whole" in played["failed"], played)
    check("and_so_does_standard_error", said.count("broken is not evaluated: ") == 1 and "no checkpoint in broken is whole" in said, said)


# ---- in a browser --------------------------------------------------------------------------------------------------------------------------

# Points of the curves that are drawn, by metric.
CURVES = """Object.fromEntries([...document.querySelectorAll(".chart")].map((chart) => [chart.dataset.name, [...chart.querySelectorAll("path.line")].map((path) => (path.getAttribute("d").match(/[ML]/g) || []).length)]))"""
LOOK = """(() => { const canvas = document.querySelector("canvas.film"), d = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data; let hash = 0; for (let i = 0; i < d.length; i += 4) hash = (hash * 31 + d[i] * 65536 + d[i + 1] * 256 + d[i + 2]) | 0; return hash; })()"""
COLOURS = """[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color].join()"""
PRESS = "document.querySelector('%s').click()"


def statistics(browser):
    check("interquartile_means_leave_out_a_quarter_at_either_end", browser.value("[[0, 1, 2, 3, 4, 5, 6, 100], [1, 2, 9], [5, 1, 3, 100]].map(interquartileMean)") == [3.5, 4, 4])
    found = browser.value("(() => { const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]; return [summary(values, 'mean'), summary(values, 'mean'), summary(values, 'iqm')]; })()")
    # The mean of ten has a deviation of 0.91: 95 % lie within 1.78 of 5.5.
    check("bands_are_the_bootstraps", found[0] == found[1] and found[0]["value"] == found[2]["value"] == 5.5 and abs(found[0]["low"] - 3.72) < 0.25 and abs(found[0]["high"] - 7.28) < 0.25, found)
    check("one_seed_has_no_band", browser.value("(() => { const one = summary([4, NaN], 'iqm'); return [one.value, one.n, Number.isNaN(one.low)]; })()") == [4, 1, True])
    check("smoothing_keeps_what_does_not_change", browser.value("smoothed([0, 1, 2, 3, 4], [2, 2, 2, 2, 2], 2.5)") == [2] * 5)


def curves(browser):
    drawn = browser.value("redraw(true)") or browser.value(CURVES)
    check("curves_are_there", {"return_mean", "entropy", "value_loss", "approx_kl", "env_steps_per_second"} <= set(drawn) and all(min(points or [0]) > 20 for name, points in drawn.items() if name != "phases"), drawn)
    check("bands_of_seeds_and_evaluations_and_other_players_too", browser.value("""["path.band", ".mark", "text.reference", ".stack"].map((part) => document.querySelectorAll(part).length > 0)""") == [True] * 4)
    check("lines_are_named_by_what_differs", browser.value("[...document.querySelectorAll('.chip')].map((chip) => chip.textContent).join()") == "lr=0.0007 3\u00a0seeds,lr=0.003", browser.value("[...document.querySelectorAll('.chip')].map((chip) => chip.textContent).join()"))
    path = "document.querySelector('[data-name=entropy] path.line').getAttribute('d')"
    before, ticks = browser.value(path), "[...document.querySelectorAll('[data-name=return_mean] .tick.x')].map((tick) => tick.textContent).join()"
    by_steps = browser.value(ticks)
    browser.value(PRESS % "[data-value=seconds]")
    check("the_axis_can_be_time", by_steps != browser.value(ticks) and " s" in browser.value(ticks) and before != browser.value("redraw(true)") and browser.value(path) != before, browser.value(ticks))
    browser.value(PRESS % "[data-value=env_steps]")
    browser.value(PRESS % ".chip")
    check("the_legend_switches_lines", browser.value("document.querySelectorAll('[data-name=return_mean] path.line').length") == 1)
    browser.value(PRESS % ".chip")
    browser.value("scrollTo(0, 0)")
    box = browser.value("(() => { const box = document.querySelector('[data-name=return_mean] .plot').getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; })()")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0], y=box[1])
    tip = browser.value("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent")
    check("hovering_shows_values", "environment steps" in tip and "lr=0.003" in tip and re.search("\u2212[0-9]", tip), tip)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    browser.value("document.querySelector('[data-name=return_mean] .plot').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft")
    check("so_does_the_keyboard", "environment steps" in browser.value("document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"))
    browser.value("document.activeElement.blur()")
    drawn = browser.value("(() => { const chart = charts.find((one) => one.spec.name === 'entropy'); return [chartCsv(chart), chartSvg(chart), chart.lines.reduce((sum, line) => sum + line.x.length, 0)]; })()")
    table, figure = drawn[0].splitlines(), xml.etree.ElementTree.fromstring(drawn[1])
    check("a_chart_can_be_saved_as_numbers", table[0] == "experiment,env_steps,entropy,low,high,seeds" and len(table) == drawn[2] + 1 and table[-1].startswith('"lr=0.003",4000,') and table[-1].endswith(",1"), table[-1])
    check("a_chart_can_be_saved_as_a_figure", "var(" not in drawn[1] and [text.text for text in figure.iter("{http://www.w3.org/2000/svg}text")][:3] == ["entropy (nat) over environment steps", "lr=0.0007", "lr=0.003"] and len([path for path in figure.iter("{http://www.w3.org/2000/svg}path") if path.get("stroke", "").startswith("rgb")]) >= 2, drawn[1][:400])


def replays(browser):
    first = browser.value(LOOK)
    browser.value(PRESS % ".play")
    browser.value("new Promise((done) => setTimeout(done, 500))")
    then, at = browser.value(LOOK), browser.value("Number(document.querySelector('.replay input').value)")
    browser.value(PRESS % ".play")
    check("a_replay_moves", first != then and 1 <= at <= 20, (first, then, at))
    browser.value("players[0].seek(0)")
    check("its_slider_goes_back", browser.value(LOOK) == first)
    check("three_episodes_are_offered", browser.value("[...document.querySelectorAll('.replay b')].map((b) => b.textContent).join()") == "best,median,worst")


def browsers():
    if not chromium.program():
        for name in ("a_browser_draws_the_page", "a_replay_moves", "light_and_dark_differ", "a_narrow_window_is_enough"):
            print(f"ok - {name} # SKIP there is no Chromium (Debian: chromium)")
        return
    browser = chromium.Browser()
    try:
        check("a_browser_draws_the_page", browser.open("all.html") == [], browser.errors())
        light, picture = browser.value(COLOURS), browser.picture(height=700)
        statistics(browser)
        curves(browser)
        replays(browser)
        check("a_crash_is_told_at_the_top", "it crashed or was killed" in browser.value("document.querySelector('.notice.bad').textContent") and "a node was lost" in browser.value("document.querySelector('.notice.bad code').textContent"))
        browser.value(PRESS % "#theme")
        dark = browser.value(COLOURS)
        check("light_and_dark_differ", light != dark and picture != browser.picture(height=700), (light, dark))
        browser.value("localStorage.clear()")
        check("the_system_says_which_comes_first", browser.open("all.html", dark=True) == [] and browser.value(COLOURS) == dark, browser.value(COLOURS))
        for width in (360, 700, 1900):
            errors = browser.open("all.html", width=width)
            browser.value("redraw(true)")
            wide = browser.value("document.documentElement.scrollWidth")
            check(f"a_window_of_{width}_is_enough", errors == [] and wide <= width, (errors, wide))
        mappo("report", "sweep", "out=sweep.html", "episodes=0")
        errors = browser.open("sweep.html")
        dots = browser.value("[...document.querySelectorAll('.sweep circle')].map((dot) => [dot.textContent, Number(dot.getAttribute('cx'))])")
        check("a_sweep_is_drawn_over_what_varies", errors == [] and [text.split(":")[0] for text, _ in dots] == ["lr=0.0001", "lr=0.001", "lr=0.01", "lr=0.02"] and abs((dots[1][1] - dots[0][1]) - (dots[2][1] - dots[1][1])) < 1, (errors, dots))
        for page, part in (("broken.html", "no checkpoint in broken is whole"), ("long.html", "episodes=0")):
            errors = browser.open(page)
            check(f"{page[:-5]}_is_drawn_and_says_why_nothing_plays", errors == [] and part in browser.value("document.getElementById('replays').textContent") and browser.value(CURVES)["return_mean"][0] > 20, (errors, browser.value("document.getElementById('replays').textContent")))
    finally:
        browser.close()


with tempfile.TemporaryDirectory(suffix=".mappo-report") as folder:
    os.chdir(folder)
    make_runs()
    commands(pages())
    thinned()
    refusals()
    browsers()
    os.chdir("/")
finish()
