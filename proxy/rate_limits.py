"""Rate limits: what a key or a tag allows in a minute and at a time, and how a call found them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from time import perf_counter

from proxy.key_cards import KeyCard
from tags.cards import TagCard


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Those of one key or tag, which has at least one."""

    owner: str  # `tag:17`, `key:<id>`: as the counters know it
    name: str  # `tag: engineering`: as a refusal says it
    requests: int | None
    tokens: int | None
    parallel: int | None


@dataclass(frozen=True, slots=True)
class Room:
    """How far a rate limit is used up."""

    limit: int
    used: int

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a call's rate limits stood when it was counted: the tightest of each kind."""

    requests: Room | None
    tokens: Room | None
    resets_at: float  # perf_counter, for the seconds that are left

    def headers(self) -> dict[str, str]:
        """Of those kinds that are limited (wire contract, 1.4)."""
        reset = f"{max(0, ceil(self.resets_at - perf_counter()))}s"
        named = {}
        for kind, room in (("requests", self.requests), ("tokens", self.tokens)):
            if room is not None:
                named[f"x-ratelimit-limit-{kind}"] = str(room.limit)
                named[f"x-ratelimit-remaining-{kind}"] = str(room.remaining)
                named[f"x-ratelimit-reset-{kind}"] = reset
        return named


def limits_of(key: KeyCard, tags: Sequence[TagCard]) -> tuple[RateLimits, ...]:
    """Of whoever has any, in the order in which they refuse: the tags' and then the key's."""
    found = [
        _limits_of(tag, owner=f"tag:{tag.id}", name=f"tag: {tag.name}")
        for tag in tags
        if _has_limits(tag)
    ]
    if _has_limits(key):
        found.append(_limits_of(key, owner=f"key:{key.id}", name=f"key: {key.name}"))
    return tuple(found)


def pace_of(
    limits: Sequence[RateLimits], counts: Sequence[tuple[int, int]], *, seconds_left: float
) -> Pace:
    """`counts` are the requests and tokens of this minute, of each of `limits`."""
    requests, tokens = [], []
    for limit, (requests_counted, tokens_counted) in zip(limits, counts, strict=True):
        if limit.requests is not None:
            requests.append(Room(limit.requests, requests_counted))
        if limit.tokens is not None:
            tokens.append(Room(limit.tokens, tokens_counted))
    return Pace(_tightest(requests), _tightest(tokens), perf_counter() + seconds_left)


def _tightest(rooms: Sequence[Room]) -> Room | None:
    return min(rooms, key=lambda room: room.remaining, default=None)


def _has_limits(card: KeyCard | TagCard) -> bool:
    return (
        card.rpm_limit is not None
        or card.tpm_limit is not None
        or card.max_parallel_requests is not None
    )


def _limits_of(card: KeyCard | TagCard, *, owner: str, name: str) -> RateLimits:
    return RateLimits(owner, name, card.rpm_limit, card.tpm_limit, card.max_parallel_requests)
