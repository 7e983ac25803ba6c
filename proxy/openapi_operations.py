"""OpenAPI of the management paths: a short name for each operation, and the group it stands in."""

from typing import Any

from proxy.openapi_errors import ON_MANAGEMENT, error_responses

# In the order in which they are shown.
GROUPS = {
    "Calls": "What applications send. Every path also exists without `/v1`, under `/openai/v1`, and"
    " as `/openai/deployments/{model}/...`.",
    "Tags": "What calls are charged to, with their budgets.",
    "Keys": "Who may call, with which models and tags, and how much each may spend.",
    "Shared budgets": "Pots that several tags and keys draw on together.",
    "Models": "What can be asked for, where it is served, and what it costs.",
    "Spend": "The log of calls, row by row; exports; what a call would cost.",
    "Reports": "Sums by tag, key, model and day.",
    "Health": "Whether the gateway works.",
}
GROUP_BY_ROOT = {
    "tag": "Tags", "key": "Keys", "budget": "Shared budgets", "model": "Models", "spend": "Spend",
    "global": "Reports", "health": "Health",
}  # fmt: skip
REPORTS = ("/tag/daily/activity", "/tag/summary", "/tag/distinct", "/spend/tags")

SUMMARIES = {
    "/tag/new": "Create a tag",
    "/tag/update": "Change a tag",
    "/tag/info": "Read tags",
    "/tag/list": "List tags",
    "/tag/delete": "Delete a tag",
    "/tag/adopt": "Adopt tags seen in traffic",
    "/tag/reset_spend": "Start a tag's window anew",
    "/tag/daily/activity": "Activity by day",
    "/tag/summary": "Totals by tag",
    "/tag/distinct": "The tags in use",
    "/key/generate": "Make a key",
    "/key/info": "Read a key",
    "/key/update": "Change a key",
    "/key/delete": "Delete keys",
    "/key/list": "List keys",
    "/key/regenerate": "Replace a key's secret",
    "/key/{key}/regenerate": "Replace the secret of the key in the path",
    "/key/block": "Block a key",
    "/key/unblock": "Let a key call again",
    "/key/{key}/reset_spend": "Start a key's window anew",
    "/budget/new": "Create a shared budget",
    "/budget/update": "Change a shared budget",
    "/budget/info": "Read shared budgets",
    "/budget/list": "List shared budgets",
    "/budget/delete": "Delete a shared budget",
    "/model/new": "Add a deployment of a model",
    "/model/update": "Change a deployment",
    "/model/{model_id}/update": "Change the deployment in the path",
    "/model/delete": "Delete a deployment",
    "/model/info": "Read deployments",
    "/spend/logs": "Read the log as an array",
    "/spend/logs/v2": "Read the log page by page",
    "/spend/logs/{call_id}": "Read a call and how its cost was reckoned",
    "/spend/export": "Export the log",
    "/spend/focus": "Export a FOCUS bill",
    "/spend/calculate": "Reckon what a call costs",
    "/spend/tags": "Spend by tag",
    "/global/spend/tags": "Spend by tag, each call once in the total",
    "/global/spend/all_tag_names": "All names of tags",
    "/global/spend/report": "Report by one or two dimensions",
    "/health": "Models, ledger and jobs",
}
NAMES_SOMETHING = (
    "update", "info", "delete", "block", "regenerate", "reset_spend", "adopt", "logs/", "focus",
)  # fmt: skip
MAY_CLASH = ("new", "generate", "update", "adopt", "delete", "regenerate")


def describe_operation(path: str, operation: dict[str, Any]) -> None:
    """Adds what the views do not say."""
    root = path.split("/")[1]
    operation["summary"] = SUMMARIES[path]
    operation["tags"] = ["Reports" if path in REPORTS else GROUP_BY_ROOT[root]]
    for status, answer in operation["responses"].items():
        answer["description"] = answer.get("description") or _SAID.get(status, "")
    statuses = [
        *ON_MANAGEMENT,
        *(["404"] if any(name in path for name in NAMES_SOMETHING) else []),
        *(["409"] if any(name in path for name in MAY_CLASH) else []),
    ]
    operation["responses"] |= error_responses(sorted(statuses))


_SAID = {"200": "Done, or found.", "202": "The call is still running."}
