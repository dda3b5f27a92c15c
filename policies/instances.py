"""EC2: the instances of a region, their tags, and their end.

Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from policies.description import read
from policies.instance import Act, Instance, Outcome
from portal import aws

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import TagTypeDef

log = logging.getLogger(__name__)

PAGE = 1000  # the most that EC2 gives in one answer, and takes in one CreateTags
_MOST_ERROR_CHARACTERS = 200
FILTER_VALUES = 200  # the most values of one filter
# A terminated instance is still described for an hour.
_ALIVE = {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}
_ID = re.compile(r"\bi-[0-9a-f]+\b")
_GONE = frozenset({"InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"})
# What is wrong with some of a call's instances and refuses the whole call.
_OF_SOME = _GONE | {
    "IncorrectInstanceState",
    "IncorrectState",
    "OperationNotPermitted",
    "TagLimitExceeded",
    "UnsupportedOperation",
}


class Unavailable(Exception):
    """EC2 did not answer in this region, or refused; the cause says which."""


class StaleToken(Exception):
    """The page's token is no longer valid: reading starts again."""


@dataclass(frozen=True)
class Page:
    instances: list[Instance]
    token: str  # of the next page, or ""


@dataclass(frozen=True)
class Refusal:
    """Why something was not done to an instance, or may not have been."""

    outcome: Outcome  # FAILED, GONE or UNKNOWN
    error: str
    is_of_call: bool = False  # whatever the instance was


Refusals = dict[tuple[str, str], Refusal]  # by instance id and tag key


def pages(region: str, *, vpc_ids: Iterable[str] | None = None, token: str = "") -> Iterator[Page]:
    """Yield the instances of a region, up to 1,000 at a time, from the page that the token names.

    Without those that are terminated; with vpc_ids, only those in these VPCs. Raises StaleToken and Unavailable.
    """
    vpcs = None if vpc_ids is None else sorted(vpc_ids)
    if vpcs == []:
        return
    # A filter takes 200 values; more VPCs than that are told apart afterwards.
    filters = [_ALIVE, *([{"Name": "vpc-id", "Values": vpcs}] if vpcs and len(vpcs) <= FILTER_VALUES else [])]
    while True:
        page = _describe(region, Filters=filters, MaxResults=PAGE, **({"NextToken": token} if token else {}))
        if vpcs is not None and len(vpcs) > FILTER_VALUES:
            known = frozenset(vpcs)
            page = Page([one for one in page.instances if one.attributes.get("vpcId") in known], page.token)
        yield page
        token = page.token
        if not token:
            return


def some(region: str, instance_ids: Sequence[str]) -> list[Instance]:
    """Return those of these instances that are there and not terminated."""
    found: list[Instance] = []
    for start in range(0, len(instance_ids), PAGE):
        wanted = list(instance_ids[start : start + PAGE])
        while wanted:
            try:
                found += _describe(region, Filters=[_ALIVE], InstanceIds=wanted).instances
                break
            except ClientError as error:
                missing = set(_ID.findall(error.response.get("Error", {}).get("Message", "")))
                if aws.error_code(error) not in _GONE or not missing.intersection(wanted):
                    raise
                wanted = [one for one in wanted if one not in missing]
    return found


def tag(region: str, tags: Mapping[str, str], instance_ids: Sequence[str]) -> Refusals:
    """Give instances (at most 1,000) these tags, in one call where all of them take all. Return what was refused."""
    client = aws.client_in("ec2", region)
    return _tags(tags, instance_ids, lambda ids, pairs: client.create_tags(Resources=ids, Tags=pairs))


def untag(region: str, tags: Mapping[str, str], instance_ids: Sequence[str]) -> Refusals:
    """Take these tags away where they still have this value. Return what was refused."""
    client = aws.client_in("ec2", region)
    return _tags(tags, instance_ids, lambda ids, pairs: client.delete_tags(Resources=ids, Tags=pairs))


