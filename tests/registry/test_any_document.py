"""Any document leaves the registry with valid apps: it is either accepted or refused, and never a fault."""

import json
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soketpy.config.app_documents import read_document
from soketpy.core.apps import App, Key, limit_fields
from soketpy.registry.administration import NEW, ROTATION, Administration, Done, Input, RequestRefused
from tests.registries import MemoryRegistry

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
HOOK_FIELDS = ["url", "event_types", "headers", "filter", "lambda", "lambda_function", "batching", "client_options"]
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(HOOK_FIELDS) | st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=8,
)
DEFAULTS = [list(value) if isinstance(value := each.default, tuple) else value for each in limit_fields().values()]
VALUES = JSON | st.sampled_from(DEFAULTS)
NAMES = st.sampled_from(sorted({*NEW, *ROTATION, "keys"}))
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4).map(lambda document: json.dumps(document).encode())
BODIES = DOCUMENTS | JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100)
REQUESTS = st.sampled_from([("POST", "/admin/apps"), ("PATCH", "/admin/apps/a"), ("POST", "/admin/apps/a/rotate")])


def outcome(registry: MemoryRegistry, method: str, target: str, body: bytes = b"") -> Done | RequestRefused:
    """Return what a request leads to. The registry in memory never waits."""

    async def read(body: bytes, names: Collection[str]) -> Mapping[str, Any]:
        return read_document(body, names)

    administration = Administration(registry, read, {}, lambda _: None, lambda: 1000.0)
    path, _, query = target.partition("?")

    async def serve() -> Done | RequestRefused:
        try:
            return await administration.find(method, path)(Input(query, body))
        except RequestRefused as refused:
            return refused

    with pytest.raises(StopIteration) as ended:
        serve().send(None)
    found: Done | RequestRefused = ended.value.value
    return found


@given(REQUESTS, BODIES)
def test_any_body_is_accepted_or_refused(request: tuple[str, str], body: bytes) -> None:
    registry = MemoryRegistry(former := App(id="a", keys=(Key("k", "s"),)))
    found = outcome(registry, *request, body)
    if isinstance(found, Done):
        assert found.document is not None
        assert isinstance(registry.entries[found.document["id"]], App)
        json.dumps(found.document, allow_nan=False)
    else:
        assert found.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)
        assert found.reason.isprintable()
        assert registry.entries == {"a": former}


@given(st.sampled_from(["GET", "DELETE", "POST", "x"]), st.text(max_size=20))
def test_any_target_is_served_or_refused(method: str, rest: str) -> None:
    found = outcome(MemoryRegistry(), method, f"/admin/apps{rest}")
    assert int(found.status) in (200, 201, 400, 404, 405)
