"""ONNX models of policies, made by onnx's own helpers. Operators of opset 17 (2022) and nothing of any package's own.

    obs [rows, numbers] float    mask [rows, choices] bool, where the environment has masks    state [rows, hidden] float, of recurrent policies
    logits [rows, choices] where the mask forbids: -1e10    mean, log_std [rows, reals] of real numbers as the policy draws them
    action_int [rows, integers] int64, action_real [rows, reals]: the most probable action, as the environment takes it    state_out
"""
import json

import mappo
import numpy as np
from exporters import whole

OPSET, IR = 17, 8
FLOAT, INT64 = 1, 7  # onnx.TensorProto


class Graph:
    """Nodes in the order of their making."""

    def __init__(self, helper, numpy_helper):
        self.helper, self.numpy_helper = helper, numpy_helper
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, value, name=None):
        self.count += name is None
        name = name or f"constant{self.count}"
        self.constants.append(self.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def real(self, value, name=None):
        return self.constant(np.asarray(value, np.float32), name)

    def integers(self, value):
        return self.constant(np.asarray(value, np.int64))

    def node(self, operator, *inputs, to=None, **attributes):
        self.count += to is None
        to = to or f"{operator.lower()}{self.count}"
        self.nodes.append(self.helper.make_node(operator, list(inputs), [to], **attributes))
        return to

    def cast(self, x, kind):
        self.count += 1
        self.nodes.append(self.helper.make_node("Cast", [x], [f"cast{self.count}"], to=kind))
        return f"cast{self.count}"

    def columns(self, x, first, end):
        return self.node("Slice", x, self.integers([first]), self.integers([end]), self.integers([1]))

    def linear(self, x, weight, bias, name):
        return self.node("Gemm", x, self.real(weight, name + ".weight"), self.real(bias, name + ".bias"), transB=1)

    def norm(self, x, parameters, name):
        if name + "/weight" not in parameters:
            return x
        return self.node("LayerNormalization", x, self.real(parameters[name + "/weight"], name + ".weight"),
                         self.real(parameters[name + "/bias"], name + ".bias"), axis=-1, epsilon=1e-5)

    def clip(self, x, low, high):
        return self.node("Min", self.node("Max", x, self.real(low)), self.real(high))


def features(g, policy, p):
    x = "obs"
    if policy.running is not None:
        there = policy.running["count"] > 0
        if there:
            x = g.node("Mul", g.node("Sub", x, g.real(policy.running["mean"])), g.real(1 / np.sqrt(policy.running["variance"] + 1e-8)))
        x = g.clip(x, -10, 10)
    if not policy.image:
        return g.norm(x, p, "feature_norm")
    at, height, width, channels = policy.image
    end = at + height * width * channels
    image = g.node("Reshape", g.columns(x, at, end), g.integers([-1, height, width, channels]))
    image = g.node("Transpose", image, perm=[0, 3, 1, 2])
    for name in policy.convolutions:
        kernel = p[name + "/weight"].shape[2]
        pads = [(kernel - 1) // 2] * 2 + [kernel - 1 - (kernel - 1) // 2] * 2 if policy.same else [0] * 4
        image = g.node("Conv", image, g.real(p[name + "/weight"], name + ".weight"), g.real(p[name + "/bias"], name + ".bias"), pads=pads)
        image = activate(g, policy, image)
    parts = [g.node("Flatten", image)]
    parts += [g.columns(x, first, last) for first, last in ((0, at), (end, policy.inputs)) if last > first]
    return g.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]


def activate(g, policy, x):
    return g.node("Tanh" if policy.activation == "tanh" else "Relu", x)


def remember(g, p, x, hidden):
    """The GRU of torch.nn.GRU: r, z, n; n = tanh(W x + b + r (U h + c))."""
    seen, remembered = g.linear(x, p["gru/weight_ih"], p["gru/bias_ih"], "gru.ih"), g.linear("state", p["gru/weight_hh"], p["gru/bias_hh"], "gru.hh")
    xr, xz, xn = (g.columns(seen, i * hidden, (i + 1) * hidden) for i in range(3))
    hr, hz, hn = (g.columns(remembered, i * hidden, (i + 1) * hidden) for i in range(3))
    r, z = g.node("Sigmoid", g.node("Add", xr, hr)), g.node("Sigmoid", g.node("Add", xz, hz))
    n = g.node("Tanh", g.node("Add", xn, g.node("Mul", r, hn)))
    return g.node("Add", n, g.node("Mul", z, g.node("Sub", "state", n)), to="state_out")


def stack(policy, p, wanted):
    """Weights and biases of some of the heads as one matrix."""
    names = [name for name, (kind, _) in zip(mappo.heads_of(p), policy.heads) if wanted(kind)]
    return np.concatenate([p[name + "/weight"] for name in names]), np.concatenate([p[name + "/bias"] for name in names])


def chooses(kind):
    return kind in ("categorical", "bernoulli")


def masked(policy):
    """Does its environment forbid choices? Where the file doesn't say, it may."""
    return bool(policy.choices) and (policy.spaces is None or policy.spaces["masks"])


def integer_action(g, policy, p, x):
    made = g.linear(x, *stack(policy, p, chooses), "choices")
    logits = g.node("Where", "mask", made, g.real(mappo.MASKED), to="logits") if masked(policy) else g.node("Identity", made, to="logits")
    parts, at = [], 0
    for kind, width in policy.heads:
        if not chooses(kind):
            continue
        part = g.columns(logits, at, at + width)
        at += width
        parts.append(g.node("ArgMax", part, axis=1, keepdims=1) if kind == "categorical" else g.cast(g.node("Greater", part, g.real(0)), INT64))
    whole = g.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    return g.node("Add", whole, g.integers(np.broadcast_to(policy.starts, (1, policy.integers))), to="action_int")


def real_action(g, policy, p, x):
    mean = g.linear(x, *stack(policy, p, lambda kind: not chooses(kind)), "reals")
    mean = g.node("Identity", mean, to="mean")
    fixed = policy.log_std_parameter(p)
    if fixed is not None:
        g.node("Expand", g.real(fixed[None]), g.node("Shape", mean), to="log_std")
    elif "log_std/weight" in p:
        g.node("Identity", g.clip(g.linear(x, p["log_std/weight"], p["log_std/bias"], "log_std"), *mappo.LOG_STD_BOUNDS), to="log_std")
    if policy.real_kind in ("tanh", "tanh_gaussian"):
        mean = g.node("Tanh", mean)
    if policy.real_kind == "softmax":
        ends = np.cumsum([width for kind, width in policy.heads if not chooses(kind)])
        parts = [g.node("Softmax", g.columns(mean, first, end), axis=1) for first, end in zip([0, *ends], ends)]
        mean = g.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    if policy.squashes:
        mean = g.node("Tanh", mean)
    factor, offset, low, high = policy.scaling()
    g.node("Identity", g.clip(g.node("Add", g.node("Mul", mean, g.real(factor)), g.real(offset)), low, high), to="action_real")


def bins(g, policy):
    low, high = policy.bounds
    choice = g.cast(g.node("Gather", "action_int", g.integers(policy.bin_columns), axis=1), FLOAT)
    g.node("Add", g.node("Mul", choice, g.real((high - low) / (policy.bins - 1))), g.real(low), to="action_real")


def describe(policy, use):
    told = {"environment": policy.checkpoint.attribute.get("environment", ""), "options": policy.checkpoint.attribute.get("environment_options", ""),
            "group": policy.group, "agents": str(policy.agents or ""), "checkpoint": policy.checkpoint.path, "heads": json.dumps(policy.heads),
            "spaces": json.dumps(policy.spaces or {}), "wrappers": json.dumps(policy.wrappers), "use": use,
            "program": policy.checkpoint.attribute.get("program", "")}
    return {**told, **({} if policy.agent is None else {"agent": str(policy.agent)})}


def model(policy):
    """Of a policy that has one network (load(…, agent=) where each agent has its own)."""
    import onnx  # pylint: disable=import-outside-toplevel
    helper, kinds = onnx.helper, onnx.TensorProto
    g, p = Graph(helper, onnx.numpy_helper), policy.networks[0]

    def tensor(name, kind, width):
        return helper.make_tensor_value_info(name, kind, ["rows", width])

    inputs, outputs = [tensor("obs", kinds.FLOAT, policy.inputs)], []
    x = features(g, policy, p)
    for k, name in enumerate(policy.layers):
        x = g.norm(activate(g, policy, g.linear(x, p[name + "/weight"], p[name + "/bias"], name)), p, f"norm{k + 1}")
    if policy.recurrent:
        inputs.append(tensor("state", kinds.FLOAT, policy.hidden))
        x = g.norm(remember(g, p, x, policy.hidden), p, "gru_norm")
        outputs.append(tensor("state_out", kinds.FLOAT, policy.hidden))
    if policy.choices:
        inputs += [tensor("mask", kinds.BOOL, sum(policy.choices))] if masked(policy) else []
        integer_action(g, policy, p, x)
        outputs += [tensor("logits", kinds.FLOAT, sum(policy.choices)), tensor("action_int", kinds.INT64, policy.integers)]
    if policy.reals:
        real_action(g, policy, p, x)
        outputs.append(tensor("mean", kinds.FLOAT, policy.reals))
        outputs += [tensor("log_std", kinds.FLOAT, policy.reals)] if policy.real_kind in ("gaussian", "tanh_gaussian") else []
    if policy.bins and policy.bin_columns:
        bins(g, policy)
    if policy.reals or policy.bin_columns:
        outputs.append(tensor("action_real", kinds.FLOAT, policy.reals or len(policy.bin_columns)))
    graph = helper.make_graph(g.nodes, policy.group, inputs, outputs, g.constants, doc_string=__doc__)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="mappo")
    helper.set_model_props(made, describe(policy, "obs: one row an agent; wrappers that shape observations are the caller's. state: what state_out gave in the step before, zeros "
                                                  "where an episode begins. Draw from softmax(logits) of each head, or mean + exp(log_std) n, or take the action as it is."))
    onnx.checker.check_model(made)
    return made


def write(policy, path):
    whole.replace(path, model(policy).SerializeToString())
