#!/usr/bin/env python3
"""Whatever asks a run to stop, and whenever: it is saved, says so, and goes on as if nobody had stopped it.

# waits
# slow
# timeout: 300"""
import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from runs import MAPPO, check, finish, lines

SMALL = ["rollout.envs=8", "rollout.steps=5", "policy.hidden=16", "ppo.epochs=1", "threads=1"]
QUICK = SMALL + ["eval.env_steps=0"]
# Minutes of evaluation after every second update; played to its end only where it is short.
LONG = SMALL + ["eval.env_steps=0", "eval.interval=2", "eval.episodes=64", "env.max_cycles=1000000"]
SHORT = SMALL + ["eval.env_steps=0", "eval.interval=2", "eval.episodes=64", "env.max_cycles=2000", "train.env_steps=160"]


def start(*args, launch=(), **options):
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "restore_signals": True, **options}
    return subprocess.Popen([*launch, MAPPO, *args], **options)


def mappo(*args, **options):
    process = start(*args, **options)
    out, _ = process.communicate(timeout=120)
    return process.returncode, out


def steps(run):
    return max((int(os.path.basename(path)[5:17]) for path in glob.glob(f"{run}/step-*.h5")), default=-1)


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def logged(run, text):
    """How often the log has it."""
    return open(f"{run}/log.txt").read().count(text) if os.path.exists(f"{run}/log.txt") else 0


# ---- output that nobody reads ----

def a_closed_pipe_saves_the_run(folder):
    run = f"{folder}/piped"
    process = start(f"run={run}", *QUICK, "train.env_steps=1e9", "checkpoint.interval=1000000", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while "new run in" not in (process.stdout.readline() or "new run in"):
        pass
    process.stdout.close()  # nobody reads the next line; one is written at most every 10 s
    process.wait(timeout=100)
    told = process.stderr.read()
    check("output_into_a_pipe_that_nobody_reads_stops_with_10", process.returncode == 10, f"{process.returncode}: {told}")
    check("and_the_run_is_saved_where_it_stopped", steps(run) == 40 * len(lines(run)) > 0, f"{steps(run)}, {len(lines(run))} updates")
    check("and_the_lock_is_gone", not os.path.exists(f"{run}/lock"), os.listdir(run))
    check("and_the_log_says_why", logged(run, "SIGPIPE (nobody reads the output) after"), open(f"{run}/log.txt").read())
    check("and_nothing_is_said_of_the_pipe_itself", told == "", told)
    for command in (["--help"], ["envs"], ["docs", "configuration"]):
        process = start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        code, told = process.wait(timeout=60), process.stderr.read()
        check(f"mappo_{command[0].strip('-')}_into_a_closed_pipe_ends_quietly", code == -signal.SIGPIPE and told == "", f"{code}: {told}")


# ---- evaluations ----

def an_evaluation_is_left_at_once(folder):
    def started(run):
        return os.path.exists(f"{run}/metrics.jsonl") and len(lines(run)) == 1

    reasons = {"SIGTERM": 10, "SIGUSR1": 75, "SIGXCPU": 75, "STOP": 10, "max_seconds": 75, "MAPPO_DEADLINE": 75}
    for reason, expected in reasons.items():
        run = f"{folder}/left-{reason}"
        more = ["train.max_seconds=4"] if reason == "max_seconds" else []
        environment = dict(os.environ)
        if reason == "MAPPO_DEADLINE":
            environment["MAPPO_DEADLINE"] = str(int(time.time()) + 6)
        process = start(f"run={run}", *LONG, "train.env_steps=400", *more, env=environment)
        there = wait_for(lambda: started(run), process)
        time.sleep(0.5)
        if reason.startswith("SIG"):
            process.send_signal(getattr(signal, reason))
        elif reason == "STOP":
            open(f"{run}/STOP", "w").close()
        try:
            out, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        check(f"{reason}_leaves_an_evaluation", there and process.returncode == expected and len(lines(run)) == 1 and steps(run) == 80,
              f"exit {process.returncode}, {len(lines(run))} lines, {steps(run)} steps: {out[-300:]}")


def without_times(line):
    return {key: value for key, value in line.items() if not key.startswith("seconds") and not key.endswith("per_second")}


def it_is_made_again(folder, name, launch=()):
    whole, left = f"{folder}/{name}-whole", f"{folder}/{name}-left"
    code, out = mappo(f"run={whole}", *SHORT, launch=launch)
    legs, codes, waiting = 0, [], 0
    # Stopped in the evaluations, some twice, and in the last one, after which the run would have ended.
    while legs < 12:
        process = start(f"run={left}", *SHORT, launch=launch)
        wait_for(lambda: logged(left, "continuing" if legs else "new run") >= max(legs, 1) and len(lines(left)) % 2 == 1, process)
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=100)
        legs += 1
        codes.append(process.returncode)
        waiting += steps(left) == 40 * (len(lines(left)) + 1)  # the line of the last update waits for its evaluation
        if process.returncode == 0 or (legs > 6 and mappo(f"run={left}", *SHORT, launch=launch)[0] == 0):
            break
    same = [list(x) == list(y) and without_times(x) == without_times(y) for x, y in zip(lines(whole), lines(left))]
    check(f"an_evaluation_that_was_left_is_made_again_{name}", code == 0 and 75 in codes and waiting > 0 and all(same) and len(same) == len(lines(left)) == 4,
          f"{out[-200:]} {codes} {waiting} {same}")
    code, out = mappo("inspect", f"{whole}/latest.h5", f"{left}/latest.h5")
    check(f"and_the_run_ends_in_the_same_bits_{name}", code == 0, out)
    best = [os.readlink(f"{run}/best.h5") for run in (whole, left)]
    check(f"and_has_the_same_best_checkpoint_{name}", best[0] == best[1], best)


