"""An object's versions, newest first, with the markers that say it was deleted.

Reference: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings


def newest(s3: Any, key: str) -> tuple[dict[str, Any] | None, datetime | None]:
    """Return the newest version of an object, and since when it is deleted; None for what there is not."""
    deleted_at: datetime | None = None
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=settings.DOCUMENTS_BUCKET, Prefix=key):
        for one in page.get("DeleteMarkers", ()):
            if one["Key"] == key and one["IsLatest"]:
                deleted_at = one["LastModified"]
        for one in page.get("Versions", ()):
            if one["Key"] == key:
                return one, deleted_at
        # Other keys may begin with this one; they come after it.
        if page.get("NextKeyMarker", key) != key:
            break
    return None, deleted_at
