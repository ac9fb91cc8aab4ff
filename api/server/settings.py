"""The server's settings: each is a flag of `crosslook serve`, an environment variable, and a key in a TOML file.

A flag overrides `CROSSLOOK_NAME` in the environment, which overrides `name` in the file given by `--config` or
`CROSSLOOK_CONFIG`. `Settings` declares name, type, default and description once; the rest is derived from it.

pydantic-settings is not used: it merges its sources before validation, so an error cannot name the source of a value;
it reads `os.environ` in `Settings()` too, ignores a missing file, and cannot tell an empty list from an unset one. Each
would need a subclass longer than the two functions at the end.
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


def _split(value: object) -> object:
    """Split a comma-separated string, the form of a list in the environment."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _origin(value: str) -> str:
    """Accept named origins only: `*` would let any page that the user visits read pictures or use a key."""
    if not re.fullmatch(r"https?://[^/\s*@?#]+", value):
        raise PydanticCustomError("origin", "an origin is https://NAME or https://NAME:PORT, without a path or *")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as exc:
        raise PydanticCustomError("network", "an address such as 10.0.0.1, or a network such as 10.0.0.0/24") from exc


def _absolute(value: Path) -> Path:
    try:
        return Path(os.path.abspath(value.expanduser()))
    except RuntimeError as exc:  # no such user, or one without a home directory
        raise PydanticCustomError("home", "there is no such home directory; write the whole path") from exc


def _host(value: str) -> str:
    """Accept an IPv6 address in brackets, as in a URL."""
    if re.fullmatch(r"\[.*\]:\d*|[^:]*:\d*|\w+://.*", value):
        raise PydanticCustomError("host", "an address or name without a port; set `port` to choose one")
    return value[1:-1] if re.fullmatch(r"\[.*\]", value) else value


def _prefix(value: str) -> str:
    """Accept a path with or without slashes at its ends."""
    path = value.strip("/")
    if not re.fullmatch(r"([\w.~-]+(/[\w.~-]+)*)?", path, re.ASCII):
        raise PydanticCustomError("path", "a path of letters, digits, `.`, `_`, `~` and `-`, such as /photos")
    return f"/{path}" if path else ""


class Settings(BaseModel):
    """How the server behaves; in the environment, a list is separated by commas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: Annotated[str, AfterValidator(_host)] = Field(
        "127.0.0.1", description="Address to listen on; any but loopback requires API keys."
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    root_path: Annotated[str, AfterValidator(_prefix)] = Field(
        "", description="Path below which a proxy serves crosslook, such as /photos; the proxy may remove it or not."
    )
    roots: Annotated[list[Annotated[Path, AfterValidator(_absolute)]], BeforeValidator(_split)] = Field(
        [], description="The only folders that clients may index."
    )
    threads: int = Field(32, ge=1, le=256, description="Requests handled at the same time.")
    waiting: int = Field(64, ge=0, le=10_000, description="Requests that may queue beyond those; more are refused.")
    upload_bytes: int = Field(
        32 * 1024**2, ge=1024, description="Largest upload in bytes; any other request body may have 1 MiB."
    )
    thumbnail_bytes: int = Field(2 * 1024**3, ge=0, description="Size of the thumbnail cache in bytes; 0 turns it off.")
    receive_seconds: int = Field(
        60, ge=1, le=3600, description="Seconds that a request may take to arrive, body included."
    )
    rate: int = Field(
        0,
        ge=0,
        description="Requests a minute from one key, or from one address without a key; 0 sets no limit. Pictures "
        "count, the page's files do not.",
    )
    require_keys: bool = Field(
        default=False, description="Require API keys on loopback addresses too, as behind a proxy."
    )
    proxies: Annotated[list[Annotated[str, AfterValidator(_network)]], BeforeValidator(_split)] = Field(
        [], description="Addresses or networks of proxies whose X-Forwarded-For is trusted."
    )
    cors_origins: Annotated[list[Annotated[str, AfterValidator(_origin)]], BeforeValidator(_split)] = Field(
        [], description="Web origins, such as https://photos.example, whose pages may call the API."
    )
    log_format: str = Field("text", pattern="^(text|json)$", description="Format of the log: `text` or `json`.")
    log_level: str = Field(
        "info",
        pattern="^(debug|info|warning|error)$",
        description="Lowest level that is logged; `debug` includes search queries.",
    )
    shutdown_seconds: int = Field(
        30, ge=0, le=3600, description="Seconds that accepted requests may take to finish at shutdown."
    )

    @property
    def local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in LOCAL_HOSTS

    @property
    def needs_keys(self) -> bool:
        """Whether requests need a key."""
        return self.require_keys or not self.local


def read_settings(
    flags: Mapping[str, object], *, config: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Merge flags, environment and file.

    Args:
        flags: settings from the command line; None where a flag was not used.
        config: a TOML file; by default that of `CROSSLOOK_CONFIG`, if any.
        environment: environment variables; those of other names are ignored.

    Raises:
        SettingsError: the file cannot be read, or a source holds an invalid value or an unknown name.
    """
    variable = environment.get(PREFIX + "CONFIG")
    path = config or (Path(variable) if variable else None)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, source in (
        (str(path), {} if path is None else _read_file(path)),
        ("the environment", _read_environment(environment)),
        ("the command line", {name: value for name, value in flags.items() if value is not None}),
    ):
        values |= source
        origins |= dict.fromkeys(source, origin)
    try:
        return Settings(**values)
    except ValidationError as exc:
        error = exc.errors()[0]
        name = str(error["loc"][0])
        origin = origins.get(name, "the settings")
        if error["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            raise SettingsError(f"{origin}: unknown setting {name!r}; expected one of: {known}") from exc
        given = str(error["input"]) if isinstance(error["input"], Path) else error["input"]
        raise SettingsError(f"{origin}: {name}: {error['msg']}, not {given!r}") from exc


def unknown_names(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Environment variables with the prefix but of no setting, such as misspelt names."""
    known = {PREFIX + name.upper() for name in (*Settings.model_fields, "index", "config")}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except ValueError as exc:
        raise SettingsError(f"{path} is not TOML: {exc}") from exc


def _read_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Settings in the environment. An empty variable counts as unset, except that it empties a list."""
    values = {name: environment.get(PREFIX + name.upper()) for name in Settings.model_fields}
    lists = {name for name, field in Settings.model_fields.items() if isinstance(field.default, list)}
    return {name: value for name, value in values.items() if value or (value == "" and name in lists)}
