"""Wishes: what a call asks of its retries, its patience and its fallbacks (wire contract, 2.5).

They may lower what is configured, never raise it; the upstream does not see them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from proxy.call import MODEL_CHARACTERS_MAX, Call, read_flag
from proxy.errors import bad_request

FALLBACKS_MAX = 5
RETRIES_HEADER = "x-litellm-num-retries"
TIMEOUT_HEADER = "x-litellm-timeout"
MEMBERS = frozenset({"num_retries", "timeout", "fallbacks", "disable_fallbacks"})
HEADERS = frozenset({RETRIES_HEADER, TIMEOUT_HEADER})
DIGITS_MAX = 9


@dataclass(frozen=True, slots=True)
class Wishes:
    """None where it is left to us. `seconds` bounds a plain call, or the wait for a stream."""

    retries: int | None = None
    seconds: float | None = None
    fallbacks: tuple[str, ...] | None = None


NO_WISHES = Wishes()


def read_wishes(call: Call) -> Wishes:
    """Raises Failure `invalid_parameter`, naming the member or the header."""
    if MEMBERS.isdisjoint(call.body) and HEADERS.isdisjoint(call.headers):
        return NO_WISHES
    body, headers = call.body, call.headers
    retries = [
        _retries(body.get("num_retries"), "num_retries"),
        _retries(_number(headers, RETRIES_HEADER), RETRIES_HEADER),
    ]
    seconds = [
        _seconds(body.get("timeout"), "timeout"),
        _seconds(_number(headers, TIMEOUT_HEADER), TIMEOUT_HEADER),
    ]
    fallbacks = _fallbacks(body.get("fallbacks"))
    return Wishes(
        retries=min((found for found in retries if found is not None), default=None),
        seconds=min((found for found in seconds if found is not None), default=None),
        fallbacks=() if read_flag(body, "disable_fallbacks") else fallbacks,
    )


def _number(headers: Mapping[str, str], name: str) -> float | int | str | None:
    """The header's number; its text, if it is none."""
    text = headers.get(name)
    if text is None or len(text) > DIGITS_MAX:
        return text
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text


def _retries(value: Any, name: str) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise bad_request("invalid_parameter", f"'{name}' must be a whole number from 0.", name)
    return value


def _seconds(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not isfinite(value) or value <= 0:
        text = f"'{name}' must be a number of seconds above 0."
        raise bad_request("invalid_parameter", text, name)
    return float(value)


def _fallbacks(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > FALLBACKS_MAX:
        text = f"'fallbacks' must be a list of at most {FALLBACKS_MAX} names of models."
        raise bad_request("invalid_parameter", text, "fallbacks")
    for n, name in enumerate(value):
        if not isinstance(name, str) or not 1 <= len(name) <= MODEL_CHARACTERS_MAX or "\0" in name:
            spot = f"fallbacks[{n}]"
            raise bad_request("invalid_parameter", f"'{spot}' must be the name of a model.", spot)
    return tuple(value)
