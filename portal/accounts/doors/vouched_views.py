"""The door for people whom another system vouches for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from portal.accounts.doors import once, vouched
from portal.accounts.doors.arrival import Arrival, claims
from portal.accounts.doors.arrival_views import await_person, refused
from portal.accounts.doors.hosted import own_page
from portal.accounts.refusals import VoucherRefused

LONGEST_SESSION = timedelta(hours=1)


@csrf_exempt  # the other system's page posts it
@require_POST
@never_cache
@sensitive_post_parameters("token")
@sensitive_variables()
def vouch(request: HttpRequest) -> HttpResponse:
    """Take another system's word, and go on to ask the person."""
    if not (settings.VOUCHER_ISSUER and settings.VOUCHER_KEYS_URL):
        raise Http404
    now = datetime.now(UTC)
    try:
        word = vouched.read(request.POST.get("token", ""), now=now)
        if not once.use("vouched", settings.VOUCHER_ISSUER, word.token_id, now=now):
            raise VoucherRefused("the token was used already")
    except VoucherRefused as error:
        return refused(request, error, door="vouched")
    origin, said = vouched.origin(), word.said
    name = next((said[key] for key in ("preferred_username", "email") if _is_name(said.get(key))), word.subject)
    return await_person(
        Arrival(
            person_id=word.person_id,
            door="vouched",
            origin=origin,
            claims=claims(word.person_id, said, origin=origin, name=name),
            until=(now + LONGEST_SESSION).timestamp(),
            target=own_page(request.POST.get("next", "")),
        )
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()
