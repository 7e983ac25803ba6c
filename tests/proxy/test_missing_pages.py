"""What is nowhere: JSON for programs, a page for browsers."""

import pytest
from django.template.loader import render_to_string
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


def test_it_answers_browsers_with_a_page(admin_client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = admin_client.get("/nowhere", headers={"accept": "text/html,*/*"})

    assert answer.status_code == 404
    assert answer["Content-Type"].startswith("text/html")
    assert "<h1>There is nothing here</h1>" in answer.text
    assert 'href="/tags/">Tags</a>' in answer.text


@pytest.mark.parametrize(
    ("name", "heading"),
    [("403", "That is not open to you"), ("500", "Something went wrong on our side")],
)
def test_it_has_a_page_for_what_else_goes_wrong(name, heading, django_assert_num_queries):
    with django_assert_num_queries(0):
        text = render_to_string(f"{name}.html")

    assert f"<title>{heading} | Tollgate</title>" in text
    assert f"<h1>{heading}</h1>" in text


def test_it_leads_from_the_root_to_the_login():
    answer = Client().get("/", follow=True)

    assert answer.status_code == 200
    assert answer.redirect_chain[-1][0].startswith("/admin/login/?next=/")
