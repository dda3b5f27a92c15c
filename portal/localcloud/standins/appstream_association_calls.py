"""Which fleet is associated with which stack.

Reference: https://docs.aws.amazon.com/appstream2/latest/APIReference/API_AssociateFleet.html and the pages beside it.
"""

from portal.localcloud.standins.appstream_calls import Call, Operations, Parameters
from portal.localcloud.standins.appstream_errors import in_use, not_found, not_permitted


def associate(call: Call) -> Parameters:
    fleet, stack = call.fleet(call.parameters["FleetName"]), call.stack(call.parameters["StackName"])
    others = [name for name, of in call.here.associations if of == stack.name and name != fleet.name]
    # A stack has one fleet; which error says so is not documented.
    if others:
        raise not_permitted(f"The stack {stack.name} is associated with the fleet {others[0]}")
    call.here.associations.add((fleet.name, stack.name))
    return {}


def disassociate(call: Call) -> Parameters:
    fleet, stack = call.fleet(call.parameters["FleetName"]), call.stack(call.parameters["StackName"])
    if (fleet.name, stack.name) not in call.here.associations:
        raise not_found("association of the fleet", f"{fleet.name} with the stack {stack.name}")
    if call.here.live_sessions(fleet.name, call.now, stack.name):
        raise in_use(f"The fleet {fleet.name} has sessions of the stack {stack.name}")
    call.here.associations.remove((fleet.name, stack.name))
    return {}


def list_fleets(call: Call) -> Parameters:
    stack = call.stack(call.parameters["StackName"])
    return call.page(sorted(fleet for fleet, of in call.here.associations if of == stack.name), "Names")


def list_stacks(call: Call) -> Parameters:
    fleet = call.fleet(call.parameters["FleetName"])
    return call.page(sorted(stack for of, stack in call.here.associations if of == fleet.name), "Names")


OPERATIONS: Operations = {
    "AssociateFleet": associate,
    "DisassociateFleet": disassociate,
    "ListAssociatedFleets": list_fleets,
    "ListAssociatedStacks": list_stacks,
}
