"""Log filters: which rows of the log are asked for, and the query set that has them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from spend.ids import floor_id
from spend.log_question import parse_id
from spend.models import SpendLog, TagSet

# A call is numbered when it arrives and is a row's `at` when it is admitted, its body read and its
# turn come. Rows are told by `at`, as roll-ups are; by id, a little more, they are found.
APART = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSearch:
    """All filters that are given must hold. `tags` are all on the call, in any order.

    `any_of` are tags of which one at least is on the call. `model` is what was asked for or what
    the upstream served, `model_asked` the former alone; `request_id` ours, or that of the
    upstream's answer, `any_id` either of them or the client's. `seen_by` is a key that may see its
    own rows only.
    """

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    tags: tuple[str, ...] = ()
    untagged: bool = False
    any_of: tuple[str, ...] | None = None
    key_ids: tuple[UUID, ...] | None = None
    key_alias: str | None = None
    model: str | None = None
    model_asked: str | None = None
    deployment_id: UUID | None = None
    stream: bool | None = None
    flag: str | None = None
    status: str | None = None
    cost_min: int | None = None
    cost_max: int | None = None
    end_user: str | None = None
    session_id: str | None = None
    request_id: str | None = None
    any_id: str | None = None
    error_type: str | None = None
    seen_by: UUID | None = None
    is_ascending: bool = False

    @property
    def has_filter(self) -> bool:
        """Whether anything but the time is asked for."""
        time_alone = LogSearch(
            starts_at=self.starts_at, ends_at=self.ends_at, is_ascending=self.is_ascending
        )
        return self != time_alone

    @property
    def keys(self) -> list[UUID] | None:
        """The keys whose rows count; None for all."""
        if self.seen_by is None:
            return None if self.key_ids is None else list(self.key_ids)
        return [self.seen_by] if self.key_ids is None or self.seen_by in self.key_ids else []

    def without_keys(self) -> "LogSearch":
        return replace(self, key_ids=None, seen_by=None)


def matching(search: LogSearch) -> QuerySet[SpendLog]:
    """The rows of a search, in no order."""
    rows = of_any_tag(search)
    sets = tag_sets(search)
    return rows if sets is None else rows.filter(tag_set_id__in=sets)


def of_any_tag(search: LogSearch) -> QuerySet[SpendLog]:
    """The rows of a search, its tags left aside."""
    rows = SpendLog.objects.all()
    if search.starts_at is not None:
        rows = rows.filter(id__gte=floor_id(search.starts_at - APART), at__gte=search.starts_at)
    if search.ends_at is not None:
        rows = rows.filter(id__lt=floor_id(search.ends_at + APART), at__lt=search.ends_at)
    if (keys := search.keys) is not None:
        rows = rows.filter(key_id__in=keys)
    for name, value in (
        ("key_alias", search.key_alias),
        ("model", search.model_asked),
        ("deployment_id", search.deployment_id),
        ("stream", search.stream),
        ("flags__contains", None if search.flag is None else [search.flag]),
        ("status", search.status),
        ("cost__gte", search.cost_min),
        ("cost__lte", search.cost_max),
        ("end_user", search.end_user),
        ("session_id", search.session_id),
        ("error__type", search.error_type),
    ):
        if value is not None:
            rows = rows.filter(**{name: value})
    if search.model is not None:
        rows = rows.filter(Q(model=search.model) | Q(upstream_model=search.model))
    if search.request_id is not None:
        rows = rows.filter(_named(search.request_id))
    if search.any_id is not None:
        rows = rows.filter(_named(search.any_id) | Q(client_request_id=search.any_id))
    return rows


def tag_sets(search: LogSearch) -> Sequence[int] | None:
    """Sets are few beside calls: their ids are looked up first. None when no tag is asked for."""
    if not search.untagged and not search.tags and search.any_of is None:
        return None
    sets = TagSet.objects.all()
    if search.untagged:
        sets = sets.filter(tags=[])
    if search.tags:
        sets = sets.filter(tags__contains=list(search.tags))
    if search.any_of is not None:
        sets = sets.filter(tags__overlap=list(search.any_of))
    return list(sets.values_list("id", flat=True))


def _named(request_id: str) -> Q:
    """An upstream's id may be a UUID too."""
    own = parse_id(request_id)
    theirs = Q(upstream_request_id=request_id)
    return theirs if own is None else theirs | Q(id=own)
