"""The house style as a test: a failure names its file and says what to do.

Walls hold the promises and have no exceptions. Mirrors are for our own eyes, set above what we aim
at; a line in WAIVED with its reason is a decision.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APPS = ("config", "proxy", "tags", "spend")
ROOM = {"spend": 0, "tags": 1, "proxy": 2, "config": 3}
FILES = sorted(
    path for app in APPS for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts
)
MONEY_FILES = (
    "money",
    "pricing",
    "rates",
    "price_fields",
    "estimate",
    "billing",
    "ledger",
    "budgets",
)
HOT_PATH = (
    "proxy/gateway.py", "proxy/journey.py", "proxy/call.py", "proxy/tagging.py", "proxy/routing.py",
    "proxy/plan.py", "proxy/sizing.py", "proxy/forwarding.py", "proxy/relay.py",
    "proxy/attempt.py", "proxy/sending.py", "proxy/retrying.py", "proxy/fallbacks.py",
    "proxy/pauses.py", "proxy/patience.py", "proxy/cooldown.py", "proxy/wishes.py",
    "proxy/streaming.py", "proxy/metering.py", "proxy/answers.py", "proxy/authentication.py",
    "proxy/throttling.py", "proxy/rate_limits.py", "proxy/rate_counters.py", "proxy/script_line.py",
    "proxy/endpoints.py", "proxy/event_metering.py", "proxy/unit_metering.py",
    "proxy/text_sizing.py", "proxy/unit_sizing.py",
    "spend/ledger.py", "spend/batching.py", "spend/connection.py", "spend/billing.py",
)  # fmt: skip
BROAD_EXCEPTS = {  # the outlet and a call's root, a flight and its connection, a job's root
    "proxy/gateway.py", "spend/batching.py", "spend/connection.py", "spend/presence.py",
}  # fmt: skip
NAMELESS = {"utils", "util", "common", "misc", "base", "services", "helpers"}

FILE_LINES_MAX = 300
FUNCTION_LINES_MAX = 60
ARGUMENTS_MAX = 8
WAIVED: dict[tuple[str, str], str] = {
    ("proxy/arrival.py", "__init__"): "all that came with a request, gathered in one place",
    ("spend/ledger.py", "file"): "one class is the ledger's whole face; its SQL is elsewhere",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_imports_downward_only(path):
    room = ROOM[path.relative_to(ROOT).parts[0]]
    upward = [name for name in imports_of(tree_of(path)) if ROOM.get(name.split(".")[0], 0) > room]
    assert not upward, f"{name_of(path)} imports upward: {upward}; hand it in as an argument"


@pytest.mark.parametrize("name", HOT_PATH)
def test_it_keeps_models_off_the_hot_path(name):
    found = [m for m in imports_of(tree_of(ROOT / name)) if re.search(r"\bmodels$|models\.", m)]
    assert not found, f"{name} imports {found}; read a card instead"


@pytest.mark.parametrize("name", MONEY_FILES)
def test_it_has_no_float_and_no_true_division_where_money_is(name):
    for node in ast.walk(tree_of(ROOT / "spend" / f"{name}.py")):
        is_float = isinstance(node, ast.Name) and node.id == "float"
        is_float |= isinstance(node, ast.Constant) and isinstance(node.value, float)
        is_float |= isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        if is_float and not is_time(ROOT / "spend" / f"{name}.py", node.lineno):
            pytest.fail(f"spend/{name}.py:{node.lineno} has a float; money is integer nano-dollars")


def is_time(path: Path, line: int) -> bool:
    """Seconds are no money."""
    return bool(re.search(r"seconds|SECONDS|resets_at", path.read_text().splitlines()[line - 1]))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_moves_money_in_sql_only(path):
    moved = re.search(
        r"\b(spent|reserved)\s*=\s*F\(|\.(spent|reserved)\s*[-+]?=[^=]", path.read_text()
    )
    assert not moved, f"{name_of(path)} writes {moved and moved.group()}; only spend/sql/ does"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_reads_the_environment_in_config_only(path):
    if path.relative_to(ROOT).parts[0] != "config":
        assert "os.environ" not in re.sub(r'"[^"]*"|#.*', "", path.read_text()), name_of(path)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_catches_what_it_can_name(path):
    broad = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
    ]
    assert not broad or name_of(path) in BROAD_EXCEPTS, f"{name_of(path)}:{broad} catches all"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_says_what_each_file_holds(path):
    if path.stat().st_size and not (
        path.name == "__init__.py" and not ast.get_docstring(tree_of(path))
    ):
        assert ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"
    assert path.stem not in NAMELESS, f"{name_of(path)}: which noun is it?"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_it_keeps_files_and_functions_small(path):
    lines = len(path.read_text().splitlines())
    waived = (name_of(path), "file") in WAIVED
    assert lines <= FILE_LINES_MAX or waived, (
        f"{name_of(path)} has {lines} lines: which noun hides?"
    )
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            spot = f"{name_of(path)}:{node.lineno} {node.name}"
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{spot} has {length} lines"
            arguments = len(node.args.args) + len(node.args.kwonlyargs)
            exempt = (name_of(path), node.name) in WAIVED
            assert arguments <= ARGUMENTS_MAX or exempt, f"{spot} takes {arguments} arguments"
        assert not isinstance(node, ast.Global), f"{name_of(path)}:{node.lineno} uses global"


def test_its_decisions_are_numbered_once_and_those_named_exist():
    readme = (ROOT / "README.md").read_text()
    numbers = [int(n) for n in re.findall(r"^\*\*D(\d+) ", readme, re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    for path in FILES:
        for n in re.findall(r"\bD(\d{1,2})\b", path.read_text()):
            assert int(n) in numbers, f"{name_of(path)} names D{n}, which the README lacks"


def test_its_settings_are_in_the_readme():
    settings = (ROOT / "config/settings.py").read_text()
    asked = re.findall(r'(?:env\.\w+|read_\w+)\(\s*"([A-Z_]+)"', settings)
    table = (ROOT / "README.md").read_text().split("## Settings")[1].split("## Dependencies")[0]
    missing = [name for name in asked if f"`{name}`" not in table]
    assert asked
    assert not missing, f"the README's settings lack {missing}"


def test_its_dependencies_are_in_the_readme():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    asked = {re.split(r"[^a-z0-9-]", text)[0] for found in lists for text in found}
    table = (ROOT / "README.md").read_text().split("## Dependencies")[1].split("## Glossary")[0]
    missing = [name for name in asked if not re.search(rf"\b{name}\b", table)]
    assert not missing, f"the README's dependencies lack {missing}"
