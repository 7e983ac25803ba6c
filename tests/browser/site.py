"""The site: a web worker of its own, on a database of its own, with the demo in it.

It is another process, so that a test only knows what a browser can know.
"""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from config.environment import ROOT
from tests.receiver import receiver

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
USERNAME, PASSWORD = "ana", "a-password-for-tests-only"
ALERT_SECRET = "a-secret-that-signs-alerts"


@dataclass(frozen=True, slots=True)
class Site:
    """`key` is the demo's key, whose calls the demo's upstream answers."""

    url: str
    database_url: str
    key: str
    hooks: list[tuple[dict[str, str], bytes]]  # what the alerts' webhook got

    def rows(self, query: str, *parameters: Any) -> list[tuple]:
        """What the database says, asked past Django, whose ORM shuns the browser's event loop."""
        with psycopg.connect(self.database_url, autocommit=True) as database:
            cursor = database.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def spend(self, *tags: str, calls: int = 1) -> list[int]:
        """Calls with these tags through the gateway; their statuses."""
        line = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        body = {
            "model": "demo-smart",
            "messages": [{"role": "user", "content": "Hello"}],
            "metadata": {"tags": list(tags)},
        }
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        statuses = []
        with contextlib.closing(line):
            for _ in range(calls):
                line.request("POST", "/chat/completions", json.dumps(body), headers)
                answer = line.getresponse()
                answer.read()
                statuses.append(answer.status)
        return statuses


@contextlib.contextmanager
def running_site(name: str, folder: Path) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        database_url = stack.enter_context(own_database(name))
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "TOLLGATE_DATA": str(folder),
            "DJANGO_SUPERUSER_USERNAME": USERNAME,
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        upstream = stack.enter_context(listening())
        application = ("--application", "proxy.upstreams.demo:application", "--lifespan", "auto")
        stack.enter_context(serving(environment, upstream, folder, "upstream", *application))
        key = prepare(environment, address_of(upstream))
        web = stack.enter_context(listening())
        environment["TOLLGATE_URL"] = address_of(web)
        hook = stack.enter_context(receiver())
        environment |= {"ALERT_WEBHOOKS": hook.url, "ALERT_SECRET": ALERT_SECRET}
        stack.enter_context(serving(environment, web, folder, "web"))
        wait_until_ready(address_of(web))
        yield Site(address_of(web), database_url, key, hook.got)


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def address_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


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


def prepare(environment: dict[str, str], upstream: str) -> str:
    """As `up` does; the demo key."""
    command = [sys.executable, "-m", "config.preparation", "--alone", "--upstream", upstream]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)["api_key"]


@contextlib.contextmanager
def serving(
    environment: dict[str, str], listener: socket.socket, folder: Path, name: str, *words: str
) -> Iterator[None]:
    """A process of ours on that socket; it writes its log beside the others."""
    descriptor = listener.fileno()
    command = [sys.executable, "-m", "config.web", "--fd", str(descriptor)]
    with (folder / f"{name}.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "--folder", str(folder), *words],
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


def make_user(site: Site, username: str, groups: Sequence[str]) -> None:
    """Somebody who may log in, with the administrator's password; once."""
    site.rows(
        """insert into auth_user (username, password, is_staff, is_active, is_superuser, first_name,
                                  last_name, email, date_joined)
           select %s, password, true, true, false, '', '', '', now() from auth_user
            where username = %s and not exists (select 1 from auth_user where username = %s)""",
        username, USERNAME, username,
    )  # fmt: skip
    site.rows(
        """insert into auth_user_groups (user_id, group_id)
           select u.id, g.id from auth_user u, auth_group g
            where u.username = %s and g.name = any(%s) on conflict do nothing""",
        username, list(groups),
    )  # fmt: skip
