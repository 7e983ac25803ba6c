"""The site: a web worker of its own, on a database of its own, with the demo in it.

It is another process, so that a test only knows what a browser can know.
"""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from config.environment import ROOT

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
USERNAME, PASSWORD = "ana", "a-password-for-tests-only"


@dataclass(frozen=True, slots=True)
class Site:
    url: str


@contextlib.contextmanager
def running_site(name: str, folder: Path) -> Iterator[Site]:
    with own_database(name) as database_url:
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "TOLLGATE_DATA": str(folder),
            "DJANGO_SUPERUSER_USERNAME": USERNAME,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        prepare(environment)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with web_worker(environment, listener, folder):
                wait_until_ready(url)
                yield Site(url)


@contextlib.contextmanager
def own_database(name: str) -> Iterator[str]:
    """Its address, in the same server as the tests' own."""
    given = urlsplit(os.environ["DATABASE_URL"])
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(f'drop database if exists "{name}" with (force)')
        server.execute(f'create database "{name}"')
        try:
            yield given._replace(path=f"/{name}").geturl()
        finally:
            server.execute(f'drop database "{name}" with (force)')


def prepare(environment: dict[str, str]) -> None:
    """As `up` does; nobody calls the demo's models, so no upstream listens."""
    command = [sys.executable, "-m", "config.preparation", "--alone"]
    command += ["--upstream", "http://127.0.0.1:9"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


@contextlib.contextmanager
def web_worker(
    environment: dict[str, str], listener: socket.socket, folder: Path
) -> Iterator[None]:
    descriptor = listener.fileno()
    words = ["-m", "config.web", "--fd", str(descriptor), "--folder", str(folder)]
    with (folder / "web.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=environment,
            pass_fds=[descriptor],
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not is_ready(url):
        assert time.monotonic() < deadline, "the site did not become ready"
        time.sleep(0.1)


def is_ready(url: str) -> bool:
    line = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    with contextlib.closing(line):
        try:
            line.request("GET", "/health/readiness")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
