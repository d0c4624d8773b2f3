#!/usr/bin/env python3
"""scripts/export.py: what ONNX Runtime, a compiled C header and modules with R_Actor's names make of recorded observations is what the program made:
feed-forward to 1e-5; recurrent to 1e-5 a step from recorded states, and to 1e-4 by themselves over 100 steps."""
import importlib.util
import json
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
    print(f"ok - exports # SKIP {missing}")
    sys.exit(0)
import mappo  # noqa: E402
import policies  # noqa: E402
from runs import check, keep, script  # noqa: E402

CC = os.environ.get("CC", "cc").split()
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]


def package(name):
    """The module; None, and a skipped test, where this Python has none."""
    try:
        return __import__(name)
    except ImportError as missing:
        print(f"ok - exports_by_{name} # SKIP {missing}")
        return None


def export(*args):
    return script("export.py", *args)


def largest(a, b):
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max()) if np.size(a) else 0.0


class Rows:
    """Of one agent in a recording: what it saw, its masks, states and starts; what its networks made and it did, where it acted."""

    def __init__(self, file, policy, agent):
        group = file[policy.group]
        take = {name: group[name][()][:, agent] if name in group else None for name in ("obs", "act_mask", "network_output", "network_log_std", "network_state", "act_int", "act_real")}
        self.obs, self.mask, self.output, self.log_std, self.state, self.integers, self.reals = take.values()
        self.begins = file["episodes/begins"][()]
        self.acts = group["active"][()][:, agent] != 0 if "active" in group else np.ones(len(self.obs), bool)
        self.choices = np.concatenate([np.full(width, kind in ("categorical", "bernoulli")) for kind, width in policy.heads])
        self.follow = next(iter(np.flatnonzero(self.begins)[1:]), len(self.begins))  # steps of the first episode
        self.follow = min(self.follow, 100)
        self.sampled = file.attrs["deterministic"] in (b"false", "false")
        if self.reals is not None:
            self.reals = policy.stretch(self.reals)
        elif policy.bins:
            self.reals = policy.environment_action(self.integers, np.zeros((len(self.obs), 0)))

    def right_action(self, integers, reals):
        exact = self.integers is None or (integers == self.integers)[self.acts].all()
        return self.sampled or (exact and (self.reals is None or largest(reals[self.acts], self.reals[self.acts]) < 2e-5))


def by_onnx(runtime, name, file, policy, rows):
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    feed = {"obs": rows.obs.astype(np.float32)}
    if rows.mask is not None:
        feed["mask"] = rows.mask != 0
    if policy.recurrent:
        feed["state"] = rows.state.astype(np.float32)
    made = dict(zip([out.name for out in session.get_outputs()], session.run(None, feed)))
    logits = rows.output[:, rows.choices]
    if logits.shape[1]:
        allowed = np.ones_like(logits, bool) if rows.mask is None else rows.mask != 0
        check(f"onnx_{name}_makes_the_logits", largest(made["logits"][allowed], logits[allowed]) < 1e-5 and (made["logits"][~allowed] == np.float32(mappo.MASKED)).all(), largest(made["logits"][allowed], logits[allowed]))
    if policy.reals:
        check(f"onnx_{name}_makes_the_means", largest(made["mean"], rows.output[:, ~rows.choices]) < 1e-5 and (rows.log_std is None or largest(made["log_std"], rows.log_std) < 1e-5), made)
    check(f"onnx_{name}_acts_as_the_program", rows.right_action(made.get("action_int"), made.get("action_real")), (made.get("action_int"), made.get("action_real")))
    check(f"onnx_{name}_says_what_it_is", told["group"] == policy.group and json.loads(told["spaces"])["agents"] == policy.agents and told["use"], told)
    if policy.recurrent:
        state, far = {"state": np.zeros((1, policy.hidden), np.float32)}, 0
        for t in range(rows.follow):
            made = dict(zip([out.name for out in session.get_outputs()], session.run(None, {"obs": feed["obs"][t:t + 1], **({"mask": feed["mask"][t:t + 1]} if "mask" in feed else {}), **state})))
            state = {"state": made["state_out"]}
            got = np.concatenate([made[part][0] for part in ("logits", "mean") if part in made])
            want = np.concatenate([rows.output[t, rows.choices], rows.output[t, ~rows.choices]])
            far = max(far, largest(got[got != mappo.MASKED], want[got != mappo.MASKED]))
        check(f"onnx_{name}_remembers_by_itself", far < 1e-4, far)


