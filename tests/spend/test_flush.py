"""Flush: who asks next to a call that is over finds its bill written."""

import asyncio

from spend.batching import Batcher


def batcher_of(commit):
    return Batcher(commit, items_max=2, queue_max=100, unclaimed=lambda item, result: None)


def test_it_waits_for_what_was_posted_before():
    written = []

    async def commit(items):
        await asyncio.sleep(0.01)
        written.extend(items)
        return [None] * len(items)

    async def run():
        batcher = batcher_of(commit)
        for n in range(5):
            batcher.post(n)
        await batcher.flush()
        return list(written)

    assert asyncio.run(run()) == [0, 1, 2, 3, 4]


def test_it_does_not_wait_when_nothing_is_posted():
    async def commit(items):
        raise AssertionError("nothing was posted")

    asyncio.run(asyncio.wait_for(batcher_of(commit).flush(), timeout=1))
