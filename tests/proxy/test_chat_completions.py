"""POST /chat/completions, plain: the journey of a call and the row that it leaves."""

from tests.factories import make_tag


def test_it_works(gateway, upstream, books, key, model):
    tag = make_tag(limit="500", duration="30d")

    answer = gateway.chat(model, key=key, tags=[tag])

    assert answer.status == 200
    assert answer.json()["choices"][0]["message"]["content"] == "Hello! How can I help you today?"
    assert upstream.last.body["messages"] == [{"role": "user", "content": "Hello"}]
    row = books.row(answer.id)
    assert (row.status, row.cost, row.usage_source) == ("success", 210_000, "upstream")
    assert (books.spent(tag), books.reserved(tag)) == (210_000, 0)
