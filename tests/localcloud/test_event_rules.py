"""Contract of portal/localcloud/standins/event_targets.py, and of the resources that a rule for launches needs."""

import json
from typing import Any

import pytest

from tests.localcloud.fleet import AUTO_SCALING, hours_ago, launched
from tests.localcloud.running_cloud import ACCOUNT_ID, RunningCloud, wait_until


def template(name: str, *, policy: bool = True, event_name: str = "RunInstances", timeout: int = 960) -> str:
    """Return a template with a queue for launches, its dead letter queue and a topic."""
    queue = {"Fn::GetAtt": ["Launches", "Arn"]}
    dead = {"Fn::GetAtt": ["Dead", "Arn"]}
    rule = {
        "EventPattern": {
            "source": ["aws.ec2"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {"eventName": [event_name], "errorCode": [{"exists": False}]},
        },
        "Targets": [{"Id": "launches", "Arn": queue, "DeadLetterConfig": {"Arn": dead}}],
    }
    send = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": [queue, dead],
        "Condition": {"ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["Rule", "Arn"]}}},
    }
    publish = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": {"Ref": "Topic"},
    }
    resources: dict[str, Any] = {
        "Dead": {"Type": "AWS::SQS::Queue", "Properties": {"MessageRetentionPeriod": 1209600}},
        "Launches": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": name,
                "VisibilityTimeout": timeout,
                "SqsManagedSseEnabled": True,
                "RedrivePolicy": {"deadLetterTargetArn": dead, "maxReceiveCount": 3},
            },
        },
        "Rule": {"Type": "AWS::Events::Rule", "Properties": rule},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name, "DisplayName": "Portico"}},
        "TopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Statement": [publish]}},
        },
    }
    if policy:
        resources["Policy"] = {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Launches"}, {"Ref": "Dead"}],
                "PolicyDocument": {"Version": "2012-10-17", "Statement": [send]},
            },
        }
    outputs = {
        "Launches": {"Value": {"Ref": "Launches"}},
        "Dead": {"Value": {"Ref": "Dead"}},
        "Topic": {"Value": {"Ref": "Topic"}},
        "Rule": {"Value": {"Ref": "Rule"}},
    }
    return json.dumps({"Resources": resources, "Outputs": outputs})


def outputs_of(cloud: RunningCloud, name: str, region: str, status: str = "CREATE_COMPLETE") -> dict[str, str]:
    stacks = cloud.client("cloudformation", region=region)
    wait_until(lambda: not stacks.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"].endswith("PROGRESS"))
    (stack,) = stacks.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == status, stack.get("StackStatusReason")
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def received(cloud: RunningCloud, url: str, region: str) -> list[dict[str, Any]]:
    """Return the messages of a queue, without waiting."""
    request = {"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    messages: list[dict[str, Any]] = cloud.client("sqs", region=region).receive_message(**request).get("Messages", [])
    return messages


def test_launch_arrives_in_the_queue(cloud: RunningCloud, name: str, region: str) -> None:
    cloud.client("cloudformation", region=region).create_stack(StackName=name, TemplateBody=template(name))
    outputs = outputs_of(cloud, name, region)
    ec2 = cloud.client("ec2", region=region)
    ids = [one["InstanceId"] for one in ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=2)["Instances"]]
    ec2.create_tags(Resources=ids, Tags=[{"Key": "Name", "Value": "web"}])
    (message,) = received(cloud, outputs["Launches"], region)
    event = json.loads(message["Body"])
    assert {
        "version": "0",
        "source": "aws.ec2",
        "detail-type": "AWS API Call via CloudTrail",
        "account": ACCOUNT_ID,
        "region": region,
        "resources": [],
    }.items() <= event.items()
    assert event.keys() >= {"id", "time"}
    assert [one["instanceId"] for one in event["detail"]["responseElements"]["instancesSet"]["items"]] == ids
    trail = cloud.client("cloudtrail", region=region)
    launch = [{"AttributeKey": "EventName", "AttributeValue": "RunInstances"}]
    (recorded,) = trail.lookup_events(LookupAttributes=launch)["Events"]
    assert json.loads(recorded["CloudTrailEvent"]) == event["detail"]


def test_launch_of_now_arrives_and_one_of_the_past_only_if_told(cloud: RunningCloud, name: str, region: str) -> None:
    cloud.client("cloudformation", region=region).create_stack(StackName=name, TemplateBody=template(name))
    url = outputs_of(cloud, name, region)["Launches"]
    at = hours_ago(26 * 24)
    now = launched(cloud, region=region, record=True, identity=AUTO_SCALING)
    launched(cloud, region=region, record=True, at=at)
    told = launched(cloud, region=region, record=True, at=at, deliver=True)
    launched(cloud, region=region, record=False)
    details = [json.loads(one["Body"])["detail"] for one in received(cloud, url, region)]
    found = [[one["instanceId"] for one in detail["responseElements"]["instancesSet"]["items"]] for detail in details]
    assert found == [now, told]


def test_failed_launch_does_not_arrive(cloud: RunningCloud, name: str, region: str) -> None:
    cloud.client("cloudformation", region=region).create_stack(StackName=name, TemplateBody=template(name))
    url = outputs_of(cloud, name, region)["Launches"]
    ec2 = cloud.client("ec2", region=region)
    with pytest.raises(ec2.exceptions.ClientError, match="DryRunOperation"):
        ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, DryRun=True)
    assert received(cloud, url, region) == []


