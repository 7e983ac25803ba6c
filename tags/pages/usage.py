"""Usage: how a call carries a tag, as text to copy."""

import json
import shlex
from dataclasses import dataclass

NO_SECRET = "sk-..."
PYTHON = """\
from openai import OpenAI

client = OpenAI(api_key={secret}, base_url={server})
client.chat.completions.create(
    model="demo-fast",
    messages=[{{"role": "user", "content": "Hello"}}],
    extra_body={{"metadata": {{"tags": [{name}]}}}},
)"""
CURL = """\
curl {address} \\
  -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' \\
  -d {body}"""


@dataclass(frozen=True, slots=True)
class Usage:
    """`json_name` goes between quotation marks of JSON."""

    name: str
    json_name: str
    python: str
    curl: str


def usage_of(name: str, server: str, *, secret: str = NO_SECRET) -> Usage:
    """Of a name that may hold quotation marks of any kind; a secret holds none."""
    quoted = json.dumps(name, ensure_ascii=False)
    body = {
        "model": "demo-fast",
        "messages": [{"role": "user", "content": "Hello"}],
        "metadata": {"tags": [name]},
    }
    address = shlex.quote(f"{server}/chat/completions")
    return Usage(
        name=name,
        json_name=quoted[1:-1],
        python=PYTHON.format(server=json.dumps(server), name=quoted, secret=json.dumps(secret)),
        curl=CURL.format(
            address=address,
            body=shlex.quote(json.dumps(body, ensure_ascii=False)),
            secret=secret,
        ),
    )
