"""AWS::AppStream::Stack, ::Fleet and ::StackFleetAssociation, which MiniStack's CloudFormation does not know.

A fleet is started when its CreationPolicy says so, and otherwise not.
Reference: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-appstream-fleet.html,
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-appstream-stack.html,
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-appstream-stackfleetassociation.html
and https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-creationpolicy.html
"""

import copy
import uuid
from typing import Any

from portal.localcloud.standins.appstream import AppStream
from portal.localcloud.standins.appstream_errors import Refused
from portal.localcloud.standins.appstream_fleets import STOPPED
from portal.localcloud.standins.appstream_records import Region
from portal.localcloud.standins.appstream_validation import input_of, status_of
from portal.localcloud.standins.touchpoints import module_with

STACK, FLEET = "AWS::AppStream::Stack", "AWS::AppStream::Fleet"
ASSOCIATION = "AWS::AppStream::StackFleetAssociation"
# The operation whose input a type's properties are.
_CREATES = {STACK: "CreateStack", FLEET: "CreateFleet", ASSOCIATION: "AssociateFleet"}
_REPLACING = {STACK: ("Name",), FLEET: ("Name", "FleetType"), ASSOCIATION: ("FleetName", "StackName")}
# Properties that only an update looks at.
_OF_UPDATE = {STACK: {"DeleteStorageConnectors", "AttributesToDelete"}}
# What an update deletes when the template has it no more, as UpdateStack and UpdateFleet call it.
_DELETED = {
    STACK: {
        "StorageConnectors": "STORAGE_CONNECTORS",
        "RedirectURL": "REDIRECT_URL",
        "FeedbackURL": "FEEDBACK_URL",
        "UserSettings": "USER_SETTINGS",
        "EmbedHostDomains": "EMBED_HOST_DOMAINS",
        "AccessEndpoints": "ACCESS_ENDPOINTS",
        "StreamingExperienceSettings": "STREAMING_EXPERIENCE_SETTINGS",
    },
    FLEET: {
        "VpcConfig": "VPC_CONFIGURATION",
        "DomainJoinInfo": "DOMAIN_JOIN_INFO",
        "IamRoleArn": "IAM_ROLE_ARN",
        "UsbDeviceFilterStrings": "USB_DEVICE_FILTER_STRINGS",
        "SessionScriptS3Location": "SESSION_SCRIPT_S3_LOCATION",
        "MaxSessionsPerInstance": "MAX_SESSIONS_PER_INSTANCE",
    },
}
# The prefix of CloudFormation's own tags.
RESERVED = "aws:"
Made = tuple[str, dict[str, str]]
Properties = dict[str, Any]


