"""Streaming URLs and sessions as calls see them.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_CreateStreamingURL.html,
https://docs.aws.amazon.com/appstream2/latest/APIReference/API_DescribeSessions.html and
https://docs.aws.amazon.com/appstream2/latest/APIReference/API_ExpireSession.html
"""

from datetime import UTC, datetime

from portal.localcloud.standins.appstream_calls import Call, Operations, Parameters
from portal.localcloud.standins.appstream_errors import Refused, combination, not_available
from portal.localcloud.standins.appstream_fleets import RUNNING
from portal.localcloud.standins.appstream_rules import (
    DEFAULT_LIMIT,
    DEFAULT_VALIDITY_SECONDS,
    check_ranges,
    check_sessions_query,
)
from portal.localcloud.standins.appstream_sessions import BY_URL, EXPIRED, StreamingUrl, digest, new_secret

URL_PATH = "/streaming/authenticate"


def create_url(call: Call) -> Parameters:
    """Make a URL that opens a session. The session begins when it is opened: here is no capacity to be had yet.

    The errors are of the operation's own list; which of them is which is not documented.
    """
    asked = call.parameters
    check_ranges(asked)
    stack, fleet = call.stack(asked["StackName"]), call.fleet(asked["FleetName"])
    if (fleet.name, stack.name) not in call.here.associations:
        raise combination(f"The fleet {fleet.name} is not associated with the stack {stack.name}")
    now = call.now
    if fleet.state(now) != RUNNING:
        raise not_available(f"The fleet {fleet.name} is {fleet.state(now)}, not {RUNNING}")
    call.here.forget_the_past(now)
    secret, expires_at = new_secret(), now + asked.get("Validity", DEFAULT_VALIDITY_SECONDS)
    call.here.urls[digest(secret)] = StreamingUrl(
        stack=stack.name,
        fleet=fleet.name,
        user_id=asked["UserId"],
        expires_at=expires_at,
        application=asked.get("ApplicationId", ""),
        context=asked.get("SessionContext", ""),
    )
    address = f"{call.cloud}{URL_PATH}?parameters={secret}"
    return {"StreamingURL": address, "Expires": datetime.fromtimestamp(expires_at, UTC)}


def describe(call: Call) -> Parameters:
    """List the sessions that are not over: of those that are, the documentation has no word."""
    asked, now = call.parameters, call.now
    check_sessions_query(asked)
    try:
        stack, fleet = call.stack(asked["StackName"]), call.fleet(asked["FleetName"])
    except Refused as unknown:
        # It is the only error that the operation has.
        raise combination(unknown.message) from unknown
    found = [
        session
        for session in call.here.live_sessions(fleet.name, now, stack.name)
        if asked.get("UserId", session.user_id) == session.user_id
        and asked.get("InstanceId", session.instance_id) == session.instance_id
        and asked.get("AuthenticationType", BY_URL) == BY_URL
    ]
    found.sort(key=lambda session: (session.started_at, session.id))
    return call.page([one.described(now) for one in found], "Sessions", asked.get("Limit", DEFAULT_LIMIT))


def expire(call: Call) -> Parameters:
    """End a session. The operation has no error that would say that there is none."""
    session, now = call.here.sessions.get(call.parameters["SessionId"]), call.now
    if session is not None and session.state(now) != EXPIRED:
        session.ended_at = now
    return {}


OPERATIONS: Operations = {
    "CreateStreamingURL": create_url,
    "DescribeSessions": describe,
    "ExpireSession": expire,
}
