"""Signing in, as the vendor's SDK does it and as strangers try it."""

from __future__ import annotations

import PureCloudPlatformClientV2 as sdk  # noqa: N813
import pytest
from PureCloudPlatformClientV2.rest import ApiException


def test_s7_client_credentials_through_the_sdk(site):
    client = site.sdk(None).get_client_credentials_token(site.world.client, "s3cret-of-the-tests")
    organization = sdk.OrganizationApi(client).get_organizations_me()
    assert organization.name == "Test Ltd"
    info = sdk.TokensApi(client).get_tokens_me()
    assert info.o_auth_client.id == site.world.client
    sdk.TokensApi(client).head_tokens_me()
    sdk.TokensApi(client).delete_tokens_me()
    with pytest.raises(ApiException) as caught:
        sdk.OrganizationApi(client).get_organizations_me()
    assert caught.value.status == 401


def test_wrong_secret_and_guessing(sqlite_site):
    http = sqlite_site.http(None)
    statuses = [
        http.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(sqlite_site.world.client, f"guess{n}")
        ).status_code
        for n in range(7)
    ]
    assert statuses == [401] * 5 + [429] * 2
    other = http.post(
        "/oauth/token",
        data={"grant_type": "password", "username": "Admin@Example.com", "password": "correct horse battery"},
    )
    assert other.status_code == 200
    assert other.json()["token_type"] == "bearer"
