#!/usr/bin/env python3
"""How fast MADDPG learns here and in PyTorch, measured in turn in one run: its update alone, and whole training.

    scripts/compare_maddpg.py                about two minutes
    scripts/compare_maddpg.py --data FOLDER  writes there instead of docs/data/learners
    scripts/compare_maddpg.py --write        the table of docs/benchmarks.md anew, from what was written; --check: is it the same?

Needs `make` and PyTorch with the environments' package: python3 -m venv V && V/bin/pip install torch mpe2, then
V/bin/python scripts/compare_maddpg.py. (PyPI's torch is two to three gigabytes with what it brings for GPUs, which is not used.)

Both learn simple_spread with three agents, batches of 1,024, two hidden layers of 64, an update for 100 steps. Theirs is
scripts/recorders/_maddpg_torch.py: the same update, and mpe2's environment in Python, one copy, as its users have it. Ours is `mappo bench
algo=maddpg`, 16 copies. Each pair of measurements is one of the program and, right after it, one of each of PyTorch's; medians over pairs.
Of one thread it is processor time, of a process that has one core, which other programs hardly disturb; of several it is time on the clock: be
alone on the machine."""
import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)  # also where python3 -I leaves it out
import compare_speed as speed  # noqa: E402

DATA = os.path.join(HERE, "..", "docs", "data", "learners")
MARKS = "<!-- learners: written by scripts/compare_maddpg.py -->\n", "<!-- learners: end -->\n"
UPDATES = 4  # of a call of ours, 16 x 25 steps
AIMS = {"update": 6, "train": 20}


# ---- their side: processes of their own, which measure whenever they are asked ------------------------------------------------------------


