"""What the tests of whole runs share: how they start the program, read its files and say what they found."""
import json
import os
import subprocess
import sys

MAPPO = os.path.abspath(os.environ.get("MAPPO", "build/mappo"))
failures = []


def check(name, condition, told=""):
    print(f"ok - {name}" if condition else f"not ok - {name}: {told}", flush=True)
    if not condition:
        failures.append(name)


def finish():
    sys.exit(bool(failures))


def mappo(*args, **options):
    """Exit code, and what it said on both streams."""
    done = subprocess.run([MAPPO, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **options)
    return done.returncode, done.stdout


def lines(run):
    with open(f"{run}/metrics.jsonl") as file:
        return [json.loads(line) for line in file]
