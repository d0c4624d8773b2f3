#!/usr/bin/env python3
"""scripts/mappo.py plays every kind of policy as the program does: what networks make, what is chosen, what the environment gets."""
import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(SOURCE, "scripts")]
try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"ok - policies_in_numpy # SKIP {missing}")
    sys.exit(0)
import mappo  # noqa: E402
import policies  # noqa: E402
from runs import check, keep  # noqa: E402


def largest(a, b):
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max()) if np.size(a) else 0.0


def follows(name, group, policy, file):
    """Raw outputs to 1e-5 (a step from recorded states), choices exactly where no two are as good, and 100 steps on its own to 1e-4."""
    rows, end = file[group], {key: file["episodes"][key][()] for key in ("start", "length", "begins")}
    obs = rows["obs"][()]
    made = policy.forward(obs, rows["network_state"][()] if policy.recurrent else None)
    output = rows["network_output"][()]
    check(f"{name}_{group}_makes_what_the_program_made", largest(made.output, output) < 1e-5 and np.abs(output).max() > 0.1, f"{largest(made.output, output)} of {np.abs(output).max()}")
    if "network_log_std" in rows:
        check(f"{name}_{group}_deviates_as_it_did", largest(made.log_std, rows["network_log_std"][()]) < 1e-5, largest(made.log_std, rows["network_log_std"][()]))
    if policy.recurrent:
        state, far = None, 0.0
        for t in range(min(100, end["length"][0])):
            check_begin = end["begins"][end["start"][0] + t] == (t == 0)
            one = policy.forward(obs[end["start"][0] + t], state)
            state, far = one.state, max(far, largest(one.output, output[end["start"][0] + t])) if check_begin else 1e9
        check(f"{name}_{group}_remembers_by_itself", far < 1e-4, far)
    if "deterministic=0" in policies.POLICIES[name][1]:
        return
    integers, reals = policy.choose(made, rows["act_mask"][()] if "act_mask" in rows else None)
    acts = rows["active"][()] != 0 if "active" in rows else np.ones(obs.shape[:2], bool)
    if "act_int" in rows:
        check(f"{name}_{group}_chooses_what_it_chose", (integers == rows["act_int"][()])[acts].all() and acts.any(), integers[acts][:3])
    if "act_real" in rows:
        check(f"{name}_{group}_acts_in_its_reals", largest(reals[acts], rows["act_real"][()][acts]) < 1e-5, largest(reals[acts], rows["act_real"][()][acts]))


def every_policy():
    for name in policies.POLICIES:
        code, out = policies.train(name)
        code = code or policies.record(name, f"{name}.h5")[0]
        check(f"{name}_is_trained_and_recorded", code == 0, out[-500:])
        if code:
            continue
        with h5py.File(f"{name}.h5", "r") as file:
            for group in mappo.Checkpoint(name).groups:
                follows(name, group, mappo.load(name, group=group), file)