class Resources:
    """Creates, changes and deletes what templates declare."""

    def __init__(self, appstream: AppStream) -> None:
        self._appstream = appstream
        self._records = appstream.records
        self._cloudformation = module_with("ministack.services.cloudformation", "_stacks")
        provisioners = module_with(
            "ministack.services.cloudformation.provisioners",
            "_RESOURCE_HANDLERS",
            "_REPLACING_PROPERTIES",
            "_STACK_TAG_PROPERTY",
        )
        # Touchpoints: the tables of resource types.
        for kind in (STACK, FLEET):
            provisioners._RESOURCE_HANDLERS[kind] = self._named(kind)
            provisioners._STACK_TAG_PROPERTY[kind] = ("Tags", "list")
        provisioners._RESOURCE_HANDLERS[ASSOCIATION] = {"create": self._associate, "delete": self._disassociate}
        provisioners._REPLACING_PROPERTIES.update(_REPLACING)

    def _named(self, kind: str) -> dict[str, Any]:
        def create(logical_id: str, properties: Properties, stack_name: str) -> Made:
            given, tags = _read(kind, properties, logical_id)
            own = {name: value for name, value in tags.items() if not name.startswith(RESERVED)}
            asked = {name: one for name, one in given.items() if name not in _OF_UPDATE.get(kind, ())}
            self._call(_CREATES[kind], {**asked, "Tags": own} if own else asked)
            self._keep(kind, given["Name"], tags)
            if kind == FLEET and self._is_to_start(stack_name, logical_id):
                self._call("StartFleet", {"Name": given["Name"]})
            return given["Name"], {}

        def update(name: str, old: Properties, new: Properties, _stack_name: str, logical_id: str) -> Made:
            given, tags = _read(kind, new, logical_id)
            before, _tags = _read(kind, old, logical_id)
            changes = {key: one for key, one in given.items() if key == "Name" or before.get(key) != one}
            gone = [_DELETED[kind][key] for key in before if key not in given and key in _DELETED[kind]]
            if gone:
                changes["AttributesToDelete"] = [*changes.get("AttributesToDelete", []), *gone]
            if len(changes) > 1:
                self._call("UpdateStack" if kind == STACK else "UpdateFleet", changes)
            self._keep(kind, name, tags)
            return name, {}

        def delete(name: str, _properties: Properties) -> None:
            with self._records.lock:
                here = self._here
                (here.planned.stacks if kind == STACK else here.planned.fleets).pop(name, None)
                if name not in (here.stacks if kind == STACK else here.fleets):
                    return
                if kind == FLEET and here.fleets[name].state(self._records.now()) != STOPPED:
                    # A stack can be deleted while its fleet runs. Here it need not wait until the fleet has stopped.
                    self._call("StopFleet", {"Name": name})
                    here.fleets[name].pace_seconds = 0
                self._call("DeleteStack" if kind == STACK else "DeleteFleet", {"Name": name})

        return {"create": create, "update": update, "update_with_logical_id": True, "delete": delete}

    def _associate(self, logical_id: str, properties: Properties, _stack_name: str) -> Made:
        given, _tags = _read(ASSOCIATION, properties, logical_id)
        self._call("AssociateFleet", given)
        with self._records.lock:
            self._here.planned.associations.add((given["FleetName"], given["StackName"]))
        return f"{given['FleetName']}|{given['StackName']}", {}

    def _disassociate(self, names: str, _properties: Properties) -> None:
        fleet, _, stack = names.partition("|")
        with self._records.lock:
            here = self._here
            here.planned.associations.discard((fleet, stack))
            if (fleet, stack) in here.associations:
                here.end_sessions(fleet, self._records.now(), stack)
                self._call("DisassociateFleet", {"FleetName": fleet, "StackName": stack})

    @property
    def _here(self) -> Region:
        return self._appstream.call_of("", {}).here

    def _keep(self, kind: str, name: str, tags: dict[str, str]) -> None:
        """Take note that the template made it so. CloudFormation's own tags have a prefix that no caller may use."""
        with self._records.lock:
            here = self._here
            if kind == STACK:
                here.stacks[name].tags = tags
                here.planned.stacks[name] = copy.deepcopy(here.stacks[name])
            else:
                here.fleets[name].tags = tags
                planned = here.planned.fleets[name] = copy.deepcopy(here.fleets[name])
                planned.tell(start=False, now=0.0, pace_seconds=0.0)
        self._records.on_change()

    def _is_to_start(self, stack_name: str, logical_id: str) -> bool:
        stack = self._cloudformation._stacks.get(stack_name) or {}
        declared = (stack.get("_template") or {}).get("Resources", {}).get(logical_id, {})
        return str((declared.get("CreationPolicy") or {}).get("StartFleet")).lower() == "true"

    def _call(self, action: str, parameters: Properties) -> None:
        try:
            self._appstream.call(action, parameters)
        except Refused as refused:
            raise ValueError(
                f"{refused.message} (Service: AmazonAppStream; Status Code: {status_of(refused.code)}; "
                f"Error Code: {refused.code}; Request ID: {uuid.uuid4()}; Proxy: null)"
            ) from refused


def _read(kind: str, properties: Properties, logical_id: str) -> tuple[Properties, dict[str, str]]:
    """Return properties as the API takes them, and the tags. Raises ValueError with the reason for the stack."""
    shape = input_of(_CREATES[kind])
    update = input_of("UpdateStack")
    _refuse_unknown(properties, set(shape.members) | _OF_UPDATE.get(kind, set()), "#", logical_id)
    tags = {one["Key"]: str(one["Value"]) for one in properties.get("Tags") or []}
    members = {**update.members, **shape.members}
    given = {
        name: _typed(members[name], one, f"#/{name}", logical_id) for name, one in properties.items() if name != "Tags"
    }
    return given, tags


def _typed(shape: Any, value: Any, path: str, logical_id: str) -> Any:
    """Return a template's value as the API has it: a template may write numbers and booleans as texts."""
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            _refuse_unknown(value, set(shape.members), path, logical_id)
            return {name: _typed(shape.members[name], one, f"{path}/{name}", logical_id) for name, one in value.items()}
        case "list" if isinstance(value, list):
            return [_typed(shape.member, one, f"{path}/{at}", logical_id) for at, one in enumerate(value)]
        case "integer" if isinstance(value, str) and value.lstrip("-").isdecimal():
            return int(value)
        case "boolean" if str(value).lower() in ("true", "false"):
            return str(value).lower() == "true"
        case "string" if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    return value


def _refuse_unknown(properties: Properties, known: set[str], path: str, logical_id: str) -> None:
    """Raises ValueError with the reason for the stack."""
    unknown = set(properties) - known
    if unknown:
        raise ValueError(
            f"Properties validation failed for resource {logical_id} with message:\n"
            f"{path}: extraneous key [{min(unknown)}] is not permitted"
        )
