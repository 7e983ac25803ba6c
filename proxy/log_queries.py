"""Log queries: what the paths that read the log may be asked."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from proxy.credentials import KEY_PREFIX, digest_of, is_master
from proxy.fields import Turned
from proxy.key_cards import MASTER
from proxy.models import APIKey
from spend.ids import CORRECTIONS_MAX
from spend.log_search import COUNTED_MAX, LogSearch
from spend.models import CallStatus
from spend.money import BadAmount, Nanos, parse_dollars_text
from spend.ranges import BadRange, Range, range_of
from spend.rollover import database_now
from tags.fields import Moment, TagName
from tags.queries import StrictQuery

OPTIONAL: dict[str, Any] = {"required": False}
DAYS = 7
PAGE_ROWS = 50
PAGE_ROWS_MAX = 1_000
TEXT_MAX = 512
TAGS_MAX = 20
NOBODY = UUID(int=CORRECTIONS_MAX)  # no key has this id: what is no key of ours has no rows
USE_CURSOR = f"reaches the first {COUNTED_MAX} rows only; go on with cursor"

LITELLM_LOG_QUERY = frozenset(
    {"user_id", "team_id", "summarize", "error_code", "error_message", "organization_id"}
)


class Line(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=TEXT_MAX, **options)


class DollarsText(Turned):
    def turn(self, text: str) -> Nanos:
        try:
            return parse_dollars_text(text)
        except BadAmount as error:
            raise ValidationError(str(error)) from None


class KeyName(Turned):
    """A key as a client may name it: its secret, the hash of that, or its id; the id."""

    def turn(self, text: str) -> UUID:
        if found := _parse_uuid(text):
            return found
        digest = digest_of(text) if text.startswith(KEY_PREFIX) else text
        if is_master(digest):
            return MASTER.id
        named = APIKey.objects.filter(Q(digest=digest) | Q(previous_digest=digest))
        return named.values_list("id", flat=True).first() or NOBODY


class LogFilters(StrictQuery):
    repeated = frozenset({"tag"})
    litellm = LITELLM_LOG_QUERY
    start_date = Moment(**OPTIONAL)
    end_date = Moment(**OPTIONAL)
    tag = serializers.ListField(
        child=TagName(), max_length=TAGS_MAX, **OPTIONAL, help_text="Repeat it: all of them."
    )
    untagged = serializers.BooleanField(**OPTIONAL)
    api_key = KeyName(
        characters_max=TEXT_MAX, **OPTIONAL, help_text="The key's secret, its hash, or its key_id."
    )
    key_alias = Line(**OPTIONAL)
    model = Line(**OPTIONAL, help_text="As it was asked for, or the upstream's.")
    model_id = serializers.UUIDField(**OPTIONAL)
    status_filter = serializers.ChoiceField(choices=CallStatus.values, **OPTIONAL)
    min_spend = DollarsText(characters_max=TEXT_MAX, **OPTIONAL)
    max_spend = DollarsText(characters_max=TEXT_MAX, **OPTIONAL)
    end_user = Line(**OPTIONAL)
    session_id = Line(**OPTIONAL)
    request_id = Line(**OPTIONAL)
    error_type = Line(**OPTIONAL)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(_without_summarize(data))


class LogQuery(LogFilters):
    sort_by = serializers.ChoiceField(choices=["startTime"], **OPTIONAL)
    sort_order = serializers.ChoiceField(choices=["desc", "asc"], default="desc")
    page_size = serializers.IntegerField(min_value=1, max_value=PAGE_ROWS_MAX, default=PAGE_ROWS)
    page = serializers.IntegerField(min_value=1, max_value=COUNTED_MAX, **OPTIONAL)
    cursor = serializers.UUIDField(
        **OPTIONAL, error_messages={"invalid": "is not a cursor of this list"}
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "page" in attrs and "cursor" in attrs:
            raise ValidationError({"page": "cannot be given together with cursor"})
        if attrs.get("page", 1) * attrs["page_size"] > COUNTED_MAX:
            raise ValidationError({"page": USE_CURSOR})
        return attrs


class ExportQuery(LogFilters):
    """All rows, so there is no page to name."""

    format = serializers.ChoiceField(choices=["csv", "jsonl"], default="csv")
    sort_by = serializers.ChoiceField(choices=["startTime"], **OPTIONAL)
    sort_order = serializers.ChoiceField(choices=["asc", "desc"], default="asc")


def search_of(asked: Mapping[str, Any], *, seen_by: UUID | None) -> LogSearch:
    """The search that a LogQuery asks for. Raises ValidationError naming the date that is wrong."""
    covered = covered_of(asked)
    return LogSearch(
        starts_at=covered.starts_at if covered else None,
        ends_at=covered.ends_at if covered else None,
        tags=tuple(asked.get("tag", ())),
        untagged=asked.get("untagged", False),
        key_ids=None if "api_key" not in asked else (asked["api_key"],),
        key_alias=asked.get("key_alias"),
        model=asked.get("model"),
        deployment_id=asked.get("model_id"),
        status=asked.get("status_filter"),
        cost_min=asked.get("min_spend"),
        cost_max=asked.get("max_spend"),
        end_user=asked.get("end_user"),
        session_id=asked.get("session_id"),
        request_id=asked.get("request_id"),
        error_type=asked.get("error_type"),
        seen_by=seen_by,
        is_ascending=asked["sort_order"] == "asc",
    )


def covered_of(asked: Mapping[str, Any]) -> Range | None:
    """The last week unless dates are given; None for an id without dates: it may lie anywhere."""
    start: date | datetime | None = asked.get("start_date")
    end: date | datetime | None = asked.get("end_date")
    if start is None and end is None and "request_id" in asked:
        return None
    if start is not None and end is None:
        end = database_now()
    zone = settings.REPORT_TIME_ZONE
    try:
        return range_of(start, end, days=DAYS, now=database_now(), time_zone=zone)
    except BadRange as error:
        raise ValidationError({f"{error.bound}_date": str(error)}) from None


def _without_summarize(data: Any) -> Any:
    """Rows are never summed up here, so `summarize=false` asks for what is done anyway."""
    if data.get("summarize") != "false":
        return data
    rest = data.copy()
    del rest["summarize"]
    return rest


def _parse_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