def end(region: str, act: Act, instance_ids: Sequence[str]) -> dict[str, Refusal]:
    """Stop or terminate instances, at most 1,000. Return those that it was refused for."""
    client = aws.client_in("ec2", region)
    call: Callable[..., Any] = client.terminate_instances if act is Act.TERMINATE else client.stop_instances
    return _each(instance_ids, lambda ids: call(InstanceIds=ids))


def _tags(
    tags: Mapping[str, str], instance_ids: Sequence[str], call: Callable[[list[str], list[TagTypeDef]], Any]
) -> Refusals:
    def give(some: Mapping[str, str]) -> dict[str, Refusal]:
        pairs: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in some.items()]
        return _each(instance_ids, lambda ids: call(ids, pairs))

    refused = give(tags)
    if len(tags) > 1 and any(one.is_of_call for one in refused.values()):
        # One of the tags may be the reason: a tag policy, or a condition in IAM.
        alone = {key: give({key: value}) for key, value in tags.items()}
        return {(one, key): refusal for key, refusals in alone.items() for one, refusal in refusals.items()}
    return {(one, key): refusal for one, refusal in refused.items() for key in tags}


def _each(instance_ids: Sequence[str], call: Callable[[list[str]], Any]) -> dict[str, Refusal]:
    """Make a call that refuses all instances because of one for those that it works for.

    The error mostly names the instance, which is left out then; else the call is made for each half.
    """
    if not instance_ids:
        return {}
    try:
        call(list(instance_ids))
    except ClientError as error:
        code, text = aws.error_code(error), error.response.get("Error", {}).get("Message", "")
        refusal = Refusal(Outcome.GONE if code in _GONE else Outcome.FAILED, _said(code, text))
        if aws.is_transient(error):
            # It may have been done all the same.
            return dict.fromkeys(instance_ids, replace(refusal, outcome=Outcome.UNKNOWN))
        if len(instance_ids) == 1 and code in _OF_SOME:
            return {instance_ids[0]: refusal}
        if code not in _OF_SOME:
            log.warning("EC2 refused %d instances: %s", len(instance_ids), code)
            return dict.fromkeys(instance_ids, replace(refusal, is_of_call=True))
        named = set(_ID.findall(text)) & set(instance_ids)
        if named and len(named) < len(instance_ids):
            rest = [one for one in instance_ids if one not in named]
            return {**dict.fromkeys(named, refusal), **_each(rest, call)}
        half = len(instance_ids) // 2
        return {**_each(instance_ids[:half], call), **_each(instance_ids[half:], call)}
    except BotoCoreError as error:
        name = type(error).__name__
        log.warning("EC2 did not answer for %d instances: %s", len(instance_ids), name)
        return dict.fromkeys(instance_ids, Refusal(Outcome.UNKNOWN, f"EC2 did not answer: {name}"))
    return {}


def _said(code: str, text: str) -> str:
    # What comes after that is a kilobyte of something encrypted.
    text = text.partition("Encoded authorization failure message")[0].strip()
    return f"{code}: {text}"[:_MOST_ERROR_CHARACTERS]


def _describe(region: str, **parameters: Any) -> Page:
    client = aws.client_in("ec2", region)
    # The unique id makes a second registration none.
    read_answer = partial(_read, region)
    client.meta.events.register("before-parse.ec2.DescribeInstances", read_answer, unique_id="policies-description")
    try:
        answer = client.describe_instances(**parameters)
    except ClientError as error:
        if "NextToken" in parameters and aws.error_code(error) in ("InvalidNextToken", "InvalidParameterValue"):
            raise StaleToken from error
        if aws.error_code(error) in _GONE:
            raise
        raise Unavailable(aws.error_code(error)) from error
    except BotoCoreError as error:
        raise Unavailable(type(error).__name__) from error
    page: Page = answer["Page"]  # type: ignore[typeddict-item] # put there by _read
    return page


def _read(region: str, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read an answer before botocore does, and leave it an empty one."""
    if response_dict["status_code"] < 300:
        customized_response_dict["Page"] = Page(*read(response_dict["body"], region))
        response_dict["body"] = b"<DescribeInstancesResponse/>"
