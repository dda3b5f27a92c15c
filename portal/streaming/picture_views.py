"""The pictures of the catalogue."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from portal.streaming import models, pictures
from portal.streaming.asked import SignedIn

KEPT_SECONDS = 24 * 60 * 60


@login_required
@require_safe
def picture(request: SignedIn, application_id: str) -> HttpResponse:
    """Return an application's picture to who may see the application: two GetItems. A browser keeps it by its address,
    which is another one for another picture."""
    found = models.application(application_id)
    data = pictures.content(found.picture) if found and found.is_seen_by(request.user.groups) else b""
    if found is None or not data:
        raise Http404
    is_this_one = request.GET.get("v") == found.picture
    cache = f"private, max-age={KEPT_SECONDS}, immutable" if is_this_one else "private, no-store"
    return HttpResponse(data, content_type=pictures.TYPE, headers={"Cache-Control": cache})
