"""Tagging: every source, one order, one result; the rules of keys and the unknown-tag policies."""

import pytest

from spend.models import Audit, TagSet
from tags.models import Tag
from tests.factories import dollars, make_key, make_tag, unique

TOO_LONG = "x" * 129


def tags_of(books, answer):
    """As they are in the row, once the header has said the same."""
    names = TagSet.objects.get(id=books.row(answer.id).tag_set_id).tags
    if names and all(name.isascii() and not set("%;") & set(name) for name in names):
        assert answer.headers["x-tollgate-tags"] == ",".join(names)
    return names


def test_it_works(gateway, books, model):
    """The example of the wire contract, 2.1."""
    key = make_key(tags=("team-x",))

    answer = gateway.chat(
        model, key=key, tags=["engineering", "eu"], headers={"x-litellm-tags": "eu, batch"}
    )

    assert tags_of(books, answer) == ["engineering", "eu", "batch", "team-x"]


def test_the_sources_have_an_order(gateway, books, model, settings):
    settings.TAG_HEADER_RULES = [
        {"header": "x-team", "prefix": "team:"},
        {"baggage": "tenant.id", "prefix": "tenant:"},
    ]
    settings.TAG_USER_AGENT = True
    key = make_key(tags=("of-key",))

    answer = gateway.chat(
        model,
        key=key,
        metadata={"tags": ["metadata"]},
        litellm_metadata={"tags": "litellm, one tag".replace(",", ";")},
        tags=None,
        headers=[
            ("x-tollgate-tags", "fourth"),
            ("x-litellm-tags", "third"),
            ("x-litellm-tags", "again"),
            ("X-Team", "red, blue"),
            ("baggage", "a=b;c=d, tenant.id = acme ;p=1"),
            ("user-agent", "OpenAI/Python 2.7.1"),
        ],
    )

    assert tags_of(books, answer) == [
        "metadata", "litellm; one tag", "third", "again", "fourth", "team:red", "team:blue",
        "tenant:acme", "User-Agent: OpenAI", "of-key",
    ]  # fmt: skip


def test_a_root_member_is_a_source(gateway, books, key, model):
    answer = gateway.call(
        "POST",
        "/v1/chat/completions",
        key=key,
        body={"model": model.model_name, "messages": [], "tags": ["root", "second"]},
    )

    assert tags_of(books, answer) == ["root", "second"]


def test_a_string_is_one_tag(gateway, books, key, model):
    answer = gateway.chat(model, key=key, metadata={"tags": "engineering eu"})

    assert tags_of(books, answer) == ["engineering eu"]


def test_tags_are_trimmed_and_counted_once(gateway, books, key, model):
    tag = make_tag()

    answer = gateway.chat(
        model,
        key=key,
        tags=[tag.name, f"  {tag.name} ", "", "   "],
        headers={"x-litellm-tags": ","},
    )

    assert tags_of(books, answer) == [tag.name]
    assert books.spent(tag) == 210_000


def test_tags_are_normalised_and_case_counts(gateway, books, key, model):
    answer = gateway.chat(model, key=key, tags=["caf\u00e9", "cafe\u0301", "Caf\u00e9"])

    assert tags_of(books, answer) == ["caf\u00e9", "Caf\u00e9"]
    assert answer.headers["x-tollgate-tags"] == "caf%C3%A9,Caf%C3%A9"


def test_header_tags_are_utf8(gateway, books, key, model):
    answer = gateway.chat(model, key=key, headers={"x-litellm-tags": "m\u00fcnchen"})

    assert tags_of(books, answer) == ["m\u00fcnchen"]


def test_a_call_without_tags_has_none(gateway, books, key, model):
    answer = gateway.chat(model, key=key)

    assert tags_of(books, answer) == []
    assert "x-tollgate-tags" not in answer.headers


@pytest.mark.parametrize(
    "name", ["%_", "'--", "{{7*7}}", "../..", "<b>", "a;b", "Caf\u00e9 \U0001f600", "x" * 128]
)
def test_nasty_names_that_are_lawful_are_tags_like_others(gateway, books, key, model, name):
    answer = gateway.chat(model, key=key, tags=[name])

    assert answer.status == 200
    assert tags_of(books, answer) == [name]


