"""Tellers: several processes that race on the same budgets."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from spend.models import Budget

ROOT = Path(__file__).parent.parent
END_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Teller:
    process: subprocess.Popen[str]

    def tell(self, verb: str, **asked: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"verb": verb, **asked}) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the teller has ended"
        answer: dict[str, Any] = json.loads(line)
        assert answer.get("errors", []) == []
        return answer

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(END_SECONDS_MAX)


def open_teller(database: str) -> Teller:
    command = [sys.executable, "-m", "tests.teller", database]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return Teller(process)


@pytest.fixture
def tellers(bank_books: str) -> Iterator[Callable[[int], list[Teller]]]:
    """Opens so many of them; they end with the test."""
    opened: list[Teller] = []

    def open_them(count: int) -> list[Teller]:
        opened.extend(open_teller(bank_books) for _ in range(count))
        return opened[-count:]

    yield open_them
    for teller in opened:
        for pipe in (teller.process.stdin, teller.process.stdout):
            assert pipe is not None
            pipe.close()
        teller.process.wait(END_SECONDS_MAX)


def all_at_once(tellers: list[Teller], verb: str, **asked: Any) -> list[dict[str, Any]]:
    for teller in tellers:
        teller.tell(verb, **asked)
    return [teller.hear() for teller in tellers]


def named(*budgets: Budget) -> list[tuple[int, str]]:
    return [(budget.pk, budget.public_id) for budget in budgets]
