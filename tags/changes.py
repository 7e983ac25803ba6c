"""Changes: what is to be set on a tag or a key, in our names; what is absent stays as it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Changes:
    columns: Mapping[str, Any] = field(default_factory=dict)  # of the row itself
    budget: Mapping[str, Any] = field(default_factory=dict)  # terms of its own budget
    further: Sequence[Mapping[str, Any]] | None = None  # the whole list; each with all its terms
    pots: Sequence[str] | None = None  # the whole list of public ids
    owners: Sequence[Any] | None = None  # the whole list of users; of tags alone
