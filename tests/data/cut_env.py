#!/usr/bin/env python3
"""Cuts the cases that the tests need out of full recordings of environments, keeping layout, attributes and file names.

    tests/data/cut_env.py FOLDER [OUT]      FOLDER holds some of the files of FILES; OUT is tests/data/env

Of the cases in STEPS the episodes listed there stay, some of them in part. Of mpe2.h5 and onpolicy_mpe.h5 the first FIRST_STEPS steps of every
first episode, of those in TWO_EPISODES two whole ones, and of mpe2's generator the first SEEDS seeds and the last; where these episodes are cut,
only what is compared stays: no descriptions, and no flags. mpe2's simple_spread becomes a file of its own, SPREAD: no file has more than 200 kB.
smax_*.h5 and the games' variants are recordings of scripts/compare_env.py --keep FOLDER. Needs h5py and NumPy."""
import os
import sys

import h5py
import numpy

SPREAD = "mpe2_spread.h5"
FILES = ["mpe2.h5", SPREAD, "onpolicy_mpe.h5", "classic.h5", "lbf.h5", "rware.h5", "smax.h5", "smax_27m_vs_30m.h5", "smax_smacv2_10_units.h5"]
FILES += ["overcooked.h5", "overcooked_asymm_advantages.h5", "overcooked_forced_coord.h5", "overcooked_counter_circuit.h5"]
FILES += ["hanabi.h5", "hanabi_3p.h5", "hanabi_4p.h5", "hanabi_5p.h5", "hanabi_small.h5", "hanabi_very_small.h5"]
TWO_EPISODES = ("simple_spread", "simple_spread_N2", "simple_spread_crowded", "simple_spread_v3", "simple_spread_v3_N2", "simple_spread_v3_crowded")
FIRST_STEPS = 5
COMPARED = ("environment", "kwargs", "start", "steps", "obs_dims")
SEEDS = [0, 1, 2, 8]
WHOLE = 10**6
STEPS = {  # case: {episode: its first steps; less than 0: its last ones}
    "Acrobot-v1": {1: WHOLE, 2: WHOLE, 3: WHOLE, 4: WHOLE},
    "CartPole-v1": {0: WHOLE, 8: WHOLE, 9: WHOLE},
    "MountainCar-v0": {1: WHOLE, 3: WHOLE},
    "MountainCarContinuous-v0": {0: 200, 1: WHOLE, 2: WHOLE, 3: 200},
    "Pendulum-v1": {0: WHOLE, 3: WHOLE},
    "Foraging-8x8-2p-3f-v3": {0: 10, 1: WHOLE, 4: WHOLE, 7: WHOLE},
    "Foraging-8x8-3p-3f-v3": {2: 20, 5: WHOLE, 7: WHOLE},
    "Foraging-10x10-3p-3f-v3": {0: 10, 3: WHOLE, 5: WHOLE},
    "Foraging-8x8-2p-3f-coop-v3": {0: 10, 3: WHOLE, 6: WHOLE},
    "Foraging-2s-8x8-2p-3f-v3": {2: WHOLE, 5: WHOLE, 6: WHOLE},
    "Foraging-2s-10x10-3p-3f-v3": {0: 20, 5: WHOLE, 6: 20},
    "rware-tiny-2ag-v2": {0: 140, 1: 30, 2: 50},
    "rware-small-4ag-v2": {0: 75, 1: 20, 2: 45},
    "cramped_room": {0: WHOLE},
    "coord_ring": {1: WHOLE},
    "asymm_advantages": {0: WHOLE, 1: 30},
    "forced_coord": {0: WHOLE, 1: 30},
    "counter_circuit": {0: WHOLE, 1: 30},
    "hanabi_2p": {0: WHOLE, 1: WHOLE},
    "hanabi_3p": {0: WHOLE},
    "hanabi_4p": {0: WHOLE},
    "hanabi_5p": {0: WHOLE},
    "hanabi_small": {0: WHOLE, 1: WHOLE},
    "hanabi_very_small": {0: WHOLE, 1: WHOLE},
    "2s3z": {0: -6},
    "2s3z_max_steps_10": {0: -3},
    "3m": {0: WHOLE, 3: -7},
    "27m_vs_30m": {0: -9},
    "smacv2_10_units": {0: -10, 1: 3},
}
OBS_ROWS = {"27m_vs_30m": [5], "smacv2_10_units": [0, 4, 8, 11]}  # rows that keep `obs_before`, which is wide; then `last_*` goes as well
SEEN = {"hanabi_4p": 3, "hanabi_5p": 3}  # of the observations that `obs_row` lists so many stay, the last ones


