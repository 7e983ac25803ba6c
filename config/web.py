"""One web worker: serves an ASGI application on a socket that its parent has bound.

The parent keeps the socket, so callers who wait in its queue are served by another worker, or by
the next one, when this one dies.
"""

import argparse
import asyncio
import contextlib
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from typing import cast

import uvicorn
import uvloop

from config.client_line import ClientLine, expire_overdue
from config.draining import Application, Draining, wait_until_empty

BACKLOG = 4096
YOUNG_OBJECTS_MAX = 10_000
DRAIN_SECONDS_MAX = 30.0
LAST_WORDS_SECONDS_MAX = 5  # for what the application has then cut off


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are ours: the first drains."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second."""
        if counter % 10 == 0:
            lines = cast(Iterable[ClientLine], self.server_state.connections)
            expire_overdue(lines, asyncio.get_running_loop().time())
        return await super().on_tick(counter)


async def serve(application: Application, listener: socket.socket, *, lifespan: str) -> None:
    draining = Draining(application)
    server = Server(
        uvicorn.Config(
            draining,
            http=ClientLine,
            ws="none",
            lifespan=lifespan,
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            proxy_headers=False,  # whom to believe is the gateway's decision (TRUSTED_PROXIES)
            backlog=BACKLOG,
            timeout_graceful_shutdown=LAST_WORDS_SECONDS_MAX,
        )
    )
    stop_asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_asked.set)
    ending = asyncio.create_task(end_when_asked(server, draining, stop_asked))
    await server.serve(sockets=[listener])
    ending.cancel()


async def end_when_asked(server: Server, draining: Draining, stop_asked: asyncio.Event) -> None:
    """The application closes before its connections do: whom it cuts off must still hear of it."""
    await stop_asked.wait()
    if server.started:
        draining.begin()
        await wait_until_empty(server.server_state.tasks, seconds_max=DRAIN_SECONDS_MAX)
        await server.lifespan.shutdown()
    server.should_exit = True


def load(dotted: str) -> Application:
    module, _, name = dotted.partition(":")
    application = getattr(importlib.import_module(module), name)
    # What is loaded by now lives as long as the process: no collection need look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 20, 50)
    return application


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m config.web", description=__doc__)
    address = parser.add_mutually_exclusive_group(required=True)
    address.add_argument("--fd", type=int, help="the bound, listening socket")
    address.add_argument("--port", type=int, help="or one of our own, of every address")
    parser.add_argument("--application", default="config.asgi:application")
    parser.add_argument("--lifespan", choices=("on", "auto"), default="on")
    parser.add_argument("--folder", required=True, help="names whose worker this is, for `ps`")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if options.port is None:
        listener = socket.socket(fileno=options.fd)
    else:
        listener = socket.create_server(("", options.port), backlog=BACKLOG)
    uvloop.run(serve(load(options.application), listener, lifespan=options.lifespan))


if __name__ == "__main__":
    sys.exit(main())
