"""The portal behind Lambda: real events into the entry point, answers as API Gateway wants them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from django.conf import settings

from portal import events
from portal.middleware import ReferenceFilter, reference

EVENTS = Path(__file__).parents[1] / "events"
CONTEXT = SimpleNamespace(aws_request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef")


@pytest.fixture
def lambda_handler(_cloud):
    from portal.lambda_entry import lambda_handler

    return lambda_handler


def event(name, **changes):
    return {**json.loads((EVENTS / f"{name}.json").read_text()), **changes}


def test_the_tutorials_own_event_gives_a_ride_for_the_username(cloud, fleet, lambda_handler):
    fleet("angel", Name="Angel", Color="White", Gender="Female")
    answer = lambda_handler(event("tutorial_request_ride"), CONTEXT)
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 201, body
    assert body["Rider"] == "the_username"
    assert body["Unicorn"] == {"Name": "Angel", "Color": "White", "Gender": "Female"}
    assert len(urlsafe_b64decode(body["RideId"] + "==")) == 16
    [ride] = cloud.items("rides")
    assert ride["RideId"] == {"S": body["RideId"]}
    assert ride["User"] == {"S": "the_username"}
    assert ride["Unicorn"]["M"]["Name"] == {"S": "Angel"}
    assert ride["RequestTime"]["S"].endswith("Z")


def test_a_request_without_an_authorizer_and_without_a_good_token_is_refused(cloud, fleet, lambda_handler):
    fleet()
    answer = lambda_handler(event("tutorial_request_ride", requestContext={}), CONTEXT)
    assert answer["statusCode"] == 401
    assert json.loads(answer["body"])["Reference"] == CONTEXT.aws_request_id
    assert cloud.items("rides") == []


def test_claims_cannot_be_brought_in_a_header(cloud, fleet, lambda_handler):
    fleet()
    claims = json.dumps({"requestContext": {"authorizer": {"claims": {"cognito:username": "root"}}}})
    headers = {
        "apig_wsgi.full_event": claims,
        "Apig-Wsgi.Full-Event": claims,
        "API_GATEWAY_AUTHORIZER": claims,
        "content-type": "application/json",
    }
    answer = lambda_handler(event("tutorial_request_ride", requestContext={}, headers=headers), CONTEXT)
    assert answer["statusCode"] == 401


@pytest.mark.parametrize(
    "claims", [{"token_use": "access"}, {"iss": "https://elsewhere"}, {"aud": "another"}, {"exp": 1}]
)
def test_claims_of_a_token_that_is_not_for_us_are_refused(cloud, fleet, lambda_handler, claims):
    fleet()
    context = {"authorizer": {"claims": {"cognito:username": "rider", "sub": "some-sub", **claims}}}
    answer = lambda_handler(event("tutorial_request_ride", requestContext=context), CONTEXT)
    assert answer["statusCode"] == 401
    assert cloud.items("rides") == []


@pytest.fixture
def ran(monkeypatch):
    """What the functions of policies.tasks, which only remember here, were called with: (name, event, reference)."""
    calls = []
    tasks = ModuleType("policies.tasks")
    for name in ("enforce", "go_on", "on_launch", "another"):

        def task(event, context, name=name):
            calls.append((name, event, reference.get()))

        task.__module__, task.__name__ = "policies.tasks", name
        setattr(tasks, name, task)
    monkeypatch.setitem(sys.modules, "policies.tasks", tasks)
    return calls


def from_queue(name, **changes):
    message = event("sqs")["Records"][0]
    return {"Records": [{**message, "eventSourceARN": f"arn:aws:sqs:us-east-2:123456789012:{name}", **changes}]}


def from_rule(name, **changes):
    return event("scheduled", resources=[f"arn:aws:events:us-east-1:123456789012:rule/{name}"], **changes)


@pytest.mark.parametrize("stage", ["portico", "portico-dev", "portico-prod"])
@pytest.mark.parametrize(("queue", "function"), [("policy-runs", "go_on"), ("launches", "on_launch")])
def test_a_queues_message_runs_the_queues_function(lambda_handler, ran, stage, queue, function):
    message = from_queue(f"{stage}-{queue}")
    assert lambda_handler(message, CONTEXT) is None
    assert ran == [(function, message, CONTEXT.aws_request_id)]
    assert reference.get() == "-"


@pytest.mark.parametrize("rule", ["portico-dev-policies.tasks.enforce", "portico-dev-1-nightly-policies.tasks.enforce"])
def test_a_schedules_event_runs_the_function_that_its_rule_is_named_for(lambda_handler, ran, rule):
    # Zappa's rules give their target an empty kwargs.
    scheduled = from_rule(rule, kwargs={})
    assert lambda_handler(scheduled, CONTEXT) is None
    assert ran == [("enforce", scheduled, CONTEXT.aws_request_id)]


@pytest.mark.parametrize(
    "stranger",
    [
        {},
        {"raw_command": "print(1)"},
        {"command": "policies.tasks.enforce"},
        {"manage": "shell"},
        {"Records": []},
        {"Records": "policies.tasks.go_on"},
        event("sqs"),
        event("scheduled"),
        from_queue("portico-dead-letters"),
        from_queue("policies.tasks.go_on"),
        from_queue("portico-policy-runs", eventSource="aws:s3"),
        {"Records": [*from_queue("portico-policy-runs")["Records"], *from_queue("portico-launches")["Records"]]},
        from_rule("portico-dev-policies.tasks.another"),
        from_rule("portico-dev-policies.tasks.go_on"),
        from_rule("portico-dev-os.getcwd"),
        from_rule("policies.tasks.enforce", source="somebody.else"),
        from_rule("policies.tasks.enforce") | {"resources": []},
    ],
)
def test_an_event_that_nothing_is_subscribed_to_runs_nothing(lambda_handler, ran, stranger):
    with pytest.raises(events.NotSubscribed):
        lambda_handler({**stranger, "raw_command": "print(1)"}, CONTEXT)
    assert ran == []


def test_what_a_task_raises_is_raised_so_that_the_message_comes_again(lambda_handler, ran, monkeypatch):
    def fails(event, context):
        raise TypeError("of the task's own")

    monkeypatch.setattr(sys.modules["policies.tasks"], "go_on", fails)
    with pytest.raises(TypeError, match="of the task's own"):
        lambda_handler(from_queue("portico-policy-runs"), CONTEXT)
    assert reference.get() == "-"


def test_the_log_names_the_task_and_lambdas_request_and_never_the_message(lambda_handler, ran, caplog):
    caplog.set_level(logging.INFO)
    caplog.handler.addFilter(ReferenceFilter())
    try:
        lambda_handler(from_queue("portico-policy-runs", body="a secret"), CONTEXT)
    finally:
        caplog.handler.filters.clear()
    assert [(one.reference, one.getMessage()) for one in caplog.records] == [
        (CONTEXT.aws_request_id, "policies.tasks.go_on")
    ]
    assert "a secret" not in caplog.text


def test_every_stage_subscribes_the_same_functions_one_message_at_a_time():
    """Lambda takes a whole batch for failed, or for done: a batch is one message."""
    stages = events.stages()
    assert set(stages) == {"local", "dev", "prod"}
    for subscribed in stages.values():
        assert [one["function"] for one in subscribed] == [one["function"] for one in stages["local"]]
        for one in subscribed:
            assert len(one["function"]) <= 63  # Zappa puts it into the rule's name
            assert one.get("event_source", {"batch_size": 1})["batch_size"] == 1


def test_the_queues_of_the_settings_are_the_templates(cloud):
    local = {one["event_source"]["arn"] for one in events.stages()["local"] if "event_source" in one}
    assert local == {
        cloud.admin("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for url in (
            settings.POLICY_RUNS_QUEUE_URL,
            settings.LAUNCHES_QUEUE_URL,
            settings.DOCUMENT_EVENTS_QUEUE_URL,
            settings.RENDERS_QUEUE_URL,
            settings.APPROVALS_QUEUE_URL,
            settings.APPROVAL_MAILS_QUEUE_URL,
            settings.APPROVAL_ANSWERS_QUEUE_URL,
            settings.EXECUTIONS_QUEUE_URL,
        )
    }


def test_a_start_for_http_imports_no_task_and_not_what_only_tasks_need(cloud):
    kept_out = {"anymail", "boto3", "documents.tasks", "markdown", "PIL", "policies.tasks", "storages", "weasyprint"}
    program = f"import sys, portal.lambda_entry; print(sorted({kept_out!r} & {{*sys.modules}}))"
    started = subprocess.run(
        [sys.executable, "-c", program], cwd=settings.BASE_DIR, capture_output=True, text=True, check=True
    )
    assert started.stdout.strip() == "[]", started.stderr


def test_each_cookie_is_sent_once(cloud, lambda_handler):
    page = event(
        "tutorial_request_ride",
        path="/sign-in/",
        httpMethod="GET",
        requestContext={},
        body=None,
        multiValueHeaders={},
    )
    answer = lambda_handler(page, CONTEXT)
    assert answer["statusCode"] == 200
    cookies = [
        value
        for name, values in answer["multiValueHeaders"].items()
        if name.lower() == "set-cookie"
        for value in values
    ]
    assert len(cookies) == len({cookie.split("=")[0] for cookie in cookies})
