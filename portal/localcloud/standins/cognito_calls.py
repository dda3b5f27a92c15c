"""The one place where stand-ins step into MiniStack's handling of a user pool call."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[dict[str, Any]], Response]
# Gets MiniStack's handler, to call or not, and the call's parameters.
Around = Callable[[Handler, dict[str, Any]], Response]


class CognitoCalls:
    """Runs functions around the handlers of user pool actions, and handlers for actions that are new.

    They run on a thread of the call's own, after MiniStack has checked the secret hash, the access token and
    that the auth flow is enabled.
    """

    def __init__(self) -> None:
        self.cognito = module_with(
            "ministack.services.cognito",
            "_run_idp_handler",
            "_dispatch_idp",
            "run_reentrant",
            "_UNSIGNED_IDP_ACTIONS",
            "_pool_for_client",
            "_resolve_user",
            "_user_pools",
            "_user_pool_for_access_token",
        )
        self._around: dict[str, list[Around]] = defaultdict(list)
        self._added: dict[str, Handler] = {}
        # Touchpoints: both are looked up in the module at each call.
        run_handler, dispatch = self.cognito._run_idp_handler, self.cognito._dispatch_idp

        def run(handler: Handler, action: str, data: dict[str, Any]) -> Response:
            for around in self._around[action]:
                handler = _bound(around, handler)
            response: Response = run_handler(handler, action, data)
            return response

        async def dispatch_added(action: str, data: dict[str, Any]) -> Response:
            response: Response
            if action in self._added:
                response = await self.cognito.run_reentrant(
                    self.cognito._run_idp_handler,
                    self._added[action],
                    action,
                    data,
                    thread_name="cognito-added",
                )
            else:
                response = await dispatch(action, data)
            return response

        self.cognito._run_idp_handler = run
        self.cognito._dispatch_idp = dispatch_added

    def around(self, *actions: str, run: Around) -> None:
        """Call run in place of the actions' handlers. What is added later runs outside of what is there."""
        for action in actions:
            self._around[action].append(run)

    def add(self, action: str, handler: Handler) -> None:
        """Answer an action that an app calls with an access token and that MiniStack does not know."""
        self._added[action] = handler
        self.cognito._UNSIGNED_IDP_ACTIONS.add(action)

    def perform(self, action: str, data: dict[str, Any]) -> Response:
        """Run an action with everything around it, for Cognito's own pages: they need no signature or secret hash."""
        handler: Handler = getattr(self.cognito, re.sub(r"(?=[A-Z])", "_", action).lower())
        for around in self._around[action]:
            handler = _bound(around, handler)
        return handler(data)

    def pool_of(self, data: dict[str, Any]) -> Any:
        """Return the user pool a call names, by its id or by an app client's; None if there is none."""
        if data.get("UserPoolId"):
            return self.cognito._user_pools.get(data["UserPoolId"])
        return self.cognito._pool_for_client(data.get("ClientId"))[0]

    def find_user(self, pool: Any, username: Any) -> Any:
        """Return the user of that name, alias or sub, or None."""
        return self.cognito._resolve_user(pool, username)[0] if pool and username else None


def _bound(around: Around, handler: Handler) -> Handler:
    return lambda data: around(handler, data)


def error(code: str, message: str) -> Response:
    """Return an error as Cognito sends it."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return 400, headers, json.dumps({"__type": code, "message": message}).encode()


def answer(content: dict[str, Any]) -> Response:
    """Return a successful answer."""
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(content).encode()


def content_of(response: Response) -> dict[str, Any]:
    """Return what a response says, error or not."""
    content: dict[str, Any] = json.loads(response[2] or b"{}")
    return content


def attributes_of(user: Any) -> dict[str, str]:
    """Return a user's attributes by name."""
    return {attribute["Name"]: attribute.get("Value", "") for attribute in user.get("Attributes", [])}


def set_attributes(user: Any, **values: str) -> None:
    """Set attributes of a user."""
    merged = {**attributes_of(user), **values}
    user["Attributes"] = [{"Name": name, "Value": value} for name, value in merged.items()]
