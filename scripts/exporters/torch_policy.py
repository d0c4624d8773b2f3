"""ABOUT"""
import os

import torch
from torch import nn
from torch.nn import functional

SPEC = {}


def layer(shape):
    return {4: lambda: nn.Conv2d(shape[1], shape[0], shape[2]), 2: lambda: nn.Linear(shape[1], shape[0]), 1: lambda: nn.LayerNorm(shape[0])}[len(shape)]()


class Policy(nn.Module):
    """SPEC says what it is of; load() gives it its weights."""

    def __init__(self):
        super().__init__()
        for name, shape in SPEC["layers"].items():
            self.add_module(name, layer(shape))
        if SPEC["gru"]:
            self.gru = nn.GRUCell(SPEC["gru"], SPEC["gru"])
        if SPEC["log_std"] == "parameter":
            self.log_std = nn.Parameter(torch.zeros(SPEC["reals"]))
        for name, size in SPEC["buffers"].items():
            self.register_buffer(name, torch.zeros(size))

    def norm(self, name, x):
        return getattr(self, name)(x) if hasattr(self, name) else x

    def activate(self, x):
        return torch.tanh(x) if SPEC["activation"] == "tanh" else torch.relu(x)

    def see(self, obs):
        """The first hidden layer's input. obs [rows, numbers]."""
        if hasattr(self, "obs_mean"):
            obs = ((obs - self.obs_mean) * self.obs_scale).clamp(-10, 10)
        obs = self.norm("feature_norm", obs)
        if not SPEC["image"]:
            return obs
        at, height, width, channels = SPEC["image"]
        end = at + height * width * channels
        image = obs[:, at:end].reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        for name in SPEC["convolutions"]:
            convolution = getattr(self, name)
            before = (convolution.kernel_size[0] - 1) // 2
            after = convolution.kernel_size[0] - 1 - before
            image = self.activate(convolution(functional.pad(image, (before, after, before, after)) if SPEC["same"] else image))
        return torch.cat([image.flatten(1), obs[:, :at], obs[:, end:]], 1)

    def forward(self, obs, state=None):
        """What the heads make of obs [..., numbers], one after the other, before masks; log standard deviations (None) and the state after it (None)."""
        batch = obs.shape[:-1]
        x = self.see(obs.reshape(-1, obs.shape[-1]).to(self.starts.dtype))
        for k in range(SPEC["hidden"]):
            x = self.norm(f"norm{k + 1}", self.activate(getattr(self, f"fc{k + 1}")(x)))
        if SPEC["gru"]:
            state = x.new_zeros(len(x), SPEC["gru"]) if state is None else state.reshape(-1, SPEC["gru"])
            state = self.gru(x, state)
            x = self.gru_norm(state)
            state = state.reshape(batch + state.shape[-1:])
        output = torch.cat([getattr(self, name)(x) for name in SPEC["head_names"]], 1)
        log_std = None
        if SPEC["log_std"] == "layer":
            log_std = self.log_std(x).clamp(-20, 2)
        elif SPEC["log_std"]:
            log_std = self.log_std.expand(len(x), -1)
        return output.reshape(batch + output.shape[-1:]), None if log_std is None else log_std.reshape(batch + log_std.shape[-1:]), state if SPEC["gru"] else None

    def decide(self, output, log_std, mask=None, deterministic=True):
        """Integers with their starts [..., count] and reals [..., count] as the environment takes them, of what forward made."""
        integers, reals, column, choice, real = [output[..., :0]], [output[..., :0]], 0, 0, 0
        for kind, width in SPEC["heads"]:
            z = output[..., column:column + width]
            column += width
            if kind in ("categorical", "bernoulli"):
                z = z if mask is None else z.masked_fill(mask[..., choice:choice + width] == 0, -1e10)
                choice += width
            if kind == "categorical":
                z = z if deterministic else z - torch.log(-torch.log(torch.rand_like(z).clamp(1e-30, 1 - 1e-7)))
                integers.append(z.argmax(-1, keepdim=True).to(z.dtype))
            elif kind == "bernoulli":
                integers.append((z > 0 if deterministic else torch.rand_like(z) < torch.sigmoid(z)).to(z.dtype))
            elif kind == "softmax":
                reals.append(z.softmax(-1))
            else:
                if log_std is not None and not deterministic:
                    z = z + log_std[..., real:real + width].exp() * torch.randn_like(z)
                real += width
                reals.append(z if kind == "gaussian" else torch.tanh(z))
        integers, reals = torch.cat(integers, -1), torch.cat(reals, -1)
        if SPEC["reals"]:
            reals = (torch.tanh(reals) if SPEC["squash"] else reals) * self.factor + self.offset
            reals = torch.minimum(torch.maximum(reals, self.low), self.high)
        elif SPEC["bin_columns"]:
            reals = self.low + (self.high - self.low) * integers[..., SPEC["bin_columns"]] / (SPEC["bins"] - 1)
        return (integers + self.starts if SPEC["integers"] else integers).long(), reals

    @torch.no_grad()
    def act(self, obs, mask=None, state=None, deterministic=True):
        """The environment's action (of several spaces a tuple) and the state after it. obs [..., numbers], mask [..., choices], 0 = forbidden."""
        obs, mask = torch.as_tensor(obs), None if mask is None else torch.as_tensor(mask)
        output, log_std, state = self(obs, state)
        integers, reals = self.decide(output, log_std, mask, deterministic)
        values = []
        for kind, first, end in SPEC["action"]:
            part = (reals if kind == "box" else integers)[..., first:end]
            values.append(part[..., 0] if kind == "discrete" else part)
        return values[0] if len(values) == 1 else tuple(values), state


def load(path=None):
    """path: of its weights; beside this file unless given."""
    policy = Policy()
    policy.load_state_dict(torch.load(path or os.path.splitext(os.path.abspath(__file__))[0] + ".pt", map_location="cpu", weights_only=True))
    return policy.eval()
