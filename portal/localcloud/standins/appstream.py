"""AppStream, which MiniStack does not have: fleets, stacks and streaming sessions.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/Welcome.html
"""

from collections.abc import Callable, Iterator
from typing import Any

from portal.localcloud.standins import (
    appstream_association_calls,
    appstream_fleet_calls,
    appstream_permissions,
    appstream_session_calls,
    appstream_stack_calls,
    appstream_tag_calls,
    appstream_validation,
)
from portal.localcloud.standins.appstream_calls import Call, Operations, Parameters
from portal.localcloud.standins.appstream_cbor import in_cbor
from portal.localcloud.standins.appstream_errors import Refused
from portal.localcloud.standins.appstream_protocols import SERVICE as TARGET
from portal.localcloud.standins.appstream_protocols import Protocol
from portal.localcloud.standins.appstream_records import Records
from portal.localcloud.standins.faults import Reply
from portal.localcloud.standins.snapshots import only_reads
from portal.localcloud.standins.touchpoints import module_with

SERVICE = "appstream"
Answer = tuple[int, dict[str, str], bytes]
_OPERATIONS: Operations = {
    **appstream_fleet_calls.OPERATIONS,
    **appstream_stack_calls.OPERATIONS,
    **appstream_association_calls.OPERATIONS,
    **appstream_session_calls.OPERATIONS,
    **appstream_tag_calls.OPERATIONS,
}


class AppStream:
    """Answers the calls of AppStream's API. cloud is the address of the local cloud."""

    def __init__(self, cloud: str, on_change: Callable[[], None]) -> None:
        self.records = Records(on_change)
        self._cloud = cloud
        self._app = module_with("ministack.app", "SERVICE_HANDLERS", "_enforce_data_plane", "_reset_all_state")
        self._responses = module_with("ministack.core.responses", "get_account_id", "get_region")
        self._install()

    def _install(self) -> None:
        router = module_with("ministack.core.router", "SERVICE_PATTERNS")
        actions = module_with("ministack.core.iam_actions", "access_denied_response")
        tagging = module_with("ministack.services.tagging", "_RESOURCE_TAG_COLLECTORS")
        denied, reset = actions.access_denied_response, self._app._reset_all_state

        def denied_in_protocol(service: str, *arguments: Any, headers: Any = None, **options: Any) -> Any:
            answer = denied(service, *arguments, headers=headers, **options)
            if service == SERVICE and Protocol.of(headers or {}).is_cbor:
                reply = in_cbor(Reply(*answer))
                return reply.status, reply.headers, reply.body
            return answer

        def reset_all() -> None:
            reset()
            self.records.clear()

        # Touchpoints: tables of services, and functions that are looked up in their modules at each call. The service
        # has no IAM namespace there: MiniStack would check a call on one resource, and take its action from the query.
        router.SERVICE_PATTERNS[SERVICE] = {"target_prefixes": [TARGET]}
        self._app.SERVICE_HANDLERS[SERVICE] = self._handle
        actions.access_denied_response, self._app._reset_all_state = denied_in_protocol, reset_all
        tagging._RESOURCE_TAG_COLLECTORS[SERVICE] = self._tags

    def call(self, action: str, parameters: Parameters) -> Parameters:
        """Do what a call asks for, in the request's account and region. Raises Refused."""
        known = appstream_validation.validated(action, parameters)
        with self.records.lock:
            answer = _OPERATIONS[action](self.call_of(action, known))
        if not only_reads("POST", action):
            self.records.on_change()
        return answer

    def call_of(self, action: str, parameters: Parameters) -> Call:
        account, region = self._responses.get_account_id(), self._responses.get_region()
        return Call(action, parameters, account, region, self.records, self._cloud)

    async def _handle(self, _method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Answer:
        protocol = Protocol.of(headers)
        try:
            action = protocol.action(path, headers)
            if action not in _OPERATIONS:
                raise _unknown(action)
            parameters = protocol.read(body)
            refusal = self._refusal(action, parameters, headers, query)
            if refusal is not None:
                return refusal
            reply = protocol.answer(self.call(action, parameters))
        except Refused as refused:
            reply = protocol.refusal(refused, appstream_validation.status_of(refused.code))
        return reply.status, dict(reply.headers), reply.body

    def _refusal(self, action: str, parameters: Parameters, headers: dict[str, str], query: Any) -> Answer | None:
        """Return what IAM answers to who may not make this call."""
        prefix = f"arn:aws:appstream:{self._responses.get_region()}:{self._responses.get_account_id()}"
        context = appstream_permissions.tag_keys(parameters)
        for arn in appstream_permissions.resources(action, parameters, prefix):
            denied: Answer | None = self._app._enforce_data_plane(
                SERVICE, f"{SERVICE}:{action}", headers, query, "", arn, service_context=context, named_resource=arn
            )
            if denied:
                return denied
        return None

    def _tags(self) -> Iterator[tuple[str, list[dict[str, str]]]]:
        """Yield the ARN and tags of what there is, for aws:ResourceTag."""
        with self.records.lock:
            for one in self.call_of("", {}).here.resources():
                yield one.arn, [{"Key": name, "Value": value} for name, value in one.tags.items()]


def _unknown(action: str) -> Refused:
    """Return the error of an operation that is not there: not in the service, or not in the local cloud."""
    if action in appstream_validation.service_model().operation_names:
        return Refused("UnknownOperationException", f"The local cloud's AppStream has no {action}")
    return Refused("UnknownOperationException", f"AppStream has no operation {action}")
