"""Ledger: reserve and settle pairs per second, by batch size and number of ledgers.

PostgreSQL (fully durable) and the driver share both cores. Every call draws on the same two hot
windows. The books are balanced after each run.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack

from tests.bench.books import audit_rows
from tests.bench.machine import ROOT, BenchFailed, cpu_seconds, scratch_folder, two_cores
from tests.bench.report import print_table, write_report
from tests.bench.tollgate import Served, serve_tollgate

BATCHES = (1, 10, 50, 200)
LEDGERS = (1, 2)
MODES = ("standard", "strict")
COLUMNS = (
    "mode", "ledgers", "batch", "pairs_per_second", "postgres_us", "driver_us",
)  # fmt: skip


def measure_ledger(*, seconds: float) -> None:
    """Raises BenchFailed when a pair is not exactly one row, or a sum is off."""
    cores = two_cores()
    both = f"{cores.tested},{cores.load}"
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        served = stack.enter_context(serve_tollgate(scratch, cores=both, workers=0))
        figures = [
            measure_pairs(served, mode=mode, ledgers=ledgers, batch=batch, seconds=seconds)
            for mode in MODES
            for ledgers in LEDGERS
            for batch in BATCHES
        ]
    print_table(
        "reserve and settle pairs, two hot windows, both cores",
        [name.replace("_", " ") for name in COLUMNS],
        [[row[name] for name in COLUMNS] for row in figures],
    )
    write_report("ledger", {"figures": figures})


def measure_pairs(
    served: Served, *, mode: str, ledgers: int, batch: int, seconds: float
) -> dict[str, object]:
    """A run of its own, in a process of its own; CPU microseconds are those of each side."""
    command = [sys.executable, "-m", "tests.bench.pairs", "--mode", mode]
    command += ["--ledgers", str(ledgers), "--batch", str(batch), "--seconds", str(seconds)]
    before = cpu_seconds([served.pids["PostgreSQL"]])
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **served.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise BenchFailed(f"The driver of the ledger died:\n{ended.stderr[-2000:]}")
    found = json.loads(ended.stdout)
    if found["rows"] != found["pairs"]:
        raise BenchFailed(f"{found['pairs']} pairs left {found['rows']} rows.")
    audit_rows(served.database_url)
    postgres = cpu_seconds([served.pids["PostgreSQL"]]) - before
    return {
        "mode": mode,
        "ledgers": ledgers,
        "batch": batch,
        "pairs_per_second": found["pairs"] / found["seconds"],
        "postgres_us": postgres * 1e6 / found["pairs"],
        "driver_us": found["cpu_seconds"] * 1e6 / found["pairs"],
    }
