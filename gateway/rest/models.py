"""The paths that change models: each converts a request, calls the service, and converts what comes back."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from edge_runtime.versions import Identity
from gateway.rest import model_schemas as schemas
from gateway.rest.body import read_upload
from gateway.rest.documents import path_of
from gateway.rest.openapi import INSTALL, KEYED, MANAGED
from gateway.rest.query import Cursor, Limit
from gateway.service.analyses import Policy
from gateway.service.deployments import DeploymentService, DisagreementPage, ModelStatus
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.keys import ADMIN, Caller, KeyService
from gateway.service.records import Disagreement, Rollback, Trial
from gateway.service.requests import RequestContext
from gateway.service.rollout import Side, wilson

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.post("", response_model=schemas.Package, status_code=201, **INSTALL)
async def install_model(request: Request) -> Response:
    """Keeps a model package, the body being a ZIP of its folder, on every node. Needs the scope `admin`.

    Every file must have the SHA-256 that the manifest says. Nothing is served by the package until it is activated.
    """
    caller = await _caller(request)
    caller.require(ADMIN)
    policy: Policy = request.app.state.service.policy
    archive, parameters = await read_upload(request, policy)
    if parameters:
        raise ServiceError(ErrorCode.INVALID_ARGUMENT, "a package takes no parameters: its manifest says what it is",
                           parameter=next(iter(parameters)))
    installed = await _deployments(request).install(caller, archive)
    return _json(package_to_json(installed), 201, {"Location": f"/v1/models/{quote(installed.name)}"})


@router.get("/{model}", response_model=schemas.ModelStatus, **KEYED)
async def get_model(request: Request, model: str) -> Response:
    """A model's versions, its trial with the counters so far, and its last rollback. Needs the scope `admin`."""
    return _json(status_to_json(await _deployments(request).status(await _caller(request), model)))


@router.post("/{model}/activate", response_model=schemas.ModelStatus, **MANAGED)
async def activate_model(request: Request, model: str, wanted: schemas.Activation) -> Response:
    """Puts an installed version into service, or on trial beside the one in service. Needs the scope `admin`.

    It is verified, warmed and asked for its known answer first, on every node, while requests go on; a package that can't
    be trusted is refused, and nothing is changed. docs/models-on-the-fly.md has the rule by which a trial ends itself.
    """
    status = await _deployments(request).activate(
        await _caller(request), model, wanted.version,
        mode=wanted.mode, share=wanted.share, allowed_disagreement=wanted.allowed_disagreement,
    )
    return _json(status_to_json(status))


@router.post("/{model}/rollback", response_model=schemas.ModelStatus, **MANAGED)
async def roll_back_model(request: Request, model: str) -> Response:
    """Ends the trial where one is on, else puts the version before into service again. Needs the scope `admin`."""
    return _json(status_to_json(await _deployments(request).rollback(await _caller(request), model)))


@router.get("/{model}/disagreements", response_model=schemas.DisagreementPage, **KEYED)
async def list_disagreements(
    request: Request, model: str, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """The last 1,000 inputs of the key's tenant that two versions answered differently. Needs the scope `admin`."""
    page = await _deployments(request).disagreements(await _caller(request), model, cursor=cursor, limit=limit)
    return _json(page_to_json(page))


def package_to_json(installed: Identity) -> dict[str, Any]:
    """An installed package."""
    return {"model": installed.name, "version": installed.version, "domain": installed.domain}


def status_to_json(status: ModelStatus) -> dict[str, Any]:
    """A model's versions and what becomes of them."""
    return {
        "model": status.model,
        "in_service": status.in_service,
        "rolls_back_to": status.rolls_back_to,
        "versions": [{"version": row.version, "origin": row.origin, "state": row.state} for row in status.versions],
        "trial": status.trial and _trial(status.trial),
        "last_rollback": status.last_rollback and _rollback(status.last_rollback),
        "fault": status.fault,
    }


def page_to_json(page: DisagreementPage) -> dict[str, Any]:
    """A page of disagreements."""
    return {"disagreements": [_disagreement(row) for row in page.disagreements], "next_cursor": page.next_id}


def _trial(trial: Trial) -> dict[str, Any]:
    tally, medians = trial.tally, trial.tally.medians_ms()
    low, high = wilson(tally.disagreed, tally.compared)
    return {
        "version": trial.version,
        "mode": trial.mode,
        "share": trial.share,
        "allowed_disagreement": trial.allowed_disagreement,
        "started_at": _time(trial.started_at),
        "runs": tally.runs,
        "failed": tally.failed,
        "compared": tally.compared,
        "disagreed": tally.disagreed,
        "skipped": tally.skipped,
        "disagreement": {"share": tally.disagreed / tally.compared, "low": low, "high": high} if tally.compared else None,
        "median_ms": medians and {"in_service": round(medians[0], 3), "candidate": round(medians[1], 3)},
    }


def _rollback(rollback: Rollback) -> dict[str, Any]:
    return {
        "version": rollback.version, "instead": rollback.instead, "at": _time(rollback.at), "cause": rollback.cause,
        "automatic": rollback.automatic,
    }


def _disagreement(row: Disagreement) -> dict[str, Any]:
    return {
        "analysis_id": row.analysis_id,
        "found_at": _time(row.found_at),
        "mode": row.mode,
        "difference": row.difference,
        "in_service": _side(row.in_service_version, row.in_service),
        "candidate": _side(row.candidate_version, row.candidate),
        "links": {"analysis": path_of(row.analysis_id)},
    }


def _side(version: str, side: Side) -> dict[str, Any]:
    return {"version": version, "label": side.label, "abstained": side.abstained, "values": side.values}


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _deployments(request: Request) -> DeploymentService:
    deployments: DeploymentService = request.app.state.deployments
    return deployments


async def _caller(request: Request) -> Caller:
    keys: KeyService = request.app.state.keys
    caller = await keys.caller_of(request.headers.get("authorization", ""), request.headers.get("x-api-key", ""))
    context: RequestContext = request.state.context
    context.caller = caller
    return caller


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(document), status, headers, "application/json")
