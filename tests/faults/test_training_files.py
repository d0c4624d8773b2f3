#!/usr/bin/env python3
"""Runs of the real trainer whose files are killed, damaged, renamed, taken away and refused room: what a run leaves behind is always whole, and
what a person had there stays.

# waits
# slow
# timeout: 300"""
import glob
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import time

from runs import MAPPO, check, finish, mappo

# Small enough that a start costs more than an update; a save after every update.
SMALL = ["rollout.envs=8", "rollout.steps=5", "policy.hidden=16", "ppo.epochs=1", "threads=1", "eval.env_steps=0"]
EVERY = ["checkpoint.interval=1"]
STEPS = 8 * 5


def train(run, updates, *args, **options):
    return mappo(f"run={run}", f"train.env_steps={updates * STEPS}", *SMALL, *EVERY, *args, **options)


def start(run, updates, *args):
    return subprocess.Popen([MAPPO, f"run={run}", f"train.env_steps={updates * STEPS}", *SMALL, *EVERY, *args],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def steps(run):
    """Checkpoints of a run, newest first."""
    return sorted(glob.glob(f"{run}/step-*.h5"), reverse=True)


def newest(run):
    found = steps(run)
    return int(os.path.basename(found[0])[5:17]) // STEPS if found else -1


def wait_for(run, update, process, seconds=60):
    end = time.monotonic() + seconds
    while newest(run) < update and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    return newest(run) >= update


def damage(path):
    with open(path, "r+b") as file:
        file.seek(random.randrange(os.path.getsize(path)))
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ (1 << random.randrange(8))]))


def updates_logged(run):
    with open(f"{run}/metrics.jsonl") as file:
        return [json.loads(line)["update"] for line in file]


def a_kill_at_any_moment_loses_at_most_one_interval(folder):
    run, whole = f"{folder}/killed", f"{folder}/whole"
    bad, lost, before, kills, waits = [], [], 0, 0, random.Random(5)
    goal = 1200
    while kills < 25:
        process = start(run, goal)
        if not wait_for(run, before + 2, process):
            break
        time.sleep(waits.random() * 0.15)
        process.kill()
        process.communicate()
        kills += 1
        code, out = mappo("inspect", run, "--check")
        if code != 0:
            bad.append(out)
        if newest(run) < before:
            lost.append(f"{newest(run)} after {before}")
        logged = len([line for line in open(f"{run}/metrics.jsonl") if line.endswith("\n")])
        # The line of an update is written before its checkpoint: one save at most is missing.
        if newest(run) < logged - 1:
            lost.append(f"checkpoint {newest(run)}, {logged} updates logged")
        before = newest(run)
    check("a_kill_at_any_moment_leaves_whole_checkpoints", kills == 25 and not bad, f"{kills} kills, {bad[:1]}")
    check("a_kill_at_any_moment_loses_at_most_one_interval", not lost, f"{lost[:3]}")
    total = before + 5
    code, out = train(run, total)
    again, text = train(whole, total)
    check("a_run_killed_25_times_goes_on_and_finishes", code == 0 and again == 0, f"exit {code} {again}: {out} {text}")
    code, out = mappo("inspect", run + "/latest.h5", whole + "/latest.h5")
    check("and_ends_in_the_same_bits_as_one_that_was_never_killed", code == 0, out)
    check("and_no_update_stands_twice_in_its_metrics", updates_logged(run) == list(range(1, total + 1)), updates_logged(run)[-5:])
    check("and_leaves_no_temporary_files", not glob.glob(f"{run}/.tmp-*"), glob.glob(f"{run}/.tmp-*"))
    code, out = train(run, total)
    check("a_finished_run_says_so_and_exits_0", code == 0 and "finished" in out, f"exit {code}: {out}")


