"""Who asks for an application, and what they are told who may not have it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from portal.accounts.models import User
from portal.errors import refuse
from portal.streaming import launching

P = ParamSpec("P")


class SignedIn(HttpRequest):
    """What login_required lets through."""

    user: User


def act(view: Callable[Concatenate[SignedIn, P], HttpResponse]) -> Callable[Concatenate[SignedIn, P], HttpResponse]:
    """Take a POST of somebody who is signed in. Whoever signs in anew comes to the page of applications: the address of
    an act has no page that they could come back to."""

    @wraps(view)
    def guarded(request: SignedIn, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(reverse("streaming:apps"))
        if request.method in ("GET", "HEAD"):  # of a page that an act has answered with
            return redirect("streaming:apps")
        return require_POST(view)(request, *args, **kwargs)

    return guarded


def refused_in_words(
    view: Callable[Concatenate[SignedIn, P], HttpResponse],
) -> Callable[Concatenate[SignedIn, P], HttpResponse]:
    """Answer 404 where an application is not there, and 403 in words where it is not for who asks."""

    @wraps(view)
    def guarded(request: SignedIn, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except launching.NotThere as error:
            raise Http404 from error
        except launching.NotForYou as error:
            return refuse(request, 403, str(error))

    return guarded
