"""The demo again: where something is already, it makes nothing."""

import pytest

from proxy.models import Deployment
from spend.models import SpendLog
from tags.actions import create_tag
from tags.changes import Changes
from tags.models import Tag
from tests.proxy.test_seed_demo import seed

pytestmark = pytest.mark.django_db


def test_it_leaves_a_database_alone_that_is_in_use():
    create_tag("mine", Changes(), actor="master")

    assert seed() == {"api_key": None}
    assert Tag.objects.count() == 1
    assert not Deployment.objects.exists()
    assert not SpendLog.objects.exists()
