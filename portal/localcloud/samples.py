"""What a new local cloud contains: the sample people, unicorns to ride, instances, and rules for their tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from portal.dynamo.values import to_item
from portal.localcloud import sample_apps, sample_fleet, sample_runs
from portal.localcloud.cloud import REGION, Cloud
from portal.localcloud.people import PASSWORD, PEOPLE, Person
from portal.localcloud.sent import REPORTS
from rides.rules import Place, curve_keys

# The first three are the published tutorial's. The rest stand where people try the map first.
FLEET = [
    ("angel", "Angel", "White", "Female", "47.6205", "-122.3493"),
    ("gil", "Gil", "White", "Male", "47.6097", "-122.3331"),
    ("rocinante", "Rocinante", "Yellow", "Female", "47.6740", "-122.1215"),
    ("bellerophon", "Bellerophon", "Silver", "Male", "47.5480", "-122.3160"),
    ("iris", "Iris", "Violet", "Female", "51.5074", "-0.1278"),
    ("kirin", "Kirin", "Gold", "Male", "35.6762", "139.6503"),
    ("aurora", "Aurora", "Rose", "Female", "52.5200", "13.4050"),
    ("vesper", "Vesper", "Blue", "Male", "41.9028", "12.4964"),
    ("zephyr", "Zephyr", "Grey", "Male", "40.7128", "-74.0060"),
    ("marula", "Marula", "Copper", "Female", "-1.2921", "36.8219"),
    ("banksia", "Banksia", "Green", "Female", "-33.8688", "151.2093"),
    ("jacaranda", "Jacaranda", "Lilac", "Female", "-23.5505", "-46.6333"),
]
SPEED = 90  # km/h
WELCOME = Path(__file__).parent / "welcome.md"
# The first three are the published article's.
RULES: list[dict[str, Any]] = [
    {"RuleId": 1, "TagKey": "ProjectCode", "Action": "Update", "Required": "Y", "Default": "Proj007"},
    {"RuleId": 2, "TagKey": "CreatedBy", "Action": "UserLookup", "Required": "Y"},
    {"RuleId": 3, "TagKey": "Expires", "Action": "Function", "Required": "N", "Default": "today()"},
    {
        "RuleId": 4,
        "TagKey": "Environment",
        "Action": "Update",
        "Required": "Y",
        "Default": "prod",
        "VpcIds": [sample_fleet.PRODUCTION],
        "AllowedValues": ["prod"],
        "Description": "The VPC decides. What says something else is reported.",
    },
    {
        "RuleId": 5,
        "TagKey": "Environment",
        "Action": "Update",
        "Required": "Y",
        "Default": "test",
        "VpcIds": [sample_fleet.STAGING],
        "AllowedValues": ["dev", "test"],
        "Untagged": "stop",
        "GraceDays": 7,
        "Description": "What stands in staging without any tags is stopped a week after its owner was warned.",
    },
    {
        "RuleId": 6,
        "TagKey": "CostCentre",
        "Action": "Function",
        "Required": "Y",
        "Default": "tag(ProjectCode)",
        "Order": 10,
        "Description": "Who pays: the project.",
    },
    {
        "RuleId": 7,
        "TagKey": "Backup",
        "Action": "Update",
        "Required": "Y",
        "Default": "daily",
        "TagFilter": "Environment=prod",
        "Enabled": "N",
        "Description": "Switched off. A preview shows what it would do.",
    },
]


def load(cloud: Cloud, outputs: Mapping[str, str]) -> None:
    """Add what is missing of the samples: people one by one, unicorns only to an empty fleet, rules where there are
    none."""
    cognito = cloud.client("cognito-idp")
    for person in PEOPLE:
        add_person(cognito, outputs["UserPoolId"], person)
    dynamodb = cloud.client("dynamodb")
    if not dynamodb.scan(TableName=outputs["FleetTable"], Limit=1)["Items"]:
        for unicorn_id, name, color, gender, latitude, longitude in FLEET:
            item = unicorn(unicorn_id, Name=name, Color=color, Gender=gender, Latitude=latitude, Longitude=longitude)
            dynamodb.put_item(TableName=outputs["FleetTable"], Item=item)
    if not dynamodb.scan(TableName=outputs["TagPoliciesTable"], Limit=1)["Items"]:
        for rule in RULES:
            dynamodb.put_item(TableName=outputs["TagPoliciesTable"], Item=to_item(rule))
        for run in sample_runs.items(RULES, now=datetime.now(UTC)):
            dynamodb.put_item(TableName=outputs["PolicyRunsTable"], Item=run)
    if "Contents" not in cloud.client("s3").list_objects_v2(Bucket=outputs["DocumentsBucket"], MaxKeys=1):
        write_welcome(cloud, outputs)
    keep_reports(cloud, outputs["PolicyReportsTopicArn"])
    sample_apps.load(cloud, outputs)
    sample_fleet.load(cloud)


def write_welcome(cloud: Cloud, outputs: Mapping[str, str]) -> None:
    """Put a first document into the author's corner, as another program of theirs would."""
    tokens = cloud.client("cognito-idp").initiate_auth(
        AuthFlow="USER_PASSWORD_AUTH",
        ClientId=outputs["ApiClientId"],
        AuthParameters={"USERNAME": "author", "PASSWORD": PASSWORD},
    )["AuthenticationResult"]
    provider = f"cognito-idp.{REGION}.amazonaws.com/{outputs['UserPoolId']}"
    identity = cloud.client("cognito-identity").get_id(
        IdentityPoolId=outputs["IdentityPoolId"], Logins={provider: tokens["IdToken"]}
    )["IdentityId"]
    cloud.client("s3").put_object(
        Bucket=outputs["DocumentsBucket"],
        Key=f"ugc/{identity}/welcome.md",
        Body=WELCOME.read_bytes(),
        ContentType="text/markdown; charset=utf-8",
    )


