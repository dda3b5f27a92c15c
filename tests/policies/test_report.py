"""What a run tells people: the summary that SNS gets, and one mail to each owner."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from policies import report
from policies.digest import MOST, shown
from policies.instance import DEADLINE_KEY, Act, Change, Finding, Outcome
from policies.runs import Kind, State, TagCount, new
from tests.html import problems

NOW = datetime(2026, 11, 27, 11, 20, tzinfo=UTC)
DEADLINE = datetime(2026, 12, 4, 11, 20, tzinfo=UTC)
NASTY = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "=cmd|' /C calc'!A0",
    "😀" * 256,
    "{{ settings.SECRET_KEY }}{% now 'Y' %}",
    "line\r\nBcc: mallory@example.com\r\n\r\nbody",
    "\u202eexe.gpj",
    "\x00\x07\x1b[31m",
    "&lt;b&gt; \"quoted\" 'single'",
]


@pytest.fixture
def topic(cloud):
    """Return a function that gives the messages of the reports' topic so far: (subject, text)."""
    sqs, sns = cloud.admin("sqs"), cloud.admin("sns")
    url = sqs.create_queue(QueueName="reports-of-a-test")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    subscription = sns.subscribe(TopicArn=settings.POLICY_REPORTS_TOPIC_ARN, Protocol="sqs", Endpoint=arn)[
        "SubscriptionArn"
    ]
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="FilterPolicy", AttributeValue="{}")
    sqs.purge_queue(QueueUrl=url)
    cloud.forget_calls()

    def messages():
        return [(one["Subject"], one["Message"]) for one in map(json.loads, cloud.messages(url))]

    return messages


@pytest.mark.parametrize(("facts", "news"), [({}, "yes"), ({"changed": 0}, "no"), ({"changed": 0, "failed": 1}, "yes")])
def test_a_subscription_can_leave_out_what_is_no_news(topic, cloud, facts, news):
    sns = cloud.admin("sns")
    arns = [
        one["SubscriptionArn"]
        for one in sns.list_subscriptions_by_topic(TopicArn=settings.POLICY_REPORTS_TOPIC_ARN)["Subscriptions"]
    ]
    for arn in arns:
        sns.set_subscription_attributes(
            SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue='{"News": ["yes"]}'
        )
    report.publish(run(**facts), [])
    assert len(topic()) == (news == "yes")


@pytest.fixture
def mails(cloud):
    """Return a function that gives the mails since the test began."""
    before = len(cloud.mails())
    return lambda: cloud.mails()[before:]


def run(state=State.DONE, **facts):
    return new(Kind.ENFORCE, now=NOW, suffix="tests").model_copy(update={"state": state, "changed": 1, **facts})


def finding(instance_id="i-0001", *, owner="rider", name="web", **facts):
    facts = {"changes": [given_tag()], **facts}
    return Finding(instance_id, "eu-west-1", name, NOW, 3, owner=owner, **facts)


def given_tag(key="ProjectCode", new="Proj007", outcome=Outcome.DONE, **facts):
    return Change(key, None, new, 1, "rule 1: it was missing", outcome, **facts)


def marked(instance_id="i-0002", act=Act.STOP, **facts):
    text = f"{act} 2026-12-04T11:20:00Z"
    mark = {"act": Act.MARK, "planned_act": act, "deadline": DEADLINE, "act_outcome": Outcome.DONE}
    return finding(instance_id, changes=[given_tag(DEADLINE_KEY, text)], is_untagged=True, **mark, **facts)


# --- The owners -------------------------------------------------------------------------------------------------------


