"""StartExecution as AWS has it: a name once, the same start twice is one, and the input is JSON.

Reference: https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

from typing import Any

from portal.localcloud.standins.task_tokens import DATA_BYTES
from portal.localcloud.standins.touchpoints import module_with
from portal.localcloud.standins.workflow_definitions import is_name, parse


def install() -> None:
    """Check what is to be started. Raises TouchpointMissing."""
    sfn = module_with(
        "ministack.services.stepfunctions",
        "_start_execution",
        "_resolve_state_machine_arn",
        "_state_machines",
        "_executions",
        "error_response_json",
        "json_response",
        "get_region",
        "get_account_id",
    )
    # Touchpoint: looked up in the module at each call, by EventBridge, too.
    start = sfn._start_execution

    def start_checked(data: dict[str, Any]) -> Any:
        name, text = data.get("name"), data.get("input", "{}")
        if name is not None and not is_name(name):
            return sfn.error_response_json("InvalidName", f"Invalid Name: '{name}'", 400)
        machine = sfn._state_machines.get(sfn._resolve_state_machine_arn(data.get("stateMachineArn", "")))
        if machine is None:
            return start(data)
        problem = _problem(text)
        if problem:
            message = f"Invalid State Machine Execution Input: '{problem}'"
            return sfn.error_response_json("InvalidExecutionInput", message, 400)
        arn = f"arn:aws:states:{sfn.get_region()}:{sfn.get_account_id()}:execution:{machine['name']}:{name}"
        running = sfn._executions.get(arn)
        if running is not None and running["status"] == "RUNNING" and running["input"] == text:
            return sfn.json_response({"executionArn": arn, "startDate": running["startDate"]})
        return start(data)

    sfn._start_execution = start_checked


def _problem(text: Any) -> str | None:
    """Return what is wrong with an execution's input, if anything is."""
    if isinstance(text, str) and len(text.encode()) > DATA_BYTES:
        return f"The input is longer than {DATA_BYTES} bytes"
    try:
        parse(text)
    except ValueError as wrong:
        return str(wrong)
    return None
