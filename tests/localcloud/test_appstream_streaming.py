"""Contract of appstream_streaming.py, appstream_pages.py and appstream_session_calls.py: from a URL to a session."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.localcloud.standins.appstream_pages import policy
from portal.localcloud.standins.appstream_streaming import what_is_shown
from tests.localcloud.appstream import CONTROL, Streams, fetch
from tests.localcloud.running_cloud import RunningCloud, wait_until
from tests.localcloud.workflows import code_of
from tests.visitor import Page, Visitor


@pytest.fixture
def streams(cloud: RunningCloud, name: str, region: str) -> Iterator[Streams]:
    yield Streams(cloud, name, region)
    cloud.control("DELETE", CONTROL)


def visit(url: str) -> Page:
    return Visitor().get(url)


def test_url_is_unguessable_and_says_when_it_expires(streams: Streams) -> None:
    streams.make()
    for validity, options in ((60, {}), (604800, {"Validity": 604800})):
        answer = streams.api.create_streaming_url(
            FleetName=streams.name, StackName=streams.name, UserId="ada", **options
        )
        left = answer["Expires"] - datetime.now(UTC)
        assert timedelta(seconds=validity - 5) < left <= timedelta(seconds=validity)
    urls = {streams.url() for _ in range(10)}
    assert len(urls) == 10
    for url in urls:
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == streams.cloud.endpoint
        assert parts.path == "/streaming/authenticate"
        (secret,) = parse_qs(parts.query)["parameters"]
        assert len(secret) >= 43


def test_url_is_refused_without_a_fleet_that_runs_for_the_stack(streams: Streams) -> None:
    def code(**changes: str) -> str:
        request = {"FleetName": streams.name, "StackName": streams.name, "UserId": "ada", **changes}
        return code_of(lambda: streams.api.create_streaming_url(**request))

    streams.make_fleet()
    streams.api.create_stack(Name=streams.name)
    assert code(FleetName="none") == code(StackName="none") == "ResourceNotFoundException"
    assert code() == "InvalidParameterCombinationException"
    streams.api.associate_fleet(FleetName=streams.name, StackName=streams.name)
    assert code() == "ResourceNotAvailableException"
    streams.control(fleet_start_seconds=100)
    streams.api.start_fleet(Name=streams.name)
    assert code() == "ResourceNotAvailableException"
    streams.control(elapse_seconds=100)
    assert code() == ""
    assert code_of(lambda: streams.url(Validity=0)) == "ValidationException"


def test_url_opens_a_page_that_says_who_streams_what(streams: Streams) -> None:
    streams.make()
    url = streams.url("ada@acme.example", ApplicationId="Firefox", SessionContext='<script>"x"</script> & more')
    assert streams.sessions() == []
    page = visit(url)
    (session,) = streams.sessions()
    assert page.status == 200
    assert page.text.strip().startswith("Streaming · Firefox")
    for text in ("ada@acme.example", "Firefox", streams.name, session["Id"], '<script>"x"</script> & more', "ACTIVE"):
        assert text in page.text
    assert f"{session['MaxExpirationTime'].astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" in page.text
    assert b"<script>" not in fetch(streams.url(SessionContext="<script>")).data


def test_session_is_described(streams: Streams) -> None:
    streams.make(MaxUserDurationInSeconds=600)
    visit(streams.url())
    (session,) = streams.sessions()
    assert session.pop("MaxExpirationTime") - session["StartTime"] == timedelta(seconds=600)
    assert abs(session.pop("StartTime") - datetime.now(UTC)) < timedelta(seconds=5)
    assert session.pop("Id")
    assert session.pop("InstanceId").startswith("i-")
    assert session == {
        "UserId": "ada",
        "StackName": streams.name,
        "FleetName": streams.name,
        "State": "ACTIVE",
        "ConnectionState": "CONNECTED",
        "AuthenticationType": "API",
    }


@pytest.mark.parametrize(
    ("application", "view", "shown"),
    [
        ("Firefox", "APP", "Firefox"),
        ("", "APP", "all applications"),
        ("", "DESKTOP", "desktop"),
        ("Desktop", "DESKTOP", "desktop"),
        ("Firefox", "DESKTOP", "Firefox"),
    ],
)
def test_page_says_what_is_streamed(application: str, view: str, shown: str) -> None:
    assert what_is_shown(application, view) == shown


def test_url_opens_once(streams: Streams) -> None:
    streams.make()
    url = streams.url()
    assert visit(url).status == 200
    again = visit(url)
    assert (again.status, "This link was used already" in again.text) == (403, True)
    assert len(streams.sessions()) == 1


def test_url_opens_until_it_expires(streams: Streams) -> None:
    streams.make()
    early, late = streams.url(Validity=30), streams.url(Validity=30)
    streams.control(elapse_seconds=25)
    assert visit(early).status == 200
    streams.control(elapse_seconds=6)
    page = visit(late)
    assert page.status == 403
    assert "This link has expired" in page.text


@pytest.mark.parametrize("query", ["", "?parameters=", "?parameters=x", "?other=x"])
def test_unknown_url_opens_nothing(cloud: RunningCloud, query: str) -> None:
    page = visit(f"{cloud.endpoint}/streaming/authenticate{query}")
    assert page.status == 404
    assert "There is no such link" in page.text


def test_looking_does_not_use_a_url_up(streams: Streams) -> None:
    streams.make()
    url = streams.url()
    for _ in range(2):
        answer = fetch(url, "HEAD")
        assert (answer.status, answer.data) == (200, b"")
    assert fetch(url, **{"Sec-Purpose": "prefetch;prerender"}).status == 503
    assert streams.sessions() == []
    assert visit(url).status == 200
    assert fetch(url, "HEAD").status == 403
    assert fetch(f"{streams.cloud.endpoint}/streaming/authenticate?parameters=x", "HEAD").status == 404


def test_page_is_for_its_embedders_alone_and_leaves_no_trace(streams: Streams) -> None:
    streams.make(domains=["apps.example", "portal.localhost"])
    url = streams.url()
    for answer in (fetch(url), fetch(url)):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Content-Security-Policy"] == policy(["apps.example", "portal.localhost"])


def test_policy_of_a_page_names_who_may_embed_it() -> None:
    start = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors "
    assert policy([]) == f"{start}'none'"
    assert policy(["a.example", "b.example"]) == (
        f"{start}http://a.example:* https://a.example http://b.example:* https://b.example"
    )
    assert policy(["portal.localhost"]) == (
        f"{start}http://portal.localhost:* https://portal.localhost http://127.0.0.1:* http://localhost:*"
    )


def test_other_site_may_send_somebody_here_but_has_no_other_name_for_it(streams: Streams) -> None:
    streams.make()
    url = streams.url()
    assert fetch(url, Host="rebound.example:80").status == 403
    assert fetch(url, **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}).status == 200


def test_sessions_have_an_instance_each_and_no_more_than_there_are(streams: Streams) -> None:
    streams.make()
    assert visit(streams.url("ada")).status == visit(streams.url("bob")).status == 200
    assert streams.capacity() == {"Desired": 2, "Running": 2, "InUse": 2, "Available": 0}
    waiting = streams.url("eve", Validity=600)
    page = visit(waiting)
    assert (page.status, "No streaming instance is free" in page.text) == (503, True)
    assert len({one["InstanceId"] for one in streams.sessions()}) == 2
    streams.api.expire_session(SessionId=streams.sessions()[0]["Id"])
    assert visit(waiting).status == 200


def test_instance_is_shared_where_the_fleet_has_many_sessions(streams: Streams) -> None:
    streams.make(ComputeCapacity={"DesiredSessions": 3}, MaxSessionsPerInstance=2)
    users = ["ada", "bob", "cyd", "dee"]
    assert [visit(streams.url(user)).status for user in users] == [200] * 4
    assert visit(streams.url("eve")).status == 503
    status = streams.capacity()
    assert (status["ActiveUserSessions"], status["AvailableUserSessions"], status["InUse"]) == (4, 0, 2)
    instances = [one["InstanceId"] for one in streams.sessions()]
    assert sorted(instances.count(one) for one in set(instances)) == [2, 2]
    assert len(streams.sessions(InstanceId=instances[0])) == 2


def test_elastic_fleet_has_so_many_sessions(streams: Streams) -> None:
    streams.make(FleetType="ELASTIC", MaxConcurrentSessions=1)
    assert [visit(streams.url(user)).status for user in ("ada", "bob")] == [200, 503]


def test_user_comes_back_to_the_session(streams: Streams) -> None:
    streams.make(ComputeCapacity={"DesiredInstances": 1})
    visit(streams.url("ada", ApplicationId="Firefox"))
    (before,) = streams.sessions()
    page = visit(streams.url("ada", ApplicationId="Editor"))
    assert "Streaming · Editor" in page.text
    assert streams.sessions() == [before]
    assert before["Id"] in page.text


def test_session_takes_real_time_when_asked_to(streams: Streams) -> None:
    streams.control(session_start_seconds=0.3)
    streams.make()
    assert "PENDING" in visit(streams.url()).text
    (session,) = streams.sessions()
    assert (session["State"], session["ConnectionState"]) == ("PENDING", "NOT_CONNECTED")
    assert streams.capacity()["InUse"] == 1
    wait_until(lambda: streams.sessions()[0]["State"] == "ACTIVE")
    assert streams.sessions()[0]["ConnectionState"] == "CONNECTED"


def test_session_lasts_as_long_as_the_fleet_says(streams: Streams) -> None:
    streams.make(MaxUserDurationInSeconds=600)
    page = visit(streams.url())
    streams.control(elapse_seconds=595)
    assert len(streams.sessions()) == 1
    streams.control(elapse_seconds=6)
    assert streams.sessions() == []
    assert streams.capacity()["InUse"] == 0
    assert "The session is over" in Visitor().submit(page, button="End session").text


def test_person_ends_the_session(streams: Streams) -> None:
    streams.make()
    visitor = Visitor()
    page = visitor.get(streams.url())
    for _ in range(2):
        ended = visitor.submit(page, button="End session")
        assert (ended.status, "The session is over" in ended.text) == (200, True)
        assert streams.sessions() == []


def test_person_disconnects_and_comes_back_in_time(streams: Streams) -> None:
    streams.make(DisconnectTimeoutInSeconds=60)
    page = visit(streams.url())
    assert "You are disconnected" in Visitor().submit(page, button="Disconnect").text
    (session,) = streams.sessions()
    assert (session["State"], session["ConnectionState"]) == ("ACTIVE", "NOT_CONNECTED")
    page = visit(streams.url())
    assert [(one["Id"], one["ConnectionState"]) for one in streams.sessions()] == [(session["Id"], "CONNECTED")]
    Visitor().submit(page, button="Disconnect")
    streams.control(elapse_seconds=61)
    assert streams.sessions() == []


def test_session_is_its_pages_alone_to_end(streams: Streams) -> None:
    streams.make()
    page = visit(streams.url())
    for secret in ("", "x", streams.sessions()[0]["Id"]):
        answer = Visitor().post(f"{streams.cloud.endpoint}/streaming/end", page=secret)
        assert answer.status == 404
    assert fetch(f"{streams.cloud.endpoint}/streaming/end").status == 404
    assert len(streams.sessions()) == 1
    assert page.forms[0].fields["page"] not in page.url


def test_session_is_ended_by_a_call(streams: Streams) -> None:
    streams.make()
    visit(streams.url())
    (session,) = streams.sessions()
    for identifier in (session["Id"], session["Id"], "unknown"):
        streams.api.expire_session(SessionId=identifier)
        assert streams.sessions() == []
    assert visit(streams.url()).status == 200
    assert streams.sessions()[0]["Id"] != session["Id"]


def test_fleet_that_stops_ends_its_sessions(streams: Streams) -> None:
    streams.make()
    unused = streams.url("bob", Validity=600)
    visit(streams.url("ada"))
    code = code_of(lambda: streams.api.disassociate_fleet(FleetName=streams.name, StackName=streams.name))
    assert code == "ResourceInUseException"
    streams.control(fleet_start_seconds=100)
    streams.api.stop_fleet(Name=streams.name)
    assert streams.sessions() == []
    page = visit(unused)
    assert (page.status, "The fleet is not running" in page.text) == (503, True)
    streams.control(elapse_seconds=100, fleet_start_seconds=0)
    streams.api.start_fleet(Name=streams.name)
    assert visit(unused).status == 200


def test_sessions_are_found_by_their_user_and_come_in_pages(streams: Streams) -> None:
    streams.make(ComputeCapacity={"DesiredInstances": 30})
    users = [f"user-{number:02}" for number in range(25)]
    for user in users:
        visit(streams.url(user))
    describe = streams.api.describe_sessions
    both: dict[str, Any] = {"FleetName": streams.name, "StackName": streams.name}
    first = describe(**both)
    assert len(first["Sessions"]) == 20
    second = describe(**both, NextToken=first["NextToken"], Limit=50)
    assert [one["UserId"] for one in first["Sessions"] + second["Sessions"]] == users
    (mine,) = describe(**both, UserId="user-03", AuthenticationType="API")["Sessions"]
    assert mine["UserId"] == "user-03"
    assert describe(**both, AuthenticationType="SAML")["Sessions"] == []
    assert len(describe(**both, Limit=3)["Sessions"]) == 3
    for wrong, code in (
        ({"UserId": "user-03"}, "InvalidParameterCombinationException"),
        ({"NextToken": first["NextToken"], "InstanceId": "i-1"}, "InvalidParameterCombinationException"),
        ({"Limit": 51}, "ValidationException"),
        ({"Limit": 0}, "ValidationException"),
        ({"StackName": "none"}, "InvalidParameterCombinationException"),
    ):
        request: dict[str, Any] = {**both, **wrong}
        assert code_of(lambda request=request: describe(**request)) == code


def test_log_has_no_url(streams: Streams) -> None:
    streams.make()
    url = streams.url()
    visit(url)
    visit(url)
    secret = url.rpartition("=")[2]
    assert not any(secret in line for line in streams.cloud.log)


def test_url_opens_once_however_many_open_it_together(streams: Streams) -> None:
    streams.make()
    url = streams.url()
    with ThreadPoolExecutor(8) as pool:
        opened = [answer.status for answer in pool.map(fetch, [url] * 16)]
    assert sorted(opened) == [200] + [403] * 15
    assert len(streams.sessions()) == 1


def test_no_more_come_in_than_there_is_room_for_however_many_come_together(streams: Streams) -> None:
    streams.make()
    urls = [streams.url(f"user-{number}") for number in range(12)]
    with ThreadPoolExecutor(8) as pool:
        opened = [answer.status for answer in pool.map(fetch, urls)]
    assert sorted(opened) == [200] * 2 + [503] * 10
    assert streams.capacity()["InUse"] == 2
