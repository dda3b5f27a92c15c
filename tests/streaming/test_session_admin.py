"""Operators see who is in which application, and end a session."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.contrib.admin.utils import quote
from django.test import Client

from portal.accounts.models import User
from portal.streaming import appstream, models, session_admin
from portal.streaming.rules import user_id
from tests.html import page_problems
from tests.streaming.test_admin import called, entries, launched, text
from tests.streaming.test_fleet_admin import NASTY

LIST = "/admin/streaming/session/"
PLACE = "sample-stack/sample-fleet"
REASON = "The fleet needs an update."


def url(**query):
    return f"{LIST}?{urlencode(query)}"


def end_url(session, **query):
    session = session if isinstance(session, dict) else {"Id": session, "UserId": "x" * 32}
    given = {"place": PLACE, "on": PLACE, "of": session["UserId"], **query}
    return f"{LIST}{quote(session['Id'])}/end/?{urlencode(given)}"


def whose(page):
    return [one.owner for one, _, _ in page.context["rows"]]


def direct(streaming, user="somebody", stack="sample-stack", fleet="sample-fleet"):
    """Let somebody in whom the portal knows nothing of."""
    admin = streaming.cloud.admin("appstream")
    answer = admin.create_streaming_url(StackName=stack, FleetName=fleet, UserId=user)
    assert streaming.open(answer["StreamingURL"]).status == 200
    streaming.settle()


@pytest.fixture
def asks(client_for, operator, streaming):
    """The operator's browser."""
    return client_for(operator)


@pytest.fixture
def session(streaming, ask, rider):
    """The rider's session in the studio."""
    streaming.fleet()
    streaming.application(MostMinutes=30)
    launched(streaming, ask, rider)
    [found] = streaming.sessions()
    return found


# --- The list ---------------------------------------------------------------------------------------------------------


def test_each_session_says_whose_it_is_what_since_when_and_until_when(cloud, asks, session, rider):
    page = asks.get(url(place=PLACE))
    assert called(cloud) == {"DescribeSessions": 1}
    assert cloud.calls()["dynamodb", "BatchGetItem"] == 1
    said = text(page)
    for fact in ("Ada Lovelace", "rider", "Studio", "connected", "sample-stack / sample-fleet"):
        assert fact in said, fact
    [(one, person, _)] = page.context["rows"]
    assert (one.until - one.session.started_at).total_seconds() == 30 * 60
    assert person == f"/admin/people/person/_sub/{quote(rider.sub)}/"
    assert asks.get(person)["Location"] == "/admin/people/person/rider/change/"
    assert not page_problems(page.content.decode())


def test_the_first_pair_is_shown_and_the_choice_is_in_the_address(asks, streaming, session, settings):
    streaming.fleet("sample-second", stack="sample-zoo")
    streaming.application("paint", Fleet="sample-second", Stack="sample-zoo")
    page = asks.get(LIST)
    assert page.context["found"].heading == f"{settings.STREAMING_STACK} / {settings.STREAMING_FLEET}"
    assert "Nobody has a session here." in text(page)
    assert f'href="?place={settings.STREAMING_STACK}%2F{settings.STREAMING_FLEET}"' in page.content.decode()
    assert 'href="?place=sample-zoo%2Fsample-second"' in page.content.decode()
    assert not page_problems(page.content.decode())
    assert asks.get(url(place="sample-zoo/sample-second")).context["found"].heading == "sample-zoo / sample-second"


def test_many_pairs_are_chosen_from_a_list(asks, streaming, session):
    for number in range(8):
        streaming.application(f"app-{number}", Fleet=f"sample-{number}")
    page = asks.get(url(place=PLACE))
    assert f'<option value="{PLACE}" selected>' in page.content.decode()
    assert not page_problems(page.content.decode())


@pytest.mark.parametrize("place", ["", "nothing", "a/b/c", NASTY, "x" * 5_000, "sample-stack/other", "é/☃"])
def test_a_pair_that_nobody_names_is_not_asked_about(cloud, asks, session, place):
    page = asks.get(url(place=place))
    assert page.status_code == 200
    assert page.context["found"].heading != place
    assert NASTY not in page.content.decode()


def test_one_that_the_portal_did_not_start_is_listed_with_what_appstream_calls_them(asks, streaming, session):
    direct(streaming, "nasty.user@example.com")
    page = asks.get(url(place=PLACE))
    assert sorted(whose(page)) == ["Ada Lovelace", "not known: UserId nasty.user@example.com"]
    assert "not started here" in text(page)


