"""What is nowhere: JSON for programs, a page for browsers."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_it_answers_programs_in_json():
    answer = Client().get("/v1/batches")

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "error": {
            "message": "There is nothing at this address.",
            "type": "not_found",
            "param": None,
            "code": "404",
        },
        "detail": "There is nothing at this address.",
    }


def test_it_answers_browsers_with_a_page():
    answer = Client().get("/nowhere", headers={"accept": "text/html,*/*"})

    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")


def test_it_leads_from_the_root_to_the_login():
    answer = Client().get("/", follow=True)

    assert answer.status_code == 200
    assert answer.redirect_chain[-1][0].startswith("/admin/login/?next=/")
