#!/usr/bin/env python3
"""Cuts the cases that the tests need out of full recordings of environments, keeping layout, attributes and file names.

    tests/data/cut_env.py FOLDER [OUT]      FOLDER holds mpe2.h5 and onpolicy_mpe.h5; OUT is tests/data/env

Of every case the first STEPS steps of the first episode stay, of simple_spread two whole episodes, and of mpe2's generator the first SEEDS
seeds and the last. Where episodes are cut, only what is compared stays: no descriptions, and no flags. Needs h5py and NumPy."""
import os
import sys

import h5py
import numpy

TWO_EPISODES = ("simple_spread", "simple_spread_N2", "simple_spread_crowded", "simple_spread_v3", "simple_spread_v3_N2", "simple_spread_v3_crowded")
STEPS = 5
COMPARED = ("environment", "kwargs", "start", "steps", "obs_dims")
SEEDS = [0, 1, 2, 8]


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
            data = data[:, : STEPS + item.shape[1] - steps]
        data = target.create_dataset(name, data=data)
        if whole:
            copy_attributes(item, data)


def main():
    folder = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "env")
    for file in ("mpe2.h5", "onpolicy_mpe.h5"):
        with h5py.File(os.path.join(folder, file)) as source, h5py.File(os.path.join(out, file), "w", libver=("v108", "v108")) as target:
            copy_attributes(source, target)
            target.attrs["cut"] = numpy.bytes_("by tests/data/cut_env.py")
            for name, group in source.items():
                whole = name == "rng" or name.startswith("simple_spread")
                cut(group, target.create_group(name), SEEDS if name == "rng" else range(2 if name in TWO_EPISODES else 1), whole)


if __name__ == "__main__":
    main()
