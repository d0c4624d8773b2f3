#!/usr/bin/env python3
"""Replays beside checkpoints, with a learner whose every number depends on its replay (off_policy.c): a run that goes on is the same to the bit,
on any ranks and on a device, and a replay that is missing, damaged or could not be written never leads anywhere but to the pair before it.

# waits"""
import glob
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time

import runs
from runs import check, finish, lines, mappo

try:
    import h5py
except ImportError:
    h5py = None

BUILD = os.path.abspath(os.environ.get("BUILD", "build"))
runs.MAPPO = f"{BUILD}/tests/off_policy"
EMULATED = os.path.join(os.path.dirname(os.environ.get("MAPPO_EMULATED", f"{BUILD}/emulated/mappo")), "tests/off_policy")
# 9 environments, which no number of ranks divides; the ring of 16 steps comes round in the fourth update.
SMALL = ["env=test/kitchen_sink", "rollout.steps=5", "policy.hidden=4", "threads=1", "eval.env_steps=0"]
ENVS, STEPS = 9, 9 * 5
EVERY = "checkpoint.interval=1"
MANY = 48  # environments with which a replay is several times as large as its checkpoint


def settings(run, updates, *args, envs=ENVS):
    return [f"run={run}", f"train.env_steps={updates * envs * 5}", f"rollout.envs={envs}", *SMALL, *args]


def train(run, updates, *args, envs=ENVS, **options):
    return mappo(*settings(run, updates, *args, envs=envs), **options)


def launcher():
    linked = subprocess.run(["ldd", runs.MAPPO], stdout=subprocess.PIPE, text=True).stdout
    if "libmpich" in linked:
        return [shutil.which("mpirun.mpich") or "mpirun"]
    if "libmpi.so" in linked:
        return [shutil.which("mpirun.openmpi") or "mpirun", "--quiet", "--oversubscribe", "--bind-to", "none"]
    return None


def same(name, one, other):
    """Training state, which has the replay's SHA-256; and the replay itself."""
    code, out = mappo("inspect", one, other)
    newest = [sorted(glob.glob(f"{run}/replay-*.h5"))[-1] for run in (one, other)]
    again, bytes_out = mappo("inspect", *newest)
    check(name, code == 0 and again == 0, out + bytes_out)


def replays(run):
    return sorted(os.path.basename(path) for path in glob.glob(f"{run}/replay-*.h5"))


def names(*updates, envs=ENVS):
    return [f"replay-{update * envs * 5:012d}.h5" for update in updates]