def test_an_owner_gets_one_mail_however_many_rules_and_instances(topic, mails, rider):
    found = [
        finding("i-0001", changes=[given_tag(), given_tag("Environment", "dev")]),
        finding("i-0002", owner=rider.email),
        marked("i-0003"),
        marked("i-0004", Act.TERMINATE),
        finding("i-0005", act=Act.STOP, act_outcome=Outcome.DONE, changes=[]),
        finding("i-0006", changes=[], notes=["Environment is test, which is not allowed."]),
    ]
    assert report.publish(run(), found) == []
    [mail] = mails()
    assert mail["To"] == [rider.email]
    assert mail["Subject"] == "2 instances of yours will be stopped or terminated unless tagged"
    text = mail["BodyText"]
    assert f"Hello {rider.given_name}," in text
    # The worst first.
    places = [text.index(one) for one in ("i-0003", "i-0004", "i-0005", "i-0001", "i-0006")]
    assert places == sorted(places)
    assert "is stopped after 4 Dec 2026, 11:20 UTC, unless it has tags by then" in text
    assert "is terminated after 4 Dec 2026, 11:20 UTC" in text
    assert "was stopped, because it still had no tags" in text
    assert "ProjectCode = Proj007" in text
    assert "Environment = dev" in text
    assert "Environment is test, which is not allowed." in text
    assert "i-0002" in text
    assert DEADLINE_KEY not in text
    assert "InstanceDetails:instanceId=i-0003" in mail["BodyHtml"]
    assert not problems(mail["BodyHtml"])


def test_each_owner_reads_of_their_own_instances_only(topic, mails, rider, author):
    assert report.publish(run(), [finding("i-0001"), finding("i-0002", owner="author")]) == []
    to = {mail["To"][0]: mail["BodyText"] for mail in mails()}
    assert set(to) == {rider.email, author.email}
    assert "i-0001" in to[rider.email]
    assert "i-0002" not in to[rider.email]


def test_what_was_only_noted_or_failed_is_no_reason_for_a_mail_each_hour(topic, mails):
    failed = given_tag(outcome=Outcome.FAILED, error="AccessDenied")
    report.publish(run(failed=1), [finding(changes=[failed]), finding(changes=[], notes=["Environment is test."])])
    assert mails() == []
    [(_, message)] = topic()
    assert "i-0001 (web) in eu-west-1: ProjectCode: AccessDenied" in message


def test_whom_the_user_pool_does_not_know_gets_no_mail_and_is_named(topic, mails, cloud):
    for owner in ("mallory@elsewhere.example", "Auto Scaling: web", "nobody-of-that-name", "x" * 256):
        assert report.publish(run(), [finding(owner=owner)]) == []
        assert f"- {shown(owner)} is n" in topic()[-1][1]
    assert mails() == []


def test_an_address_of_the_settings_domains_gets_mail_though_the_pool_does_not_know_it(topic, mails, settings):
    settings.OWNER_MAIL_DOMAINS = ["Elsewhere.example"]
    owners = ["mary@elsewhere.example", "mary@sub.elsewhere.example", "mary@elsewhere.example.evil.example"]
    report.publish(run(), [finding(owner=owner) for owner in [*owners, '"a@evil.example,"@elsewhere.example']])
    assert [mail["To"] for mail in mails()] == [["mary@elsewhere.example"]]


@pytest.fixture
def newcomer(cloud):
    """Somebody of the pool for one test. Return the parameters that name them."""
    account = {"UserPoolId": cloud.outputs["UserPoolId"], "Username": "newcomer"}
    administrator = cloud.admin("cognito-idp")
    address = [{"Name": "email", "Value": "newcomer@elsewhere.example"}]
    verified = [*address, {"Name": "email_verified", "Value": "true"}]
    administrator.admin_create_user(**account, MessageAction="SUPPRESS", UserAttributes=verified)
    yield account
    administrator.admin_delete_user(**account)


@pytest.mark.parametrize("owner", ["newcomer", "newcomer@elsewhere.example"])
def test_an_owner_is_found_by_user_name_or_verified_address(topic, mails, newcomer, owner):
    report.publish(run(), [finding(owner=owner)])
    assert [mail["To"] for mail in mails()] == [["newcomer@elsewhere.example"]]


