"""The page about the local cloud: what it sent, and who can sign in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

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
    return {"mails": messages.mails(), "texts": messages.texts()}
