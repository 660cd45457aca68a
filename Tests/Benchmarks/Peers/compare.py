"""Runs our benchmarks and the PyTorch peers by turns (A B A B) and prints the ratios of their medians.

Both sides are commands that take the same options and print one JSON line with ``seconds`` (a list) and ``peak_bytes``:
ours as ``OURS NAME --batch N --threads N --warmup N --repeat N --json``, the peer as ``bench_*.py`` with the same options.
Every turn is a process of its own, bound to the same processors. Needs nothing but the standard library; without
``--peer-python`` the peer's columns stay empty.

Options after ``--`` go to both sides, for instance ``compare.py --ours PROGRAM tokenizer-step -- --resolution 64``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import convolutions

PEERS = {
    "tokenizer-step": "bench_tokenizer_step.py",
    "lfq": "bench_lfq.py",
    "generator-step": "bench_generator_step.py",
    "generator-sample": "bench_generator_sample.py",
    "loader": "bench_loader.py",
    "convolution": "bench_convolution.py",
}


def run(command: list[str], threads: int) -> tuple[list[str], int]:
    """The lines that a command prints, and its peak memory in bytes; bound to as many processors as it has threads."""
    processors = set(sorted(os.sched_getaffinity(0))[:threads])
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, processors)
    )
    lines = child.stdout.read().splitlines()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 or not lines:
        sys.exit(f"bench: exit status {child.returncode} and {len(lines)} lines from {' '.join(command)}")
    return lines, usage.ru_maxrss * 1024


class Side:
    """One of the two competitors in one benchmark, and what its turns gave."""

    def __init__(self, command: list[str], threads: int):
        self.command, self.threads = command, threads
        self.seconds: list[float] = []
        self.peak_bytes = 0
        self.setting = None

    def turn(self, warmup: int, repeat: int) -> None:
        """One process: ``warmup`` repetitions that do not count and ``repeat`` that do."""
        command = [*self.command, "--threads", str(self.threads), "--warmup", str(warmup), "--repeat", str(repeat)]
        if self.setting is not None:
            command += ["--setting", self.setting]
        lines, _ = run([*command, "--json"], self.threads)
        report = json.loads(lines[-1])
        self.seconds += report["seconds"]
        self.peak_bytes = max(self.peak_bytes, report["peak_bytes"])
        self.setting = report.get("setting")

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> list[float]:
        return [min(self.seconds), max(self.seconds)]


def compare(name: str, arguments: argparse.Namespace, extra: list[str]) -> dict:
    """The result of one benchmark; the peer's first turn also finds its fastest setting."""
    if name == "convolution":
        return compare_convolutions(arguments, extra)
    ours = Side([*arguments.ours.split(), name, *extra], arguments.threads)
    peer = None
    if arguments.peer_python:
        script = Path(__file__).resolve().parent / PEERS[name]
        peer = Side([arguments.peer_python, str(script), *extra], arguments.threads)
    for turn in range(arguments.rounds):
        print(f"bench: {name}, round {turn + 1} of {arguments.rounds}", file=sys.stderr)
        ours.turn(arguments.warmup, arguments.repeat)
        if peer is not None:
            peer.turn(arguments.warmup, arguments.repeat)
    result = {"name": name, "ratio": None, "ours_s": ours.median, "peer_s": None}
    result |= {"ours_peak_bytes": ours.peak_bytes, "peer_peak_bytes": None, "ours_spread_s": ours.spread}
    if peer is not None:
        result |= {"ratio": peer.median / ours.median, "peer_s": peer.median, "peer_peak_bytes": peer.peak_bytes}
        result |= {"peer_spread_s": peer.spread, "peer_setting": peer.setting}
    return result


def compare_convolutions(arguments: argparse.Namespace, extra: list[str]) -> dict:
    """The result of ``convolution``, whose every turn times many shapes."""
    counts = ["--threads", str(arguments.threads), "--warmup", str(arguments.warmup), "--repeat", str(arguments.repeat)]
    ours = [*arguments.ours.split(), "convolution", *extra, *counts, "--json"]
    script = Path(__file__).resolve().parent / PEERS["convolution"]
    peer = [arguments.peer_python, str(script), *extra, *counts, "--json"]
    return convolutions.compare(
        lambda more: run([*ours, *more], arguments.threads),
        (lambda more: run([*peer, *more], arguments.threads)) if arguments.peer_python else None,
        arguments.rounds,
    )


def shapes_table(result: dict) -> str:
    """The shapes of ``convolution``: effective GFLOPS of both sides, and ours over the machine's measured product."""
    lines = [f"convolution by shape (effective GFLOPS; the fastest matrix product: {result['product_gflops']:.0f})"]
    for entry in result["passes"]:
        ratio = "-" if entry["ratio"] is None else f"{entry['ratio']:.2f}"
        peer = f"  peer {entry['peer_gflops']:6.1f} ({entry['peer_setting']})" if entry["ratio"] else ""
        share = f"{entry['share_of_product']:5.0%} of the product"
        lines.append(f"{entry['shape']:18}{entry['pass']:17}{ratio:>6}  ours {entry['ours_gflops']:6.1f}, {share}{peer}")
    return "\n".join(lines)


def table(results: list[dict]) -> str:
    def seconds(median: float | None, spread: list[float] | None) -> str:
        return "-" if median is None else f"{median:.3f} ({spread[0]:.3f} to {spread[1]:.3f})"

    def gigabytes(count: int | None) -> str:
        return "-" if count is None else f"{count / 1e9:.2f}"

    rows = [["", "ratio", "ours, s", "peer, s", "ours, GB", "peer, GB"]]
    for result in results:
        rows.append(
            [
                result["name"],
                "-" if result["ratio"] is None else f"{result['ratio']:.2f}",
                seconds(result["ours_s"], result["ours_spread_s"]),
                seconds(result["peer_s"], result.get("peer_spread_s")),
                gigabytes(result["ours_peak_bytes"]),
                gigabytes(result["peer_peak_bytes"]),
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def main() -> None:
    own, extra = sys.argv[1:], []
    if "--" in own:
        own, extra = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PEERS)}; default: all")
    parser.add_argument("--ours", required=True, help="the command that runs our side")
    parser.add_argument("--peer-python", help="python of the environment that make-venv makes")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--warmup", type=int, default=1, help="repetitions per turn that do not count")
    parser.add_argument("--repeat", type=int, default=1, help="repetitions per turn that count")
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of a table")
    arguments = parser.parse_args(own)
    unknown = [name for name in arguments.names if name not in PEERS]
    if unknown:
        parser.exit(64, f"bench: no benchmark called {', '.join(unknown)}; there are {', '.join(PEERS)}\n")
    results = [compare(name, arguments, extra) for name in arguments.names or PEERS]
    if arguments.json:
        print(json.dumps({"results": results}))
    else:
        print("\n\n".join([table(results)] + [shapes_table(result) for result in results if "passes" in result]))


if __name__ == "__main__":
    main()
