#!/usr/bin/env python3
"""seeds=1-5: ordinary runs, side by side, with a table of all; what stops one stops all, and the same command goes on."""

import fcntl
import importlib.util
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import MAPPO, check, finish, lines, mappo  # noqa: E402

TINY = "env=matrix/penalty rollout.envs=4 rollout.steps=25 eval.env_steps=0 policy.hidden=16".split()
END = "train.env_steps=1000"
FOREVER = "train.env_steps=1e12"


def folders():
    return sorted(str(path) for path in Path("runs").glob("*")) if os.path.isdir("runs") else []


def train(seeds, *settings, **options):
    return mappo(f"seeds={seeds}", *TINY, *settings, **options)


def bad_lists():
    told = {
        "1-": "is no seed",
        "": "is no seed",
        "3-1": "counts down",
        "1,2,1": "names 1 twice",
        "1-3,2": "names 2 twice",
        "1-2000": "more than 1000 seeds",
        "1e16": "out of range",
        "1-2 seed=3": "seeds=1-2 and seed=3",
        "1-2 run=a": "run=a would be the folder of 2 runs",
        "1-2 ppo.epohs=3": "ppo.epochs",
        "1-2 train.init=missing.h5": "seed 1: train.init: missing.h5",
        "--seeds=1-3": "what is meant here is seeds=1-5",
    }
    wrong = {}
    for text, part in told.items():
        words = text.split(" ") if text else [""]
        code, said = mappo(text) if text.startswith("--") else train(words[0], *words[1:])
        if code not in (2, 4) or part not in said or said.count("\n") != 1:
            wrong[text] = said
    check("a_bad_list_or_setting_is_one_line", not wrong, wrong)
    code, said = train("1-2", "--dry-run", END)
    check("a_dry_run_tells_of_each", code == 0 and "seed 1: settings are valid" in said and "seed 2: settings are valid" in said, said)
    for words in (["seeds", "1-3"], ["train", "seeds", "1-3"]):
        code, said = mappo(*words)
        check("without_its_sign_it_is_known_" + words[0], code == 2 and "mappo seeds=1-3 (mappo help seeds)" in said, said)
    code, said = mappo("help", "seeds")
    check("it_has_help", code == 0 and "seeds=1-5 (or" in said, said[:200])
    check("nothing_was_begun_so_far", folders() == [], folders())


def whole():
    code, said = train("1-2,4", END)
    rows = re.findall(r"^ *(\d+)  finished +1000 ", said, re.M)
    check("each_has_a_row", code == 0 and rows == ["1", "2", "4"], said)
    check("what_they_say_together", "training return  mean " in said and "95 % interval of the mean" in said and "mean of 3 seeds" in said, said)
    check("the_line_that_draws_them", f"mappo report {' '.join(folders())} out=seeds.html" in said, said)
    names = [re.sub("-s[0-9]+", "", name) for name in folders()]
    check("each_has_its_usual_folder", len(names) == 3 and len(set(names)) == 1, folders())
    alone = folders()[1].replace("runs/", "alone/")
    mappo("seed=2", f"run={alone}", END, *TINY, "threads=1")
    code, said = mappo("inspect", f"{folders()[1]}/latest.h5", f"{alone}/latest.h5")
    check("each_is_as_if_it_were_alone", code == 0, said)
    before = [os.stat(f"{run}/metrics.jsonl").st_mtime_ns for run in folders()]
    code, said = train("1-2,4", END)
    after = [os.stat(f"{run}/metrics.jsonl").st_mtime_ns for run in folders()]
    code, said = train("1-2", END, "--fresh", "--dry-run")
    check("fresh_tells_what_it_would_move", said.count("; the run that is there, of 1000 env-steps, is moved aside") == 2, said)
    code, said = train("1,4", END, "--json", "--dry-run")
    check("of_each_json_has_its_seed", [json.loads(line)["seed"] for line in said.splitlines()] == [1, 4], said)
    code, said = train("1-2,4", END)
    check("finished_ones_are_shown", code == 0 and before == after and "to train" not in said and "finished" in said, said)
    code, said = train("1-2,4", "train.env_steps=2000", "--json")
    told = json.loads(said)
    returns = [lines(run)[-1]["return_mean"] for run in folders()]
    same = [seed["return_mean"] for seed in told["seeds"]] == returns and abs(told["return_mean"]["mean"] - sum(returns) / 3) < 1e-9
    steps = [seed["env_steps"] for seed in told["seeds"]]
    check("raised_they_go_on_and_json_has_all", code == 0 and same and steps == [2000] * 3, said)


