#!/usr/bin/env python3
"""Cuts the cases that the tests need out of full recordings of environments, keeping layout, attributes and file names.

    tests/data/cut_env.py FOLDER [OUT]      FOLDER holds mpe2.h5, onpolicy_mpe.h5 and classic.h5; OUT is tests/data/env

Of every simple_spread case the first EPISODES episodes stay, and of mpe2's generator the first SEEDS seeds and the last; of classic control
the episodes of CLASSIC, some of them in part. Needs h5py and NumPy."""
import os
import sys

import h5py
import numpy

EPISODES = {"simple_spread_v3_N6": 1}  # the others keep 2
SEEDS = [0, 1, 2, 8]
WHOLE = 10**6
CLASSIC = {  # episode: its first steps
    "Acrobot-v1": {1: WHOLE, 2: WHOLE, 3: WHOLE, 4: WHOLE},
    "CartPole-v1": {0: WHOLE, 8: WHOLE, 9: WHOLE},
    "MountainCar-v0": {1: WHOLE, 3: WHOLE},
    "MountainCarContinuous-v0": {0: 200, 1: WHOLE, 2: WHOLE, 3: 200},
    "Pendulum-v1": {0: WHOLE, 3: WHOLE},
}


def copy_attributes(source, target):
    for name, value in source.attrs.items():
        target.attrs[name] = value


def cut(source, target, rows):
    """One group: datasets lose what isn't in `rows` of their first axis; those named next_* follow episode 0 and stay whole."""
    copy_attributes(source, target)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            cut(item, target.create_group(name), rows)
            continue
        data = item[...] if name.startswith("next_") else item[...][[r for r in rows if r < item.shape[0]]]
        copy_attributes(item, target.create_dataset(name, data=data))


def cut_steps(source, target, episodes):
    """A group whose episodes lie one after the other: those in `episodes` stay, as many steps as it says of each."""
    copy_attributes(source, target)
    target.attrs["policy"] = source.attrs["policy"][list(episodes)]
    start = source["episode_start"][...]
    kept = [numpy.arange(start[e], min(start[e + 1], start[e] + steps)) for e, steps in episodes.items()]
    for name, item in source.items():
        if name == "episode_start":
            data = numpy.cumsum([0] + [len(rows) for rows in kept])
        elif item.shape[0] == start[-1]:
            data = item[...][numpy.concatenate(kept)]
        else:
            data = item[...][list(episodes)]
        copy_attributes(item, target.create_dataset(name, data=data.astype(item.dtype)))


def main():
    folder = sys.argv[1]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "env")
    for file in ("mpe2.h5", "onpolicy_mpe.h5", "classic.h5"):
        with h5py.File(os.path.join(folder, file)) as source, h5py.File(os.path.join(out, file), "w", libver=("earliest", "v108")) as target:
            copy_attributes(source, target)
            target.attrs["cut"] = numpy.bytes_("by tests/data/cut_env.py")
            for name, group in source.items():
                if name.startswith("simple_spread"):
                    cut(group, target.create_group(name), range(EPISODES.get(name, 2)))
                elif name in CLASSIC:
                    cut_steps(group, target.create_group(name), CLASSIC[name])
                elif name == "rng":
                    cut(group, target.create_group(name), SEEDS)


if __name__ == "__main__":
    main()
