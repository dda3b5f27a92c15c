"""One person's page: all that is known of them, in a handful of calls."""

from __future__ import annotations

import json
import re

import pytest

from portal.accounts import people
from portal.accounts.models import User
from portal.dynamo import audit
from portal.dynamo.values import to_item
from tests.html import page_problems
from tests.people.conftest import LIST, text


def test_a_person_has_a_page_with_all_that_is_known(cloud, asks, client_for, rider, settings):
    client_for(rider, headers={"user-agent": "Mozilla/5.0 (X11; Linux) Firefox/130.0"})
    people.remember_identity(rider.sub, "eu-west-1:corner")
    audit.record("waved at", by=User(sub="x", username="someone"), object=f"accounts.user/{rider.sub}", object_name="r")
    cloud.forget_calls()
    page = asks.get(f"{LIST}rider/change/")
    # The session, what is remembered, where they are signed in, the audit log, and the user pool twice.
    assert cloud.calls() == {
        ("cognito-idp", "AdminGetUser"): 1,
        ("cognito-idp", "AdminListGroupsForUser"): 1,
        ("dynamodb", "GetItem"): 2,
        ("dynamodb", "Query"): 2,
    }
    said = text(page)
    for fact in (
        "Ada Lovelace",
        rider.email,
        "active",
        rider.sub,
        "Second factor none",
        "In no group.",
        "Firefox on Linux",
        "Last came in",
        "with a password",
        "ugc/eu-west-1:corner/",
        "someone waved at",
    ):
        assert fact in said, fact
    html = page.content.decode()
    assert not page_problems(html)
    assert f'href="{LIST}rider/disable/"' in html
    assert f'href="/admin/rides/ride/?q={rider.sub}"' in html
    assert f'href="/admin/dynamo/auditentry/?q=accounts.user%2F{rider.sub}"' in html


def test_a_person_of_whom_nothing_is_known_has_a_page_too(asks, member):
    one = member(given_name="", is_confirmed=False)
    said = text(asks.get(one.url))
    for fact in ("Nowhere.", "No sign-in is remembered.", "They have never used AWS.", "invited", "Name –"):
        assert fact in said, fact


def test_a_second_factor_and_another_way_in_are_named(cloud, asks, member):
    one = member()
    who = {"UserPoolId": cloud.outputs["UserPoolId"], "Username": one.username}
    identities = json.dumps([{"providerName": "Acme", "userId": "ada"}])
    cloud.admin("cognito-idp").admin_update_user_attributes(
        **who,
        UserAttributes=[
            {"Name": "identities", "Value": identities},
            {"Name": "phone_number", "Value": "+447700900123"},
            {"Name": "phone_number_verified", "Value": "true"},
        ],
    )
    cloud.admin("cognito-idp").admin_set_user_mfa_preference(
        **who, SMSMfaSettings={"Enabled": True, "PreferredMfa": True}
    )
    said = text(asks.get(one.url))
    assert "Second factor text messages" in said
    assert "user name and password, Acme" in said


def test_a_sub_leads_to_the_person_and_not_to_who_took_it_for_a_name(asks, member):
    one = member()
    impostor = member(username=one.sub)
    assert asks.get(f"{LIST}_sub/{one.sub}/")["Location"] == one.url.replace("_", "_5F")
    page = asks.get(f"{LIST}{one.sub}/change/")
    assert impostor.email in text(page)
    assert one.email not in text(page)
    assert "This person is not in the user pool." in text(asks.get(f"{LIST}_sub/nobody/", follow=True))


def test_an_address_or_a_sub_is_no_user_name(asks, member):
    """Cognito takes them for one; a page has one address."""
    one = member()
    for key in (one.email, one.sub, "nobody", "x" * 300, "%20"):
        assert "There is no such person." in text(asks.get(f"{LIST}{key}/change/", follow=True)), key


def test_the_audit_log_leads_to_the_person(cloud, asks, operator, rider):
    audit.record("waved at", by=operator, object=f"accounts.user/{rider.sub}", object_name="rider")
    page = asks.get("/admin/")
    assert f'href="{LIST}_sub/{rider.sub}/"' in page.content.decode()


def test_somebody_who_joined_another_door_shows_it(cloud, asks, rider, settings):
    people.link("saml:0123", sub=rider.sub, username="rider")
    assert "Also comes in as saml:0123" in text(asks.get(f"{LIST}rider/change/"))


def test_every_user_name_has_a_page_of_its_own(asks, member):
    for username in ("sub", "_sub", "add", "a/edit", "p+q&r=s#t%u", "Acme_ada@x"[:6]):
        one = member(username=username)
        listed = asks.get(LIST, {"q": username})
        [link] = re.findall(f'href="({LIST}[^"?]+/change/)"', listed.content.decode())
        assert one.sub in text(asks.get(link)), username
        assert asks.get(link.replace("/change/", "/edit/")).context["person"].sub == one.sub


@pytest.mark.parametrize("method", ["post", "delete"])
def test_the_page_itself_takes_no_orders(asks, rider, method):
    for path in (LIST, f"{LIST}rider/change/", f"{LIST}rider/delete/"):
        assert getattr(asks, method)(path).status_code == 403


def test_what_the_portal_does_not_know_is_not_invented(cloud, asks, rider, settings):
    """An item of a later version of Portico, or of nothing but a name."""
    cloud.admin("dynamodb").put_item(
        TableName=settings.TABLES["people"], Item=to_item({"PersonId": rider.sub, "Later": "x"})
    )
    assert "No sign-in is remembered." in text(asks.get(f"{LIST}rider/change/"))
