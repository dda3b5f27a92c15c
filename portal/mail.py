"""Mail through SES: anymail's backend on the client that the process has already."""

from typing import Any

from anymail.backends.amazon_ses import EmailBackend

from portal import aws


class SesBackend(EmailBackend):  # type: ignore[misc]
    """Send with the second version of SES's API, in the process's session and with its timeouts.

    anymail would make a session of its own for each connection: 200 ms, and other credentials.
    """

    client: Any

    def open(self) -> bool:
        if self.client:
            return False
        self.client = aws.client("sesv2")
        return True

    def close(self) -> None:
        self.client = None  # the client itself is shared