def test_the_sessions_are_walked_page_by_page(cloud, asks, streaming, monkeypatch):
    monkeypatch.setattr(appstream, "PAGE", 2)
    streaming.fleet(instances=5)
    streaming.application()
    for number in range(3):
        direct(streaming, f"user-{number}")
    first = asks.get(url(place=PLACE))
    assert called(cloud) == {"DescribeSessions": 1}
    assert len(whose(first)) == 2
    second = asks.get(LIST + first.context["more"])
    assert len(whose(first) + whose(second)) == len(set(whose(first) + whose(second))) == 3
    assert "More ›" not in text(second)
    assert whose(asks.get(LIST + second.context["first"])) == whose(first)


@pytest.mark.parametrize("more", ["nonsense", "x" * 5_000, "☃"])
def test_a_page_that_is_no_page_leads_to_the_first_one(asks, session, more):
    page = asks.get(url(place=PLACE, more=more), follow=True)
    assert page.redirect_chain[-1][0].endswith(f"?{urlencode({'place': PLACE})}")
    assert "That page was left open for too long." in text(page)
    assert whose(page) == ["Ada Lovelace"]


def test_a_pair_that_is_not_there_or_out_of_reach_is_said(asks, streaming):
    streaming.application("gone", Stack="sample-gone", Fleet="sample-gone")
    streaming.application("other", Stack="theirs", Fleet="theirs")
    page = asks.get(url(place="sample-gone/sample-gone"))
    assert "AppStream has no such stack or fleet." in text(page)
    assert not page_problems(page.content.decode())
    page = asks.get(url(place="theirs/theirs"))
    assert page.status_code == 200
    assert "The portal may not reach the stack theirs and the fleet theirs." in text(page)


def test_where_there_is_nowhere_to_be_it_is_said(asks, settings):
    settings.STREAMING_STACK = settings.STREAMING_FLEET = ""
    page = asks.get(LIST)
    assert "There is no stack and fleet yet that people could be on." in text(page)
    assert not page_problems(page.content.decode())


@pytest.mark.parametrize("kind", ["throttle", "error"])
@pytest.mark.parametrize("query", [{"place": PLACE}, {"q": "rider"}])
def test_without_appstream_the_page_says_so(cloud, asks, session, query, kind):
    cloud.faults.add(service="appstream", kind=kind)
    page = asks.get(url(**query))
    assert page.status_code == 200
    assert "AppStream did not answer. Look again in a moment." in text(page)
    assert "Nobody has a session" not in text(page)
    assert not page_problems(page.content.decode())


def test_titles_and_names_are_text(asks, streaming, ask, rider):
    streaming.fleet()
    streaming.application(Title=NASTY)
    launched(streaming, ask, rider)
    [session] = streaming.sessions()
    for path in (url(place=PLACE), url(q="rider"), url(q=NASTY), end_url(session, q=NASTY)):
        page = asks.get(path)
        assert page.status_code == 200
        assert NASTY not in page.content.decode()


# --- The search -------------------------------------------------------------------------------------------------------


def test_a_person_is_found_by_name_address_sub_and_what_appstream_calls_them(cloud, asks, session, rider, author):
    for text_ in ("rider", rider.email, rider.sub, user_id(rider.sub), " rider "):
        page = asks.get(url(q=text_))
        assert whose(page) == ["Ada Lovelace"], text_
        assert "Of Ada Lovelace" in text(page)
        assert not page_problems(page.content.decode())
    cloud.forget_calls()
    asks.get(url(q=rider.sub))
    assert called(cloud) == {"DescribeSessions": 1}
    assert called(cloud, "cognito-idp") == {}
    assert "No session runs." in text(asks.get(url(q="author")))
    page = asks.get(url(q="nobody-at-all"))
    assert "Nobody is known as “nobody-at-all”." in text(page)
    assert not page_problems(page.content.decode())


def test_all_places_of_a_person_are_looked_at_the_deleted_ones_too(cloud, asks, streaming, ask, session, rider):
    streaming.fleet("sample-second", stack="sample-second")
    streaming.application("paint", Fleet="sample-second", Stack="sample-second")
    launched(streaming, ask, rider, Application="paint")
    models.Application.objects.get(pk="paint").delete()
    page = asks.get(url(q="rider"))
    assert sorted(one.launch.title for one, _, _ in page.context["rows"]) == ["Paint", "Studio"]
    assert "sample-second / sample-second" in text(page)
    # And can be ended there.
    [there] = streaming.sessions("sample-second", "sample-second")
    place = "sample-second/sample-second"
    asks.post(end_url(there, on=place, q="rider"), {"reason": REASON})
    assert streaming.sessions("sample-second", "sample-second") == []


