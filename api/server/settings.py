"""What the server can be told, each by a flag of `crosslook serve`, by the environment, and in a file.

The first that speaks wins: flag, then `CROSSLOOK_NAME` in the environment, then `name` in the TOML file that `--config`
or `CROSSLOOK_CONFIG` names.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from ..errors import SettingsError

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
PREFIX = "CROSSLOOK_"


def _parts(value: object) -> object:
    """A list in one string, as the environment has it."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _origin(value: str) -> str:
    """Named origins only: with `*` any page that somebody visits could look at the pictures, or use a key it got."""
    if not re.fullmatch(r"https?://[^/\s*@?#]+", value):
        raise PydanticCustomError("origin", "an origin is https://NAME or https://NAME:PORT, without a path or *")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as exc:
        raise PydanticCustomError("network", "an address such as 10.0.0.1, or a network such as 10.0.0.0/24") from exc


def _absolute(value: Path) -> Path:
    return Path(os.path.abspath(value.expanduser()))


class Settings(BaseModel):
    """How the server behaves. Lists are separated by commas in the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address; any but this machine's own wants API keys.")
    port: int = Field(8000, ge=0, le=65535, description="Port; 0 takes a free one.")
    roots: Annotated[list[Path], BeforeValidator(_parts)] = Field(
        [], description="Folders that clients may have indexed; nothing else is read at their wish."
    )
    threads: int = Field(32, ge=1, le=256, description="Requests that are worked on at the same time.")
    waiting: int = Field(64, ge=0, le=10_000, description="Requests that may wait beyond those; more are refused.")
    upload_bytes: int = Field(32 * 1024**2, ge=1024, description="Largest upload; any other body may have 1 MiB.")
    upload_pixels: int = Field(100_000_000, ge=1, description="Largest picture in an upload, by its header.")
    thumbnail_bytes: int = Field(
        2 * 1024**3, ge=0, description="Thumbnails kept in the user's cache, in bytes; 0 keeps none."
    )
    receive_seconds: int = Field(60, ge=1, le=3600, description="How long a request may take to arrive, its body too.")
    rate: int = Field(
        0,
        ge=0,
        description="Requests a minute from one key, or one address without keys; 0: any. Pictures count, the page's "
        "files do not.",
    )
    require_keys: bool = Field(
        default=False, description="Ask for API keys on this machine's own addresses too, as behind a proxy."
    )
    proxies: Annotated[list[Annotated[str, AfterValidator(_network)]], BeforeValidator(_parts)] = Field(
        [], description="Addresses or networks of proxies whose X-Forwarded-For is believed."
    )
    cors_origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], BeforeValidator(_parts)] = Field(
        [], description="Web origins, such as https://photos.example, whose pages may call the API."
    )
    log_format: str = Field("text", pattern="^(text|json)$", description="`text` to read, `json` to collect.")
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error)$",
        description="Least level that is logged; `debug` logs what is searched for, too.",
    )
    shutdown_seconds: int = Field(30, ge=0, le=3600, description="How long accepted requests may take to end.")

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOCAL_HOSTS

    @property
    def asks_keys(self) -> bool:
        """Whether a request needs a key."""
        return self.require_keys or not self.local


def read_settings(
    flags: Mapping[str, object], *, config: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Put together what flags, environment and file say.

    Args:
        flags: what was given on the command line; None where nothing was.
        config: a TOML file; else the one that the environment names, if any.
        environment: variables; those of other names are not looked at.

    Raises:
        SettingsError: the file cannot be read, or a value is not what its setting takes; the message says which.
    """
    named = environment.get(PREFIX + "CONFIG")
    path = config or (Path(named) if named else None)
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    for source, values in (
        (str(path), {} if path is None else _file(path)),
        ("the environment", _environment(environment)),
        ("the command line", {name: value for name, value in flags.items() if value is not None}),
    ):
        found |= values
        said |= dict.fromkeys(values, source)
    try:
        settings = Settings(**found)
    except ValidationError as exc:
        fault = exc.errors()[0]
        name = str(fault["loc"][0])
        where = said.get(name, "the settings")
        if fault["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            raise SettingsError(f"{where}: there is no setting {name!r}; there are {known}") from exc
        raise SettingsError(f"{where}: {name}: {fault['msg']}, not {fault['input']!r}") from exc
    return settings.model_copy(update={"roots": [_absolute(root) for root in settings.roots]})


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise SettingsError(f"{path} is not TOML: {exc}") from exc


def unknown_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that look like settings and are none: a name with a fault in it would quietly change nothing."""
    known = {PREFIX + name.upper() for name in (*Settings.model_fields, "index", "config")}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the environment sets. An empty variable counts as not set, but for a list, which it empties."""
    values = {name: environment.get(PREFIX + name.upper()) for name in Settings.model_fields}
    lists = {name for name, field in Settings.model_fields.items() if isinstance(field.default, list)}
    return {name: value for name, value in values.items() if value or (value == "" and name in lists)}
