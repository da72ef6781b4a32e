"""Random requests by the OpenAPI document: no 5xx, and every reply is one that the document describes."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from earwitness.web.app import FAMILIES, create_app
from earwitness.web.arguments import WebArguments

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 4
ENDS_THE_TOKEN = {("DELETE", "/api/v2/tokens/me")}
OPERATIONS = [
    (method, route.path)
    for family in FAMILIES
    for route in family.routes
    for method in sorted(route.methods)
    if (method, route.path) not in ENDS_THE_TOKEN
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("schema")
    arguments = WebArguments(
        database_url="sqlite://", vault_url=str(folder), keys_dir=folder / "keys", run_dir=Path(folder)
    )
    return schemathesis.openapi.from_dict(create_app(arguments).openapi())


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(pair) for pair in OPERATIONS])
def test_random_requests(lasting_site, schema, method, path):
    headers = {"Authorization": f"Bearer {lasting_site.world.tokens['client']}"}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy())
    def ask(case):
        case.call_and_validate(base_url=lasting_site.url, headers=headers, checks=CHECKS, timeout=30)

    ask()
