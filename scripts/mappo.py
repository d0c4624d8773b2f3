"""Plays policies that mappo trained, in NumPy alone (and h5py, to read them). A module for programs of one's own:

    import mappo                                     # PYTHONPATH=scripts, or a copy of this file
    policy = mappo.load("runs/mine")                 # or which="best", or a checkpoint; group="adversary" where there are several
    state = None                                     # what a recurrent policy remembers; None where an episode begins
    action, state = policy.act(obs, mask, state)     # obs [..., numbers]: any batch of observations; mask [..., choices] or None

Where they are a Dict, a Tuple, a Discrete: policy.act(policy.flatten(obs)). Actions are the environment's: numbers of choices with their starts, bits, reals squashed, stretched and clipped as the run had it. Observations
are as the run's networks saw them: `policy.wrappers` names the wrappers that shaped them, which are the caller's to apply. docs/export.md
"""
import collections
import glob
import hashlib
import json
import os
import warnings

import numpy as np

HEADER = 512
MASKED = -1e10  # the logit of a forbidden choice
LOG_STD_BOUNDS = (-20, 2)  # policy.std=state
FLOAT_MAX = float(np.finfo(np.float32).max)
# Wrappers that shape what is seen, with the value that does nothing.
SIGHT = {"wrap.hide_obs": "", "wrap.clip_obs": "0", "wrap.stack_obs": "1", "wrap.last_action": "false", "wrap.agent_id": "false", "wrap.time_left": "false"}

Made = collections.namedtuple("Made", "output log_std state")  # of a forward pass: heads before masks, deviations (None), state after it (None)


class Problem(Exception):
    """What is wrong with a file or a request, in one line."""


# ---- files ----------------------------------------------------------------------------------------------------


def header(path):
    """Size, SHA-256 and environment steps as the first 512 bytes tell them; None where this is no checkpoint."""
    with open(path, "rb") as file:
        lines = file.read(HEADER).decode("utf-8", "replace").split("\n")
    told = dict(line.split(" ", 1) for line in lines[1:] if " " in line)
    if lines[0] != "mappo checkpoint" or not {"version", "size", "sha256", "env_steps"} <= set(told):
        return None
    return {"version": told["version"], "size": int(told["size"]), "sha256": told["sha256"], "env_steps": int(told["env_steps"])}


def fault(path):
    """What is wrong with a file; None: it is whole."""
    told = header(path)
    if told is None:
        return "is no checkpoint of mappo, or damaged"
    if told["version"] != "1":
        return f"has version {told['version']} of the format, and this reads version 1"
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(HEADER)
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return None if digest.hexdigest() == told["sha256"] else "is damaged: its SHA-256 differs from that in its header"


def newest(folder):
    """The whole checkpoint of a run that has come farthest, by its header."""
    found = []
    for path in glob.glob(os.path.join(glob.escape(folder), "step-*.h5")):
        told = header(path)
        found += [(told["env_steps"], path)] if told else []
    for _, path in sorted(found, reverse=True):
        wrong = fault(path)
        if not wrong:
            return path
        warnings.warn(f"{path} {wrong}: an older one is taken")
    raise Problem(f"{folder}: there is no whole checkpoint (step-*.h5) in this folder")


def find(run_or_file, which="latest"):
    if which not in ("latest", "best"):
        raise Problem(f"which={which}: latest or best")
    if not os.path.exists(run_or_file):
        raise Problem(f"{run_or_file}: no such run or checkpoint")
    if not os.path.isdir(run_or_file):
        if which == "best":
            raise Problem(f"{run_or_file} is one file: which=best chooses among those of a run's folder")
        wrong = fault(run_or_file)
        if wrong:
            raise Problem(f"{run_or_file} {wrong}")
        return run_or_file
    path = newest(run_or_file)
    if which == "latest":
        return path
    with _h5py().File(path, "r") as file:
        steps = int(file["counters/best_env_steps"][()]) if "counters/best_env_steps" in file else -1
    for path in glob.glob(os.path.join(glob.escape(run_or_file), "step-*.h5")):
        told = header(path)
        if steps >= 0 and told and told["env_steps"] == steps and not fault(path):
            return path
    raise Problem(f"{run_or_file}: there is no best checkpoint, or not any more")


