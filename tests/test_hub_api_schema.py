"""The interface does what its own description says, whatever is asked: schemathesis asks.

Twice: with whatever the description allows or forbids, and with the stations, series and times that there are, so that
good answers are looked at as well.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from litestar.testing import TestClient
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Err
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from hub.web.api_access import ROOT
from hub.web.app import app
from tests.hub_web_view import HOUR, NOW, storm
from tocsin.times import iso

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip
TRIES = settings(max_examples=20 if settings().max_examples <= 100 else 300, derandomize=True, database=None)
KNOWN = {
    "station": ["longtan-upper", "new-one"],
    "device": ["radar", "none"],
    "quantity": ["stage_m"],
    "warning": ["w-flood", "w-old"],
    "area": ["330185101203", "330185000000"],
    "start": [str(NOW - HOUR), iso(NOW - 30 * HOUR)],
    "end": [str(NOW), iso(NOW + HOUR)],
    "after": ["plant", "plant/fence-2/ch4_pct_lel", str(NOW - HOUR), "1", f"{NOW}/w-gas"],
}

Client = TestClient[Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    served = app(storm(tmp_path_factory.mktemp("cap")))

    async def from_here(scope: Any, receive: Any, send: Any) -> None:
        """The test client's own word for where it asks from is no address."""
        scope["client"] = "127.0.0.1", 40_000
        await served(scope, receive, send)

    with TestClient(from_here, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def ask_everything(
    schema: schemathesis.BaseSchema, client: Client, mode: schemathesis.GenerationMode
) -> Counter[tuple[str, int]]:
    """How often each address gave which status."""
    seen: Counter[tuple[str, int]] = Counter()
    for found in schema.get_all_operations():
        assert not isinstance(found, Err), found.err()
        operation = found.ok()
        if mode is schemathesis.GenerationMode.NEGATIVE and not list(operation.iter_parameters()):
            continue  # there is nothing to do wrong

        @TRIES
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case[Any]) -> None:
            asked = case.as_transport_kwargs(base_url=str(client.base_url))
            answer = client.request(asked["method"], asked["url"], params=asked["params"], headers=asked["headers"])
            case.validate_response(answer, checks=CHECKS)
            seen[case.operation.path, answer.status_code] += 1

        ask()
    return seen


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_every_answer_to_anything_is_as_described(
    client: Client, mode: schemathesis.GenerationMode
) -> None:
    described = client.get(f"{ROOT}/openapi.json").json()
    seen = ask_everything(schemathesis.openapi.from_dict(described), client, mode)
    assert {path for path, _ in seen} >= {f"{ROOT}/series", f"{ROOT}/episodes", f"{ROOT}/stations/{{station}}"}


def test_every_answer_of_what_there_is_is_as_described(client: Client) -> None:
    described = client.get(f"{ROOT}/openapi.json").json()
    for methods in described["paths"].values():
        for parameter in methods["get"].get("parameters", []):
            if parameter["name"] in KNOWN:
                parameter["schema"] = {"type": "string", "enum": KNOWN[parameter["name"]]}
    schema = schemathesis.openapi.from_dict(described)
    seen = ask_everything(schema, client, schemathesis.GenerationMode.POSITIVE)
    assert {path for path, status in seen if status == 200} == set(described["paths"])
