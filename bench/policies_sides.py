"""The sides of the comparison: the rules that each of them applies, and the command that does it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.policies_fleet import PROJECT_CODE, REGION
from bench.request import ROOT

CUSTODIAN = ROOT / ".bench" / "bin" / "custodian"
# The published table's rows, but that Expires is required: only then do all sides the same.
RULES = [
    {"RuleId": {"N": "1"}, "TagKey": {"S": "ProjectCode"}, "Action": {"S": "Update"}, "Required": {"S": "Y"},
     "Default": {"S": PROJECT_CODE}},
    {"RuleId": {"N": "3"}, "TagKey": {"S": "Expires"}, "Action": {"S": "Function"}, "Required": {"S": "Y"},
     "Default": {"S": "today()"}},
    {"RuleId": {"N": "2"}, "TagKey": {"S": "CreatedBy"}, "Action": {"S": "UserLookup"}, "Required": {"S": "Y"}},
]  # fmt: skip
# Two policies, since one gives the same tags to whatever it finds. CreatedBy it can only give to what is launched from
# then on.
POLICIES = """
policies:
  - name: project-code
    resource: aws.ec2
    query: [{{vpc-id: {vpc}}}]
    filters: [{{or: [{{'tag:ProjectCode': absent}}, {{'tag:ProjectCode': empty}}]}}]
    actions: [{{type: tag, key: ProjectCode, value: {project_code}}}]
  - name: expires
    resource: aws.ec2
    query: [{{vpc-id: {vpc}}}]
    filters: [{{or: [{{'tag:Expires': absent}}, {{'tag:Expires': empty}}]}}]
    actions: [{{type: tag, key: Expires, value: '{{now:%Y-%m-%d}}'}}]
"""
# What the work consists of; all other calls are book-keeping.
WORK = ("ec2 DescribeInstances", "ec2 CreateTags", "cloudtrail LookupEvents")


@dataclass(frozen=True)
class Side:
    name: str
    rules: int  # how many of RULES
    command: tuple[str, ...]


_THIS_PYTHON = (sys.executable, "-m")
PORTICO, PORTICO_WITH_CREATORS = (
    Side("Portico", n, (*_THIS_PYTHON, "bench.policies_worker", "enforce")) for n in (2, 3)
)
LOOP, LOOP_WITH_CREATORS = (Side("the article's loop", n, (*_THIS_PYTHON, "bench.policies_loop")) for n in (2, 3))
CLOUD_CUSTODIAN = Side(
    "Cloud Custodian", 2, (str(CUSTODIAN), "run", "--region", REGION, "--output-dir", "out", "policies.yml")
)


@dataclass
class Measured:
    """What one side took, run by run, and what it left."""

    calls: Counter[str] = field(default_factory=Counter)  # of the last run
    digest: str = ""
    cpu: list[float] = field(default_factory=list)  # seconds
    peak: list[float] = field(default_factory=list)  # MB

    @property
    def work(self) -> int:
        """How many calls the work took."""
        return sum(self.calls[name] for name in WORK)

    @property
    def besides(self) -> dict[str, int]:
        return {name: n for name, n in sorted(self.calls.items()) if name not in WORK}


def run(side: Side, environment: Mapping[str, str], vpc: str, into: Measured) -> None:
    """Let one side work, in a process of its own and a home directory that is empty: Custodian keeps a cache there."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "policies.yml").write_text(POLICIES.format(vpc=vpc, project_code=PROJECT_CODE))
        variables = {
            **environment,
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "HOME": home,
            "PYTHONPATH": str(ROOT),
            "BENCH_VPC": vpc,
        }
        meter = (*_THIS_PYTHON, "bench.policies_meter", *side.command)
        done = subprocess.run(meter, cwd=home, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{side.name} failed:\n{done.stderr}")
    took = json.loads(done.stdout)
    into.cpu.append(took["Cpu"])
    into.peak.append(took["Peak"])