def work(given):
    if given["threads"] == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from recorders import _maddpg_torch as theirs

    original = theirs.Original(given["what"], given["threads"])
    print(json.dumps({"versions": original.versions}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(speed.measure(original.play, float(line))), file=answers, flush=True)


# ---- our side -------------------------------------------------------------------------------------------------------------------------------


def ours(threads):
    """Seconds of an update, and environment steps a second: of processor time, and on the clock."""
    command = [speed.MAPPO, "bench", "algo=maddpg", "env=mpe/simple_spread", "maddpg.updates=%d" % UPDATES, "threads=%d" % threads, "--json"]
    wanted = "1 thread" if threads == 1 else "1 rank, %d threads" % threads
    with subprocess.Popen(command, stdout=subprocess.PIPE, universal_newlines=True) as program:
        for line in program.stdout:
            row = json.loads(line)
            if row.get("case") == wanted:
                program.kill()  # the other cases are not looked at
                each, core = row["us_per_env_step"] * 1e-6, row["cpu_us_per_env_step_median"] * 1e-6
                calls = row["share_update"] * row["env_steps_per_update"] / UPDATES
                return {"update": {"clock": each * calls, "core": core * calls}, "train": {"clock": 1 / each, "core": 1 / core}}
    raise RuntimeError("%s printed no row \"%s\"" % (" ".join(command), wanted))


# ---- pairs ----------------------------------------------------------------------------------------------------------------------------------


def compare(threads, pairs, seconds):
    theirs = {what: speed.Worker({"what": what, "threads": threads}, __file__) for what in AIMS}
    versions = {}
    for worker in theirs.values():
        versions.update(worker.answer()["versions"])
    made = []
    for _ in range(pairs):
        pair = {"ours": ours(threads)}
        pair.update((what, worker.measure(seconds)) for what, worker in theirs.items())
        made.append(pair)
    for worker in theirs.values():
        worker.close()
    return {"threads": threads, "pairs": made}, versions


def summary(row):
    kind = "core" if row["threads"] == 1 else "clock"
    mine, theirs = [pair["ours"] for pair in row["pairs"]], row["pairs"]
    out = {"ours_update": speed.median([m["update"][kind] for m in mine]), "ours_train": speed.median([m["train"][kind] for m in mine]),
           "update": speed.median([1 / t["update"][kind] for t in theirs]), "train": speed.median([t["train"][kind] for t in theirs])}
    ratios = {"update": sorted(1 / t["update"][kind] / m["update"][kind] for m, t in zip(mine, theirs)),
              "train": sorted(m["train"][kind] / t["train"][kind] for m, t in zip(mine, theirs))}
    for what, all_of in ratios.items():
        out[what + "_times"] = (speed.median(all_of), all_of[0], all_of[-1])
    return out


def is_quiet(rows):
    """What a thread of theirs had of its core while one was measured: time on the clock means something then."""
    shares = [pair["update"]["clock"] / pair["update"]["core"] for row in rows if row["threads"] == 1 for pair in row["pairs"]]
    return bool(shares) and speed.median(shares) >= speed.QUIET


def run(given):
    if not os.path.exists(speed.MAPPO):
        sys.exit("compare_maddpg.py: %s is not there: `make` builds it" % os.path.normpath(speed.MAPPO))
    missing = [name for name in ("torch", "mpe2") if not importlib.util.find_spec(name)]
    if missing:
        sys.exit("compare_maddpg.py: not installed: %s; %s -m pip install %s" % (", ".join(missing), sys.executable, " ".join(missing)))
    rows, versions = [], {}
    for threads in sorted({1, given.threads}):
        try:
            row, versions = compare(threads, given.pairs, given.seconds)
        except RuntimeError as error:
            sys.exit("compare_maddpg.py: %s" % error)
        rows.append(row)
        s = summary(row)
        print("%d thread%s: an update %.2f ms here, %.2f ms in PyTorch: %s times; training %s/s here, %s/s in PyTorch: %s times"
              % (threads, "" if threads == 1 else "s", s["ours_update"] * 1e3, s["update"] * 1e3, speed.times(s["update_times"]),
                 speed.number(s["ours_train"]), speed.number(s["train"]), speed.times(s["train_times"])), flush=True)
    if not is_quiet(rows):
        print("other programs computed as well: what several threads reach means nothing")
    program = subprocess.run([speed.MAPPO, "version"], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()[0]
    data = {"program": program, "versions": versions, "processor": speed.processor(), "date": time.strftime("%Y-%m-%d"), "rows": rows}
    os.makedirs(given.data, exist_ok=True)
    with open(os.path.join(given.data, "maddpg.json"), "w") as file:
        json.dump(data, file, indent=1)
        file.write("\n")
    return 0


def table(folder):
    path = os.path.join(folder, "maddpg.json")
    if not os.path.exists(path):
        return "Not measured yet.\n"
    data = speed.read(path)
    lines = ["| threads | an update | in PyTorch | times | env-steps/s, training | in PyTorch, with mpe2 | times |", "|---|---|---|---|---|---|---|"]
    for row in data["rows"]:
        s = summary(row)
        cells = ["%.2f ms" % (s["ours_update"] * 1e3), "%.2f ms" % (s["update"] * 1e3), speed.times(s["update_times"], AIMS["update"]),
                 speed.number(s["ours_train"]), speed.number(s["train"]), speed.times(s["train_times"], AIMS["train"])]
        if row["threads"] > 1 and not is_quiet(data["rows"]):
            cells = ["busy"] + [""] * 5
        lines.append("| %d | %s |" % (row["threads"], " | ".join(cells)))
    made = ", ".join("%s %s" % item for item in sorted(data["versions"].items()))
    lines += ["", "%s, %s (%s); %s." % (data["date"], data["program"].split(",")[0].replace("(", ""), made, data["processor"])]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="the table of docs/benchmarks.md")
    parser.add_argument("--check", action="store_true", help="is it up to date?")
    parser.add_argument("--data", metavar="FOLDER", default=DATA)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2, help="of a measurement of PyTorch's, at least")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(json.loads(given.work))
    if given.write or given.check:
        return speed.write_page(os.path.basename(__file__), MARKS, table(given.data), given.check)
    return run(given)


if __name__ == "__main__":
    sys.exit(main())
