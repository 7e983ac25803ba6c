"""TurnedDownShown: what a verb turned down is told on the page; nothing has changed then."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from tags.errors import TurnedDown


class TurnedDownShown(ModelAdmin):
    """The form has looked already: this is for what changed between its look and the verb's."""

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except TurnedDown as refusal:
            return self._told(request, refusal)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().delete_view(request, *args, **kwargs)
        except TurnedDown as refusal:
            return self._told(request, refusal)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changelist_view(request, *args, **kwargs)
        except TurnedDown as refusal:
            return self._told(request, refusal)

    def _told(self, request: HttpRequest, refusal: TurnedDown) -> HttpResponse:
        messages.error(request, refusal.text)
        return HttpResponseRedirect(request.get_full_path())
