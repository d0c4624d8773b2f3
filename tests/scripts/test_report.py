#!/usr/bin/env python3
"""mappo report: what stands in the page, and that a browser (headless Chromium) draws it, plays its episodes and fits it to any window."""
import json
import os
import re
import shlex
import shutil
import stat
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
    # Of four seeds two can be compared: one has no checkpoint, and what a third saved at its end is cut off; a fifth has the second's seed.
    for i, origin in enumerate(("one-s1", "one-s1", "one-s2", "one-s2", "one-s2"), 1):
        shutil.copytree(f"runs/{origin}", f"mixed/s{i}", symlinks=True)
        edit(f"mixed/s{i}/config.ini", f"seed = {origin[-1]}\n", f"seed = {min(i, 4)}\n")
    for name in [name for name in os.listdir("mixed/s1") if name.endswith(".h5")]:
        os.remove(f"mixed/s1/{name}")
    for name in os.listdir("mixed/s3"):
        if name.startswith("step-") and name != "step-000000000000.h5":
            os.truncate(f"mixed/s3/{name}", 700)
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
    check("a_run_that_was_killed_is_stopped_and_did_not_say_so", runs["crashed<!--<script>"]["ended"] == "unsaid" and runs["crashed<!--<script>"]["state"] == "stopped" and runs["one-s1"]["state"] == "finished" and runs["one-s1"]["ended"] == "", runs["crashed<!--<script>"]["ended"])
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
    check("it_names_a_new_folder_where_the_run_is_not_in_its_own", "run=runs/rate-again" in words, words)
    code, said = mappo(*words[1:], "--quiet")
    settings = [line for line in read("runs/rate/config.ini").splitlines() if " = " in line and not line.startswith("#")]
    repeated = [line for line in read("runs/rate-again/config.ini").splitlines() if " = " in line and not line.startswith("#")] if code == 0 else said
    check("the_command_repeats_the_run", settings == repeated and lines("runs/rate-again")[-1]["return_mean"] == lines("runs/rate")[-1]["return_mean"], repeated)


    shutil.rmtree("runs/rate-again")
    os.makedirs("own")
    code, said = mappo("env=mpe/simple_spread", "train.env_steps=400", "eval.interval=0", "eval.env_steps=0", "threads=1", "--quiet", "rollout.envs=4", cwd="own")
    mappo("report", "runs", "episodes=0", cwd="own")
    check("it_names_none_where_it_is", code == 0 and " run=" not in data_of("own/report.html")["runs"][0]["command"], said)


