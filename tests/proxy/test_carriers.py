"""Carriers: which keys' calls always carry a tag."""

import pytest

from proxy.carriers import read_carriers, set_carriers
from proxy.models import APIKey
from spend.models import Audit
from tags.errors import Invalid
from tests.factories import make_key

pytestmark = pytest.mark.django_db


def tags_of(key: APIKey) -> list[str]:
    return APIKey.objects.get(pk=key.pk).metadata.get("tags", [])


def test_it_works():
    ci, lab, other = make_key("ci", tags=("search",)), make_key("lab"), make_key("other")
    nameless = make_key("gone")
    APIKey.objects.filter(pk=nameless.pk).update(alias=None)

    set_carriers("search", ["lab", str(nameless.pk)], actor="ana")

    assert [tags_of(key) for key in (ci, other)] == [[], []]
    assert [tags_of(key) for key in (lab, nameless)] == [["search"], ["search"]]
    assert read_carriers("search") == sorted(["lab", str(nameless.pk)])
    assert Audit.objects.filter(actor="ana", action="change", kind="key").count() == 3


def test_it_refuses_unknown_keys_and_full_ones(settings):
    settings.MAX_TAGS_PER_REQUEST = 1
    full = make_key("full", tags=("eu",))
    make_key("ci")

    with pytest.raises(Invalid, match="no key 'nobody'"):
        set_carriers("search", ["ci", "nobody"], actor="ana")
    with pytest.raises(Invalid, match="'full' carries as many"):
        set_carriers("search", ["ci", "full"], actor="ana")

    assert tags_of(full) == ["eu"]
    assert read_carriers("search") == []
