"""AppStream's client: starting an application is little more than one call of it."""

from __future__ import annotations

from typing import Any

from portal.aws_json import AwsJson


class AppStream(AwsJson):
    """The calls, by AWS's names of them and of what they take, e.g. call("StartFleet", Name="apps"). Moments are
    seconds since 1970.

    Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_Operations.html
    """

    service, host = "appstream", "appstream2"
    target, version = "PhotonAdminProxyService", "1.1"
    passing = frozenset({"RequestLimitExceededException"})

    def call(self, action: str, **parameters: Any) -> dict[str, Any]:
        return self._call(action, parameters)
