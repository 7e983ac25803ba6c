"""Other clients: LangChain, LiteLLM's SDK, OpenAI's SDK for Node; each in a place of its own.

python3 manage.py test -m slow tests/sdk
"""

import json
import os
import shutil
import subprocess
import venv
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from tests.sdk.conftest import CHAT_COST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PLACES = Path(django_settings.DATA_DIR) / "clients"
PYTHON = {"langchain": "langchain-openai==1.7.4", "litellm": "litellm==1.108.7"}
NODE = {"openai": "7.57.0"}
INSTALL_SECONDS_MAX = 400

LANGCHAIN = """
import os
from langchain_openai import ChatOpenAI

chat = ChatOpenAI(
    model=os.environ["MODEL"], api_key=os.environ["KEY"], base_url=os.environ["URL"] + "/v1",
    extra_body={"metadata": {"tags": [os.environ["TAG"]]}},
)
print(chat.invoke("Hello").content)
print("".join(piece.content for piece in chat.stream("Hello")))
"""
LITELLM = """
import os
import litellm

asked = dict(
    model="openai/" + os.environ["MODEL"], api_key=os.environ["KEY"],
    api_base=os.environ["URL"] + "/v1", messages=[{"role": "user", "content": "Hello"}],
    extra_body={"metadata": {"tags": [os.environ["TAG"]]}},
)
print(litellm.completion(**asked).choices[0].message.content)
pieces = litellm.completion(stream=True, **asked)
print("".join(piece.choices[0].delta.content or "" for piece in pieces))
"""
NODE_PROGRAM = """
import OpenAI from "openai";

const { URL: url, KEY, MODEL, TAG } = process.env;
const client = new OpenAI({ apiKey: KEY, baseURL: `${url}/v1` });
const asked = {
  model: MODEL,
  messages: [{ role: "user", content: "Hello" }],
  metadata: { tags: [TAG] },
};
const reply = await client.chat.completions.create(asked);
console.log(reply.choices[0].message.content);
let text = "";
for await (const piece of await client.chat.completions.create({ ...asked, stream: true })) {
  text += piece.choices[0]?.delta?.content ?? "";
}
console.log(text);
"""
SAID = "Hello! How can I help you today?\nHello\n"


@pytest.mark.parametrize(
    ("client", "program"), [("langchain", LANGCHAIN), ("litellm", LITELLM)], ids=PYTHON
)
def test_clients_in_python_work(site, client, program):
    python = PLACES / client / "bin" / "python"
    if not python.exists():
        venv.create(PLACES / client, with_pip=True, clear=True)
        install([str(python), "-m", "pip", "install", "-q", PYTHON[client]], PLACES / client)

    assert run([str(python), "-c", program], site) == SAID
    assert site.logged() == [("chat/completions", CHAT_COST)] * 2


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node")
def test_openais_client_for_node_works(site):
    place = PLACES / "node"
    if not (place / "node_modules" / "openai").exists():
        place.mkdir(parents=True, exist_ok=True)
        (place / "package.json").write_text(json.dumps({"type": "module", "dependencies": NODE}))
        install(["npm", "install", "--silent", "--no-audit", "--no-fund"], place)
    (place / "client.js").write_text(NODE_PROGRAM)

    assert run(["node", "client.js"], site, folder=place) == SAID
    assert site.logged() == [("chat/completions", CHAT_COST)] * 2


def install(command: list[str], place: Path) -> None:
    """Skips the test where nothing can be installed."""
    found = subprocess.run(
        command, cwd=place, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX
    )
    if found.returncode:
        shutil.rmtree(place)
        pytest.skip(f"it cannot be installed here: {found.stderr[-300:]}")


def run(command: list[str], site, *, folder: Path | None = None) -> str:
    told = {"URL": site.url, "KEY": site.key, "MODEL": site.chat, "TAG": site.tag}
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **told}
    found = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert found.returncode == 0, found.stderr
    return found.stdout
