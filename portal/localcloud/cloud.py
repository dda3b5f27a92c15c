"""The local cloud as a process of its own, and the stack that infrastructure/portal.yaml declares on it.

This runs in the portal's environment; server.py, which it starts, in the cloud's.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "infrastructure" / "portal.yaml"
CLOUD_PYTHON = ROOT / ".cloud" / "bin" / "python"
ACCOUNT = "123456789012"
REGION = "eu-west-1"
STACK = "portico"
TEMPLATES = "portico-templates"  # the bucket that a deployment puts the template into
# The sample company: see portal/localcloud/standins/saml_provider.py.
COMPANY = "Acme"
# The sample system that vouches for people.
PARTNER = "https://partner.example"
START_SECONDS = 30


class CloudFailed(RuntimeError):
    """The local cloud did not start, or refused the template; the message says why."""


class Cloud:
    """One local cloud on a port of 127.0.0.1. Without a folder it forgets everything when it stops."""

    def __init__(self, *, port: int, folder: Path, keep: bool) -> None:
        self.port = port
        self.folder = folder
        self.keep = keep
        self.endpoint = f"http://127.0.0.1:{port}"
        self.company = f"{self.endpoint}/_portico/saml-provider/"
        self.log = folder / "cloud.log"
        self._log_start = 0
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.access_key_id = "AKIAPORTICOADMIN0000"
        self.secret_access_key = self.secret("administrator")

    def secret(self, name: str) -> str:
        """Return the folder's secret of that name; a new one the first time. Only its owner can read the file."""
        path = self.folder / f"{name}.secret"
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(secrets.token_urlsafe(40))
        return path.read_text()

    # --- The process ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the cloud and return when it answers. Raises CloudFailed."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "CLOUD_PORT": str(self.port),
            "CLOUD_REGION": REGION,
            "CLOUD_ACCESS_KEY_ID": self.access_key_id,
            "CLOUD_SECRET_ACCESS_KEY": self.secret_access_key,
            "CLOUD_KEYS_DIR": str(self.folder),
        }
        if self.keep:
            environment["CLOUD_STATE_DIR"] = str(self.folder / "state")
        log = open(self.log, "ab")  # noqa: SIM115 - the child writes to it as long as it lives
        self._log_start = log.tell()
        # A session of its own: Ctrl-C is for the launcher, which stops the portal first and the cloud last.
        self._process = subprocess.Popen(
            [CLOUD_PYTHON, "-m", "portal.localcloud.server"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        log.close()
        give_up_at = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                self.stop()
                tail = self.log.read_text(errors="replace").strip().splitlines()[-5:]
                raise CloudFailed("The local cloud did not start:\n  " + "\n  ".join(tail))
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the cloud and wait until it has saved."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._process and self._process.stdin:
            self._process.stdin.close()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def warnings(self) -> list[str]:
        """Return what the cloud has warned of since it started, such as an unclean stop before."""
        lines = self.log.read_bytes()[self._log_start :].decode(errors="replace").splitlines()
        return [line.partition("WARNING ")[2] for line in lines if " WARNING " in line]

    def kill(self) -> None:
        """Stop the cloud as a power cut would."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_portico/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    # --- What stands on it ----------------------------------------------------------------------------------------

    def client(self, service: str, *, region: str = REGION) -> Any:
        """Return an administrator's client."""
        session = boto3.Session(self.access_key_id, self.secret_access_key, region_name=region)
        config = Config(s3={"addressing_style": "path"})
        return session.client(service, endpoint_url=self.endpoint, config=config)  # type: ignore[call-overload]

    def deploy(self, portal_url: str) -> dict[str, str]:
        """Create the stack, or bring it up to date with the template and the portal's address, and return its outputs.
        Raises CloudFailed."""
        formation = self.client("cloudformation")
        body = TEMPLATE.read_text()
        parameters = {
            "DeveloperPrincipalArn": f"arn:aws:iam::{ACCOUNT}:root",
            "PortalUrl": portal_url,
            "Retain": "false",
            "VerifyMailFrom": "true",
            "CompanyName": COMPANY,
            "CompanyMetadataUrl": f"{self.company}metadata",
            "SamlProviderArn": self._company_provider(),
            "StreamingImage": "sample-image",
            "StreamingInstances": "2",
            "StreamingView": "DESKTOP",
            "StreamingEmbedDomain": "portal.localhost",
            "MoreStreamingArns": ",".join(
                f"arn:aws:appstream:{REGION}:{ACCOUNT}:{kind}/sample-*" for kind in ("stack", "fleet")
            ),
        }
        request = {
            "StackName": STACK,
            "TemplateURL": self._uploaded(body),
            "Capabilities": ["CAPABILITY_IAM"],
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        }
        stacks = [one for one in formation.describe_stacks()["Stacks"] if one["StackName"] == STACK]
        if not stacks:
            formation.create_stack(**request)
        elif formation.get_template(StackName=STACK)["TemplateBody"] != body or parameters != {
            one["ParameterKey"]: one["ParameterValue"]
            for one in stacks[0]["Parameters"]
            if one["ParameterKey"] in parameters
        }:
            formation.update_stack(**request)
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            stack = formation.describe_stacks(StackName=STACK)["Stacks"][0]
            status = stack["StackStatus"]
            if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
            if not status.endswith("IN_PROGRESS") or time.monotonic() > give_up_at:
                events = formation.describe_stack_events(StackName=STACK)["StackEvents"]
                reasons = [
                    f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
                    for event in events
                    if "FAILED" in event["ResourceStatus"] and event.get("ResourceStatusReason")
                ]
                raise CloudFailed(f"infrastructure/portal.yaml: {status}\n  " + "\n  ".join(reasons))
            time.sleep(0.05)

    def _uploaded(self, template: str) -> str:
        """Put the template where CloudFormation reads it: it takes 51,200 bytes in a request, a megabyte from S3."""
        s3 = self.client("s3")
        if TEMPLATES not in [one["Name"] for one in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket=TEMPLATES, CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket=TEMPLATES, Key="portal.yaml", Body=template.encode())
        return f"{self.endpoint}/{TEMPLATES}/portal.yaml"

    def _company_provider(self) -> str:
        """Make the sample company's SAML provider known to IAM, or bring it up to date, and return its ARN."""
        iam = self.client("iam")
        with urllib.request.urlopen(f"{self.company}metadata", timeout=5) as answer:
            metadata = answer.read().decode()
        arn = f"arn:aws:iam::{ACCOUNT}:saml-provider/{COMPANY}"
        if arn in [one["Arn"] for one in iam.list_saml_providers()["SAMLProviderList"]]:
            iam.update_saml_provider(SAMLProviderArn=arn, SAMLMetadataDocument=metadata)
        else:
            iam.create_saml_provider(Name=COMPANY, SAMLMetadataDocument=metadata)
        return arn

    def portal_environment(self, outputs: Mapping[str, str]) -> dict[str, str]:
        """Return the environment variables with which the portal runs on this cloud, as its own role."""
        config = self.folder / "aws-config"
        with open(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(
                "[profile administrator]\n"
                f"aws_access_key_id = {self.access_key_id}\n"
                f"aws_secret_access_key = {self.secret_access_key}\n"
                "[default]\n"
                "source_profile = administrator\n"
                f"role_arn = {outputs['PortalRoleArn']}\n"
                "role_session_name = portal\n"
            )
        return {
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            **self.addresses(outputs),
        }

    def administrator_environment(self, outputs: Mapping[str, str]) -> dict[str, str]:
        """Return the environment variables with which an administrator's AWS CLI or script works on this cloud."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            **self.addresses(outputs),
        }

    def addresses(self, outputs: Mapping[str, str]) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PORTICO_LOCAL_CLOUD": self.endpoint,
            "PORTICO_SECRET_KEY": self.secret("django"),
            **{setting_of(output): value for output, value in outputs.items()},
            "PORTICO_HOSTED_UI_URL": self.endpoint,
            "PORTICO_SAML_SIGN_IN_URL": f"{self.company}sso",
            # The sample of another system: see portal/localcloud/partner.py.
            "PORTICO_VOUCHER_ISSUER": PARTNER,
            "PORTICO_VOUCHER_KEYS_URL": f"{outputs['Url']}/local/partner/keys/",
        }


def setting_of(output: str) -> str:
    """Return the setting that holds a stack output: UserPoolId is PORTICO_USER_POOL_ID."""
    return "PORTICO_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", output).upper()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
