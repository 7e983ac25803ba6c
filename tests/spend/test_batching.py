"""The batcher over a scripted commit: every caller gets one answer, and no neighbour's error."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spend import batching
from spend.batching import BadItems, Batcher
from spend.errors import Busy, Unavailable

BAD, BROKEN, LOST = "bad", "broken", "lost"


class Commit:
    """Answers an item with its own name in capitals.

    What an item's name begins with befalls its batch: bad and broken items do so always, lost ones
    `losses` times.
    """

    def __init__(self, *, losses: int = 0) -> None:
        self.batches: list[list[str]] = []
        self.written: list[str] = []
        self.losses = losses
        self.gate: asyncio.Event | None = None
        self.started = asyncio.Event()

    async def __call__(self, items):
        self.batches.append(list(items))
        self.started.set()
        if self.gate is not None:
            await self.gate.wait()
        if any(item.startswith(BAD) for item in items):
            raise BadItems("one of them")
        if any(item.startswith(BROKEN) for item in items):
            raise KeyError("a defect of ours")
        if self.losses and any(item.startswith(LOST) for item in items):
            self.losses -= 1
            raise Unavailable("the server is gone")
        self.written += items
        return [item.upper() for item in items]


class Desk:
    """A batcher, its commit, and the results that nobody claimed."""

    def __init__(self, *, losses: int = 0, items_max: int = 100, queue_max: int = 100) -> None:
        self.commit = Commit(losses=losses)
        self.unclaimed: list[tuple[str, str | None]] = []
        self.batcher: Batcher[str, str] = Batcher(
            self.commit,
            items_max=items_max,
            queue_max=queue_max,
            unclaimed=lambda item, result: self.unclaimed.append((item, result)),
        )

    async def ask(self, *items: str) -> list[object]:
        """All at once; an error stands for itself."""
        asking = (self.batcher.submit(item) for item in items)
        return await asyncio.gather(*asking, return_exceptions=True)

    async def hold(self, *items: str) -> list[asyncio.Task[str]]:
        """A flight is out with the first item, and the others wait for it to land."""
        self.commit.gate = asyncio.Event()
        tasks = [asyncio.create_task(self.batcher.submit(items[0]))]
        await self.commit.started.wait()
        tasks += [asyncio.create_task(self.batcher.submit(item)) for item in items[1:]]
        await asyncio.sleep(0)
        return tasks

    async def rest(self) -> None:
        while not self.batcher.is_idle:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(batching, "RETRY_SECONDS_FIRST", 0.001)
    monkeypatch.setattr(batching, "RETRY_SECONDS_MAX", 0.002)


def test_it_works():
    async def run():
        desk = Desk()
        assert await desk.ask("a", "b") == ["A", "B"]
        assert desk.commit.batches == [["a", "b"]]
        assert desk.batcher.is_idle

    asyncio.run(run())


def test_it_batches_what_arrives_while_a_batch_is_out():
    async def run():
        desk = Desk(items_max=2)
        tasks = await desk.hold("a", "b", "c", "d")
        desk.commit.gate.set()

        assert await asyncio.gather(*tasks) == ["A", "B", "C", "D"]
        assert desk.commit.batches == [["a"], ["b", "c"], ["d"]]

    asyncio.run(run())


def test_it_turns_away_at_once_when_too_many_wait():
    async def run():
        desk = Desk(queue_max=1)
        tasks = await desk.hold("a", "b")

        with pytest.raises(Busy):
            await desk.batcher.submit("c")

        desk.commit.gate.set()
        assert await asyncio.gather(*tasks) == ["A", "B"]
        assert desk.commit.written == ["a", "b"]

    asyncio.run(run())


@given(st.sets(st.integers(0, 19)))
def test_it_lets_bad_items_stand_alone(bad):
    items = [f"bad {n}" if n in bad else f"good {n}" for n in range(20)]

    async def run():
        desk = Desk()
        answers = await desk.ask(*items)
        for n, answer in enumerate(answers):
            assert isinstance(answer, BadItems) if n in bad else answer == f"GOOD {n}"
        assert desk.commit.written == [item for item in items if item.startswith("good")]

    asyncio.run(run())


@given(
    st.lists(st.sampled_from(["good", BAD, BROKEN, LOST]), min_size=1, max_size=12),
    st.integers(0, 3),
)
def test_it_answers_every_caller_once(kinds, losses):
    items = [f"{kind} {n}" for n, kind in enumerate(kinds)]

    async def run():
        desk = Desk(losses=losses)
        answers = await desk.ask(*items)
        for item, answer in zip(items, answers, strict=True):
            assert answer == item.upper() or isinstance(answer, BadItems | Unavailable)
            assert not isinstance(answer, BadItems) or item.startswith(BAD)
        assert len(desk.commit.written) == len(set(desk.commit.written))
        assert {answer.lower() for answer in answers if isinstance(answer, str)} == set(
            desk.commit.written
        )

    asyncio.run(run())


def test_it_does_not_let_a_broken_commit_harm_the_neighbours():
    async def run():
        desk = Desk()
        first, broken, last = await desk.ask("a", "broken", "b")

        assert (first, last) == ("A", "B")
        assert isinstance(broken, Unavailable)
        assert desk.unclaimed == [("broken", None)]

    asyncio.run(run())


def test_it_keeps_posts_until_they_are_written():
    async def run():
        desk = Desk(losses=3)
        for item in ("lost", "a", "b"):
            desk.batcher.post(item)
        await desk.rest()

        assert desk.commit.written == ["lost", "a", "b"]
        assert len(desk.commit.batches) == 4

    asyncio.run(run())


def test_it_writes_the_posts_around_one_that_can_never_be_written():
    async def run():
        desk = Desk()
        for item in ("a", "bad", "b", "c"):
            desk.batcher.post(item)
        await desk.rest()

        assert desk.commit.written == ["a", "b", "c"]

    asyncio.run(run())


def test_it_pauses_over_a_post_that_breaks_the_commit_and_loses_nothing():
    async def run():
        desk = Desk()
        for item in ("a", "broken", "b"):
            desk.batcher.post(item)
        await asyncio.sleep(0.02)
        tries = len(desk.commit.batches)

        assert desk.commit.written == ["a", "b"]
        assert tries < 40  # it does not spin
        assert await desk.batcher.close(seconds_max=0) == ["broken"]

    asyncio.run(run())


def test_it_takes_along_who_leaves_before_his_item_is_sent():
    async def run():
        desk = Desk()
        first, second, third = await desk.hold("a", "b", "c")
        second.cancel()
        desk.commit.gate.set()

        assert await asyncio.gather(first, third) == ["A", "C"]
        assert desk.commit.batches == [["a"], ["c"]]
        assert desk.unclaimed == []

    asyncio.run(run())


def test_it_hands_over_the_result_of_who_leaves_after_his_item_is_sent():
    async def run():
        desk = Desk()
        first, second = await desk.hold("a", "b")
        first.cancel()
        desk.commit.gate.set()

        assert await second == "B"
        assert desk.unclaimed == [("a", "A")]

    asyncio.run(run())


def test_it_hands_over_a_result_that_comes_in_the_moment_of_leaving():
    async def run():
        desk = Desk()
        desk.commit.gate = asyncio.Event()
        leaver, gone = (asyncio.create_task(desk.batcher.submit(item)) for item in "ab")
        await desk.commit.started.wait()
        gone.cancel()

        def unclaimed(item, result):
            desk.unclaimed.append((item, result))
            if item == "b":  # results come in order: a has its own, and has not been woken
                leaver.cancel()

        desk.batcher._unclaimed = unclaimed
        desk.commit.gate.set()
        await asyncio.wait([leaver, gone])

        assert leaver.cancelled()
        assert sorted(desk.unclaimed) == [("a", "A"), ("b", "B")]

    asyncio.run(run())


def test_it_answers_all_when_it_is_closed_before_they_were_sent():
    async def run():
        desk = Desk()
        sent, waiting = await desk.hold("a", "b")
        desk.batcher.post("c")

        left = await desk.batcher.close(seconds_max=0)
        answers = await asyncio.gather(sent, waiting, return_exceptions=True)

        assert left == ["c"]
        assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
        assert desk.unclaimed == [("a", None)]  # b was never sent
        with pytest.raises(Busy):
            await desk.batcher.submit("d")

    asyncio.run(run())


def test_it_flushes_what_waits_when_it_is_closed():
    async def run():
        desk = Desk()
        desk.batcher.post("a")
        desk.batcher.post("b")

        assert await desk.batcher.close(seconds_max=1) == []
        assert desk.commit.written == ["a", "b"]

    asyncio.run(run())


@pytest.mark.parametrize("place", range(4))
def test_it_answers_all_of_a_flight_that_is_cut_short_between_its_halves(place):
    """Taken apart by a bad item, it is cancelled at one commit after the other."""

    async def run():
        desk = Desk()
        commits = 0

        async def commit(items):
            nonlocal commits
            commits += 1
            if commits == place + 1:
                desk.batcher._flight.cancel()
                await asyncio.sleep(0)
            return await desk.commit(items)

        desk.batcher._commit = commit
        for post in ("p", "q"):
            desk.batcher.post(post)
        answers = await desk.ask("a", "bad", "b", "c")
        await desk.rest()

        assert all(isinstance(answer, str | Unavailable | BadItems) for answer in answers)
        answered = {answer.lower() for answer in answers if isinstance(answer, str)}
        assert answered | {item for item, _ in desk.unclaimed} >= set(desk.commit.written) - {
            "p",
            "q",
        }
        assert {"p", "q"} <= set(desk.commit.written)

    asyncio.run(run())
