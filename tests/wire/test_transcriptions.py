"""Transcriptions by the OpenAI SDK: a file of megabytes, a live server, a provider over TCP."""

import json
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest

from tests.endpoint_answers import UNPRICED_SIDES
from tests.factories import make_model, make_tag
from tests.forms import wav
from tests.wire.conftest import hear

SECONDS = 300
SOUND = wav(SECONDS)


class Listener(BaseHTTPRequestHandler):
    """Transcribes anything, and notes what it got."""

    heard: list[bytes] = []
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.heard.append(self.rfile.read(int(self.headers["content-length"])))
        usage = {"type": "duration", "seconds": SECONDS}
        raw = json.dumps({"text": "Silence.", "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *of):
        pass


@pytest.fixture
def listener(books):
    """The address of a provider, and what it heard."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as provider:
        threading.Thread(target=provider.serve_forever, args=[0.05]).start()
        yield f"http://127.0.0.1:{provider.server_port}/v1"
        provider.shutdown()
    Listener.heard.clear()


def test_it_works(server, key, books, listener):
    tag = make_tag(limit="1", mode="strict")
    prices = {"input_cost_per_second": Decimal("0.0001")}
    model = make_model(address=listener, prices=prices, **UNPRICED_SIDES)
    hear(server)

    with openai.OpenAI(api_key=key.secret, base_url=f"{server.url}/v1") as client:
        said = client.audio.transcriptions.create(
            model=model.model_name,
            file=("silence.wav", SOUND),
            timestamp_granularities=["word"],
            extra_body={"metadata": {"tags": [tag.name]}},
        )

    books.rest()
    assert said.text == "Silence."
    (row,) = books.rows(tag)
    assert (row.endpoint, row.cost) == ("audio/transcriptions", 30_000_000)
    assert books.spent(tag) == 30_000_000
    (sent,) = Listener.heard
    assert SOUND in sent
    assert b'name="timestamp_granularities[]"\r\n\r\nword\r\n' in sent
    assert tag.name.encode() not in sent
