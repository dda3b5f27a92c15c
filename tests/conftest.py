"""One local cloud for each test process, its people, and what a test leaves behind taken away."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import botocore.session
import hypothesis
import pytest
import urllib3
from django.conf import settings
from django.test import Client

import portal.settings
from portal import aws
from portal.accounts import credentials
from portal.dynamo.client import DynamoDB
from portal.localcloud import samples
from portal.localcloud.cloud import REGION, Cloud, free_port
from portal.localcloud.people import PASSWORD, PEOPLE, Person

# How long an example takes says something about the machine alone.
hypothesis.settings.register_profile("portico", deadline=None)
hypothesis.settings.load_profile("portico")

OUTSIDER = Person("outsider", "Mallory", "Outsider", "should see nothing")


class Faults:
    """Make the local cloud fail: see portal/localcloud/standins/faults.py for what can go wrong."""

    def __init__(self, endpoint: str) -> None:
        self._url = f"{endpoint}/_portico/faults"
        self._http = urllib3.PoolManager()

    def add(self, **fault: Any) -> None:
        answer = self._http.request("POST", self._url, json=fault)
        assert answer.status < 300, answer.data

    def hits(self) -> list[dict[str, Any]]:
        return self._http.request("GET", self._url).json()

    def clear(self) -> None:
        self._http.request("DELETE", self._url)


class TestCloud:
    """The cloud as tests see it: an administrator's clients, faults, the calls that were made, the mails."""

    __test__ = False

    def __init__(self, cloud: Cloud, outputs: dict[str, str]) -> None:
        self.cloud = cloud
        self.outputs = outputs
        self.endpoint = cloud.endpoint
        self.faults = Faults(cloud.endpoint)
        self._http = urllib3.PoolManager()
        self._clients: dict[str, Any] = {}
        administrator = botocore.session.Session()
        administrator.set_credentials(cloud.access_key_id, cloud.secret_access_key)
        administrator.set_config_variable("region", REGION)
        self._dynamodb = DynamoDB(administrator)
        describe = self.admin("dynamodb").describe_table
        self._keys = {
            table: [key["AttributeName"] for key in describe(TableName=name)["Table"]["KeySchema"]]
            for table, name in settings.TABLES.items()
        }

    def admin(self, service: str) -> Any:
        # Not setdefault: making a client costs 200 ms.
        if service not in self._clients:
            self._clients[service] = self.cloud.client(service)
        return self._clients[service]

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return every item of a table (its key in settings.TABLES) in DynamoDB's attribute values."""
        items: list[dict[str, Any]] = []
        start: dict[str, Any] = {}
        while True:
            page = self._dynamodb.scan(TableName=settings.TABLES[table], ConsistentRead=True, **start)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def empty(self, table: str) -> None:
        for item in self.items(table):
            key = {name: item[name] for name in self._keys[table]}
            self._dynamodb.delete_item(TableName=settings.TABLES[table], Key=key)

    def messages(self, queue_url: str) -> list[str]:
        """Return the bodies of a queue's messages, oldest first, the ones that somebody is working on included."""
        url = f"{self.endpoint}/_ministack/sqs/messages"
        accounts = self._http.request("GET", url, fields={"QueueUrl": queue_url}).json()["messages"]
        queues = [queue for regions in accounts.values() for queues in regions.values() for queue in queues.values()]
        return [message["Body"] for queue in queues for message in queue]

    def empty_queues(self) -> None:
        for url in (
            settings.POLICY_RUNS_QUEUE_URL,
            settings.LAUNCHES_QUEUE_URL,
            settings.DOCUMENT_EVENTS_QUEUE_URL,
            settings.RENDERS_QUEUE_URL,
            settings.APPROVALS_QUEUE_URL,
            settings.APPROVAL_MAILS_QUEUE_URL,
            settings.APPROVAL_ANSWERS_QUEUE_URL,
            settings.EXECUTIONS_QUEUE_URL,
            settings.DEAD_LETTER_QUEUE_URL,
        ):
            if self.messages(url):
                self.admin("sqs").purge_queue(QueueUrl=url)

    def forget_calls(self) -> None:
        self._http.request("DELETE", f"{self.endpoint}/_portico/calls")

    def calls(self) -> Counter[tuple[str, str]]:
        """Return how often each (service, action) was called since `forget_calls`."""
        counted = self._http.request("GET", f"{self.endpoint}/_portico/calls").json()["services"]
        return Counter({(service, action): n for service, actions in counted.items() for action, n in actions.items()})

    def end_executions(self) -> None:
        """End every execution, and forget it."""
        self._http.request("DELETE", f"{self.endpoint}/_portico/executions")

    def let_workflows_wait(self, *, days: float) -> None:
        """Let time pass for every workflow that waits for an answer: what is to time out by then, times out."""
        body = {"elapse_seconds": days * 86400}
        answer = self._http.request("POST", f"{self.endpoint}/_portico/executions", json=body)
        assert answer.status == 200, answer.data

    def mails(self) -> list[dict[str, Any]]:
        """Return the mails that were sent, oldest first."""
        accounts = self._http.request("GET", f"{self.endpoint}/_ministack/ses/messages").json()["messages"]
        return [mail for mails in accounts.values() for mail in mails]


