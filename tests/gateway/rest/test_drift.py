"""A model's drift over REST."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import httpx
import jsonschema
import pytest
from fastapi import FastAPI

from gateway.rest import drift
from gateway.rest.app import build_app
from gateway.service.analyses import AnalysisService
from gateway.service.deployments import DeploymentService
from gateway.service.inference.repository import Repository
from gateway.service.inference.service import InferenceService
from gateway.service.jobs.orders import JobDesk
from gateway.service.keys import KeyService
from gateway.service.learning.drift import BANDS
from gateway.service.learning.reports import Drift
from gateway.service.services import Services
from gateway.service.streams.service import StreamService
from gateway.service.uploads.service import UploadService
from gateway.store.analyses import SqlAnalysisStore
from gateway.store.database import open_database
from gateway.store.keys import SqlKeyStore
from tests.gateway.service.observed_scans import MODEL, BreastOnly, analyses_of

PATH = f"/v1/models/{MODEL}/drift"

Ask = Callable[..., httpx.Response]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[FastAPI]:
    """The REST application over stored lung scans that a breast model answered; nothing else of it is asked."""
    with closing(open_database(f"sqlite:///{tmp_path / 'hedgerow.db'}")) as database:
        analyses = SqlAnalysisStore(database)
        analyses.add(analyses_of("lung"))
        yield build_app(Services(
            keys=KeyService(SqlKeyStore(database)), analyses=AnalysisService.__new__(AnalysisService),
            deployments=DeploymentService.__new__(DeploymentService), streams=StreamService.__new__(StreamService),
            desk=JobDesk.__new__(JobDesk), uploads=UploadService.__new__(UploadService),
            drift=Drift(analyses, BreastOnly()), inference=InferenceService.__new__(InferenceService),
            repository=Repository.__new__(Repository),
        ), version="0")


@pytest.fixture
def ask(app: FastAPI) -> Ask:
    """Asks for a path with a key of that tenant and scope."""
    def run(path: str, *, tenant: str = "clinic", scope: str = "read") -> httpx.Response:
        keys: KeyService = app.state.keys
        key, _ = keys.create(tenant=tenant, name="", scopes=[scope])

        async def get() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                return await client.get(path, headers={"X-API-Key": key})

        return asyncio.run(get())

    return run


def test_a_report_says_what_drifted_and_is_as_described(app: FastAPI, ask: Ask) -> None:
    answer = ask(PATH)
    report = answer.json()
    assert (answer.status_code, report["band"], report["answers"], report["passed_over"]) == (200, "large", 93, 0)
    measures = {row["name"]: row for row in report["measures"]}
    assert measures["brightness"]["band"] == "large"
    assert measures["brightness"]["psi"] > 1 > measures["brightness"]["psi_by_chance"]
    assert sum(row["found"] for row in measures["brightness"]["bins"]) == pytest.approx(1)
    openapi: dict[str, Any] = app.openapi()
    schema = openapi["paths"]["/v1/models/{model}/drift"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(report, {**schema, "components": openapi["components"]})


def test_few_answers_have_no_figures(ask: Ask) -> None:
    report = ask(f"{PATH}?last=20").json()
    assert (report["band"], report["answers"]) == ("too_few", 20)
    assert {row["psi"] for row in report["measures"]} == {None}


def test_another_tenant_has_no_answers(ask: Ask) -> None:
    report = ask(PATH, tenant="stranger").json()
    assert (report["answers"], report["oldest_at"]) == (0, None)


@pytest.mark.parametrize(("path", "scope", "status", "code"), [
    ("/v1/models/knee/drift", "read", 404, "NOT_FOUND"),
    ("/v1/models/old/drift", "read", 404, "NOT_FOUND"),
    (f"{PATH}?last=0", "read", 400, "INVALID_ARGUMENT"),
    (f"{PATH}?last=many", "read", 400, "INVALID_ARGUMENT"),
    (PATH, "analyze:*", 403, "PERMISSION_DENIED"),
])
def test_what_cannot_be_reported_is_said(ask: Ask, path: str, scope: str, status: int, code: str) -> None:
    answer = ask(path, scope=scope)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_bands_are_those_of_the_service() -> None:
    assert get_args(drift.Band) == BANDS
