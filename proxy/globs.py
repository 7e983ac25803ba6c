"""Globs: `*` any run, `?` one character, nothing else is special; the whole text; case counts."""

from collections.abc import Iterable
from fnmatch import fnmatchcase


def fits(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def fits_any(text: str, patterns: Iterable[str]) -> bool:
    return any(fits(text, pattern) for pattern in patterns)
