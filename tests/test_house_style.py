"""The house style as a test: a failure names its file and says what to do.

Walls hold the promises and have no exceptions. Mirrors are for our own eyes, set above what we aim
at; a line in WAIVED with its reason is a decision.
"""

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

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
    "proxy/text_sizing.py", "proxy/unit_sizing.py", "proxy/incoming.py", "proxy/form.py",
    "proxy/form_members.py", "proxy/sound.py", "proxy/sound_length.py", "proxy/upload.py",
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
    ("config/settings.py", "file"): "every setting there is, in the one file that reads them",
    ("proxy/call.py", "read_call"): "all that a call is made of, each by its name",
    ("proxy/arrival.py", "__init__"): "all that came with a request, gathered in one place",
    ("spend/ledger.py", "file"): "one class is the ledger's whole face; its SQL is elsewhere",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def text_of(path: Path) -> str:
    return path.read_text()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(text_of(path))


def imports_of(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_it_imports_downward_only():
    upward = [
        (name_of(path), name)
        for path in FILES
        for name in imports_of(tree_of(path))
        if ROOM.get(name.split(".")[0], 0) > ROOM[path.relative_to(ROOT).parts[0]]
    ]
    assert not upward, f"these import upward; hand it in as an argument: {upward}"


def test_it_keeps_models_off_the_hot_path():
    found = [
        (path, name)
        for path in HOT_PATH
        for name in imports_of(tree_of(ROOT / path))
        if re.search(r"\bmodels$|models\.", name)
    ]
    assert not found, f"these import models; read a card instead: {found}"


def test_it_has_no_float_and_no_true_division_where_money_is():
    for name in MONEY_FILES:
        path = ROOT / "spend" / f"{name}.py"
        for node in ast.walk(tree_of(path)):
            is_float = isinstance(node, ast.Name) and node.id == "float"
            is_float |= isinstance(node, ast.Constant) and isinstance(node.value, float)
            is_float |= isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
            spot = f"{name_of(path)}:{getattr(node, 'lineno', 0)}"
            assert not is_float or is_time(path, node.lineno), (
                f"{spot} has a float; money is integer nano-dollars"
            )


def is_time(path: Path, line: int) -> bool:
    """Seconds are no money."""
    return bool(re.search(r"seconds|SECONDS|resets_at", text_of(path).splitlines()[line - 1]))


def test_it_moves_money_in_sql_only():
    moves = re.compile(r"\b(spent|reserved)\s*=\s*F\(|\.(spent|reserved)\s*[-+]?=[^=]")
    moved = [(name_of(path), found[0]) for path in FILES if (found := moves.search(text_of(path)))]
    assert not moved, f"only spend/sql/ writes these: {moved}"


def test_it_reads_the_environment_in_config_only():
    reading = [
        name_of(path)
        for path in FILES
        if path.relative_to(ROOT).parts[0] != "config"
        and "os.environ" in re.sub(r'"[^"]*"|#.*', "", text_of(path))
    ]
    assert not reading, f"settings are read in config/: {reading}"


def test_it_catches_what_it_can_name():
    broad = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        if name_of(path) not in BROAD_EXCEPTS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in ("Exception", "BaseException"))
    ]
    assert not broad, f"these catch all: {broad}"


def test_it_says_what_each_file_holds():
    silent = [
        name_of(path)
        for path in FILES
        if text_of(path) and path.name != "__init__.py" and not ast.get_docstring(tree_of(path))
    ]
    assert not silent, f"these have no docstring: {silent}"
    nameless = [name_of(path) for path in FILES if path.stem in NAMELESS]
    assert not nameless, f"which noun is it? {nameless}"


def test_it_keeps_files_small():
    lengths = {name_of(path): len(text_of(path).splitlines()) for path in FILES}
    long = {
        name: lines
        for name, lines in lengths.items()
        if lines > FILE_LINES_MAX and (name, "file") not in WAIVED
    }
    assert not long, f"which noun hides? {long}"


def test_it_keeps_functions_small():
    for path in FILES:
        for node in functions_of(tree_of(path)):
            spot = f"{name_of(path)}:{node.lineno} {node.name}"
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{spot} has {length} lines"
            arguments = len(node.args.args) + len(node.args.kwonlyargs)
            exempt = (name_of(path), node.name) in WAIVED
            assert arguments <= ARGUMENTS_MAX or exempt, f"{spot} takes {arguments} arguments"


def test_it_has_no_globals():
    for path in FILES:
        lines = [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Global)]
        assert not lines, f"{name_of(path)}:{lines} uses global"


def test_its_decisions_are_numbered_once_and_those_named_exist():
    readme = (ROOT / "README.md").read_text()
    numbers = [int(n) for n in re.findall(r"^\*\*D(\d+) ", readme, re.M)]
    assert numbers == list(range(1, len(numbers) + 1))
    for path in FILES:
        for n in re.findall(r"\bD(\d{1,2})\b", text_of(path)):
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