def keep_reports(cloud: Cloud, topic: str) -> None:
    """Subscribe a queue that nobody empties to a topic: on AWS, it would be somebody's address."""
    sqs = cloud.client("sqs")
    url = sqs.create_queue(QueueName=REPORTS)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)


def add_person(cognito: Any, pool: str, person: Person) -> None:
    """Create a person with a verified address, the sample password and their groups; one who exists stays as is."""
    try:
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=person.username,
            MessageAction="SUPPRESS",
            UserAttributes=[
                {"Name": "email", "Value": person.email},
                {"Name": "email_verified", "Value": "true"},
                {"Name": "given_name", "Value": person.given_name},
                {"Name": "family_name", "Value": person.family_name},
                *([{"Name": "custom:manager", "Value": person.manager}] if person.manager else []),
            ],
        )
    except cognito.exceptions.UsernameExistsException:
        return
    cognito.admin_set_user_password(UserPoolId=pool, Username=person.username, Password=PASSWORD, Permanent=True)
    for group in person.groups:
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=person.username, GroupName=group)


def unicorn(unicorn_id: str, **attributes: Any) -> dict[str, Any]:
    """Return the Fleet table's item of a free unicorn; any attribute can be given."""
    attributes = {
        "Name": unicorn_id,
        "Color": "White",
        "Gender": "Female",
        "Latitude": "47.6",
        "Longitude": "-122.3",
        "Speed": SPEED,
        "BusyUntil": 0,
        **attributes,
    }
    where = {name: Decimal(str(attributes[name])) for name in ("Latitude", "Longitude")}
    curve_a, curve_b = curve_keys(Place(latitude=float(where["Latitude"]), longitude=float(where["Longitude"])))
    keys = {"UnicornId": unicorn_id, "Herd": "all", "CurveA": curve_a, "CurveB": curve_b}
    return to_item({**keys, **attributes, **where})
