"""Spaces of Gymnasium in the terms of env/mappo_env.h: how they are described, how observations are written as rows of float, how what a
policy chose is read as an action, and how masks are written. docs/python.md says what becomes of which space.

Spaces are known by the names of their classes, so no package is imported."""
import json

import numpy as np

MAX_HEADS, MAX_CHOICES, MAX_LAYOUT = 4, 65536, 6000
FLOAT_MAX = float(np.finfo(np.float32).max)


class Refusal(Exception):
    """What a person must change: the message is all that is shown."""


class PlainSpace:
    """A space of an environment that has none of Gymnasium's."""

    def __init__(self, kind, shape, n=0):
        self.kind, self.shape, self.n, self.start = kind, shape, n, 0
        self.low, self.high = np.full(shape, -np.inf), np.full(shape, np.inf)
        self.dtype = np.dtype(np.int64 if n else np.float32)


def kind_of(space):
    """The name of the space's class, or of the one that it is derived from: spaces of any package that calls them as Gymnasium does."""
    known = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple")
    if isinstance(space, PlainSpace):
        return space.kind
    bases = [base.__name__ for base in type(space).__mro__]
    kind = next((base for base in bases if base in known), bases[0])
    if kind not in known and "Space" not in bases:
        raise Refusal("%r is no space of Gymnasium" % (space,))
    return kind


def leaves_of(space, path=()):
    """[(path of keys, space)] of the spaces inside of Dict and Tuple, in their order."""
    kind = kind_of(space)
    if kind not in ("Dict", "Tuple"):
        return [(path, space)]
    inner = space.spaces.items() if kind == "Dict" else enumerate(space.spaces)
    return [leaf for key, one in inner for leaf in leaves_of(one, path + (key,))]


def value_at(value, path):
    for key in path:
        value = value[key]
    return value


def numbers(values):
    """As a control line has them: one number stands for all of them."""
    values = np.ravel(values).tolist()
    return [repr(value) for value in (values[:1] if len(set(values)) == 1 else values)]


class Head:
    """One head as the rank is told of it: a space without inner spaces."""

    def __init__(self, space, path, whose):
        self.space, self.kind, self.path = space, kind_of(space), path
        self.name = ".".join(str(key) for key in path)
        self.shape = tuple(getattr(space, "shape", None) or ())
        self.size = int(np.prod(self.shape)) if self.shape else 1
        self.start = np.zeros(self.size, np.int64)
        self.image, self.said = (0, 0, 0), ""
        if self.kind == "Box":
            self.kind_name, self.width = "box", self.size
        elif self.kind in ("Discrete", "MultiDiscrete"):
            single = self.kind == "Discrete"
            self.kind_name = "discrete" if single else "multi_discrete"
            self.n = np.ravel(space.n if single else space.nvec).astype(np.int64)
            self.start = np.broadcast_to(np.ravel(getattr(space, "start", 0)).astype(np.int64), self.n.shape)
            self.width = int(self.n.sum())
            self.first = np.concatenate([[0], np.cumsum(self.n)[:-1]])  # where each component's choices begin
            if self.width > MAX_CHOICES:
                raise Refusal("%s of %s has %d choices, more than %d: make it a Box or several components" % (space, whose, self.width, MAX_CHOICES))
        elif self.kind == "MultiBinary":
            self.kind_name, self.width = "multi_binary", self.size
        else:
            leave_out = " (gymnasium.wrappers.FilterObservation leaves parts out)" if self.name else ""
            raise Refusal("%s has a space %s%s: wrap the environment so that it is a Box, Discrete, MultiDiscrete or MultiBinary%s"
                          % (whose, self.kind, ' "%s"' % self.name if self.name else "", leave_out))
        if self.width < 1:
            raise Refusal("%s has an empty space %s" % (whose, space))

    def lines(self, what):
        low_high = []
        if self.kind == "Box":
            low_high = [["low"] + numbers(self.arranged(self.space.low)), ["high"] + numbers(self.arranged(self.space.high))]
        elif self.kind != "MultiBinary":
            low_high = [["n"] + numbers(self.n)] + ([["start"] + numbers(self.start)] if self.start.any() else [])
        named = self.name and self.kind == "Box" and self.size <= 64
        names = [self.name if self.size == 1 else "%s %d" % (self.name, i) for i in range(self.size)] if named else []
        return [[what, self.kind_name, self.size] + list(self.image)] + low_high + [["meaning", name] for name in names]

    def arranged(self, bounds):
        return np.clip(np.ravel(bounds).astype(np.float64), -np.inf, np.inf)


