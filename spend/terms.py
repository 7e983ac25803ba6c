"""Terms: what may be asked of a budget, judged together with what it has already."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from spend.models import Budget
from spend.money import Nanos, dollars_text
from spend.windows import (
    START_MIN,
    BadDuration,
    BadStart,
    BadTimeZone,
    Schedule,
    midnight,
    open_zone,
    parse_duration,
)


class BadTerm(ValueError):
    """`term` cannot be so. The text is for the client and follows a field's name."""

    def __init__(self, term: str, text: str) -> None:
        super().__init__(text)
        self.term = term


def complete_terms(
    changes: Mapping[str, Any], stored: Budget | None, *, time_zone: str
) -> dict[str, Any]:
    """The changes in a form that create_budget and change_budget take. Raises BadTerm.

    `start` may be a date: midnight in the budget's zone. A new budget is in `time_zone` unless it
    says otherwise. A start is dropped with the duration whose phase it was.
    """
    terms = dict(changes)
    if stored is None:
        terms.setdefault("time_zone", time_zone)
    zone = _after(terms, stored, "time_zone")
    duration = _after(terms, stored, "duration")
    _ask("time_zone", open_zone, zone)
    if duration is not None:
        _ask("duration", parse_duration, duration)
    elif terms.get("start") is not None:
        raise BadTerm("start", "needs a duration")
    elif stored is not None and stored.start is not None:
        terms["start"] = None
    if "start" in terms:
        terms["start"] = _instant(terms["start"], zone)
    _ask(
        "start",
        lambda start: Schedule(duration, START_MIN, zone, start),
        _after(terms, stored, "start"),
    )
    _compare_limits(_after(terms, stored, "limit"), _after(terms, stored, "soft_limit"))
    return terms


def _after(terms: Mapping[str, Any], stored: Budget | None, term: str) -> Any:
    return terms[term] if term in terms else getattr(stored, term, None)


def _ask(term: str, parse: Any, value: Any) -> None:
    try:
        parse(value)
    except (BadDuration, BadStart, BadTimeZone) as error:
        raise BadTerm(term, str(error)) from None


def _instant(start: date | datetime | None, zone: str) -> datetime | None:
    if start is None:
        return None
    if isinstance(start, datetime):
        return start.replace(microsecond=0)
    try:
        return midnight(start, zone)
    except OverflowError:  # the year 1 or 9999, in a zone that would leave the calendar
        raise BadTerm("start", "must be a time from 1970 to 2199") from None


def _compare_limits(limit: Nanos | None, soft_limit: Nanos | None) -> None:
    if limit is not None and soft_limit is not None and soft_limit > limit:
        text = f"must not be above the limit of {dollars_text(limit)} dollars"
        raise BadTerm("soft_limit", text)
