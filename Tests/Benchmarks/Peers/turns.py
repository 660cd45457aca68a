"""One turn of each benchmark: runs both sides, each in processes of its own, and returns what they report.

A report is a dictionary with ``seconds`` (a list) and ``peak_bytes``; what else is in it is passed on.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Turn = Callable[[], tuple[dict, dict | None]]

# Exit status of a peer that cannot run here, as of sysexits.h.
UNAVAILABLE = 69
# What a recipe's training is timed by: so many steps make one repetition.
STEPS = 10


def run(command: list[str], threads: int) -> tuple[list[str], int]:
    """The lines that a command prints, and its peak memory in bytes (that of its fullest process); bound to as many
    processors as it has threads. Ends this program if the command fails, unless it is unavailable: then without lines."""
    processors = set(sorted(os.sched_getaffinity(0))[:threads])
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, processors)
    )
    lines = child.stdout.read().splitlines()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode == UNAVAILABLE:
        return [], 0
    if child.returncode != 0:
        print(f"bench: exit status {child.returncode} from {' '.join(command)}", file=sys.stderr)
        sys.exit(max(1, child.returncode))
    return lines, usage.ru_maxrss * 1024


def last_line(command: list[str], threads: int) -> dict | None:
    """The JSON object that a command prints last; nothing if it is unavailable."""
    lines, _ = run(command, threads)
    return json.loads(lines[-1]) if lines else None


def by_peer(name: str, script: str) -> Callable[[argparse.Namespace, list[str]], Turn]:
    """Our benchmark ``name`` against a PyTorch script that takes the same options.

    The script's first turn finds its fastest setting; the next ones run that one alone.
    """

    def prepare(arguments: argparse.Namespace, extra: list[str]) -> Turn:
        counts = ["--threads", str(arguments.threads), "--warmup", str(arguments.warmup)]
        counts += ["--repeat", str(arguments.repeat), "--json"]
        setting: list[str] = []

        def turn() -> tuple[dict, dict | None]:
            ours = last_line([arguments.programs + "/benchmarks", name, *extra, *counts], arguments.threads)
            if not arguments.peer_python:
                return ours, None
            peer = [arguments.peer_python, str(Path(__file__).resolve().parent / script), *extra, *counts, *setting]
            report = last_line(peer, arguments.threads)
            if report is not None:
                setting[:] = ["--setting", report["setting"]]
            return ours, report

        return turn

    return prepare


def loader(arguments: argparse.Namespace, extra: list[str]) -> Turn:
    """The photographs of ``--images`` or of ``$MERGEVQ_TEST_DATA``; drawn ones where there are none."""
    default = os.environ.get("MERGEVQ_TEST_DATA", "../shared/data") + "/imagenet-sample"
    if "--images" not in extra and not os.path.isdir(default):
        folder = arguments.scratch + "/photographs"
        if not os.path.isdir(folder):
            print(f"bench: no photographs in {default}; drawing some", file=sys.stderr)
            run([arguments.programs + "/benchmarks", "photographs", "--folder", folder], arguments.threads)
        extra = [*extra, "--images", folder]
    return by_peer("loader", "bench_loader.py")(arguments, extra)


def mpirun(arguments: argparse.Namespace, ranks: int) -> list[str]:
    return ["mpirun", "-n", str(ranks), "--bind-to", "none", arguments.programs + "/rank-checks"]


def all_reduce(arguments: argparse.Namespace, extra: list[str]) -> Turn:
    """100 MB among two ranks, against one ``MPI_Allreduce``; both in one run, by turns."""
    refuse_options("all-reduce", extra)
    counts = [str(arguments.warmup), str(arguments.repeat)]

    def turn() -> tuple[dict, dict | None]:
        report = last_line([*mpirun(arguments, 2), "all-reduce", "100000000", *counts], max(2, arguments.threads))
        return report["ours"], report["peer"]

    return turn


def checkpoint(arguments: argparse.Namespace, extra: list[str]) -> Turn:
    """Weights, average and moments of G+R-d64, against ``dd`` with fsync of as many bytes on the same disk.

    ``dd`` follows at once, so the pages of its cache are memory that our side has just freed. Where a virtual machine has
    to ask its host for memory that nobody used lately, that favours ``dd``. Our side needs no page cache.
    """
    refuse_options("checkpoint", extra)

    def turn() -> tuple[dict, dict | None]:
        folder = tempfile.mkdtemp(prefix="checkpoint-", dir=arguments.scratch)
        try:
            counts = [str(arguments.warmup), str(arguments.repeat)]
            ours = last_line([*mpirun(arguments, 1), "checkpoint", folder, *counts], arguments.threads)
            shutil.rmtree(folder + "/checkpoints")
            peer = {"seconds": [], "peak_bytes": 0}
            for repetition in range(arguments.warmup + arguments.repeat):
                start = time.perf_counter()
                copy = ["dd", "if=/dev/zero", f"of={folder}/zeros", "bs=1M", "conv=fsync", "status=none"]
                _, peak = run([*copy, f"count={ours['bytes'] // 2**20}"], arguments.threads)
                if repetition >= arguments.warmup:
                    peer["seconds"].append(time.perf_counter() - start)
                peer["peak_bytes"] = max(peer["peak_bytes"], peak)
                os.remove(f"{folder}/zeros")
            return ours, peer
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return turn


def ranks(arguments: argparse.Namespace, extra: list[str]) -> Turn:
    """Training of ``tokenizer-small64`` on drawn images: two ranks of one thread against one rank of two threads."""
    refuse_options("ranks", extra)
    recipe = str(Path(__file__).resolve().parents[3] / "Launch" / "recipes" / "tokenizer-small64.yaml")

    def side(count: int, threads: int) -> dict:
        with tempfile.TemporaryDirectory(prefix="ranks-", dir=arguments.scratch) as folder:
            command = [arguments.programs + "/mergevq", "scaling", "run", recipe, "--mode", "strong", "--repeats", "1"]
            command += ["--set", "data.train=drawn:20000,resolution=64,seed=1", "--output", folder]
            command += ["--ranks", str(count), "--threads", str(threads), "--mpirun=--bind-to none"]
            command += ["--warmup", str(STEPS * arguments.warmup), "--steps", str(STEPS * arguments.repeat)]
            _, peak = run(command, max(2, arguments.threads))
            setting = json.loads(Path(folder, "study.json").read_text())["settings"][0]
        steps = [
            max(sum(rank[part] for part in ("work", "data", "communication")) for rank in step)
            for step in setting["runs"][0]
        ]
        seconds = [sum(steps[first : first + STEPS]) / STEPS for first in range(0, len(steps), STEPS)]
        setting = f"{count} × {threads} (ranks × threads), {setting['globalBatch']} images a step"
        return {"seconds": seconds, "peak_bytes": peak, "setting": setting}

    return lambda: (side(2, 1), side(1, 2))


def refuse_options(name: str, extra: list[str]) -> None:
    if extra:
        print(f"bench: {name} takes no options after --, found {' '.join(extra)}", file=sys.stderr)
        sys.exit(64)


# Every benchmark but ``convolution``, which has more than one result.
TURNS: dict[str, Callable[[argparse.Namespace, list[str]], Turn]] = {
    "tokenizer-step": by_peer("tokenizer-step", "bench_tokenizer_step.py"),
    "tokenizer-full-step": by_peer("tokenizer-full-step", "bench_tokenizer_full_step.py"),
    "generator-step": by_peer("generator-step", "bench_generator_step.py"),
    "generator-sample": by_peer("generator-sample", "bench_generator_sample.py"),
    "lfq": by_peer("lfq", "bench_lfq.py"),
    "loader": loader,
    "all-reduce": all_reduce,
    "checkpoint": checkpoint,
    "ranks": ranks,
}
