"""Complaints: what went wrong in a browser: scripts, console, policy, answers, strangers."""

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext

Found = TypeVar("Found")


class Complaints:
    """Filled as they come. A violation of the policy is an error on the console."""

    def __init__(self, here: str) -> None:
        self.here = here
        self.heard: list[str] = []
        self.expected: list[str] = []

    def expect(self, pattern: str) -> None:
        """What this test provokes: `expect("422")` for an answer, with what the console says."""
        self.expected.append(pattern)

    def unexpected(self) -> list[str]:
        return [
            text
            for text in self.heard
            if not any(re.search(pattern, text) for pattern in self.expected)
        ]

    def during_axe(self, work: Callable[[], Found]) -> Found:
        """Axe sets styles inline, which the policy forbids and nobody else does."""
        before = len(self.heard)
        found = work()
        del self.heard[before:]
        return found

    def listen_to(self, context: BrowserContext) -> None:
        context.on("console", self._hear_console)
        context.on("weberror", lambda error: self.heard.append(f"script: {error.error}"))
        context.on("response", self._hear_answer)
        context.on("request", self._hear_request)

    def _hear_answer(self, answer: Any) -> None:
        if answer.status >= 400:
            self.heard.append(f"{answer.status} {answer.url}")

    def _hear_request(self, request: Any) -> None:
        if urlsplit(request.url).netloc not in (self.here, ""):
            self.heard.append(f"asked {request.url}")

    def _hear_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            where = (message.location or {}).get("url", "")
            self.heard.append(f"{message.type}: {message.text} {where}")
