"""Reads what torch.save wrote of a state_dict, without torch: a zip archive of one pickle and one file a tensor's storage. Only dictionaries, numbers,
texts and tensors are made of it; a pickle that asks for anything else is refused, and none of its code runs."""
import collections
import pickle
import zipfile

import mappo
import numpy as np

STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1",
            "ByteStorage": "u1", "BoolStorage": "?"}


class Storage:
    def __init__(self, values):
        self.values = values


def tensor(storage, offset, size, stride, *_):
    """torch._utils._rebuild_tensor_v2: a view of a storage."""
    last = offset + sum((n - 1) * step for n, step in zip(size, stride)) if all(size) else offset - 1
    if offset < 0 or last >= len(storage.values) or any(step < 0 for step in stride):
        raise mappo.Problem("a tensor lies outside of its storage: the file is damaged")
    step = storage.values.itemsize
    return np.lib.stride_tricks.as_strided(storage.values[offset:], size, [n * step for n in stride]).copy()


class Reader(pickle.Unpickler):
    KNOWN = {("collections", "OrderedDict"): collections.OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): tensor,
             ("torch._utils", "_rebuild_parameter"): lambda data, *_: data}

    def __init__(self, file, archive, top):
        super().__init__(file)
        self.archive, self.top = archive, top

    def find_class(self, module, name):
        if module == "torch" and name.endswith("Storage"):
            return name  # persistent_load says which are read
        if (module, name) not in self.KNOWN:
            raise mappo.Problem(f"it holds {module}.{name}, and only a state_dict is read: torch.save(module.state_dict(), FILE)")
        return self.KNOWN[module, name]

    def persistent_load(self, pid):
        _, kind, key, _, count = pid
        if kind not in STORAGES:
            raise mappo.Problem(f"tensors of {kind} are not read")
        values = np.frombuffer(self.archive.read(f"{self.top}/data/{key}"), STORAGES[kind])
        if len(values) < count:
            raise mappo.Problem("a storage is shorter than its tensors: the file is damaged")
        return Storage(values)


def first_line(problem):
    return (str(problem).splitlines() or [type(problem).__name__])[0]


def legacy(path):
    """Files of before torch 1.6 are no archives: torch reads them where there is one."""
    try:
        import torch  # pylint: disable=import-outside-toplevel
        return {name: value.detach().cpu().numpy() for name, value in torch.load(path, map_location="cpu", weights_only=True).items()}
    except ImportError:
        raise mappo.Problem(f"{path} is no zip archive: only PyTorch reads files of before 1.6, and this Python has none")
    except OSError:
        raise
    except Exception as problem:  # of what a file says anything may come  pylint: disable=broad-exception-caught
        raise mappo.Problem(f"{path} is no state_dict that torch.save wrote: {first_line(problem)}")


def state_dict(path):
    """Arrays by name."""
    try:
        if not zipfile.is_zipfile(path):
            return legacy(path)
        with zipfile.ZipFile(path) as archive:
            inside = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(inside) != 1:
                raise mappo.Problem("it is a zip archive, and not one of torch.save")
            top = inside[0][:-len("/data.pkl")]
            if f"{top}/byteorder" in archive.namelist() and archive.read(f"{top}/byteorder") != b"little":
                raise mappo.Problem("it was written on a machine of another byte order")
            with archive.open(inside[0]) as file:
                found = Reader(file, archive, top).load()
    except mappo.Problem as problem:
        raise mappo.Problem(str(problem) if str(problem).startswith(path) else f"{path}: {problem}")
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as problem:  # of what a file says anything may come  pylint: disable=broad-exception-caught
        raise mappo.Problem(f"{path} is damaged, or no state_dict: {first_line(problem)}")
    if not isinstance(found, dict) or not all(isinstance(value, np.ndarray) for value in found.values()):
        raise mappo.Problem(f"{path} holds something else than a state_dict: torch.save(module.state_dict(), FILE)")
    return dict(found)
