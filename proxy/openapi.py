"""OpenAPI: the document of all paths, those of the gateway too, which are not Django's."""

from typing import Any

from proxy.openapi_errors import error_components
from proxy.openapi_gateway import gateway_paths
from proxy.openapi_operations import GROUPS, describe_operation

INTRODUCTION = """
An OpenAI-compatible gateway that puts tags on calls, tracks what each tag spends to the
nano-dollar, and stops spending at the tag's budget.

**Who calls.** Send a key as `Authorization: Bearer sk-...`, or as `x-api-key`. The master key may
do everything; a virtual key may make calls and read itself.

**Tags.** A call carries its tags in `metadata.tags`, in the header `x-litellm-tags`
(comma-separated), or by its key:

```
curl $TOLLGATE/v1/chat/completions \\
  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\
  -d '{"model": "demo-fast", "messages": [{"role": "user", "content": "Hello"}],
       "metadata": {"tags": ["engineering"]}}'
```

**Budgets.** Every budget of the call's tags and of its key must have room, or the call is refused
with `budget_exceeded` and nothing is sent. Answers tell what they cost and what is left:
`x-litellm-response-cost`, `x-tollgate-budget-remaining`.

**Errors.** Every failure is `{"error": {"message", "type", "param", "code"}}`; `code` is the HTTP
status as a text, and management paths add `detail`.

**Money** is a number of US dollars with at most nine decimals. **Times** are UTC, with `Z`.
"""  # fmt: skip
API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "x-api-key",
    "description": "The same keys, as Anthropic's clients send them.",
}


def complete_document(result: dict[str, Any], **options: Any) -> dict[str, Any]:
    """A hook of drf-spectacular: called once the document of Django's paths is made."""
    for path, operations in result["paths"].items():
        for operation in operations.values():
            describe_operation(path, operation)
    result["paths"] = {**gateway_paths(), **result["paths"]}
    result["info"]["description"] = INTRODUCTION.strip()
    result["tags"] = [{"name": name, "description": text} for name, text in GROUPS.items()]
    components = result.setdefault("components", {})
    for kind, named in error_components().items():
        components.setdefault(kind, {}).update(named)
    components["securitySchemes"]["x-api-key"] = API_KEY
    return result
