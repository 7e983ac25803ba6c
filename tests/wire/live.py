"""Live: web workers and a scripted provider as processes of their own, over TCP."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from config.accounts import die_with_parent
from config.environment import ROOT
from config.listening import listen
from spend.presence import LOCK_CLASS

READY_SECONDS_MAX = 60.0
HEARD_SECONDS = 0.5  # a change counts in all workers within a second; here it is much less


def start_process(command: list[str], **options: Any) -> subprocess.Popen:
    parent = os.getpid()
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        preexec_fn=lambda: die_with_parent(parent, signal.SIGKILL),
        **options,
    )


def url_of_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


@dataclass
class Server:
    """Web workers on one socket; `environment` is theirs."""

    listener: socket.socket
    environment: dict[str, str]
    log: Path
    workers: list[subprocess.Popen] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_worker(self) -> subprocess.Popen:
        descriptor = self.listener.fileno()
        with self.log.open("ab") as log:
            worker = start_process(
                ["-m", "config.web", "--fd", str(descriptor), "--folder", "-"],
                env=self.environment, pass_fds=[descriptor], stderr=log,
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def wait_until_ready(self, before: int) -> None:
        """Every worker is there: each holds the lock that says that it lives."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while count_living(self.database_url) < before + len(self.workers) or not self.is_ready():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    @property
    def database_url(self) -> str:
        return self.environment["DATABASE_URL"]

    def is_ready(self) -> bool:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(line):
            try:
                line.request("GET", "/health/readiness")
                return line.getresponse().status == 200
            except OSError:
                return False

    def stop(self) -> None:
        for worker in self.workers:
            worker.kill()
        for worker in self.workers:
            worker.wait()


def count_living(database_url: str) -> int:
    with psycopg.connect(database_url, autocommit=True) as database:
        found = database.execute(
            "select count(*) from pg_locks l join pg_database d on d.oid = l.database"
            " where d.datname = current_database() and locktype = 'advisory' and classid = %s",
            [LOCK_CLASS],
        ).fetchone()
    return found[0]


@contextlib.contextmanager
def serving(
    database_url: str, log: Path, *, workers: int = 1, waits: bool = True, **settings: str
) -> Iterator[Server]:
    brisk = {"RETRY_PAUSE_SECONDS": "0.01", "UNKNOWN_KEYS_PER_MINUTE": "1000000"}
    environment = {**os.environ, "DATABASE_URL": database_url, **brisk, **settings}
    with listen("127.0.0.1", 0) as listener:
        server = Server(listener, environment, log)
        try:
            before = count_living(database_url) if waits else 0
            for _ in range(workers):
                server.start_worker()
            if waits:
                server.wait_until_ready(before)
            yield server
        finally:
            server.stop()


@dataclass
class Provider:
    """The scripted upstream and its bill."""

    process: subprocess.Popen
    port: int
    file: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]

    def bill(self, mark: str | None = None) -> list[dict[str, Any]]:
        """The last word on each call; of those with that mark, or that begin with it."""
        last = {line["id"]: line for line in self.lines() if "id" in line}
        return [line for line in last.values() if mark is None or line["mark"].startswith(mark)]

    def faults(self) -> list[str]:
        return [line["fault"] for line in self.lines() if "fault" in line]


@contextlib.contextmanager
def providing(
    file: Path, *, input: str = "0.0000025", output: str = "0.00001"
) -> Iterator[Provider]:
    file.touch()
    command = ["-m", "tests.wire.scripted_upstream", "--bill", str(file)]
    process = start_process(
        [*command, "--input", input, "--output", output], stdout=subprocess.PIPE, text=True
    )
    try:
        _, _, port = process.stdout.readline().partition("port ")
        yield Provider(process, int(port), file)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