BAD_VALUES = [
    (5, "metadata.tags"),
    (True, "metadata.tags"),
    ({"a": 1}, "metadata.tags"),
    (["good", 7], "metadata.tags[1]"),
    (["good", None], "metadata.tags[1]"),
    ([["nested"]], "metadata.tags[0]"),
    (["a,b"], "metadata.tags[0]"),
    (["good", TOO_LONG], "metadata.tags[1]"),
    (["a\r\nb"], "metadata.tags[0]"),
    (["a\0b"], "metadata.tags[0]"),
    (["a\u2028b"], "metadata.tags[0]"),
    (["a\u202eb"], "metadata.tags[0]"),
    (["!not"], "metadata.tags[0]"),
    (["&and"], "metadata.tags[0]"),
    ("a" + "\u0301" * 100_000, "metadata.tags"),
    ("x" * 10_000, "metadata.tags"),
]


@pytest.mark.parametrize(("value", "param"), BAD_VALUES, ids=lambda value: str(value)[:20])
def test_a_malformed_tag_is_refused_and_never_half_honoured(
    gateway, upstream, books, key, model, value, param
):
    answer = gateway.chat(model, key=key, metadata={"tags": value})

    assert (answer.status, answer.error["type"]) == (400, "invalid_tag")
    assert answer.error["param"] == param
    assert not books.has_trace(answer.id)
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("members", "param"),
    [({"litellm_metadata": {"tags": 1}}, "litellm_metadata.tags"), ({"root": 1}, "tags")],
)
def test_each_place_is_named(gateway, key, model, members, param):
    body = {"model": model.model_name, "messages": [], **members}
    if "root" in body:
        body["tags"] = body.pop("root")

    answer = gateway.call("POST", "/v1/chat/completions", key=key, body=body)

    assert (answer.error["type"], answer.error["param"]) == ("invalid_tag", param)


def test_a_header_that_is_not_utf8_is_refused(gateway, key, model):
    call = gateway.start_chat(model, key=key)
    call.answer()
    call.scope["headers"].append((b"x-litellm-tags", b"\xff\xfe"))

    answer = gateway.start_scope(call.scope, model=model).answer()

    assert (answer.error["type"], answer.error["param"]) == ("invalid_tag", "x-litellm-tags")


def test_underscores_in_place_of_hyphens_are_ignored(gateway, books, key, model):
    answer = gateway.chat(model, key=key, headers={"x_litellm_tags": "spoofed"})

    assert tags_of(books, answer) == []


# -- how many ------------------------------------------------------------------------------------


def test_twenty_tags_are_served(gateway, books, key, model):
    names = [unique("many") for _ in range(20)]

    answer = gateway.chat(model, key=key, tags=names)

    assert tags_of(books, answer) == names


def test_twenty_one_tags_are_too_many(gateway, upstream, model):
    key = make_key(tags=("of-key",))

    answer = gateway.chat(model, key=key, tags=[f"t{n}" for n in range(20)])

    assert (answer.status, answer.error["type"]) == (400, "too_many_tags")
    assert answer.error["param"] == "metadata.tags"
    assert upstream.asked == []


def test_a_list_without_end_is_not_looked_at(gateway, key, model):
    answer = gateway.chat(model, key=key, tags=["a"] * 1_001)

    assert (answer.status, answer.error["type"]) == (400, "too_many_tags")


# -- what a key may carry ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "brought", "status"),
    [
        (None, "anything", 200),
        (["eu-*"], "eu-west", 200),
        (["eu-*"], "us-east", 403),
        (["eu-?"], "eu-12", 403),
        (["[ab]"], "a", 403),
        (["[ab]"], "[ab]", 200),
        (["EU"], "eu", 403),
        (["eu"], "eu-west", 403),
        ([], "eu", 403),
        ([], "of-key", 200),
    ],
)
def test_a_key_may_restrict_the_tags_of_its_calls(
    gateway, upstream, model, allowed, brought, status
):
    key = make_key(tags=("of-key",), columns={"allowed_tags": allowed})

    answer = gateway.chat(model, key=key, tags=[brought])

    assert answer.status == status
    if status == 403:
        assert (answer.error["type"], answer.error["param"]) == ("tag_not_allowed", "metadata.tags")
        assert upstream.asked == []


@pytest.mark.parametrize("header", ["x-litellm-tags", "x-tollgate-tags"])
def test_the_restriction_counts_for_headers_too(gateway, model, header):
    key = make_key(columns={"allowed_tags": ["eu"]})

    answer = gateway.chat(model, key=key, headers={header: "us"})

    assert (answer.status, answer.error["type"]) == (403, "tag_not_allowed")