def test_a_disabled_person_gets_no_mail_whatever_the_domain(topic, mails, cloud, newcomer, settings):
    settings.OWNER_MAIL_DOMAINS = ["elsewhere.example"]
    cloud.admin("cognito-idp").admin_disable_user(**newcomer)
    report.publish(run(), [finding(owner="newcomer"), finding(owner="newcomer@elsewhere.example")])
    assert mails() == []
    assert "newcomer is disabled in the user pool" in topic()[0][1]


def test_an_unverified_address_gets_no_mail(topic, mails, cloud, newcomer):
    not_verified = [{"Name": "email_verified", "Value": "false"}]
    cloud.admin("cognito-idp").admin_update_user_attributes(**newcomer, UserAttributes=not_verified)
    report.publish(run(), [finding(owner="newcomer")])
    assert mails() == []
    assert "newcomer has no verified address" in topic()[0][1]


def test_an_owner_costs_one_call_to_the_pool_and_one_to_ses(topic, cloud):
    report.publish(run(), [finding(f"i-{n:04}") for n in range(30)])
    assert cloud.calls() == {("cognito-idp", "AdminGetUser"): 1, ("sesv2", "SendEmail"): 1, ("sns", "Publish"): 1}


def test_a_mail_names_some_instances_and_counts_the_rest(topic, mails):
    report.publish(run(), [finding(f"i-{n:04}") for n in range(MOST + 7)])
    [mail] = mails()
    assert f"i-{MOST - 1:04}" in mail["BodyText"]
    assert f"i-{MOST:04}" not in mail["BodyText"]
    assert "and 7 more" in mail["BodyText"]
    assert mail["Subject"] == f"New tags on {MOST + 7} instances of yours"


@pytest.mark.parametrize("nasty", NASTY)
def test_what_tags_hold_harms_nobody_who_reads_of_it(topic, mails, nasty):
    bad = given_tag(nasty, nasty)
    bad.why = nasty
    failed = given_tag(nasty, outcome=Outcome.FAILED, error=nasty)
    found = [
        finding(name=nasty, changes=[bad], notes=[nasty]),
        finding(owner=nasty),
        finding("i-0003", changes=[failed]),
    ]
    facts = {"failed": 1, "problems": (nasty,), "malformed": (nasty,), "by_name": nasty, "tags": {nasty: TagCount()}}
    assert report.publish(run(**facts), found) == []
    [mail] = mails()
    assert mail["To"] == ["rider@example.com"]
    assert mail["CC"] == mail["BCC"] == []
    assert "<script" not in mail["BodyHtml"]
    assert "<img" not in mail["BodyHtml"]
    assert settings.SECRET_KEY not in mail["BodyHtml"]
    assert not problems(mail["BodyHtml"])
    [(subject, message)] = topic()
    for text in (mail["BodyText"], message):
        assert not [line for line in text.splitlines() if line.startswith("Bcc:")]
        assert not set(text) & set("\x00\x07\x1b\u202e")
        assert max(map(len, text.splitlines())) < 1000
    assert subject == "Tag policies: 1 instance changed, 1 failed"


@given(st.text(), st.integers(1, 300))
def test_what_is_shown_is_one_line_of_at_most_so_many_characters(text, most):
    line = shown(text, most)
    assert len(line) <= most
    assert len(line.splitlines()) <= 1


# --- The operators ----------------------------------------------------------------------------------------------------


