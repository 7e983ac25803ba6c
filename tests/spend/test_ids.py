"""Our own call ids: ordered by time, unique, and with room for corrections."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend.ids import (
    BACKWARDS_MS_MAX,
    CallIds,
    call_of,
    correction_id,
    floor_id,
    is_call_id,
    started_at,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOON_MS = 1_795_348_800_000
YEAR_6000_US = 127_000_000_000_000_000
moments = st.integers(0, YEAR_6000_US).map(lambda us: EPOCH + timedelta(microseconds=us))


def ids_at(*clock):
    """Ids by a clock that shows these milliseconds, then stands still."""
    times = list(clock)
    return CallIds(lambda: times.pop(0) if len(times) > 1 else times[0])


def test_it_works():
    call_id = ids_at(NOON_MS).next()

    assert (call_id.version, call_id.variant) == (7, "specified in RFC 4122")
    assert call_id.bytes[-1] == 0
    assert started_at(call_id) == NOON


def test_it_goes_by_the_wall_clock_until_told_better():
    assert abs(started_at(CallIds().next()) - datetime.now(UTC)) < timedelta(seconds=5)


@given(st.lists(st.integers(0, 2**44), min_size=1, max_size=50))
def test_it_never_goes_back_whatever_the_clock_does(clock):
    source = ids_at(*clock)

    made = [source.next() for _ in range(len(clock) + 5)]

    assert made == sorted(set(made))


def test_it_counts_on_when_a_millisecond_is_full():
    source = ids_at(NOON_MS)

    made = [source.next() for _ in range(10_000)]

    assert made == sorted(set(made))
    assert started_at(made[-1]) == NOON + timedelta(milliseconds=2)


def test_it_never_meets_another_process():
    code = (
        "from spend.ids import CallIds\n"
        "ids = CallIds(lambda: 1)\n"
        "print(*(ids.next() for _ in range(5000)))"
    )
    command = [sys.executable, "-c", code]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    first, second = (other.communicate()[0].split() for other in others)

    assert len({*first, *second}) == 10_000


def test_it_is_unique_over_threads():
    source, made = ids_at(NOON_MS), []
    work = [
        threading.Thread(target=lambda: made.extend(source.next() for _ in range(2000)))
        for _ in range(4)
    ]

    for thread in work:
        thread.start()
    for thread in work:
        thread.join()

    assert len(set(made)) == 8000


def test_it_takes_its_time_from_the_database_plus_what_has_passed():
    source = ids_at(5_000, 5_000, 5_250)

    source.adjust(NOON_MS)

    assert started_at(source.next()) == NOON
    assert started_at(source.next()) == NOON + timedelta(milliseconds=250)


def test_it_stays_in_order_when_the_database_is_a_little_behind():
    source = ids_at(NOON_MS)
    before = source.next()

    source.adjust(NOON_MS - BACKWARDS_MS_MAX)

    assert source.next() > before


def test_it_follows_the_database_when_its_own_clock_was_far_ahead():
    source = ids_at(NOON_MS + BACKWARDS_MS_MAX + 1)
    source.next()

    source.adjust(NOON_MS)

    assert started_at(source.next()) == NOON


def test_it_numbers_corrections_and_finds_their_call():
    call_id = ids_at(NOON_MS).next()

    late, by_hand = correction_id(call_id, 1), correction_id(call_id, 255)

    assert (late.bytes[-1], by_hand.bytes[-1]) == (1, 255)
    assert call_of(late) == call_of(by_hand) == call_of(call_id) == call_id
    assert started_at(by_hand) == started_at(call_id)
    assert [is_call_id(call_id), is_call_id(late), is_call_id(UUID(int=0))] == [True, False, False]


@pytest.mark.parametrize("n", [0, -1, 256])
def test_it_refuses_a_correction_out_of_range(n):
    with pytest.raises(ValueError, match="at most 255"):
        correction_id(ids_at(NOON_MS).next(), n)


def test_it_refuses_to_correct_a_correction():
    late = correction_id(ids_at(NOON_MS).next(), 1)

    with pytest.raises(ValueError, match="not a correction"):
        correction_id(late, 2)


@given(moments)
def test_it_bounds_a_range_of_time_from_below(at):
    millisecond = at.replace(microsecond=at.microsecond // 1000 * 1000)
    ms = (millisecond - EPOCH) // timedelta(milliseconds=1)

    assert started_at(floor_id(at)) == millisecond
    assert floor_id(at) <= ids_at(ms).next() < floor_id(at + timedelta(milliseconds=1))


def test_it_bounds_times_before_1970_by_the_smallest_id():
    assert floor_id(datetime(1, 1, 1, tzinfo=UTC)) == floor_id(EPOCH)


def test_it_asks_the_system_for_chance_rarely(monkeypatch):
    asked = []
    real = os.urandom
    monkeypatch.setattr(os, "urandom", lambda size: asked.append(size) or real(size))
    source = ids_at(NOON_MS)

    for _ in range(1024):
        source.next()

    assert len(asked) == 2
