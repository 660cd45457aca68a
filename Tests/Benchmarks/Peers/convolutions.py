"""The benchmark ``convolution``: many shapes and passes in every turn, one ratio for each and their geometric mean."""

import json
import re
import statistics
import sys
from collections.abc import Callable

Command = Callable[[list[str]], tuple[list[str], int]]


SHAPE = re.compile(r"(\d+)×(\d+)²×(\d+)→(\d+)(?: /(\d+))?")


def parsed(shape: str) -> tuple[int, int, int, int, int]:
    """Batch, side, input channels, output channels and stride of a shape as our side prints it."""
    match = SHAPE.fullmatch(shape)
    if match is None:
        raise ValueError(f"'{shape}' is no shape like '1×256²×64→64 /2'")
    batch, side, inputs, outputs, stride = (int(part or 1) for part in match.groups())
    return batch, side, inputs, outputs, stride


def operations(shape: str) -> float:
    """What a direct 3 x 3 convolution of this shape takes, in multiplications and additions."""
    batch, side, inputs, outputs, stride = parsed(shape)
    return 2 * 9 * batch * (-(-side // stride)) ** 2 * inputs * outputs


def compare(ours: Command, peer: Command | None, rounds: int) -> dict:
    """The result of ``rounds`` turns of both sides.

    A command takes further arguments and returns the lines it printed and its peak memory in bytes. Our side's first
    turn says which shapes there are. ``ours_s`` and ``peer_s`` are sums over shapes and passes of the medians over turns;
    ``ratio`` is the geometric mean of the ratios, so that large shapes weigh no more than small ones.
    """
    times: dict[tuple[str, str], dict] = {}
    products, peaks = [], {"ours": 0, "peer": 0}
    sums: dict[str, list[float]] = {"ours": [], "peer": []}

    def note(side: str, entries: list[tuple[str, str, float, str | None]], peak: int) -> None:
        for shape, name, seconds, setting in entries:
            entry = times.setdefault((shape, name), {"ours": [], "peer": []})
            entry[side].append((seconds, setting))
        sums[side].append(sum(seconds for _, _, seconds, _ in entries))
        peaks[side] = max(peaks[side], peak)

    for turn in range(rounds):
        print(f"bench: convolution, round {turn + 1} of {rounds}", file=sys.stderr)
        lines, peak = ours([])
        reports = [json.loads(line) for line in lines]
        products += [report["product_gflops"] for report in reports]
        note("ours", [
            (report["shape"], report["pass"], operations(report["shape"]) / report["median_gflops"] * 1e-9, None)
            for report in reports
        ], peak)
        if peer is not None:
            shapes = list(dict.fromkeys(report["shape"] for report in reports))
            lines, _ = peer([argument for shape in shapes for argument in ("--shape", shape)])
            report = json.loads(lines[-1])
            note("peer", [
                (entry["shape"], entry["pass"], entry["median_s"], entry["setting"]) for entry in report["passes"]
            ], report["peak_bytes"])

    highest = max(products)
    passes = []
    for (shape, name), entry in times.items():
        own = statistics.median(seconds for seconds, _ in entry["ours"])
        gflops = operations(shape) / own * 1e-9
        passes.append({"shape": shape, "pass": name, "ratio": None, "ours_s": own, "peer_s": None,
                       "ours_gflops": gflops, "share_of_product": gflops / highest})
        if peer is not None:
            other = statistics.median(seconds for seconds, _ in entry["peer"])
            passes[-1] |= {"ratio": other / own, "peer_s": other, "peer_gflops": operations(shape) / other * 1e-9,
                           "peer_setting": min(entry["peer"])[1]}
    result = {"name": "convolution", "ratio": None, "ours_s": sum(entry["ours_s"] for entry in passes), "peer_s": None,
              "ours_peak_bytes": peaks["ours"], "peer_peak_bytes": None,
              "ours_spread_s": [min(sums["ours"]), max(sums["ours"])]}
    if peer is not None:
        result |= {"ratio": statistics.geometric_mean(entry["ratio"] for entry in passes),
                   "peer_s": sum(entry["peer_s"] for entry in passes), "peer_peak_bytes": peaks["peer"],
                   "peer_spread_s": [min(sums["peer"]), max(sums["peer"])]}
    return result | {"product_gflops": highest, "passes": passes}
