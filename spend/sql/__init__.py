"""The SQL that moves money, one function a file; a migration that changes one reloads it whole."""

from collections.abc import Sequence
from pathlib import Path

from django.db import migrations

HERE = Path(__file__).parent


def load(*names: str) -> migrations.RunSQL:
    """A migration operation that runs the named files of this folder, in order."""
    return migrations.RunSQL(
        "\n".join((HERE / f"{name}.sql").read_text() for name in names), migrations.RunSQL.noop
    )


def notify_changes(table: str, column: str, *, of: Sequence[str] = ()) -> migrations.RunSQL:
    """A migration operation: workers hear of each change of a row, by the id in `column`."""
    columns = f"of {', '.join(of)} " if of else ""
    return migrations.RunSQL(
        f"create trigger notify_change after insert or delete or update {columns}on {table}"
        f" for each row execute function spend_notify_change('{column}')",
        f"drop trigger notify_change on {table}",
    )
