"""Trials: thirty lines, whose tests exist, told as they are."""

import ast
from xml.etree import ElementTree

from config.environment import ROOT
from tests.faults.__main__ import Found, line_of, read_case
from tests.faults.trials import TRIALS, Trial


def test_its_tests_exist():
    for node in (node for trial in TRIALS for node in trial.tests + trial.long_tests):
        file, _, name = node.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        names = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}
        assert not name or name.partition("[")[0] in names, node


def test_it_has_thirty_and_none_is_silent():
    assert [trial.number for trial in TRIALS] == list(range(1, 31))
    assert all(trial.tests or trial.long_tests or trial.lacks for trial in TRIALS)


def test_it_tells_what_was_measured():
    trial = Trial(1, "asked", ("a.py::test_b",), lacks="little")
    good = Found("a.py::test_b[1]", 1.0, True, False)
    bad = Found("a.py::test_b[2]", 0.5, False, False)
    other = Found("a.py::test_bc", 9.0, False, False)
    assert line_of(trial, [good, other], is_long=False) == (
        "pass", "1 of 1 tests, 1.0 s; but: little",
    )  # fmt: skip
    assert line_of(trial, [good, bad], is_long=False)[0] == "FAIL"
    assert line_of(trial, [other], is_long=False) == ("FAIL", "its tests did not run")
    assert line_of(Trial(2, "x", lacks="no test"), [good], is_long=False) == ("----", "no test")


def test_it_reads_a_case_without_its_group():
    case = ElementTree.fromstring('<testcase classname="a.b" name="test_c[1]@d" time="2" />')
    assert read_case(case) == Found("a/b.py::test_c[1]", 2.0, True, False)
