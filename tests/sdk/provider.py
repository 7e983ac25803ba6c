"""Provider: a server that says what providers say, for clients that nobody here wrote."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.endpoint_answers import (
    MESSAGE_USAGE,
    embedding,
    event_stream,
    message,
    response,
    response_body,
    typed,
)
from tests.fakes import Reply, json_reply, plain, streamed

TOOL_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
}
TRIP = '{"city": "Paris", "days": 3}'


def chat(body: dict[str, Any]) -> Reply:
    """A tool is called where there is one, and a structure filled in where one is asked for."""
    if body.get("stream"):
        return streamed()
    if body.get("tools"):
        said = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
        return plain(choices=[{"index": 0, "message": said, "finish_reason": "tool_calls"}])
    if body.get("response_format"):
        said = {"role": "assistant", "content": TRIP, "refusal": None}
        return plain(choices=[{"index": 0, "message": said, "finish_reason": "stop"}])
    return plain()


def responses(body: dict[str, Any]) -> Reply:
    if not body.get("stream"):
        return response()
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    begun = response_body(status="in_progress", output=[], usage=None)
    return event_stream(
        *typed(
            {"type": "response.created", "sequence_number": 0, "response": begun},
            {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hel", **place},
            {"type": "response.output_text.delta", "sequence_number": 2, "delta": "lo!", **place},
            {"type": "response.completed", "sequence_number": 3, "response": response_body()},
        )
    )


def messages(body: dict[str, Any]) -> Reply:
    if not body.get("stream"):
        return message()
    began = json.loads(message(usage={**MESSAGE_USAGE, "output_tokens": 1}).steps[0])
    began |= {"content": [], "stop_reason": None}
    text = {"type": "text_delta", "text": "Hello!"}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return event_stream(
        *typed(
            {"type": "message_start", "message": began},
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            },
            {"type": "content_block_delta", "index": 0, "delta": text},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 18}},
            {"type": "message_stop"},
        )
    )


def refuse(body: dict[str, Any]) -> Reply:
    error = {"message": "Not here.", "type": "not_found", "param": None, "code": None}
    return json_reply({"error": error}, status=404)


PATHS: dict[str, Callable[[dict[str, Any]], Reply]] = {
    "/v1/chat/completions": chat,
    "/v1/responses": responses,
    "/v1/messages": messages,
    "/v1/embeddings": lambda body: embedding(),
}


class Speaker(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = json.loads(raw) if raw.startswith(b"{") else {}
        reply = PATHS.get(self.path, refuse)(body)
        raw = b"".join(reply.steps)
        self.send_response(reply.status)
        for name, value in {**reply.headers, "content-length": str(len(raw))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *of: object) -> None:
        pass


@contextmanager
def speaking() -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Speaker) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
