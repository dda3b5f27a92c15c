"""Text messages that Cognito sends: they appear where SNS keeps what it sent to telephones.

MiniStack's Cognito sends none.
Reference: https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-sms-settings.html
"""

import re
import uuid
from collections.abc import Callable
from typing import Any

from portal.localcloud.standins.touchpoints import module_with

E164 = re.compile(r"\+[1-9]\d{4,14}", re.ASCII)
VERIFICATION = "Your verification code is {####}."
AUTHENTICATION = "Your authentication code is {####}."
# Gets a telephone number and a text.
Sender = Callable[[str, str], None]


def sender() -> Sender:
    """Return the function that sends. Raises TouchpointMissing."""
    sns = module_with("ministack.services.sns", "_sms_log_for", "_sms_messages")

    def send(number: str, text: str) -> None:
        empty = dict.fromkeys(("TopicArn", "SubscriptionArn", "MessageStructure", "Subject"))
        message = {"PhoneNumber": number, "MessageId": str(uuid.uuid4()), "Message": text, "MessageAttributes": {}}
        sns._sms_log_for(number).append({**empty, **message})

    return send


def verification_text(pool: Any, code: str) -> str:
    """Return the text that verifies a telephone number."""
    template = (pool.get("VerificationMessageTemplate") or {}).get("SmsMessage")
    return (template or pool.get("SmsVerificationMessage") or VERIFICATION).replace("{####}", code)


def authentication_text(pool: Any, code: str) -> str:
    """Return the text that is a second factor."""
    template = (pool.get("SmsMfaConfiguration") or {}).get("SmsAuthenticationMessage")
    return (template or pool.get("SmsAuthenticationMessage") or AUTHENTICATION).replace("{####}", code)


def masked(number: str) -> str:
    """Return a number as Cognito shows it: its last four digits."""
    return "+" + "*" * max(len(number) - 5, 0) + number[-4:]
