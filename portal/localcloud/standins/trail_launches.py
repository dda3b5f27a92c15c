"""Instances that anybody launched at any time, with their event: what tests and samples ask for.

`POST /_portico/launches` takes a list of launches. Each has `instances` (how many) and `identity` (CloudTrail's
userIdentity), and may have `at` (now), `vpc_id` (the default VPC; one that does not exist is made), `region`, `tags` or
`tag_sets` (given out in turn), `instance_type`, `image_id`, `key_name`, `state` (`running` or `stopped`), `record`
(whether CloudTrail has the event) and `deliver` (whether EventBridge gets it: by default only when no time is given).
"""

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from portal.localcloud.standins.ec2_calls import Ec2Calls
from portal.localcloud.standins.ec2_instance_view import instance_xml
from portal.localcloud.standins.ec2_launches import IMAGE, INSTANCE_TYPE, Launch, Launches, pending
from portal.localcloud.standins.ec2_networks import Networks
from portal.localcloud.standins.ec2_states import CODES, USER_INITIATED
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.trail_events import (
    Resource,
    elements_of,
    event_of,
    launch_resources,
    request_parameters,
)
from portal.localcloud.standins.trail_history import History
from portal.localcloud.standins.trail_recorder import Recorder

SOURCE_IP = "198.51.100.17"
USER_AGENT = "aws-cli/2.31.0"
Tags = dict[str, str]


class LaunchMalformed(ValueError):
    """A posted launch lacks a field or has one of the wrong kind."""


@dataclass(frozen=True)
class AskedLaunch:
    """One posted launch."""

    instances: int
    identity: dict[str, Any]
    at: datetime | None = None
    vpc_id: str = ""
    region: str = ""
    instance_type: str = INSTANCE_TYPE
    image_id: str = IMAGE
    key_name: str = ""
    state: str = "running"
    tag_sets: list[Tags] = field(default_factory=list)
    record: bool = True
    deliver: bool | None = None

    @classmethod
    def from_json(cls, fields: Any) -> "AskedLaunch":
        """Read one posted launch. Raises LaunchMalformed."""
        if not isinstance(fields, dict):
            raise LaunchMalformed("a launch is a JSON object")
        given = dict(fields)
        unknown = set(given) - {*cls.__dataclass_fields__, "tags"}
        if unknown:
            raise LaunchMalformed(f"unknown fields: {', '.join(sorted(unknown))}")
        if not isinstance(given.get("instances"), int) or given["instances"] < 1:
            raise LaunchMalformed("instances is how many instances were launched")
        if not isinstance(given.get("identity"), dict) or not given["identity"].get("type"):
            raise LaunchMalformed("identity is a userIdentity of CloudTrail, with its type")
        if given.get("state", "running") not in ("running", "stopped"):
            raise LaunchMalformed("state is running or stopped")
        try:
            if given.get("at") is not None:
                given["at"] = datetime.fromisoformat(given["at"]).astimezone(UTC)
            tags = given.pop("tags", None)
            sets = given.get("tag_sets") or ([tags] if tags else [])
            given["tag_sets"] = [{str(key): str(content) for key, content in one.items()} for one in sets]
            return cls(**given)
        except (AttributeError, TypeError, ValueError) as wrong:
            raise LaunchMalformed(str(wrong)) from wrong


class AskedLaunches:
    """Performs posted launches."""

    def __init__(
        self, calls: Ec2Calls, networks: Networks, launches: Launches, history: History, recorder: Recorder
    ) -> None:
        self._ec2 = calls.ec2
        self._networks, self._launches = networks, launches
        self._history, self._recorder = history, recorder
        self._responses = module_with("ministack.core.responses", "request_scope", "get_account_id")
        self._region = os.environ["MINISTACK_REGION"]

    def answer(self, body: bytes) -> list[dict[str, Any]]:
        """Perform the posted launches and return each one's instance ids and its event's. Raises LaunchMalformed."""
        try:
            posted = json.loads(body)
        except ValueError as malformed:
            raise LaunchMalformed(str(malformed)) from malformed
        asked = [AskedLaunch.from_json(one) for one in (posted if isinstance(posted, list) else [posted])]
        account, answers = self._responses.get_account_id(), []
        recorded: list[tuple[dict[str, Any], list[Resource]]] = []
        delivered = []
        for one in asked:
            region = one.region or self._region
            with self._responses.request_scope(account, region):
                self._ec2._ensure_defaults_initialized()
                instances, event = self._perform(one, account, region)
            answers.append(
                {
                    "instances": [instance["InstanceId"] for instance in instances],
                    "event_id": event["eventID"] if one.record else None,
                }
            )
            if one.record:
                recorded.append((event, launch_resources(instances)))
                if one.deliver or (one.deliver is None and one.at is None):
                    delivered.append((region, event))
        self._history.add(recorded)
        for region, event in delivered:
            with self._responses.request_scope(account, region):
                self._recorder.deliver(event)
        return answers

    def _perform(self, asked: AskedLaunch, account: str, region: str) -> tuple[list[Any], dict[str, Any]]:
        at = asked.at or datetime.now(UTC)
        place = self._networks.place_in_vpc(asked.vpc_id, account, region)
        launch = Launch(
            count=asked.instances,
            place=place,
            at=at,
            image_id=asked.image_id,
            instance_type=asked.instance_type,
            key_name=asked.key_name,
            tag_sets=[[{"Key": key, "Value": content} for key, content in one.items()] for one in asked.tag_sets],
        )
        instances = self._launches.perform(launch)
        event = self._event(asked, launch, instances, account, region) if asked.record else {}
        for instance in instances if asked.state == "stopped" else ():
            instance["State"] = {"Code": CODES["stopped"], "Name": "stopped"}
            instance["StateReason"] = USER_INITIATED
        return instances, event

    def _event(
        self, asked: AskedLaunch, launch: Launch, instances: list[Any], account: str, region: str
    ) -> dict[str, Any]:
        params = {
            "ImageId": [launch.image_id],
            "MinCount": [str(launch.count)],
            "MaxCount": [str(launch.count)],
            "InstanceType": [launch.instance_type],
            "SubnetId": [launch.place.subnet_id],
        }
        items = "".join(
            instance_xml(pending(one), self._ec2._tags.get(one["InstanceId"]) or [], account) for one in instances
        )
        answer = elements_of(f"<answer><instancesSet>{items}</instancesSet></answer>")
        return event_of(
            "RunInstances",
            {"accountId": account, **asked.identity},
            account=account,
            region=region,
            at=launch.at.timestamp(),
            source_ip=SOURCE_IP,
            user_agent=USER_AGENT,
            parameters=request_parameters("RunInstances", params),
            answer={
                "reservationId": instances[0]["ReservationId"],
                "ownerId": account,
                "groupSet": {},
                **answer,
            },
        )
