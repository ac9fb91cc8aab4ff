"""What the server reads from the environment, and what it refuses to do without."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import SettingsError

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
KEY_VARIABLE = "CROSSLOOK_API_KEY"
SHORTEST_KEY = 16


@dataclass(frozen=True)
class Settings:
    """How the HTTP application behaves.

    `api_key`: asked of every request, or None on a server that only this machine can reach.
    `upload_bytes`: largest request body.
    """

    api_key: str | None = None
    upload_bytes: int = 32 * 1024 * 1024


def settings_for(host: str, environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings for a server bound to an address.

    Raises:
        SettingsError: other machines could reach it, and there is no key; or the key is too short.
    """
    key = environment.get(KEY_VARIABLE) or None
    if key is None and host not in LOCAL_HOSTS:
        raise SettingsError(
            f"other machines could reach {host} and see every picture; set {KEY_VARIABLE} to a secret, "
            "which clients then send as 'Authorization: Bearer SECRET', or keep --host 127.0.0.1"
        )
    if key is not None and len(key) < SHORTEST_KEY:
        raise SettingsError(f"{KEY_VARIABLE} has {len(key)} characters; use at least {SHORTEST_KEY}")
    return Settings(api_key=key)