def damaged_newest_files_fall_back_with_a_warning(folder):
    for count in (1, 2):
        run = f"{folder}/damaged{count}"
        train(run, 6)
        bad = steps(run)[:count]
        for path in bad:
            damage(path)
        code, out = train(run, 8)
        named = all(path in out for path in bad) and out.count("damaged") >= count
        check(f"with_{count}_damaged_the_one_before_loads_and_the_warning_names_the_bad", code == 0 and named, f"exit {code}: {out}")
        check(f"with_{count}_damaged_training_goes_on_from_update_{6 - count}", f"at update {6 - count}," in out, out)
        kept = [f"{run}/damaged-{os.path.basename(path)}" for path in bad]
        check(f"with_{count}_damaged_these_are_put_out_of_the_way_not_removed", all(map(os.path.exists, kept)), os.listdir(run))
        code, out = mappo("inspect", run, "--check")
        check(f"with_{count}_damaged_the_run_is_whole_again", code == 0 and newest(run) == 8, out)


def all_damaged_is_an_error_and_never_a_fresh_start(folder):
    run = f"{folder}/hopeless"
    train(run, 4)
    for path in steps(run):
        damage(path)
    before = sorted(os.listdir(run))
    code, out = train(run, 6)
    check("all_damaged_exits_4_and_names_fresh", code == 4 and "--fresh" in out, f"exit {code}: {out}")
    check("all_damaged_touches_no_file", sorted(os.listdir(run)) == before, os.listdir(run))
    code, out = train(run, 2, "--fresh")
    check("fresh_starts_again_and_moves_the_old_run_aside", code == 0 and len(steps(f"{run}.1")) == len([f for f in before if f.startswith("step-")]),
          f"exit {code}: {out}")


def a_second_start_on_a_live_run_is_refused(folder):
    run = f"{folder}/live"
    process = start(run, 1000000)
    wait_for(run, 1, process)
    code, out = train(run, 1000000)
    check("a_second_start_on_a_live_run_is_refused_and_names_it", code == 2 and str(process.pid) in out, f"exit {code}: {out}")
    code, out = train(run, 1000000, "--fresh")
    check("fresh_does_not_take_a_live_run_away", code == 2 and not os.path.exists(f"{run}.1"), f"exit {code}: {out}")
    process.kill()
    process.communicate()


def limit(process, size):
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def a_run_of_a_program_that_rounded_otherwise_says_so_once(folder):
    run, told = f"{folder}/rounded", "rounds exp and log1p of rules otherwise"
    train(run, 1)
    path = steps(run)[0]
    with open(path, "rb") as file:
        header, image = file.read(512), file.read()
    older = image.replace(b"rounding\0", b"roundino\0")  # as if it had not been written
    digest = hashlib.sha256
    header = header.replace(digest(image).hexdigest().encode(), digest(older).hexdigest().encode())
    with open(path, "wb") as file:
        file.write(header + older)
    first, second = train(run, 2), train(run, 3)
    check("a_run_of_a_program_that_rounded_otherwise_says_so_once",
          first[0] == second[0] == 0 and older != image and first[1].count(told) == 1 and told not in second[1], f"{first} {second}")


def a_full_disk_does_not_end_training(folder):
    run = f"{folder}/full"
    code, out = train(run, 5, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192)))
    check("a_disk_full_at_the_start_is_found_out_before_training", code == 4 and not steps(run), f"exit {code}: {out}")
    shutil.rmtree(run)

    # A save every few seconds of work, so that fewer than three fall into the time without room.
    process = start(run, 1000000, "checkpoint.interval=400")
    ready = wait_for(run, 400, process)
    limit(process, 8192)
    lines = []
    while "left out" not in (lines or [""])[-1] and process.poll() is None:
        lines.append(process.stdout.readline())
    limit(process, resource.RLIM_INFINITY)
    before = newest(run)
    recovered = ready and wait_for(run, before + 400, process)
    code, out = mappo("inspect", run, "--check")
    process.send_signal(signal.SIGTERM)
    rest = process.communicate()[0]
    check("a_disk_full_for_a_while_does_not_end_training", recovered and process.returncode == 10, f"exit {process.returncode}: {lines} {rest}")
    check("and_the_old_checkpoints_are_whole", code == 0, out)
    logged = updates_logged(run)
    check("and_the_metrics_hold_whole_lines_in_order", logged == sorted(set(logged)), "lines are torn or stand twice")

    process = start(run, 1000000, "checkpoint.interval=50")
    wait_for(run, newest(run) + 50, process)
    limit(process, 8192)
    out = process.communicate(timeout=60)[0]
    check("three_failed_saves_in_a_row_end_the_run_with_exit_4", process.returncode == 4 and "(3 in a row)" in out,
          f"exit {process.returncode}: {out[-500:]}")
    code, out = mappo("inspect", run, "--check")
    check("and_still_the_old_checkpoints_are_whole", code == 0 and not glob.glob(f"{run}/.tmp-*"), out)


