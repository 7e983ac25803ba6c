"""Served: the engines and some web workers as `up` starts them, and nothing else of it.

Runs until it is asked to stop. Writes FOLDER/served.json, with its secrets, when all is up.
"""

import argparse
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from config.children import Children
from config.credentials import provide_secrets
from config.engines import Engines
from config.folder import Folder
from config.launch import READY_SECONDS_MAX, is_ready, raise_open_files
from config.listening import listen, url_of
from config.programs import PartFailed
from config.signals import Signals
from config.supervisor import EndAsked, StopAsked, Supervisor

HOST = "127.0.0.1"
TOLD = "served.json"
NOT_OURS = ("DATABASE_URL", "REDIS_URL", "MASTER_KEY", "SECRET_KEY", "VAULT_KEYS")


def serve(folder: Folder, workers: int, given: Mapping[str, str]) -> None:
    """Full durability, as in production: only the tests relax it."""
    folder.open()
    with folder.held(), listen(HOST, 0) as listener, Signals() as signals:
        raise_open_files()
        supervisor = Supervisor(signals, lambda pids: None)
        engines = Engines(folder, {})
        try:
            start(supervisor, engines, folder, listener, workers, given)
            supervisor.watch()
        except (StopAsked, EndAsked):
            supervisor.stop()
        finally:
            supervisor.end()
            engines.clear()


def start(
    supervisor: Supervisor,
    engines: Engines,
    folder: Folder,
    listener: socket.socket,
    workers: int,
    given: Mapping[str, str],
) -> None:
    """Raises PartFailed."""
    engines.start(supervisor)
    kept, url = provide_secrets(folder, given), url_of(listener, HOST)
    decided = environment(folder, engines, url) | kept
    children = Children(folder, {**given, **decided})
    supervisor.run(children.preparation(kept, None, alone=True))
    if workers:
        supervisor.add(*children.web_workers(workers, listener))
        supervisor.wait_until(lambda: is_ready(url), seconds_max=READY_SECONDS_MAX, what="web")
    pids = {part.name: part.child.pid for part in supervisor.parts}
    told = {"url": url, "pids": pids, "environment": decided}
    folder.write_json(folder.path / TOLD, told)


def environment(folder: Folder, engines: Engines, url: str) -> dict[str, str]:
    return {
        "DATABASE_URL": engines.database_url,
        "REDIS_URL": engines.redis_url,
        "TOLLGATE_URL": url,
        "TOLLGATE_DATA": str(folder.path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "LOG_LEVEL": "WARNING",
    }


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--workers", type=int, default=1)
    chosen = options.parse_args()
    given = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    try:
        serve(Folder(chosen.folder), chosen.workers, given)
    except PartFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
