"""Contract of workflow_resources.py and workflow_definitions.py in CloudFormation."""

import json
from typing import Any

from tests.localcloud.running_cloud import RunningCloud, wait_until
from tests.localcloud.test_event_rules import outputs_of
from tests.localcloud.workflows import STATES, TRUST, code_of


def template(name: str, *, tag: str = "one", result: str = "${Result}", to: str = "old", **state: Any) -> str:
    machine = {
        "StateMachineName": name,
        "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "Definition": {
            "StartAt": "Say",
            "States": {
                "Say": {"Type": "Pass", "Result": result, "Next": "Work"},
                "Work": {"Type": "Task", "Resource": "${Work}", "TimeoutSeconds": 60, "End": True, **state},
            },
        },
        "DefinitionSubstitutions": {"Result": to, "Work": {"Ref": "Work"}},
    }
    work = {"Name": name, "Tags": [{"Key": "tag", "Value": tag}]}
    resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": json.loads(TRUST)}},
        "Work": {"Type": "AWS::StepFunctions::Activity", "Properties": work},
        "Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": machine},
    }
    outputs = {
        "Work": {"Value": {"Ref": "Work"}},
        "WorkArn": {"Value": {"Fn::GetAtt": ["Work", "Arn"]}},
        "WorkName": {"Value": {"Fn::GetAtt": ["Work", "Name"]}},
        "Machine": {"Value": {"Ref": "Machine"}},
    }
    return json.dumps({"Resources": resources, "Outputs": outputs})


def test_stack_makes_changes_and_deletes_a_workflow(cloud: RunningCloud, name: str) -> None:
    stacks, sfn = cloud.client("cloudformation"), cloud.client("stepfunctions")
    stacks.create_stack(StackName=name, TemplateBody=template(name), Capabilities=["CAPABILITY_IAM"])
    outputs = outputs_of(cloud, name, "eu-west-1")
    activity, machine = outputs["Work"], outputs["Machine"]
    assert activity == f"{STATES}:activity:{name}" == outputs["WorkArn"]
    assert outputs["WorkName"] == name
    assert machine == f"{STATES}:stateMachine:{name}"

    def tags() -> dict[str, str]:
        found = sfn.list_tags_for_resource(resourceArn=activity)["tags"]
        return {tag["key"]: tag["value"] for tag in found}

    def work() -> str:
        sfn.start_execution(stateMachineArn=machine)
        return str(json.loads(sfn.get_activity_task(activityArn=activity)["input"]))

    assert {"tag": "one", "aws:cloudformation:stack-name": name}.items() <= tags().items()
    assert work() == "old"
    created = sfn.describe_activity(activityArn=activity)["creationDate"]
    changed = template(name, tag="two", to="new")
    stacks.update_stack(StackName=name, TemplateBody=changed, Capabilities=["CAPABILITY_IAM"])
    assert outputs_of(cloud, name, "eu-west-1", "UPDATE_COMPLETE") == outputs
    assert tags()["tag"] == "two"
    assert work() == "new"
    assert sfn.describe_activity(activityArn=activity)["creationDate"] == created
    changed = template(name, tag="two", result="changed")
    stacks.update_stack(StackName=name, TemplateBody=changed, Capabilities=["CAPABILITY_IAM"])
    outputs_of(cloud, name, "eu-west-1", "UPDATE_COMPLETE")
    assert work() == "changed"
    stacks.delete_stack(StackName=name)
    wait_until(lambda: code_of(lambda: sfn.describe_activity(activityArn=activity)) == "ActivityDoesNotExist")
    wait_until(
        lambda: code_of(lambda: sfn.describe_state_machine(stateMachineArn=machine)) == "StateMachineDoesNotExist"
    )


def test_stack_with_a_bad_definition_fails(cloud: RunningCloud, name: str) -> None:
    stacks = cloud.client("cloudformation")
    body = template(name, Next="Nowhere", End=False)
    stacks.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    wait_until(lambda: not stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"].endswith("IN_PROGRESS"))
    events = stacks.describe_stack_events(StackName=name)["StackEvents"]
    assert any("MISSING_TRANSITION_TARGET" in event.get("ResourceStatusReason", "") for event in events)
