"""Launch: what `up` does, from an empty folder to a gateway that answers, and back."""

import contextlib
import http.client
import json
import resource
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from config.children import Children
from config.credentials import provide_secrets, write_credentials
from config.engines import Engines
from config.folder import Folder
from config.leftovers import end_leftovers, remember_children
from config.listening import hosts_allowed, listen, listen_near, url_of
from config.programs import PartFailed
from config.progress import say
from config.signals import Signals
from config.supervisor import EndAsked, StopAsked, Supervisor
from config.welcome import welcome

READY_SECONDS_MAX = 120.0
ANSWER_SECONDS_MAX = 1.0
OPEN_FILES_WANTED = 65_536  # thousands of open streams, two sockets each


@dataclass(frozen=True, slots=True)
class Launch:
    folder: Folder
    host: str
    port: int
    workers: int
    with_demo: bool
    given: Mapping[str, str]

    def run(self) -> int:
        """The exit status, once everything has ended again."""
        self.folder.open()
        with self.folder.held(), listen(self.host, self.port) as listener, Signals() as signals:
            raise_open_files()
            end_leftovers(self.folder)
            supervisor = Supervisor(signals, lambda pids: remember_children(self.folder, pids))
            engines = Engines(self.folder, self.given)
            try:
                return self.run_supervised(supervisor, engines, listener)
            finally:
                supervisor.end()  # after a clean stop there is nothing left to end
                engines.clear()
                self.folder.engines.unlink(missing_ok=True)
                self.folder.children.unlink(missing_ok=True)
                signals.ignore_from_now()

    def run_supervised(
        self, supervisor: Supervisor, engines: Engines, listener: socket.socket
    ) -> int:
        status = 0
        try:
            self.start(supervisor, engines, listener)
            supervisor.watch()
        except StopAsked:
            say("stopping; open calls have 30 s (a second signal ends them)")
        except PartFailed as error:
            say(str(error))
            status = 1
        listener.close()  # what the workers do not take any more is refused, not kept waiting
        try:
            supervisor.stop()
        except EndAsked:
            say("ending at once")
            return 1
        say("stopped")
        return status

    def start(self, supervisor: Supervisor, engines: Engines, listener: socket.socket) -> None:
        started = time.monotonic()
        kept = provide_secrets(self.folder, self.given)
        url = url_of(listener, self.host)
        engines.start(supervisor)
        settings = {
            "DATABASE_URL": engines.database_url,
            "REDIS_URL": engines.redis_url,
            "TOLLGATE_URL": url,
        }
        self.folder.write_settings(self.folder.engines, settings)
        children = Children(self.folder, self.environment(settings))
        upstream = self.start_demo(supervisor, children) if self.with_demo else None
        program = children.preparation(kept, upstream, alone=engines.postgres is not None)
        prepared = json.loads(supervisor.run(program))
        supervisor.add(*children.web_workers(self.workers, listener))
        supervisor.wait_until(lambda: is_ready(url), seconds_max=READY_SECONDS_MAX, what="the web")
        supervisor.add(*children.jobs())
        api_key = self.remember_key(prepared["api_key"]) if self.with_demo else None
        write_credentials(
            self.folder, url=url, kept=kept, password=prepared["admin_password"], api_key=api_key
        )
        self.greet(url, seconds=time.monotonic() - started)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """For our Python children: what we were given, and what we have decided."""
        defaults = {"ALLOWED_HOSTS": hosts_allowed(self.host), "API_DOCS": "public"}
        decided = {
            **settings,
            "TOLLGATE_DATA": str(self.folder.path),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
        }
        return {**defaults, **self.given, **decided}

    def start_demo(self, supervisor: Supervisor, children: Children) -> str:
        """Its address stays the same over restarts, if nobody else has taken it."""
        remembered = self.folder.read_json(self.folder.demo)
        listener = listen_near(remembered.get("port", 0))
        port = listener.getsockname()[1]
        self.folder.write_json(self.folder.demo, {**remembered, "port": port})
        supervisor.add(children.demo_upstream(listener))
        return f"http://127.0.0.1:{port}"

    def remember_key(self, api_key: str | None) -> str | None:
        """The demo's key is told once, when it is made; later starts find it here."""
        remembered = self.folder.read_json(self.folder.demo)
        if api_key is None:
            return remembered.get("api_key")
        self.folder.write_json(self.folder.demo, {**remembered, "api_key": api_key})
        return api_key

    def greet(self, url: str, *, seconds: float) -> None:
        sys.stderr.write(welcome(self.folder.read_json(self.folder.credentials)))
        say(f"ready after {seconds:.1f} s; data in {self.folder.path}")
        sys.stdout.write(f"Tollgate is ready at {url}\n")
        sys.stdout.flush()


def is_ready(url: str) -> bool:
    address = urlsplit(url)
    line = http.client.HTTPConnection(address.hostname, address.port, timeout=ANSWER_SECONDS_MAX)
    with contextlib.closing(line):
        try:
            line.request("GET", "/health/readiness")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a limit of its own below hard
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
