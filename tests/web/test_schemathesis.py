"""Random requests by the OpenAPI document: no 5xx, and every reply is one that the document describes."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def api_schema(lasting_site):
    document = lasting_site.app.openapi()
    document["paths"].pop("/api/v2/tokens/me")  # would end the token of these tests
    return schemathesis.openapi.from_dict(document)


schema = schemathesis.pytest.from_fixture("api_schema")


@schema.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_random_requests(case, lasting_site):
    token = lasting_site.world.tokens["client"]
    case.call_and_validate(
        base_url=lasting_site.url, headers={"Authorization": f"Bearer {token}"}, checks=CHECKS, timeout=30
    )
