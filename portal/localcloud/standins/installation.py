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
        cognito_identity_providers,
        cognito_lists,
        cognito_lockout,
        cognito_second_factors,
        cognito_temporary_passwords,
        cognito_texts,
        cognito_tokens,
        cognito_users,
        condition_keys,
        developer_identities,
        ec2_pages,
        ec2_permissions,
        ec2_states,
        ec2_tags,
        event_targets,
        group_roles,
        policy_variables,
        role_policies,
        role_settings,
        saml_roles,
        ses_permissions,
        table_settings,
        time_to_live,
        trail_lookup,
        web_identities,
    )
    from portal.localcloud.standins.appstream import AppStream
    from portal.localcloud.standins.appstream_resources import Resources
    from portal.localcloud.standins.appstream_streaming import Streaming
    from portal.localcloud.standins.cognito_calls import CognitoCalls
    from portal.localcloud.standins.cognito_federation import Federation
    from portal.localcloud.standins.cognito_hosted_ui import HostedUi
    from portal.localcloud.standins.cognito_token_endpoint import TokenEndpoint
    from portal.localcloud.standins.console import Console
    from portal.localcloud.standins.ec2_calls import Ec2Calls
    from portal.localcloud.standins.ec2_launches import Launches
    from portal.localcloud.standins.ec2_networks import Networks
    from portal.localcloud.standins.gateway import Gateway
    from portal.localcloud.standins.identity_pools import IdentityPools
    from portal.localcloud.standins.role_sessions import RoleSessions
    from portal.localcloud.standins.saml_provider import SamlProvider
    from portal.localcloud.standins.snapshots import Snapshots
    from portal.localcloud.standins.sts_calls import StsCalls
    from portal.localcloud.standins.touchpoints import module_with
    from portal.localcloud.standins.trail_history import History
    from portal.localcloud.standins.trail_launches import AskedLaunches
    from portal.localcloud.standins.trail_recorder import Recorder
    from portal.localcloud.standins.workflows import Workflows

    app = module_with("ministack.app", "app")
    snapshots = Snapshots(settings.state_dir, settings.save_seconds)
    table_settings.install()
    time_to_live.install(settings.ttl_sweep_seconds, on_delete=snapshots.note_write)
    cognito_tokens.install()
    group_roles.install()
    calls = CognitoCalls()
    # Each later one runs outside of the earlier: a locked-out user is refused before a challenge is opened.
    send_text = cognito_texts.sender()
    cognito_codes.install(calls, send_text)
    cognito_second_factors.install(calls)
    cognito_challenges.install(calls, send_text)
    cognito_users.install(calls)
    cognito_temporary_passwords.install(calls)
    cognito_identity_providers.install(calls)
    cognito_lists.install(calls)
    cognito_lockout.install(calls)
    policy_variables.install()
    condition_keys.install()
    ec2_permissions.install()
    ses_permissions.install()
    role_policies.install()
    role_settings.install()
    roles = RoleSessions()
    pools = IdentityPools(roles)
    developer_identities.install(pools)
    sts_calls = StsCalls(roles)
    web_identities.install(sts_calls, pools)
    saml_roles.install(sts_calls)
    event_targets.install()
    workflows = Workflows(settings.secret_access_key, on_change=snapshots.note_write)
    appstream = AppStream(f"http://127.0.0.1:{settings.port}", on_change=snapshots.note_write)
    snapshots.keep("portico-streaming", appstream.records.as_json, appstream.records.load)
    Resources(appstream)
    ec2_calls = Ec2Calls()
    networks = Networks(ec2_calls)
    launches = Launches(ec2_calls, networks)
    ec2_pages.install(ec2_calls)
    ec2_states.install(ec2_calls)
    ec2_tags.install(ec2_calls)
    history = History(settings.state_dir)
    trail_lookup.install(history)
    asked_launches = AskedLaunches(ec2_calls, networks, launches, history, Recorder(history))
    hosted_ui = HostedUi(calls)
    saml_provider = SamlProvider(settings.port, settings.keys_dir or state_dir)
    token_endpoint, federation = TokenEndpoint(hosted_ui), Federation(hosted_ui)
    pages = {**hosted_ui.pages(), **token_endpoint.pages(), **federation.pages(), **saml_provider.pages()}
    pages |= Streaming(appstream.records).pages()
    return Gateway(app.app, snapshots, Console(), pages, asked_launches, workflows, appstream.records)
