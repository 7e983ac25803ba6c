"""Requirements: what pyproject.toml and constraints.txt ask for, read with the standard library."""

import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
CLAUSE = re.compile(r"(>=|<|==)\s*(\d+(?:\.\d+)*)")
PLATFORM = re.compile(r"^\s*sys_platform\s*(==|!=)\s*['\"](\w+)['\"]\s*$")


@dataclass(frozen=True, slots=True)
class Requirements:
    lines: tuple[str, ...]
    constraints: Path
    extras: tuple[str, ...]

    @classmethod
    def of_project(cls, root: Path, extras: Sequence[str] = ()) -> "Requirements":
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        lines = list(project["dependencies"])
        for extra in extras:
            lines += project["optional-dependencies"][extra]
        return cls(tuple(lines), root / "constraints.txt", tuple(sorted(extras)))

    def stamp(self) -> str:
        """Changes whenever an installation made from these requirements would."""
        pins = self.constraints.read_text(encoding="utf-8")
        content = json.dumps([self.lines, self.extras, pins])
        return hashlib.sha256(content.encode()).hexdigest()

    def are_met(self) -> bool:
        """Whether the running interpreter has all of them already, in fitting versions."""
        return all(is_met(line) for line in self.lines)


def is_met(requirement: str) -> bool:
    text, _, marker = requirement.partition(";")
    if not applies_here(marker):
        return True
    name = NAME.match(text.strip())
    if name is None:
        return False
    try:
        installed = metadata.version(name.group())
    except metadata.PackageNotFoundError:
        return False
    return all(fits(installed, *clause) for clause in CLAUSE.findall(text))


def applies_here(marker: str) -> bool:
    """Only sys_platform is understood; any other marker counts as applying."""
    match = PLATFORM.match(marker)
    if match is None:
        return True
    operator, platform = match.groups()
    return (sys.platform == platform) == (operator == "==")


def fits(installed: str, operator: str, bound: str) -> bool:
    have, want = numbers_in(installed), numbers_in(bound)
    width = max(len(have), len(want))
    have += (0,) * (width - len(have))
    want += (0,) * (width - len(want))
    if operator == ">=":
        return have >= want
    if operator == "<":
        return have < want
    return have == want


def numbers_in(version: str) -> tuple[int, ...]:
    release = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in release.group().split(".")) if release else ()
