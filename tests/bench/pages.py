"""Pages: how long each takes on a long log; the engines are started, the rest is page_times.py."""

import os
import subprocess
import sys

from tests.bench.machine import ROOT, BenchFailed, scratch_folder, two_cores
from tests.bench.tollgate import serve_tollgate


def measure_pages(*, rows: int, tags: int, rounds: int) -> None:
    """Raises BenchFailed when a page fails, or reads the whole log."""
    cores = two_cores()
    both = f"{cores.tested},{cores.load}"
    with scratch_folder() as scratch, serve_tollgate(scratch, cores=both, workers=0) as served:
        command = [sys.executable, "-m", "tests.bench.page_times", "--rows", str(rows)]
        command += ["--tags", str(tags), "--rounds", str(rounds)]
        environment = {**os.environ, **served.environment}
        ended = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if ended.returncode:
        raise BenchFailed("A page failed, or reads the whole log.")