class ObsHead(Head):
    def __init__(self, space, path, whose):
        super().__init__(space, path, whose)
        if self.kind != "Box":
            return
        dtype = np.dtype(space.dtype)
        self.bytes = bool(dtype == np.uint8 and np.all(space.low == 0) and np.all(space.high == 255))
        self.wide = dtype.kind == "f" and dtype.itemsize > 4
        shape = self.shape
        self.channels_first = len(shape) == 3 and shape[0] < min(shape[1:]) and shape[0] < shape[2]
        if len(shape) == 3:
            self.image = shape[1:] + shape[:1] if self.channels_first else shape
        elif len(shape) == 2 and self.bytes and min(shape) >= 8:
            self.image = shape + (1,)
        where = ' of "%s"' % self.name if self.name else ""
        notes = ["channels come last (%d x %d x %d)" % self.image] * self.channels_first + ["bytes are divided by 255"] * self.bytes
        self.said = "observations%s: %s" % (where, ", ".join(notes)) if notes else ""

    def view(self, row):
        """The row, or what of it is this head's, with the axes that the environment's arrays have."""
        if self.channels_first:
            return row.reshape(self.image).transpose(2, 0, 1)
        return row.reshape(self.shape) if len(self.shape) != 1 else row

    def layout(self):
        """How it becomes numbers: run/spaces.h."""
        told = {"key": list(self.path), "kind": self.kind_name, "shape": list(self.shape)}
        if self.kind == "Box":
            told.update({name: True for name, it_is in (("bytes", self.bytes), ("channels_first", self.channels_first)) if it_is})
        elif self.kind != "MultiBinary":
            told.update(n=self.n.tolist(), start=self.start.tolist())
        return told

    def arranged(self, bounds):
        row = np.empty(self.size)
        self.view(row)[...] = bounds
        return row / 255 if self.bytes else row

    def writer(self, row):
        """A function that writes an observation into row [width]."""
        if self.kind == "Box":
            return self.box_writer(row)
        if self.kind == "Discrete":
            n, start = int(self.n[0]), int(self.start[0])

            def put(value):
                index = int(value) - start
                if not 0 <= index < n:
                    raise Refusal("the observation %s is outside of %s" % (value, self.space))
                row[:] = 0
                row[index] = 1
        elif self.kind == "MultiDiscrete":
            n, start, first = self.n, self.start, self.first

            def put(value):
                index = np.ravel(value) - start
                if index.shape != n.shape or (index < 0).any() or (index >= n).any():
                    raise Refusal("the observation %s is outside of %s" % (value, self.space))
                row[:] = 0
                row[first + index] = 1
        else:
            view, shape = row.reshape(self.shape), self.shape

            def put(value):
                if np.shape(value) != shape:
                    raise Refusal("the observation has shape %s; its space says %s" % (np.shape(value), shape))
                view[...] = value
        return put

    def box_writer(self, row):
        view, shape, size = self.view(row), self.shape, self.size

        def wrong(value):
            raise Refusal("the observation%s has shape %s; its space says %s" % (" " + self.name if self.name else "", np.shape(value), shape))

        if self.bytes or self.wide:
            scale = np.float32(1 / 255)

            def put(value):
                if np.shape(value) != shape:
                    wrong(value)
                if self.bytes:
                    np.multiply(value, scale, out=view, dtype=np.float32, casting="unsafe")
                else:
                    np.clip(value, -FLOAT_MAX, FLOAT_MAX, out=view, casting="unsafe")
        elif len(shape) == 1 and size > 1:

            def put(value):
                if len(value) != size:  # NumPy would repeat a single number
                    wrong(value)
                row[:] = value
        else:

            def put(value):
                if np.shape(value) != shape:
                    wrong(value)
                view[...] = value
        return put


