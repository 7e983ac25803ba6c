"""An ASGI application for tests of the web worker: a call takes as long as its query says."""

import asyncio
import os


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d " % os.getpid(), "more_body": True})
    await asyncio.sleep(float(scope["query_string"] or 0))
    await send({"type": "http.response.body", "body": b"whole"})


async def live(receive, send):
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
