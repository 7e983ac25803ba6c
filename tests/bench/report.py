"""Report: a table for people, the same figures as JSON for later."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.machine import FOLDER, describe_machine


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """First column to the left, figures to the right."""
    lines = [list(columns), *([written(cell) for cell in row] for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    print(f"\n{title}")
    for number, line in enumerate(lines):
        first, *others = zip(line, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]))
        if number == 0:
            print("  ".join("-" * width for width in widths))


def written(cell: object) -> str:
    """Three digits are all that a figure of a bench can claim."""
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else str(cell)
    return f"{cell:,.0f}" if cell >= 100 else f"{cell:.3g}"


def write_report(name: str, figures: dict[str, object]) -> Path:
    """`NAME-<time>.json` stays; `NAME.json` is always the last one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    report = {"bench": name, "at": now.isoformat(timespec="seconds"), "machine": describe_machine()}
    text = json.dumps(report | figures, indent=1)
    kept = FOLDER / f"{name}-{now:%Y%m%dT%H%M%SZ}.json"
    for path in (kept, FOLDER / f"{name}.json"):
        path.write_text(text + "\n")
    print(f"\nwritten to {kept}")
    return kept
