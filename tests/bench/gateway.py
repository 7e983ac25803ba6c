"""Gateway: requests per second and latency of Tollgate and its peers, in interleaved rounds.

What is tested has one core to itself (Tollgate: web worker and PostgreSQL together), the load and
the static upstream have the other. Ratios are taken within a round, so that what disturbs the
machine disturbs both sides; the figure is the median of the rounds.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from statistics import median

from tests.bench.books import audit_books
from tests.bench.load import Peer, Run, run_load
from tests.bench.machine import Cores, scratch_folder, two_cores
from tests.bench.peers import litellm, nginx, portkey, upstream
from tests.bench.report import print_table, write_report
from tests.bench.tollgate import tollgate

STARTERS = {"tollgate": tollgate, "litellm": litellm, "nginx": nginx, "portkey": portkey}
ZERO = "upstream"  # asked directly: what no gateway can go below
CONNECTIONS = (1, 32)
WARM_SECONDS = 2
Round = dict[tuple[str, int], Run]


def measure_gateway(names: Sequence[str], *, rounds: int, seconds: int, mode: str) -> None:
    """`mode` is that of Tollgate's budgets.

    Raises BenchFailed on an answer that is no success, and on books that do not balance.
    """
    cores = two_cores()
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        provider = stack.enter_context(upstream(cores, scratch))
        starters = STARTERS | {"tollgate": partial(tollgate, mode=mode)}
        tested = [stack.enter_context(starters[name](provider, cores, scratch)) for name in names]
        warm = [run_load(one, connections=8, seconds=WARM_SECONDS, cores=cores) for one in tested]
        measured = run_rounds([provider, *tested], rounds=rounds, seconds=seconds, cores=cores)
        runs = [*warm, *(run for one in measured for run in one.values())]
        books = [audit_runs(one, provider, runs) for one in tested if one.database_url]
    figures = [summarize(measured, *pair) for pair in measured[0]]
    print_figures(figures)
    every = [asdict(run) for one in measured for run in one.values()]
    write_report("gateway", {"mode": mode, "figures": figures, "books": books, "runs": every})


def run_rounds(tested: Sequence[Peer], *, rounds: int, seconds: int, cores: Cores) -> list[Round]:
    """A round runs each peer at each number of connections, one after the other."""
    measured: list[Round] = []
    for number in range(1, rounds + 1):
        this: Round = {}
        for connections in CONNECTIONS:
            for peer in tested:
                run = run_load(peer, connections=connections, seconds=seconds, cores=cores)
                this[peer.name, connections] = run
                print(
                    f"round {number}  {peer.name:9} c={connections:<3}"
                    f" {run.requests_per_second:9,.0f}/s  p50 {run.p50_ms:8.3f} ms",
                    flush=True,
                )
        measured.append(this)
    return measured


def audit_runs(tested: Peer, provider: Peer, runs: Sequence[Run]) -> dict[str, int]:
    """wrk leaves at the end of a run with a call in flight on each connection, at most."""
    own = [run for run in runs if run.peer == tested.name]
    calls, cut = sum(run.requests for run in own), sum(run.connections for run in own)
    return audit_books(tested, provider, calls=calls, cut=cut)


def summarize(measured: Sequence[Round], peer: str, connections: int) -> dict[str, object]:
    """Medians over the rounds; a ratio or a difference is taken within each round first."""
    runs = [one[peer, connections] for one in measured]
    figures: dict[str, object] = {"peer": peer, "connections": connections}
    for name in ("requests_per_second", "p50_ms", "p99_ms", "cpu_us", "core_share"):
        figures[name] = median(getattr(run, name) for run in runs)
    figures["added_ms"] = median(
        one[peer, connections].p50_ms - one[ZERO, connections].p50_ms for one in measured
    )
    for other in {name for name, _ in measured[0]} - {peer, ZERO}:
        others = [one[other, connections] for one in measured]
        pairs = list(zip(runs, others, strict=True))
        figures[f"times_{other}"] = median(
            own.requests_per_second / its.requests_per_second for own, its in pairs
        )
        figures[f"cpu_times_{other}"] = median(its.cpu_us / own.cpu_us for own, its in pairs)
    return figures


def print_figures(figures: Sequence[dict[str, object]]) -> None:
    """`times x`: as many times x's requests; `cpu times x`: its CPU a call over our own."""
    others = [name for name in STARTERS if any(f"times_{name}" in row for row in figures)]
    ratios = [f"{kind}_{name}" for name in others[1:] for kind in ("times", "cpu_times")]
    columns = ["requests_per_second", "p50_ms", "p99_ms", "added_ms", "cpu_us", "core_share"]
    for connections in CONNECTIONS:
        rows = [
            [row["peer"], *(row.get(name, "") for name in (*columns, *ratios))]
            for row in figures
            if row["connections"] == connections
        ]
        heads = [name.replace("_", " ") for name in ("peer", *columns, *ratios)]
        print_table(f"c={connections}, medians of the rounds", heads, rows)
