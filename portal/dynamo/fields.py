"""Fields of items whose attributes look different from the values people see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import models


class EpochField(models.DateTimeField):  # type: ignore[type-arg]
    """A moment that DynamoDB holds as whole seconds since 1970."""

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> datetime | None:
        return None if value is None else datetime.fromtimestamp(int(value), UTC)

    def get_prep_value(self, value: Any) -> int | None:
        moment = self.to_python(value)
        return None if moment is None else int(moment.timestamp())