def _h5py():
    try:
        import h5py  # pylint: disable=import-outside-toplevel
    except ImportError:
        raise Problem("h5py reads checkpoints, and this Python has none: python3 -m pip install h5py, or Debian's python3-h5py")
    return h5py


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


class Checkpoint:
    """What a file holds of networks: `attribute` of its root, `config`, and arrays `data["agent/actor/fc1/weight"]` of /policy."""

    def __init__(self, run_or_file, which="latest"):
        h5py = _h5py()
        self.path = find(run_or_file, which)
        self.data = {}
        with h5py.File(self.path, "r") as file:
            self.attribute = {name: _text(value) for name, value in file.attrs.items()}
            if self.attribute.get("kind", "networks") != "networks":
                raise Problem(f"{self.path} holds {self.attribute['kind']} and no networks: name a run or a checkpoint")
            self.config = {name: _text(value) for name, value in file["config"].attrs.items()}
            file["policy"].visititems(lambda name, item: self.data.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        self.heads = json.loads(self.attribute.get("action_heads", "{}"))
        self.spaces = json.loads(self.attribute.get("spaces", "{}"))
        self.groups = [group for group in self.heads or sorted({name.split("/")[0] for name in self.data}) if self.sets(group, "actor")]

    def sets(self, group, role):
        """The networks of a group's role: [None] where all agents share one, else the agents' numbers; [] where it has none."""
        names = [name.split("/") for name in self.data if name.startswith(group + "/")]
        if any(len(name) > 2 and name[1] == role for name in names):
            return [None]
        return sorted({int(name[1]) for name in names if len(name) > 3 and name[1].isdigit() and name[2] == role})

    def network(self, group, role, agent=None):
        """Its parameters by name: "fc1/weight"."""
        prefix = f"{group}/{role}/" if agent is None else f"{group}/{agent}/{role}/"
        return {name[len(prefix):]: value for name, value in self.data.items() if name.startswith(prefix)}

    def choose(self, group):
        if group is None and len(self.groups) == 1:
            return self.groups[0]
        if group not in self.groups:
            there = ", ".join(self.groups) or "none"
            raise Problem(f"{self.path}: {'several groups' if group is None else 'no actor of group ' + group}: group= one of {there}")
        return group


# ---- networks --------------------------------------------------------------------------------------------------


def _layer_norm(x, parameters, name):
    if name + "/weight" not in parameters:  # switched off
        return x
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * parameters[name + "/weight"] + parameters[name + "/bias"]


def _linear(x, parameters, name):
    return x @ parameters[name + "/weight"].T + parameters[name + "/bias"]


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def _convolve(x, weight, bias, same):
    """x [..., channels, rows, columns]; zeros around it, or it shrinks."""
    kernel = weight.shape[2]
    if same:
        before = (kernel - 1) // 2
        x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(before, kernel - 1 - before)] * 2)
    rows, columns = x.shape[-2] - kernel + 1, x.shape[-1] - kernel + 1
    y = np.zeros(x.shape[:-3] + (weight.shape[0], rows, columns)) + bias[:, None, None]
    for i in range(kernel):
        for j in range(kernel):
            y += np.einsum("...crk,oc->...ork", x[..., i:i + rows, j:j + columns], weight[:, :, i, j])
    return y


def numbered(parameters, name):
    """Layers `name`1, `name`2, … that are there."""
    layers = []
    while f"{name}{len(layers) + 1}/weight" in parameters:
        layers.append(f"{name}{len(layers) + 1}")
    return layers


def heads_of(parameters):
    return ["head"] if "head/weight" in parameters else [f"head{i}" for i in range(sum(name.startswith("head") and name.endswith("/weight") for name in parameters))]


def finite(x):
    """For JSON, which has no infinity: None."""
    return float(x) if np.isfinite(x) else None


