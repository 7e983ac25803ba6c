"""Spent forms: a form that has made a key makes no other one when its page is loaded again."""

from django.http import HttpRequest

SPENT_TOKENS = "spent_form_tokens"
SPENT_TOKENS_MAX = 50
ALREADY = (
    "This key has been created already; its secret cannot be shown again. If you did not copy it,"
    " delete the key and make another one."
)


def is_spent(request: HttpRequest) -> bool:
    token = request.POST.get("form_token")
    return bool(token) and token in request.session.get(SPENT_TOKENS, [])


def spend_form(request: HttpRequest) -> None:
    spent = [*request.session.get(SPENT_TOKENS, []), request.POST.get("form_token", "")]
    request.session[SPENT_TOKENS] = spent[-SPENT_TOKENS_MAX:]
