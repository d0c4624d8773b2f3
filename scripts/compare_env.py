#!/usr/bin/env python3
"""Records environments from the packages that they come from, and compares this program with what was recorded.

    scripts/compare_env.py smax/27m_vs_30m smax/smacv2_10_units     these
    scripts/compare_env.py --list                                   what can be recorded
    scripts/compare_env.py --keep FOLDER --episodes 4 --seed 7 NAME ...

Needs `make all tests`, NumPy, h5py and the package itself (smax: jaxmarl); a Python that has them is enough, nothing is installed. One file
a name is written, in a folder of its own that is removed again unless --keep says where it should stay, and read by build/tests/parity
and parity_double, which say what differs. Exit code 0: nothing does.

A suite is a module of scripts/recorders: NAMES, versions() and record(file, name, episodes, seed). Which is faster: compare_speed.py."""
import argparse
import importlib
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)


def suites():
    files = sorted(os.listdir(os.path.join(HERE, "recorders")))
    return [file[:-3] for file in files if file.endswith(".py") and not file.startswith("_")]


def recorder(name):
    """The module that records `name`, which it knows."""
    suite = name.split("/")[0]
    if suite not in suites():
        sys.exit("compare_env.py: nothing records %s; there are %s (--list names all)" % (name, ", ".join(suites())))
    module = importlib.import_module("recorders." + suite)
    if name not in module.NAMES:
        sys.exit("compare_env.py: %s is none of %s" % (name, ", ".join(module.NAMES)))
    return module


def versions_of(module, name):
    try:
        import h5py
        import numpy

        versions = dict(module.versions(), python=sys.version.split()[0], numpy=numpy.__version__, h5py=h5py.__version__)
    except ImportError as missing:
        sys.exit("compare_env.py: %s needs a package that is not there: %s" % (name, missing))
    text = ", ".join("%s %s" % item for item in versions.items())
    print("%s: %s" % (name, text), flush=True)
    return text


def record(name, folder, episodes, seed):
    import h5py
    import numpy

    module = recorder(name)
    versions = versions_of(module, name)
    with h5py.File(os.path.join(folder, name.replace("/", "_") + ".h5"), "w", libver=("earliest", "v108")) as file:
        file.attrs["source"] = numpy.bytes_(versions)
        file.attrs["made"] = numpy.bytes_("by scripts/compare_env.py %s, %d episodes, seed %d" % (name, episodes, seed))
        module.record(file, name, episodes, seed)


BUILD = os.environ.get("BUILD", os.path.join(HERE, "..", "build"))


def compare(folder):
    programs = [os.path.join(BUILD, "tests", program) for program in ("parity_double", "parity")]
    for program in programs:
        if not os.path.exists(program):
            sys.exit("compare_env.py: %s is not there: `make all tests` builds it" % program)
    return max([subprocess.call([program, folder]) for program in programs])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help="an environment or variant")
    parser.add_argument("--list", action="store_true", help="what can be recorded")
    parser.add_argument("--keep", metavar="FOLDER", help="where recordings stay")
    parser.add_argument("--episodes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.list:
        for suite in suites():
            print("\n".join(importlib.import_module("recorders." + suite).NAMES))
        return 0
    if not given.name:
        parser.error("which environment? --list names those that can be recorded")
    with tempfile.TemporaryDirectory(prefix="mappo-compare.") as folder:
        if given.keep:
            folder = given.keep
            os.makedirs(folder, exist_ok=True)
        for name in given.name:
            record(name, folder, given.episodes, given.seed)
        return compare(folder)


if __name__ == "__main__":
    sys.exit(main())
