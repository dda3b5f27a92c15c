"""A look from outside at whether a denial is in effect: IAM's changes arrive in seconds, but not at once.

A probe is a session of the portal's own developer identity, tagged with somebody's sub. It has a corner of its own,
which is empty, and does nothing but list that until it is refused.
Reference: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from portal import aws
from portal.accounts import identity_pool, sts
from portal.accounts.refusals import Refused

DEVELOPER_USER = "end-now-probe"
PAUSE_SECONDS = 0.25
# AWS answers from many machines: the first that refuses may not be the last that allows.
TIMES = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Probe:
    bucket: Any  # an S3 client
    prefix: str

    def is_refused(self) -> bool:
        """Tell whether AWS refuses the session now."""
        try:
            self.bucket.list_objects_v2(Bucket=settings.DOCUMENTS_BUCKET, Prefix=self.prefix, MaxKeys=1)
        except ClientError as error:
            return aws.error_code(error) == "AccessDenied"
        except BotoCoreError:
            return False
        return False


def of(identity_id: str, credentials: sts.Credentials) -> Probe:
    """Return a probe of anybody's credentials."""
    bucket = aws.client_with(
        "s3",
        key_id=credentials.access_key_id,
        secret=credentials.secret_access_key,
        token=credentials.session_token,
    )
    return Probe(bucket, f"ugc/{identity_id}/")


def start(sub: str, role_arn: str) -> Probe | None:
    """Return a probe that is not refused as yet; None where that cannot be had, which must hold up no denial."""
    try:
        identity, token = identity_pool.vouch(DEVELOPER_USER, sub=sub, role_arn=role_arn)
        made = sts.assume_with_web_identity(token, role_arn, session_name=DEVELOPER_USER)
        probe = of(identity, made)
        if not probe.is_refused():
            return probe
        log.warning("A probe was refused before there was a reason to.")
    except (BotoCoreError, ClientError, Refused) as error:
        log.warning("There is no probe (%s).", type(error).__name__)
    return None


def start_all(sub: str, role_arns: Sequence[str], *, within_seconds: float) -> list[Probe | None]:
    """Return a probe for each role, or None for those that could not be had in time: a denial must not wait long."""
    executor = ThreadPoolExecutor(max_workers=len(role_arns))
    started = [executor.submit(start, sub, arn) for arn in role_arns]
    done, _ = wait(started, timeout=within_seconds)
    executor.shutdown(wait=False, cancel_futures=True)
    return [one.result() if one in done else None for one in started]


def all_refused(probes: Iterable[Probe | None], *, within_seconds: float) -> datetime | None:
    """Return since when all probes are refused; None where one is missing, or is not refused in time."""
    give_up_at = time.monotonic() + within_seconds
    since = None
    for probe in probes:
        times = 0
        while times < TIMES:
            if probe is None or time.monotonic() > give_up_at:
                return None
            if probe.is_refused():
                since = since if times else datetime.now(UTC)
                times += 1
            else:
                times = 0
                time.sleep(PAUSE_SECONDS)
    return since
