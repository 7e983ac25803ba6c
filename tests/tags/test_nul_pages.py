"""A NUL, which no column holds, is answered like other wrong input wherever a page takes text."""

import pytest

from tests.admin_clients import root_client
from tests.factories import make_tag

pytestmark = pytest.mark.django_db


def test_it_is_no_reason():
    tag = make_tag("team", limit="10")
    typed = {"budget": tag.budget.public_id, "name": "team", "reason": "a\0b"}

    answer = root_client().post(f"/tags/{tag.pk}/reset/", typed)

    assert answer.status_code == 422
    assert tag.budget.windows.count() == 1


def test_it_is_nobodys_name():
    make_tag("team", limit="10")

    answer = root_client().post("/tags/bulk/?act=owner&name=team", {"owner": "a\0b"})

    assert answer.status_code == 422
    assert b"Choose somebody who may log in." in answer.content
