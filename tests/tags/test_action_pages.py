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


def test_it_tells_the_digits_of_a_small_budget():
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    tag = make_tag("search", limit="0.00005")
    tag.budget.windows.update(spent=66_600)

    raising, resetting = (root.get(f"/tags/{tag.pk}/{verb}/").text for verb in ("raise", "reset"))

    assert "$0.00006660</data> of" in raising
    assert "$0.00007326</data>" in raising  # by a tenth of what is spent
    assert "$0.00006660</data> of" in resetting
