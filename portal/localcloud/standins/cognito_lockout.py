"""Lock a user out for a while after five wrong passwords, as Cognito does. MiniStack counts nothing.

Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/authentication.html ("Lockout behavior
for failed sign-in attempts"): after n failures, counting none made while locked, 2^(n-5) seconds, at most
about 15 minutes; forgotten after a successful sign-in or 15 quiet minutes.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from portal.localcloud.standins.cognito_calls import CognitoCalls, Handler, Response, content_of, error
from portal.localcloud.standins.touchpoints import module_with

FREE_FAILURES = 5
LONGEST_SECONDS = 15 * 60
PASSWORD_FLOWS = ("USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH")
REFUSED = "Incorrect username or password."
EXCEEDED = "Password attempts exceeded"


@dataclass
class Failures:
    """The failed sign-ins of one user. Times in monotonic seconds."""

    count: int = 0
    locked_until: float = 0.0
    last_at: float = 0.0


@dataclass
class Lockout:
    """Counts failed sign-ins by pool and user name. A name nobody has counts too, or it would stand out."""

    _failures: dict[tuple[str, str], Failures] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_locked(self, key: tuple[str, str], *, now: float) -> bool:
        with self._lock:
            failures = self._failures.get(key)
            if failures is not None and now - failures.last_at > LONGEST_SECONDS and now > failures.locked_until:
                del self._failures[key]
                failures = None
            if failures is None:
                return False
            failures.last_at = now
            return now < failures.locked_until

    def fail(self, key: tuple[str, str], *, now: float) -> None:
        with self._lock:
            failures = self._failures.setdefault(key, Failures())
            failures.count += 1
            failures.last_at = now
            if failures.count >= FREE_FAILURES:
                failures.locked_until = now + min(2.0 ** (failures.count - FREE_FAILURES), LONGEST_SECONDS)

    def succeed(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._failures.pop(key, None)


def install(calls: CognitoCalls) -> None:
    """Patch what checks a password: signing in, SRP's second step, changing it."""
    cognito = module_with("ministack.services.cognito", "_challenge_sessions")
    lockout = Lockout()

    def key_for(pool: Any, name: object) -> tuple[str, str]:
        user = calls.find_user(pool, name)
        return (pool["Id"], user["Username"] if user else str(name).lower())

    def guarded(handler: Handler, data: dict[str, Any], key: tuple[str, str]) -> Response:
        if lockout.is_locked(key, now=time.monotonic()):
            return error("NotAuthorizedException", EXCEEDED)
        response = handler(data)
        if response[0] == 200:
            lockout.succeed(key)
        elif content_of(response).get("message") in (REFUSED, "User does not exist."):
            lockout.fail(key, now=time.monotonic())
        return response

    def initiate(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        if pool is None or data.get("AuthFlow") not in PASSWORD_FLOWS:
            return handler(data)
        return guarded(handler, data, key_for(pool, (data.get("AuthParameters") or {}).get("USERNAME")))

    def respond(handler: Handler, data: dict[str, Any]) -> Response:
        pool = calls.pool_of(data)
        block = (data.get("ChallengeResponses") or {}).get("PASSWORD_CLAIM_SECRET_BLOCK")
        pending = cognito._challenge_sessions.get(data.get("Session") or "") or cognito._challenge_sessions.get(block)
        if pool is None or data.get("ChallengeName") != "PASSWORD_VERIFIER" or pending is None:
            return handler(data)
        return guarded(handler, data, key_for(pool, pending["username"]))

    def change_password(handler: Handler, data: dict[str, Any]) -> Response:
        user, pool = cognito._user_pool_for_access_token(data.get("AccessToken"))
        if user is None:
            return handler(data)
        response = guarded(handler, data, (pool["Id"], user["Username"]))
        if content_of(response).get("message") == EXCEEDED:
            return error("LimitExceededException", "Attempt limit exceeded, please try after some time.")
        return response

    calls.around("InitiateAuth", "AdminInitiateAuth", run=initiate)
    calls.around("RespondToAuthChallenge", "AdminRespondToAuthChallenge", run=respond)
    calls.around("ChangePassword", run=change_password)
