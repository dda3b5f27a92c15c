"""Put every stand-in in place, in the order their patches need, and build the application to serve."""

from pathlib import Path
from typing import TYPE_CHECKING

from portal.localcloud.standins import administrator

if TYPE_CHECKING:
    from portal.localcloud.server import ServerSettings
    from portal.localcloud.standins.gateway import Gateway


def install_all(settings: "ServerSettings", state_dir: Path) -> "Gateway":
    """Patch MiniStack and return the application. Raises TouchpointMissing on another MiniStack."""
    # First: it replaces functions that MiniStack's services import by name.
    administrator.install(settings.access_key_id, settings.secret_access_key)
    from portal.localcloud.standins import (
        cognito_challenges,
        cognito_codes,
        cognito_lockout,
        cognito_tokens,
        cognito_users,
        table_settings,
        time_to_live,
    )
    from portal.localcloud.standins.cognito_calls import CognitoCalls
    from portal.localcloud.standins.gateway import Gateway
    from portal.localcloud.standins.snapshots import Snapshots
    from portal.localcloud.standins.touchpoints import module_with

    app = module_with("ministack.app", "app")
    snapshots = Snapshots(settings.state_dir, settings.save_seconds)
    table_settings.install()
    time_to_live.install(settings.ttl_sweep_seconds, on_delete=snapshots.note_write)
    cognito_tokens.install()
    calls = CognitoCalls()
    # Each later one runs outside of the earlier: a locked-out user is refused before a challenge is opened.
    cognito_codes.install(calls)
    cognito_challenges.install(calls)
    cognito_users.install(calls)
    cognito_lockout.install(calls)
    return Gateway(app.app, snapshots)
