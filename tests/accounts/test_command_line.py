"""What people paste and save is what their shells and the AWS SDKs read."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest

from portal.accounts import command_line, console
from portal.accounts.sts import Credentials

GIVEN = Credentials("ASIAEXAMPLE", "ab/cd+ef=", "tok//en++==", datetime(2026, 11, 21, 13, 2, 3, tzinfo=UTC))


def test_credential_process_is_what_the_sdks_document() -> None:
    assert json.loads(command_line.credential_process(GIVEN)) == {
        "Version": 1,
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": "ab/cd+ef=",
        "SessionToken": "tok//en++==",
        "Expiration": "2026-11-21T13:02:03Z",
    }


def test_a_shell_sets_what_is_pasted() -> None:
    script = command_line.shells(GIVEN)["bash and zsh"]
    script += '\nprintf "%s|%s" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "ab/cd+ef=|tok//en++=="


@pytest.mark.parametrize(
    ("shell", "line"),
    [("PowerShell", '$Env:AWS_ACCESS_KEY_ID="ASIAEXAMPLE"'), ("fish", 'set -gx AWS_ACCESS_KEY_ID "ASIAEXAMPLE"')],
)
def test_other_shells_are_told_in_their_own_words(shell: str, line: str) -> None:
    assert line in command_line.shells(GIVEN)[shell].splitlines()


def test_only_the_local_cloud_needs_an_address(settings: Any) -> None:
    settings.LOCAL_CLOUD = ""
    assert "AWS_ENDPOINT_URL" not in command_line.variables(GIVEN)
    settings.LOCAL_CLOUD = "http://127.0.0.1:4566"
    assert command_line.variables(GIVEN)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("eu-west-1", "https://signin.aws.amazon.com/federation"),
        ("cn-north-1", "https://signin.amazonaws.cn/federation"),
        ("us-gov-west-1", "https://signin.amazonaws-us-gov.com/federation"),
    ],
)
def test_each_partition_has_its_own_console(region: str, endpoint: str) -> None:
    assert console.addresses(region)[0] == endpoint
