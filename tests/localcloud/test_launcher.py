"""`make run`: up with everything, described to other programs, and what was written is there the next time."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
import urllib3

from portal.localcloud.cloud import ROOT, free_port
from portal.localcloud.people import PASSWORD, PEOPLE
from portal.localcloud.sample_apps import DESIGNER, DESIGNERS

WAIT_SECONDS = 60
http = urllib3.PoolManager()


class Run:
    """A portal as `make run` starts it, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PORT": str(free_port()),
            "CLOUD_PORT": str(free_port()),
            "RUN_DIR": str(folder),
        }
        self.output = ""
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "portal.localcloud.launcher"], cwd=ROOT, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        give_up_at = time.monotonic() + WAIT_SECONDS
        while not (self.folder / "local.env").exists():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        exports = (self.folder / "local.env").read_text()
        self.variables = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", exports, re.MULTILINE))

    def stop(self, number: int = signal.SIGINT) -> str:
        self.process.send_signal(number)
        return self.process.communicate(timeout=30)[0]

    def aws(self, service: str):
        return boto3.Session(
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_DEFAULT_REGION"],
        ).client(service, endpoint_url=self.variables["AWS_ENDPOINT_URL"])

    def token(self, username: str) -> str:
        return self.aws("cognito-idp").initiate_auth(
            AuthFlow="USER_PASSWORD_AUTH",
            ClientId=self.variables["PORTICO_API_CLIENT_ID"],
            AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]["IdToken"]

    def ask(self, method: str, path: str, token: str, **options):
        url = self.variables["PORTICO_URL"] + path
        return http.request(method, url, headers={"Authorization": f"Bearer {token}"}, retries=False, **options)


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith(("AWS_", "PORTICO_"))]:
        monkeypatch.delenv(name)
    made = Run(tmp_path)
    yield made
    if made.process.poll() is None:
        made.stop()


def test_make_run_serves_the_sample_people_and_keeps_what_they_wrote(run):
    for person in PEOPLE:
        greeting = run.ask("GET", "/me", run.token(person.username)).json()
        assert greeting["Message"] == f"Hello {person.given_name} {person.family_name}!"
        assert set(greeting["Groups"]) == {*person.groups, *([DESIGNERS] if person.username == DESIGNER else [])}
        # Everybody has the sample desktop, or more.
        assert run.ask("POST", "/streaming-url", run.token(person.username)).json()["Message"].startswith("http")
    fleet = run.aws("dynamodb").scan(TableName=run.variables["PORTICO_FLEET_TABLE"])["Items"]
    published = {(one["Name"]["S"], one["Color"]["S"], one["Gender"]["S"]) for one in fleet}
    assert published >= {("Angel", "White", "Female"), ("Gil", "White", "Male"), ("Rocinante", "Yellow", "Female")}
    token = run.token("rider")
    answer = run.ask("POST", "/ride", token, json={"PickupLocation": {"Latitude": 47.6, "Longitude": -122.3}})
    assert answer.status == 201, answer.data
    ride_id = answer.json()["RideId"]

    said = run.stop()
    assert run.process.returncode == 0, said
    assert run.variables["PORTICO_URL"] in said
    assert all(person.username in said for person in PEOPLE)
    assert not (run.folder / "local.env").exists()

    run.start()
    # The token from before is still good: the pool's keys are the same.
    assert run.ask("GET", f"/ride/{ride_id}", token).json()["RideId"] == ride_id
    assert run.aws("dynamodb").scan(TableName=run.variables["PORTICO_FLEET_TABLE"])["Count"] == len(fleet)
    said = run.stop(signal.SIGTERM)
    assert "unclean" not in (run.folder / "cloud.log").read_text()


def test_what_arrives_in_a_queue_is_worked_on_and_ctrl_c_ends_that_at_once(run):
    queue = run.variables["PORTICO_POLICY_RUNS_QUEUE_URL"]
    run.aws("sqs").send_message(QueueUrl=queue, MessageBody='{"RunId": "20261127T112000Z-nobody"}')
    log = run.folder / "worker.log"
    give_up_at = time.monotonic() + 20
    while "there is no run 20261127T112000Z-nobody" not in log.read_text():
        assert time.monotonic() < give_up_at, log.read_text()
        time.sleep(0.1)
    asked_at = time.monotonic()
    said = run.stop()
    assert time.monotonic() - asked_at < 5
    assert run.process.returncode == 0, said
    assert "Traceback" not in said + log.read_text()


@pytest.mark.skipif(not (shutil.which("aws") and shutil.which("curl")), reason="There is no AWS CLI, or no curl.")
def test_curl_gets_streaming_urls_with_an_id_token_that_the_aws_cli_got(run):
    page = (ROOT / "docs" / "streaming.md").read_text()
    [commands] = re.findall(r"## The API\n\n```\n(.+?)```", page, re.DOTALL)
    done = subprocess.run(
        ["bash", "-euc", commands.replace(".run/local.env", str(run.folder / "local.env"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(one) for one in re.findall(r"\{.*?\}", done.stdout)]
    assert [sorted(one) for one in answers] == [["Message", "Reference"]] * 2
    for one, said in zip(answers, ("desktop", "invoice-17"), strict=True):
        stream = http.request("GET", one["Message"])
        assert stream.status == 200
        assert said in stream.data.decode()


def test_a_taken_port_is_said_in_one_line(run):
    second = subprocess.run(
        [sys.executable, "-m", "portal.localcloud.launcher"],
        cwd=ROOT,
        env=run.environment,
        capture_output=True,
        text=True,
    )
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert run.environment["PORT"] in second.stderr


def test_a_cloud_that_dies_is_said_and_the_next_start_says_what_may_be_missing(run):
    health = http.request("GET", run.variables["AWS_ENDPOINT_URL"] + "/_portico/health").json()
    os.kill(health["pid"], signal.SIGKILL)
    said = run.process.communicate(timeout=30)[0]
    assert run.process.returncode == 1
    assert "The local cloud has stopped." in said
    run.start()
    assert "unclean" in run.stop()


def test_the_portal_ends_with_the_launcher_even_if_that_is_killed(run):
    run.process.kill()
    run.process.communicate()
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        try:
            http.request("GET", run.variables["PORTICO_URL"], retries=False, timeout=1)
            http.request("GET", run.variables["AWS_ENDPOINT_URL"] + "/_portico/health", retries=False, timeout=1)
        except urllib3.exceptions.HTTPError:
            return
        time.sleep(0.1)
    raise AssertionError("something still answers")
