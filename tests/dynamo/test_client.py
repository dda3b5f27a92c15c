"""The portal's own DynamoDB client answers and fails as boto3's does, which costs three times as much."""

from __future__ import annotations

import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import botocore.session
import pytest
from botocore.exceptions import ClientError, HTTPClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings

from portal import aws, aws_json
from portal.dynamo.client import DynamoDB


@pytest.fixture
def clients(cloud):
    """Return the portal's client and boto3's."""
    return aws.client("dynamodb"), cloud.admin("dynamodb")


def without_metadata(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def ride(ride_id, **attributes):
    return {"RideId": {"S": ride_id}, **attributes}


VALUES = {
    "Text": {"S": "naïve – 独角兽"},
    "Number": {"N": "3.14159265358979323846264338327950288"},
    "Yes": {"BOOL": True},
    "Nothing": {"NULL": True},
    "List": {"L": [{"S": "a"}, {"N": "1"}]},
    "Map": {"M": {"Name": {"S": "Angel"}}},
    "Names": {"SS": ["a", "b"]},
}


def test_an_item_is_written_and_read_as_boto3_does(clients):
    ours, boto3s = clients
    ours.put_item(TableName=settings.TABLES["rides"], Item=ride("one", **VALUES))
    request = {"TableName": settings.TABLES["rides"], "Key": ride("one"), "ConsistentRead": True}
    assert without_metadata(ours.get_item(**request)) == without_metadata(boto3s.get_item(**request))
    assert ours.get_item(**request)["Item"] == ride("one", **VALUES)


def failing_put(table):
    return "put_item", {
        "TableName": table,
        "Item": ride("one"),
        "ConditionExpression": "attribute_not_exists(RideId)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def failing_transaction(table):
    put = {**failing_put(table)[1]}
    return "transact_write_items", {
        "TransactItems": [{"Put": put}, {"Delete": {"TableName": table, "Key": ride("two")}}]
    }


def unknown_table(table):
    return "get_item", {"TableName": "portico-nothing", "Key": ride("one")}


def malformed(table):
    return "get_item", {"TableName": table, "Key": {"Wrong": {"S": "x"}}}


@pytest.mark.parametrize("make", [failing_put, failing_transaction, unknown_table, malformed])
def test_an_error_says_what_boto3s_says(cloud, clients, make):
    boto3s = clients[1]
    administrator = botocore.session.Session()
    administrator.set_credentials(cloud.cloud.access_key_id, cloud.cloud.secret_access_key)
    administrator.set_config_variable("region", settings.AWS_REGION)
    ours = DynamoDB(administrator)
    ours.put_item(TableName=settings.TABLES["rides"], Item=ride("one", **VALUES))
    operation, request = make(settings.TABLES["rides"])
    failures = []
    for client in (ours, boto3s):
        with pytest.raises(ClientError) as failure:
            getattr(client, operation)(**request)
        failures.append(failure.value.response)
    mine, theirs = failures
    assert mine["Error"]["Code"] == theirs["Error"]["Code"]
    assert mine["Error"]["Message"] == theirs["Error"]["Message"]
    assert mine.get("Item") == theirs.get("Item")
    assert mine.get("CancellationReasons") == theirs.get("CancellationReasons")
    assert mine["ResponseMetadata"]["HTTPStatusCode"] == theirs["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_what_the_role_does_not_allow_is_refused(clients):
    with pytest.raises(ClientError, match="not authorized to perform: dynamodb:Scan"):
        clients[0].scan(TableName=settings.TABLES["sessions"])


@pytest.mark.parametrize("kind", ["throttle", "error", "lost_reply"])
def test_what_passes_is_tried_again(cloud, clients, kind):
    cloud.faults.add(service="dynamodb", action="PutItem", kind=kind, times=2)
    clients[0].put_item(TableName=settings.TABLES["rides"], Item=ride("one"))
    assert cloud.items("rides") == [ride("one")]


@pytest.mark.parametrize("kind", ["throttle", "error", "lost_reply"])
def test_what_does_not_pass_is_given_up_after_three_tries_and_known_as_passing(cloud, clients, kind):
    cloud.faults.add(service="dynamodb", action="GetItem", kind=kind)
    with pytest.raises((ClientError, HTTPClientError)) as failure:
        clients[0].get_item(TableName=settings.TABLES["rides"], Key=ride("one"))
    assert aws.is_transient(failure.value)
    assert cloud.faults.hits()[0]["hits"] == 3


def test_a_wrong_request_is_not_tried_again(cloud, clients):
    with pytest.raises(ClientError, match="ValidationException"):
        clients[0].get_item(TableName=settings.TABLES["rides"], Key={"Wrong": {"S": "x"}})
    assert cloud.calls()["dynamodb", "GetItem"] == 1


def test_a_call_that_hangs_ends_with_the_timeout(cloud, clients, monkeypatch):
    monkeypatch.setattr(aws_json, "READ_SECONDS", 0.2)
    impatient = DynamoDB(aws.session())
    cloud.faults.add(service="dynamodb", action="GetItem", kind="delay", delay_seconds=1, times=3)
    started = time.monotonic()
    with pytest.raises(HTTPClientError) as failure:
        impatient.get_item(TableName=settings.TABLES["rides"], Key=ride("one"))
    assert aws.is_transient(failure.value)
    assert time.monotonic() - started < 3


def test_nothing_is_tried_past_the_requests_deadline(cloud, clients):
    cloud.faults.add(service="dynamodb", action="GetItem", kind="delay", delay_seconds=2, times=3)
    token = aws_json.deadline.set(time.monotonic() + 0.3)
    try:
        started = time.monotonic()
        for _ in range(2):
            with pytest.raises(HTTPClientError) as failure:
                clients[0].get_item(TableName=settings.TABLES["rides"], Key=ride("one"))
            assert aws.is_transient(failure.value)
        assert time.monotonic() - started < 1.5
    finally:
        aws_json.deadline.reset(token)
    assert cloud.faults.hits()[0]["hits"] == 1


def test_nobody_at_the_address_is_a_failure_that_passes(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    nobody = botocore.session.Session()
    nobody.set_credentials("key", "secret")
    nobody.set_config_variable("region", "eu-west-1")
    with pytest.raises(HTTPClientError) as failure:
        DynamoDB(nobody).get_item(TableName="t", Key=ride("one"))
    assert aws.is_transient(failure.value)


def test_a_transaction_whose_reply_was_lost_is_done_once(cloud, clients):
    table = settings.TABLES["rides"]
    clients[0].put_item(TableName=table, Item=ride("one", Count={"N": "0"}))
    cloud.faults.add(service="dynamodb", action="TransactWriteItems", kind="lost_reply", times=1)
    clients[0].transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": table,
                    "Key": ride("one"),
                    "UpdateExpression": "ADD #count :one",
                    "ExpressionAttributeNames": {"#count": "Count"},
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
            }
        ]
    )
    assert cloud.items("rides") == [ride("one", Count={"N": "1"})]


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com/"),
        ("cn-north-1", "https://dynamodb.cn-north-1.amazonaws.com.cn/"),
    ],
)
def test_the_address_is_the_regions_unless_the_environment_names_another(monkeypatch, region, address):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    session.set_config_variable("region", region)
    assert DynamoDB(session)._url == address
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8001/")
    assert DynamoDB(session)._url == "http://127.0.0.1:8001/"


@pytest.fixture
def https(tmp_path):
    """Serve an empty item over HTTPS with a certificate of our own, and return the address and the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    bundle, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    bundle.write_bytes(certificate.public_bytes(pem))
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments):
            pass

    class Server(HTTPServer):
        def handle_error(self, request, client_address):
            pass  # a client that hangs up because it does not trust us

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}", bundle
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_a_certificate_of_the_bundle_is_trusted(https, monkeypatch):
    address, bundle = https
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    session.set_config_variable("region", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    assert DynamoDB(session).get_item(TableName="t", Key=ride("one")) == {}
    monkeypatch.delenv("AWS_CA_BUNDLE")
    with pytest.raises(HTTPClientError, match="CERTIFICATE_VERIFY_FAILED"):
        DynamoDB(session).get_item(TableName="t", Key=ride("one"))
