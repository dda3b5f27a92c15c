"""Contract of portal/localcloud/standins/role_settings.py."""

import json
from typing import Any

from tests.localcloud.running_cloud import RunningCloud, wait_until

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def template(**properties: Any) -> str:
    """Return a template with one role."""
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    role = {"AssumeRolePolicyDocument": trust, **properties}
    return json.dumps({"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": role}}})


def test_template_sets_and_takes_away_a_permissions_boundary(cloud: RunningCloud, name: str) -> None:
    stacks, iam = cloud.client("cloudformation"), cloud.client("iam")

    def finish(status: str) -> str | None:
        wait_until(lambda: stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == status)
        [resource] = stacks.describe_stack_resources(StackName=name)["StackResources"]
        role = iam.get_role(RoleName=resource["PhysicalResourceId"])["Role"]
        return role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")

    permitted = ["CAPABILITY_IAM"]
    stacks.create_stack(StackName=name, TemplateBody=template(PermissionsBoundary=READ_ONLY), Capabilities=permitted)
    assert finish("CREATE_COMPLETE") == READ_ONLY
    stacks.update_stack(StackName=name, TemplateBody=template(Description="Another"), Capabilities=permitted)
    assert finish("UPDATE_COMPLETE") is None