def compared():
    code, said = mappo("report", "mixed", "out=mixed.html", "episodes=5")
    data = data_of("mixed.html")
    played = {run["path"]: run["played"] for run in data["runs"]}
    check("a_run_that_can_be_played_shows_its_episodes", "no checkpoint" in played["mixed/s1"]["failed"] and [path for path, told in played.items() if told.get("films")] == ["mixed/s2"], said)
    check("a_checkpoint_before_the_newest_is_told", [played[f"mixed/s{i}"]["newest"] for i in (2, 3, 4)] == [True, False, True] and played["mixed/s3"]["env_steps"] == 0, said)
    for name in "ab":
        shutil.copytree("sweep/1", f"scheduled/{name}")
        edit(f"scheduled/{name}/config.ini", "\nschedule = constant", "\nschedule = linear")
    edit("scheduled/b/config.ini", "env_steps = 400\n", "env_steps = 800\n")
    mappo("report", "scheduled", "out=scheduled.html", "episodes=0")
    data = data_of("scheduled.html")
    check("schedules_of_other_lengths_are_other_experiments", data["bands"] == 2 and [entry["key"] for entry in data["settings"] if entry.get("apart")] == ["train.env_steps"], data["settings"])


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
    os.mkfifo("pipe")
    os.symlink("linked.html", "link.html")
    code, said = mappo("report", "long", "episodes=0", "out=pipe")
    check("a_pipe_is_refused", code == 2 and "is a device or a pipe" in said and stat.S_ISFIFO(os.stat("pipe").st_mode), said)
    for name in ("config.ini", "step-000000009999.h5"):
        before = os.path.exists(f"long/{name}") and read(f"long/{name}")
        code, said = mappo("report", "long", "episodes=0", f"out=long/{name}")
        check(f"a_page_takes_no_name_of_a_runs_own_files_{name[0]}", code == 2 and "ends in .html" in said and before == (os.path.exists(f"long/{name}") and read(f"long/{name}")), said)
    code, said = mappo("report", "long", "episodes=0", "out=link.html")
    check("a_link_to_nothing_is_refused", code == 2 and "link to linked.html" in said, said)
    with open("linked.html", "w") as file:
        file.write("my thesis")
    code, said = mappo("report", "long", "episodes=0", "out=link.html")
    check("a_link_is_written_through_and_a_foreign_page_set_aside", code == 0 and os.path.islink("link.html") and read("linked.html").startswith(MARK) and read("linked.html.1") == "my thesis", said)
    for word, part in (("foo=1", 'unknown key "foo" on the command line (mappo report'), ("ou=a.html", 'did you mean "out"?')):
        code, said = mappo("report", "long", word)
        check(f"an_unknown_key_gets_no_wrong_advice_{word[0]}", code == 2 and part in said and "maddpg" not in said, said)
    code, said = mappo("report", "broken", "out=broken.html")
    played = data_of("broken.html")["runs"][0]["played"]
    check("a_run_that_can_not_be_played_has_a_page_that_says_why", code == 0 and "no checkpoint in broken is whole" in played["failed"], played)
    check("and_so_does_standard_error", said.count("broken is not evaluated: ") == 1 and "no checkpoint in broken is whole" in said, said)


def closed():
    """Folders and files that may not be read; root may read all, so that somebody else looks."""
    os.makedirs("shut")
    shutil.copytree("long", "shut/a")
    os.makedirs("shut/b")
    os.chmod("shut/a/metrics.jsonl", 0)
    os.chmod("shut/b", 0)
    os.chmod(".", 0o755)
    try:
        done = subprocess.run([MAPPO, "report", "shut", "episodes=0", "out=-"], capture_output=True, text=True, preexec_fn=lambda: os.geteuid() or os.setuid(65534))
    except PermissionError:
        print("ok - what_may_not_be_read_is_said # SKIP the program may not be started by another user")
        return
    finally:
        os.chmod("shut/b", 0o700)
    check("what_may_not_be_read_is_said", "shut/b: may not be looked into" in done.stderr and "metrics.jsonl: Permission denied" in done.stderr and '"closed":["shut/b"]' in done.stdout and "Permission denied" in done.stdout, done.stderr)


def ranks():
    linked = subprocess.run(["ldd", MAPPO], stdout=subprocess.PIPE, text=True).stdout
    start = [shutil.which("mpirun.mpich") or "mpirun"] if "libmpich" in linked else [shutil.which("mpirun.openmpi") or "mpirun", "--quiet", "--oversubscribe", "--bind-to", "none"] if "libmpi.so" in linked else None
    if not start:
        print("ok - under_mpirun_rank_0_makes_it # SKIP this build has no MPI")
        return
    done = subprocess.run([*start, "-n", "2", MAPPO, "report", "runs/rate", "episodes=3", "out=ranks.html"], capture_output=True, text=True, timeout=120)
    players = done.returncode == 0 and data_of("ranks.html")["runs"][0]["played"].get("players")
    check("under_mpirun_rank_0_makes_it", players and len(players) == 3 and done.stdout.count("ranks.html: 1 run") == 1, done)


# ---- in a browser --------------------------------------------------------------------------------------------------------------------------

