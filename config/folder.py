"""The data folder of one installation: what lies where in it, and who may use it."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping, Set
from pathlib import Path

from config.environment import ROOT

# sun_path holds 104 bytes on macOS and 108 on Linux; ".s.PGSQL.5432.lock" is the longest name.
SOCKET_FOLDER_BYTES_MAX = 80
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._-]+")  # needs no quoting in any kind of URL


class FolderRefused(Exception):
    """The folder cannot be used; the text says why and what to do."""


class FolderInUse(FolderRefused):
    """Another `up` holds it."""


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.postgres = self.path / "pg"
        self.postgres_log = self.path / "pg.log"
        self.valkey = self.path / "valkey"
        self.valkey_log = self.path / "valkey.log"
        self.secrets = self.path / "secrets.env"
        self.engines = self.path / "engines.env"
        self.credentials = self.path / "credentials.json"
        self.demo = self.path / "demo.json"
        self.children = self.path / "children.json"
        self.static = self.path / "static"
        self.celery = self.path / "celery"

    def open(self) -> None:
        """Make it, for our eyes alone. Raises FolderRefused when it is not ours to take."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = self.path.stat().st_uid
            if os.geteuid() not in (0, owner):
                raise FolderRefused(
                    f"{self.path} belongs to another user; chown it, or name one with --data"
                )
            if any(self.path.iterdir()) and not self.is_known():
                raise FolderRefused(f"{self.path} holds other things; name an empty folder")
            self.path.chmod(0o700)
            self.static.mkdir(exist_ok=True)  # STATIC_ROOT: whitenoise warns where there is none
        except OSError as error:
            raise FolderRefused(f"{self.path} cannot be used: {error.strerror}") from error

    def is_known(self) -> bool:
        """Ours by name, or by what an earlier start has put into it."""
        marks = (self.path / "up.lock", self.secrets)
        return self.path == ROOT / ".data" or any(mark.exists() for mark in marks)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it against any other `up`. Raises FolderInUse. The kernel lets go if we die."""
        lock = os.open(self.path / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise FolderInUse(f"{self.path} is in use by another `manage.py up`") from None
            yield
        finally:
            os.close(lock)

    def write(self, path: Path, text: str) -> None:
        """Replace a file in one step, mode 0600, owned by the folder's owner."""
        beside = path.with_name(f".{path.name}.new")
        with contextlib.suppress(FileNotFoundError):
            beside.unlink()
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.chown(beside, owner.st_uid, owner.st_gid)
        beside.replace(path)

    def write_json(self, path: Path, value: object) -> None:
        self.write(path, json.dumps(value) + "\n")

    def read_json(self, path: Path) -> dict:
        """What write_json wrote; an empty dict if nothing has been written yet."""
        if not path.exists():
            return {}
        return json.loads(path.read_text(encoding="utf-8"))

    def write_settings(self, path: Path, settings: Mapping[str, str]) -> None:
        self.write(path, "".join(f"{name}={value}\n" for name, value in settings.items()))

    def read_settings(self, path: Path) -> dict[str, str]:
        if not path.exists():
            return {}
        lines = path.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def sockets(self, owner: int) -> Path:
        """A private folder for the engines' sockets: ours, or a short one if ours is deep."""
        near = self.path / "run"
        if is_fit_for_sockets(near):
            near.mkdir(mode=0o700, exist_ok=True)
            return near
        name = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        short = Path("/tmp") / f"tollgate-{owner}-{name}"
        if is_private(short, owners={os.geteuid(), owner}):
            return short
        return Path(tempfile.mkdtemp(prefix="tollgate-", dir="/tmp"))


def is_fit_for_sockets(path: Path) -> bool:
    text = str(path)
    return len(os.fsencode(path)) <= SOCKET_FOLDER_BYTES_MAX and bool(PLAIN_PATH.fullmatch(text))


def is_private(path: Path, *, owners: Set[int]) -> bool:
    """Make the folder, or see that it is ours: in /tmp anybody may have got there first."""
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    mode = stat.S_IMODE(found.st_mode)
    return stat.S_ISDIR(found.st_mode) and found.st_uid in owners and mode == 0o700
