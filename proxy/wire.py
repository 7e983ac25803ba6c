"""Wire: JSON in and out of management paths. Money is exact: a Decimal in, a Decimal out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import IO, Any
from uuid import UUID

import orjson
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from proxy.errors import Failure

JSON_BYTES_MAX = 20 * 1024 * 1024
DEPTH_MAX = 64
INTEGER_MAX = 2**63 - 1
INTEGER_DIGITS_MAX = 19
FLOAT_MAX = Decimal("1.7976931348623157E+308")  # what overflows a client's float overflows here

TOO_DEEP = f"The body is nested deeper than {DEPTH_MAX} levels."
TOO_LARGE_NUMBER = "The body has a number that is too large."
TOO_LARGE = "The body is larger than 20 MiB."
HALF_CHARACTER = "The body has half of a surrogate pair in a string."

OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


# -- in ------------------------------------------------------------------------------------------


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that the bytes are; of duplicate members the last one counts.

    Raises ParseError, whose text says what is wrong.
    """
    try:
        text = raw.decode()
        found = json.loads(
            text, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError:
        raise ParseError("The body is not UTF-8.") from None
    except RecursionError:
        raise ParseError(TOO_DEEP) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ParseError(f"The body is not valid JSON: {error.msg} at {place}.") from None
    if not isinstance(found, dict):
        raise ParseError("The body must be a JSON object.")
    _refuse_odd_values(found)
    return found


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:  # an exponent of its own that no number of ours can have
        raise ParseError(TOO_LARGE_NUMBER) from None
    if not -FLOAT_MAX <= number <= FLOAT_MAX:
        raise ParseError(TOO_LARGE_NUMBER)
    return number


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > INTEGER_DIGITS_MAX or abs(number := int(text)) > INTEGER_MAX:
        raise ParseError("The body has a whole number that does not fit into 64 bits.")
    return number


def _refuse_constant(name: str) -> None:
    raise ParseError(f"The body has {name}, which is no JSON.")


def _refuse_odd_values(body: Mapping[str, Any]) -> None:
    """Raises ParseError for more than DEPTH_MAX levels, or a string that no UTF-8 can carry."""
    level: list[Any] = [body]
    for _ in range(DEPTH_MAX):
        level = [item for container in level for item in _items(container)]
        if not level:
            return
    raise ParseError(TOO_DEEP)


def _items(container: Mapping[str, Any] | Sequence[Any]) -> Iterable[Any]:
    """The containers inside; all strings inside are looked at."""
    if isinstance(container, Mapping):
        _refuse_half_characters(container.keys())
        container = list(container.values())
    _refuse_half_characters(item for item in container if isinstance(item, str))
    return [item for item in container if isinstance(item, dict | list)]


def _refuse_half_characters(texts: Iterable[str]) -> None:
    for text in texts:
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ParseError(HALF_CHARACTER) from None


class StrictJSONParser(BaseParser):
    """Takes JSON however it is named: an absent type, application/json, anything +json."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        headers: Mapping[str, str] = parser_context["request"].headers if parser_context else {}
        if not is_json(media_type or ""):
            raise UnsupportedMediaType(media_type or "")
        if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise UnsupportedMediaType(headers["content-encoding"])
        raw = stream.read(JSON_BYTES_MAX + 1)
        if len(raw) > JSON_BYTES_MAX:
            raise Failure(413, "request_too_large", TOO_LARGE, headers={"Connection": "close"})
        found = parse_object(raw)
        _refuse_huge_numbers(found)
        return found


def _refuse_huge_numbers(body: Mapping[str, Any]) -> None:
    """Raises ParseError for what is kept as a number and cannot be told again: 1e300 is whole."""
    level: list[Any] = [body]
    while level:
        items = [
            item
            for container in level
            for item in (container.values() if isinstance(container, Mapping) else container)
        ]
        if any(isinstance(item, Decimal) and abs(item) > INTEGER_MAX for item in items):
            raise ParseError(TOO_LARGE_NUMBER)
        level = [item for item in items if isinstance(item, dict | list)]


def is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type in ("", "application/json") or media_type.endswith("+json")


class JSONOnly(BaseContentNegotiation):
    """One parser, one renderer: what a client says that it accepts changes nothing."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:
        return next(iter(parsers))

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


# -- out -----------------------------------------------------------------------------------------


def write_json(value: Any, *, milliseconds: bool = False) -> bytes:
    """JSON of plain values, Decimals as exact numbers, times in UTC with Z."""
    return orjson.dumps(value, default=_in_milliseconds if milliseconds else _plain, option=OPTIONS)


def number_text(number: Decimal) -> str:
    """An exact JSON number: at least one decimal, no more zeros than that, no exponent."""
    text = format(number, "f")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


def time_text(at: datetime, *, milliseconds: bool = False) -> str:
    """`2025-10-11T00:00:00Z`; what is finer is cut off, not rounded into the next second."""
    written = at.astimezone(UTC).isoformat(timespec="milliseconds" if milliseconds else "seconds")
    return written.removesuffix("+00:00") + "Z"


def _plain(value: Any) -> Any:
    match value:
        case Decimal():
            return orjson.Fragment(number_text(value))
        case datetime():
            return time_text(value)
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
        case tuple() | set() | frozenset():
            return list(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _in_milliseconds(value: Any) -> Any:
    return time_text(value, milliseconds=True) if isinstance(value, datetime) else _plain(value)


class MoneyJSONRenderer(BaseRenderer):
    """Whole seconds in times, unless the view has `writes_milliseconds = True`."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        view = (renderer_context or {}).get("view")
        return write_json(data, milliseconds=getattr(view, "writes_milliseconds", False))
