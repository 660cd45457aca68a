"""Times 3 x 3 convolutions in PyTorch by shape and pass, contiguous and channels-last, and reports the faster one.

Shapes are written as our side prints them, like ``1×256²×64→64``,
with ``/2`` behind them where the stride is 2. Padding is 1. With one thread, processor time is taken, as on our side.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

import torch

import measuring
from convolutions import parsed

FORMATS = {"eager": torch.contiguous_format, "channels-last": torch.channels_last}


def passes(shape: str, setting: str) -> dict[str, Callable[[], torch.Tensor]]:
    """The three passes of a convolution, each on its own, under the names that our side gives them."""
    batch, side, inputs, outputs, stride = parsed(shape)
    layout = FORMATS[setting]
    x = torch.rand(batch, inputs, side, side).to(memory_format=layout)
    weight = (torch.rand(outputs, inputs, 3, 3) * 0.1 - 0.05).to(memory_format=layout)
    y = torch.nn.functional.conv2d(x, weight, stride=stride, padding=1)
    dy = torch.rand_like(y)

    def backward(mask: list[bool]) -> Callable[[], torch.Tensor]:
        steps, pads, zeros = [stride, stride], [1, 1], [0, 0]
        gradients = torch.ops.aten.convolution_backward
        index = mask.index(True)
        return lambda: gradients(dy, x, weight, None, steps, pads, [1, 1], False, zeros, 1, mask)[index]

    return {
        "forward": lambda: torch.nn.functional.conv2d(x, weight, stride=stride, padding=1),
        "input gradient": backward([True, False, False]),
        "weight gradient": backward([False, True, False]),
    }


def seconds(work: Callable[[], object], arguments: argparse.Namespace) -> list[float]:
    clock = time.thread_time if arguments.threads == 1 else time.perf_counter
    for _ in range(arguments.warmup):
        work()
    result = []
    for _ in range(arguments.repeat):
        start = clock()
        work()
        result.append(clock() - start)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", action="append", required=True, help="may be given several times")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--warmup", type=int, default=1, help="repetitions that are not counted")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions whose median is reported")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    arguments = parser.parse_args()
    try:
        for shape in arguments.shape:
            parsed(shape)
    except ValueError as error:
        parser.error(f"--shape: {error}")
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    results = []
    with torch.no_grad():
        for shape in arguments.shape:
            works = {setting: passes(shape, setting) for setting in FORMATS}
            for name in works["eager"]:
                medians = {
                    setting: statistics.median(seconds(works[setting][name], arguments)) for setting in FORMATS
                }
                setting = min(medians, key=medians.get)
                results.append({"shape": shape, "pass": name, "median_s": medians[setting], "setting": setting})
    if arguments.json:
        print(json.dumps({"name": "convolution", "passes": results, "peak_bytes": measuring.peak_bytes()}))
    else:
        for result in results:
            print(f"{result['shape']:20} {result['pass']:16} {result['median_s']:.4f} s ({result['setting']})")


if __name__ == "__main__":
    main()
