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
        answer: dict[str, Any] = _without_nulls(self._call(action, parameters))
        return answer


def _without_nulls(value: Any) -> Any:
    """Leave out what is null, as boto3 does: a member that is there has a value."""
    match value:
        case dict():
            return {name: _without_nulls(one) for name, one in value.items() if one is not None}
        case list():
            return [_without_nulls(one) for one in value if one is not None]
    return value
