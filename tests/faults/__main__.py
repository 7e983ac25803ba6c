"""Run the thirty trials and print what each was asked and what was measured.

    python -m tests.faults [--long] [--only 6,15]

Ends with 1 when a test failed. A trial that nobody measures is told as such, never as passed.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from config.environment import ROOT
from tests.faults.trials import TRIALS, Trial


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one test."""

    node: str
    seconds: float
    is_passed: bool
    is_skipped: bool


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="the full doses too; takes long")
    parser.add_argument("--only", default="", help="numbers of trials, with commas between")
    return parser.parse_args()


def run_tests(nodes: Iterable[str], *, is_long: bool) -> list[Found]:
    """Run them in one run of pytest, which has engines of its own."""
    nodes = sorted(set(nodes))
    if not nodes:
        return []
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        marks = "slow or not slow" if is_long else "not slow"
        command = ["manage.py", "test", *nodes, "-q", "-m", marks, f"--junitxml={report}"]
        subprocess.run([sys.executable, *command], cwd=ROOT, check=False, stdout=sys.stderr)
        if not report.exists():
            raise SystemExit("the tests did not run")
        return [read_case(case) for case in ElementTree.parse(report).iter("testcase")]


def read_case(case: ElementTree.Element) -> Found:
    file = case.get("classname", "").replace(".", "/") + ".py"
    broken = case.find("failure") is not None or case.find("error") is not None
    skipped = case.find("skipped") is not None
    name = re.sub(r"@\w+$", "", case.get("name", ""))  # the group that it ran in
    node = f"{file}::{name}"
    return Found(node, float(case.get("time", 0)), not broken and not skipped, skipped)


def nodes_of(trial: Trial, *, is_long: bool) -> tuple[str, ...]:
    return trial.tests + (trial.long_tests if is_long else ())


def belongs(found: Found, node: str) -> bool:
    """A file names all tests in it, a test all its parameters."""
    return found.node == node or found.node.startswith((f"{node}::", f"{node}["))


def line_of(trial: Trial, found: list[Found], *, is_long: bool) -> tuple[str, str]:
    """Its verdict, and what was measured."""
    nodes = nodes_of(trial, is_long=is_long)
    own = [one for one in found if any(belongs(one, node) for node in nodes)]
    if not nodes:
        return "----", "with --long only" if trial.long_tests else trial.lacks
    if not own:
        return "FAIL", "its tests did not run"
    passed = sum(one.is_passed for one in own)
    skipped = sum(one.is_skipped for one in own)
    seconds = sum(one.seconds for one in own)
    verdict = "FAIL" if passed + skipped < len(own) else "pass" if passed else "skip"
    lacks = f"; but: {trial.lacks}" if trial.lacks else ""
    return verdict, f"{passed} of {len(own)} tests, {seconds:.1f} s{lacks}"


def main() -> int:
    asked = read_arguments()
    only = {int(number) for number in asked.only.split(",") if number}
    trials = [trial for trial in TRIALS if not only or trial.number in only]
    nodes = [node for trial in trials for node in nodes_of(trial, is_long=asked.long)]
    found = run_tests(nodes, is_long=asked.long)
    verdicts = []
    for trial in trials:
        verdict, measured = line_of(trial, found, is_long=asked.long)
        verdicts.append(verdict)
        sys.stdout.write(f"{trial.number:>2}  {verdict}  {trial.asked:<56}  {measured}\n")
    return 1 if "FAIL" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
