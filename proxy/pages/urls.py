"""Addresses of the pages about keys, models and prices."""

from django.urls import URLPattern, path

from proxy.pages.key_actions import BlockKey, DeleteKey, RegenerateKey, UnblockKey
from proxy.pages.key_form_page import EditKey, NewKey
from proxy.pages.key_page import KeySummary
from proxy.pages.keys import KeysPage
from proxy.pages.model_form_page import EditModel, NewModel
from proxy.pages.model_page import DeleteModel, ModelSummary, SetPrice
from proxy.pages.prices import PricesPage
from proxy.pages.try_it import TryPage

urlpatterns: list[URLPattern] = [
    path("keys/", KeysPage.as_view(), name="keys"),
    path("keys/new/", NewKey.as_view(), name="key-new"),
    path("keys/<uuid:pk>/", KeySummary.as_view(), name="key"),
    path("keys/<uuid:pk>/edit/", EditKey.as_view(), name="key-edit"),
    path("keys/<uuid:pk>/block/", BlockKey.as_view(), name="key-block"),
    path("keys/<uuid:pk>/unblock/", UnblockKey.as_view(), name="key-unblock"),
    path("keys/<uuid:pk>/regenerate/", RegenerateKey.as_view(), name="key-regenerate"),
    path("keys/<uuid:pk>/delete/", DeleteKey.as_view(), name="key-delete"),
    path("prices/", PricesPage.as_view(), name="prices"),
    path("prices/new/", NewModel.as_view(), name="price-new"),
    path("prices/<uuid:pk>/", ModelSummary.as_view(), name="price"),
    path("prices/<uuid:pk>/edit/", EditModel.as_view(), name="price-edit"),
    path("prices/<uuid:pk>/price/", SetPrice.as_view(), name="price-set"),
    path("prices/<uuid:pk>/delete/", DeleteModel.as_view(), name="price-delete"),
    path("try/", TryPage.as_view(), name="try"),
]
