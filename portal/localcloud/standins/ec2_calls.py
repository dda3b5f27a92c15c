"""The one place where stand-ins step into MiniStack's handling of an EC2 call, and EC2's query protocol.

Reference: https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-intro.html
"""

import functools
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from portal.localcloud.standins.role_sessions import Refusal
from portal.localcloud.standins.touchpoints import module_with

Params = dict[str, list[str]]
Response = tuple[int, dict[str, str], bytes]
# Returns what the answer says between the tags of <ActionResponse>. Raises Refusal.
Answer = Callable[[Params], str]

_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"
# Text that XML cannot carry, even escaped.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
INSTANCE_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")


class Ec2Calls:
    """Answers EC2 actions in MiniStack's place, from MiniStack's own records."""

    def __init__(self) -> None:
        self.ec2: Any = module_with(
            "ministack.services.ec2",
            "_ACTION_MAP",
            "parse_qs",
            "handle_request",
            "get_state",
            "copy.deepcopy",
            "_cleanup_terminated",
            "_ensure_defaults_initialized",
            "_resolve_iam_instance_profile",
            "_upsert_iam_instance_profile_association",
            "_find_active_iam_instance_profile_association",
            "_mark_iam_instance_profile_association_disassociated",
            "_DEFAULT_VPC_ID",
            "_az_id_for_zone_name",
            *STORES.values(),
        )
        # Touchpoint: it drops parameters with an empty value, which is not the same to DeleteTags as no value.
        self.ec2.parse_qs = functools.partial(parse_qs, keep_blank_values=True)
        # Touchpoint: snapshots.py encodes the state at once, on the event loop, so that no copy is needed; one of
        # 10,000 instances takes a second.
        copying = self.ec2.copy

        class Shallow:
            deepcopy = staticmethod(lambda value: value if hasattr(value, "all_items") else copying.deepcopy(value))

        self.ec2.copy = Shallow

    def answer(self, action: str, perform: Answer) -> None:
        """Answer an action with what perform returns, or with the Refusal that it raises."""

        def handle(params: Params) -> Response:
            try:
                inner = perform(params)
            except Refusal as refusal:
                return error(refusal)
            content = (
                f'<?xml version="1.0" encoding="UTF-8"?>\n<{action}Response xmlns="{_NAMESPACE}">'
                f"<requestId>{uuid.uuid4()}</requestId>{inner}</{action}Response>"
            )
            return 200, {"Content-Type": "text/xml;charset=UTF-8"}, content.encode()

        # Touchpoint: the table of actions; the handler is looked up in it at each call.
        self.ec2._ACTION_MAP[action] = handle

    def instances(self, params: Params) -> list[Any]:
        """Return the instances that a call names. Raises Refusal if one does not exist."""
        ids = members(params, "InstanceId")
        if not ids:
            raise Refusal("MissingParameter", "The request must contain the parameter InstanceId")
        self.check_instances(ids)
        return [self.ec2._instances[one] for one in dict.fromkeys(ids)]

    def check_instances(self, ids: list[str]) -> None:
        """Raise Refusal unless every id is an instance's."""
        for one in ids:
            if not INSTANCE_ID.fullmatch(one):
                raise Refusal("InvalidInstanceID.Malformed", f'Invalid id: "{one}"')
        missing = [one for one in ids if one not in self.ec2._instances]
        if missing:
            raise Refusal("InvalidInstanceID.NotFound", not_existing("instance ID", missing))


# Where MiniStack keeps the resources of an id's prefix.
STORES = {
    "i": "_instances",
    "vpc": "_vpcs",
    "subnet": "_subnets",
    "sg": "_security_groups",
    "vol": "_volumes",
    "tags": "_tags",
}


def not_existing(noun: str, ids: list[str]) -> str:
    """Return EC2's sentence about ids that do not exist."""
    if len(ids) == 1:
        return f"The {noun} '{ids[0]}' does not exist"
    return f"The {noun}s '{', '.join(ids)}' do not exist"


def error(refusal: Refusal) -> Response:
    """Return an error as EC2 sends it."""
    content = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Response><Errors><Error><Code>{refusal.code}</Code><Message>{text(refusal.message)}</Message></Error></Errors>"
        f"<RequestID>{uuid.uuid4()}</RequestID></Response>"
    )
    return refusal.status, {"Content-Type": "text/xml;charset=UTF-8"}, content.encode()


def refuse_dry_run(params: Params) -> None:
    """Raise the Refusal with which EC2 ends a permitted call that was only to be tried."""
    if value(params, "DryRun").lower() == "true":
        raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", status=412)


def value(params: Params, name: str, default: str = "") -> str:
    """Return a parameter's value, or the default where it is absent or empty."""
    return (params.get(name) or [""])[0] or default


def members(params: Params, prefix: str) -> list[str]:
    """Return the values of prefix.1, prefix.2 and so on."""
    found: list[str] = []
    while (name := f"{prefix}.{len(found) + 1}") in params:
        found.append(params[name][0])
    return found


def text(content: object) -> str:
    """Return content as the text of an XML element. A bare carriage return would be read as a line feed."""
    return escape(str(content), {"\r": "&#13;"})
