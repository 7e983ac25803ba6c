"""The words that greet whoever has just started Tollgate."""

import json
from collections.abc import Mapping

WIDTH = 78


def welcome(credentials: Mapping[str, str | None]) -> str:
    url = credentials["url"]
    password = credentials["admin_password"] or "(as it was set; not changed)"
    lines = [
        f"Tollgate    {url}/   {credentials['admin_username']} / {password}",
        f"Admin       {url}/admin/",
        f"API docs    {url}/docs",
        "",
        *(calls(credentials) if credentials["api_key"] else first_steps(credentials)),
        "",
        "Ctrl-C stops everything. The same command starts it again on the same data.",
    ]
    rule = "-" * WIDTH
    return "\n".join([rule, *lines, rule]) + "\n"


def calls(credentials: Mapping[str, str | None]) -> list[str]:
    body = {
        "model": "demo-fast",
        "messages": [{"role": "user", "content": "Hello"}],
        "metadata": {"tags": ["engineering"]},
    }
    return [
        "One call, charged to the tag 'engineering':",
        "",
        f"curl {credentials['url']}/v1/chat/completions \\",
        f"  -H 'Authorization: Bearer {credentials['api_key']}' \\",
        "  -H 'Content-Type: application/json' \\",
        f"  -d '{json.dumps(body)}'",
        "",
        "The same with the OpenAI SDK:",
        "",
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{credentials["url"]}/v1", api_key="{credentials["api_key"]}")',
        "reply = client.chat.completions.create(",
        '    model="demo-fast",',
        '    messages=[{"role": "user", "content": "Hello"}],',
        '    extra_body={"metadata": {"tags": ["engineering"]}},',
        ")",
        "print(reply.choices[0].message.content)",
    ]


def first_steps(credentials: Mapping[str, str | None]) -> list[str]:
    return [
        "No demo: add an upstream and a model in the admin, then make a key:",
        "",
        f"curl {credentials['url']}/key/generate -X POST \\",
        f"  -H 'Authorization: Bearer {credentials['master_key']}' \\",
        "  -H 'Content-Type: application/json' -d '{\"key_alias\": \"first\"}'",
    ]
