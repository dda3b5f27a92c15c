"""What a run tells people when it is over: one SNS message with the summary, and one mail to each owner.

Reference: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string

from policies import owners
from policies.digest import Digest, Sorted, moment, shown, sort
from policies.instance import Finding
from policies.owners import Recipient
from policies.runs import Run, State
from portal import aws

MOST_OWNERS = 1000  # whom the user pool is asked for in one run
MOST_MAILS = 500  # in one run; at SES's 14 a second they take under a minute
MOST_NAMED = 30  # owners without mail, and problems, that a message names
_FAILURES_IN_A_ROW = 3  # and SES is left alone
_SUBJECT_CHARACTERS = 99  # SNS takes less than 100
_MESSAGE_BYTES = 256 * 1024


@dataclass
class _Mailing:
    """What became of the owners' mails."""

    mailed: int = 0  # people
    without: dict[str, str] = field(default_factory=dict)  # owner: why not
    problems: list[str] = field(default_factory=list)


def publish(run: Run, findings: Iterable[Finding], *, keep: Callable[[], None] = lambda: None) -> list[str]:
    """Tell the operators of a run that is over, and the owners where there is anything to tell. Return what went wrong
    with that, a sentence each: a report that fails is no failed run. `keep` is called between the calls."""
    try:
        found = sort(findings)
    except (ClientError, BotoCoreError) as error:
        return [f"Nobody was told of this run, because what it did could not be read: {_in_words(error)}."]
    mailing = _mail_owners(run, found.owners, keep)
    return [*mailing.problems, *_tell_operators(run, found, mailing)]


def _is_news(run: Run, found: Sorted) -> bool:
    is_wrong = run.state in (State.CAPPED, State.FAILED) or run.failed or run.problems or run.malformed
    return bool(is_wrong or run.changed or found.all.is_news)


# --- Owners -----------------------------------------------------------------------------------------------------------


def _mail_owners(run: Run, digests: Mapping[str, Digest], keep: Callable[[], None]) -> _Mailing:
    # It imports requests, for which the admin's pages, which import this module, would wait 60 ms at a cold start.
    from anymail.exceptions import AnymailError

    mailing = _Mailing()
    # A person whom tags call by two names gets one mail.
    people: dict[str, tuple[Recipient, list[Digest]]] = {}
    news = (owner for owner, digest in digests.items() if digest.is_news)
    # Those who lose something first.
    for number, owner in enumerate(sorted(news, key=lambda owner: (not digests[owner].is_urgent, owner))):
        if number >= MOST_OWNERS or len(people) == MOST_MAILS:
            mailing.without[owner] = f"comes after the first {MOST_MAILS} to whom one run writes"
            continue
        keep()
        recipient = owners.find(owner)
        if recipient.address:
            people.setdefault(recipient.address.lower(), (recipient, []))[1].append(digests[owner])
        else:
            mailing.without[owner] = recipient.why_not
    connection = get_connection()
    failures = 0
    for recipient, theirs in people.values():
        if failures == _FAILURES_IN_A_ROW:
            mailing.without[recipient.address] = "was not written to after SES had failed"
            continue
        keep()
        try:
            _digest_mail(run, recipient, theirs, connection).send()
        except (AnymailError, ClientError, BotoCoreError) as error:
            failures += 1
            mailing.without[recipient.address] = "could not be written to"
            mailing.problems.append(f"A mail to {shown(recipient.address)} could not be sent: {_in_words(error)}.")
        else:
            failures = 0
            mailing.mailed += 1
    return mailing


