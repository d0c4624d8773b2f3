#!/usr/bin/env python3
"""Makes networks of PyTorch programs a file to start from: mappo train.init=init.h5. docs/export.md

    scripts/import.py actor.pt critic.pt -o init.h5           of marlbenchmark/on-policy (R_Actor, R_Critic; vnorm.pt too), actor_agent0.pt … of its separated runner
    scripts/import.py ppo_actor.pth ppo_critic.pth -o init.h5 --std 0.707     stacks of nn.Linear, as beginners' tutorials save them

Each file is a state_dict. What it is stands in its names; that of a stack is its file's name (critic or value in it), else the first is the actor. The
settings that these networks need are printed."""
import argparse
import hashlib
import io
import json
import os
import re
import sys

try:
    import h5py
    import mappo
    import numpy as np
    from exporters import r_actor, torch_file, whole
except ImportError as missing:
    if not {"-h", "--help"} & set(sys.argv):  # help needs none of them
        print(f"import.py: {missing}: NumPy and h5py write checkpoints (python3 -m pip install numpy h5py)", file=sys.stderr)
        sys.exit(2)

NORM = "running_mean"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+", metavar="FILE", help="a state_dict: actor, critic, value normaliser")
    parser.add_argument("-o", "--output", required=True, metavar="FILE.h5")
    parser.add_argument("--group", default="agent", help="the group of agents whose networks they become (agent)")
    parser.add_argument("--activation", choices=["relu", "tanh"], help="of the hidden layers, which no file tells: relu unless given, or as scripts/export.py says beside it")
    parser.add_argument("--std", type=float, help="of a stack whose outputs are means of real actions: their constant standard deviation")
    parser.add_argument("--force", action="store_true", help="replace FILE.h5 whatever it is; without it only what this script made is")
    args = parser.parse_args()
    if not args.output.endswith(".h5"):
        parser.error(f"-o {args.output}: checkpoints end in .h5")
    return args


# ---- what a file is --------------------------------------------------------------------------------------------


class Network:
    """`parameters` by our names; `role` actor, critic or norm; whose (None: all agents')."""

    def __init__(self, path, role, parameters, activation=None):
        self.path, self.role, self.parameters, self.activation = path, role, parameters, activation
        number = re.search(r"agent_?(\d+)", os.path.basename(path))
        self.agent = int(number.group(1)) if number else None
        self.moments = None


def beside(path):
    """The activation that scripts/export.py wrote beside it; None."""
    try:
        with open(path + ".json", encoding="utf-8") as file:
            flags = json.load(file).get("flags", "")
        return "tanh" if "--use_ReLU" in flags.split() else "relu"
    except (OSError, ValueError):
        return None


def on_policy(path, state):
    found, role, unknown = r_actor.ours(state)
    moments = [name for name in ("v_out.mean", "v_out.mean_sq", "v_out.debiasing_term") if name in state]
    unknown = [name for name in unknown if not name.startswith(("v_out.", "base.mlp.fc_h."))]  # fc_h: older versions keep a layer that nothing runs
    if unknown:
        raise mappo.Problem(f"{path}: there is no place for {unknown[0]}" + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""))
    network = Network(path, role, found, beside(path))
    if len(moments) == 3:
        network.moments = np.array([float(np.ravel(state[name])[0]) for name in moments])
    return [network]


def stack(path, state, role):
    """Linear layers one after the other in the order of the file, and a log deviation."""
    names = [name[:-len(".weight")] for name in state if name.endswith(".weight")]
    found, width = {}, None
    for k, name in enumerate(names):
        weight, bias = state[name + ".weight"], state.get(name + ".bias")
        if weight.ndim != 2 or bias is None or bias.shape != weight.shape[:1]:
            raise mappo.Problem(f"{path}: {name} is no linear layer with a bias: R_Actor, R_Critic and stacks of nn.Linear are read")
        if width not in (None, weight.shape[1]):
            raise mappo.Problem(f"{path}: {name} takes {weight.shape[1]} numbers, and the layer before it makes {width}: no stack of layers")
        width = weight.shape[0]
        layer = f"fc{k + 1}" if k < len(names) - 1 else "head"
        found.update({layer + "/weight": weight, layer + "/bias": bias})
    if len(names) < 2:
        raise mappo.Problem(f"{path}: a network has a hidden layer and an output at least, and this has {len(names)} linear layers")
    others = [name for name in state if name.rsplit(".", 1)[0] not in names]
    for name in others:
        if not re.search("log_?std", name) or state[name].size != width:
            raise mappo.Problem(f"{path}: there is no place for {name}")
        found["log_std"] = state[name].reshape(-1)
    return Network(path, role, found)