def a_small_file_system_that_runs_full(folder):
    name = "a_file_system_without_room_ends_in_exit_4_and_whole_checkpoints"
    disk = f"{folder}/disk"
    os.mkdir(disk)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], stderr=subprocess.DEVNULL).returncode:
        print(f"ok - {name} # SKIP mounting a file system needs root")
        return
    try:
        process = start(f"{disk}/run", 1000000, "checkpoint.interval=20")
        wait_for(f"{disk}/run", 60, process)
        with open(f"{disk}/other", "wb") as file:  # somebody else's data take what is left
            try:
                file.write(bytes(4 << 20))
            except OSError:
                pass
        out = process.communicate(timeout=60)[0]
        code, told = mappo("inspect", f"{disk}/run", "--check")
        check(name, process.returncode == 4 and "No space left" in out and code == 0, f"exit {process.returncode}, {code}: {out[-500:]} {told}")
        os.unlink(f"{disk}/other")
        before = newest(f"{disk}/run")
        process = start(f"{disk}/run", 1000000, "checkpoint.interval=20")
        went_on = wait_for(f"{disk}/run", before + 20, process)
        process.kill()
        process.communicate()
        check("and_goes_on_when_there_is_room_again", went_on, f"stands at {newest(f'{disk}/run')}, was {before}")
    finally:
        subprocess.run(["umount", disk])


def env_steps(path):
    """What the file itself says."""
    with open(path, "rb") as file:
        header = file.read(512).decode()
    return int(header.split("\nenv_steps ")[1].split("\n")[0])


def checkpoint(run, update):
    return f"{run}/step-{update * STEPS:012d}.h5"


def renamed_checkpoints_are_taken_for_what_they_hold(folder):
    run = f"{folder}/renamed"
    train(run, 5)
    os.rename(checkpoint(run, 5), checkpoint(run, 30))
    code, out = train(run, 10)
    check("a_renamed_checkpoint_is_continued_from_what_it_holds_with_a_word",
          code == 0 and "at update 5," in out and f"holds {5 * STEPS} env-steps, not {30 * STEPS} as its name says" in out, out)
    code, out = train(run, 15)
    check("and_the_next_start_goes_on_from_the_newest", code == 0 and "at update 10," in out, out)
    code, out = mappo("eval", run, "episodes=2")
    check("eval_plays_the_newest_by_content", code == 0 and f"\n{checkpoint(run, 15)}\n" in "\n" + out, out)
    code, out = mappo("inspect", run)
    check("inspect_shows_the_newest_by_content", code == 0 and f"\n{checkpoint(run, 15)}\n" in "\n" + out, out)
    code, out = mappo("inspect", run, "--check")
    check("inspect_check_names_what_is_renamed", code == 0 and out.count("as its name says") == 1, out)
    check("pruning_counts_by_content_and_leaves_what_a_person_renamed", [u * STEPS for u in (30, 15, 14, 13)] ==
          [int(os.path.basename(f)[5:17]) for f in steps(run)[:4]] and env_steps(checkpoint(run, 30)) == 5 * STEPS, steps(run))
    code, out = train(run, 31)
    check("a_save_where_a_renamed_checkpoint_stands_sets_it_right_and_says_so", code == 0 and env_steps(checkpoint(run, 30)) == 30 * STEPS and
          f"it is now {checkpoint(run, 5)}" in out, out)

    # Two that changed their names: the one that holds less must not be taken for the newest, wherever it stands.
    run = f"{folder}/swapped"
    train(run, 6)
    os.rename(checkpoint(run, 6), f"{run}/x")
    os.rename(checkpoint(run, 4), checkpoint(run, 6))
    os.rename(f"{run}/x", checkpoint(run, 4))
    code, out = train(run, 8)
    check("swapped_checkpoints_are_told_apart", code == 0 and "at update 6," in out, out)

    # A damaged header that promises less than the name is found out, not passed over.
    run = f"{folder}/header"
    train(run, 6)
    with open(checkpoint(run, 6), "r+b") as file:
        header = file.read(512).replace(b"env_steps 240", b"env_steps 140")
        file.seek(0)
        file.write(header)
    code, out = train(run, 8)
    check("a_damaged_header_is_found_out_whatever_it_says", code == 0 and "damaged" in out and "at update 5," in out and
          os.path.exists(f"{run}/damaged-step-000000000240.h5"), out)


