"""Children: the command lines of our own Python processes under `up`."""

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from config.environment import ROOT
from config.folder import Folder
from config.programs import Program
from config.supervisor import SERVERS, UPSTREAMS, Part

WEB_STOP_SECONDS_MAX = 60.0  # 30 s for open calls, the rest for their settling
JOBS_STOP_SECONDS_MAX = 10.0  # every task may be cut off and run again
QUIET = ("-W", "ignore:You're running the worker with superuser privileges")  # tasks carry no code
PLAIN = ("-W", "ignore:StreamingHttpResponse must consume synchronous")  # static files are small
CELERY = ("-m", "celery", "-A", "config.celery:app", "--skip-checks", "--quiet")


class Children:
    """Every command line names the data folder, so that a leftover can be known by it."""

    def __init__(self, folder: Folder, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def preparation(self, kept: Mapping[str, str], upstream: str | None, *, alone: bool) -> Program:
        words = ["-m", "config.preparation"]
        words += ["--alone"] if alone else []
        words += ["--upstream", upstream] if upstream else []
        return Program(
            name="preparation",
            command=[sys.executable, *words],
            environment={**self.environment, **kept},
            folder=ROOT,
            keeps_output=True,
        )

    def web_workers(self, count: int, listener: socket.socket) -> list[Part]:
        names = [f"web worker {number}" for number in range(1, count + 1)]
        return [Part(self.server(name, listener), SERVERS, keeps=listener) for name in names]

    def demo_upstream(self, listener: socket.socket) -> Part:
        application = ("--application", "proxy.upstreams.demo:application", "--lifespan", "auto")
        program = self.server("demo upstream", listener, *application)
        return Part(program, UPSTREAMS, keeps=listener)

    def jobs(self) -> list[Part]:
        beat = self.state_folder() / "schedule"
        worker = self.state_folder() / "worker"
        alone = ["--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
        return [
            self.job("Celery worker", ["worker", "--statedb", str(worker), *alone]),
            self.job("Celery beat", ["beat", "--schedule", str(beat), "--pidfile", ""]),
        ]

    def state_folder(self) -> Path:
        self.folder.celery.mkdir(mode=0o700, exist_ok=True)
        return self.folder.celery

    def job(self, name: str, words: list[str]) -> Part:
        program = Program(
            name=name,
            command=[sys.executable, *QUIET, *CELERY, *words, "--loglevel", "warning"],
            environment=self.environment,
            folder=ROOT,
            stop_seconds_max=JOBS_STOP_SECONDS_MAX,
        )
        return Part(program, SERVERS)

    def server(self, name: str, listener: socket.socket, *words: str) -> Program:
        descriptor = listener.fileno()
        command = [*PLAIN, "-m", "config.web"]
        command += ["--fd", str(descriptor), "--folder", str(self.folder.path)]
        return Program(
            name=name,
            command=[sys.executable, *command, *words],
            environment=self.environment,
            folder=ROOT,
            descriptors=(descriptor,),
            stop_seconds_max=WEB_STOP_SECONDS_MAX,
        )
