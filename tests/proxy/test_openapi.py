"""The OpenAPI document: valid, whole, and with what a reader needs at every operation."""

import pytest
from django.core.management import call_command
from django.urls import get_resolver
from drf_spectacular.validation import validate_schema

from proxy.endpoints import ENDPOINTS
from proxy.openapi_operations import GROUPS, SUMMARIES


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """As the command writes it, which fails on a warning."""
    import json

    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    call_command("spectacular", "--fail-on-warn", "--format", "openapi-json", "--file", str(path))
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def operations(document):
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_it_is_valid(document):
    validate_schema(document)


def test_it_has_every_endpoint(document):
    for endpoint in ENDPOINTS:
        assert f"/v1/{endpoint.name}" in document["paths"]


def test_it_has_every_management_path(document):
    roots = ("tag/", "key/", "budget/", "model/", "spend/", "global/", "health")
    routes = {
        f"/{str(pattern.pattern).replace('<str:', '{').replace('>', '}')}"
        for included in get_resolver().url_patterns
        for pattern in getattr(included, "url_patterns", ())
        if str(pattern.pattern).startswith(roots) and not str(pattern.pattern).endswith("/")
        and getattr(pattern.callback, "view_initkwargs", {}).get("schema", "") is not None
        and hasattr(pattern.callback, "cls")
    }  # fmt: skip

    assert routes
    assert routes <= document["paths"].keys()
    assert routes == SUMMARIES.keys()


def test_each_operation_says_what_it_does_and_how_it_fails(operations):
    for name, operation in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"][0] in GROUPS, name
        assert operation["security"], name
        assert {"401", "default"} <= operation["responses"].keys(), name
        for status, answer in operation["responses"].items():
            assert "$ref" in answer or answer["description"], (name, status)


def test_each_call_has_an_example_of_both_sides(operations):
    for endpoint in ENDPOINTS:
        operation = operations["POST", f"/v1/{endpoint.name}"]
        (asked,) = operation["requestBody"]["content"].values()
        answered = operation["responses"]["200"]["content"]
        assert asked["example"]["model"]
        if endpoint.name != "audio/speech":
            assert answered["application/json"]["example"]


def test_what_it_names_is_there(document):
    def walk(value):
        if isinstance(value, dict):
            if isinstance(ref := value.get("$ref"), str):
                yield ref
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    for ref in set(walk(document)):
        at = document
        for step in ref.removeprefix("#/").split("/"):
            at = at[step]