def copy_attributes(source, target):
    for name, value in source.attrs.items():
        target.attrs[name] = value


def cut(source, target, rows, whole):
    """One group: datasets lose what isn't in `rows` of their first axis; those named next_* follow episode 0 and stay."""
    for name, value in source.attrs.items():
        if whole or name in COMPARED:
            target.attrs[name] = value
    steps = source["reward"].shape[1] if "reward" in source else 0
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            cut(item, target.create_group(name), rows, whole)
            continue
        if not whole and name in ("terminated", "truncated", "done"):
            continue
        data = item[...] if name.startswith("next_") else item[...][[r for r in rows if r < item.shape[0]]]
        if not whole and item.ndim > 2 and item.shape[1] in (steps, steps + 1):
            data = data[:, : FIRST_STEPS + item.shape[1] - steps]
        data = target.create_dataset(name, data=data)
        if whole:
            copy_attributes(item, data)


def cut_seen(source, target, rows, most):
    """Observations after the steps that `obs_row` lists, of which those in `rows` stay, at most so many."""
    place = {row: k for k, row in enumerate(rows)}
    kept = [k for k, row in enumerate(source["obs_row"][...]) if row in place][-most:]
    copy_attributes(source["obs"], target.create_dataset("obs", data=source["obs"][...][kept]))
    data = numpy.array([place[source["obs_row"][k]] for k in kept], source["obs_row"].dtype)
    copy_attributes(source["obs_row"], target.create_dataset("obs_row", data=data))


def cut_steps(source, target, episodes, obs_rows):
    """A group whose episodes lie one after the other: those in `episodes` stay, as many steps as it says of each."""
    copy_attributes(source, target)
    if "policy" in source.attrs:
        target.attrs["policy"] = source.attrs["policy"][list(episodes)]
    start = source["episode_start"][...]
    rows = [numpy.arange(start[e], start[e + 1]) for e in episodes]
    kept = [row[:steps] if steps > 0 else row[steps:] for row, steps in zip(rows, episodes.values())]
    if "obs_row" in source:
        cut_seen(source, target, numpy.concatenate(kept), SEEN.get(source.name[1:], WHOLE))
    for name, item in source.items():
        if name in target:
            continue
        if name == "episode_start":
            data = numpy.cumsum([0] + [len(row) for row in kept])
        elif name.startswith("first_episode_"):
            if 0 not in episodes:
                continue
            data = item[...][kept[0]]
        elif name.startswith("last_") and obs_rows:
            continue
        elif item.shape[0] == start[-1]:
            data = item[...][numpy.concatenate(kept)]
        elif item.shape[0] == len(start) - 1:
            data = item[...][list(episodes)]
        else:
            data = item[...]
        if name == "obs_before" and obs_rows:
            data = data[obs_rows]
            target.create_dataset("obs_row", data=numpy.int32(obs_rows)).attrs["description"] = numpy.bytes_("rows whose observations are in obs_before")
        copy_attributes(item, target.create_dataset(name, data=data.astype(item.dtype)))


def main():
    folder = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "env")
    for file in FILES:
        recording = os.path.join(folder, "mpe2.h5" if file == SPREAD else file)
        if not os.path.exists(recording):
            continue
        with h5py.File(recording) as source, h5py.File(os.path.join(out, file), "w", libver=("v108", "v108")) as target:
            copy_attributes(source, target)
            target.attrs["cut"] = numpy.bytes_("by tests/data/cut_env.py")
            for name, group in source.items():
                if "mpe2" in file and name.startswith("simple_spread") != (file == SPREAD):
                    continue
                if name in STEPS:
                    cut_steps(group, target.create_group(name), STEPS[name], OBS_ROWS.get(name))
                elif name == "rng":
                    cut(group, target.create_group(name), SEEDS, True)
                elif "mpe" in file:
                    cut(group, target.create_group(name), range(2 if name in TWO_EPISODES else 1), name in TWO_EPISODES)


if __name__ == "__main__":
    main()
