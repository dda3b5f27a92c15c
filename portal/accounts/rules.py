"""What a group may do, by what settings.GROUP_PERMISSIONS grants it."""

from __future__ import annotations

from typing import Literal

Grant = Literal["all", "view"] | list[str]


def allows(grant: Grant, permission: str) -> bool:
    """Tell whether a grant includes a permission such as "rides.change_unicorn"."""
    match grant:
        case "all":
            return True
        case "view":
            return permission.partition(".")[2].startswith("view_")
        case list():
            return permission in grant
    return False


def reaches(grant: Grant, app_label: str) -> bool:
    """Tell whether a grant includes any permission of an app."""
    match grant:
        case "all" | "view":
            return True
        case list():
            return any(permission.startswith(f"{app_label}.") for permission in grant)
    return False
