"""DescribeInstances in pages, each at the cost of what is on it.

MiniStack answers the whole fleet at once, whatever MaxResults says.
Reference: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html
"""

from itertools import groupby, islice
from typing import Any

from portal.localcloud.standins.ec2_calls import Ec2Calls, Params, members, refuse_dry_run, text, value
from portal.localcloud.standins.ec2_filters import filters_of, matches
from portal.localcloud.standins.ec2_instance_view import instance_xml, reservation_id
from portal.localcloud.standins.page_tokens import PageTokens, TokenInvalid
from portal.localcloud.standins.role_sessions import Refusal
from portal.localcloud.standins.touchpoints import module_with

SMALLEST_PAGE = 5
LARGEST_PAGE = 1000


def install(calls: Ec2Calls) -> None:
    """Answer DescribeInstances."""
    ec2, tokens = calls.ec2, PageTokens()
    responses = module_with("ministack.core.responses", "get_account_id", "get_region")

    def describe(params: Params) -> str:
        ids, filters = members(params, "InstanceId"), filters_of(params)
        size = _page_size(params)
        request = {"region": responses.get_region(), "account": responses.get_account_id(), "filters": filters}
        start = ""
        if value(params, "NextToken"):
            try:
                start = str(tokens.open(value(params, "NextToken"), request))
            except TokenInvalid as invalid:
                raise Refusal("InvalidParameterValue", "Unable to parse pagination token") from invalid
        ec2._cleanup_terminated()
        calls.check_instances(ids)
        refuse_dry_run(params)
        # In the order of their ids: a position that instances which come and go do not shift.
        known = sorted(set(ids) or ec2._instances.keys())
        found = (
            ec2._instances[one]
            for one in known
            if one > start and matches(filters, ec2._instances[one], ec2._tags.get(one) or [])
        )
        page = list(islice(found, None if ids else size + 1))
        following = ""
        if not ids and len(page) > size:
            page = page[:size]
            token = tokens.seal(page[-1]["InstanceId"], request)
            following = f"<nextToken>{text(token)}</nextToken>"
        return f"<reservationSet>{_reservations(page)}</reservationSet>{following}"

    def _reservations(page: list[Any]) -> str:
        account = responses.get_account_id()
        return "".join(
            f"<item><reservationId>{reservation}</reservationId><ownerId>{account}</ownerId><groupSet/><instancesSet>"
            + "".join(instance_xml(one, ec2._tags.get(one["InstanceId"]) or [], account) for one in instances)
            + "</instancesSet></item>"
            for reservation, instances in groupby(sorted(page, key=reservation_id), key=reservation_id)
        )

    calls.answer("DescribeInstances", describe)


def _page_size(params: Params) -> int:
    given = value(params, "MaxResults")
    if not given:
        return LARGEST_PAGE
    if members(params, "InstanceId"):
        message = "The parameter instancesSet cannot be used with the parameter maxResults"
        raise Refusal("InvalidParameterCombination", message)
    if not given.isdigit() or int(given) < SMALLEST_PAGE:
        message = (
            f"Value ( {given} ) for parameter maxResults is invalid. Expecting a value greater than {SMALLEST_PAGE}."
        )
        raise Refusal("InvalidParameterValue", message)
    if int(given) > LARGEST_PAGE:
        message = (
            f"Value ( {given} ) for parameter maxResults is invalid. Expecting a value smaller than {LARGEST_PAGE}."
        )
        raise Refusal("InvalidParameterValue", message)
    return int(given)
