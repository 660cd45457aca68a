"""Reads the parity fixtures: safetensors files with JSON metadata, and tensors that follow a rule."""

import json
import os
import struct
from pathlib import Path

import numpy as np
import torch

_TYPES = {"F64": np.float64, "F32": np.float32, "I64": np.int64, "I32": np.int32, "U8": np.uint8}


def folder() -> Path:
    """The folder named by MERGEVQ_FIXTURES, or ``shared/parity`` beside the repository."""
    default = Path(__file__).resolve().parents[4] / "shared" / "parity"
    return Path(os.environ.get("MERGEVQ_FIXTURES", default))


class Fixture:
    """One file: ``kind``, ``config``, ``metadata`` and tensors by name."""

    def __init__(self, path: Path):
        self.path = Path(path)
        content = self.path.read_bytes()
        length = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + length])
        self.metadata = header.pop("__metadata__")
        self.kind = self.metadata["kind"]
        self.config = json.loads(self.metadata.get("config", "{}"))
        self._header, self._data = header, content[8 + length :]

    def json(self, key: str):
        return json.loads(self.metadata[key])

    def names(self, prefix: str = "") -> list[str]:
        return [name for name in self._header if name.startswith(prefix)]

    def __getitem__(self, name: str) -> torch.Tensor:
        entry = self._header[name]
        start, end = entry["data_offsets"]
        array = np.frombuffer(self._data[start:end], dtype=_TYPES[entry["dtype"]]).reshape(entry["shape"])
        return torch.from_numpy(array.copy())

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """Tensors whose name starts with ``prefix``, under the rest of their name."""
        return {name[len(prefix) :]: self[name] for name in self.names(prefix)}


def every(kind: str) -> list[Fixture]:
    """All fixtures of a kind in the folder, by file name."""
    fixtures = (Fixture(path) for path in sorted(folder().glob("*.safetensors")))
    return [fixture for fixture in fixtures if fixture.kind == kind]


def uniform(key: str, count: int, salt: str = "") -> np.ndarray:
    """``count`` float64 numbers in [0, 1) that depend only on ``salt + key``: FNV-1a seeds splitmix64."""
    seed = 0xCBF29CE484222325
    for byte in (salt + key).encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**24


def by_rule(key: str, shape: tuple[int, ...], salt: str = "") -> np.ndarray:
    """A weight tensor of a network too large to ship, float64, from its key and shape."""
    u = uniform(key, int(np.prod(shape)), salt).reshape(shape)
    if len(shape) >= 2:
        return (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:]))
    if key.endswith("running_var"):
        return 1 + 0.5 * u
    if key.endswith(("running_mean", ".bias")):
        return 0.1 * (2 * u - 1)
    return 1 + 0.1 * (2 * u - 1)