def by_c(name, file, policy, rows):
    """Steps of all episodes, one after the other: the free-running comparison, and of those without memory the only one."""
    prefix, program = os.path.splitext(file)[0], f"./{name}.out"
    built = subprocess.run([*CC, *STRICT, f"-D{prefix}_EXAMPLE", "-x", "c", file, "-o", program, "-lm"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(f"c_{name}_compiles_without_a_warning", built.returncode == 0, built.stdout[-600:])
    if built.returncode:
        return
    lines = []
    for t, obs in enumerate(rows.obs):
        mask = rows.mask[t] if rows.mask is not None else [1] * sum(policy.choices)
        lines.append(" ".join([str(rows.begins[t]), *(f"{x:.9g}" for x in obs), *(str(int(x)) for x in mask)]))
    ran = subprocess.run([program], input="\n".join(lines), stdout=subprocess.PIPE, text=True)
    made = np.array([[float(x) for x in line.split()] for line in ran.stdout.splitlines()])
    at, parts = 0, []
    for width in (rows.output.shape[1], 0 if rows.log_std is None else policy.reals, policy.integers, policy.reals or len(policy.bin_columns)):
        parts.append(made[:, at:at + width])
        at += width
    most = 1e-4 if policy.recurrent else 1e-5
    far = max(largest(parts[0], rows.output), largest(parts[1], rows.log_std if rows.log_std is not None else np.zeros((len(made), 0))))
    check(f"c_{name}_makes_what_the_program_made", len(made) == len(rows.obs) and far < most, far)
    check(f"c_{name}_acts_as_the_program", rows.right_action(parts[2], parts[3]), parts[2:])


def every_policy():
    onnx = package("onnx")
    runtime = package("onnxruntime") if onnx else None
    compiles = shutil.which(CC[0])
    if not compiles:
        print(f"ok - exports_by_c # SKIP there is no {CC[0]}")
    for name in policies.POLICIES:
        code, out = policies.train(name)
        code = code or policies.record(name, f"{name}.h5")[0]
        wanted = (["--onnx", f"{name}.onnx"] if runtime else []) + ["--c", f"{name}.h"]
        code, out = export(name, *wanted) if not code else (code, out)
        check(f"{name}_is_exported", code == 0, out[-600:])
        if code:
            continue
        with h5py.File(f"{name}.h5", "r") as file:
            for group in mappo.Checkpoint(name).groups:
                policy = mappo.load(name, group=group)
                agent = len(policy.networks) - 1  # the last one's
                policy = policy if agent == 0 else mappo.load(name, group=group, agent=agent)
                part = (f"_{group}" if len(mappo.Checkpoint(name).groups) > 1 else "") + (f"_agent{agent}" if agent else "")
                rows = Rows(file, policy, agent)
                if runtime:
                    by_onnx(runtime, name + part, f"{name}{part}.onnx", policy, rows)
                if compiles:
                    by_c(name + part, f"{name}{part}.h", policy, rows)


def module_like_r_actor(torch, about, obs, action):
    """Torch's own layers under the names that R_Actor gives them, built by the flags alone."""
    nn, flags = torch.nn, about["flags"].split()
    value = dict(zip(flags, flags[1:]))
    hidden, layers = int(value["--hidden_size"]), int(value["--layer_N"])

    def block(inputs):
        return nn.Sequential(nn.Linear(inputs, hidden), nn.Tanh() if "--use_ReLU" in flags else nn.ReLU(), nn.LayerNorm(hidden))

    def named(**parts):
        module = nn.Module()
        for part, child in parts.items():
            module.add_module(part, child)
        return module
    base = named(mlp=named(fc1=block(obs), fc2=nn.ModuleList(block(hidden) for _ in range(layers))))
    if "--use_feature_normalization" not in flags:
        base.add_module("feature_norm", nn.LayerNorm(obs))
    whole = named(base=base)
    if value["--algorithm_name"] == "rmappo":
        whole.add_module("rnn", named(rnn=nn.GRU(hidden, hidden), norm=nn.LayerNorm(hidden)))
    if action[0] == "MultiDiscrete":
        whole.add_module("act", named(action_outs=nn.ModuleList(named(linear=nn.Linear(hidden, n)) for n in action[1])))
    elif action[0] == "Box":
        bias = nn.Module()
        bias._bias = nn.Parameter(torch.zeros(action[1], 1))
        whole.add_module("act", named(action_out=named(fc_mean=nn.Linear(hidden, action[1]), logstd=bias)))
    else:
        whole.add_module("act", named(action_out=named(linear=nn.Linear(hidden, action[1]))))
    return whole


def run_module(torch, module, obs, state):
    x = module.base.feature_norm(obs) if hasattr(module.base, "feature_norm") else obs
    x = module.base.mlp.fc1(x)
    for layer in module.base.mlp.fc2:
        x = layer(x)
    if hasattr(module, "rnn"):
        x, state = module.rnn.rnn(x[None], state[None])
        x = module.rnn.norm(x[0])
    outs = [out.linear for out in module.act.action_outs] if hasattr(module.act, "action_outs") else [getattr(module.act.action_out, "linear", None) or module.act.action_out.fc_mean]
    return torch.cat([out(x) for out in outs], 1)


def by_torch():
    torch = package("torch")
    if not torch:
        return
    wanted = {"mlp": (18, ("Discrete", 5)), "rnn": (21, ("MultiDiscrete", None)), "multi": (None, ("MultiDiscrete", None)), "squash": (3, ("Box", 1))}
    for name, (inputs, action) in wanted.items():
        policy = mappo.load(name)
        code, out = export(name, "--torch", f"{name}.pt")
        if policy.running is not None:  # what the class can't hold is refused
            check(f"torch_{name}_is_refused_with_the_reason", code == 1 and "norm.obs=running: R_Actor has no" in out, out)
            continue
        check(f"torch_{name}_is_exported", code == 0, out)
        with open(f"{name}.pt.json") as file:
            about = json.load(file)
        switched = {"tanh": "--use_ReLU switches ReLU OFF", "relu": None}[policy.activation]
        check(f"torch_{name}_says_its_activation_and_what_flags_mean", about["activation"] == policy.activation and "marlbenchmark/on-policy" in out and
              (switched in out and any(switched in text for text in about["flags_explained"]) if switched else "--use_ReLU" not in out), (about, out))
        widths = [width for _, width in policy.heads]
        module = module_like_r_actor(torch, about, inputs or policy.inputs, (action[0] if len(widths) > 1 or action[0] == "Box" else "Discrete", widths if len(widths) > 1 else widths[0]))
        module.load_state_dict(torch.load(f"{name}.pt"))  # every key, and no other
        with h5py.File(f"{name}.h5", "r") as file, torch.no_grad():
            rows = Rows(file, policy, 0)
            state = torch.from_numpy(rows.state) if policy.recurrent else None
            made = run_module(torch, module, torch.from_numpy(rows.obs), state).numpy()
        check(f"torch_{name}_makes_what_the_program_made", largest(made, rows.output) < 1e-5, largest(made, rows.output))
        if action[0] == "Box":
            std = module.act.action_out.logstd._bias.detach().numpy().ravel()
            check(f"torch_{name}_has_the_deviation", largest(std, rows.log_std[0]) < 1e-6, (std, rows.log_std[0]))
    refused = [("layers", "layer_norm=0"), ("image", "policy.conv"), ("apart", "norm.obs=running"), ("softmax", "layer_norm=0")]
    for name, why in refused:
        code, out = export(name, "--torch", "no.pt")
        check(f"torch_can_not_hold_{name}", code == 1 and why in out and not os.path.exists("no.pt"), out)


def by_module(torch, name, file, policy, rows):
    """--torch-module: of every policy, by itself."""
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.load()
    obs, mask = torch.from_numpy(rows.obs), None if rows.mask is None else torch.from_numpy(rows.mask)
    with torch.no_grad():
        state = torch.from_numpy(rows.state) if policy.recurrent else None
        output, log_std, _ = net(obs, state)
        integers, reals = net.decide(output, log_std, mask)
        far = max(largest(output, rows.output), 0 if rows.log_std is None else largest(log_std, rows.log_std))
        check(f"module_{name}_makes_what_the_program_made", far < 1e-5, far)
        check(f"module_{name}_acts_as_the_program", rows.right_action(integers.numpy(), reals.numpy()), (integers, reals))
        own, _ = net.act(obs, mask, state)
        want, _ = policy.act(rows.obs, rows.mask, rows.state)
        pairs = list(zip(own, want)) if isinstance(want, tuple) else [(own, want)]
        check(f"module_{name}_gives_the_environments_action", isinstance(own, tuple) == isinstance(want, tuple) and all(a.shape == b.shape and largest(a, b) < 2e-5 for a, b in pairs), (own, want))
        if policy.recurrent:
            state, far = None, 0
            for t in range(rows.follow):
                output, _, state = net(obs[t], state)
                far = max(far, largest(output, rows.output[t]))
            check(f"module_{name}_remembers_by_itself", far < 1e-4, far)
        torch.manual_seed(0)
        many = [part.double().numpy() for part in net.decide(output[:1].expand(4000, -1) if output.dim() > 1 else output.expand(4000, -1), None if log_std is None else log_std[:1].expand(4000, -1), deterministic=False)]
        drawn = policy.choose(mappo.Made(np.repeat(rows.output[:1] if output.dim() > 1 else output.numpy()[None], 4000, 0), None if rows.log_std is None else np.repeat(rows.log_std[:1], 4000, 0), None), deterministic=False, rng=np.random.default_rng(0))
        drawn = [drawn[0], policy.stretch(drawn[1]) if policy.reals else many[1]]
        far = max([0.0] + [largest(a.mean(0), b.mean(0)) / (1 + b.std()) for a, b in zip(many, drawn) if b.size])
        check(f"module_{name}_draws_as_the_policy_does", far < 0.1, far)


def every_module():
    torch = package("torch")
    if not torch:
        return
    for name in policies.POLICIES:
        code, out = export(name, "--torch-module", f"{name}_net.py")
        check(f"{name}_is_exported_as_a_module", code == 0 and "nn.Module" in out, out[-600:])
        with h5py.File(f"{name}.h5", "r") as file:
            for group in mappo.Checkpoint(name).groups:
                policy = mappo.load(name, group=group)
                agent = len(policy.networks) - 1
                policy = policy if agent == 0 else mappo.load(name, group=group, agent=agent)
                part = (f"_{group}" if len(mappo.Checkpoint(name).groups) > 1 else "") + (f"_agent{agent}" if agent else "")
                by_module(torch, f"{name}{part}", f"{name}_net{part}.py", policy, Rows(file, policy, agent))


def mistakes():
    for name, args, words in [("nothing_asked", ["mlp"], "what is to be written"), ("no_run", ["nowhere", "--c", "x.h"], "no such run"),
                              ("no_group", ["gru", "--c", "x.h", "--group", "agent"], "runner, watcher"), ("shared_agents", ["mlp", "--c", "x.h", "--agent", "1"], "share one network"),
                              ("no_folder", ["mlp", "--c", "nowhere/x.h"], "nowhere/x.h"), ("a_module_of_no_name", ["mlp", "--torch-module", "a-b.py"], "can't import"),
                              ("a_module_of_weights", ["mlp", "--torch-module", "x.pt"], "ends with .py"), ("an_agent_too_many", ["apart", "--c", "x.h", "--agent", "9"], "0 to 2")]:
        code, out = export(*args)
        check(f"{name}_is_refused_in_one_line", code in (1, 2) and words in out and "Traceback" not in out, out)
    done = subprocess.run([sys.executable, os.path.join(SOURCE, "scripts", "export.py"), "--help"], stdout=subprocess.PIPE, text=True)
    check("it_explains_itself", done.returncode == 0 and "--onnx" in done.stdout, done)
    code, out = export("apart", "--c", "nowhere/one.h")
    check("a_folder_that_is_not_there_is_named", code == 1 and "--c nowhere/one.h: there is no folder nowhere" in out, out)
    check("no_draft_is_left", not [name for name in os.listdir(".") if name.endswith(".tmp")], os.listdir("."))
    code, out = export("apart", "--c", "one.h", "--agent", "1", "--group", "agent")
    check("one_agent_is_one_file_of_that_name", code == 0 and os.path.exists("one.h") and "one_act" in open("one.h").read(), out)
    with open("both.c", "w") as both:  # several policies in one program
        both.write('#include "gru_runner.h"\n#include "gru_watcher.h"\nint main(void)\n{\n    return gru_runner_OBS + gru_watcher_OBS == 0;\n}\n')
    if shutil.which(CC[0]):
        built = subprocess.run([*CC, *STRICT, "both.c", "-o", "both.out", "-lm"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check("headers_of_several_groups_live_together", built.returncode == 0, built.stdout[-600:])


keep(every_policy, by_torch, every_module, mistakes)
