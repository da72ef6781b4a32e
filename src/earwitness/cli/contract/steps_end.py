"""What can only come last."""

from __future__ import annotations

from earwitness.cli.contract.steps import simple

AUTH = "AuthorizationApi"

simple("RoutingApi", "delete_routing_queue", "queue")
simple("UsersApi", "delete_user", "user")
simple(AUTH, "delete_authorization_division", "division")
simple("TokensApi", "delete_tokens_me")
