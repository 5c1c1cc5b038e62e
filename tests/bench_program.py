"""The speed of the program itself: how long its commands take, over how long torch takes to import. `nox -s bench`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from torch_kata.catalog import ROOT, Catalog

KATA = [sys.executable, "-m", "torch_kata.cli"]


def seconds(command: list[str], home: str) -> float:
    """Wall time of a command, to its end."""
    started = time.perf_counter()
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, "KATA_HOME": home}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return time.perf_counter() - started


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def watch_latency(home: str, rounds: int) -> list[float]:
    """From saving a solved stub of chapter 1 to its verdict on the screen, in a copy of the checkout."""
    task = Catalog().select(["1"])[0]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "checkout")
        ignore = shutil.ignore_patterns(".git", ".venv", ".nox", ".kata", "__pycache__", "*.egg-info")
        shutil.copytree(ROOT, copy, ignore=ignore)
        environment = {**os.environ, "KATA_HOME": home, "PYTHONPATH": str(copy), "PYTHONUNBUFFERED": "1"}
        stub, answer = copy / "exercises" / task.path, task.solution.read_text(encoding="utf-8")
        process = subprocess.Popen(
            [*KATA, "watch", "1"], cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        lines: list[tuple[float, str]] = []
        reader = threading.Thread(target=lambda: lines.extend((time.perf_counter(), line) for line in process.stdout))
        reader.start()
        try:
            latencies = []
            for number in range(rounds + 2):
                time.sleep(6 if number == 0 else 1.5)  # the server warms up after its first start
                seen, saved = len(lines), time.perf_counter()
                stub.write_text(f"{answer}# {number}\n", encoding="utf-8")
                while not (found := [when for when, line in lines[seen:] if "001 tensor_numpy" in line]):
                    time.sleep(0.002)
                    if time.perf_counter() - saved > 60:
                        raise SystemExit(f"kata watch gave no verdict: {lines}")
                latencies.append(found[0] - saved)
            return latencies[2:]
        finally:
            process.terminate()
            reader.join(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    count = len(Catalog().tasks)
    with tempfile.TemporaryDirectory() as home:
        commands: dict[str, Callable[[], float]] = {
            "import torch": lambda: seconds(python("import torch"), home),
            "import torch, torchvision": lambda: seconds(python("import torch, torchvision"), home),
            "kata grade 1": lambda: seconds([*KATA, "grade", "1", "--target", "solutions"], home),
            "kata list": lambda: seconds([*KATA, "list"], home),
            "kata show 29": lambda: seconds([*KATA, "show", "29"], home),
            "kata --help": lambda: seconds([*KATA, "--help"], home),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):  # interleaved, so that a busy moment hits them all
            for name, run in commands.items():
                times[name].append(run())
        every = f"kata grade all ({count} solutions)"
        times[every] = [seconds([*KATA, "grade", "all", "--target", "solutions"], home) for _ in range(2)]
        times["kata watch"] = watch_latency(home, options.rounds)
    torch, both = min(times["import torch"]), min(times["import torch, torchvision"])
    rows = [
        ("kata watch", both, 0.1, "import torch, torchvision"),
        ("kata grade 1", torch, 1.5, "import torch"),
        (every, count * both, 0.35, f"{count} x import torch, torchvision"),
        *((name, torch, 0.15, "import torch") for name in ("kata list", "kata show 29", "kata --help")),
    ]
    table = Table("what", "best s", "median s", "ratio", "target", "over", title="Speed of the program itself")
    results = []
    for name, base, target, over in rows:
        ratio = min(times[name]) / base
        cells = f"{min(times[name]):.2f}", f"{median(times[name]):.2f}", f"{ratio:.3f}", f"<= {target}"
        table.add_row(name, *cells, over, style="" if ratio <= target else "bold red")
        results.append({"what": name, "seconds": times[name], "ratio": ratio, "target": target, "over": over})
    Console().print(f"import torch {torch:.2f} s, with torchvision {both:.2f} s (best of {options.rounds})")
    Console().print(table)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