@pytest.fixture(scope="session")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCloud]:
    cloud = Cloud(port=free_port(), folder=tmp_path_factory.mktemp("cloud"), keep=False)
    cloud.start()
    try:
        outputs = cloud.deploy(f"http://127.0.0.1:{free_port()}")
        for person in [*PEOPLE, OUTSIDER]:
            samples.add_person(cloud.client("cognito-idp"), outputs["UserPoolId"], person)
        os.environ.update(cloud.portal_environment(outputs))
        importlib.reload(portal.settings)
        for name in dir(portal.settings):
            if name.isupper() and name != "ALLOWED_HOSTS":  # the test client's own host is in it
                setattr(settings, name, getattr(portal.settings, name))
        aws.session.cache_clear()
        aws.client.cache_clear()
        aws.client_in.cache_clear()
        aws._boto3.cache_clear()
        # Take on the role now, so that no test counts the call.
        credentials = aws.session().get_credentials()
        assert credentials
        credentials.get_frozen_credentials()
        yield TestCloud(cloud, outputs)
    finally:
        cloud.stop()


@pytest.fixture
def cloud(_cloud: TestCloud) -> Iterator[TestCloud]:
    _cloud.faults.clear()
    for table in settings.TABLES:
        _cloud.empty(table)
    _cloud.empty_queues()
    _cloud.forget_calls()
    yield _cloud
    _cloud.faults.clear()


@dataclass(frozen=True)
class SignedUp:
    """A person of the pool, as tests need them."""

    username: str
    email: str
    given_name: str
    family_name: str
    password: str
    sub: str
    id_token: str
    access_token: str
    refresh_token: str


@pytest.fixture(scope="session")
def _person(_cloud: TestCloud) -> Callable[[str], SignedUp]:
    """Return a function that signs a person in through the API client, once in the session."""
    known: dict[str, SignedUp] = {}
    people = {person.username: person for person in [*PEOPLE, OUTSIDER]}

    def sign_in(username: str) -> SignedUp:
        if username not in known:
            cognito = _cloud.admin("cognito-idp")
            tokens = cognito.initiate_auth(
                AuthFlow="USER_PASSWORD_AUTH",
                ClientId=_cloud.outputs["ApiClientId"],
                AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
            )["AuthenticationResult"]
            attributes = cognito.get_user(AccessToken=tokens["AccessToken"])["UserAttributes"]
            person = people[username]
            known[username] = SignedUp(
                username, person.email, person.given_name, person.family_name, PASSWORD,
                next(one["Value"] for one in attributes if one["Name"] == "sub"),
                tokens["IdToken"], tokens["AccessToken"], tokens["RefreshToken"],
            )  # fmt: skip
        return known[username]

    sign_in.known = known  # type: ignore[attr-defined]
    return sign_in


@pytest.fixture
def disable(cloud: TestCloud, _person: Any) -> Iterator[Callable[[SignedUp], None]]:
    """Return a function that disables somebody, until the test is over. Cognito revokes their tokens with it, so they
    sign in anew for the next test."""
    disabled: list[dict[str, str]] = []

    def turn_off(person: SignedUp) -> None:
        who = {"UserPoolId": cloud.outputs["UserPoolId"], "Username": person.username}
        cloud.admin("cognito-idp").admin_disable_user(**who)
        disabled.append(who)

    yield turn_off
    for who in disabled:
        cloud.admin("cognito-idp").admin_enable_user(**who)
        _person.known.pop(who["Username"], None)
    credentials.forget_all()


@pytest.fixture
def rider(_person: Callable[[str], SignedUp]) -> SignedUp:
    return _person("rider")


@pytest.fixture
def author(_person: Callable[[str], SignedUp]) -> SignedUp:
    return _person("author")


@pytest.fixture
def approver(_person: Callable[[str], SignedUp]) -> SignedUp:
    return _person("approver")


@pytest.fixture
def operator(_person: Callable[[str], SignedUp]) -> SignedUp:
    return _person("operator")


@pytest.fixture
def auditor(_person: Callable[[str], SignedUp]) -> SignedUp:
    return _person("auditor")


@pytest.fixture
def outsider(_person: Callable[[str], SignedUp]) -> SignedUp:
    return _person("outsider")


@pytest.fixture
def client_for(cloud: TestCloud) -> Callable[..., Client]:
    """Return a function that signs a person in through the sign-in form."""

    def sign_in(person: SignedUp, **options: Any) -> Client:
        client = Client(**options)
        answer = client.post("/sign-in/", {"username": person.username, "password": person.password})
        assert answer.status_code == 302, answer.content.decode()
        cloud.forget_calls()
        return client

    return sign_in


@pytest.fixture
def people_roles(cloud: TestCloud) -> Iterator[list[str]]:
    """The ARNs of the roles that people take on. Nobody's sessions are ended there, before the test and after it."""

    def clear() -> None:
        iam = cloud.admin("iam")
        for arn in settings.PEOPLE_ROLE_ARNS:
            role = arn.rpartition("/")[2]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                if name.startswith("ended-"):
                    iam.delete_role_policy(RoleName=role, PolicyName=name)
        credentials.forget_all()
        cloud.forget_calls()

    clear()
    yield settings.PEOPLE_ROLE_ARNS
    clear()


@pytest.fixture
def fleet(cloud: TestCloud) -> Callable[..., str]:
    """Return a function that adds a unicorn to the empty fleet and returns its id."""
    added: list[str] = []

    def add(unicorn_id: str = "", **attributes: Any) -> str:
        unicorn_id = unicorn_id or f"unicorn-{len(added)}"
        added.append(unicorn_id)
        item = samples.unicorn(unicorn_id, **attributes)
        cloud.admin("dynamodb").put_item(TableName=settings.TABLES["fleet"], Item=item)
        cloud.forget_calls()
        return unicorn_id

    return add
