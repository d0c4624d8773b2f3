#!/usr/bin/env python3
"""mappo inspect, and what other tools see in a checkpoint."""
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile

from runs import MAPPO, check, finish

try:
    import h5py
except ImportError:
    h5py = None

SMALL = ["rollout.envs=8", "rollout.steps=5", "policy.hidden=16", "ppo.epochs=1", "threads=1", "eval.env_steps=0", "checkpoint.interval=1"]


def mappo(*args):
    done = subprocess.run([MAPPO, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def train(run, updates, *args):
    code, out, err = mappo(f"run={run}", f"train.env_steps={updates * 40}", *SMALL, *args)
    assert code == 0, out + err


def shows(run):
    path = f"{run}/step-000000000160.h5"
    code, out, err = mappo("inspect", f"{run}/latest.h5")
    head, rest = out.split("settings that differ from the defaults")
    changed, others = rest.split("the others")
    check("inspect_shows_the_file_its_rules_and_steps", code == 0 and "latest.h5" in head and "mpe2" in head and "160  environment steps" in rest, out)
    check("inspect_shows_keys_that_differ_first", re.search(r"policy.hidden +16 +.default: 64", changed) and "policy.hidden=" not in others and "ppo.clip=0.2" in others,
          changed)
    check("inspect_shows_parameters_with_their_shape", "agent/actor/fc1/weight" in out and "[16,18]" in out, out)
    code, out, err = mappo("inspect", run)
    check("inspect_of_a_run_takes_its_newest_checkpoint", code == 0 and out.startswith(path), out[:200])
    code, out, err = mappo("inspect", path, "--json")
    told = json.loads(out)
    check("inspect_json_is_one_object_with_everything",
          code == 0 and told["env_steps"] == 160 and told["config"]["policy.hidden"] == "16" and "policy.hidden" in told["changed"]
          and told["bytes"] == os.path.getsize(path), out[:300])
    return told


def other_tools(run, told):
    path = f"{run}/step-000000000160.h5"
    with open(path, "rb") as file:
        header, image = file.read(512), file.read()
    lines = header.decode("ascii").split("\n")
    check("the_header_is_512_bytes_of_text_with_size_and_digest",
          lines[:4] == ["mappo checkpoint", "version 1", f"size {len(image)}", f"sha256 {hashlib.sha256(image).hexdigest()}"], lines)
    for tool, args in (("h5ls", ["-r"]), ("h5dump", ["-H"])):
        if not shutil.which(tool):
            print(f"ok - {tool}_opens_a_checkpoint # SKIP {tool} is not installed")
            continue
        done = subprocess.run([tool, *args, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(f"{tool}_opens_a_checkpoint", done.returncode == 0 and "weight" in done.stdout, done.stdout[:300])
    if not h5py:
        print("ok - h5py_sees_what_inspect_sees # SKIP no h5py here")
        return
    with h5py.File(path) as file:
        found, bare, moved = {}, [], []

        def visit(name, item):
            if not isinstance(item, h5py.Dataset):
                return
            found["/" + name] = (str(item.dtype), list(item.shape))
            if not item.attrs.get("description") or not item.attrs.get("units"):
                bare.append(name)
            if item.chunks or item.compression or item.id.get_offset() is None:
                moved.append(name)

        file.visititems(visit)
        config = {key: value.decode() for key, value in file["config"].attrs.items()}
    check("every_dataset_has_description_and_units", found and not bare, bare)
    check("every_dataset_is_contiguous_without_filters", not moved, moved)
    check("h5py_sees_the_datasets_that_inspect_sees", found == {f["name"]: (f["type"], f["shape"]) for f in told["fields"]}, found)
    check("h5py_sees_the_configuration_that_inspect_sees", config == told["config"], config)


def compares(folder, run):
    train(f"{folder}/halves", 2)
    train(f"{folder}/halves", 4)
    code, out, err = mappo("inspect", f"{run}/latest.h5", f"{folder}/halves/latest.h5")
    check("two_updates_and_two_more_equal_four_bit_for_bit", code == 0 and "the same bit for bit" in out, out)
    spent = [next(f["value"] for f in json.loads(mappo("inspect", path, "--json")[1])["fields"] if f["name"] == "/counters/seconds")
             for path in (run, f"{folder}/halves")]
    check("the_time_that_training_took_differs_and_does_not_count", spent[0] != spent[1] and "/counters/seconds" not in out, f"{spent} {out}")
    code, out, err = mappo("inspect", run, f"{run}/step-000000000120.h5")
    check("other_states_exit_7_and_are_named", code == 7 and "160 against 120" in out and "/policy/agent/actor/fc1/weight" in out, out[:300])
    code, out, err = mappo("inspect", run, f"{run}/step-000000000120.h5", "--json")
    check("other_states_as_json", code == 7 and json.loads(out)["identical"] is False, out[:300])
    train(f"{folder}/seed", 4, "seed=2")
    code, out, err = mappo("inspect", run, f"{folder}/seed")
    check("another_seed_differs_and_the_setting_is_shown", code == 7 and "config/train.seed" in out, out[-500:])
    train(f"{folder}/wide", 4, "policy.hidden=32")
    code, out, err = mappo("inspect", run, f"{folder}/wide")
    check("another_width_differs_in_shapes", code == 7 and "float32 [16,18] against float32 [32,18]" in out, out[:500])


def checks(folder, run):
    count = len(glob.glob(f"{run}/step-*.h5"))
    code, out, err = mappo("inspect", run, "--check")
    check("check_of_a_run_looks_at_every_checkpoint", code == 0 and out.count(": whole (") == count, out)
    bad = f"{folder}/bad.h5"
    shutil.copy(f"{run}/step-000000000160.h5", bad)
    with open(bad, "r+b") as file:
        file.seek(5000)
        file.write(b"mappo")
    code, out, err = mappo("inspect", bad, "--check")
    check("check_of_a_damaged_file_exits_4_with_one_line", code == 4 and err.count("\n") == 1 and "SHA-256 differs" in err, err)
    code, out, err = mappo("inspect", bad, "--check", "--json")
    check("check_of_a_damaged_file_as_json", code == 4 and json.loads(out)["whole"] is False, out)
    for name, what in (("a_missing_file", f"{folder}/none.h5"), ("a_folder_without_checkpoints", "src"), ("a_text", "Makefile")):
        for option in ([], ["--check"]):
            code, out, err = mappo("inspect", what, *option)
            check(f"{name}_exits_4_with_one_line{'_too_with_check' if option else ''}", code == 4 and err.count("\n") == 1 and not out, err)


def main():
    folder = tempfile.mkdtemp(prefix="mappo-test-")
    try:
        run = f"{folder}/run"
        train(run, 4)
        told = shows(run)
        other_tools(run, told)
        compares(folder, run)
        checks(folder, run)
    finally:
        shutil.rmtree(folder)
    finish()


main()