def test_a_place_that_is_gone_is_passed_over(cloud, asks, streaming, session, rider):
    admin = cloud.admin("appstream")
    admin.expire_session(SessionId=session["Id"])
    admin.disassociate_fleet(FleetName="sample-fleet", StackName="sample-stack")
    admin.delete_stack(Name="sample-stack")
    page = asks.get(url(q="rider"))
    assert page.status_code == 200
    assert "No session runs." in text(page)


def test_without_the_user_pool_the_search_says_so(cloud, asks, session):
    cloud.faults.add(service="cognito-idp", kind="throttle")
    page = asks.get(url(q="rider"))
    assert page.status_code == 200
    assert "The user pool did not answer." in text(page)


@pytest.mark.parametrize("text_", ["x" * 5_000, "é☃", '"', "*", "\\", "\0", "a" * 32, "arn:x"])
def test_an_odd_search_finds_nothing(asks, session, text_):
    page = asks.get(url(q=text_))
    assert page.status_code == 200
    assert whose(page) == []


@pytest.mark.parametrize("who", ["operator", "auditor"])
def test_a_person_s_page_leads_to_their_sessions(client_for, request, session, who):
    asks = client_for(request.getfixturevalue(who))
    page = asks.get("/admin/people/person/rider/change/")
    assert f'<a href="{LIST}?q=rider">Streaming sessions</a>' in page.content.decode()
    assert not page_problems(page.content.decode())
    assert whose(asks.get(url(q="rider"))) == ["Ada Lovelace"]


def test_whoever_may_see_no_sessions_is_not_led_there(client_for, operator, session, monkeypatch):
    asks = client_for(operator)
    may = User.has_perm
    monkeypatch.setattr(
        User, "has_perm", lambda self, name, *a: name != "streaming.view_session" and may(self, name, *a)
    )
    for act in ("change", "disable"):
        page = asks.get(f"/admin/people/person/rider/{act}/")
        assert page.status_code == 200
        assert f'href="{LIST}?q=rider"' not in page.content.decode(), act
    assert "Streaming sessions that run go on until they end." in text(page)


def test_disabling_somebody_says_that_their_sessions_go_on(asks, session):
    page = asks.get("/admin/people/person/rider/disable/")
    assert "Streaming sessions that run go on until they end." in text(page)
    assert f'href="{LIST}?q=rider"' in page.content.decode()
    assert not page_problems(page.content.decode())
    assert "that run go on" not in text(asks.get("/admin/people/person/rider/sign-out/"))


# --- Ending one -------------------------------------------------------------------------------------------------------


def test_ending_asks_for_a_reason_writes_it_down_and_ends(cloud, asks, streaming, session):
    page = asks.get(end_url(session))
    assert "It ends at once. What is not saved in it is lost." in text(page)
    assert "Ada Lovelace" in text(page)
    assert not page_problems(page.content.decode())
    assert len(streaming.sessions()) == 1
    page = asks.post(end_url(session), {"reason": REASON}, follow=True)
    assert "The session of Ada Lovelace is ended." in text(page)
    assert page.request["QUERY_STRING"] == urlencode({"place": PLACE})
    assert "Nobody has a session here." in text(page)
    assert streaming.sessions() == []
    last = entries(cloud)[-1]
    assert (last["ActorName"], last["Action"]) == ("operator", "ended the session")
    assert (last["Object"], last["ObjectName"]) == ("streaming.application/studio", "Studio")
    said = {one["Field"]: one["To"] for one in last["Changes"]}
    assert said == {"whose": "rider", "stack and fleet": PLACE, "reason": REASON}


def test_without_a_reason_nothing_is_ended(cloud, asks, streaming, session):
    before = len(entries(cloud))
    for reason, said in (("", "Say why."), ("no", "Say a little more."), ("x" * 501, "at most 500")):
        page = asks.post(end_url(session), {"reason": reason})
        assert page.status_code == 422
        assert said in text(page)
        assert not page_problems(page.content.decode())
    assert len(streaming.sessions()) == 1
    assert len(entries(cloud)) == before


def test_one_that_is_over_already_is_said_kindly(cloud, asks, session):
    asks.post(end_url(session), {"reason": REASON})
    before = len(entries(cloud))
    for ask_again in (asks.get, lambda path, **more: asks.post(path, {"reason": REASON}, **more)):
        assert session_admin.OVER in text(ask_again(end_url(session), follow=True))
    assert len(entries(cloud)) == before