def one_that_is_due(folder):
    due, killed, off = (f"{folder}/{name}" for name in ("due", "due-killed", "due-off"))
    last = SMALL + ["eval.env_steps=0", "eval.interval=2", "env.max_cycles=200", "train.env_steps=80"]
    warned = []
    for begun in ("new run", "continuing"):
        process = start(f"run={due}", *last, "eval.episodes=1000000")  # minutes
        wait_for(lambda: logged(due, begun) and len(lines(due)) == 1, process)
        process.send_signal(signal.SIGUSR1)
        warned.append(process.communicate(timeout=60)[0].count("was left once more"))
    check("one_that_is_left_again_by_every_leg_is_warned_of", warned == [0, 1], warned)
    code, out = mappo("train", "--dry-run", f"run={due}", *last)
    check("a_run_whose_last_evaluation_is_due_is_not_finished", process.returncode == 75 and code == 0 and "continues" in out, f"{code}: {out}")
    for copy in (killed, off):
        shutil.copytree(due, copy, symlinks=True)
    code, out = mappo(f"run={off}", *last, "eval.interval=0")
    found = [(line["update"], line["eval_return"]) for line in lines(off)]
    check("one_that_is_due_when_evaluations_are_switched_off_is_left_out", code == 0 and found == [(1, None), (2, None)], f"{code}: {found} {out}")
    mappo(f"run={due}", *last, "eval.episodes=4")
    shutil.copy(f"{due}/metrics.jsonl", killed)  # as if that leg had been killed behind its line, before a checkpoint
    code, out = mappo(f"run={killed}", *last, "eval.episodes=4")
    found = [line["update"] for line in lines(killed)]
    check("the_line_of_one_that_was_made_by_a_killed_leg_stands_there_once", code == 0 and found == [1, 2] and "lines may be missing" not in out,
          f"{code}: {found} {out}")


# ---- what is said ----

def people_read_no_nan(folder):
    run = f"{folder}/early"
    code, out = mappo(f"run={run}", *QUICK, "train.env_steps=40")
    told = out + open(f"{run}/log.txt").read() + mappo("inspect", run)[1]
    check("a_run_without_an_ended_episode_says_so_and_no_nan", code == 0 and "no episode has ended yet" in out and "nan" not in told.lower(), told)
    code, out = mappo(f"run={folder}/early-json", *QUICK, "train.env_steps=40", "--json")
    check("and_its_json_has_null", code == 0 and json.loads(out)["return_mean"] is None, out)


def quiet_leaves_one_line(folder):
    run = f"{folder}/quiet"
    code, out = mappo(f"run={run}", *QUICK, "train.env_steps=40", "--quiet")
    check("quiet_says_in_one_line_that_it_finished_and_where", code == 0 and out.count("\n") == 1 and out.startswith(f"{run}: finished after 1"), out)
    code, out = mappo(f"run={run}", *QUICK, "train.env_steps=40", "--quiet")
    check("and_that_it_is_finished", code == 0 and out.count("\n") == 1 and out.startswith(f"{run} is finished"), out)
    for option, how in ((), "again"), (("--fresh",), "without --fresh"):  # with it the run would be set aside
        process = start(f"run={run}-{how}", *QUICK, "train.env_steps=1e9", "--quiet", *option)
        wait_for(lambda: os.path.exists(f"{run}-{how}/metrics.jsonl") and len(lines(f"{run}-{how}")) > 0, process)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        check(f"and_that_it_was_stopped_and_that_the_same_command_{how.replace(' ', '_')}_goes_on", process.returncode == 10 and
              out.count("\n") == 1 and out.startswith(f"{run}-{how}: SIGTERM after") and f"the same command {how} continues it" in out, out)


def main():
    folder = tempfile.mkdtemp()
    try:
        a_closed_pipe_saves_the_run(folder)
        an_evaluation_is_left_at_once(folder)
        it_is_made_again(folder, "alone")
        if shutil.which("mpirun.openmpi") and "libmpi.so" in subprocess.run(["ldd", MAPPO], capture_output=True, text=True).stdout:
            os.environ.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
            it_is_made_again(folder, "by_two_ranks", ("mpirun.openmpi", "--quiet", "--oversubscribe", "--bind-to", "none", "-n", "2"))
        one_that_is_due(folder)
        people_read_no_nan(folder)
        quiet_leaves_one_line(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    finish()


main()
