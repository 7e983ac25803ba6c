"""Draining: from SIGTERM on, open calls finish and new ones hear that we are shutting down."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sized
from typing import Any

Application = Callable[..., Awaitable[None]]

POLL_SECONDS = 0.05
LIVENESS_PATHS = frozenset({"/livez", "/health/liveliness", "/health/liveness"})
READINESS_PATHS = frozenset({"/readyz", "/health/readiness"})
REFUSAL = {
    "error": {
        "message": "The gateway is shutting down.",
        "type": "shutting_down",
        "param": None,
        "code": "503",
    }
}


class Draining:
    """An ASGI application around another one; before SIGTERM it only passes calls on."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.has_begun = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if self.has_begun and scope["type"] == "http":
            await refuse(scope["path"], send)
            return
        await self.application(scope, receive, send)

    def begin(self) -> None:
        self.has_begun = True


async def wait_until_empty(calls: Sized, *, seconds_max: float) -> None:
    """Return when all calls have ended, or when the time is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds_max
    while calls and loop.time() < deadline:  # noqa: ASYNC110 - uvicorn's set has no event
        await asyncio.sleep(POLL_SECONDS)


async def refuse(path: str, send: Any) -> None:
    asks_health = path.rstrip("/") in LIVENESS_PATHS | READINESS_PATHS
    body = json.dumps({"status": "shutting_down"} if asks_health else REFUSAL).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", b"1"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
