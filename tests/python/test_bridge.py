#!/usr/bin/env python3
"""env=py:… through the whole program: what a run does with environments of Python, and what it says and leaves where they fail."""
# waits
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../faults"))
from runs import MAPPO, check, finish, lines, mappo  # noqa: E402

SETTINGS = ["env=py:./bridge_envs.py:walk", "threads=2", "rollout.envs=8", "rollout.steps=25", "train.env_steps=400", "wrap.time_limit=10", "eval.env_steps=0"]
os.environ["MAPPO_PYTHON"] = sys.executable
BUILD = os.path.abspath(os.environ.get("BUILD", "build"))


def train(run, *settings, **options):
    return mappo(f"run={run}", *SETTINGS, *settings, **options)


def has(name, result, code, *words):
    missing = [word for word in words if word not in result[1]]
    check(name, result[0] == code and not missing, f"expected code {code} and {missing}, got code {result[0]}: {result[1][-600:]}")


def notes():
    with open("notes") as file:
        return [line.split() for line in file]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def same(a, b):
    return mappo("inspect", a, b)[0] == 0


# ---- that it works -----------------------------------------------------------------------------------------------------------------------


def trains():
    result = train("plain")
    has("a_walk_is_trained", result, 0, "starts its episodes afresh", "finished after 2 updates")
    check("episodes_are_counted", lines("plain")[-1]["env_steps"] == 400 and lines("plain")[-1]["episodes"] > 10, lines("plain")[-1])
    result = train("plain", "train.env_steps=800", "env.workers=3")
    has("a_run_goes_on_and_says_that_episodes_begin_anew", result, 0, "continuing plain at update 2", "starts its episodes afresh", "finished after 4 updates")
    result = train("plain", "train.env_steps=1200", 'env.args={"wide": 4}')
    has("another_environment_is_refused", result, 2, "was made with other settings", 'env.args (now {"wide": 4}')
    open("notes", "w").close()
    result = train("single", "rollout.envs=1", "train.env_steps=50", env={**os.environ, "NOTES": "notes"})
    has("one_environment_is_trained", result, 0)
    check("no_training_draws", not [line for line in notes() if line[0] == "drawn"], notes())
    has("dry_run", train("dry", "--dry-run"), 0, "settings are valid; a new run in dry")
    said = mappo("check", "py:./bridge_envs.py:walk")
    has("check", said, 0, "0 faults", "wrap.time_limit=10, or Gymnasium's TimeLimit")
    check("check_asks_for_nothing_of_c", "snapshots" not in said[1] and "scripted" not in said[1], said[1])
    has("envs", mappo("envs", "py:./bridge_envs.py:walk"), 0, "observation: 3 numbers", "group agent: 1 agent", "workers")


def evaluates():
    """More episodes than environments: batch after batch, by the same processes, and each episode is the same whoever plays it."""
    open("notes", "w").close()
    words = ("mean return over 30 episodes",)
    one = mappo("eval", "plain", "episodes=30", "play=random", env={**os.environ, "NOTES": "notes"})
    has("evaluation", one, 0, *words)
    made = [line for line in notes() if line[0] == "made"]
    # One to look at, and the eight of four batches.
    check("evaluations_make_few_environments", len(made) == 9, f"{len(made)} were made")
    check("workers_serve_all_batches", len({pid for _, pid in made}) == 4, made)
    check("environments_are_closed_at_the_end", len([line for line in notes() if line[0] == "closed"]) == len(made), notes())
    train("wide", "rollout.envs=40", "train.env_steps=1000")
    many = mappo("eval", "wide", "episodes=30", "play=random", "threads=1")
    returns = [[line for line in said.splitlines() if "±" in line][-1] for said in (one[1], many[1])]
    check("batches_change_no_return", returns[0] == returns[1], returns)


def halves():
    """One half steps while the other is inferred: a plugin that begins its steps is learned from as the same environment that does not."""
    plugin = os.path.join(BUILD, "tests/plugin_that_begins.so")
    if not os.path.exists(plugin):
        print("ok - halves # SKIP needs make tests")
        return
    settings = ["rollout.envs=10", "rollout.steps=20", "train.env_steps=1000", "wrap.time_limit=7", "eval.env_steps=0", "--quiet"]
    for run, more in (("steps", ["env=test/kitchen_sink"]), ("begins", [f"env={plugin}"]), ("players", [f"env={plugin}", "group.watcher.play=random"]),
                      ("players-steps", ["env=test/kitchen_sink", "group.watcher.play=random"]), ("whole", [f"env={plugin}", "rollout.unit=episodes", "rollout.steps=1"]),
                      ("whole-steps", ["env=test/kitchen_sink", "rollout.unit=episodes", "rollout.steps=1"])):
        has("trains_" + run, mappo(f"run={run}", *settings, *more), 0)
    check("halves_change_no_bit", same("steps", "begins"), mappo("inspect", "steps", "begins")[1][-400:])
    check("nor_where_the_host_plays", same("players-steps", "players"), mappo("inspect", "players-steps", "players")[1][-400:])
    check("nor_of_whole_episodes", same("whole-steps", "whole"), mappo("inspect", "whole-steps", "whole")[1][-400:])
    check("players_do", not same("steps", "players"))


