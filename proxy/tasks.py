"""The worker's tasks: named, kept, heard when they fail, and waited for at the end."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._finish)
        return task

    async def close(self, *, seconds_max: float) -> None:
        """Wait for what is running; what is not done by then is cancelled, and waited for."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds_max)
        left = list(self._running)
        for task in left:
            task.cancel()
        if left:
            logger.warning("tasks_cancelled count=%d", len(left))
            await asyncio.wait(left, timeout=5)

    def _finish(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("task_failed name=%s", task.get_name(), exc_info=error)
