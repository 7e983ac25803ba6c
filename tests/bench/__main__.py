"""One command for every figure: `python -m tests.bench gateway | streams | ledger | pages ...`."""

import argparse
import signal
import sys
from types import FrameType

from tests.bench.escrow import measure_escrow
from tests.bench.gateway import STARTERS, measure_gateway
from tests.bench.ledger import measure_ledger
from tests.bench.machine import BenchFailed
from tests.bench.pages import measure_pages
from tests.bench.peers import install_peers
from tests.bench.streams import measure_streams


def read_arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    benches = options.add_subparsers(dest="bench", required=True)
    gateway = benches.add_parser("gateway", help="requests/s and latency, against the peers")
    gateway.add_argument("--rounds", type=int, default=5)
    gateway.add_argument("--seconds", type=int, default=4)
    gateway.add_argument("--peers", nargs="+", choices=STARTERS, default=list(STARTERS))
    gateway.add_argument("--mode", choices=("standard", "strict"), default="standard")
    streams = benches.add_parser("streams", help="many open streams through one worker")
    streams.add_argument("--streams", type=int, default=1000)
    streams.add_argument("--chunks", type=int, default=40)
    streams.add_argument("--interval-ms", type=int, default=250)
    ledger = benches.add_parser("ledger", help="reserve and settle, by batch size and connections")
    ledger.add_argument("--seconds", type=float, default=2)
    pages = benches.add_parser("pages", help="every page and report on a long log")
    pages.add_argument("--rows", type=int, default=1_000_000)
    pages.add_argument("--tags", type=int, default=2_000)
    pages.add_argument("--rounds", type=int, default=7)
    escrow = benches.add_parser("escrow", help="leases of a hot strict budget, simulated")
    escrow.add_argument("--seed", type=int, default=1)
    benches.add_parser("install", help="LiteLLM and Portkey, each into a folder of its own")
    return options.parse_args()


def end_on_terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM unwinds like Ctrl-C, so that no child is left behind."""
    raise KeyboardInterrupt


def main() -> int:
    chosen = read_arguments()
    signal.signal(signal.SIGTERM, end_on_terminate)
    try:
        match chosen.bench:
            case "gateway":
                measure_gateway(
                    chosen.peers, rounds=chosen.rounds, seconds=chosen.seconds, mode=chosen.mode
                )
            case "streams":
                measure_streams(
                    chosen.streams, chunks=chosen.chunks, interval_ms=chosen.interval_ms
                )
            case "ledger":
                measure_ledger(seconds=chosen.seconds)
            case "pages":
                measure_pages(rows=chosen.rows, tags=chosen.tags, rounds=chosen.rounds)
            case "escrow":
                measure_escrow(seed=chosen.seed)
            case "install":
                install_peers()
    except BenchFailed as failure:
        print(f"FAILED: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
