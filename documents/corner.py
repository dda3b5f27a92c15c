"""A person's corner of the bucket as Django knows storages, through django-storages.

Reference: https://django-storages.readthedocs.io/en/latest/backends/amazon-S3.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from storages.backends.s3 import S3Storage

from documents.place import corner_of
from portal import aws

LINK_SECONDS = 300


class _Upload(ContentFile):  # type: ignore[type-arg]
    """What is written, how, and what S3 answered."""

    def __init__(self, data: bytes, **parameters: Any) -> None:
        super().__init__(data)
        self.parameters = parameters
        self.answer: dict[str, Any] = {}


class Corner(S3Storage):  # type: ignore[misc]
    """Somebody's corner: names are paths in it. One is made for each request: it is not for two threads."""

    def __init__(self, identity_id: str, client: Callable[[], Any]) -> None:
        super().__init__(
            bucket_name=settings.DOCUMENTS_BUCKET,
            location=corner_of(identity_id),
            file_overwrite=True,
            querystring_expire=LINK_SECONDS,
            # The client signs; nothing that the process has in its environment should.
            access_key=None,
            secret_key=None,
            security_token=None,
        )
        self.identity_id = identity_id
        self._client = client
        self._resource: Any = None

    @property
    def connection(self) -> Any:
        if self._resource is None:
            self._resource = aws.s3_resource(self._client())
        return self._resource

    def store(self, path: str, data: bytes, **parameters: Any) -> dict[str, Any]:
        """Write a file as `save` does, with parameters of PutObject, and return its answer. Raises ClientError."""
        upload = _Upload(data, **parameters)
        self.save(path, upload)
        return upload.answer

    def _save(self, name: str, content: Any) -> str:
        # One PutObject, whose answer says what the version is called; django-storages would start a transfer's threads
        # and drop it.
        key = self._normalize_name(name)
        content.answer = self.bucket.Object(key).put(Body=content.read(), **content.parameters)
        return name