def the_best_checkpoint_is_found_by_content(folder):
    run = f"{folder}/best"
    train(run, 6, "eval.interval=1", "eval.episodes=2")
    best = os.readlink(f"{run}/best.h5")
    holds = env_steps(f"{run}/{best}")
    away = checkpoint(run, 500)
    os.rename(f"{run}/{best}", away)
    code, out = mappo("eval", run, "which=best", "episodes=2")
    check("the_best_checkpoint_is_played_under_any_name", code == 0 and f"\n{away}\n" in "\n" + out, out)
    code, out = mappo("eval", f"{run}/best.h5", "episodes=2")
    check("a_link_to_what_was_renamed_says_so", code == 4 and f"is a link to {best}, which is not there any more" in out, out)
    code, out = train(run, 12, "eval.interval=0")
    check("and_pruning_keeps_it", code == 0 and env_steps(away) == holds, out)
    check("and_the_link_follows", os.readlink(f"{run}/best.h5") == os.path.basename(away) and os.readlink(f"{run}/latest.h5") ==
          os.path.basename(checkpoint(run, 12)), os.listdir(run))


def nothing_of_a_persons_is_replaced(folder):
    run = f"{folder}/theirs"
    mine = {"config.ini": "[adam]\nlr = 0.005\n", "latest.h5": "mine"}
    os.mkdir(run)
    for name, text in mine.items():
        with open(f"{run}/{name}", "w") as file:
            file.write(text)
    code, out = train(run, 1)
    kept = {name: open(f"{run}/{name}.1").read() if os.path.exists(f"{run}/{name}.1") else None for name in mine}
    check("a_persons_files_in_the_folder_are_kept_under_another_name", code == 0 and kept == mine, f"{out} {kept}")
    check("with_a_word_each", all(f"it is now {run}/{name}.1" in out for name in mine), out)
    check("and_one_that_says_that_the_configuration_was_not_read", f"--config {run}/config.ini.1 reads it" in out, out)

    run = f"{folder}/read"
    os.mkdir(run)
    with open(f"{run}/config.ini", "w") as file:
        file.write(mine["config.ini"])
    code, out = train(run, 1, "--config", f"{run}/config.ini")
    check("a_configuration_that_is_read_from_the_folder_is_kept_as_well", code == 0 and open(f"{run}/config.ini.1").read() == mine["config.ini"] and
          "reads it" not in out and '"learning_rate":0.005' in open(f"{run}/metrics.jsonl").read(), out)
    again, text = train(run, 1, "--config", f"{run}/config.ini")
    check("and_the_same_command_again_needs_no_word", again == 0 and "mappo: " not in text and not os.path.exists(f"{run}/config.ini.2"), text)

    # What a run wrote itself, as after a start that found the disk full.
    run = f"{folder}/again"
    train(run, 2)
    for name in ("x", "y"):
        os.mkdir(f"{run}.{name}")
        shutil.copy(f"{run}/config.ini", f"{run}.{name}")
    code, out = train(f"{run}.x", 2)
    check("what_a_run_wrote_itself_is_replaced_without_a_word", code == 0 and "mappo: " not in out, out)
    code, out = train(f"{run}.y", 2, "adam.lr=0.002")
    check("but_not_where_another_run_would_have_other_settings", code == 0 and os.path.exists(f"{run}.y/config.ini.1"), out)

    # A copy of a run with its links followed (scp -r): the copies are of checkpoints that are there.
    run = f"{folder}/copied"
    train(run, 2)
    shutil.copytree(run, f"{run}.x")
    code, out = train(f"{run}.x", 4)
    check("links_that_became_copies_become_links_again", code == 0 and "mappo: " not in out and os.path.islink(f"{run}.x/latest.h5"), out)

    # A picture.
    picture = f"{folder}/thesis.svg"
    with open(picture, "w") as file:
        file.write("mine")
    code, out = mappo("eval", run, "episodes=1", f"picture={picture}")
    check("a_picture_keeps_what_stood_there", code == 0 and open(f"{picture}.1").read() == "mine" and f"it is now {picture}.1" in out, out)
    code, out = mappo("eval", run, "episodes=1", f"picture={picture}")
    check("but_an_older_picture_is_replaced", code == 0 and "it is now" not in out and not os.path.exists(f"{picture}.2"), out)


