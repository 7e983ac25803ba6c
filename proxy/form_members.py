"""Form members: what a form's fields say, as the members of a JSON body.

Ours may come as JSON text (`metadata`), or taken apart with brackets, as SDKs write what is nested
(`metadata[tags][]`). What is the upstream's stays as it is: a text, or a list where it is repeated.
"""

import re
from collections.abc import Sequence
from typing import Any

import orjson
from rest_framework.exceptions import ParseError

from proxy.errors import bad_request
from proxy.wire import parse_object

OBJECTS = ("metadata", "litellm_metadata")
WISHES = ("num_retries", "timeout", "fallbacks", "disable_fallbacks")
NESTED = (*OBJECTS, "tags")
FLAGS = {"true": True, "false": False}
BRACKETS = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
LEVELS_MAX = 8

Fields = Sequence[tuple[str, str]]


def read_members(fields: Fields) -> dict[str, Any]:
    """Raises Failure `invalid_parameter`, naming the field."""
    members: dict[str, Any] = {}
    for name, text in fields:
        root, path = split_name(name)
        if root in NESTED and path:
            put_nested(members, (root, *path), text)
        elif root in OBJECTS:
            members[root] = read_object(root, text)
        elif name in WISHES:
            members[name] = read_value(text)
        elif name == "stream":
            members[name] = FLAGS.get(text.strip().lower(), text)
        elif name in members:
            known = members[name]
            members[name] = [*known, text] if isinstance(known, list) else [known, text]
        else:
            members[name] = text
    return members


def split_name(name: str) -> tuple[str, tuple[str, ...]]:
    """`metadata[tags][]` is ("metadata", ("tags", ""))."""
    found = BRACKETS.fullmatch(name)
    if found is None:
        return name, ()
    return found[1], tuple(found[2][1:-1].split("][")) if found[2] else ()


def read_object(name: str, text: str) -> Any:
    if text.strip() in ("", "null"):
        return None
    try:
        return parse_object(text.encode())
    except ParseError:
        raise wrong(name, "must be the JSON text of an object") from None


def read_value(text: str) -> Any:
    """JSON where it is that, else the text."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def put_nested(members: dict[str, Any], path: tuple[str, ...], text: str) -> None:
    """An empty bracket at the end, or a number, is an item of a list."""
    *way, last = path
    is_item = last == "" or last.isdigit()
    if len(path) > LEVELS_MAX or "" in way:
        raise wrong(path[0], "is nested too deeply")
    for name in way[:-1] if is_item else way:
        members = members.setdefault(name, {})
        if not isinstance(members, dict):
            raise wrong(path[0], "is told in two ways")
    if not is_item:
        if last in members:
            raise wrong(path[0], "is told in two ways")
        members[last] = text
        return
    items = members.setdefault(way[-1], [])
    if not isinstance(items, list):
        raise wrong(path[0], "is told in two ways")
    items.append(text)


def wrong(name: str, why: str) -> Exception:
    return bad_request("invalid_parameter", f"'{name}' {why}.", name)
