"""OpenAPI: the gateway's paths, which are not Django's, in the document beside all the others."""

from typing import Any

CHAT = {
    "model": "demo-fast",
    "messages": [{"role": "user", "content": "Hello"}],
    "metadata": {"tags": ["engineering"]},
}
OVER_BUDGET = {
    "error": {
        "message": (
            "Budget has been exceeded! Tag=engineering Current cost: 505.50, Max budget: 500.0"
        ),
        "type": "budget_exceeded",
        "param": None,
        "code": "400",
    }
}
SECURITY: list[dict[str, list[str]]] = [{"key": []}]


def add_gateway_paths(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: called once the document is made, returns it."""
    result["paths"] = {**gateway_paths(), **result["paths"]}
    return result


def gateway_paths() -> dict[str, Any]:
    return {
        "/v1/chat/completions": {
            "post": {
                "operationId": "chat_completions",
                "description": (
                    "A call in OpenAI's form. It is charged to the tags of `metadata.tags` and of"
                    " the key, and refused when one of their budgets is used up."
                    " `num_retries`, `timeout` (seconds), `fallbacks` (at most five names of"
                    " models) and `disable_fallbacks`, or the headers `x-litellm-num-retries` and"
                    " `x-litellm-timeout`, lower what is configured."
                ),
                "tags": ["gateway"],
                "security": SECURITY,
                "requestBody": _json(CHAT, required=True),
                "responses": {
                    "200": {"description": "The upstream's answer.", **_json({})},
                    "400": {"description": "Over budget, or a bad request.", **_json(OVER_BUDGET)},
                },
            }
        },
        "/v1/models": {
            "get": {
                "operationId": "models",
                "description": "The models that the key may use.",
                "tags": ["gateway"],
                "security": SECURITY,
                "responses": {"200": {"description": "A list.", **_json({"object": "list"})}},
            }
        },
        "/v1/models/{model}": {
            "get": {
                "operationId": "model",
                "description": "One model; those behind a wildcard are found too.",
                "tags": ["gateway"],
                "security": SECURITY,
                "parameters": [
                    {
                        "in": "path",
                        "name": "model",
                        "required": True,
                        "schema": {"type": "string"},
                    }
                ],
                "responses": {"200": {"description": "A model.", **_json({"object": "model"})}},
            }
        },
    }


def _json(example: Any, *, required: bool | None = None) -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"content": content} if required is None else {"content": content, "required": required}
