"""Alert words: an alert in a sentence, for people."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from spend.amounts import fine_text
from spend.models import Alert, AlertKind
from spend.money import parse_dollars
from spend.windows import open_zone


def title_of(alert: Alert) -> str:
    return f"Tollgate: {headline(alert)}"[:200]


def headline(alert: Alert) -> str:
    """`team:search has used 80% of its budget`."""
    who = _who(alert.facts)
    match alert.kind:
        case AlertKind.THRESHOLD:
            return f"{who} has used {alert.threshold}% of its budget"
        case AlertKind.SOFT:
            return f"{who} has passed its soft limit"
        case AlertKind.EXCEEDED:
            return f"{who} is over its budget; its calls are refused"
        case AlertKind.FORECAST:
            return f"{who} is heading above its budget"
        case AlertKind.OVERRUN:
            return f"a call of model {alert.facts.get('model')} cost more than its bound"
        case AlertKind.AUTH_ERROR:
            return f"the upstream of model {alert.facts.get('model')} refuses our secret"
        case _:
            return "this is a test"


def spent_text(alert: Alert) -> str:
    """What was spent when it was told; empty where that is not what it is about."""
    spent = alert.facts.get("spent")
    return "" if spent is None else _dollars(spent)


def body_of(alert: Alert) -> str:
    """The numbers, and where to look."""
    facts = alert.facts
    lines = [f"{headline(alert)}."]  # as it is: it may begin with the name of a tag
    if facts.get("spent") is not None:
        limit = "no limit" if facts.get("limit") is None else _dollars(facts["limit"])
        line = f"Spent {_dollars(facts['spent'])} of {limit}"
        if facts.get("forecast") is not None:
            line += f"; forecast {_dollars(facts['forecast'])}"
        if facts.get("resets_at"):
            line += f"; resets {_moment(facts['resets_at'])}"
        lines.append(f"{line}.")
    lines.append(settings.TOLLGATE_URL)
    return "\n".join(lines)


def _who(facts: dict[str, Any]) -> str:
    if facts.get("tag"):
        return str(facts["tag"])
    if facts.get("key_alias"):
        return f"key {facts['key_alias']}"
    return f"pot {facts.get('budget_id')}"


def _dollars(amount: Any) -> str:
    """Facts hold dollars as JSON has them; their shortest text is exact up to 15 digits."""
    return fine_text(parse_dollars(Decimal(str(amount))))


def _moment(text: str) -> str:
    at = datetime.fromisoformat(text).astimezone(open_zone(settings.REPORT_TIME_ZONE))
    return f"{at.day} {at:%b %Y, %H:%M %Z}"
