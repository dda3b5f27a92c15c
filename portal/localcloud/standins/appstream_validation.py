"""What the service model demands of a call: types, required members, lengths, patterns, enumerations.

The words are those of AWS's services in general: a message counts what is wrong and calls a member as JSON does.
Reference: botocore's service model of appstream, and https://smithy.io/2.0/spec/constraint-traits.html
"""

import functools
from collections.abc import Iterator
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape

from portal.localcloud.standins.appstream_errors import invalid, malformed
from portal.localcloud.standins.appstream_patterns import matches

SERVICE = "appstream"
_BITS = {"integer": 31, "long": 63}


@functools.cache
def service_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model(SERVICE, "service-2"), SERVICE)


def input_of(action: str) -> Any:
    """Return the shape of what an operation takes."""
    return service_model().operation_model(action).input_shape


def status_of(code: str) -> int:
    """Return the HTTP status of an error."""
    if code not in service_model().shape_names:
        return 400
    return int(service_model().shape_for(code).metadata.get("error", {}).get("httpStatusCode", 400))


def validated(action: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what a call says, without what the model does not know. Raises Refused."""
    shape = input_of(action)
    known: dict[str, Any] = _typed(shape, parameters)
    wrong = list(_problems(shape, known, ""))
    if wrong:
        plural = "" if len(wrong) == 1 else "s"
        raise invalid(f"{len(wrong)} validation error{plural} detected: {'; '.join(wrong)}")
    return known


def _typed(shape: Any, value: Any) -> Any:
    """Return a value as the model types it. Raises Refused with a SerializationException."""
    match shape.type_name:
        case "structure" if isinstance(value, dict):
            return {
                name: _typed(member, value[name])
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list" if isinstance(value, list):
            return [_typed(shape.member, one) for one in value if one is not None]
        case "map" if isinstance(value, dict):
            return {str(key): _typed(shape.value, one) for key, one in value.items() if one is not None}
        case "string" if isinstance(value, str):
            return value
        case "boolean" if isinstance(value, bool):
            return value
        case "integer" | "long" if isinstance(value, int) and not isinstance(value, bool):
            if -1 << _BITS[shape.type_name] <= value < 1 << _BITS[shape.type_name]:
                return value
    raise malformed(f"{type(value).__name__} can not be converted to {shape.name}")


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            for name in shape.required_members:
                if name not in value:
                    yield f"Value null at '{_at(path, name)}' failed to satisfy constraint: Member must not be null"
            for name, one in value.items():
                yield from _problems(shape.members[name], one, _at(path, name))
        case "list":
            yield from _failed(shape, value, path, _length(shape, len(value)))
            for number, one in enumerate(value, 1):
                yield from _problems(shape.member, one, f"{path}.{number}.member")
        case "map":
            yield from _failed(shape, value, path, _length(shape, len(value)))
            for key, one in value.items():
                for part, content, name in ((shape.key, key, "keys"), (shape.value, one, "values")):
                    constraints = ", ".join(_constraints(part, content))
                    if constraints:
                        yield from _failed(shape, value, path, [f"Map {name} must satisfy constraint: [{constraints}]"])
        case "string":
            yield from _failed(shape, value, path, _constraints(shape, value))


def _constraints(shape: Shape, value: str) -> list[str]:
    """Return the constraints that a string fails."""
    enum, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    failed = [] if not enum or value in enum else [f"Member must satisfy enum value set: [{', '.join(enum)}]"]
    failed += _length(shape, len(value))
    if pattern and not matches(pattern, value):
        failed.append(f"Member must satisfy regular expression pattern: {pattern}")
    return failed


def _length(shape: Shape, length: int) -> list[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    failed = []
    if least is not None and length < least:
        failed.append(f"Member must have length greater than or equal to {least}")
    if most is not None and length > most:
        failed.append(f"Member must have length less than or equal to {most}")
    return failed


def _failed(shape: Shape, value: Any, path: str, constraints: list[str]) -> Iterator[str]:
    for constraint in constraints:
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _at(path: str, name: str) -> str:
    member = name[0].lower() + name[1:]
    return f"{path}.{member}" if path else member