class Observation:
    """An agent's observation: heads, how they are written, and where in it the mask is."""

    def __init__(self, space, whose):
        self.mask_inside = kind_of(space) == "Dict" and "action_mask" in space.spaces and len(space.spaces) > 1
        leaves = [leaf for leaf in leaves_of(space) if not (self.mask_inside and leaf[0][0] == "action_mask")]
        self.heads = [ObsHead(one, path, whose) for path, one in leaves]
        self.width = sum(head.width for head in self.heads)
        if len(self.heads) == 1:
            self.heads[0].name = ""
        self.said = [head.said for head in self.heads if head.said]
        self.plain = len(self.heads) == 1 and not self.heads[0].path
        if len(self.heads) > MAX_HEADS:
            self.said.append("observations of %d parts are one Box of %d numbers: %s" % (len(self.heads), self.width, ", ".join(h.name for h in self.heads)))

    def lines(self):
        if len(self.heads) <= MAX_HEADS:
            return [line for head in self.heads for line in head.lines("obs")]
        names = ["%s%s" % (head.name, "" if head.width == 1 else " %d" % i) for head in self.heads for i in range(head.width)]
        return [["obs", "box", self.width, 0, 0, 0]] + ([["meaning", name] for name in names] if self.width <= 256 else [])

    def layout(self):
        """A line of the description; none where keys are no JSON, or it would be longer than what it tells of is worth."""
        try:
            text = json.dumps([head.layout() for head in self.heads], separators=(",", ":"))
        except TypeError:
            return []
        return [["layout", text]] if len(text) <= MAX_LAYOUT else []

    def writer(self, row):
        if self.plain:
            return self.heads[0].writer(row)
        parts, at = [], 0
        for head in self.heads:
            parts.append((head.path, head.writer(row[at:at + head.width])))
            at += head.width

        def put(value):
            for path, put_part in parts:
                put_part(value_at(value, path))
        return put


class ActHead(Head):
    """One head of an action; `reader` makes a function that gives what the policy chose, as the space's own sample() would look."""

    def reader(self, integers, reals):
        """integers: memoryview of this head's numbers, or None; reals: array of them, or None."""
        shape, dtype = self.shape, np.dtype(self.space.dtype)
        if self.kind == "Discrete":
            start, scalar = int(self.start[0]), dtype.type
            if self.width <= 1024:
                scalars = [scalar(start + i) for i in range(self.width)]
                return lambda: scalars[integers[0] - start]
            return lambda: scalar(integers[0])
        if self.kind != "Box":
            array = np.asarray(integers)
            return lambda: array.astype(dtype).reshape(shape)
        low, high = self.space.low, self.space.high
        if dtype == np.float32:
            return lambda: reals.copy().reshape(shape)
        if dtype.kind == "f":  # a bound of 64 bits can lie beside the float that is nearest to it
            return lambda: np.clip(reals.astype(dtype).reshape(shape), low, high)
        return lambda: np.clip(np.rint(reals.astype(np.float64)).reshape(shape), low, high).astype(dtype)


class Action:
    def __init__(self, space, whose):
        self.space = space
        self.heads = [ActHead(one, path, whose) for path, one in leaves_of(space)]
        if len(self.heads) > MAX_HEADS:
            raise Refusal("an action of %s has %d parts (%s), more than %d: join those of one kind into one MultiDiscrete or Box"
                          % (whose, len(self.heads), ", ".join(head.name for head in self.heads), MAX_HEADS))
        self.integers = sum(head.size for head in self.heads if head.kind != "Box")
        self.mask = sum(head.width for head in self.heads if head.kind != "Box")
        endless = any(head.kind == "Box" and np.isinf([head.space.low, head.space.high]).any() for head in self.heads)
        self.said = ["actions of a Box without bounds are taken as they come, around 0 and about 1 wide: give it bounds, so that they can be clipped and rescaled (wrap.rescale_action)"] * endless

    def lines(self):
        return [line for head in self.heads for line in head.lines("act")]

    def reader(self, integers, reals):
        readers, at = [], [0, 0]
        for head in self.heads:
            real = head.kind == "Box"
            numbers_of = (reals if real else integers)[at[real]:at[real] + head.size]
            readers.append(head.reader(*((None, numbers_of) if real else (numbers_of, None))))
            at[real] += head.size
        remaining = iter(readers)

        def build(space):  # a function that makes the value of Dict or Tuple anew
            kind = kind_of(space)
            if kind == "Dict":
                inner = [(key, build(one)) for key, one in space.spaces.items()]
                return lambda: {key: one() for key, one in inner}
            if kind == "Tuple":
                parts = [build(one) for one in space.spaces]
                return lambda: tuple([one() for one in parts])
            return next(remaining)
        return build(self.space)

    def mask_writer(self, row):
        """A function that writes a mask of what is allowed into row [mask]; None allows all."""
        width = self.mask

        def flat(mask):
            if isinstance(mask, dict):
                mask = [mask[key] for key in self.space.spaces]
            if isinstance(mask, (tuple, list)) and any(isinstance(one, (tuple, list, dict, np.ndarray)) for one in mask):
                return np.concatenate([flat(one) for one in mask if one is not None])
            return np.ravel(mask)

        def put(mask):
            if mask is None:
                row[:] = 1
                return
            if type(mask) is not np.ndarray or mask.ndim != 1:
                mask = flat(mask)
            if len(mask) != width:
                raise Refusal("the action mask has %d numbers where %s has %d choices" % (len(mask), self.space, width))
            np.not_equal(mask, 0, out=row)
        return put
