"""Reconciliation: what a recount of the books found, as a value, as JSON and as text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from spend.invariants import PROMISES
from spend.plain_json import plain


@dataclass(frozen=True, slots=True)
class Difference:
    """Where an invariant does not hold; `kind` names it."""

    kind: str
    says: Mapping[str, Any]

    def as_text(self) -> str:
        words = (
            f"{name} {format(value, 'f') if isinstance(value, Decimal) else plain(value)}"
            for name, value in self.says.items()
        )
        return f"{self.kind}: {', '.join(words)}"


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The newest seal of the audit: how many entries there are, and a digest of them all."""

    position: int
    digest: str

    def __str__(self) -> str:
        return f"{self.position}:{self.digest}"

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Raises ValueError."""
        position, _, digest = text.partition(":")
        if len(bytes.fromhex(digest)) != 32:
            raise ValueError("a digest has 64 digits")
        return cls(int(position), digest.lower())


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """`counts` has every kind of difference, `differences` the first ones of each kind."""

    checked_at: datetime
    since: datetime | None  # None: all there is
    windows: int
    windows_ok: int
    counts: Mapping[str, int]
    differences: Sequence[Difference]
    rows: int
    corrections: int
    overruns: int
    reservations_open: int
    usage_sources: Mapping[str, int]
    audit_head: AuditHead | None
    jobs: Mapping[str, datetime | None]

    @property
    def is_ok(self) -> bool:
        return not any(self.counts.values())

    @property
    def verdict(self) -> str:
        return verdict_of(self.windows, self.windows_ok, sum(self.counts.values()))

    def as_json(self) -> dict[str, Any]:
        """Plain values; amounts in dollars."""
        told = {
            "ok": self.is_ok,
            "checked_at": self.checked_at,
            "since": self.since,
            "windows": self.windows,
            "windows_ok": self.windows_ok,
            "differences": [{"kind": found.kind, **found.says} for found in self.differences],
            "rows": self.rows,
            "orphan_rows": self.counts["orphan_row"],
            "duplicate_rows": self.counts["duplicate_row"],
            "reservations_open": self.reservations_open,
            "reservations_overdue": self.counts["overdue_reservation"],
            "strict_over_limit": self.counts["strict_over_limit"],
            "rollup_differences": self.counts["rollup"],
            "corrections": self.corrections,
            "overruns": self.overruns,
            "usage_source": self.usage_shares(),
            "jobs": self.jobs,
            "counts": self.counts,
            "audit_head": self.audit_head and str(self.audit_head),
        }
        said: dict[str, Any] = plain(told)
        return said

    def usage_shares(self) -> dict[str, Decimal]:
        """How much of what was billed was told by upstreams; three decimals."""
        billed = sum(self.usage_sources.values())
        return {
            source: round(Decimal(count) / billed, 3) if billed else Decimal(0)
            for source, count in self.usage_sources.items()
        }

    def as_text(self) -> str:
        """A line for each invariant, and one for the whole, for people."""
        lines = [f"{count or 'ok':>6}  {PROMISES[kind]}" for kind, count in self.counts.items()]
        lines += [f"        {found.as_text()}" for found in self.differences]
        since = "of all time" if self.since is None else f"since {plain(self.since)}"
        return "\n".join([*lines, f"{self.verdict}; {self.rows} rows {since}"])


def verdict_of(windows: int, windows_ok: int, differences: int) -> str:
    """`412 windows agree`."""
    if windows_ok < windows:
        return f"{windows_ok} of {windows} windows agree"
    suffix = f", {differences} other differences" if differences else ""
    return f"{windows} windows agree{suffix}"
