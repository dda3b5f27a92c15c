"""The AWS access page and its API: what is given, to whom, and what is written down of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.conf import settings
from django.test import Client

from portal import aws
from portal.accounts import credentials, iam, identity_pool
from tests.conftest import SignedUp, TestCloud
from tests.html import page_problems

pytestmark = pytest.mark.usefixtures("people_roles")


@pytest.fixture
def bucket_of(cloud: TestCloud) -> Callable[[dict[str, Any]], Any]:
    """Return a function that makes an S3 client of what a `credential_process` printed."""

    def make(printed: dict[str, Any]) -> Any:
        return boto3.Session(
            printed["AccessKeyId"], printed["SecretAccessKey"], printed["SessionToken"], settings.AWS_REGION
        ).client("s3", endpoint_url=cloud.endpoint)

    return make


def take(client: Client, form: str, role: str | None = None) -> Any:
    return client.post("/aws-access/", {"role": role or settings.PERSON_ROLE_ARN, "form": form})


def ask(client: Client, person: SignedUp | None = None, **wanted: str) -> Any:
    """Ask the API, without a body where nothing special is wanted."""
    return client.post(
        "/api/aws-credentials",
        json.dumps(wanted) if wanted else "",
        content_type="application/json",
        headers={"Authorization": f"Bearer {person.id_token}"} if person else {},
    )


def entries(cloud: TestCloud) -> list[dict[str, Any]]:
    return sorted(cloud.items("audit"), key=lambda item: item["EntryId"]["S"])


def shown_json(answer: Any) -> dict[str, Any]:
    return json.loads(unescape(re.search(r'aria-label="The file">(.*?)</pre>', answer.content.decode(), re.DOTALL)[1]))


# --- Who may take what ------------------------------------------------------------------------------------------------


def test_the_page_is_for_those_who_are_signed_in(client: Client, cloud: TestCloud) -> None:
    assert client.get("/aws-access/").headers["Location"] == "/sign-in/?next=/aws-access/"
    assert take(client, "shell").headers["Location"].startswith("/sign-in/")
    assert client.post("/aws-access/end/").headers["Location"].startswith("/sign-in/")
    assert ask(client).status_code == 401
    assert entries(cloud) == []


def test_a_rider_sees_their_own_role(client_for: Callable[..., Client], rider: SignedUp) -> None:
    answer = client_for(rider).get("/aws-access/")
    assert [role.name for role in answer.context["roles"]] == ["Person"]
    page = answer.content.decode()
    assert "You reach your own documents and their index, and nobody else&#x27;s." in page
    assert "What you take is listed here" in page
    assert page_problems(page) == []


def test_an_operator_sees_the_groups_role(client_for: Callable[..., Client], operator: SignedUp) -> None:
    assert [role.name for role in client_for(operator).get("/aws-access/").context["roles"]] == ["Operators"]


def test_iam_that_does_not_answer_keeps_nobody_from_credentials(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    iam._described.cache_clear()
    cloud.faults.add(service="iam", action="GetRole", kind="throttle", times=50)
    client = client_for(rider)
    assert settings.PERSON_ROLE_ARN in client.get("/aws-access/").content.decode()
    assert take(client, "shell").status_code == 200


@pytest.mark.parametrize("code", ["ExternalServiceException", "LimitExceededException"])
def test_identity_pool_that_fails_in_passing_is_a_plain_page(
    client_for: Callable[..., Client], rider: SignedUp, code: str
) -> None:
    client = client_for(rider, raise_request_exception=False)
    answer = (
        SimpleNamespace(status_code=400),
        {
            "Error": {"Code": code, "Message": ""},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        },
    )
    # The local cloud's faults do not include these two errors.
    events = aws.client("cognito-identity").meta.events
    events.register_first("before-call.cognito-identity.GetId", fails := lambda **_: answer)
    try:
        assert take(client, "shell").status_code == 503
    finally:
        events.unregister("before-call.cognito-identity.GetId", fails)


def test_looking_changes_nothing_and_gives_nothing(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client = client_for(rider)
    client.get("/aws-access/")
    client.get("/aws-access/end/")
    assert {service for service, _ in cloud.calls()} <= {"dynamodb", "iam"}
    assert {action for service, action in cloud.calls() if service == "iam"} <= {"GetRole"}
    assert entries(cloud) == []


def test_nobody_takes_a_role_that_is_not_theirs(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client = client_for(rider)
    for role in [*settings.PEOPLE_ROLE_ARNS[1:], cloud.outputs["PortalRoleArn"], "arn:aws:iam::123456789012:role/x"]:
        assert take(client, "shell", role).status_code == 403
        asked = ask(client, rider, RoleArn=role)
        assert asked.status_code == 403
    assert take(client, "telegram").status_code == 400
    assert entries(cloud) == []


def test_another_site_can_make_nobody_take_or_end_anything(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client = client_for(rider, enforce_csrf_checks=False)
    client.handler.enforce_csrf_checks = True
    assert take(client, "shell").status_code == 403
    assert client.post("/aws-access/end/").status_code == 403
    assert ask(client).status_code == 403
    assert entries(cloud) == []


# --- What they get ----------------------------------------------------------------------------------------------------


def test_a_file_holds_what_an_sdk_reads(
    client_for: Callable[..., Client], rider: SignedUp, bucket_of: Callable[..., Any]
) -> None:
    answer = take(client_for(rider), "file")
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert page_problems(answer.content.decode()) == []
    printed = shown_json(answer)
    assert set(printed) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket_of(printed).list_objects_v2(Bucket=settings.DOCUMENTS_BUCKET)


def test_environment_variables_are_for_three_kinds_of_shell(client_for: Callable[..., Client], rider: SignedUp) -> None:
    answer = take(client_for(rider), "shell")
    page = unescape(answer.content.decode())
    assert 'export AWS_SESSION_TOKEN="' in page
    assert 'set -gx AWS_SESSION_TOKEN "' in page
    assert '$Env:AWS_SESSION_TOKEN="' in page
    assert page_problems(answer.content.decode()) == []


def test_the_console_opens_once_with_a_link(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    import urllib3

    answer = take(client_for(rider), "console")
    page = answer.content.decode()
    url = answer.context["url"]
    assert url.startswith(f"{cloud.endpoint}/federation?Action=login&Issuer=http%3A%2F%2F127.0.0.1")
    assert 'rel="noopener noreferrer"' in page
    for secret in ("SecretAccessKey", "sessionKey"):
        assert secret not in page
    http = urllib3.PoolManager(retries=False)
    assert b"PersonRole" in http.request("GET", url).data
    assert b"PersonRole" not in http.request("GET", url).data


def test_each_taking_is_new_and_none_is_the_portals_own(client_for: Callable[..., Client], rider: SignedUp) -> None:
    client = client_for(rider)
    one, other = shown_json(take(client, "file")), shown_json(take(client, "file"))
    assert one["AccessKeyId"] != other["AccessKeyId"]
    kept = [place.holding for place in credentials._keyring._places.values()]
    assert kept == []


# --- What is written down ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "in_words"),
    [("shell", "environment variables"), ("file", "credential_process"), ("console", "the console")],
)
def test_each_taking_is_in_the_audit_log_without_the_secret(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp, form: str, in_words: str
) -> None:
    client = client_for(rider)
    take(client, form)
    [entry] = entries(cloud)
    assert entry["Action"]["S"] == "took AWS credentials"
    assert entry["Object"]["S"] == f"accounts.user/{rider.sub}"
    assert entry["ActorSub"]["S"] == rider.sub
    changes = {one["M"]["Field"]["S"]: one["M"]["To"]["S"] for one in entry["Changes"]["L"]}
    assert set(changes) == {"Role", "Form", "Access key id", "Valid until"}
    assert changes["Role"] == "Person"
    assert changes["Form"] == in_words
    page = client.get("/aws-access/").content.decode()
    assert changes["Access key id"] in page
    assert in_words in page


def test_what_cannot_be_written_down_is_not_given(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client = client_for(rider)
    client.raise_request_exception = False
    cloud.faults.add(service="dynamodb", action="PutItem", kind="throttle", times=9)
    answer = take(client, "shell")
    assert answer.status_code == 503
    assert b"AWS_SESSION_TOKEN" not in answer.content


def test_no_secret_is_stored_or_logged_or_shown_again(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_for(rider)
    printed = shown_json(take(client, "file"))
    later = client.get("/aws-access/").content.decode()
    stored = repr([cloud.items(table) for table in settings.TABLES])
    for secret in (printed["SecretAccessKey"], printed["SessionToken"]):
        assert secret not in stored
        assert secret not in caplog.text
        assert secret not in later


def test_a_failure_of_the_federation_endpoint_passes_and_says_no_secret(
    cloud: TestCloud,
    client_for: Callable[..., Client],
    rider: SignedUp,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = client_for(rider)
    client.raise_request_exception = False
    settings.LOCAL_CLOUD = "http://127.0.0.1:1"
    answer = take(client, "console")
    assert answer.status_code == 503
    assert "session" not in caplog.text.lower()
    assert entries(cloud) == []


# --- Programs ---------------------------------------------------------------------------------------------------------


def test_a_program_takes_them_with_an_id_token(
    cloud: TestCloud, client: Client, rider: SignedUp, bucket_of: Callable[..., Any]
) -> None:
    answer = ask(client, rider)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    printed = answer.json()
    assert printed["Version"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", printed["Expiration"])
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket_of(printed).list_objects_v2(Bucket=settings.DOCUMENTS_BUCKET)
    [entry] = entries(cloud)
    assert "a program" in repr(entry)
    assert printed["SecretAccessKey"] not in repr(entry)


def test_credential_process_can_be_curl(
    client: Client, rider: SignedUp, cloud: TestCloud, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = ask(client, rider).content
    (tmp_path / "printed.json").write_bytes(printed)
    config = tmp_path / "config"
    config.write_text(f"[profile portico]\nregion = eu-west-1\ncredential_process = cat {tmp_path}/printed.json\n")
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"
    environment = {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "portico", "AWS_ENDPOINT_URL": cloud.endpoint}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "assumed-role/portico-PersonRole-" in done.stdout, done.stderr


# --- End now ----------------------------------------------------------------------------------------------------------


def test_what_was_taken_is_refused_after_its_end_and_new_can_be_taken(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp, bucket_of: Callable[..., Any]
) -> None:
    client = client_for(rider)
    printed = shown_json(take(client, "file"))
    identity = cloud.items("people")[0]["IdentityId"]["S"]
    mine = {"Bucket": settings.DOCUMENTS_BUCKET, "Prefix": f"ugc/{identity}/"}
    bucket_of(printed).list_objects_v2(**mine)

    page = client.post("/aws-access/end/", follow=True)
    assert "Your AWS access so far is ended." in page.content.decode()
    assert "In effect since" in page.content.decode()
    [one] = page.context["taken"]
    assert one.is_ended
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket_of(printed).list_objects_v2(**mine)

    again = shown_json(take(client, "file"))
    bucket_of(again).list_objects_v2(**mine)
    new, old = client.get("/aws-access/").context["taken"]
    assert not new.is_ended
    assert old.is_ended


def test_an_end_that_breaks_off_is_not_called_one(
    cloud: TestCloud, client_for: Callable[..., Client], rider: SignedUp
) -> None:
    client = client_for(rider)
    client.raise_request_exception = False
    cloud.faults.add(service="iam", action="PutRolePolicy", kind="throttle", times=9)
    assert client.post("/aws-access/end/").status_code == 503
    cloud.faults.clear()
    assert "The last end was cut short" in client.get("/aws-access/").content.decode()


def test_the_page_says_where_ones_own_corner_is(client_for: Callable[..., Client], rider: SignedUp) -> None:
    client = client_for(rider)
    assert "Where it is stands here once you have taken something" in client.get("/aws-access/").content.decode()
    identity = identity_pool.identity_id(rider.id_token)
    corner = f"s3://{settings.DOCUMENTS_BUCKET}/ugc/{identity}/"
    assert f"aws s3 ls {corner}" in take(client, "shell").content.decode()
    assert corner in client.get("/aws-access/").content.decode()
