"""Looks: themes and widths in which every page is seen, and what axe finds there."""

import os
from html import escape
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

WIDE, NARROW = 1280, 390
# Every look takes a second of work a page, so two show both themes and both widths; all four, and
# the pictures, are for whoever asks for them.
IS_PICTURED = os.environ.get("SCREENSHOTS") == "1"
LOOKS = [("light", WIDE), ("dark", NARROW)]
if IS_PICTURED:
    LOOKS += [("dark", WIDE), ("light", NARROW)]
RULES = {
    "resultTypes": ["violations"],
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
}


def violations_on(page: Page) -> list[str]:
    """A line for each rule and element."""
    found: list[Any] = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def take_picture(page: Page, path: Path) -> None:
    """Of the whole page, if somebody asks for pictures."""
    if IS_PICTURED:
        page.screenshot(path=path, full_page=True)


def write_index(folder: Path) -> None:
    """All pictures of a page side by side."""
    names: dict[str, list[str]] = {}
    for picture in sorted(folder.glob("*.png")):
        names.setdefault(picture.stem.rsplit("-", 2)[0], []).append(picture.name)
    sections = [
        f"<h2>{escape(name)}</h2>"
        + "".join(
            f'<a href="{file}"><img src="{file}" width="420" alt="{file}"></a> ' for file in files
        )
        for name, files in names.items()
    ]
    text = "<!doctype html><meta charset=utf-8><title>Screenshots</title>" + "".join(sections)
    (folder / "index.html").write_text(text)
