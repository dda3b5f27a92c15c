"""ID tokens as Cognito makes them, signed with a key of the benchmark's own."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Bench0000"
CLIENT_ID = "benchclient"


def _key() -> RSAKey:
    # Shared by the processes of one run.
    path = Path(os.environ.get("BENCH_KEY", Path(tempfile.gettempdir()) / f"portico-bench-{os.getppid()}.json"))
    if not path.exists():
        key = RSAKey.generate_key(2048, parameters={"kid": "bench", "use": "sig", "alg": "RS256"})
        path.write_text(json.dumps(key.as_dict(private=True)))
    return RSAKey.import_key(json.loads(path.read_text()))


def public_keys() -> dict[str, Any]:
    return {"keys": [_key().as_dict(private=False)]}


def id_token(number: int = 0) -> str:
    now = int(time.time())
    claims = {
        "sub": f"6c3f1f0a-0000-4000-8000-{number:012}",
        "cognito:username": f"rider{number}",
        "email": "rider@example.com",
        "email_verified": True,
        "given_name": "Ada",
        "family_name": "Lovelace",
        "iss": ISSUER,
        "aud": CLIENT_ID,
        "token_use": "id",
        "auth_time": now,
        "iat": now,
        "exp": now + 3600,
    }
    return jwt.encode({"alg": "RS256", "kid": "bench"}, claims, _key())
