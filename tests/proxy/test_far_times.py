"""Times at the ends of the calendar, and offsets that only some know: answered, never a 500."""

import pytest

pytestmark = pytest.mark.django_db

PATHS = (
    "/spend/logs", "/spend/logs/v2", "/spend/export", "/spend/focus", "/spend/tags", "/tag/list",
    "/tag/summary", "/tag/daily/activity", "/global/spend/report", "/global/spend/tags",
)  # fmt: skip
FAR = {
    "start_date": ["0001-01-01", "0001-01-01T00:00:00+14:00", "1899-12-31"],
    "end_date": ["9999-12-31", "9999-12-31T23:59:59-12:00"],
}
OTHER = {"start_date": ("end_date", "2026-01-01"), "end_date": ("start_date", "2026-01-01")}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("bound", "text"), [(b, t) for b in FAR for t in FAR[b]])
def test_they_are_told_to_be_too_far(management, path, bound, text):
    name, other = OTHER[bound]

    answer = management.get(path, {bound: text, name: other})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == bound


@pytest.mark.parametrize("path", ["/spend/logs", "/spend/logs/v2", "/spend/export"])
@pytest.mark.parametrize("text", ["1923-01-03T19:41:55.121+21:04", "1915-01-05T03:33:53-20:39"])
def test_every_offset_is_understood(management, path, text):
    assert management.get(path, {"start_date": text, "end_date": "2026-01-01"}).status_code == 200


def test_what_cannot_be_the_hash_of_a_key_names_none(management):
    answer = management.get("/spend/logs", {"api_key": "é" * 64})

    assert (answer.status_code, answer.json()) == (200, [])
