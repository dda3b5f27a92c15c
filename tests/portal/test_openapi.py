"""Whatever the OpenAPI document allows, and what it does not, is answered as it says and never with a 5xx."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portal.wsgi import application

schema = schemathesis.openapi.from_wsgi("/api/openapi.json", application)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schema.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_operation_keeps_its_word(case, cloud, fleet, rider):
    fleet()
    case.headers = {**(case.headers or {}), "Authorization": f"Bearer {rider.id_token}"}
    case.call_and_validate(checks=CHECKS)