def newest(run):
    return max([int(os.path.basename(path)[5:17]) // STEPS for path in glob.glob(f"{run}/step-*.h5")] or [-1])


def copy(run, to):
    shutil.copytree(run, to, symlinks=True)
    return to


# ---- it goes on as if it had never stopped -------------------------------------------------------------------------------------------------

def a_continued_run_is_the_same_to_the_bit(folder, whole):
    run = f"{folder}/continued"
    for updates in (1, 3, 6):  # with one step held, before the ring is full, after it has come round
        code, out = train(run, updates)
    same("a_continued_run_is_the_same_to_the_bit", run, whole)
    check("a_replay_is_saved_every_600_seconds", "seconds = 600" in open(f"{run}/config.ini").read())
    check("its_size_and_the_room_for_it_are_named", "the replay takes " in out and "of the disk, on which" in out, out)
    other = f"{folder}/other"
    train(other, 6, "seed=2")
    code, out = mappo("inspect", other, whole)
    check("another_seed_is_another_replay", code == 7 and "replay/sha256" in out, out)


def any_ranks_go_on_where_others_stopped(folder, whole):
    name = "any_ranks_go_on_where_others_stopped"
    start = launcher()
    if not start:
        print(f"ok - {name} # SKIP this program has no MPI")
        return
    run, told = f"{folder}/ranks", []
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    for ranks, updates in ((1, 1), (4, 3), (2, 5), (1, 6)):
        command = (start + ["-n", str(ranks)] if ranks > 1 else []) + [runs.MAPPO, *settings(run, updates)]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100, env={**os.environ, **root})
        if done.returncode or f"on {ranks} rank" not in done.stdout:
            told.append(done.stdout)
    check("replays_are_saved_on_several_ranks", not told, told)
    same(name, run, whole)


def a_device_saves_and_takes_up_its_replay(folder):
    name = "a_device_saves_and_takes_up_its_replay"
    if not os.path.exists(EMULATED):
        print(f"ok - {name} # SKIP there is no emulated build (make emulated)")
        return
    for where in ("device", "host"):
        args = ["backend=cuda", f"cuda.environments={int(where == 'device')}"]
        whole, run = f"{folder}/{where}_whole", f"{folder}/{where}_parts"
        told = []
        for to, updates in ((whole, 5), (run, 2), (run, 5)):
            done = subprocess.run([EMULATED, *settings(to, updates, *args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
            if done.returncode or ("environments step on the device" in done.stdout) != (where == "device"):
                told.append(done.stdout)
        check(f"a_device_learns_with_environments_on_the_{where}", not told, told)
        same(f"{name}_with_environments_on_the_{where}", run, whole)


# ---- what is no good is not gone on from -------------------------------------------------------------------------------------------------

def the_two_newest_checkpoints_keep_their_replays(folder):
    run = f"{folder}/every"
    code, out = train(run, 5, EVERY)
    check("the_two_newest_checkpoints_keep_their_replays", code == 0 and replays(run) == names(4, 5), f"{out} {os.listdir(run)}")
    code, out = mappo("inspect", run, "--check")
    check("check_looks_at_them_too", code == 0 and out.count(" too\n") == 2 and out.count("not there any more") == 2, out)
    return run


def a_bad_replay_makes_its_checkpoint_bad(folder, every, whole):
    def flip(path):
        with open(path, "r+b") as file:
            file.seek(random.randrange(os.path.getsize(path)))
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 8]))

    def cut(path):
        os.truncate(path, os.path.getsize(path) - 1)

    def other(path):
        shutil.copy(f"{os.path.dirname(path)}/{names(4)[0]}", path)

    for what, harm, told in (("damaged", flip, "damaged"), ("cut_off", cut, "cut off"),
                             ("foreign", other, "not the replay that was saved with this checkpoint")):
        run = copy(every, f"{folder}/{what}")
        bad = f"{run}/{names(5)[0]}"
        harm(bad)
        checked, saw = mappo("inspect", run, "--check")
        check(f"check_finds_a_{what}_replay", checked == 4 and told in saw and names(5)[0] in saw, saw)
        code, out = train(run, 6)
        check(f"with_a_{what}_replay_the_pair_before_is_taken_and_the_bad_one_named",
              code == 0 and "at update 4," in out and bad in out and told in out and "falling back to" in out, out)
        with open(f"{run}/log.txt") as log:
            check(f"and_with_a_{what}_replay_the_log_says_so_too", "falling back to" in log.read())
        check(f"and_with_a_{what}_replay_it_is_put_out_of_the_way", os.path.exists(f"{run}/damaged-step-{5 * STEPS:012d}.h5")
              and os.path.exists(f"{run}/damaged-{names(5)[0]}"), os.listdir(run))
        same(f"and_with_a_{what}_replay_it_ends_in_the_same_bits", run, whole)


def a_missing_replay_of_a_run_that_was_stopped_makes_its_checkpoint_bad(folder):
    run = f"{folder}/stopped"
    process = subprocess.Popen([runs.MAPPO, *settings(run, 100000, EVERY)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while process.poll() is None and newest(run) < 3:
        time.sleep(0.01)
    process.terminate()
    process.communicate()
    last = newest(run)
    os.unlink(f"{run}/{names(last)[0]}")
    checked, saw = mappo("inspect", run, "--check")
    check("check_finds_a_missing_replay", checked == 4 and "is not there" in saw and names(last)[0] in saw, saw)
    code, out = train(run, last + 1)
    check("with_a_missing_replay_the_pair_before_is_taken_and_the_bad_one_named",
          code == 0 and f"at update {last - 1}," in out and names(last)[0] in out and "falling back to" in out, out)
    check("and_with_a_missing_replay_it_is_put_out_of_the_way", os.path.exists(f"{run}/damaged-step-{last * STEPS:012d}.h5"), os.listdir(run))


def a_finished_run_does_without_its_replays(folder, every):
    run = copy(every, f"{folder}/cleared")
    for name in names(4, 5):
        os.unlink(f"{run}/{name}")
    before = sorted(os.listdir(run))
    code, out = mappo("inspect", run, "--check")
    check("a_finished_run_without_its_replays_is_whole", code == 0 and out.count("is not there any more") == 4, out)
    code, out = mappo("eval", run, "episodes=2", "threads=1")
    check("and_plays", code == 0, out)
    code, out = train(run, 5)
    check("and_is_finished", code == 0 and "is finished" in out, out)
    for dry in ([], ["--dry-run"]):
        code, out = train(run, 6, *dry)
        check(f"to_go_on_it_says_what_is_missing{''.join(dry)}", code == 4 and names(5)[0] in out and "replay.save=0" in out and len(out.splitlines()) == 1, out)
    check("and_nothing_was_touched", [f for f in sorted(os.listdir(run)) if f != "lock"] == before, os.listdir(run))


def train_empty(every, run):
    copy(every, run)
    for name in replays(run):
        os.unlink(f"{run}/{name}")
    train(run, 6, "replay.save=0")
    return run


def a_replay_that_is_not_saved_any_more_is_read_all_the_same(folder, every, whole):
    run = copy(every, f"{folder}/unsaved")
    code, out = train(run, 6, "replay.save=0")
    check("a_replay_that_is_not_saved_any_more_is_read_all_the_same", code == 0 and "begins empty" not in out, out)
    code, out = mappo("inspect", run, whole)
    check("and_goes_on_as_it_would_have", "learned" not in out and lines(run)[-1]["filled"] == lines(whole)[-1]["filled"], out)
    code, out = mappo("inspect", train_empty(every, f"{folder}/emptied"), whole)
    check("which_an_empty_one_does_not", "learned" in out, out)
    run = copy(every, f"{folder}/unsaved_bad")
    os.truncate(f"{run}/{names(5)[0]}", 1000)
    code, out = train(run, 6, "replay.save=0")
    check("and_one_that_can_not_be_read_is_named", code == 0 and "begins empty" in out and names(5)[0] in out and "at update 5," in out, out)


def without_any_replay_nothing_goes_on_unless_it_is_said(folder, every, whole):
    run = copy(every, f"{folder}/hopeless")
    for name in names(4, 5):
        os.unlink(f"{run}/{name}")
    before = sorted(os.listdir(run))
    code, out = train(run, 6)
    check("without_any_replay_it_ends_with_exit_4_and_names_the_way_on", code == 4 and "replay.save=0" in out and "is not there any more" in out, out)
    check("and_touches_no_file", [f for f in sorted(os.listdir(run)) if f != "lock"] == before, os.listdir(run))
    code, out = train(run, 6, "replay.save=0")
    check("replay_save_0_goes_on_with_an_empty_one_and_says_so", code == 0 and "at update 5," in out and "the replay begins empty" in out, out)
    check("which_is_filled_anew", lines(run)[-1]["filled"] == 5, lines(run)[-1])
    check("and_is_not_saved", replays(run) == [], os.listdir(run))
    code, out = mappo("inspect", run, whole)
    check("and_leads_elsewhere", code == 7, out)
    code, out = train(run, 7, "replay.save=1")
    check("one_that_was_not_saved_is_said_to_be_empty_too", code == 0 and "none was saved with this checkpoint" in out and replays(run) == names(7), out)


# ---- killed, and without room ------------------------------------------------------------------------------------------------------------

def a_kill_at_any_moment_leaves_whole_pairs(folder):
    run, whole, waits, bad = f"{folder}/killed", f"{folder}/never_killed", random.Random(3), []
    for _ in range(6):
        before = newest(run)
        process = subprocess.Popen([runs.MAPPO, *settings(run, 100000, EVERY)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        end = time.monotonic() + 30
        while newest(run) < before + 2 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(waits.random() * 0.05)
        process.kill()
        out = process.communicate()[0]
        code, told = mappo("inspect", run, "--check")
        if code or newest(run) < before + 2:
            bad.append(out + told)
    check("a_kill_at_any_moment_leaves_whole_pairs", not bad, bad[:1])
    updates = newest(run) + 3
    train(run, updates)
    train(whole, updates)
    same("and_the_run_ends_in_the_same_bits_as_one_that_was_never_killed", run, whole)
    check("and_leaves_no_drafts", not glob.glob(f"{run}/.tmp-*"), os.listdir(run))


def limit_files(size):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def a_disk_without_room_keeps_the_pair_before(folder):
    run, whole = f"{folder}/full", f"{folder}/many"
    train(whole, 6, envs=MANY)
    train(run, 1, EVERY, envs=MANY)
    checkpoint = os.path.getsize(f"{run}/latest.h5")
    large = os.path.getsize(f"{whole}/{names(6, envs=MANY)[0]}")
    code, out = train(run, 9, EVERY, envs=MANY, preexec_fn=limit_files((checkpoint + large) // 2))
    check("replays_that_can_not_be_written_end_the_run_after_three", code == 4 and "(3 in a row)" in out, f"{checkpoint} {large} {out}")
    kept = [int(name[7:19]) for name in replays(run)]
    check("and_leave_the_pairs_before", len(kept) == 2 and all(os.path.exists(f"{run}/step-{steps:012d}.h5") for steps in kept)
          and not glob.glob(f"{run}/.tmp-*"), os.listdir(run))
    code, out = mappo("inspect", run, "--check")
    check("which_are_whole", code == 0, out)
    train(run, 6, envs=MANY)
    same("from_which_the_run_goes_on_to_the_same_bits", run, whole)
    start = f"{folder}/small"
    code, out = train(start, 1, preexec_fn=limit_files(checkpoint // 2))
    check("a_replay_whose_checkpoint_could_not_be_written_does_not_stay", code == 4 and "step-" in out and replays(start) == [], f"{out} {os.listdir(start)}")
    return checkpoint, large


def a_small_file_system(folder, checkpoint, large):
    name = "where_there_is_room_for_two_replays_only_the_older_makes_way_for_the_next"
    disk = f"{folder}/disk"
    os.mkdir(disk)
    command = ["mount", "-t", "tmpfs", "-o", f"size={6 * checkpoint + int(2.3 * large)}", "tmpfs", disk]
    if os.geteuid() != 0 or subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        print(f"ok - {name} # SKIP mounting a file system needs root")
        return
    try:
        run = f"{disk}/run"
        code, out = train(run, 6, EVERY, envs=MANY)
        check(name, code == 0 and "left out" not in out and replays(run) == names(5, 6, envs=MANY), f"{out} {os.listdir(run)}")
        same("and_nothing_else_changes", run, f"{folder}/many")
        os.unlink(f"{run}/{replays(run)[0]}")
        with open(f"{disk}/other", "wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 12)):
                    pass
            except OSError:
                pass
        os.truncate(f"{disk}/other", os.path.getsize(f"{disk}/other") - 50000)  # for the log
        code, out = train(run, 7, EVERY, envs=MANY)
        check("too_little_room_is_said_at_the_start", "has no room for two replays" in out, out)
    finally:
        subprocess.run(["umount", disk])


# ---- what other programs and commands see ------------------------------------------------------------------------------------------------

def others_read_it(folder, every):
    path = f"{every}/{names(5)[0]}"
    for tool, args in (("h5ls", ["-r"]), ("h5dump", ["-H"])):
        if not shutil.which(tool):
            print(f"ok - {tool}_opens_a_replay # SKIP {tool} is not installed")
            continue
        done = subprocess.run([tool, *args, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(f"{tool}_opens_a_replay", done.returncode == 0 and "act_int" in done.stdout, done.stdout)
    if h5py:
        with h5py.File(path) as file:
            obs, end = file["replay/runner/obs"], file["replay/ep_end"]
            told = (obs.shape, str(obs.dtype), end.shape, str(end.dtype), str(file["replay/runner/act_int"].dtype), int(file["replay/filled"][()]))
            ended = set(end[()].ravel().tolist())
        check("h5py_reads_places_environments_agents_and_numbers", told == ((17, 9, 3, 8), "float32", (17, 9), "uint8", "int32", 16) and len(ended) > 1, told)
    else:
        print("ok - h5py_reads_places_environments_agents_and_numbers # SKIP h5py is not installed")
    code, out = mappo("inspect", path)
    check("inspect_shows_a_replay", code == 0 and "runner/obs" in out and "[17,9,3,8]" in out, out)
    code, out = train(f"{folder}/init", 1, f"train.init={path}")
    check("a_replay_has_no_networks_to_start_from", code == 4 and "learner's replay" in out, out)
    code, out = mappo("eval", f"{every}/step-{0:012d}.h5", "episodes=3", "threads=1")
    check("a_checkpoint_without_its_replay_still_plays", code == 0, out)


def main():
    random.seed(7)
    folder = tempfile.mkdtemp(prefix="mappo-test-")
    try:
        whole = f"{folder}/whole"
        code, out = train(whole, 6)
        check("a_learner_with_a_replay_trains", code == 0, out)
        a_continued_run_is_the_same_to_the_bit(folder, whole)
        any_ranks_go_on_where_others_stopped(folder, whole)
        a_device_saves_and_takes_up_its_replay(folder)
        every = the_two_newest_checkpoints_keep_their_replays(folder)
        a_bad_replay_makes_its_checkpoint_bad(folder, every, whole)
        a_missing_replay_of_a_run_that_was_stopped_makes_its_checkpoint_bad(folder)
        a_finished_run_does_without_its_replays(folder, every)
        a_replay_that_is_not_saved_any_more_is_read_all_the_same(folder, every, whole)
        without_any_replay_nothing_goes_on_unless_it_is_said(folder, every, whole)
        a_kill_at_any_moment_leaves_whole_pairs(folder)
        a_small_file_system(folder, *a_disk_without_room_keeps_the_pair_before(folder))
        others_read_it(folder, every)
    finally:
        shutil.rmtree(folder)
    finish()


main()