def _numbers(obs, name, part):
    """One part of an observation, as spaces["layout"] has it: [..., count]."""
    for key in part["key"]:
        try:
            obs = obs[key]
        except (KeyError, IndexError, TypeError):
            there = f"it has {', '.join(map(str, obs))}" if isinstance(obs, dict) else f"it is {type(obs).__name__}"
            raise Problem(f"the observation has no part \"{name}\": {there}")
    value, shape, called = np.asarray(obs), tuple(part["shape"]), f" \"{name}\"" * bool(name)
    batch = value.shape[:value.ndim - len(shape)]
    if value.shape != batch + shape:
        raise Problem(f"the observation{called} has the shape {value.shape}, and the run's was {shape}")
    if "n" in part:
        value = value.reshape(batch + (-1,)) - np.array(part["start"])
        if ((value < 0) | (value >= np.array(part["n"]))).any():
            raise Problem(f"the observation{called} is outside of its space: from {part['start']} on there are {part['n']} values")
        rows = [np.eye(n, dtype=np.float32)[value[..., i].astype(int)] for i, n in enumerate(part["n"])]
        return np.concatenate(rows, axis=-1)
    value = value.astype(np.float32) * np.float32(1 / 255) if part.get("bytes") else np.clip(value, -FLOAT_MAX, FLOAT_MAX).astype(np.float32)
    return (np.moveaxis(value, -3, -1) if part.get("channels_first") else value).reshape(batch + (-1,))