def _digest_mail(run: Run, recipient: Recipient, digests: list[Digest], connection: object) -> EmailMultiAlternatives:
    parts = [
        ("To be stopped or terminated", "warned"),
        ("Stopped or terminated", "ended"),
        ("New tags", "changed"),
        ("For you to look at", "noted"),
    ]
    facts = {
        "name": shown(recipient.name),
        "address": recipient.address,
        "at": moment(run.started_at),
        "portal_url": settings.PORTAL_URL,
        "is_warning": any(one.warned for one in digests),
        "parts": [
            {
                "title": title,
                "kind": kind,
                "entries": [entry for one in digests for entry in getattr(one, kind).entries],
                "more": sum(getattr(one, kind).more for one in digests),
            }
            for title, kind in parts
            if any(getattr(one, kind) for one in digests)
        ],
    }
    message = EmailMultiAlternatives(
        subject=_digest_subject(digests),
        body=render_to_string("policies/mail/digest.txt", facts),
        to=[recipient.address],
        headers={"Auto-Submitted": "auto-generated"},
        connection=connection,
    )
    message.attach_alternative(render_to_string("policies/mail/digest.html", facts), "text/html")
    return message


def _digest_subject(digests: list[Digest]) -> str:
    """Say the worst of it, in words and numbers of our own only."""
    if warned := sum(len(one.warned) for one in digests):
        return f"{_instances(warned)} of yours will be stopped or terminated unless tagged"
    if ended := sum(len(one.ended) for one in digests):
        return f"{_instances(ended)} of yours {'was' if ended == 1 else 'were'} stopped or terminated"
    return f"New tags on {_instances(sum(len(one.changed) for one in digests))} of yours"


# --- Operators --------------------------------------------------------------------------------------------------------


def _tell_operators(run: Run, found: Sorted, mailing: _Mailing) -> list[str]:
    facts = {
        "run": run,
        "at": moment(run.started_at),
        "by": shown(run.by_name) or "the schedule",
        "found": found,
        "parts": [
            ("To be stopped or terminated", found.all.warned),
            ("Stopped or terminated", found.all.ended),
            ("Failed", found.failed),
        ],
        "tags": [(shown(key), one.present, one.present + one.missing) for key, one in sorted(run.tags.items())],
        "problems": [shown(one, 300) for one in (*run.problems, *mailing.problems)][:MOST_NAMED],
        "malformed": [shown(one, 300) for one in run.malformed][:MOST_NAMED],
        "mailed": mailing.mailed,
        "without": len(mailing.without),
        "named": [f"{shown(owner)} {why}" for owner, why in mailing.without.items()][:MOST_NAMED],
        "url": f"{settings.PORTAL_URL}/admin/policies/policyrun/{run.run_id}/change/",
    }
    message = render_to_string("policies/mail/summary.txt", facts)
    try:
        aws.client("sns").publish(
            TopicArn=settings.POLICY_REPORTS_TOPIC_ARN,
            Subject=_summary_subject(run, found)[:_SUBJECT_CHARACTERS],
            Message=message.encode()[:_MESSAGE_BYTES].decode(errors="ignore"),
            # What a subscription can filter by, to hear of the quiet hours or not.
            MessageAttributes={
                "News": {"DataType": "String", "StringValue": "yes" if _is_news(run, found) else "no"},
            },
        )
    except (ClientError, BotoCoreError) as error:
        return [f"The summary could not be published: {_in_words(error)}."]
    return []


def _summary_subject(run: Run, found: Sorted) -> str:
    if run.state is State.CAPPED:
        return f"Tag policies: stopped by the cap, {_instances(run.to_change)} would change"
    counts = [f"{_instances(run.changed)} changed"] if run.changed else []
    for part, word in ((found.all.warned, "to be ended"), (found.all.ended, "ended"), (found.failed, "failed")):
        counts += [f"{len(part):,} {word}"] if part else []
    if run.state in (State.FAILED, State.CANCELLED):
        counts.insert(0, f"the run {'failed' if run.state is State.FAILED else 'was cancelled'}")
    nothing = "something is wrong" if _is_news(run, found) else "nothing to change"
    return f"Tag policies: {', '.join(counts) or nothing}"


def _instances(number: int) -> str:
    return f"{number:,} instance{'' if number == 1 else 's'}"


def _in_words(error: Exception) -> str:
    cause = error if isinstance(error, ClientError) else error.__cause__
    return f"AWS said {aws.error_code(cause)}" if isinstance(cause, ClientError) else type(cause or error).__name__