def test_one_of_somebody_unknown_is_ended_and_written_to_its_fleet(cloud, asks, streaming):
    streaming.fleet()
    streaming.application()
    direct(streaming)
    [session] = streaming.sessions()
    page = asks.post(end_url(session), {"reason": REASON}, follow=True)
    assert "The session is ended." in text(page)
    assert streaming.sessions() == []
    last = entries(cloud)[-1]
    assert last["Object"] == "streaming.fleet/sample-fleet"
    assert ("whose", "UserId somebody") in [(one["Field"], one["To"]) for one in last["Changes"]]


@pytest.mark.parametrize("place", ["sample-hidden/sample-hidden", "theirs/theirs", "", "sample-stack", "a/b/c", "☃/☃"])
def test_only_what_the_catalogue_or_a_launch_names_is_ended(cloud, asks, streaming, session, place):
    streaming.fleet("sample-hidden", stack="sample-hidden")
    direct(streaming, stack="sample-hidden", fleet="sample-hidden")
    [hidden] = streaming.sessions("sample-hidden", "sample-hidden")
    asks.post(end_url(hidden, on=place), {"reason": REASON})
    assert len(streaming.sessions("sample-hidden", "sample-hidden")) == 1
    assert not any(action.startswith("ended") for action in (one["Action"] for one in entries(cloud)))


def test_a_session_is_ended_only_where_it_is_listed(cloud, asks, streaming, ask, session, author):
    """Another's session, or one of another fleet, is not ended by its id alone."""
    launched(streaming, ask, author)
    others = next(one for one in streaming.sessions() if one["UserId"] == user_id(author.sub))
    streaming.fleet("sample-second", stack="sample-second")
    streaming.application("paint", Fleet="sample-second", Stack="sample-second")
    for wrong in ({"of": session["UserId"]}, {"on": "sample-second/sample-second"}, {"of": ""}, {"of": "x" * 500}):
        page = asks.post(end_url(others, **wrong), {"reason": REASON}, follow=True)
        assert session_admin.OVER in text(page), wrong
    assert len(streaming.sessions()) == 2


@pytest.mark.parametrize("session_id", ["nothing", "x" * 3_000, "é☃", "a/b", "..", NASTY, "%00"])
def test_an_address_of_nothing_leads_back_in_words(asks, session, session_id):
    page = asks.get(end_url({"Id": session_id, "UserId": session["UserId"]}), follow=True)
    assert session_admin.OVER in text(page)
    page = asks.get(f"{LIST}{quote(session_id)}/change/", follow=True)
    assert page.redirect_chain[-1][0] == LIST


@pytest.mark.parametrize("kind", ["throttle", "error"])
def test_where_nobody_knows_whether_it_ended_it_is_said(cloud, asks, session, kind):
    cloud.faults.add(service="appstream", action="ExpireSession", kind=kind)
    page = asks.post(end_url(session), {"reason": REASON}, follow=True)
    assert session_admin.UNSURE in text(page)
    assert [one["Action"] for one in entries(cloud)][-2:] == [
        "ended the session",
        "ended the session, which may have failed",
    ]


def test_without_appstream_nothing_is_ended_and_it_is_said(cloud, asks, session):
    cloud.faults.add(service="appstream", kind="error")
    page = asks.post(end_url(session), {"reason": REASON}, follow=True)
    assert "AppStream did not answer." in text(page)
    assert not any(one["Action"].startswith("ended") for one in entries(cloud))


def test_nothing_is_ended_that_the_audit_log_cannot_have(cloud, asks, streaming, session):
    cloud.faults.add(service="dynamodb", action="PutItem", kind="error")
    asks.post(end_url(session), {"reason": REASON})
    cloud.faults.clear()
    assert len(streaming.sessions()) == 1


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_auditors_see_and_end_nothing(client_for, auditor, streaming, session):
    asks = client_for(auditor)
    page = asks.get(url(place=PLACE))
    assert whose(page) == ["Ada Lovelace"]
    assert "/end/" not in page.content.decode()
    assert asks.get(end_url(session)).status_code == 403
    assert asks.post(end_url(session), {"reason": REASON}).status_code == 403
    assert len(streaming.sessions()) == 1


@pytest.mark.parametrize("path", [LIST, end_url("x")])
def test_everybody_else_is_sent_away(client, client_for, rider, path):
    assert client.get(path)["Location"].startswith("/sign-in/")
    assert client_for(rider).get(path).status_code == 403


def test_ending_needs_the_page_s_own_form(client_for, operator, streaming, session):
    asks = client_for(operator, enforce_csrf_checks=False)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = asks.cookies
    assert strict.post(end_url(session), {"reason": REASON}).status_code == 403
    assert asks.post(LIST).status_code == 403
    assert len(streaming.sessions()) == 1
