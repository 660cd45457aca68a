"""What the peer benchmarks share: settings tried in a process of their own, medians, peak memory, one JSON line.

Each setting (say, a memory format) runs in a fresh child process, so that its peak memory is its own; the fastest one is
reported, and the others are listed beside it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

# How PyTorch may lay out images, by the names of its own.
MEMORY_FORMATS = {"contiguous": "contiguous_format", "channels_last": "channels_last"}


def parser(description: str, batch: int, settings: list[str]) -> argparse.ArgumentParser:
    """Options that every benchmark takes; ``settings`` are the names of what is tried."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("--batch", type=int, default=batch)
    result.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    result.add_argument("--warmup", type=int, default=1, help="repetitions that are not counted")
    result.add_argument("--repeat", type=int, default=3, help="repetitions whose median is reported")
    result.add_argument("--setting", choices=settings, action="append", help="only this one (default: all)")
    result.add_argument("--json", action="store_true", help="one line of JSON instead of a sentence")
    result.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return result


def tokenizer_arguments(description: str) -> argparse.Namespace:
    """The options of a tokenizer's step: what all take, memory formats as settings, and sizes, by default those of the
    published G+R-d64."""
    options = parser(description, batch=2, settings=list(MEMORY_FORMATS))
    options.add_argument("--resolution", type=int, default=256, help="pixels a side")
    options.add_argument("--channels", type=int, default=64, help="of the full resolution")
    options.add_argument("--keep", type=int, default=144, help="tokens kept after merging, a square")
    return options.parse_args()


def add_generator_sizes(options: argparse.ArgumentParser) -> None:
    """Options for the sizes of a generator, by default the published 12 x 768 one."""
    options.add_argument("--layers", type=int, default=12)
    options.add_argument("--factorized-layers", type=int, default=2)
    options.add_argument("--width", type=int, default=768)
    options.add_argument("--heads", type=int, default=12)
    options.add_argument("--bits", type=int, nargs=2, default=[6, 12], help="bits of the two factors of a code")
    options.add_argument("--grid", type=int, default=16, help="tokens a side")


def generator_sizes(arguments: argparse.Namespace) -> dict:
    """The chosen sizes under the names of ``GeneratorConfig``."""
    return {
        "spatial_n_layer": arguments.layers,
        "factorized_n_layer": arguments.factorized_layers,
        "dim": arguments.width,
        "n_head": arguments.heads,
        "factorized_bits": arguments.bits,
        "grid": arguments.grid,
    }


def peak_bytes() -> int:
    """Highest resident set of this process so far, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM line")


def repeat(work: Callable[[], None], warmup: int, count: int) -> list[float]:
    """Seconds of ``count`` runs of ``work`` after ``warmup`` runs."""
    for _ in range(warmup):
        work()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return seconds


def run(name: str, arguments: argparse.Namespace, settings: list[str], work: Callable[[str], dict]) -> None:
    """Runs ``work(setting)`` for each setting in a child process and prints the fastest.

    ``work`` returns at least ``seconds``, a list; what else it returns is passed on.
    """
    chosen = arguments.setting or settings
    if arguments.child:
        import torch

        torch.set_num_threads(arguments.threads)
        torch.manual_seed(0)
        outcome = work(chosen[0])
        outcome |= {"setting": chosen[0], "peak_bytes": peak_bytes(), "torch": torch.__version__}
        outcome["median_s"] = statistics.median(outcome["seconds"])
        print(json.dumps(outcome))
        return
    options = [option for option in _without_settings(sys.argv[1:]) if option != "--json"]
    outcomes = []
    for setting in chosen:
        command = [sys.executable, sys.argv[0], *options, "--child", "--setting", setting]
        environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
        child = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        if child.returncode != 0:
            sys.exit(f"{name}: setting {setting} failed with exit status {child.returncode}")
        outcomes.append(json.loads(child.stdout.splitlines()[-1]))
    best = min(outcomes, key=lambda outcome: outcome["median_s"])
    report = {"name": name, "batch": arguments.batch, "threads": arguments.threads, **best}
    report["tried"] = {outcome["setting"]: outcome["median_s"] for outcome in outcomes}
    if arguments.json:
        print(json.dumps(report))
    else:
        tried = ", ".join(f"{setting} {seconds:.3f} s" for setting, seconds in report["tried"].items())
        peak = best["peak_bytes"] / 1e9
        print(f"{name}: {best['median_s']:.3f} s, peak {peak:.2f} GB (PyTorch {best['torch']}; {tried})")


def _without_settings(options: list[str]) -> list[str]:
    kept, skip = [], False
    for option in options:
        if skip:
            skip = False
        elif option == "--setting":
            skip = True
        elif not option.startswith("--setting="):
            kept.append(option)
    return kept