def stacks(path, state, first):
    """One stack, or an actor and a critic in one file."""
    both = {role: {name: value for name, value in state.items() if re.match(role, name)} for role in ("actor", "critic")}
    if both["actor"] and both["critic"] and len(both["actor"]) + len(both["critic"]) == len(state):
        return [stack(path, part, role) for role, part in both.items()]
    name = os.path.basename(path).lower()
    return [stack(path, state, "critic" if "critic" in name or "value" in name or not first else "actor")]


def read(path, first):
    state = torch_file.state_dict(path)
    if NORM in state:
        network = Network(path, "norm", {})
        network.moments = np.array([float(np.ravel(state[name])[0]) for name in (NORM, "running_mean_sq", "debiasing_term")])
        return [network]
    if any(name.startswith(("base.", "act.", "v_out.")) for name in state):
        if any(name.startswith("base.cnn.") for name in state):
            raise mappo.Problem(f"{path}: CNNBase divides images by 255, which no setting here does: convolutions are not read")
        return on_policy(path, state)
    return stacks(path, state, first)


# ---- what they need --------------------------------------------------------------------------------------------


def settings(networks, args):
    """Configuration that these networks are of; raises where no configuration is."""
    told = []
    for network in networks:
        p = network.parameters
        if network.role == "norm":
            continue
        now = {"policy.kind": "gru" if "gru/weight_ih" in p else "mlp", "policy.layers": str(len(mappo.numbered(p, "fc"))),
               "policy.hidden": ",".join(str(w) for w in r_actor.widths(p)), "policy.feature_norm": "on" if "feature_norm/weight" in p else "off",
               "policy.layer_norm": "true" if "norm1/weight" in p else "false"}
        if len(set(r_actor.widths(p))) == 1:
            now["policy.hidden"] = now["policy.hidden"].split(",")[0]
        for name, value in now.items():
            if told and told[0][1][name] != value:
                raise mappo.Problem(f"{network.path} has {name}={value}, and {told[0][0]} {name}={told[0][1][name]}: here actor and critic are alike; leave the critic out, a new one is made then")
        told.append((network.path, now))
    config = told[0][1]
    known = args.activation or next((network.activation for network in networks if network.activation), None)
    config["policy.activation"] = known or "relu"
    config["norm.obs"] = "none"
    if any(network.role == "critic" for network in networks):
        popart = any(network.role == "critic" and network.moments is not None for network in networks)
        config["norm.value"] = "popart" if popart else "valuenorm" if any(network.role == "norm" for network in networks) else "none"
    if any(network.agent is not None for network in networks):
        config["policy.share"] = "false"
    actor = next((network.parameters for network in networks if network.role == "actor"), {})
    if "log_std" in actor:
        config["policy.std"] = "shared"
    elif args.std:
        config.update({"policy.std": "fixed", "policy.fixed_std": repr(args.std)})
    return config, known


def action_heads(networks, config):
    actor = next((network.parameters for network in networks if network.role == "actor"), None)
    if actor is None:
        return None
    kind = "gaussian" if "policy.std" in config else "categorical"
    return [[kind, len(actor[head + "/bias"])] for head in mappo.heads_of(actor)]


# ---- the file --------------------------------------------------------------------------------------------------


