"""The tag API: /tag/*, for the master key."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, inline_serializer
from rest_framework.request import Request
from rest_framework.response import Response

from tags.actions import adopt_tags, change_tag, create_tag, delete_tag, reset_tag_spend
from tags.answers import tag_objects, totals_object, with_message
from tags.errors import NotThere
from tags.listing import read_page
from tags.models import Tag
from tags.names import BadTag, clean_tag
from tags.queries import (
    TagListQuery,
    TagSummaryQuery,
    covered_range,
    write_cursor,
)
from tags.serializers import (
    LISTED_TAGS,
    AdoptedTags,
    AskedTags,
    NamedTag,
    NewTag,
    TagMessage,
    TagObject,
    TagSpendReset,
    named_tag,
)
from tags.traffic import most_used_tags, tag_totals
from tags.views import ManagementView

SUMMARY_MAX = 10_000  # tags; the most expensive ones
DISTINCT_MAX = 250
ENGINEERING = {
    "name": "engineering",
    "description": "Engineering department cost center",
    "max_budget": 500.0,
    "budget_duration": "30d",
}
UPDATE = {"name": "engineering", "max_budget": 750.0, "budget_duration": "30d"}


def example(value: Any) -> list[OpenApiExample]:
    return [OpenApiExample("engineering", value=value, request_only=True)]


class NewTagView(ManagementView):
    @extend_schema(request=NewTag, responses=TagObject, examples=example(ENGINEERING))
    def post(self, request: Request) -> Response:
        """Create a tag, with a budget of its own."""
        asked = self.read(NewTag)
        tag = create_tag(asked.validated_data["name"], asked.changes(), actor=self.actor)
        return Response(with_message(tag_objects([tag])[0], "created"))


class UpdateTagView(ManagementView):
    @extend_schema(request=NewTag, responses=TagObject, examples=example(UPDATE))
    def post(self, request: Request) -> Response:
        """Change what is present and nothing else; null clears."""
        asked = self.read(NewTag, instance=named_tag(request.data))
        tag = change_tag(asked.validated_data["name"], asked.changes(), actor=self.actor)
        return Response(with_message(tag_objects([tag])[0], "updated"))


class TagInfoView(ManagementView):
    @extend_schema(
        request=AskedTags,
        responses=OpenApiTypes.OBJECT,
        examples=example({"names": ["engineering", "marketing"]}),
    )
    def post(self, request: Request) -> Response:
        """Tags by name, in the order asked."""
        asked = self.read(AskedTags).validated_data["names"]
        forms = {name: form_of(name) for name in asked}
        stored = Tag.objects.with_budgets().filter(name__in=filter(None, forms.values()))
        found = {tag.name: tag for tag in stored}
        if missing := [name for name, form in forms.items() if form not in found]:
            raise NotThere(f"Tags not found: {missing!r}", "names")
        wanted = [found[name] for name in dict.fromkeys(forms.values())]
        return Response({tag["name"]: tag for tag in tag_objects(wanted)})


class TagListView(ManagementView):
    @extend_schema(parameters=[TagListQuery], responses=LISTED_TAGS)
    def get(self, request: Request) -> Response:
        """Tags by name, then those seen in traffic; `x-next-cursor` says where the list goes on."""
        asked = self.read_query(TagListQuery)
        page = read_page(
            asked["covered"],
            text=asked["q"],
            include_seen=asked["include_seen"],
            limit=asked["limit"],
            place=asked.get("cursor"),
        )
        headers = {"x-next-cursor": write_cursor(page.next)} if page.next else {}
        return Response(page.objects, headers=headers)


class DeleteTagView(ManagementView):
    @extend_schema(
        request=NamedTag, responses=TagMessage, examples=example({"name": "engineering"})
    )
    def post(self, request: Request) -> Response:
        """Delete a tag; log rows and reports keep its name."""
        name = self.read(NamedTag).validated_data["name"]
        delete_tag(name, actor=self.actor)
        return Response({"message": f"Tag {name} deleted successfully"})


class AdoptTagsView(ManagementView):
    @extend_schema(
        request=AdoptedTags,
        responses=inline_serializer("AdoptedTagObjects", {"adopted": TagObject(many=True)}),
        examples=example({"names": ["eu", "batch"], "max_budget": 50.0}),
    )
    def post(self, request: Request) -> Response:
        """Make tags of names that calls have carried, all or none."""
        asked = self.read(AdoptedTags)
        names = dict.fromkeys(asked.validated_data["names"])
        tags = adopt_tags(list(names), asked.changes(), actor=self.actor)
        return Response({"adopted": tag_objects(tags)})


class ResetTagSpendView(ManagementView):
    @extend_schema(
        request=TagSpendReset,
        responses=TagObject,
        examples=example({"name": "engineering", "reason": "billing error"}),
    )
    def post(self, request: Request) -> Response:
        """Start the open window anew at nothing; it ends when it would have."""
        asked = self.read(TagSpendReset).validated_data
        tag = reset_tag_spend(
            asked["name"],
            budget_id=asked.get("budget_id"),
            reason=asked.get("reason") or "",
            actor=self.actor,
        )
        return Response(tag_objects([tag])[0])


class TagSummaryView(ManagementView):
    @extend_schema(parameters=[TagSummaryQuery], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """What each tag came to. A call with two tags counts under both."""
        asked = self.read_query(TagSummaryQuery)
        totals = tag_totals(asked["covered"], names=asked.get("tag_filter"), limit=SUMMARY_MAX)
        return Response({"results": [totals_object(tag) for tag in totals]})


class DistinctTagsView(ManagementView):
    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """The 250 tags that calls carried most in 30 days."""
        names = most_used_tags(covered_range(None, None), limit=DISTINCT_MAX)
        return Response({"results": [{"tag": name} for name in names]})


def form_of(name: str) -> str | None:
    """A tag's one form; None for what cannot be a tag, and so is none."""
    try:
        return clean_tag(name) or None
    except BadTag:
        return None
