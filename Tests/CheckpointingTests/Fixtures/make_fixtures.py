"""Writes the PyTorch files of this folder.

    pip install torch==2.13.0 && python make_fixtures.py

Element i of tensor number t holds ((37·i + t) mod 101 − 50) / 8, which every floating point type here represents
exactly; integers drop the division, Booleans say whether i + t is odd. The tests compute the same.
"""

import argparse
import collections
import sys
from pathlib import Path

import torch


def values(number, *shape):
    count = 1
    for size in shape:
        count *= size
    return ((37 * torch.arange(count) + number) % 101 - 50).reshape(shape)


def floats(number, *shape, dtype=torch.float32):
    return (values(number, *shape).to(torch.float64) / 8).to(dtype)


def state_dict():
    shared = floats(1, 4, 6)
    state = collections.OrderedDict()
    state["conv.weight"] = torch.nn.Parameter(floats(0, 3, 2, 3, 3))
    state["transposed"] = shared.t()
    state["slice"] = shared[1:3, 2:5]
    state["tied"] = shared
    state["expanded"] = floats(2, 3, 1).expand(3, 4)
    state["scalar"] = floats(3)
    state["empty"] = floats(4, 0, 5)
    state["half"] = floats(5, 7, dtype=torch.float16)
    state["brain"] = floats(6, 7, dtype=torch.bfloat16)
    state["double"] = floats(7, 7, dtype=torch.float64)
    state["long"] = values(8, 5).to(torch.int64)
    state["int"] = values(9, 5).to(torch.int32)
    state["short"] = values(10, 5).to(torch.int16)
    state["char"] = values(11, 5).to(torch.int8)
    state["byte"] = (values(12, 5) + 50).to(torch.uint8)
    state["bool"] = (torch.arange(5) + 13) % 2 == 1
    return state


def checkpoint():
    """What a training framework leaves behind: weights in the middle of other things."""
    return {
        "epoch": 3,
        "global_step": 70_000,
        "framework": "probe",
        "state_dict": state_dict(),
        "optimizer_states": [{"state": {0: {"exp_avg": floats(20, 2, 2)}}, "param_groups": [{"lr": 1e-4}]}],
        "hyper_parameters": argparse.Namespace(width=32, dtype=torch.float32, shape=torch.Size([2, 3])),
        "nothing": None,
        "large": 1 << 70,
    }


class Malicious:
    def __reduce__(self):
        import os

        return os.system, ("echo this must not run",)


def main():
    folder = Path(__file__).parent
    torch.save(checkpoint(), folder / "checkpoint.ckpt")
    torch.save(state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"weight": floats(0, 2), "callback": Malicious()}, folder / "malicious.pt")
    print(f"torch {torch.__version__}, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
