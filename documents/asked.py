"""What the views have in common: who asks, and what is said where their document is not there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.crypto import salted_hmac

from documents import source
from documents.bucket import DocumentMissing
from documents.place import is_path
from portal.accounts import session
from portal.accounts.models import User
from portal.accounts.refusals import SignedOut
from portal.accounts.views import start_again


class SignedIn(HttpRequest):
    """What `own` lets through."""

    user: User


def own(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let a signed-in person see what is in their own corner: a document that is not there is a 404, one
    that is no text is said to be that, and whoever AWS gives no credentials any more signs in again."""

    @login_required
    @wraps(view)
    def answer(request: SignedIn, *args: Any, **kwargs: Any) -> HttpResponse:
        for name in ("document_id", "path"):
            if name in kwargs and not is_path(kwargs[name]):
                raise Http404
        try:
            return view(request, *args, **kwargs)
        except DocumentMissing as error:
            raise Http404 from error
        except (source.NotText, source.TooLarge) as error:
            context = {"document_id": kwargs.get("document_id", ""), "why": str(error)}
            return render(request, "documents/unreadable.html", context, status=422)
        except SignedOut as error:
            session.sign_out(request)
            return start_again(request, error)

    return answer


def draft_key(user: User) -> str:
    """Return under what a browser keeps what a person has not saved yet: others who sign in there do not see it."""
    return salted_hmac("documents.draft", user.sub, algorithm="sha256").hexdigest()[:24]
