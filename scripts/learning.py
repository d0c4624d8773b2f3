#!/usr/bin/env python3
"""The learning table of docs/benchmarks.md: trains every seed of a setting, evaluates the last checkpoint, summarises over seeds.

    scripts/learning.py NAME --seeds 1-5 --steps 4e6,20e6 [--out docs/data/learning] [--runs runs/learning] key=value ...

Each length is a run of its own (raising train.env_steps continues the shorter one). Writes OUT/NAME.json (every evaluation, mean, interquartile mean and 95 % bootstrap
interval over seeds) and OUT/NAME.csv (training curves, one row per seed and 50 updates). Needs nothing but Python.
"""
import argparse
import concurrent.futures
import csv
import json
import os
import random
import statistics
import subprocess
import sys


def interquartile_mean(values):
    """Mean of the middle half, with fractional weights at its edges (Agarwal et al. 2021)."""
    ordered, n = sorted(values), len(values)
    low, high = n / 4, 3 * n / 4
    weights = [max(0.0, min(i + 1, high) - max(i, low)) for i in range(n)]
    return sum(w * v for w, v in zip(weights, ordered)) / sum(weights)


def bootstrap_interval(values, draws=10000):
    """95 % interval of the mean over seeds."""
    rng = random.Random(0)
    means = sorted(statistics.fmean(rng.choices(values, k=len(values))) for _ in range(draws))
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


def seeds_of(text):
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def run(program, arguments):
    done = subprocess.run([program, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{program} {' '.join(arguments)}: exit code {done.returncode}")
    return done.stdout


def curve(folder, every):
    with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if number % every == 0:
                yield json.loads(line)


def train_and_play(options, seed, steps):
    folder = os.path.join(options.runs, f"{options.name}-s{seed}")
    run(options.program, [f"run={folder}", f"seed={seed}", f"train.env_steps={steps}", "--quiet", *options.settings])
    played = json.loads(run(options.program, ["eval", folder, "--json"]))
    last = list(curve(folder, 1))[-1]
    print(f"{options.name} seed {seed} at {steps}: eval {played['return_mean']:.2f} ± {played['return_stderr']:.2f}, "
          f"training {last['return_mean']:.2f}, {last['seconds']:.0f} s", flush=True)
    return {"deterministic": played["return_mean"], "training_return": last["return_mean"], "seconds": round(last["seconds"], 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--seeds", default="1-5")
    parser.add_argument("--steps", default="4e6")
    parser.add_argument("--out", default="docs/data/learning")
    parser.add_argument("--runs", default="runs/learning")
    parser.add_argument("--program", default="build/mappo")
    parser.add_argument("--every", type=int, default=50, help="updates between two points of a stored curve")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (give threads=… with it)")
    parser.add_argument("settings", nargs="*", metavar="key=value")
    options = parser.parse_intermixed_args()
    seeds, lengths = seeds_of(options.seeds), [int(float(s)) for s in options.steps.split(",")]
    os.makedirs(options.out, exist_ok=True)
    result = {"name": options.name, "settings": options.settings, "seeds": seeds, "lengths": []}
    points = []
    for steps in lengths:
        row = {"env_steps": steps}
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            found = list(pool.map(lambda seed: train_and_play(options, seed, steps), seeds))
        for kind in ("deterministic", "training_return", "seconds"):
            row[kind] = [one[kind] for one in found]
        for kind in ("deterministic", "training_return"):
            low, high = bootstrap_interval(row[kind])
            row[kind + "_mean"] = statistics.fmean(row[kind])
            row[kind + "_iqm"] = interquartile_mean(row[kind])
            row[kind + "_interval95"] = [low, high]
        result["lengths"].append(row)
        print(f"{options.name} at {steps}: mean {row['deterministic_mean']:.2f}, IQM {row['deterministic_iqm']:.2f}, "
              f"95 % {row['deterministic_interval95'][0]:.2f} … {row['deterministic_interval95'][1]:.2f}", flush=True)
    for seed in seeds:
        for line in curve(os.path.join(options.runs, f"{options.name}-s{seed}"), options.every):
            points.append([seed, line["env_steps"], round(line["seconds"], 2), round(line["return_mean"], 3)])
    with open(os.path.join(options.out, options.name + ".json"), "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)
        out.write("\n")
    with open(os.path.join(options.out, options.name + ".csv"), "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["seed", "env_steps", "seconds", "return_mean"])
        writer.writerows(points)


if __name__ == "__main__":
    main()
