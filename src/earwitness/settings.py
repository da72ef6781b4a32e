"""Every setting of Earwitness, in one place.

A setting comes from, in this order: a command-line option, the variable ``EARWITNESS_<NAME>``, the TOML file
(``--config FILE`` or ``EARWITNESS_CONFIG``; top-level keys in lower case), the default here. ``docs/configuration.md``
lists them; a test holds the two together.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


class SettingsError(ValueError):
    """Settings that cannot be used; the message names each and what is wrong."""


class Settings(BaseSettings):
    """The settings; names are also those of the variables, in upper case behind ``EARWITNESS_``."""

    model_config = SettingsConfigDict(env_prefix="EARWITNESS_", extra="forbid", frozen=True)

    data: Path = Field(Path("earwitness-data"), description="Folder that holds all state.")
    config: Path | None = Field(None, description="TOML file with settings.")
    database_url: str = Field("", description="SQLAlchemy URL of the database; empty: SQLite in the data folder.")
    vault_url: str = Field(
        "", description="Where sealed recordings go: a folder or an object store URL; empty: in the data folder."
    )
    data_keys_url: str = Field(
        "", description="Where wrapped data keys go, likewise; empty: `keys/data` in the data folder. Not in the vault."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["console", "json"] = Field("console", description="How log lines look.")

    sip_host: str = Field("0.0.0.0", description="Address that SIP listens on (UDP and TCP).")  # noqa: S104
    sip_port: int = Field(5060, ge=0, le=65535, description="Port that SIP listens on; 0 takes a free one.")
    sip_advertised: str = Field("", description="Address that peers are told; empty: the one that routes to each peer.")
    sip_t1_ms: int = Field(500, ge=10, le=4000, description="Timer T1 of RFC 3261 in milliseconds.")
    sip_max_calls: int = Field(4000, ge=1, description="Calls at once; beyond it callers get 503 with Retry-After.")
    registration_min_s: int = Field(60, ge=1, description="Shortest registration granted, seconds.")
    registration_max_s: int = Field(3600, ge=1, description="Longest registration granted, seconds.")
    dead_peer_s: int = Field(
        30, ge=1, description="Seconds without a sign of life after which a peer is asked, then given up."
    )

    rtp_host: str = Field("", description="Address that RTP listens on; empty: the one SIP advertises to the peer.")
    rtp_port_min: int = Field(16384, ge=1024, le=65534, description="First port of the RTP range.")
    rtp_port_max: int = Field(32767, ge=1025, le=65535, description="Last port of the RTP range.")
    media_processes: int = Field(0, ge=0, le=64, description="Media processes; 0: one per core to spare.")
    media_tick_ms: int = Field(
        10, ge=5, le=20, description="Beat of the relay in milliseconds; adds at most that much delay."
    )

    control_host: str = Field("127.0.0.1", description="Address of the edge's control API.")
    control_port: int = Field(0, ge=0, le=65535, description="Port of the control API; 0 takes a free one.")

    web_host: str = Field("127.0.0.1", description="Address that the HTTP API listens on.")
    web_port: int = Field(8080, ge=0, le=65535, description="Port of the HTTP API; 0 takes a free one.")
    public_url: str = Field("", description="Address under which clients reach the API; empty: the one they asked for.")
    trusted_proxies: str = Field(
        "",
        description="Addresses or networks, by comma, whose X-Forwarded-For and X-Forwarded-Proto are believed.",
    )

    render_processes: int = Field(0, ge=0, le=64, description="Processes that render recordings; 0: one per core.")
    keep_spool_s: int = Field(0, ge=0, description="Seconds that a spool folder stays after its recording is sealed.")

    @field_validator("data", "config", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("trusted_proxies", mode="after")
    @classmethod
    def _networks(cls, value: str) -> str:
        networks = [str(ipaddress.ip_network(item.strip())) for item in value.split(",") if item.strip()]
        return ",".join(networks)

    @property
    def database(self) -> str:
        """The database's URL, default filled in."""
        return self.database_url or f"sqlite:///{self.data / 'earwitness.db'}"

    @property
    def vault(self) -> str:
        """The vault's URL, default filled in."""
        return self.vault_url or (self.data / "vault").as_uri()

    @property
    def spool(self) -> Path:
        """Folder of calls in progress and not yet sealed."""
        return self.data / "spool"

    @property
    def prompts(self) -> Path:
        """Folder of recorded prompts."""
        return self.data / "prompts"

    @property
    def keys(self) -> Path:
        """Folder of the keys, private to the owner."""
        return self.data / "keys"

    @property
    def run(self) -> Path:
        """Folder of sockets and of what running processes tell about themselves."""
        return self.data / "run"

    @property
    def media_process_count(self) -> int:
        """Media processes to start."""
        return self.media_processes or max(1, (os.cpu_count() or 1) - 1)

    @property
    def render_process_count(self) -> int:
        """Render processes to start."""
        return self.render_processes or (os.cpu_count() or 1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options, then variables, then the TOML file."""
        options: dict[str, Any] = init_settings()
        file = options.get("config") or os.environ.get("EARWITNESS_CONFIG")
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, toml_file=Path(file))) if file else sources


def load(**options: Any) -> Settings:
    """The settings, with ``options`` (None: not given) over variables over the file.

    :raises SettingsError: unknown names, wrong values, a file that is missing or no TOML.
    """
    given = {name: value for name, value in options.items() if value is not None}
    file = given.get("config") or os.environ.get("EARWITNESS_CONFIG")
    if file and not Path(file).is_file():
        raise SettingsError(f"the settings file {file} does not exist")
    try:
        settings = Settings(**given)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise SettingsError("settings cannot be used: " + "; ".join(lines)) from error
    except ValueError as error:
        raise SettingsError(f"the settings file {file} cannot be read: {error}") from error
    if settings.rtp_port_min >= settings.rtp_port_max:
        raise SettingsError("settings cannot be used: rtp_port_min must be below rtp_port_max")
    return settings


def variables(settings: Settings) -> dict[str, str]:
    """The environment that gives a child process these very settings."""
    values = settings.model_dump(exclude_none=True)
    return {f"EARWITNESS_{name.upper()}": str(value) for name, value in values.items()}
