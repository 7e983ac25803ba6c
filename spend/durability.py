"""Durability: Django's check that the database keeps what it has confirmed, whatever loses power.

Money that was settled and then forgotten is spent twice. A killed process never shows it.
"""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.db import connections

SAFEGUARDS = {
    "fsync": "Nothing is forced to the disk: a power cut can lose or corrupt all of it.",
    "full_page_writes": "A power cut can leave half-written pages that recovery cannot repair.",
    "synchronous_commit": "A crash of the server loses calls that were settled a moment before.",
}


def check_durability(
    *, databases: Sequence[str] | None = None, **options: Any
) -> list[CheckMessage]:
    """An error for each safeguard that is off, as our own session sees it."""
    return [
        Error(
            f"{name} is off on the database {alias!r}. {SAFEGUARDS[name]}",
            hint=f"Set {name} = on for the server, the database and the role.",
            id="spend.E001",
        )
        for alias in databases or ()
        for name, value in read_safeguards(alias).items()
        if value == "off"
    ]


def read_safeguards(alias: str) -> dict[str, str]:
    """The value of each; synchronous_commit has more of them than on and off."""
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s) ORDER BY name",
            [list(SAFEGUARDS)],
        )
        return dict(cursor.fetchall())
