"""What operations work with: one of each per process, handed to them by FastAPI."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from earwitness.archive.vault.vault import Vault
from earwitness.store.database import Database
from earwitness.store.secrets import SecretBox
from earwitness.web.arguments import WebArguments
from earwitness.web.kernel.clock import Clock
from earwitness.web.kernel.conversions import Conversions
from earwitness.web.kernel.edge_control import EdgeControl
from earwitness.web.kernel.idle import IdleTokens
from earwitness.web.kernel.signing import UrlSigner
from earwitness.web.kernel.throttle import GuessBrake, KnownTokens, RateLimit


@dataclass(slots=True)
class Services:
    """The parts that operations need."""

    arguments: WebArguments
    database: Database
    edge: EdgeControl
    signer: UrlSigner
    box: SecretBox
    clock: Clock = field(default_factory=Clock)
    guesses: GuessBrake = field(default_factory=GuessBrake)
    known_tokens: KnownTokens = field(default_factory=KnownTokens)
    strangers: RateLimit = field(default_factory=lambda: RateLimit(20))
    """Rows of the audit log that people without a token may cause, an address and window."""
    conversions: Conversions = field(default_factory=Conversions)
    idle: IdleTokens = field(default_factory=IdleTokens)
    _vault: Vault | None = None

    @property
    def vault(self) -> Vault:
        """The sealed recordings; opened when first needed.

        :raises KeyMissingError: the key folder holds no keys.
        """
        if self._vault is None:
            self._vault = Vault.at(self.arguments.vault_url, self.arguments.keys_dir, self.arguments.data_keys_url)
        return self._vault


def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


Parts = Annotated[Services, Depends(_services)]


def base_url(request: Request, services: Services) -> str:
    """Where clients reach us, without a slash at the end: the configured address, else the request's own."""
    return services.arguments.public_url.rstrip("/") or str(request.base_url).rstrip("/")


def remote_address(request: Request) -> str:
    """The peer of the connection."""
    return request.client.host if request.client else ""