def take_away(path, how):
    if how == "removed":
        os.unlink(path)
    elif how == "moved":
        os.rename(path, f"{path}.away")
    elif how == "replaced":
        with open(f"{path}.new", "w") as file:
            file.write("mine\n")
        os.rename(f"{path}.new", path)


def files_that_are_taken_away_while_a_run_writes_them_come_back(folder):
    run = f"{folder}/away"
    metrics, before = f"{run}/metrics.jsonl", 0
    for how in ("removed", "moved", "replaced"):
        process = start(run, 1000000)
        wait_for(run, before + 20, process)
        take_away(metrics, how)
        if how == "removed":
            os.unlink(f"{run}/log.txt")
        wait_for(run, newest(run) + 20, process)
        process.send_signal(signal.SIGTERM)
        out = process.communicate(timeout=60)[0]
        before = newest(run)
        logged = updates_logged(run)
        check(f"metrics_that_are_{how}_meanwhile_come_back_whole", process.returncode == 10 and logged == list(range(1, before + 1)), out[-500:])
        word = "replaced" if how == "replaced" else "taken away"
        check(f"metrics_that_are_{how}_get_one_warning", out.count(f"metrics.jsonl was {word}") == 1, out[-500:])
    check("the_log_comes_back_whole", open(f"{run}/log.txt").read().count("new run in") == 1)
    check("what_stood_in_its_place_is_kept", open(f"{metrics}.1").read() == "mine\n", os.listdir(run))

    # There is no way back where the folder is gone: said when it is noticed and with the save at the end, not every second.
    gone = f"{folder}/gone"
    process = start(gone, 1000000, "checkpoint.interval=1000000")
    wait_for(gone, 0, process)
    while os.path.exists(gone):
        shutil.rmtree(gone, ignore_errors=True)  # the run writes meanwhile
    time.sleep(4)
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=60)[0]
    check("a_folder_that_is_gone_is_not_warned_of_every_second", 1 <= sum(line.startswith("mappo: ") and gone in line for line in out.splitlines()) <= 3, out[-500:])
    check("and_nobody_is_told_to_continue_what_was_not_saved", process.returncode != 10 and "again continues it" not in out, out[-500:])

    # Cut in place: what is lost is lost, but an older checkpoint, whose offset is now anywhere, still finds its line.
    process = start(run, 1000000)
    wait_for(run, before + 20, process)
    os.truncate(metrics, 0)
    at = newest(run)
    wait_for(run, at + 20, process)
    process.kill()
    out = process.communicate()[0]
    check("metrics_that_are_cut_get_a_warning", out.count("was cut while the run writes it") == 1, out[-500:])
    logged = updates_logged(run)
    check("and_go_on_in_order", logged == list(range(logged[0], logged[-1] + 1)) and logged[0] > 1, f"{logged[:3]} {logged[-3:]}")
    shutil.copy(metrics, f"{run}/then")
    with open(metrics, "w") as file: # as if the line of the newest checkpoint stood elsewhere
        file.write("".join(open(f"{run}/then").readlines()[5:]))
    before = newest(run)
    code, out = train(run, before + 5)
    logged = updates_logged(run)
    check("no_update_stands_twice_after_continuing", code == 0 and logged == list(range(logged[0], before + 6)) and "not as it was" in out,
          f"{out} {logged[:3]} {logged[-8:]}")


