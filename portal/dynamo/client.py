"""DynamoDB: the calls that every request makes.

Reference: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

from __future__ import annotations

import uuid
from typing import Any

from botocore.exceptions import ClientError

from portal.aws_json import AwsJson


class DynamoDB(AwsJson):
    """The calls, named and shaped as in boto3, with DynamoDB's attribute values; but binary attributes stay base64."""

    service = host = "dynamodb"
    target, version = "DynamoDB_20120810", "1.0"
    passing = frozenset(
        {
            "LimitExceededException",
            "ProvisionedThroughputExceededException",
            # Somebody else's transaction has the item, for some milliseconds.
            "TransactionConflictException",
            "TransactionInProgressException",
        }
    )

    def get_item(self, **parameters: Any) -> dict[str, Any]:
        return self._call("GetItem", parameters)

    def put_item(self, **parameters: Any) -> dict[str, Any]:
        return self._call("PutItem", parameters)

    def update_item(self, **parameters: Any) -> dict[str, Any]:
        return self._call("UpdateItem", parameters)

    def delete_item(self, **parameters: Any) -> dict[str, Any]:
        return self._call("DeleteItem", parameters)

    def query(self, **parameters: Any) -> dict[str, Any]:
        return self._call("Query", parameters)

    def scan(self, **parameters: Any) -> dict[str, Any]:
        return self._call("Scan", parameters)

    def batch_get_item(self, **parameters: Any) -> dict[str, Any]:
        return self._call("BatchGetItem", parameters)

    def transact_write_items(self, **parameters: Any) -> dict[str, Any]:
        # The token stays the same over all tries: what a lost reply hides is not done twice.
        return self._call("TransactWriteItems", {"ClientRequestToken": str(uuid.uuid4()), **parameters})

    def _is_passing(self, error: ClientError) -> bool:
        if super()._is_passing(error):
            return True
        # A transaction that met another one: where that is all, it passes.
        answer: Any = error.response
        reasons = {one.get("Code", "None") for one in answer.get("CancellationReasons", ())}
        return "TransactionConflict" in reasons and reasons <= {"None", "TransactionConflict"}
