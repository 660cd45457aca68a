"""Runs our benchmarks and their peers by turns (A B A B) and prints the ratios of their medians.

The peers are PyTorch scripts, one call of MPI, and ``dd``; see turns.py for what each side does. Every turn is a process
of its own, bound to the same processors. Needs nothing but the standard library; without ``--peer-python`` the columns
of the PyTorch peers stay empty. ``ranks`` compares us with ourselves and runs only when it is named.

Options after ``--`` go to both sides: ``compare.py --programs FOLDER tokenizer-step -- --resolution 64``.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import convolutions
import turns

NAMES = [
    "tokenizer-step", "tokenizer-full-step", "generator-step", "generator-sample", "lfq", "convolution", "loader",
    "all-reduce", "checkpoint",
]
ALL_NAMES = [*NAMES, "ranks"]


class Side:
    """One of the two competitors in one benchmark, and what its turns gave."""

    def __init__(self):
        self.seconds: list[float] = []
        self.peak_bytes: int | None = None
        self.setting = None

    def note(self, report: dict) -> None:
        self.seconds += report["seconds"]
        peaks = [peak for peak in (self.peak_bytes, report.get("peak_bytes")) if peak]
        self.peak_bytes = max(peaks, default=None)
        self.setting = report.get("setting")

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> list[float]:
        return [min(self.seconds), max(self.seconds)]


def compare(name: str, arguments: argparse.Namespace, extra: list[str]) -> dict:
    """The result of one benchmark."""
    if name == "convolution":
        return compare_convolutions(arguments, extra)
    turn = turns.TURNS[name](arguments, extra)
    ours, peer = Side(), Side()
    for number in range(arguments.rounds):
        print(f"bench: {name}, round {number + 1} of {arguments.rounds}", file=sys.stderr)
        own, other = turn()
        ours.note(own)
        if other is not None:
            peer.note(other)
    result = {"name": name, "ratio": None, "ours_s": ours.median, "peer_s": None}
    result |= {"ours_peak_bytes": ours.peak_bytes, "peer_peak_bytes": None, "ours_spread_s": ours.spread}
    if ours.setting is not None:
        result["ours_setting"] = ours.setting
    if peer.seconds:
        result |= {"ratio": peer.median / ours.median, "peer_s": peer.median, "peer_peak_bytes": peer.peak_bytes}
        result |= {"peer_spread_s": peer.spread, "peer_setting": peer.setting}
    return result


def compare_convolutions(arguments: argparse.Namespace, extra: list[str]) -> dict:
    """The result of ``convolution``, whose every turn times many shapes."""
    counts = ["--threads", str(arguments.threads), "--warmup", str(arguments.warmup), "--repeat", str(arguments.repeat)]
    ours = [arguments.programs + "/benchmarks", "convolution", *extra, *counts, "--json"]
    script = Path(__file__).resolve().parent / "bench_convolution.py"
    peer = [arguments.peer_python, str(script), *extra, *counts, "--json"]
    return convolutions.compare(
        lambda more: turns.run([*ours, *more], arguments.threads),
        (lambda more: turns.run([*peer, *more], arguments.threads)) if arguments.peer_python else None,
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
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    lines += [
        f"{result['name']}: ours is {result['ours_setting']}; the peer, {result['peer_setting']}"
        for result in results if "ours_setting" in result
    ]
    return "\n".join(lines)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not at least 1")
    return number


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        self.exit(64, f"bench: {message}\n")


def main() -> None:
    own, extra = sys.argv[1:], []
    if "--" in own:
        own, extra = own[: own.index("--")], own[own.index("--") + 1 :]
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL_NAMES)}; default: all but ranks")
    parser.add_argument("--programs", required=True, help="the folder with benchmarks, rank-checks and mergevq")
    parser.add_argument("--peer-python", help="python of the environment that make-venv makes")
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=positive, default=3, help="turns of each side")
    parser.add_argument("--warmup", type=positive, default=1, help="repetitions per turn that do not count")
    parser.add_argument("--repeat", type=positive, default=1, help="repetitions per turn that count")
    parser.add_argument("--directory", default=".", help="on the disk that checkpoints are written to")
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of a table")
    arguments = parser.parse_args(own)
    unknown = [name for name in arguments.names if name not in ALL_NAMES]
    if unknown:
        parser.error(f"no benchmark called {', '.join(unknown)}; there are {', '.join(ALL_NAMES)}")
    if not os.path.isdir(arguments.directory):
        parser.error(f"--directory: there is no folder {arguments.directory}")
    with tempfile.TemporaryDirectory(prefix=".build-bench-", dir=arguments.directory) as arguments.scratch:
        results = [compare(name, arguments, extra) for name in arguments.names or NAMES]
    if arguments.json:
        print(json.dumps({"results": results}))
    else:
        print("\n\n".join([table(results)] + [shapes_table(result) for result in results if "passes" in result]))


if __name__ == "__main__":
    main()