def environments_actions():
    pendulum = np.array([[0.5, -0.8, 1.0], [-0.1, 0.9, -3.0], [1, 0, 8]])
    for name, low, high in ("squash", -2, 2), ("rescale", -2, 2), ("ddpg", -2, 2), ("sac", -2, 2):
        policy = mappo.load(name)
        action, state = policy.act(pendulum)
        z = policy.forward(pendulum).output
        want = low + (np.clip(z if name == "rescale" else np.tanh(z), -1, 1) + 1) / 2 * (high - low)
        check(f"{name}_is_stretched_over_the_environments_bounds", largest(action, want) < 1e-12 and state is None, (action, want))
    bins = mappo.load("bins")
    action, _ = bins.act(np.concatenate([pendulum, pendulum], axis=1))
    check("choices_among_bins_become_reals", set(action.ravel()) <= {-2.0, -1.0, 0.0, 1.0, 2.0} and action.shape == (3, 1), action)
    check("what_wrappers_show_is_told", bins.wrappers == {"wrap.stack_obs": "2"}, bins.wrappers)
    draws = [mappo.load("squash").act(pendulum, deterministic=False, rng=np.random.default_rng(7))[0] for _ in range(2)]
    check("draws_follow_the_generator_and_are_no_means", (draws[0] == draws[1]).all() and (draws[0] != mappo.load("squash").act(pendulum)[0]).all(), draws)
    z = mappo.Made(np.zeros((20000, 1)), np.full((20000, 1), np.log(0.4)), None)
    drawn = mappo.load("squash").choose(z, deterministic=False, rng=np.random.default_rng(1))[1]
    check("deviations_are_the_runs", abs(drawn.std() - 0.4) < 0.01 and abs(drawn.mean()) < 0.01, (drawn.mean(), drawn.std()))
    spread = mappo.load("mlp")
    obs, made = np.zeros((20000, 18)), spread.forward(np.zeros(18))
    p = np.exp(made.output) / np.exp(made.output).sum()
    drawn = np.bincount(spread.act(obs, deterministic=False, rng=np.random.default_rng(1))[0], minlength=5) / 20000
    check("choices_are_drawn_by_their_probabilities", largest(drawn, p) < 0.015, (drawn, p))
    only = np.eye(5)[[3] * len(obs)]
    check("and_never_where_the_mask_forbids", (spread.act(obs, only, deterministic=False)[0] == 3).all() and spread.act(obs[0], only[0])[0] == 3)


def several_spaces():
    runner = mappo.load("gru", group="runner")
    action, state = runner.act(np.zeros((7, 3, 8)))
    check("several_spaces_are_a_tuple_of_their_own_shapes", [a.shape for a in action] == [(7, 3), (7, 3, 2), (7, 3, 3), (7, 3, 2)] and state.shape == (7, 3, 12), [a.shape for a in action])
    check("values_begin_at_the_spaces_start", action[0].min() >= 2 and action[1][..., 1].min() >= 5, action)
    apart = mappo.load("apart")
    obs = np.random.default_rng(0).standard_normal((4, 3, 18))
    together, each = apart.forward(obs), [mappo.load("apart", agent=a).forward(obs[:, a]).output for a in range(3)]
    check("each_agent_has_its_own_network", largest(together.output, np.stack(each, 1)) == 0 and largest(each[0], each[1]) > 1e-3)


def refused(name, call, *words):
    try:
        call()
        told = "nothing"
    except mappo.Problem as problem:
        told = str(problem)
    check(name, all(word in told for word in words), told)


def problems():
    refused("several_groups_want_a_name", lambda: mappo.load("gru"), "several groups", "runner, watcher")
    refused("another_group_is_told_those_there", lambda: mappo.load("gru", group="agent"), "no actor of group agent", "runner, watcher")
    refused("an_agent_too_many", lambda: mappo.load("apart", agent=3), "0 to 2")
    refused("another_width", lambda: mappo.load("mlp").act(np.zeros(17)), "18 numbers", "(17,)")
    refused("agents_apart_want_an_axis", lambda: mappo.load("apart").act(np.zeros(18)), "obs [..., 3, 18]")
    refused("a_recording_is_no_policy", lambda: mappo.load("mlp.h5"), "holds episodes")
    refused("nothing_there", lambda: mappo.load("nowhere"), "no such run")
    refused("no_best_yet", lambda: mappo.load("mlp", "best"), "no best checkpoint")
    file = os.path.realpath("mlp/latest.h5")
    shutil.copy(file, "damaged.h5")
    with open("damaged.h5", "r+b") as damaged:
        damaged.seek(-100, 2)
        damaged.write(b"x")
    refused("a_damaged_file", lambda: mappo.load("damaged.h5"), "SHA-256")
    shutil.copy("damaged.h5", "mlp/step-000000000999.h5")
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {os.path.join(SOURCE, 'scripts')!r}); import mappo; print(mappo.load('mlp').checkpoint.path)"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check("a_run_falls_back_to_what_is_whole", done.stdout.strip().endswith("step-000000000160.h5"), done)


