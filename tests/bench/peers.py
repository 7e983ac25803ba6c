"""Peers: the static upstream itself, nginx, LiteLLM and Portkey, each on the tested core.

nginx and Node must be in PATH. `install_peers` puts LiteLLM and Portkey, by package name, into
folders of their own; they are used from there until the folders are deleted.
"""

import os
import secrets
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.call import MODEL
from tests.bench.load import Peer
from tests.bench.machine import FOLDER, BenchFailed, Cores, child, free_port, wait_until_ready

LITELLM = FOLDER / "litellm-venv"
PORTKEY = FOLDER / "portkey"
LITELLM_KEY = f"sk-{secrets.token_hex(16)}"  # it refuses to start with a well-known one
UPSTREAM_SECONDS_MAX = 10


@contextmanager
def upstream(
    cores: Cores, scratch: Path, *, chunks: int = 20, interval_ms: int = 250
) -> Iterator[Peer]:
    """The static upstream, on the core of the load; asked directly it is the zero of latency."""
    log = scratch / "upstream.log"
    command = [sys.executable, "-m", "tests.bench.upstream"]
    command += ["--chunks", str(chunks), "--interval-ms", str(interval_ms)]
    with child(command, core=cores.load, log=log) as process:
        port = announced_port(log)
        yield Peer("upstream", f"http://127.0.0.1:{port}", {}, (process.pid,))


def announced_port(log: Path) -> int:
    give_up = time.monotonic() + UPSTREAM_SECONDS_MAX
    while time.monotonic() < give_up:
        first, _, _ = log.read_text().partition("\n")
        if first.startswith("port "):
            return int(first.removeprefix("port "))
        time.sleep(0.05)
    raise BenchFailed(f"The static upstream did not start: {log.read_text()}")


NGINX_CONF = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream provider {{ server {provider}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 100000000;
    location / {{ proxy_pass http://provider; proxy_http_version 1.1; proxy_buffering off;
                 proxy_set_header Connection ""; }}
  }}
}}
"""


@contextmanager
def nginx(provider: Peer, cores: Cores, scratch: Path) -> Iterator[Peer]:
    """One worker that forwards and does nothing else: the limit."""
    folder, port = scratch / "nginx", free_port()
    folder.mkdir()
    conf, log = folder / "nginx.conf", folder / "nginx.log"
    user = "user root;" if os.geteuid() == 0 else ""
    address = provider.base_url.removeprefix("http://")
    conf.write_text(NGINX_CONF.format(folder=folder, port=port, provider=address, user=user))
    command = ["nginx", "-p", str(folder), "-c", str(conf)]
    with child(command, core=cores.tested, log=log) as process:
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(f"{base}/tally", process, log)
        yield Peer("nginx", base, {}, (process.pid,))


LITELLM_CONF = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "{base}/v1", api_key: sk-upstream}}
litellm_settings: {{set_verbose: false, request_timeout: 20}}
general_settings: {{master_key: {key}, disable_spend_logs: true}}
"""


@contextmanager
def litellm(provider: Peer, cores: Cores, scratch: Path) -> Iterator[Peer]:
    """LiteLLM's proxy at its fastest: one worker, no database, nothing enforced, nothing logged."""
    conf, log, port = scratch / "litellm.yaml", scratch / "litellm.log", free_port()
    conf.write_text(LITELLM_CONF.format(model=MODEL, base=provider.base_url, key=LITELLM_KEY))
    command = [str(LITELLM / "bin" / "litellm"), "--config", str(conf), "--num_workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    settings = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
    with child(
        command, core=cores.tested, log=log, environment=settings, folder=scratch
    ) as process:
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(f"{base}/health/liveliness", process, log)
        yield Peer("litellm", base, {"authorization": f"Bearer {LITELLM_KEY}"}, (process.pid,))


@contextmanager
def portkey(provider: Peer, cores: Cores, scratch: Path) -> Iterator[Peer]:
    """Portkey's gateway: forwards by headers; no keys of its own, no budgets, no log."""
    log, port = scratch / "portkey.log", free_port()
    start = PORTKEY / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = ["node", str(start), f"--port={port}", "--headless"]
    settings = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}
    with child(
        command, core=cores.tested, log=log, environment=settings, folder=scratch
    ) as process:
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(base, process, log)
        headers = {
            "authorization": "Bearer sk-upstream",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{provider.base_url}/v1",
        }
        yield Peer("portkey", base, headers, (process.pid,))


def install_peers() -> None:
    """Once, some minutes: LiteLLM into an environment of its own, Portkey into a folder."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (LITELLM / "bin" / "litellm").exists():
        print("installing litellm[proxy] ...", file=sys.stderr)
        venv.create(LITELLM, with_pip=True)
        pip = [str(LITELLM / "bin" / "pip"), "install", "--quiet", "litellm[proxy]"]
        subprocess.run(pip, check=True)
    if not (PORTKEY / "node_modules").exists():
        print("installing @portkey-ai/gateway ...", file=sys.stderr)
        PORTKEY.mkdir(exist_ok=True)
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@portkey-ai/gateway"]
        subprocess.run([*npm, "--prefix", str(PORTKEY)], check=True, cwd=PORTKEY)