# Points of the curves that are drawn, by metric.
CURVES = """Object.fromEntries([...document.querySelectorAll(".chart")].map((chart) => [chart.dataset.name, [...chart.querySelectorAll("path.line")].map((path) => (path.getAttribute("d").match(/[ML]/g) || []).length)]))"""
LOOK = """(() => { const canvas = document.querySelector("canvas.film"), d = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data; let hash = 0; for (let i = 0; i < d.length; i += 4) hash = (hash * 31 + d[i] * 65536 + d[i + 1] * 256 + d[i + 2]) | 0; return hash; })()"""
NOTICES = """[...document.querySelectorAll('.notice')].map((notice) => notice.textContent).join('\\n')"""
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
    check("lines_are_named_by_what_differs", browser.value("[...document.querySelectorAll('.chip')].map((chip) => chip.textContent).join()") == "lr=0.0007 2\u00a0seeds,lr=0.003", browser.value("[...document.querySelectorAll('.chip')].map((chip) => chip.textContent).join()"))
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


def mixed(browser):
    errors = browser.open("mixed.html")
    notices, played = browser.value(NOTICES), {run["path"]: run["played"] for run in data_of("mixed.html")["runs"]}
    check("what_can_not_be_played_is_told_at_the_top", errors == [] and "s1 can't be played" in notices and "s3 was played as it was at 0 steps" in notices, (errors, notices))
    best = sum(played[f"mixed/s{i}"]["players"][-1]["return"][0] for i in (2, 4)) / 2
    check("only_results_of_one_kind_make_the_best", browser.value("bestFact().join('|')") == f"best evaluation|{best:.2f}|4\u00a0seeds (2 of 5\u00a0runs)".replace("-", "\u2212"), (browser.value("bestFact().join('|')"), best))
    told = browser.value("[...document.querySelectorAll('#evaluation tbody tr')].map((row) => row.lastChild.textContent).join('|')")
    check("the_table_says_what_does_not_count", told.startswith("2\u00a0seeds|") and "|at 0; not counted: untrained|" in told and "not counted: same seed as s4" in told, told)
    returns = "[...document.querySelectorAll('#runs tbody')].map((body) => body.rows[0].cells[5].dataset.value)"
    browser.value("[...document.querySelectorAll('#runs .sort')].find((one) => one.textContent === 'evaluation').click()")
    order = [float(value) for value in browser.value(returns)]
    check("tables_can_be_sorted", order[:4] == sorted(order[:4], reverse=True) and order[4] != order[4], order)
    check("lines_of_reference_leave_curves_their_room", browser.value("""(() => { const line = { y: [1, 2, 3] }, near = rangeOf([line], [], [{ y: 5 }]), far = rangeOf([line], [], [{ y: 500 }]); return [near.high, far.high]; })()""") == [5, 3])
    check("axes_have_plain_numbers", browser.value("[[100, 200, 500], [0, 500, 1000, 1500, 2000], [0.0005, 0.001], [1e-5, 2e-5], [-300, -200]].map((ticks) => ticks.map((tick) => tickText(tick, ticks)).join(' ')).join('|')") == "100 200 500|0 500 1k 1.5k 2k|0.0005 0.001|1e\u22125 2e\u22125|\u2212300 \u2212200")


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
        notices = browser.value(NOTICES)
        check("a_seed_that_stands_there_twice_is_told", "crashed<!--<script> is the same experiment with the same seed (1) as one-s1" in notices and browser.value("bands[0].seeds.length") == 2, notices)
        check("a_crash_is_told_at_the_top", "it was killed, or it crashed" in notices and "a node was lost" in browser.value("document.querySelector('.notice.bad code').textContent"))
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
        mixed(browser)
        mappo("report", "sweep", "out=sweep.html", "episodes=0")
        errors = browser.open("sweep.html")
        check("the_legend_is_whole_and_in_order", browser.value("(() => { const legend = document.querySelector('.legend'); return [legend.scrollHeight <= legend.clientHeight + 1, [...legend.children].map((chip) => chip.textContent).join()]; })()") == [True, "lr=0.0001,lr=0.001,lr=0.01,lr=0.02"])
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
    compared()
    thinned()
    refusals()
    closed()
    ranks()
    browsers()
    os.chdir("/")
finish()
