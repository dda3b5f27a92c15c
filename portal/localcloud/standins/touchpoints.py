"""Check, before patching, that MiniStack still has the private names a stand-in replaces."""

import importlib
from importlib.metadata import version
from typing import Any


class TouchpointMissing(RuntimeError):
    """MiniStack no longer has a name that a stand-in patches; the pinned version was probably changed."""

    def __init__(self, module: str, name: str) -> None:
        super().__init__(
            f"MiniStack {version('ministack')} has no {module}.{name}, which portal/localcloud/standins needs; "
            "requirements/cloud.in names the version they were written for"
        )


def module_with(path: str, *names: str) -> Any:
    """Import MiniStack's module at path and return it. Raises TouchpointMissing unless it has every name.

    A dotted name ("_lock.acquire") is followed through attributes.
    """
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as missing:
        raise TouchpointMissing(path, "") from missing
    for name in names:
        owner = module
        for part in name.split("."):
            if not hasattr(owner, part):
                raise TouchpointMissing(path, name)
            owner = getattr(owner, part)
    return module