def test_queue_without_a_policy_gets_nothing(cloud: RunningCloud, name: str, region: str) -> None:
    body = template(name, policy=False)
    cloud.client("cloudformation", region=region).create_stack(StackName=name, TemplateBody=body)
    outputs = outputs_of(cloud, name, region)
    launched(cloud, region=region, record=True)
    assert received(cloud, outputs["Launches"], region) == received(cloud, outputs["Dead"], region) == []


def test_event_that_the_queue_refuses_goes_to_the_dead_letters(cloud: RunningCloud, name: str, region: str) -> None:
    cloud.client("cloudformation", region=region).create_stack(StackName=name, TemplateBody=template(name))
    outputs = outputs_of(cloud, name, region)
    none = {"Version": "2012-10-17", "Statement": []}
    cloud.client("sqs", region=region).set_queue_attributes(
        QueueUrl=outputs["Launches"], Attributes={"Policy": json.dumps(none)}
    )
    launched(cloud, region=region, record=True)
    assert received(cloud, outputs["Launches"], region) == []
    (dead,) = received(cloud, outputs["Dead"], region)
    attributes = {key: content["StringValue"] for key, content in dead["MessageAttributes"].items()}
    assert attributes["ERROR_CODE"] == "NO_PERMISSIONS"
    assert attributes["TARGET_ARN"].endswith(f":{name}")
    assert attributes["RULE_ARN"].startswith(f"arn:aws:events:{region}:{ACCOUNT_ID}:rule/")
    assert json.loads(dead["Body"])["detail"]["eventName"] == "RunInstances"


def test_template_sets_what_it_says(cloud: RunningCloud, name: str, region: str) -> None:
    stacks, sqs = cloud.client("cloudformation", region=region), cloud.client("sqs", region=region)
    stacks.create_stack(StackName=name, TemplateBody=template(name))
    outputs = outputs_of(cloud, name, region)
    attributes = sqs.get_queue_attributes(QueueUrl=outputs["Launches"], AttributeNames=["All"])["Attributes"]
    dead = sqs.get_queue_attributes(QueueUrl=outputs["Dead"], AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "960"
    assert json.loads(attributes["RedrivePolicy"]) == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 3}
    assert json.loads(attributes["Policy"])["Statement"][0]["Action"] == "sqs:SendMessage"
    assert dead["MessageRetentionPeriod"] == "1209600"
    topic = cloud.client("sns", region=region).get_topic_attributes(TopicArn=outputs["Topic"])["Attributes"]
    assert topic["DisplayName"] == "Portico"
    assert json.loads(topic["Policy"])["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}

    stacks.update_stack(StackName=name, TemplateBody=template(name, event_name="StopInstances", timeout=30))
    outputs = outputs_of(cloud, name, region, "UPDATE_COMPLETE")
    attributes = sqs.get_queue_attributes(QueueUrl=outputs["Launches"], AttributeNames=["All"])["Attributes"]
    assert attributes["VisibilityTimeout"] == "30"
    ids = launched(cloud, region=region, record=True)
    cloud.client("ec2", region=region).stop_instances(InstanceIds=ids)
    (message,) = received(cloud, outputs["Launches"], region)
    assert json.loads(message["Body"])["detail"]["eventName"] == "StopInstances"
    stacks.delete_stack(StackName=name)
    wait_until(lambda: not sqs.list_queues(QueueNamePrefix=name).get("QueueUrls"))
    assert cloud.client("events", region=region).list_rules()["Rules"] == []


def test_message_received_too_often_goes_to_the_dead_letters(cloud: RunningCloud, name: str, region: str) -> None:
    cloud.client("cloudformation", region=region).create_stack(StackName=name, TemplateBody=template(name))
    outputs, sqs = outputs_of(cloud, name, region), cloud.client("sqs", region=region)
    sqs.send_message(QueueUrl=outputs["Launches"], MessageBody="unreadable")
    for _ in range(3):
        (message,) = sqs.receive_message(QueueUrl=outputs["Launches"])["Messages"]
        request = {"QueueUrl": outputs["Launches"], "ReceiptHandle": message["ReceiptHandle"]}
        sqs.change_message_visibility(VisibilityTimeout=0, **request)
    assert received(cloud, outputs["Launches"], region) == []
    assert [one["Body"] for one in received(cloud, outputs["Dead"], region)] == ["unreadable"]
