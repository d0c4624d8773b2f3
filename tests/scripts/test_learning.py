#!/usr/bin/env python3
"""scripts/learning.py on two small rows in a folder of its own: what it runs, runs again, writes and refuses."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
PROGRAM = os.path.abspath(os.environ.get("MAPPO", os.path.join(SOURCE, "build", "mappo")))
ROWS = """
[game]
env = matrix/climbing
settings = env.ep_length=5 rollout.envs=4
env_steps = 200 400
seeds = 1-2
aim = -1000 1000
[tag]
env = mpe/simple_tag
settings = rollout.envs=4
env_steps = 200
seeds = 3
measure = caught
[long]
env = matrix/climbing
settings = rollout.envs=4
env_steps = 20000
seeds = 1-2
"""
failures = 0


def check(name, holds, shown=""):
    global failures
    failures += not holds
    print(f"ok - {name}" if holds else f"not ok - {name}: {shown}")


def learning(*arguments):
    result = subprocess.run([sys.executable, "scripts/learning.py", "--program", PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    return result.returncode, result.stdout


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def interrupted():
    """Ctrl-C reaches the script and the programs that it started."""
    child = subprocess.Popen([sys.executable, "scripts/learning.py", "--program", PROGRAM, "--jobs", "1", "long"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True, start_new_session=True)
    while child.poll() is None and not (os.path.exists("runs/learning/long-s1/metrics.jsonl") and os.stat("runs/learning/long-s1/metrics.jsonl").st_size):
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)
    out, _ = child.communicate()
    check("an_interruption_says_how_it_goes_on", child.returncode == 2 and "the same command goes on from here" in out, (child.returncode, out))
    check("after_which_nothing_else_is_begun", not os.path.exists("runs/learning/long-s2") and not os.path.exists("docs/data/learning/long.json"), os.listdir("runs/learning"))
    code, out = learning()
    check("without_names_all_rows_run", code == 0 and "not run yet" not in read("docs/benchmarks.md"), out)
    first = json.loads(read("docs/data/learning/long.json"))["lengths"][0]
    learning("long", "--fresh")
    again = json.loads(read("docs/data/learning/long.json"))["lengths"][0]
    check("and_it_ends_where_it_would_have", code == 0 and all(first[key] == again[key] for key in ("deterministic", "training_return")), (out, first, again))


def runs():
    code, out = learning("game")
    check("a_row_is_run_by_name", code == 0 and "game seed 2 at 400" in out and not os.path.exists("docs/data/learning/tag.json"), out)
    data = json.loads(read("docs/data/learning/game.json"))
    check("each_length_has_every_seed", [(one["env_steps"], len(one["deterministic"]), len(one["returns"]["agent"])) for one in data["lengths"]] == [(200, 2, 2), (400, 2, 2)], data)
    check("its_suite_is_drawn", read("drawn").startswith("docs/data/learning/game.csv --panels ") and read("drawn").endswith("-o docs/pictures/learning-matrix.svg\n"), read("drawn"))
    page = read("docs/benchmarks.md")
    check("the_table_has_a_line_of_each_length", page.count("| `game` | `matrix/climbing` `env.ep_length=5` `rollout.envs=4` |") == 2 and page.count("**missed**") == 1, page)
    check("and_says_what_was_not_run", "| `tag` | `mpe/simple_tag` `rollout.envs=4`, caught | 0.2 k | not run yet" in page, page)
    check("what_stands_around_it_stays", page.startswith("before\n") and page.endswith("after\n"), page)
    before = os.stat("runs/learning/game-s1/metrics.jsonl").st_mtime_ns
    code, out = learning("game")
    check("what_is_finished_is_not_run_again", code == 0 and os.stat("runs/learning/game-s1/metrics.jsonl").st_mtime_ns == before, out)
    # As after an interruption: the run stands at its first length, and nothing was noted of the second.
    kept = read("docs/data/learning/game.json")
    os.remove("runs/learning/game-s2/learning-400.json")
    shutil.rmtree("runs/learning/game-s1")
    code, out = learning("game")
    again = json.loads(read("docs/data/learning/game.json"))
    check("what_was_interrupted_goes_on_to_the_same_numbers", code == 0 and [one["deterministic"] for one in again["lengths"]] == [one["deterministic"] for one in json.loads(kept)["lengths"]], out)
    code, out = learning("game", "tag")
    data = json.loads(read("docs/data/learning/tag.json"))
    curve = read("docs/data/learning/tag.csv").splitlines()
    check("several_rows_can_be_named", code == 0 and read("docs/benchmarks.md").count("not run yet") == 1, out)
    check("a_column_can_be_what_is_measured", data["measure"] == "caught" and curve[0] == "seed,env_steps,seconds,return_mean,return_mean/adversary,return_mean/agent,info/caught" and sorted(data["lengths"][0]["returns"]) == ["adversary", "agent"], curve)


def refusals():
    check("the_page_agrees_with_the_data", learning("--check")[0] == 0)
    path = "docs/data/learning/tag.json"
    text = read(path)
    data = json.loads(text)
    data["lengths"][0]["deterministic_mean"] = 0.5
    write(path, json.dumps(data))
    code, out = learning("--check")
    check("a_page_that_does_not_is_found", code == 1 and "is not what docs/data/learning says" in out, out)
    write(path, text)
    code, out = learning("gam")
    check("an_unknown_row_names_the_nearest_and_all", code == 2 and "did you mean game? There are: game, tag, long" in out, out)
    write("scripts/learning.ini", ROWS.replace("rollout.envs=4\nenv_steps = 200\n", "rollout.envs=8\nenv_steps = 200\n"))
    code, out = learning("tag")
    check("a_run_under_other_settings_is_not_taken_for_the_row", code == 2 and "--fresh runs it again" in out, out)
    code, out = learning("tag", "--fresh")
    check("and_is_run_again_when_asked", code == 0 and "`rollout.envs=8`" in read("docs/benchmarks.md"), out)
    write("scripts/learning.ini", ROWS.replace("measure = caught", "measure = catches"))
    code, out = learning("tag", "--fresh")
    check("a_column_that_there_is_not_is_named", code == 2 and "measures catches, which mpe/simple_tag does not count" in out, out)
    write("scripts/learning.ini", ROWS.replace("measure =", "measures ="))
    code, out = learning("tag")
    check("so_is_an_unknown_key", code == 2 and "[tag] has an unknown measures" in out, out)


work = tempfile.mkdtemp(suffix=".mappo-learning")
try:
    for folder in ("scripts", "docs/data/learning", "docs/pictures"):
        os.makedirs(os.path.join(work, folder))
    shutil.copy(os.path.join(SOURCE, "scripts", "learning.py"), os.path.join(work, "scripts"))
    os.chdir(work)
    write("scripts/plot.py", 'import sys\nopen("drawn", "a").write(" ".join(sys.argv[1:]) + "\\n")\n')  # test_plot.py has the true one draw
    write("scripts/learning.ini", ROWS)
    write("docs/benchmarks.md", "before\n<!-- learning: written by scripts/learning.py -->\n<!-- learning: end -->\nafter\n")
    runs()
    interrupted()
    refusals()
finally:
    os.chdir(SOURCE)
    shutil.rmtree(work)
sys.exit(failures > 0)
