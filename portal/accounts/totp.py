"""What an authenticator app needs to show codes for an account: a secret, as a picture and in letters."""

from __future__ import annotations

from urllib.parse import quote, urlencode


def invitation(secret: str, username: str) -> dict[str, str]:
    """Return what the page shows: the address that an app opens, its QR code as a data: URI, and the secret to type.

    Reference: https://github.com/google/google-authenticator/wiki/Key-Uri-Format
    """
    # Takes 40 ms to import, and few processes ever draw a picture.
    import segno

    parameters = urlencode({"secret": secret, "issuer": "Portico"})
    address = f"otpauth://totp/Portico:{quote(username)}?{parameters}"
    return {
        "address": address,
        "qr": segno.make(address).svg_data_uri(scale=5, dark="#000", light="#fff"),
        "secret": " ".join(secret[n : n + 4] for n in range(0, len(secret), 4)),
    }
