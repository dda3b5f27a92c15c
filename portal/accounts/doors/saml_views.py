"""The company's SAML door at the portal itself: the way there, the way back, and what its administrator needs.

docs/decisions/0011-saml-at-the-portal.md says who checks what, and why an assertion alone signs nobody in.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_POST

from portal.accounts import sts
from portal.accounts.doors import once, saml, saml_messages, saml_requests
from portal.accounts.doors.arrival import Arrival, claims
from portal.accounts.doors.arrival_views import await_person, refused
from portal.accounts.doors.hosted import own_page
from portal.accounts.refusals import AssertionRefused

LONGEST_SESSION = timedelta(hours=1)
LONGEST_RELAY_STATE = 80  # SAML allows no more


@require_GET
@never_cache
def start(request: HttpRequest) -> HttpResponse:
    """Go to the company's sign-in page."""
    if not (settings.SAML_PROVIDER_ARN and settings.SAML_SIGN_IN_URL):
        raise Http404
    request_id = saml_messages.new_request_id()
    target = own_page(request.GET.get("next", ""))
    response = HttpResponseRedirect(
        saml_messages.sign_in_address(
            settings.SAML_SIGN_IN_URL,
            request_id=request_id,
            acs=acs_address(),
            relay_state=target if len(target.encode()) <= LONGEST_RELAY_STATE else "",
            now=datetime.now(UTC),
        )
    )
    saml_requests.add(request, response, request_id)
    return response


@csrf_exempt  # the company's page posts it
@require_POST
@never_cache
@sensitive_post_parameters("SAMLResponse")
@sensitive_variables()
def acs(request: HttpRequest) -> HttpResponse:
    """Take an assertion, let AWS check who made it, and go on to ask the person."""
    if not settings.SAML_PROVIDER_ARN:
        raise Http404
    now = datetime.now(UTC)
    encoded = request.POST.get("SAMLResponse", "")
    try:
        assertion = saml.read(encoded, acs=acs_address(), now=now)
        proven = sts.assume_with_saml("".join(encoded.split()))
        _compare(assertion, proven)
        # Only now: what nobody signed is not written down, and what AWS could not answer may be sent again.
        if not once.use("saml", assertion.issuer, assertion.assertion_id, now=now):
            raise AssertionRefused("it was used already")
    except AssertionRefused as error:
        return refused(request, error, door="saml")
    origin = _provider()[1]
    person_id = "saml:" + hashlib.sha256(f"{proven.name_qualifier}\0{proven.subject}".encode()).hexdigest()[:32]
    said = assertion.attributes
    until = min(filter(None, [assertion.session_ends_at, now + LONGEST_SESSION]))
    return await_person(
        Arrival(
            person_id=person_id,
            door="saml",
            origin=origin,
            claims=claims(person_id, said, origin=origin, name=said.get("email") or proven.subject),
            until=until.timestamp(),
            target=own_page(request.POST.get("RelayState", "")),
            in_response_to=assertion.in_response_to,
        )
    )


@require_GET
def metadata(request: HttpRequest) -> HttpResponse:
    return HttpResponse(saml_messages.metadata(acs_address()), content_type="application/samlmetadata+xml")


def acs_address() -> str:
    return f"{settings.PORTAL_URL}{reverse('accounts:saml-acs')}"


def _compare(assertion: saml.Assertion, proven: sts.SamlSession) -> None:
    """Raise AssertionRefused where AWS read something else than the portal did."""
    account, name = _provider()
    # Reference: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithSAML.html
    qualifier = hashlib.sha1(f"{assertion.issuer}{account}/{name}".encode(), usedforsecurity=False).digest()
    ours = (
        assertion.subject,
        "persistent",
        assertion.issuer,
        assertion.recipient,
        base64.b64encode(qualifier).decode(),
    )
    theirs = (proven.subject, proven.subject_type, proven.issuer, proven.audience, proven.name_qualifier)
    if ours != theirs:
        raise AssertionRefused("AWS reads it in another way")


def _provider() -> tuple[str, str]:
    """Return the account that the company's provider is in, and its name there."""
    _, _, _, _, account, name = settings.SAML_PROVIDER_ARN.split(":", 5)
    return account, name.rpartition("/")[2]
