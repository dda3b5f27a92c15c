""" "End now": the denial, its place on the roles, and the proof that it is in effect."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings

from portal.accounts import iam, issued, people, probe, revocation
from portal.dynamo import audit
from tests.conftest import SignedUp, TestCloud

needs_roles = pytest.mark.usefixtures("people_roles")

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def denials(arn: str) -> list[str]:
    return [name for name in iam.inline_policies(arn) if name.startswith("ended-")]


# --- The rules --------------------------------------------------------------------------------------------------------


def test_the_denial_is_of_one_persons_older_sessions() -> None:
    assert json.loads(revocation.document(["5e1f-aa"], NOON)) == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {
                    "DateLessThan": {"aws:TokenIssueTime": "2026-11-21T12:00:00Z"},
                    "StringEquals": {"aws:PrincipalTag/sub": "5e1f-aa"},
                },
            }
        ],
    }


@pytest.mark.parametrize("sub", ["", "*", "a*", "${aws:userid}", "a b", 'a"', "é", "a\n", "x" * 129])
def test_a_sub_that_iam_might_read_as_more_than_text_is_refused(sub: str) -> None:
    with pytest.raises(ValueError, match="cannot be a sub"):
        revocation.document([sub], NOON)


@pytest.mark.parametrize("sub", ["5e1fe4a0-7081-4a4e-8e9a-0f0f0f0f0f0f", "saml:0123456789abcdef0123456789abcdef"])
def test_the_subs_that_there_are_fit(sub: str) -> None:
    assert sub in revocation.document([sub], NOON)


def test_two_people_who_end_at_once_do_not_share_a_denial() -> None:
    names = {revocation.name_of(sub, NOON) for sub in ("ada", "grace", None)}
    assert len(names) == 3
    assert all(name.startswith("ended-20261121T120000Z-") for name in names)
    # IAM's limit for a policy's name.
    assert all(len(name) <= 128 for name in names)


@pytest.mark.parametrize(
    ("name", "is_due"),
    [
        ("ended-20261121T105959Z-abcdef012345", True),
        ("ended-20261121T110000Z-abcdef012345", False),  # a session of that hour may have a moment left
        ("ended-20261121T115959Z-abcdef012345", False),
        ("ended-20261120T115959Z-everybody", True),
        ("ended-20261122T115959Z-everybody", False),
        ("tables", False),
        ("ended-by-somebody-else", False),
        ("ended-20261121T105959Z-abcdef012345-and-more", False),
        ("not-ended-20261121T105959Z-abcdef012345", False),
    ],
)
def test_a_denial_goes_when_nothing_is_left_for_it_to_refuse(name: str, is_due: bool) -> None:
    assert (revocation.due([name], NOON) == [name]) is is_due


# --- On the roles -----------------------------------------------------------------------------------------------------


@needs_roles
def test_every_role_refuses_that_persons_sessions_and_nobody_elses(cloud: TestCloud, rider: SignedUp) -> None:
    theirs = [probe.start("somebody", arn) for arn in settings.PEOPLE_ROLE_ARNS]
    others = [probe.start("somebody-else", arn) for arn in settings.PEOPLE_ROLE_ARNS]
    ended = revocation.end("somebody", "somebody", by=rider)
    assert ended.effective_at
    assert ended.asked_at <= ended.effective_at
    assert [one and one.is_refused() for one in theirs] == [True] * 3
    assert [one and one.is_refused() for one in others] == [False] * 3
    for arn in settings.PEOPLE_ROLE_ARNS:
        assert denials(arn) == [revocation.name_of("somebody", ended.before)]


@needs_roles
def test_who_was_ended_can_begin_again(cloud: TestCloud, rider: SignedUp) -> None:
    ended = revocation.end("somebody", "somebody", by=rider)
    time.sleep(max(0, ended.before.timestamp() - time.time()))
    again = probe.start("somebody", settings.PERSON_ROLE_ARN)
    assert again
    assert not again.is_refused()


@needs_roles
def test_two_entries_say_who_asked_and_since_when_it_is_so(cloud: TestCloud, rider: SignedUp) -> None:
    ended = revocation.end(rider.sub, "rider", by=rider)
    done, asked = audit.of_object(f"accounts.user/{rider.sub}").records
    assert (asked.action, done.action) == ("asked to end AWS access", "ended AWS access")
    assert asked.actor_name == done.actor_name == "rider"
    assert ended.effective_at
    assert done.changes[1].new == f"{ended.effective_at:%Y-%m-%dT%H:%M:%S}.{ended.effective_at.microsecond // 1000:03}Z"


@needs_roles
def test_an_end_that_was_not_seen_to_take_effect_says_so(
    cloud: TestCloud, rider: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "PROOF_SECONDS", 0.05)
    monkeypatch.setattr(revocation, "document", lambda sub, before: policy_for_nobody())
    ended = revocation.end(rider.sub, "rider", by=rider)
    assert ended.effective_at is None
    _, end = issued.recent(rider.sub, now=datetime.now(UTC))
    assert end
    assert end.is_done
    assert end.effective_at is None


def policy_for_nobody() -> str:
    """A denial as it is before it has arrived everywhere."""
    condition = {"StringEquals": {"aws:PrincipalTag/sub": "nobody"}}
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@needs_roles
def test_a_denial_is_added_although_there_is_no_probe(cloud: TestCloud, rider: SignedUp) -> None:
    cloud.faults.add(service="cognito-identity", action="GetOpenIdTokenForDeveloperIdentity", kind="throttle")
    ended = revocation.end(rider.sub, "rider", by=rider)
    assert ended.effective_at is None
    assert all(denials(arn) for arn in settings.PEOPLE_ROLE_ARNS)


@needs_roles
def test_denials_that_are_over_are_cleared_away(cloud: TestCloud) -> None:
    arn, now = settings.PERSON_ROLE_ARN, datetime.now(UTC)
    for hours, who in ((3, "ada"), (2, "grace"), (0.5, "mary")):
        before = now - timedelta(hours=hours)
        iam.put(arn, revocation.name_of(who, before), revocation.document([who], before))
    revocation.deny(arn, ["katherine"], before=now, now=now)
    assert set(denials(arn)) == {
        revocation.name_of("mary", now - timedelta(hours=0.5)),
        revocation.name_of("katherine", now),
    }


@needs_roles
def test_a_role_that_is_full_ends_everybodys_older_sessions_and_never_allows_what_was_denied(cloud: TestCloud) -> None:
    arn, now = settings.PERSON_ROLE_ARN, datetime.now(UTC).replace(microsecond=0)
    for number in range(60):
        before = now + timedelta(seconds=number)
        revocation.deny(arn, [f"person-{number}"], before=before, now=now)
        held = [document(cloud, arn, name)["Condition"] for name in denials(arn)]
        is_denied = {one.get("StringEquals", {}).get("aws:PrincipalTag/sub", "everybody") for one in held}
        assert "everybody" in is_denied or is_denied == {f"person-{one}" for one in range(number + 1)}
        if "everybody" in is_denied:
            break
    assert denials(arn) == [revocation.name_of(None, before)]
    # And there is room again.
    revocation.deny(arn, ["one-more"], before=before + timedelta(seconds=1), now=now)
    assert len(denials(arn)) == 2


@needs_roles
def test_whoever_ends_again_and_again_has_one_denial(cloud: TestCloud) -> None:
    arn, now = settings.PERSON_ROLE_ARN, datetime.now(UTC).replace(microsecond=0)
    for number in range(3):
        revocation.deny(arn, ["somebody"], before=now + timedelta(seconds=number), now=now)
    assert denials(arn) == [revocation.name_of("somebody", now + timedelta(seconds=2))]
    # A slower process, which asked earlier, takes nothing back.
    revocation.deny(arn, ["somebody"], before=now, now=now)
    assert revocation.name_of("somebody", now + timedelta(seconds=2)) in denials(arn)


@needs_roles
def test_a_role_that_is_full_keeps_the_latest_moment_that_was_denied(cloud: TestCloud) -> None:
    arn, now = settings.PERSON_ROLE_ARN, datetime.now(UTC).replace(microsecond=0)
    later = now + timedelta(seconds=20)
    revocation.deny(arn, ["somebody"], before=later, now=now)
    number = 0
    while revocation.name_of("somebody", later) in denials(arn):
        revocation.deny(arn, [f"person-{number}"], before=now, now=now)
        number += 1
    assert denials(arn) == [revocation.name_of(None, later)]


@needs_roles
def test_sessions_from_before_accounts_were_joined_end_too(cloud: TestCloud, rider: SignedUp) -> None:
    other_door = "saml:" + "5e1f" * 8
    people.link(other_door, sub="somebody", username="somebody")
    theirs = probe.start(other_door, settings.PERSON_ROLE_ARN)
    revocation.end("somebody", "somebody", by=rider)
    assert theirs
    assert theirs.is_refused()


@needs_roles
def test_a_denial_does_not_wait_for_a_probe_that_hangs(
    cloud: TestCloud, rider: SignedUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "PROBE_SECONDS", 0.2)
    cloud.faults.add(
        service="cognito-identity", action="GetOpenIdTokenForDeveloperIdentity", kind="delay", delay_seconds=6, times=9
    )
    started = time.monotonic()
    ended = revocation.end(rider.sub, "rider", by=rider)
    assert time.monotonic() - started < 4
    assert ended.effective_at is None
    assert all(denials(arn) for arn in settings.PEOPLE_ROLE_ARNS)


def document(cloud: TestCloud, arn: str, name: str) -> dict[str, Any]:
    answer = cloud.admin("iam").get_role_policy(RoleName=arn.rpartition("/")[2], PolicyName=name)
    [statement] = answer["PolicyDocument"]["Statement"]
    return statement
