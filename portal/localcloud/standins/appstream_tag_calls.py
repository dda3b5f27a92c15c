"""The tags of fleets and stacks.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_TagResource.html and the pages beside it.
"""

from portal.localcloud.standins.appstream_calls import Call, Operations, Parameters
from portal.localcloud.standins.appstream_errors import limit_exceeded, not_found
from portal.localcloud.standins.appstream_fleets import Fleet
from portal.localcloud.standins.appstream_records import Stack

MOST_TAGS = 50


def tag(call: Call) -> Parameters:
    resource = _resource(call)
    tags = {**resource.tags, **call.parameters["Tags"]}
    if len([name for name in tags if not name.startswith("aws:")]) > MOST_TAGS:
        raise limit_exceeded(f"A resource has at most {MOST_TAGS} tags")
    resource.tags = tags
    return {}


def untag(call: Call) -> Parameters:
    resource = _resource(call)
    resource.tags = {name: one for name, one in resource.tags.items() if name not in call.parameters["TagKeys"]}
    return {}


def list_tags(call: Call) -> Parameters:
    return {"Tags": dict(_resource(call).tags)}


def _resource(call: Call) -> Fleet | Stack:
    arn = call.parameters["ResourceArn"]
    for resource in call.here.resources():
        if resource.arn == arn:
            return resource
    raise not_found("resource", arn)


OPERATIONS: Operations = {
    "TagResource": tag,
    "UntagResource": untag,
    "ListTagsForResource": list_tags,
}