class Policy:
    """The actor of a group: `group`, `agents` (None: the file doesn't say), `inputs`, `heads` [(kind, width)], `recurrent`, `wrappers`."""

    def __init__(self, checkpoint, group=None, agent=None, bounds=None):
        self.checkpoint, self.config = checkpoint, checkpoint.config
        self.group = checkpoint.choose(group)
        self.spaces = checkpoint.spaces.get(self.group)
        sets = checkpoint.sets(self.group, "actor")
        self.shared = sets == [None]
        self.agents = self.spaces["agents"] if self.spaces else None if self.shared else len(sets)
        if agent is not None and not self.shared:
            if agent not in sets:
                raise Problem(f"{checkpoint.path}: agents of group {self.group} are 0 to {len(sets) - 1}, not {agent}")
            sets = [agent]
        self.agent = agent
        self.networks = [{name: value.astype(float) for name, value in checkpoint.network(self.group, "actor", number).items()} for number in sets]
        first = self.networks[0]
        self.recurrent = "gru/bias_hh" in first
        self.hidden = len(first["gru/bias_hh"]) // 3 if self.recurrent else 0
        self.activation = self.config.get("policy.activation", "tanh")
        self.layers, self.convolutions = numbered(first, "fc"), numbered(first, "conv")
        self.same = self.config.get("policy.conv_padding", "same") == "same"
        self.image = self._find_image() if self.convolutions else None
        norm = f"{self.group}/obs_norm/"
        self.running = {name: checkpoint.data[norm + name] for name in ("count", "mean", "variance")} if norm + "mean" in checkpoint.data else None
        self.heads = [tuple(head) for head in checkpoint.heads.get(self.group, [])] or self._guess_heads(first)
        self.wrappers = {name: self.config[name] for name, nothing in SIGHT.items() if self.config.get(name, nothing) != nothing}
        self.bounds = self._bounds(bounds)

    # -- what a file says --

    def _find_image(self):
        """Where the image of the observation begins, and its height, width and channels."""
        if not self.spaces:
            raise Problem(f"{self.checkpoint.path}: policy.conv, and this file of an older program doesn't say how its images lie (attribute spaces): go on with the run for an update")
        at = 0
        for space in self.spaces["obs"]:
            if "shape" in space:
                return tuple([at] + space["shape"])
            at += sum(space["n"]) if "n" in space else space["size"]
        raise Problem(f"{self.checkpoint.path}: convolutions, and no image in what group {self.group} observes")

    def _guess_heads(self, first):
        """Of files that are older than their attribute `action_heads`: one head."""
        real = "log_std" in first or float(self.config.get("policy.fixed_std", 0)) > 0
        return [("gaussian" if real else "categorical", len(first["head/bias"]))]

    def _bounds(self, given):
        """[numbers] low and high of all real numbers of the environment's action, infinite where it has none; None where nobody says."""
        if given is not None:
            return tuple(np.atleast_1d(np.asarray(bound, float)) for bound in given)
        if not self.spaces:
            return None
        boxes = [space for space in self.spaces["act"] if space["kind"] == "box"]
        return tuple(np.array([none if x is None else x for box in boxes for x in box[name]], float) for name, none in (("low", -np.inf), ("high", np.inf)))

    @property
    def inputs(self):
        if self.image:
            first, (_, height, width, channels) = self.networks[0], self.image
            rows, columns = self.feature_size(height, width)
            beside = first["fc1/weight"].shape[1] - rows * columns * first[self.convolutions[-1] + "/weight"].shape[0]
            return height * width * channels + beside
        return self.networks[0]["fc1/weight"].shape[1]

    def feature_size(self, rows, columns):
        """Rows and columns that the last convolution leaves."""
        shrink = 0 if self.same else sum(self.networks[0][name + "/weight"].shape[2] - 1 for name in self.convolutions)
        return rows - shrink, columns - shrink

    @property
    def choices(self):
        """Widths of the heads that choose: a mask has their sum."""
        return [width for kind, width in self.heads if kind in ("categorical", "bernoulli")]

    @property
    def real_kind(self):
        """gaussian, tanh, softmax, tanh_gaussian; None where no action is a real number."""
        return next((kind for kind, _ in self.heads if kind not in ("categorical", "bernoulli")), None)

    @property
    def reals(self):
        return sum(width for kind, width in self.heads if kind not in ("categorical", "bernoulli"))

    @property
    def integers(self):
        return sum(1 if kind == "categorical" else width for kind, width in self.heads if kind in ("categorical", "bernoulli"))

    @property
    def stretched(self):
        """Whether policy's -1 … 1 becomes low … high of the environment, after a tanh or as it is."""
        return self.squashes or self.config.get("wrap.rescale_action") == "true"

    @property
    def bins(self):
        """wrap.discretise_action: choices between the bounds of each real number; 0 = none."""
        return int(self.config.get("wrap.discretise_action", 0))

    @property
    def bin_columns(self):
        """Integers that are bins of the environment's reals (wrap.discretise_action), one for each."""
        columns, at = [], 0
        for space in self.spaces["act"] if self.spaces and self.bins else ():
            count = len(space["n"]) if "n" in space else space["size"]
            columns += range(at, at + count) if space["kind"] == "box" else ()
            at += count
        return columns

    def log_std_parameter(self, parameters):
        """Log deviations [reals] that are the same in all states; None where they are outputs, or there are none."""
        if "log_std" in parameters:
            return parameters["log_std"]
        if self.real_kind in ("gaussian", "tanh_gaussian") and "log_std/weight" not in parameters:
            return np.full(self.reals, np.log(float(self.config["policy.fixed_std"])))
        return None

    # -- observations --

    @property
    def layout(self):
        """[(name, first number, end, part)] of an observation of Python's environment before wrappers; None where the file doesn't say."""
        if not self.spaces or "layout" not in self.spaces:
            return None
        parts, at = [], 0
        for part in self.spaces["layout"]:
            width = sum(part["n"]) if "n" in part else int(np.prod(part["shape"], dtype=int))
            parts.append((".".join(str(key) for key in part["key"]), at, at + width, part))
            at += width
        return parts

    def flatten(self, obs):
        """The numbers [..., count] that the run made of an observation of the environment's space (Dict, Tuple, Discrete, images of bytes …), before
        wrappers. Parts may be batches, [..., the part's shape]; an action_mask among them is left out."""
        if self.layout is None:
            raise Problem(f"{self.checkpoint.path} doesn't say how observations become numbers: only runs on Python's environments (py:…) do, and of them none whose spaces have very many parts or keys that are no text; make the numbers yourself, for act(numbers)")
        return np.concatenate([_numbers(obs, name, part) for name, _, _, part in self.layout], axis=-1)

    # -- forward --

    def _features(self, x, parameters):
        if self.running is not None:
            there = self.running["count"] > 0
            x = np.clip((x - self.running["mean"]) / np.sqrt(self.running["variance"] + 1e-8) if there else x, -10, 10)
        if not self.image:
            return _layer_norm(x, parameters, "feature_norm")
        at, height, width, channels = self.image
        end = at + height * width * channels
        image = np.moveaxis(x[..., at:end].reshape(x.shape[:-1] + (height, width, channels)), -1, -3)
        for name in self.convolutions:
            image = self._activate(_convolve(image, parameters[name + "/weight"], parameters[name + "/bias"], self.same))
        return np.concatenate([image.reshape(x.shape[:-1] + (-1,)), x[..., :at], x[..., end:]], axis=-1)

    def _activate(self, x):
        return np.tanh(x) if self.activation == "tanh" else np.maximum(x, 0)

    def _remember(self, x, state, parameters):
        xr, xz, xn = np.split(x @ parameters["gru/weight_ih"].T + parameters["gru/bias_ih"], 3, axis=-1)
        hr, hz, hn = np.split(state @ parameters["gru/weight_hh"].T + parameters["gru/bias_hh"], 3, axis=-1)
        r, z = _sigmoid(xr + hr), _sigmoid(xz + hz)
        return (1 - z) * np.tanh(xn + r * hn) + z * state

    def _forward(self, x, state, parameters):
        x = self._features(x, parameters)
        for k, name in enumerate(self.layers):
            x = _layer_norm(self._activate(_linear(x, parameters, name)), parameters, f"norm{k + 1}")
        if self.recurrent:
            state = self._remember(x, state, parameters)
            x = _layer_norm(state, parameters, "gru_norm")
        output = np.concatenate([_linear(x, parameters, name) for name in heads_of(parameters)], axis=-1)
        log_std = self.log_std_parameter(parameters)
        if "log_std/weight" in parameters:
            log_std = np.clip(_linear(x, parameters, "log_std"), *LOG_STD_BOUNDS)
        return Made(output, None if log_std is None else np.broadcast_to(log_std, output.shape[:-1] + log_std.shape[-1:]), state)

    def forward(self, obs, state=None):
        """What the networks make of observations: outputs of the heads one after the other, before masks; log deviations of real ones; the state
        after it. obs [..., inputs]; where every agent has a network of its own, and none was chosen, [..., agents, inputs]."""
        if isinstance(obs, (dict, tuple)):
            raise Problem(f"an observation is numbers here, and this is a {type(obs).__name__}: policy.flatten(obs) makes them of it")
        obs = np.asarray(obs, float)
        if obs.shape[-1:] != (self.inputs,):
            raise Problem(f"an observation of group {self.group} has {self.inputs} numbers, and this has the shape {obs.shape}")
        state = np.zeros(obs.shape[:-1] + (self.hidden,)) if state is None else np.asarray(state, float)
        if len(self.networks) == 1:
            made = self._forward(obs, state, self.networks[0])
        elif obs.ndim < 2 or obs.shape[-2] != len(self.networks):
            raise Problem(f"policy.share=0: each of the {len(self.networks)} agents has a network: obs [..., {len(self.networks)}, {self.inputs}], or load(agent=…)")
        else:
            each = [self._forward(obs[..., i, :], state[..., i, :], parameters) for i, parameters in enumerate(self.networks)]
            made = Made(*(None if part[0] is None else np.stack(part, axis=-2) for part in zip(*each)))
        return made if self.recurrent else made._replace(state=None)

    # -- actions --

    def choose(self, made, mask=None, deterministic=True, rng=None):
        """The policy's own action, as recordings have it: integers [..., Ki] with their starts, reals [..., Kr] before wrappers."""
        rng = rng or np.random.default_rng()
        mask = None if mask is None else np.asarray(mask) != 0
        integers, reals, column, choice, real = [], [], 0, 0, 0
        for kind, width in self.heads:
            z = made.output[..., column:column + width]
            column += width
            if kind in ("categorical", "bernoulli"):
                if mask is not None:
                    z = np.where(mask[..., choice:choice + width], z, MASKED)
                choice += width
            if kind == "categorical":
                noise = 0 if deterministic else rng.gumbel(size=z.shape)
                integers.append(np.argmax(z + noise, axis=-1)[..., None])
            elif kind == "bernoulli":
                integers.append((z > 0 if deterministic else rng.random(z.shape) < _sigmoid(z)).astype(int))
            elif kind == "softmax":
                p = np.exp(z - z.max(axis=-1, keepdims=True))
                reals.append(p / p.sum(axis=-1, keepdims=True))
            else:
                if kind != "tanh" and not deterministic:
                    z = z + np.exp(made.log_std[..., real:real + width]) * rng.standard_normal(z.shape)
                real += width
                reals.append(z if kind == "gaussian" else np.tanh(z))
        batch = made.output.shape[:-1]
        integers = np.concatenate(integers, axis=-1) + self.starts if integers else np.zeros(batch + (0,), int)
        return integers, np.concatenate(reals, axis=-1) if reals else np.zeros(batch + (0,))

    @property
    def starts(self):
        """First values of integers; 0 where the file doesn't say, and of bits."""
        starts = []
        for space in self.spaces["act"] if self.spaces else ():
            if space["kind"] != "box" or self.bins:
                starts += space.get("start") or [0] * space["size"]
        return np.array(starts or [0], int)

    @property
    def squashes(self):
        return self.config.get("policy.squash") == "tanh"

    def scaling(self):
        """How reals become the environment's, behind policy.squash: factors, offsets (wrap.rescale_action), least and largest (wrap.clip_action), [reals]."""
        clips = self.config.get("wrap.clip_action", "true") == "true"
        infinite = np.full(self.reals, np.inf)
        if not (self.stretched or clips):
            return np.ones(self.reals), np.zeros(self.reals), -infinite, infinite
        if self.bounds is None:
            raise Problem(f"{self.checkpoint.path}, of an older program, doesn't say the bounds of actions (attribute spaces): load(…, bounds=(low, high)), or go on with the run for an update")
        low, high = (np.broadcast_to(bound, (self.reals,)) for bound in self.bounds)
        bounded = np.isfinite(low) & np.isfinite(high) & self.stretched
        half = np.where(bounded, 0.5 * (np.where(bounded, high, 0) - np.where(bounded, low, 0)), 1)
        offset = np.where(bounded, np.where(bounded, low, 0) + half, 0)
        return (half, offset, low, high) if clips else (half, offset, -infinite, infinite)

    def stretch(self, reals):
        """Reals as the environment gets them."""
        if not self.reals:
            return reals
        factor, offset, low, high = self.scaling()
        return np.clip((np.tanh(reals) if self.squashes else reals) * factor + offset, low, high)

    def environment_action(self, integers, reals):
        """Of a single space the value; of several a tuple."""
        reals, values, i, k, at = self.stretch(reals), [], 0, 0, 0
        for space in self.action_spaces:
            count = len(space["n"]) if "n" in space else space["size"]
            if space["kind"] == "box" and self.bins:
                low, high = self.bounds[0][at:at + count], self.bounds[1][at:at + count]
                values.append(low + (high - low) * (integers[..., i:i + count] / (self.bins - 1)))
            elif space["kind"] == "box":
                values.append(reals[..., k:k + count])
                k += count
            else:
                values.append(integers[..., i] if space["kind"] == "discrete" else integers[..., i:i + count])
            at += count if space["kind"] == "box" else 0
            i += count if space["kind"] != "box" or self.bins else 0
        return values[0] if len(values) == 1 else tuple(values)

    @property
    def action_spaces(self):
        """Of the environment's action; of older files what the heads tell."""
        return self.spaces["act"] if self.spaces else [self._space_of_heads()]

    def _space_of_heads(self):
        if self.reals:
            return {"kind": "box", "size": self.reals}
        return {"kind": "discrete" if len(self.heads) == 1 and self.heads[0][0] == "categorical" else "multi_discrete", "n": self.choices}

    def act(self, obs, mask=None, state=None, deterministic=True, rng=None):
        """The environment's action and the state after it (None of a policy that remembers nothing). state None: episodes begin. deterministic=False
        draws, from `rng` (numpy.random.Generator) where one is given."""
        made = self.forward(obs, state)
        return self.environment_action(*self.choose(made, mask, deterministic, rng)), made.state


def load(run_or_file, which="latest", group=None, agent=None, bounds=None):
    """The policy of a group of agents. which: latest or best of a run. group: where there are several. agent: with policy.share=0, whose (None: of
    all, and observations are [..., agents, numbers]). bounds: (low, high) of a Box action, of files that don't say."""
    return Policy(Checkpoint(run_or_file, which), group, agent, bounds)
