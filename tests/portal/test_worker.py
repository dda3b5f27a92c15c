"""A laptop's EventBridge and event source mappings: the same events, given to the same entry point."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from django.conf import settings

from portal import events
from portal.localcloud import worker
from portal.localcloud.worker import NotPossible, Queue, Schedule, read

RUNS = "arn:aws:sqs:eu-west-1:123456789012:portico-policy-runs"


@pytest.fixture
def given():
    """What a function was given, as (event, context); it fails while `given.fails`."""

    def handler(event, context):
        remembered.events.append((event, context))
        if remembered.fails:
            raise RuntimeError("the function failed")

    remembered = SimpleNamespace(events=[], handler=handler, fails=False)
    return remembered


def send(cloud, body):
    cloud.admin("sqs").send_message(QueueUrl=settings.POLICY_RUNS_QUEUE_URL, MessageBody=body)


def test_a_message_is_given_as_lambda_gives_it_and_is_gone(cloud, given):
    send(cloud, '{"RunId": "one"}')
    assert Queue(RUNS, given.handler).poll(0) == 1
    [(event, context)] = given.events
    published = json.loads((settings.BASE_DIR / "tests/events/sqs.json").read_text())
    [record], [example] = event["Records"], published["Records"]
    assert set(record) == set(example)
    assert set(example["attributes"]) <= set(record["attributes"])
    assert record["body"] == '{"RunId": "one"}'
    assert record["eventSourceARN"] == RUNS
    assert len(context.aws_request_id) == 36
    assert 890_000 < context.get_remaining_time_in_millis() <= 900_000
    assert cloud.messages(settings.POLICY_RUNS_QUEUE_URL) == []


def test_a_message_with_which_the_function_fails_ends_with_the_dead_letters(cloud, given, caplog):
    given.fails = True
    send(cloud, "secret")
    queue = Queue(RUNS, given.handler)
    for _ in range(3):
        assert queue.poll(0) == 1
        assert cloud.messages(settings.POLICY_RUNS_QUEUE_URL) == ["secret"]
        receipt = given.events[-1][0]["Records"][0]["receiptHandle"]
        # As if the visibility timeout were over.
        cloud.admin("sqs").change_message_visibility(
            QueueUrl=settings.POLICY_RUNS_QUEUE_URL, ReceiptHandle=receipt, VisibilityTimeout=0
        )
    assert queue.poll(0) == 0
    assert cloud.messages(settings.POLICY_RUNS_QUEUE_URL) == []
    assert cloud.messages(settings.DEAD_LETTER_QUEUE_URL) == ["secret"]
    assert len(caplog.records) == 3
    assert given.events[0][1].aws_request_id in caplog.text
    assert "secret" not in caplog.text


def test_a_schedule_fires_soon_and_then_by_its_rate(given, monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock.now)
    [schedule] = read([{"function": "policies.tasks.enforce", "expression": "rate(1 hour)"}], given.handler)[1]
    for clock.now, is_due in ((1000, False), (1059, False), (1060, True), (1061, False), (4659, False), (4660, True)):
        assert schedule.fire_if_due() is is_due, clock.now
    event = given.events[0][0]
    published = json.loads((settings.BASE_DIR / "tests/events/scheduled.json").read_text())
    assert {**event, "kwargs": None}.keys() == {**published, "kwargs": None}.keys()
    assert event["resources"][0].endswith("-policies.tasks.enforce")


def test_a_schedule_whose_function_fails_goes_on(given, caplog):
    given.fails = True
    assert Schedule("policies.tasks.enforce", 3600, given.handler, due_at=0).fire_if_due()
    assert "the function failed" in caplog.text


def test_what_it_gives_is_what_the_entry_point_takes(cloud, given):
    send(cloud, "{}")
    Queue(RUNS, given.handler).poll(0)
    Schedule("policies.tasks.enforce", 3600, given.handler, due_at=0).fire_if_due()
    (message, _), (schedule, _) = given.events
    assert events.task_for(message).__name__ == "go_on"
    assert events.task_for(schedule).__name__ == "enforce"


def test_the_local_stage_can_be_served_whole(cloud, given):
    queues, schedules = read(events.stages()["local"], given.handler)
    for queue in queues:
        queue.check()
    assert len(queues) + len(schedules) == len(events.stages()["local"])


def test_what_lambda_would_refuse_is_refused(cloud, given):
    cloud.admin("sqs").create_queue(QueueName="hasty", Attributes={"VisibilityTimeout": "30"})
    # The portal's role may not read just any queue; an administrator's client can.
    hasty = Queue("arn:aws:sqs:eu-west-1:123456789012:hasty", given.handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_sqs", lambda: cloud.admin("sqs"))
        with pytest.raises(NotPossible, match="visibility timeout"):
            hasty.check()
    with pytest.raises(NotPossible, match="only rate"):
        read([{"function": "policies.tasks.enforce", "expression": "cron(0 2 * * ? *)"}], given.handler)
