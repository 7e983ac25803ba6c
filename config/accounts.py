"""Accounts: PostgreSQL refuses to run as root, so a root start drops to another user.

Root's folders (the data folder is 0700, a project may lie in /root) are closed to that user, and
the binaries with them. On Linux the dropped child then keeps one capability, to pass what is
closed, and nothing else of root's; it keeps none where the way is open.
"""

import ctypes
import os
import pwd
import re
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PREFERRED = ("postgres", "nobody")
PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_SETPCAP = 1, 2, 8
SWITCHING = (0, 6, 7)  # CAP_CHOWN, CAP_SETGID, CAP_SETUID
CAPABILITY_VERSION_3 = 0x20080522

# Loaded before any fork: a child between fork and exec must not go looking for libraries.
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class NoAccount(Exception):
    """Nobody to run PostgreSQL as; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    uid: int
    gid: int


class CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class CapabilitySet(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def choose_account(folder: Path) -> Account | None:
    """Whom to run PostgreSQL as: None is ourselves. A folder's earlier owner stays its owner.

    Raises NoAccount when we are root and cannot be anybody else.
    """
    if os.geteuid() != 0:
        return None
    if LIBC is not None and not all(permitted_capabilities() >> needed & 1 for needed in SWITCHING):
        raise NoAccount(
            "PostgreSQL refuses to run as root, and this root may not switch to another user:"
            " start as a normal user, or set DATABASE_URL"
        )
    found = [account_of(owner_of(folder)), *(account_named(name) for name in PREFERRED)]
    for account in found:
        if account is not None and account.uid != 0:
            return account
    raise NoAccount(
        "PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody' to run it"
        " as: start as a normal user, or set DATABASE_URL"
    )


def owner_of(folder: Path) -> int:
    return folder.stat().st_uid if folder.exists() else 0


def account_of(uid: int) -> Account | None:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def account_named(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def own(folder: Path, account: Account | None) -> None:
    """Give the folder and all in it to the account, unless it is its already."""
    if account is None or owner_of(folder) == account.uid:
        return
    for here, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            os.chown(os.path.join(here, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(folder, account.uid, account.gid)  # last: an interrupted change is done again


def drop_to(account: Account | None, paths: Iterable[Path]) -> Callable[[], None] | None:
    """What a child does between fork and exec to become the account and reach the paths.

    Raises NoAccount when it could not reach them.
    """
    if account is None:
        return None
    capability = capability_for(account, [path.resolve() for path in paths])

    def drop() -> None:
        if capability is not None:
            keep_over_change_of_user()
        os.setgroups([account.gid])
        os.setgid(account.gid)
        os.setuid(account.uid)
        if capability is not None:
            keep(capability)

    return drop


def capability_for(account: Account, paths: Sequence[Path]) -> int | None:
    """The least one that opens the way; None where it is open. Raises NoAccount.

    Reading, and passing folders, takes CAP_DAC_READ_SEARCH, which containers often lack; running
    what only root may run takes CAP_DAC_OVERRIDE.
    """
    steps = [step for path in paths for step in (path, *path.parents)]
    closed = [step for step in steps if not may(account, step, needs_of(step))]
    if not closed:
        return None
    fitting = [CAP_DAC_OVERRIDE]
    if all(step.is_dir() or may(account, step, stat.S_IXOTH) for step in closed):
        fitting.insert(0, CAP_DAC_READ_SEARCH)
    held = permitted_capabilities()
    for capability in fitting:
        if held >> capability & held >> CAP_SETPCAP & 1:
            return capability
    raise NoAccount(
        f"PostgreSQL refuses to run as root, and the user {account.name!r} cannot reach"
        f" {closed[0]}: start as a normal user, or set DATABASE_URL"
    )


def needs_of(path: Path) -> int:
    """A folder must be passed, a file be read and run; as bits of the mode for others."""
    return stat.S_IXOTH if path.is_dir() else stat.S_IROTH | stat.S_IXOTH


def may(account: Account, path: Path, bits: int) -> bool:
    """By mode bits alone."""
    found = path.stat()
    if found.st_uid == account.uid:
        bits <<= 6
    elif found.st_gid == account.gid:
        bits <<= 3
    return found.st_mode & bits == bits


def permitted_capabilities() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0  # not Linux
    return int(re.search(r"^CapPrm:\s*(\w+)$", status, re.MULTILINE).group(1), 16)


def keep_over_change_of_user() -> None:
    """Capabilities outlast setuid, and access(2), by which PostgreSQL finds itself, heeds them."""
    if LIBC.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECUREBITS)")


def keep(capability: int) -> None:
    """Keep this capability alone, over the exec that follows too (an ambient capability)."""
    header = CapabilityHeader(CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    sets = (CapabilitySet * 2)(CapabilitySet(bit, bit, bit), CapabilitySet(0, 0, 0))
    if LIBC.capset(ctypes.byref(header), sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    if LIBC.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_CAP_AMBIENT)")


def die_with_parent(parent: int, signal_number: int) -> None:
    """Ask the kernel for a signal when our parent is gone; elsewhere than on Linux, do nothing.

    Called last before exec, as a change of user clears it. It follows the parent's *thread*, so
    children are started from the main thread only.
    """
    if LIBC is None:
        return
    LIBC.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it went before we had asked
