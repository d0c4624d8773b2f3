"""What the tests of whole runs share: how they start the program, read its files and say what they found."""
import contextlib
import io
import json
import os
import runpy
import subprocess
import sys
import tempfile

SCRIPTS = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "scripts"))
MAPPO = os.path.abspath(os.environ.get("MAPPO", "build/mappo"))
failures = []


def check(name, condition, told=""):
    print(f"ok - {name}" if condition else f"not ok - {name}: {told}", flush=True)
    if not condition:
        failures.append(name)


def finish():
    sys.exit(bool(failures))


def keep(*promises):
    """Calls them in a folder of its own, one after another, and ends the test."""
    with tempfile.TemporaryDirectory(prefix="mappo-test-") as folder:
        os.chdir(folder)
        try:
            for promise in promises:
                promise()
        finally:
            os.chdir("/")
    finish()


def mappo(*args, **options):
    """Exit code, and what it said on both streams."""
    done = subprocess.run([MAPPO, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **options)
    return done.returncode, done.stdout


def script(name, *args):
    """The same of a script in Python; in this process, which so imports what it needs once."""
    said, before = io.StringIO(), sys.argv
    sys.argv = [name, *args]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            runpy.run_path(os.path.join(SCRIPTS, name), run_name="__main__")
        return 0, said.getvalue()
    except SystemExit as end:
        return (end.code, said.getvalue()) if isinstance(end.code, int) else (1, said.getvalue() + str(end.code))
    finally:
        sys.argv = before


def lines(run):
    with open(f"{run}/metrics.jsonl") as file:
        return [json.loads(line) for line in file]
