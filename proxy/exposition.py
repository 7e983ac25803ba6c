"""Exposition: numbers as Prometheus reads them, in its text format 0.0.4."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric. Its samples are (suffix, values of the labels, number)."""

    name: str
    kind: str  # counter | gauge | summary | histogram
    about: str
    labels: Sequence[str] = ()
    samples: Sequence[tuple[str, Sequence[str], str]] = field(default=())


def write_exposition(families: Iterable[Family]) -> str:
    lines: list[str] = []
    for family in families:
        lines += [
            f"# HELP {family.name} {family.about}",
            f"# TYPE {family.name} {family.kind}",
        ]
        for suffix, values, number in family.samples:
            names = family.labels if len(values) == len(family.labels) else (*family.labels, "le")
            labels = write_labels(dict(zip(names, values, strict=True)))
            lines.append(f"{family.name}{suffix}{labels} {number}")
    return "\n".join(lines) + "\n"


def write_labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in labels.items()) + "}"


def escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def in_seconds(microseconds: int) -> str:
    """Exact, without an exponent."""
    return f"{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"