def contents(run):
    return {name: open(f"{run}/{name}", "rb").read() for name in os.listdir(run)}


def a_folder_that_is_moved_while_a_run_writes_it_is_followed(folder):
    run, away = f"{folder}/named", f"{folder}/elsewhere"
    process = start(run, 1000000)
    wait_for(run, 20, process)
    os.rename(run, away)
    code, out = train(run, 2)  # another run under the name that is free now
    check("the_name_that_a_moved_run_had_is_free", code == 0, out)
    before = contents(run)
    wait_for(away, newest(away) + 20, process)
    time.sleep(1.5)  # the files are looked for once a second
    code, out = train(away, 1000000, "train.max_seconds=5")
    check("the_moved_run_still_owns_its_folder_and_says_how_to_stop_it", code == 2 and f"(touch {away}/STOP)" in out, out)
    open(f"{away}/STOP", "w").close()
    try:
        out = process.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        out = process.communicate()[0]
    check("and_a_stop_file_there_stops_it", process.returncode == 10 and not os.path.exists(f"{away}/STOP"), out[-500:])
    check("it_says_once_where_it_goes_on", out.count("named was moved while the run writes it: the run goes on in ") == 1, out[-500:])
    check("its_checkpoints_and_metrics_are_where_the_folder_went",
          newest(away) > 20 and updates_logged(away) == list(range(1, newest(away) + 1)), f"{newest(away)} {os.listdir(away)}")
    check("and_the_run_under_the_old_name_keeps_its_own", contents(run) == before, sorted(os.listdir(run)))


def a_folder_that_is_moved_in_the_middle_of_a_save_is_followed_too(folder):
    run = f"{folder}/restless"
    process = start(run, 1000000)  # saves most of the time
    wait_for(run, 1, process)
    for _ in range(20):
        time.sleep(0.03)
        os.rename(run, f"{run}-")
        run = f"{run}-"
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out = process.communicate(timeout=60)[0]
    check("a_folder_that_is_moved_in_the_middle_of_a_save_is_followed_too", process.returncode == 10 and "left out" not in out, out[-500:])


def a_run_whose_folder_was_removed_leaves_the_next_one_there_alone(folder):
    run = f"{folder}/rubbish"
    process = start(run, 1000000, "checkpoint.interval=0", "checkpoint.seconds=4")
    wait_for(run, 0, process)
    time.sleep(0.5)
    os.rename(run, run + ".rubbish")
    shutil.rmtree(run + ".rubbish")
    train(run, 2)
    before = contents(run)
    out = process.communicate(timeout=120)[0]
    check("a_run_whose_folder_was_removed_ends_at_its_next_save", process.returncode == 5 and "removed" in out, f"{process.returncode} {out[-500:]}")
    check("and_leaves_the_run_that_began_there_alone", contents(run) == before, f"{sorted(os.listdir(run))} {out[-500:]}")


def main():
    random.seed(7)
    folder = tempfile.mkdtemp(prefix="mappo-test-")
    try:
        for promise in (a_kill_at_any_moment_loses_at_most_one_interval, damaged_newest_files_fall_back_with_a_warning,
                        all_damaged_is_an_error_and_never_a_fresh_start, a_second_start_on_a_live_run_is_refused,
                        renamed_checkpoints_are_taken_for_what_they_hold, the_best_checkpoint_is_found_by_content,
                        nothing_of_a_persons_is_replaced, files_that_are_taken_away_while_a_run_writes_them_come_back,
                        a_folder_that_is_moved_while_a_run_writes_it_is_followed,
                        a_folder_that_is_moved_in_the_middle_of_a_save_is_followed_too,
                        a_run_whose_folder_was_removed_leaves_the_next_one_there_alone,
                        a_run_of_a_program_that_rounded_otherwise_says_so_once,
                        a_full_disk_does_not_end_training, a_small_file_system_that_runs_full):
            promise(folder)
    finally:
        shutil.rmtree(folder)
    finish()


main()
