"""ASGI: gateway paths go to the lean handler, everything else to Django."""

import logging
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

import config.celery  # noqa: E402, F401 - jobs that pages start go to its broker
from proxy.gateway import serve  # noqa: E402 - the apps must be loaded first
from proxy.paths import find_view  # noqa: E402
from proxy.worker import Worker  # noqa: E402

# Whoever reads the books next to a call finds the call in them.
BOOKS = ("/spend", "/tag", "/key", "/budget", "/global")

logger = logging.getLogger(__name__)


class Application:
    """One per web worker: its worker is opened and closed by the server's lifespan."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            found = find_view(scope["path"])
            if found is None:
                if scope["path"].startswith(BOOKS) and self.worker is not None:
                    await self.worker.write_bills()
                if scope["path"].startswith("/metrics") and self.worker is not None:
                    await self.worker.tell_counts()
                await django_application(scope, receive, send)
                return
            view, path = found
            assert self.worker is not None
            await serve(scope, receive, send, worker=self.worker, view=view, path=path)
        elif scope["type"] == "lifespan":
            await self.live(receive, send)

    async def live(self, receive: Any, send: Any) -> None:
        await receive()
        self.worker = Worker()
        await self.worker.open()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.worker.close()
        await send({"type": "lifespan.shutdown.complete"})


application = Application()