def text(h5, name, value):
    """A text of fixed length in UTF-8, as checkpoints have them."""
    bytes_ = value.encode("utf-8") + b"\0"
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(bytes_))
    kind.set_cset(h5py.h5t.CSET_UTF8)
    attribute = h5py.h5a.create(h5.id, name.encode("utf-8"), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    attribute.write(np.array(bytes_, dtype=f"S{len(bytes_)}"), mtype=kind)


def dataset(file, name, value, description):
    made = file.create_dataset(name, data=value)
    text(made, "description", description)
    text(made, "units", "1")


def keep_others(path, force):
    """What stands there already is replaced only where this script made it: it may be all that there is of a run."""
    if not os.path.lexists(path):
        return
    if os.path.islink(path) or not os.path.isfile(path):
        raise mappo.Problem(f"-o {path}: that is no file that could be replaced: choose another name")
    if force:
        return
    try:
        with h5py.File(path, "r") as file:
            by = file.attrs.get("program", "")
    except OSError:
        by = ""
    if not (by.decode() if isinstance(by, bytes) else str(by)).startswith("scripts/import.py"):
        raise mappo.Problem(f"-o {path}: that is there already and not of this script: choose another name, or --force replaces it")


def write(path, networks, config, args):
    heads, image = action_heads(networks, config), io.BytesIO()
    with h5py.File(image, "w", libver="earliest") as file:
        text(file, "kind", "networks")
        text(file, "program", "scripts/import.py of " + ", ".join(os.path.basename(network.path) for network in networks))
        if heads:
            text(file, "action_heads", json.dumps({args.group: heads}, separators=(",", ":")))
        made = file.create_group("config")
        for name, value in config.items():
            text(made, name, value)
        dataset(file, "counters/env_steps", np.int64(0), "steps of all environments together")
        for network in networks:
            own = f"policy/{args.group}" + ("" if network.agent is None else f"/{network.agent}")
            for name, value in network.parameters.items():
                dataset(file, f"{own}/{network.role}/{name}", value.astype("<f4"), f"{name} of {os.path.basename(network.path)}")
            if network.moments is not None:
                dataset(file, f"{own}/value_norm", network.moments.astype("<f8"), "running mean, mean of squares and debiasing term of the returns")
    image = image.getvalue()
    head = (f"mappo checkpoint\nversion 1\nsize {len(image)}\nsha256 {hashlib.sha256(image).hexdigest()}\nenv_steps 0\n\n"
            "Behind these 512 bytes stands an HDF5 file of `size` bytes: h5ls, h5dump and h5py open\nthis file as it is. To check it by hand: tail -c +513 FILE | sha256sum\n")
    whole.replace(path, head.ljust(mappo.HEADER - 1).encode() + b"\n" + image)


def check(networks, args):
    parts = [(network.role, network.agent) for network in networks]
    for network in networks:
        if parts.count((network.role, network.agent)) > 1:
            raise mappo.Problem(f"{network.path}: another {network.role} is there already")
    for role in ("actor", "critic"):
        whose = sorted(network.agent for network in networks if network.role == role and network.agent is not None)
        if whose and (whose != list(range(len(whose))) or (role, None) in parts):
            raise mappo.Problem(f"{role}s of agents {', '.join(map(str, whose))}: of each agent from 0 on one is needed")
    if not any(network.role in ("actor", "critic") for network in networks):
        raise mappo.Problem("a value normaliser alone: an actor or a critic belongs to it")
    if args.std is not None and (args.std <= 0 or any("log_std" in network.parameters for network in networks)):
        raise mappo.Problem(f"--std={args.std}: a constant deviation above 0, of an actor that has none of its own")


def main():
    args = parse()
    try:
        keep_others(args.output, args.force)
        networks = []
        for path in args.file:
            networks += read(path, first=not any(network.role == "actor" for network in networks))
        check(networks, args)
        config, known = settings(networks, args)
        write(args.output, networks, config, args)
    except (mappo.Problem, OSError) as problem:
        sys.exit(f"import.py: {problem}")
    for network in networks:
        p, whose = network.parameters, "" if network.agent is None else f" of agent {network.agent}"
        what = "value normaliser" if network.role == "norm" else f"{network.role}{whose}: {p['fc1/weight'].shape[1]} numbers -> {' + '.join(str(len(p[head + '/bias'])) for head in mappo.heads_of(p))}"
        print(f"{network.path}: {what}")
    if not known:
        print("the activation is in no file and taken for ReLU: --activation tanh where it was that (on-policy's --use_ReLU)")
    if "policy.std" not in config and any(network.role == "actor" for network in networks):
        print("the actor's outputs are taken for logits of choices: --std 0.5, say, where they are means of real actions")
    print(f"{args.output}: mappo train.init={args.output} " + " ".join(f"{name}={value}" for name, value in config.items()))


if __name__ == "__main__":
    main()
