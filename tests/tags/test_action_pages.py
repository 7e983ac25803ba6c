"""Forms of a tag that were opened by their own address."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.factories import make_tag

pytestmark = pytest.mark.django_db


def test_it_leads_to_the_tag_and_not_to_itself():
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    tag = make_tag("search", limit="5")
    address = f"/tags/{tag.pk}/raise/"
    fields = {"budget": tag.budget.public_id, "by": "10", "next": f"{address}?range=7d"}

    answer = root.post(address, fields)

    assert (answer.status_code, answer["Location"]) == (302, f"/tags/{tag.pk}/")
    assert f'name="next" value="{address}' not in root.get(address).text