def older(name):
    """A copy of its checkpoint as older programs wrote them: without `spaces` and `action_heads`."""
    file = f"{name}-older.h5"
    shutil.copy(os.path.realpath(f"{name}/latest.h5"), file)
    with h5py.File(file, "r+") as old:
        del old.attrs["spaces"], old.attrs["action_heads"]
    with open(file, "r+b") as whole:
        text, told = whole.read(), mappo.header(file)
        head = text[:512].replace(told["sha256"].encode(), hashlib.sha256(text[512:]).hexdigest().encode())
        head = head.replace(f"size {told['size']}\n".encode(), f"size {len(text) - 512}\n".encode())
        whole.seek(0)
        whole.write(head[:512].ljust(512))
    return file


def files_of_older_programs():
    obs = np.random.default_rng(3).standard_normal((6, 18))
    check("older_files_play_choices", (mappo.load(older("mlp")).act(obs)[0] == mappo.load("mlp").act(obs)[0]).all())
    rod = older("rescale")
    refused("bounds_that_no_file_tells_are_asked_for", lambda: mappo.load(rod).act(obs[:, :3]), "bounds=(low, high)")
    check("and_taken", largest(mappo.load(rod, bounds=(-2, 2)).act(obs[:, :3])[0], mappo.load("rescale").act(obs[:, :3])[0]) == 0)
    refused("images_that_no_file_tells_of", lambda: mappo.load(older("image")), "how its images lie")


def best_of_a_run():
    settings = [*policies.SMALL, *policies.PPO, "env=mpe/simple_spread", "train.env_steps=800"]
    code, out = policies.mappo("run=several", *[item for item in settings if not item.startswith("eval.env_steps")], "eval.interval=1", "eval.episodes=4", "checkpoint.keep=9", "checkpoint.interval=1")
    best = os.path.realpath("several/best.h5")
    check("the_best_of_a_run_is_found", code == 0 and os.path.realpath(mappo.load("several", "best").checkpoint.path) == best, (out[-300:], best))
    check("and_the_newest", os.path.realpath(mappo.load("several").checkpoint.path) == os.path.realpath("several/latest.h5"))


def snippet():
    """What docs/checkpoint-format.md prints of itself works for every policy."""
    with open(os.path.join(SOURCE, "docs", "checkpoint-format.md"), encoding="utf-8") as page:
        example = page.read().split("```python\n")[1].split("```")[0]
    for name in policies.POLICIES:
        for group in mappo.Checkpoint(name).groups:
            policy = mappo.load(name, group=group, agent=0)
            obs = np.sin(np.arange(policy.inputs) + 1)
            text = ",".join(f"{x:.9g}" for x in obs)
            said, before, sys.argv = io.StringIO(), sys.argv, ["read_policy.py", os.path.realpath(f"{name}/latest.h5"), text, group, "0"]
            with contextlib.redirect_stdout(said):
                exec(compile(example, "read_policy.py", "exec"), {"__name__": "__main__"})  # pylint: disable=exec-used
            printed, sys.argv = [float(x) for x in said.getvalue().split()], before
            check(f"the_pages_snippet_reads_{name}_{group}", largest_or_far(printed, expected(policy, obs)) < 1e-6, f"{printed}, expected {expected(policy, obs)}")


def largest_or_far(a, b):
    return largest(a, b) if len(a) == len(b) else 1e9


def expected(policy, obs):
    made, numbers, at, real = policy.forward(obs), [], 0, 0
    for kind, width in policy.heads:
        z = made.output[at:at + width]
        at += width
        if kind in ("categorical", "softmax"):
            numbers += list(np.exp(z - z.max()) / np.exp(z - z.max()).sum())
        elif kind == "bernoulli":
            numbers += list(1 / (1 + np.exp(-z)))
        elif kind != "gaussian":
            numbers += list(np.tanh(z))
        else:
            numbers += [*z, *np.exp(made.log_std[real:real + width])]
            real += width
    return numbers


keep(every_policy, environments_actions, several_spaces, files_of_older_programs, best_of_a_run, snippet, problems)
