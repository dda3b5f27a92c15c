"""What IAM checks a mail against: the identity it is sent from, and the address.

MiniStack checks SendEmail against no identity, without SES's condition keys, and a whole message like any other.
Reference: https://docs.aws.amazon.com/ses/latest/dg/control-user-access.html and
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsimpleemailservicev2.html
"""

import base64
import json
from email import message_from_bytes
from email.utils import parseaddr
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

SEND_PATH = "/v2/email/outbound-emails"


def install() -> None:
    """Patch the check of an SES v2 call. Raises TouchpointMissing."""
    app = module_with("ministack.app", "_enforce_ses_v2", "_enforce_data_plane")
    responses = module_with("ministack.core.responses", "get_account_id", "get_region")
    identities = module_with("ministack.services.ses_v2", "_identities")
    # Touchpoint: the app looks it up in its module at each call.
    enforce = app._enforce_ses_v2

    def enforce_mail(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
    ) -> Any:
        if method != "POST" or path.rstrip("/") != SEND_PATH:
            return enforce(method, path, headers, body, query, request_id)
        try:
            mail = json.loads(body)
        except ValueError:
            mail = {}
        name, address = sender(mail)
        arn = f"arn:aws:ses:{responses.get_region()}:{responses.get_account_id()}:identity/{identity(address)}"
        destination = mail.get("Destination") or {}
        keys = {
            "ses:FromAddress": address,
            "ses:FromDisplayName": name or None,
            "ses:Recipients": [one for kind in destination.values() for one in kind or []] or None,
            "ses:ApiVersion": "2",
        }
        context = {key: content for key, content in keys.items() if content is not None}
        is_whole = bool((mail.get("Content") or {}).get("Raw"))
        for action in ("ses:SendEmail", "ses:SendRawEmail")[: 1 + is_whole]:
            denied = app._enforce_data_plane(
                "sesv2", action, headers, query, request_id, arn, service_context=context, named_resource=arn
            )
            if denied:
                return denied
        return None

    def identity(address: str) -> str:
        domain = address.rpartition("@")[2]
        return domain if address not in identities._identities and domain in identities._identities else address

    app._enforce_ses_v2 = enforce_mail


def sender(mail: dict[str, Any]) -> tuple[str, str]:
    """Return the name and address that a mail is from. That of a whole message may stand in the message only."""
    given = mail.get("FromEmailAddress")
    if not given:
        whole = ((mail.get("Content") or {}).get("Raw") or {}).get("Data") or ""
        given = str(message_from_bytes(base64.b64decode(whole)).get("From", ""))
    return parseaddr(given)
