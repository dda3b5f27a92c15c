"""Refuse the state machine definitions that AWS refuses. MiniStack takes any text, and fails when it is run.

Not all of AWS's checks: those of the template's shape are cfn-lint's. Seconds may be fractions here, for tests.
Reference: https://states-language.net/spec.html and
https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

CALLBACK = ".waitForTaskToken"
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_MOVING_ON = frozenset({"Task", "Pass", "Wait", "Parallel", "Map"})
_TYPES = _MOVING_ON | {"Choice", "Succeed", "Fail"}
# The optimized integrations that hand out no task token.
_WITHOUT_CALLBACK = frozenset(
    {"athena", "batch", "codebuild", "dynamodb", "elasticmapreduce", "glue", "http", "sagemaker"}
)


def install() -> None:
    """Check each definition before it is stored. Raises TouchpointMissing."""
    sfn = module_with(
        "ministack.services.stepfunctions",
        "_create_state_machine",
        "_update_state_machine",
        "_validate_state_machine_definition",
        "error_response_json",
        "json_response",
    )
    provisioners = module_with(
        "ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS", "_sfn_definition", "_sfn_handler_error"
    )
    # Touchpoints: both are looked up in the module at each call, and the resource's handler in its table.
    create, update = sfn._create_state_machine, sfn._update_state_machine
    handlers = provisioners._RESOURCE_HANDLERS["AWS::StepFunctions::StateMachine"]
    provision = handlers["create"]

    def refusal(definition: Any) -> Any:
        found = problem(definition)
        message = f"Invalid State Machine Definition: '{found}'"
        return sfn.error_response_json("InvalidDefinition", message, 400) if found else None

    def create_checked(data: dict[str, Any]) -> Any:
        if not is_name(data.get("name")):
            return sfn.error_response_json("InvalidName", f"Invalid Name: '{data.get('name')}'", 400)
        return refusal(data.get("definition")) or create(data)

    def update_checked(data: dict[str, Any]) -> Any:
        return ("definition" in data and refusal(data["definition"])) or update(data)

    def validate(data: dict[str, Any]) -> Any:
        found = problem(data.get("definition"))
        code, _, message = (found or "").partition(": ")
        diagnostics = [{"severity": "ERROR", "code": code, "message": message}] if found else []
        return sfn.json_response({"result": "FAIL" if found else "OK", "diagnostics": diagnostics})

    def provision_checked(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        found = problem(provisioners._sfn_definition(properties))
        if found:
            raise provisioners._sfn_handler_error(f"Invalid State Machine Definition: '{found}'")
        return provision(logical_id, properties, stack_name)

    sfn._create_state_machine, sfn._update_state_machine = create_checked, update_checked
    sfn._validate_state_machine_definition = validate
    handlers["create"] = provision_checked


def is_name(name: Any) -> bool:
    """Return whether a state machine, an execution or an activity may have that name."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def parse(text: Any) -> Any:
    """Return what a JSON text says. Raises ValueError, also for the NaN that Python would take."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"Unrecognized token '{constant}'")

    if not isinstance(text, str):
        raise ValueError("no text")
    return json.loads(text, parse_constant=refuse)


def problem(definition: Any) -> str | None:
    """Return what is wrong with a definition first of all, as AWS words it; None if nothing is."""
    try:
        machine = parse(definition)
    except ValueError as wrong:
        return f"INVALID_JSON_DESCRIPTION: {wrong}"
    return next(_problems(machine, ""), None)


def _problems(machine: Any, path: str) -> Iterator[str]:
    states = machine.get("States") if isinstance(machine, dict) else None
    if not isinstance(states, dict) or not states:
        yield f"SCHEMA_VALIDATION_FAILED: The field 'States' is required at {path or '/'}"
        return
    start = machine.get("StartAt")
    if start not in states:
        yield f"MISSING_TRANSITION_TARGET: Missing 'StartAt' target: {start} at {path}/StartAt"
        return
    reached, pending = {start}, [start]
    for name, state in states.items():
        yield from _of_state(state, states, f"{path}/States/{name}")
    while pending:
        found = {target for _, target in _transitions(states[pending.pop()])} - reached
        reached |= found
        pending += found
    for name in states.keys() - reached:
        yield f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at {path}/States/{name}'


def _of_state(state: Any, states: dict[str, Any], path: str) -> Iterator[str]:
    kind = state.get("Type") if isinstance(state, dict) else None
    if kind not in _TYPES:
        yield f"SCHEMA_VALIDATION_FAILED: Value is not one of the types of a state: {kind} at {path}/Type"
        return
    if kind in _MOVING_ON and ("Next" in state) == bool(state.get("End")):
        yield f"SCHEMA_VALIDATION_FAILED: One of 'Next' and 'End' is required at {path}"
    if kind == "Choice" and not state.get("Choices"):
        yield f"SCHEMA_VALIDATION_FAILED: The field 'Choices' is required at {path}"
    for field, target in _transitions(state):
        if target not in states:
            yield f"MISSING_TRANSITION_TARGET: Missing '{field}' target: {target} at {path}/{field}"
    if kind == "Task":
        yield from _of_task(state, path)
    for index, branch in enumerate(state.get("Branches", []) if kind == "Parallel" else []):
        yield from _problems(branch, f"{path}/Branches[{index}]")
    if kind == "Map":
        field = "ItemProcessor" if "ItemProcessor" in state else "Iterator"
        yield from _problems(state.get(field), f"{path}/{field}")


def _of_task(state: dict[str, Any], path: str) -> Iterator[str]:
    resource = state.get("Resource")
    if not isinstance(resource, str) or not resource.startswith("arn:"):
        yield f"SCHEMA_VALIDATION_FAILED: Value is not a valid resource ARN at {path}/Resource"
        return
    if resource.endswith(CALLBACK):
        parts = resource.split(":")
        if parts[2] != "states" or len(parts) < 7 or parts[5] in _WITHOUT_CALLBACK:
            yield f"SCHEMA_VALIDATION_FAILED: The resource provided {resource} is not recognized. at {path}/Resource"
    timeout, heartbeat = state.get("TimeoutSeconds"), state.get("HeartbeatSeconds")
    if isinstance(timeout, int | float) and isinstance(heartbeat, int | float) and heartbeat >= timeout:
        yield f"SCHEMA_VALIDATION_FAILED: HeartbeatSeconds must be smaller than TimeoutSeconds at {path}"


def _transitions(state: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields in which a state names another, with that name."""
    if not isinstance(state, dict):
        return
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for field in ("Choices", "Catch"):
        for index, rule in enumerate(state.get(field) or []):
            yield f"{field}[{index}].Next", rule.get("Next")