def damaged():
    """One whose checkpoints are gone is left out; the others go on, and their curve to its end."""
    for path in Path(folders()[1]).glob("step-*.h5"):
        path.write_bytes(b"")
    code, said = train("1-2,4", "train.env_steps=3000")
    rows = re.findall(r"^ *(\d+)  finished +3000 ", said, re.M)
    check("one_damaged_keeps_nobody_from_training", code == 4 and rows == ["1", "4"], said)
    check("what_begins_it_anew_is_said", "seed 2: is left out" in said and "with seed=2 --fresh in place of seeds=1-2,4" in said, said)
    check("that_they_are_not_equally_far_too", "not equally far: 2000 to 3000 env-steps" in said and "(beyond 2000 of those that got further)" in said, said)
    check("the_curve_goes_to_the_longest", re.search(r"^ +100 +3000$", said, re.M), said)


def unheeded():
    """Started by somebody who does not want to hear of processes that end, as some supervisors do."""
    command = [MAPPO, "seeds=1-2", *TINY, END, "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN), start_new_session=True)
    try:
        code = process.wait(20)
    except subprocess.TimeoutExpired:
        code = "it hangs"
        process.kill()
    check("it_ends_where_sigchld_was_ignored", code == 0, code)


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def before_training():
    """A signal that comes while it asks what is to be trained."""
    process = subprocess.Popen([MAPPO, "seeds=100-400", *TINY, END, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    end = time.monotonic() + 20
    while time.monotonic() < end and not children_of(process.pid):
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    said = process.communicate(timeout=30)[0]
    check("a_limit_before_training_is_75_too", process.returncode == 75 and said.count("  not begun  ") == 301, said[:300])
    check("and_begins_none", not [run for run in folders() if "-s100" in run], folders())


LITTERING = """
import subprocess, sys
sys.path.insert(0, %r)
from own_envs import counter
left = subprocess.Popen(["sleep", "60"], start_new_session=True)
open("left", "a").write("%%d\\n" %% left.pid)
sys.stderr.write("one\\0two\\nthree\\n")
"""


def littering():
    """An environment that leaves a process behind, which keeps the output open, and says several lines with a byte 0 between."""
    if importlib.util.find_spec("gymnasium") is None:
        print("ok - littering # SKIP needs gymnasium")
        return
    Path("littering.py").write_text(LITTERING % os.path.join(os.path.dirname(os.path.abspath(__file__)), "../python"))
    words = ["env=py:littering.py:counter", f"env.python={sys.executable}", *TINY[1:], "wrap.time_limit=10", END, "threads=1"]
    process = subprocess.Popen([MAPPO, "seeds=1-2", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        said = process.communicate(timeout=45)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        said = "it waits for ever"
    for pid in Path("left").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    check("what_an_environment_leaves_does_not_hold_it", process.returncode == 0 and len(re.findall(r"^ *[12]  finished ", said, re.M)) == 2, said)
    told = [f"seed {seed}: {line}\n" in said for seed in (1, 2) for line in ("one two", "three")]
    check("its_lines_are_all_there_for_each", all(told), said)


def await_updates(runs, count=5):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if all(os.path.exists(f"{run}/metrics.jsonl") and len(lines_whole(run)) >= count for run in runs):
            return True
        time.sleep(0.02)
    return False


def lines_whole(run):
    return Path(run, "metrics.jsonl").read_bytes().split(b"\n")[:-1]


def processes_of(run):
    try:
        return [int(re.search(r"^pid (\d+)", Path(run, "lock").read_text(), re.M).group(1))]
    except (OSError, AttributeError):
        return []


def start(*settings):
    """Two that never end, one thread each. Their folders, once both have begun."""
    known = set(folders())
    process = subprocess.Popen([MAPPO, "seeds=7,8", *TINY, FOREVER, "threads=1", *settings], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    end = time.monotonic() + 20
    while time.monotonic() < end and len(set(folders()) - known) < (2 if os.cpu_count() > 1 else 1):
        time.sleep(0.02)
    runs = sorted(set(folders()) - known)
    check("side_by_side" + "".join(settings), await_updates(runs), runs)
    return process, runs


def stops():
    process, runs = start()
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[0]
    check("ctrl_c_saves_all_and_is_10", process.returncode == 10 and said.count("the same command again continues it") == len(runs), said)
    check("each_names_what_was_pressed", "SIGINT" in said and "SIGTERM" not in said, said)
    check("the_table_says_stopped", len(re.findall(r"^ *[78]  stopped ", said, re.M)) == len(runs), said)
    steps = [lines(run)[-1]["env_steps"] for run in runs]
    process = subprocess.Popen([MAPPO, "seeds=7,8", *TINY, FOREVER, "threads=1", "--json"], stdout=subprocess.PIPE, text=True)
    while any(lines(run)[-1]["env_steps"] < step + 500 for run, step in zip(runs, steps)):
        time.sleep(0.05)
    Path(runs[0], "STOP").touch()
    told = json.loads(process.communicate(timeout=30)[0])
    check("stop_in_one_folder_ends_all", process.returncode == 10 and [seed["exit_code"] for seed in told["seeds"]] == [10, 10], told)
    # Bit for bit as one that was never stopped.
    ends = [lines(run)[-1]["env_steps"] for run in runs]
    mappo("seed=7", "run=straight", *TINY, f"train.env_steps={ends[0]}", "threads=1")
    code, said = mappo("inspect", "straight/latest.h5", f"{runs[0]}/latest.h5")
    check("stopped_twice_it_is_as_never_stopped", code == 0, said)
    sizes = [len(lines_whole(run)) for run in runs]
    process = subprocess.Popen([MAPPO, "seeds=7,8", *TINY, FOREVER, "threads=1", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while any(len(lines_whole(run)) < size + 5 for run, size in zip(runs, sizes)):
        time.sleep(0.02)
    process.send_signal(signal.SIGUSR1)
    said = process.communicate(timeout=30)[0]
    check("a_limit_is_75", process.returncode == 75, said)
    code, said = mappo("seeds=7,8", *TINY, FOREVER, "threads=1", "train.max_seconds=0.5")
    check("so_is_one_of_seconds", code == 75 and "train.max_seconds=0.5 is over" in said, said)
    process = subprocess.Popen([MAPPO, "seeds=7,8", *TINY, FOREVER, "threads=1", "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    sizes = [len(lines_whole(run)) for run in runs]
    while any(len(lines_whole(run)) < size + 5 for run, size in zip(runs, sizes)):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while time.monotonic() < end and any(processes_of(run) for run in runs):
        time.sleep(0.05)
    state = {json.loads(line)["run"]: json.loads(line)["state"] for line in mappo("runs", "--json")[1].splitlines()}
    check("killed_it_leaves_nobody_behind", all(state[run] == "stopped" for run in runs), state)
    return runs


def killed(runs):
    process = subprocess.Popen([MAPPO, "seeds=7,8", *TINY, FOREVER, "threads=1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    end = time.monotonic() + 10
    while time.monotonic() < end and not processes_of(runs[0]):
        time.sleep(0.02)
    os.kill(processes_of(runs[0])[0], signal.SIGKILL)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=30)[0]
    check("one_that_was_killed_says_so", re.search(r"^ *7  killed \(signal 9\) ", said, re.M), said)


def on_a_terminal():
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    process = subprocess.Popen([MAPPO, "seeds=7,8", *TINY, FOREVER, "threads=1"], stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    text, end = b"", time.monotonic() + 20
    while len(re.findall(rb"\n?seed 7 +\d+%.*\r\nseed 8 +\d+%", text)) < 2 and time.monotonic() < end:
        if select.select([master], [], [], 0.1)[0]:
            text += os.read(master, 65536)
    check("a_line_each_is_drawn_anew", b"\x1b[2A" in text and b"seed 8" in text, text[-400:])
    process.send_signal(signal.SIGTERM)
    try:
        while True:
            os.read(master, 65536)
    except OSError:
        pass
    process.wait(30)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    bad_lists()
    whole()
    unheeded()
    before_training()
    littering()
    damaged()
    killed(stops())
    on_a_terminal()
    os.chdir("/")
finish()