def ranks():
    if not shutil.which("mpirun"):
        print("ok - ranks # SKIP needs mpirun")
        return
    settings = ["comm.reproducible=1", "comm.shards=4", "--quiet"]
    train("one", *settings, "threads=1")
    two = subprocess.run(["mpirun", "-n", "2", MAPPO, "run=two", *SETTINGS, *settings], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
    check("two_ranks", two.returncode == 0, two.stdout[-600:])
    check("ranks_and_workers_change_no_bit", same("one/latest.h5", "two/latest.h5"), mappo("inspect", "one/latest.h5", "two/latest.h5"))
    train("other", *settings, "seed=2")
    check("another_seed_does", not same("one/latest.h5", "other/latest.h5"))


# ---- what goes wrong ---------------------------------------------------------------------------------------------------------------------


def raises():
    result = train("raises", 'env.args={"raises": 30}')
    has("an_exception_ends_the_run", result, 3, "Traceback", 'raise ValueError("the line is broken")', "number ", "ValueError: the line is broken (bridge_envs.py:")
    os.remove("done-once")
    result = train("raises-on", 'env.args={"raises": 30}', "env.on_error=restart", "env.workers=1")
    has("an_environment_that_raised_is_made_anew", result, 0, "Traceback", "it was made anew and its episode counts as truncated", "finished after 2 updates")
    os.remove("done-once")
    result = train("raises-often", 'env.args={"raises": 1, "often": true}', "env.on_error=restart", "env.workers=1", "rollout.envs=1")
    has("not_for_ever", result, 3, "ValueError: the line is broken", "4 times in a row")
    # All at once, after whole episodes: more than a socket holds is told before the first of them is waited for.
    result = train("raise-together", 'env.args={"raises": 15, "often": true}', "env.on_error=restart", "env.workers=1", "rollout.envs=800", "rollout.steps=16", "train.env_steps=12800",
                   "comm.watchdog_seconds=10")
    has("hundreds_that_raise_at_once", result, 0, "were made anew 800 times", "finished after 1 update,")


def dies():
    result = train("dies", 'env.args={"dies": 30}')
    has("a_dead_worker_ends_the_run", result, 3, "was killed by signal 9", "env.on_error=restart starts another")
    os.remove("done-once")
    result = train("dies-on", 'env.args={"dies": 30}', "env.on_error=restart")
    has("a_dead_worker_is_started_anew", result, 0, "it is started anew, and the episodes of its 4 environments count as truncated", "finished after 2 updates")
    result = train("dies-often", 'env.args={"dies": 2, "often": true}', "env.on_error=restart")
    has("a_worker_that_always_dies_ends_the_run", result, 3, "4 times in a row without a whole episode between")


def start(run, *settings, begun=lambda run: os.path.exists(f"{run}/metrics.jsonl") and os.path.getsize(f"{run}/metrics.jsonl") > 0):
    """A run that goes on for long, once it has begun."""
    open("notes", "w").close()
    process = subprocess.Popen([MAPPO, f"run={run}", *SETTINGS, *settings, "train.env_steps=100000000"], env={**os.environ, "NOTES": "notes"},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until(lambda: begun(run))
    return process


def kills():
    process = start("killed", 'env.args={"slow": 0.002}')
    victim = int(next(pid for word, pid in notes() if word == "made"))
    begun = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    said = process.communicate(timeout=20)[0]
    took = time.monotonic() - begun
    has("kill_9_of_a_worker_is_noticed", (process.returncode, said), 3, "was killed by signal 9")
    check("within_moments", took < 5, f"{took:.1f} s")  # a second and less where nothing else runs
    # In the middle of a step that does not end, so that no worker sees by itself that the rank is gone.
    process = start("orphans", 'env.args={"child": true, "slow": 1000}', begun=lambda run: [word for word, _ in notes()].count("steps") == 2)
    left = {int(pid) for word, pid in notes() if word in ("made", "child")}
    check("workers_and_what_they_started", len(left) >= 4 and all(map(alive, left)), left)
    process.kill()
    process.wait()
    check("nothing_outlives_a_killed_rank", until(lambda: not any(map(alive, left))), {pid: alive(pid) for pid in left})
    process = start("stopped", 'env.args={"child": true}')
    left = {int(pid) for word, pid in notes() if word in ("made", "child")}
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=20)[0]
    has("a_run_that_is_stopped_saves", (process.returncode, said), 10, "latest.h5")
    check("nothing_outlives_a_run_that_ends", until(lambda: not any(map(alive, left))), {pid: alive(pid) for pid in left})


def hangs():
    """A step that does not return is named, with the interpreter still there to be ended; one Ctrl-C is answered, a second one ends it."""
    process = subprocess.Popen([MAPPO, "run=hangs", *SETTINGS, 'env.args={"slow": 1000}'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ""
    while "has not returned" not in said and process.poll() is None:
        said += process.stdout.readline()
    has("a_step_that_hangs_is_named", (0, said), 0, "number 0: its step() has not returned for 10 s (worker 1 of 2, process", "Ctrl-C twice", "comm.watchdog_seconds")
    process.send_signal(signal.SIGINT)
    said = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    check("ctrl_c_is_answered_and_a_second_one_ends", "SIGINT: stops after what it is doing now" in said and process.returncode == -signal.SIGINT, (said, process.returncode))


def remembers():
    """The interpreter of a run is found from another shell, unless that names another."""
    bare = {key: value for key, value in os.environ.items() if key not in ("MAPPO_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX")}
    has("a_run_keeps_its_interpreter", mappo("eval", "plain", "episodes=2", env={**bare, "PATH": os.path.abspath("without")}), 0, "mean return over 2 episodes")
    has("another_one_comes_before_it", mappo("eval", "plain", "episodes=2", env={**bare, "MAPPO_PYTHON": "/none/python"}), 2, "there is no program /none/python")


def names():
    os.makedirs("without", exist_ok=True)
    with open("without/numpy.py", "w") as file:
        file.write("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')\n")
    has("nothing_behind_py", train("no", "env=py:"), 2, "py: is followed by what to open")
    has("no_such_file", train("no", "env=py:./none.py:make"), 2, "there is no file ./none.py here")
    has("no_such_module", train("no", "env=py:nosuchmodule:make"), 2, 'no Python module "nosuchmodule"')
    has("no_such_function", train("no", "env=py:./bridge_envs.py:walkk"), 2, 'did you mean "walk"?')
    has("it_made_nothing", train("no", "env=py:./bridge_envs.py:nothing"), 2, "returned None")
    has("workers_that_differ", train("no", "env=py:./bridge_envs.py:chance"), 2, "two of its workers describe different environments")
    has("no_such_interpreter", train("no", "env.python=./none/python"), 2, "there is no program ./none/python")
    has("an_interpreter_that_is_none", train("no", "env.python=false"), 2, " of 2 (false) ended with exit code 1")
    has("no_numpy", train("no", env={**os.environ, "PYTHONPATH": "without"}), 2, "has no NumPy", "pip install numpy", "env.python=PATH")
    has("no_such_option", train("no", "env.worker=2"), 2, 'did you mean "env.workers"?')
    check("nothing_was_begun", not os.path.exists("no"))


# ---- what a worker says ------------------------------------------------------------------------------------------------------------------

DESCRIPTION = ["env\tliar\t1", "rules\tliar 1", "max_steps\t5", "return_help\tnothing", "state\t0", "group\tagent\t1\t0\t0\t0", "agent\tagent", "obs\tbox\t2\t0\t0\t0",
               "low\t-1", "high\t1\tinf", "act\tdiscrete\t1\t0\t0\t0", "n\t2", "start\t0", "meaning\tleft", "meaning\tright", "cannot\tit cannot fly", "end"]


def lies():
    """An interpreter that answers every `open` with what stands in the file `says`."""
    with open("liar", "w") as file:
        file.write(f"#!{sys.executable}\nimport os\nwhile os.read(3, 4096): os.write(3, open('says', 'rb').read())\n")
    os.chmod("liar", 0o755)

    def answer(text, *words, code=2):
        with open("says", "w") as file:
            file.write(text)
        has("wrong_" + words[-1].replace(" ", "_"), mappo("envs", "py:./bridge_envs.py:walk", "env.python=./liar"), code, *words)

    def without(line, other):
        return "\n".join(other if one == line else one for one in DESCRIPTION if one != line or other is not None) + "\n"

    answer("error\tthe moon is full\n", "the moon is full")
    answer(without("obs\tbox\t2\t0\t0\t0", "obs\tblob\t2"), "its worker describes it by a line that is not understood", "obs blob 2")
    answer(without("low\t-1", "low\t-1\t-1\t-1"), "its worker describes it by a line that is not understood", "low -1 -1 -1")
    answer(without("n\t2", "n\ttwo"), "its worker describes it by a line that is not understood", "n two")
    answer(without("agent\tagent", "agent\tagent\nagent\tanother"), "its worker describes it by a line that is not understood", "agent another")
    answer("nonsense\t1\nend\n", "its worker describes it by a line that is not understood", "nonsense 1")
    answer("end\n", "its spec is not one of ABI", code=3)


def main():
    with tempfile.TemporaryDirectory(suffix=".mappo-bridge") as folder:
        os.chdir(folder)
        shutil.copy(os.path.join(HERE, "bridge_envs.py"), folder)
        tests = (trains, evaluates, halves, ranks, raises, dies, kills, hangs, remembers, names, lies)
        for test in [test for test in tests if len(sys.argv) == 1 or test.__name__ in sys.argv[1:]]:
            shutil.rmtree("no", ignore_errors=True)
            if os.path.exists("done-once"):
                os.remove("done-once")
            test()
        os.chdir(HERE)
    finish()


main()
