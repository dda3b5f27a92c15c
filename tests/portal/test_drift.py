"""What can drift is read: code against the template, settings against their page, the README against the Makefile."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from cfnlint.decode import cfn_yaml

from portal.localcloud.cloud import setting_of

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = cfn_yaml.load(ROOT / "infrastructure" / "portal.yaml")
RESOURCES = TEMPLATE["Resources"]
# Each table of the template by its key in settings.TABLES: TagPoliciesTable is tag_policies.
TABLES = {
    setting_of(name).removeprefix("PORTICO_").removesuffix("_TABLE").lower(): resource["Properties"]
    for name, resource in RESOURCES.items()
    if name.endswith("Table")
}
# Actions for which AWS has no resource types: a policy names all resources or none.
# Reference: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
WITHOUT_RESOURCE_TYPES = {"appstream:ExpireSession", "cloudtrail:LookupEvents", "ec2:DescribeInstances"}


def keys_of(schema):
    return tuple(key["AttributeName"] for key in sorted(schema, key=lambda key: key["KeyType"]))


def tables():
    from portal.dynamo.table import Table

    for module in (
        "portal.accounts.people",
        "portal.dynamo.audit",
        "portal.dynamo.sessions",
        "approvals.absence",
        "approvals.approval",
        "approvals.assignment",
        "approvals.link",
        "documents.document",
        "documents.renders",
        "policies.runs",
        "portal.streaming.launch",
        "portal.streaming.pictures",
        "rides.dispatch",
        "rides.ride",
    ):
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, Table):
                yield pytest.param(value, id=value._setting)


@pytest.mark.parametrize("table", list(tables()))
def test_a_tables_keys_are_the_templates(table):
    declared = TABLES[table._setting]
    assert table.key == keys_of(declared["KeySchema"])
    indexes = {index["IndexName"]: keys_of(index["KeySchema"]) for index in declared.get("GlobalSecondaryIndexes", [])}
    for name, key in table.indexes.items():
        assert indexes[name] == key


def test_every_output_of_the_template_is_a_setting_or_for_other_programs():
    source = (ROOT / "portal" / "settings.py").read_text()
    read = set(re.findall(r'"(PORTICO_[A-Z_]+)"', source))
    read |= {
        f"PORTICO_{name.upper()}_TABLE"
        for name in re.findall(r'"(\w+)"', source.split("for name in (")[1].split(")")[0])
    }
    outputs = {setting_of(output) for output in TEMPLATE["Outputs"]}
    assert outputs - read == {"PORTICO_PORTAL_ROLE_ARN"}


def test_every_setting_is_on_its_page_and_no_other():
    source = (ROOT / "portal" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*f?"(PORTICO_[A-Z_]+)"', source))
    page = (ROOT / "docs" / "settings.md").read_text()
    described = set(re.findall(r"^\| `(PORTICO_[A-Z_]+)`", page, re.MULTILINE))
    tables = {name for name in described if name.endswith("_TABLE")}
    assert described - tables == read
    assert tables == {f"PORTICO_{name.upper()}_TABLE" for name in TABLES}


def test_no_statement_of_the_portals_role_reaches_everything():
    for policy in RESOURCES["PortalRole"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if "*" in action]
            if statement["Resource"] == "*":
                assert set(actions) <= WITHOUT_RESOURCE_TYPES


def test_the_commands_of_the_readme_are_the_makefiles():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    for page in ("README.md", "CONTRIBUTING.md", "docs/architecture.md"):
        for command in re.findall(r"`make ([a-z-]+)", (ROOT / page).read_text()):
            assert command in targets, f"{page}: make {command}"
    assert "make check" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_the_folders_of_the_readmes_map_exist():
    readme = (ROOT / "README.md").read_text()
    for folder in re.findall(r"^\| `([a-z./_-]+)` \|", readme, re.MULTILINE):
        assert (ROOT / folder).exists(), folder


def test_no_lock_names_a_registry():
    for path in [*(ROOT / "requirements").iterdir(), ROOT / "package.json", ROOT / "package-lock.json"]:
        # npm notes whom one may give money to.
        assert "://" not in re.sub(r'"funding": \{[^}]*\}', "", path.read_text()), path.name
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert not [name for name, package in packages.items() if "resolved" in package]


def test_every_lock_is_hashed():
    for path in (ROOT / "requirements").glob("*.txt"):
        pinned = re.findall(r"^\S+==\S+", path.read_text(), re.MULTILINE)
        assert pinned
        assert path.read_text().count("==") <= path.read_text().count("--hash=sha256:")


def test_what_set_up_makes_is_not_committed():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in tracked if name.startswith((".run/", "node_modules/", "portal/static/vendor/"))]
