"""GET /models and /models/{id}: what the key may use."""

from tests.factories import make_key, make_model, unique


def names(answer):
    assert answer.status == 200
    return [model["id"] for model in answer.json()["data"]]


def test_it_works(gateway, books):
    first, second = make_model(unique("a")), make_model(unique("b"))
    key = make_key(columns={"allowed_models": [first.model_name, second.model_name]})

    answer = gateway.call("GET", "/v1/models", key=key)

    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.json() == {
        "object": "list",
        "data": [
            {
                "id": model.model_name,
                "object": "model",
                "created": int(model.created_at.timestamp()),
                "owned_by": "openai",
            }
            for model in (first, second)
        ],
    }
    assert not books.has_trace(answer.id)


def test_it_needs_a_key(gateway):
    assert gateway.call("GET", "/v1/models").status == 401


def test_it_has_all_its_names(gateway, key, model):
    for path in ("/models", "/models/", "/v1/models", "/openai/v1/models", "/v1/models/"):
        assert model.model_name in names(gateway.call("GET", path, key=key))


def test_head_is_get_without_the_body(gateway, key):
    answer = gateway.call("HEAD", "/v1/models", key=key)

    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 10


def test_a_model_is_listed_once(gateway, key):
    name = unique("twice")
    make_model(name)
    make_model(name)

    assert names(gateway.call("GET", "/v1/models", key=key)).count(name) == 1


def test_aliases_are_listed_and_wildcards_are_not(gateway, key):
    alias, prefix = unique("alias"), unique("wild")
    make_model(aliases=[alias])
    make_model(f"{prefix}/*", upstream_model="*")

    listed = names(gateway.call("GET", "/v1/models", key=key))

    assert alias in listed
    assert not [name for name in listed if name.startswith(prefix)]


def test_one_model_is_found_by_its_name(gateway, key):
    model = make_model(unique("acme/large"))

    answer = gateway.call("GET", f"/v1/models/{model.model_name}", key=key)

    assert (answer.status, answer.json()["id"]) == (200, model.model_name)


def test_what_a_wildcard_matches_is_found(gateway, key):
    prefix = unique("wild")
    make_model(f"{prefix}/*", upstream_model="*")

    answer = gateway.call("GET", f"/v1/models/{prefix}/anything", key=key)

    assert (answer.status, answer.json()["id"]) == (200, f"{prefix}/anything")


def test_a_model_that_the_key_may_not_use_is_not_there(gateway, model):
    key = make_key(columns={"allowed_models": ["another"]})

    answers = [
        gateway.call("GET", f"/v1/models/{name}", key=key)
        for name in (model.model_name, "no-such-model")
    ]

    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].error["type"] == answers[1].error["type"] == "model_not_found"
    assert names(gateway.call("GET", "/v1/models", key=key)) == []


def test_anthropics_clients_get_them_in_their_form(gateway, books):
    first, second = make_model(unique("a")), make_model(unique("b"))
    key = make_key(columns={"allowed_models": [first.model_name, second.model_name]})
    version = {"anthropic-version": "2023-06-01"}

    listed = gateway.call("GET", "/v1/models", key=key, headers=version).json()
    one = gateway.call("GET", f"/v1/models/{first.model_name}", key=key, headers=version).json()

    created = first.created_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    name = first.model_name
    assert one == {"type": "model", "id": name, "display_name": name, "created_at": created}
    assert listed["data"][0] == one
    assert (listed["first_id"], listed["last_id"]) == (name, second.model_name)
    assert listed["has_more"] is False


def test_anthropics_clients_get_an_empty_list_too(gateway, books):
    key = make_key(columns={"allowed_models": ["nothing"]})

    answer = gateway.call("GET", "/v1/models", key=key, headers={"anthropic-version": "x"})

    assert answer.json() == {"data": [], "has_more": False, "first_id": None, "last_id": None}