def test_the_summary_says_what_was_done_and_leads_to_the_report(topic):
    one = run(
        read=1000,
        matched=900,
        to_change=412,
        changed=410,
        failed=2,
        malformed=("Rule 7: Required must be Y or N.",),
        problems=("CloudTrail did not answer; creators wait for the next run.",),
        tags={"ProjectCode": TagCount(present=600, missing=300)},
    )
    assert report.publish(one, [marked(owner="nobody"), finding("i-0009", owner="")]) == []
    [(subject, message)] = topic()
    assert subject == "Tag policies: 410 instances changed, 1 to be ended"
    assert f"{settings.PORTAL_URL}/admin/policies/policyrun/{one.run_id}/change/" in message
    for line in (
        "A run of the tag policies, begun on 27 Nov 2026, 11:20 UTC by the schedule: done.",
        "Instances read       1000",
        "- ProjectCode: 600 of 900",
        "- i-0002 (web) in eu-west-1: is stopped after 4 Dec 2026, 11:20 UTC, unless it has tags by then",
        "- CloudTrail did not answer; creators wait for the next run.",
        "- Rule 7: Required must be Y or N.",
        "Owners who got a mail    0",
        "Owners who got none      1",
        "- nobody is not in the user pool",
    ):
        assert line in message.splitlines(), message


def test_a_run_that_the_cap_stopped_is_told_of_and_nobody_is_mailed(topic, mails):
    planned = finding(changes=[given_tag(outcome=Outcome.PLANNED)])
    capped = run(State.CAPPED, changed=0, to_change=1234)
    assert report.publish(capped, [planned]) == []
    assert mails() == []
    [(subject, message)] = topic()
    assert subject == "Tag policies: stopped by the cap, 1,234 instances would change"
    assert "stopped by the cap." in message


def test_a_run_that_changed_nothing_is_told_of_as_no_news_and_mails_nobody(topic, mails, cloud):
    assert report.publish(run(changed=0), [finding(changes=[], notes=["It has 50 tags."])]) == []
    calls = cloud.calls()
    [(subject, _)] = topic()
    assert subject == "Tag policies: nothing to change"
    assert mails() == []
    assert dict(calls) == {("sns", "Publish"): 1}


def test_a_summary_fits_into_a_message_whatever_it_has_to_name(topic):
    many = tuple(f"{n}: " + "ä" * 5000 for n in range(500))
    found = [marked(f"i-{n:04}", owner=f"{'ö' * 200}{n}", name="ü" * 256) for n in range(2000)]
    assert report.publish(run(problems=many, malformed=many, changed=10**9), found) == []
    [(subject, message)] = topic()
    assert subject.isascii()
    assert len(subject) < 100
    assert len(message.encode()) <= 256 * 1024


# --- AWS fails --------------------------------------------------------------------------------------------------------


def test_sns_failing_is_a_sentence(topic, cloud):
    cloud.faults.add(service="sns", action="Publish", kind="error")
    assert report.publish(run(), [finding()]) == ["The summary could not be published: AWS said InternalServerError."]


def test_ses_failing_is_a_sentence_and_after_three_it_is_left_alone(topic, mails, cloud, newcomer):
    cloud.faults.add(service="sesv2", action="SendEmail", kind="error")
    owners = ["rider", "author", "approver", "operator", "newcomer"]
    problems = report.publish(run(), [finding(owner=owner) for owner in owners])
    assert len(problems) == 3
    assert problems[0] == "A mail to approver@example.com could not be sent: AWS said InternalServerError."
    assert mails() == []
    [(_, message)] = topic()
    assert "Owners who got none      5" in message
    assert "was not written to after SES had failed" in message


def test_the_user_pool_failing_leaves_owners_without_mail(topic, mails, cloud):
    cloud.faults.add(service="cognito-idp", action="AdminGetUser", kind="error")
    assert report.publish(run(), [finding()]) == []
    assert mails() == []
    assert "rider could not be looked up, because the user pool did not answer" in topic()[0][1]


def test_findings_that_cannot_be_read_are_a_sentence(topic, cloud):
    from policies.runs import all_findings

    cloud.faults.add(service="dynamodb", action="GetItem", kind="error")
    [problem] = report.publish(run(pages=1), all_findings(run(pages=1)))
    assert problem.startswith("Nobody was told of this run")
    assert topic() == []