def test_the_restriction_counts_for_the_operators_rules_too(gateway, model, settings):
    settings.TAG_HEADER_RULES = [{"header": "x-team", "prefix": "team:"}]
    key = make_key(columns={"allowed_tags": ["eu"]})

    answer = gateway.chat(model, key=key, headers={"x-team": "red"})

    assert (answer.status, answer.error["type"]) == (403, "tag_not_allowed")


@pytest.mark.parametrize(
    ("tags", "status"), [([], 400), (["team-a"], 400), (["team-a", "cost-1"], 200)]
)
def test_a_key_may_require_tags(gateway, model, tags, status):
    key = make_key(columns={"required_tags": ["team-*", "cost-?"]})

    answer = gateway.chat(model, key=key, tags=tags)

    assert answer.status == status
    if status == 400:
        assert answer.error["type"] == "missing_required_tag"


def test_a_keys_own_tags_fulfil_what_it_requires(gateway, model):
    key = make_key(tags=("team-a",), columns={"required_tags": ["team-*"]})

    assert gateway.chat(model, key=key).status == 200


def test_the_operator_may_refuse_the_clients_tags(gateway, books, model, settings):
    settings.REJECT_CLIENT_TAGS = True
    settings.TAG_HEADER_RULES = [{"header": "x-team"}]
    key = make_key(tags=("of-key",))

    refused = gateway.chat(model, key=key, tags=["mine"])
    served = gateway.chat(model, key=key, tags=[], headers={"x-team": "red"})

    assert (refused.status, refused.error["type"]) == (400, "client_tags_rejected")
    assert tags_of(books, served) == ["red", "of-key"]


def test_a_blocked_tag_refuses_its_calls(gateway, upstream, books, key, model):
    tag = make_tag(columns={"blocked": True})

    answer = gateway.chat(model, key=key, tags=["free", tag])

    assert (answer.status, answer.error["type"]) == (403, "tag_blocked")
    assert not books.has_trace(answer.id)
    assert upstream.asked == []


# -- unknown tags --------------------------------------------------------------------------------


def test_an_unknown_tag_is_tracked(gateway, books, key, model):
    name = unique("unknown")

    answer = gateway.chat(model, key=key, tags=[name])

    assert tags_of(books, answer) == [name]
    assert len(books.row(answer.id).windows) == 1  # the key's


def test_an_unknown_tag_may_be_refused(gateway, upstream, key, model, settings):
    settings.UNKNOWN_TAGS = "reject"
    known, unknown = make_tag(), unique("unknown")

    answer = gateway.chat(model, key=key, tags=[known, unknown, "another"])

    assert (answer.status, answer.error["type"]) == (400, "unknown_tag")
    assert answer.error["message"] == f"The tag '{unknown}' is not known."
    assert upstream.asked == []


def test_an_unknown_tag_may_be_created_from_a_template(gateway, books, key, model, settings):
    settings.UNKNOWN_TAGS = "create"
    settings.NEW_TAG_TEMPLATES = [
        {"match": "customer-*", "max_budget": 0.5, "budget_duration": "monthly"},
        {"match": "[x]"},
    ]
    name, other = unique("customer"), unique("other")

    answer = gateway.chat(model, key=key, tags=[name, other])
    gateway.rest()

    tag = Tag.objects.get(name=name)
    assert (tag.budget.limit, tag.budget.duration) == (dollars("0.5"), "monthly")
    assert books.spent(tag) == 210_000  # it was created before admission
    assert tag.created_by == f"traffic:{key.id}"
    assert not Tag.objects.filter(name=other).exists()
    assert tags_of(books, answer) == [name, other]


def test_a_created_tag_holds_from_its_first_call_on(gateway, books, key, model, settings):
    settings.UNKNOWN_TAGS = "create"
    settings.NEW_TAG_TEMPLATES = [{"match": "*", "max_budget": 0.0001}]
    name = unique("new")

    first, second = (gateway.chat(model, key=key, tags=[name]) for _ in range(2))

    assert (first.status, second.status) == (200, 400)
    assert second.error["type"] == "budget_exceeded"


def test_a_key_makes_so_many_tags_a_day(gateway, upstream, model, settings):
    settings.UNKNOWN_TAGS = "create"
    settings.NEW_TAGS_PER_KEY = 2
    key = make_key()

    answers = [gateway.chat(model, key=key, tags=[unique("new")]) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert answers[2].error["type"] == "unknown_tag"
    assert Audit.objects.filter(kind="tag", actor=f"traffic:{key.id}").count() == 2
