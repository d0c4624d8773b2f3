#!/usr/bin/env python3
"""TensorBoard's page HParams of runs that were trained with metrics.tensorboard=1: their settings beside what they reached.

  scripts/tensorboard_hparams.py runs/*            then: tensorboard --logdir runs
  scripts/tensorboard_hparams.py runs/* --all      every setting, not only those in which the runs differ

Each run gets one more file of events, which a second call replaces. Runs that are still at work are left out: TensorBoard follows the newest file of
a folder. Needs the package tensorboard (pip or conda: tensorboard)."""
import argparse
import configparser
import os
import sys

ALWAYS = ("env.name", "algo.name", "train.seed")
NOT_TOLD = ("run.dir", "train.threads")
SUFFIX = ".hparams"
METRICS = (("rollout/ep_rew_mean", "training return"), ("eval/mean_reward", "evaluation"), ("time/fps", "env-steps/s"))


def fail(text):
    print(f"tensorboard_hparams.py: {text}", file=sys.stderr)
    sys.exit(2)


def typed(text):
    """TensorBoard's hyper-parameters are truth values, numbers or texts."""
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        return text


def read_run(folder):
    """Settings by their full names, and when the run began."""
    ini = os.path.join(folder, "config.ini")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    try:
        with open(ini, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, configparser.Error) as error:
        fail(f"{folder}: is no run's folder ({error})".replace("\n", " "))
    metrics = os.path.join(folder, "metrics.jsonl")
    settings = {f"{section}.{key}": value for section in parser.sections() for key, value in parser.items(section)}
    return {"folder": folder, "settings": settings, "began": os.path.getmtime(ini), "ended": os.path.getmtime(metrics if os.path.exists(metrics) else ini)}


def events_of(folder):
    """Names of the files of events that the run wrote, and that we did."""
    names = [name for name in sorted(os.listdir(folder)) if name.startswith("events.out.tfevents.")]
    return [name for name in names if not name.endswith(SUFFIX)], [name for name in names if name.endswith(SUFFIX)]


def is_at_work(folder):
    return os.path.exists(os.path.join(folder, "lock"))


def differing(runs):
    keys = sorted(set().union(*(run["settings"] for run in runs)))
    return [key for key in keys if key not in NOT_TOLD and len({run["settings"].get(key) for run in runs}) > 1]


def domain(board, values):
    """What TensorBoard's columns are sorted and filtered by."""
    if all(isinstance(value, float) for value in values) and len(set(values)) > 1:
        return board.RealInterval(min(values), max(values))
    return board.Discrete(sorted(set(values)))


def typed_values(runs, key):
    """[run folder] -> value, all of one kind: texts where they differ in that."""
    texts = {run["folder"]: run["settings"][key] for run in runs if key in run["settings"]}
    values = {folder: typed(text) for folder, text in texts.items()}
    return values if len({type(value) for value in values.values()}) == 1 else texts


def experiment(board, values):
    hparams = [board.HParam(key, domain(board, list(of_runs.values()))) for key, of_runs in values.items()]
    return board.hparams_config_pb(hparams, [board.Metric(tag, display_name=name) for tag, name in METRICS])


def session_end(end):
    """That it is over: tensorboard.plugins.hparams.summary has a function for it, but needs TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    told = plugin_data_pb2.HParamsPluginData(session_end_info=plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=end))
    value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=metadata.create_summary_metadata(told), tensor=metadata.NULL_TENSOR)
    return Summary(value=[value])


def write(run, values, board, writer, event):
    chosen = {key: of_runs[run["folder"]] for key, of_runs in values.items() if run["folder"] in of_runs}
    name = os.path.basename(os.path.normpath(run["folder"]))
    summaries = [experiment(board, values), board.hparams_pb(chosen, trial_id=name, start_time_secs=run["began"]), session_end(run["ended"])]
    out = writer(run["folder"], filename_suffix=SUFFIX)
    for summary in summaries:
        out.add_event(event(wall_time=run["began"], summary=summary))
    out.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder")
    parser.add_argument("--all", action="store_true", help="every setting")
    args = parser.parse_args()
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        fail(f"needs the package tensorboard ({error})")
    runs = []
    for folder in args.runs:
        run = read_run(folder)
        if is_at_work(folder):
            print(f"tensorboard_hparams.py: {folder} has a lock: it is at work, or was killed, and is left out", file=sys.stderr)
        elif not events_of(folder)[0]:
            print(f"tensorboard_hparams.py: {folder} has no events: it was trained without metrics.tensorboard=1, and is left out", file=sys.stderr)
        else:
            runs.append(run)
    if not runs:
        fail("no run is left")
    keys = sorted(set().union(*(run["settings"] for run in runs))) if args.all else sorted(set(differing(runs)) | set(ALWAYS))
    values = {key: typed_values(runs, key) for key in keys}
    for run in runs:
        for name in events_of(run["folder"])[1]:
            os.unlink(os.path.join(run["folder"], name))
        write(run, values, summary_v2, EventFileWriter, Event)
    above = os.path.commonpath([os.path.dirname(os.path.abspath(run["folder"])) for run in runs])
    print(f"{len(runs)} run{'s' * (len(runs) > 1)}, {len(keys)} settings: tensorboard --logdir {os.path.relpath(above)}")


if __name__ == "__main__":
    main()
