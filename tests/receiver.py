"""Receiver: a webhook's other end on loopback, that remembers what it got."""

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def receiver(*statuses):
    """Answers with these statuses, the last one from then on; what it got is in `.got`."""
    got, left = [], list(statuses) or [200]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((dict(self.headers), body))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        server.got = got
        server.url = f"http://127.0.0.1:{server.server_port}/hooks/a-token-nobody-sees"
        yield server
        server.shutdown()
