"""Records as the JSON that REST sends. gateway/rest/schemas.py describes the same documents for OpenAPI; a contract test
holds the two together.
"""

import math
from typing import Any
from urllib.parse import quote

from edge_runtime.wire import DeviceState, DomainDescription, ModelInfo, NodeState
from gateway.service.analyses import ARTIFACTS, KEY_FRAME_PICTURE, Page
from gateway.service.records import Analysis

STAGES = ("queue", "decode", "preprocess", "infer", "postprocess", "total")


def path_of(analysis_id: str) -> str:
    """The path of an analysis."""
    return f"/v1/analyses/{quote(analysis_id)}"


def analysis_to_json(analysis: Analysis) -> dict[str, Any]:
    """An analysis, whole."""
    return {
        "id": analysis.id,
        "domain": analysis.domain,
        "created_at": analysis.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
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
    """A model package."""
    return _plain(model)


def node_to_json(node: NodeState) -> dict[str, Any]:
    """A node with its devices. `expected_wait_s` is null where no device serves."""
    return _plain(node) | {
        "expected_wait_s": node.expected_wait_s if node.ready and math.isfinite(node.expected_wait_s) else None,
        "devices": [_plain(device) for device in node.devices],
    }


def _links(analysis: Analysis) -> dict[str, str | list[str]]:
    path = path_of(analysis.id)
    links: dict[str, str | list[str]] = {"self": path}
    if not analysis.images:
        return links
    for name in ARTIFACTS[str(analysis.result["kind"])]:
        if name == KEY_FRAME_PICTURE:
            links["key_frames"] = [f"{path}/key_frames/{number}.png" for number, _ in enumerate(analysis.images, 1)]
        else:
            links[name.partition(".")[0]] = f"{path}/{name}"
    return links


def _plain(struct: DeviceState | ModelInfo | NodeState) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def server_timing(analysis: Analysis) -> str:
    """The Server-Timing header (W3C): milliseconds of each stage."""
    timings = analysis.provenance["timings_ms"]
    assert isinstance(timings, dict)
    return ", ".join(f"{stage};dur={timings[stage]:.2f}" for stage in STAGES)
