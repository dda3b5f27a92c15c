"""The page about the local cloud: what it sent, and who can sign in. And the sample of another system."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from portal.localcloud import partner
from portal.localcloud import sent as messages
from portal.localcloud.people import PASSWORD, PEOPLE


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "local/home.html", {**_sent(), "people": PEOPLE, "password": PASSWORD})


@require_GET
def sent(request: HttpRequest) -> HttpResponse:
    """Show the messages alone: the part of the page that renews itself."""
    return render(request, "local/sent.html", _sent())


def _sent() -> dict[str, list[messages.Message]]:
    return {"mails": messages.mails(), "reports": messages.reports(), "texts": messages.texts()}


@require_GET
@never_cache
def partner_system(request: HttpRequest) -> HttpResponse:
    """Show another system's page, from which each of its people is posted into the portal."""
    vouched = [{"user": user, "token": partner.token(user)} for user in partner.USERS]
    return render(request, "local/partner.html", {"vouched": vouched, "name": partner.NAME})


@require_GET
def partner_keys(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"keys": [partner.key().as_dict(private=False)]})
