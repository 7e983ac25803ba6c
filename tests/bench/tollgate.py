"""Tollgate as a peer: PostgreSQL and one web worker on the tested core, fully durable.

One key, one model on the static upstream, and two tags with a budget each, made as an operator
makes them: through the management API.
"""

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.call import CALL_TAGS, INPUT_PICOS, MODEL, OUTPUT_PICOS
from tests.bench.load import Peer
from tests.bench.machine import START_SECONDS_MAX, BenchFailed, Cores, child

NAME = "tollgate"
LIMIT_DOLLARS = 1_000_000  # never reached, always enforced


@dataclass(frozen=True, slots=True)
class Served:
    """What runs; `environment` is what its own processes were started with."""

    url: str
    pids: Mapping[str, int]
    environment: Mapping[str, str]

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]


@contextmanager
def tollgate(
    provider: Peer, cores: Cores, scratch: Path, *, mode: str = "standard"
) -> Iterator[Peer]:
    """`mode` is that of both budgets: standard, or strict."""
    with serve_tollgate(scratch, cores=cores.tested, workers=1) as served:
        manage = Management(served.url, served.environment["MASTER_KEY"])
        set_up(manage, f"{provider.base_url}/{NAME}/v1", mode)
        key = manage.post("/key/generate", {"key_alias": "bench", "models": [MODEL]})["key"]
        yield Peer(
            name=NAME,
            base_url=served.url,
            headers={"authorization": f"Bearer {key}"},
            pids=(served.pids["web worker 1"], served.pids["PostgreSQL"]),
            database_url=served.database_url,
        )


@contextmanager
def serve_tollgate(scratch: Path, *, cores: int | str, workers: int) -> Iterator[Served]:
    """On a new data folder; without a worker only the engines run, and the tables are there."""
    log, told = scratch / "tollgate.log", scratch / "tollgate" / "served.json"
    command = [sys.executable, "-m", "tests.bench.served", str(told.parent)]
    command += ["--workers", str(workers)]
    with child(command, core=cores, log=log) as process:
        give_up = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < give_up and process.poll() is None:
            if told.exists():
                yield Served(**json.loads(told.read_text()))
                return
            time.sleep(0.1)
        raise BenchFailed(f"Tollgate did not come up:\n{log.read_text(errors='replace')[-1500:]}")


class Management:
    """Its management API, with the master key. Raises BenchFailed on any answer but success."""

    def __init__(self, url: str, master_key: str) -> None:
        self.url = url
        self.headers = {"authorization": f"Bearer {master_key}", "content-type": "application/json"}

    def post(self, path: str, body: Mapping[str, object]) -> dict:
        asked = urllib.request.Request(
            f"{self.url}{path}", data=json.dumps(body).encode(), headers=self.headers
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")[:2000]
            raise BenchFailed(f"POST {path}: {error.code} {text}") from error


def set_up(manage: Management, upstream_url: str, mode: str) -> None:
    for name, duration in zip(CALL_TAGS, ("30d", "monthly"), strict=True):
        terms = {"max_budget": LIMIT_DOLLARS, "budget_duration": duration, "budget_mode": mode}
        manage.post("/tag/new", {"name": name} | terms)
    manage.post(
        "/model/new",
        {
            "model_name": MODEL,
            "litellm_params": {
                "model": f"openai/{MODEL}", "api_base": upstream_url, "api_key": "sk-upstream",
            },
            "model_info": {
                "input_cost_per_token": INPUT_PICOS / 10**12,
                "output_cost_per_token": OUTPUT_PICOS / 10**12,
                "max_output_tokens": 4096,
            },
        },
    )  # fmt: skip
