"""Records as the JSON that REST sends. gateway/rest/schemas.py describes the same documents for OpenAPI; a contract test
holds the two together.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from edge_runtime.wire import AbandonedWork, DeviceState, DomainDescription, ModelInfo, NodeState
from gateway.service.analyses import ARTIFACTS, KEY_FRAME_PICTURE, Page
from gateway.service.jobs.orders import Mission
from gateway.service.jobs.records import Delivery, DeliveryState, Job, JobState
from gateway.service.jobs.service import JobPage
from gateway.service.records import Analysis

STAGES = ("queue", "decode", "preprocess", "infer", "postprocess", "total")


def path_of(analysis_id: str) -> str:
    """The path of an analysis."""
    return f"/v1/analyses/{quote(analysis_id)}"


def job_path(job_id: str) -> str:
    """The path of a job."""
    return f"/v1/jobs/{quote(job_id)}"


def mission_path(mission_id: str) -> str:
    """The path of a mission."""
    return f"/v1/missions/{quote(mission_id, safe='')}"


def analysis_to_json(analysis: Analysis) -> dict[str, Any]:
    """An analysis, whole."""
    return {
        "id": analysis.id,
        "domain": analysis.domain,
        "created_at": _time(analysis.created_at),
        "request_id": analysis.request_id,
        "parameters": analysis.parameters,
        "media": analysis.media,
        "result": analysis.result,
        "provenance": {"simulated": False, **analysis.provenance},  # answers that an older version stored lack it
        "links": _links(analysis),
    }


def page_to_json(page: Page) -> dict[str, Any]:
    """A page of analyses."""
    return {"analyses": [analysis_to_json(analysis) for analysis in page.analyses], "next_cursor": page.next_id}


def job_to_json(job: Job) -> dict[str, Any]:
    """A job. `error` is the last try's, also while it waits for another."""
    return {
        "id": job.id,
        "state": job.state,
        "domain": job.domain,
        "priority": job.priority,
        "created_at": _time(job.created_at),
        "updated_at": _time(job.updated_at),
        "attempts": job.attempts,
        "not_before": _time(job.not_before) if job.state is JobState.QUEUED else None,
        "expires_at": _time(job.expires_at) if job.expires_at else None,
        "mission": job.mission,
        "progress": {"verdict": {}, **job.progress} if job.progress else None,
        "error": {"code": job.error_code, "message": job.error_message} if job.error_code else None,
        "tier": job.tier,
        "why": job.why,
        "links": _job_links(job),
    }


def jobs_to_json(page: JobPage) -> dict[str, Any]:
    """A page of jobs."""
    return {"jobs": [job_to_json(job) for job in page.jobs], "next_cursor": page.next_id}


def mission_to_json(mission: Mission) -> dict[str, Any]:
    """A mission with its jobs."""
    return {
        "id": mission.id,
        "states": mission.counts,
        "jobs": [job_to_json(job) for job in mission.jobs],
        "links": {"self": mission_path(mission.id), "jobs": f"/v1/jobs?mission={quote(mission.id, safe='')}"},
    }


def deliveries_to_json(deliveries: Iterable[Delivery]) -> dict[str, Any]:
    """What was sent to a job's callback."""
    return {"deliveries": [
        {
            "id": row.id,
            "url": row.url,
            "state": row.state,
            "attempts": row.attempts,
            "created_at": _time(row.created_at),
            "updated_at": _time(row.updated_at),
            "not_before": _time(row.not_before) if row.state is DeliveryState.PENDING else None,
            "last_status": row.last_status,
            "last_error": row.last_error,
        }
        for row in deliveries
    ]}


def domain_to_json(domain: DomainDescription) -> dict[str, Any]:
    """A domain."""
    return {
        "name": domain.name,
        "title": domain.title,
        "parameters": [
            {"name": item.name, "description": item.description, "choices": item.choices} for item in domain.parameters
        ],
        "models": domain.models,
    }


def model_to_json(model: ModelInfo) -> dict[str, Any]:
    """A model package, without its training statistics, which are long (its drift is what is made of them), and without its
    network's tensors, of which the Open Inference Protocol tells.
    """
    return {name: value for name, value in _plain(model).items() if name not in {"statistics", "inputs", "outputs"}}


def node_to_json(node: NodeState) -> dict[str, Any]:
    """A node with its devices. `expected_wait_s` is null where no device serves."""
    return _plain(node) | {
        "expected_wait_s": node.expected_wait_s if node.ready and math.isfinite(node.expected_wait_s) else None,
        "devices": [_plain(device) for device in node.devices],
        "abandoned": _plain(node.abandoned) | {"device_s": round(node.abandoned.device_s, 3)},
    }


def _links(analysis: Analysis) -> dict[str, str | list[str]]:
    path = path_of(analysis.id)
    links: dict[str, str | list[str]] = {"self": path, **_opinions(analysis)}
    if not analysis.images:
        return links
    for name in ARTIFACTS[str(analysis.result["kind"])]:
        if name == KEY_FRAME_PICTURE:
            links["key_frames"] = [f"{path}/key_frames/{number}.png" for number, _ in enumerate(analysis.images, 1)]
        else:
            links[name.partition(".")[0]] = f"{path}/{name}"
    return links


def _opinions(analysis: Analysis) -> dict[str, str]:
    asked, first = analysis.provenance.get("second_opinion"), analysis.provenance.get("opinion_on")
    links = {"second_opinion": job_path(asked["job"])} if asked and asked["job"] else {}
    return links | ({"first_opinion": path_of(first)} if first else {})


def _job_links(job: Job) -> dict[str, str]:
    path = job_path(job.id)
    links = {"self": path, "events": f"{path}/events"}
    if job.callback:
        links["deliveries"] = f"{path}/deliveries"
    if job.state is JobState.DONE:
        links["analysis"] = path_of(job.id)
    if job.mission:
        links["mission"] = mission_path(job.mission)
    if job.opinion_on:
        links["first_opinion"] = path_of(job.opinion_on)
    return links


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _plain(struct: AbandonedWork | DeviceState | ModelInfo | NodeState) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def server_timing(analysis: Analysis) -> str:
    """The Server-Timing header (W3C): milliseconds of each stage."""
    timings = analysis.provenance["timings_ms"]
    assert isinstance(timings, dict)
    return ", ".join(f"{stage};dur={timings[stage]:.2f}" for stage in STAGES)
