"""What is sent is what OpenAPI says, and the API page needs no internet."""

import re
from typing import Any

import httpx
import jsonschema
import pytest

from tests.clips import Frame, moving_field, moving_scan, mp4
from tests.gateway_process import SAMPLES, GatewayProcess

KEY_FRAME = "/v1/analyses/{analysis_id}/key_frames/{number}.png"
TYPES = {"clip_classification": "ClipClassification", "clip_tracking": "ClipTracking"}


@pytest.fixture(scope="module")
def openapi(gateway: GatewayProcess) -> dict[str, Any]:
    document: dict[str, Any] = httpx.get(f"{gateway.url}/openapi.json").json()
    return document


def check(openapi: dict[str, Any], response: httpx.Response, method: str, path: str) -> None:
    """Raises where a response's status or body isn't one that OpenAPI describes."""
    kind = response.headers["content-type"]
    schema = described(openapi, method, path, response.status_code)[kind]["schema"]
    jsonschema.validate(response.json(), {**schema, "components": openapi["components"]})


def described(openapi: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any]:
    """What a path answers with that status, by content type."""
    content: dict[str, Any] = openapi["paths"][path][method]["responses"][str(status)]["content"]
    return content


def test_answers_of_both_kinds_pages_and_lists_are_as_described(gateway: GatewayProcess, openapi: dict[str, Any]) -> None:
    with gateway.rest() as client:
        for file, domain, query in (("lung_scan.png", "pathology", "?exam=lung_ultrasound"), ("field.jpg", "crop_weed", "")):
            made = client.post(f"/v1/domains/{domain}/analyses{query}", content=(SAMPLES / file).read_bytes())
            check(openapi, made, "post", "/v1/domains/{domain}/analyses")
            check(openapi, client.get(made.headers["location"]), "get", "/v1/analyses/{analysis_id}")
        check(openapi, client.get("/v1/analyses"), "get", "/v1/analyses")
        check(openapi, client.get("/v1/domains"), "get", "/v1/domains")
        check(openapi, client.get("/v1/models"), "get", "/v1/models")
        check(openapi, client.get("/v1/nodes"), "get", "/v1/nodes")
        check(openapi, client.get("/healthz"), "get", "/healthz")
        check(openapi, client.get("/readyz"), "get", "/readyz")


@pytest.mark.parametrize(
    ("frames", "domain", "query"),
    [(moving_scan(4), "pathology", "?exam=lung_ultrasound"), (moving_field(4), "crop_weed", "")],
    ids=["pathology", "crop_weed"],
)
def test_answers_on_clips_are_as_described_and_nothing_described_is_missing(
    gateway: GatewayProcess, openapi: dict[str, Any], frames: list[Frame], domain: str, query: str
) -> None:
    path = "/v1/domains/{domain}/analyses"
    schemas = openapi["components"]["schemas"]
    with gateway.rest() as client:
        made = client.post(f"/v1/domains/{domain}/analyses{query}", content=mp4(frames))
        check(openapi, made, "post", path)
        for link in made.json()["links"].get("key_frames", []):
            assert client.get(link).headers["content-type"] in described(openapi, "get", KEY_FRAME, 200)
    for part, schema in (
        (made.json()["media"], schemas["Media"]),
        (made.json()["provenance"], schemas["Provenance"]),
        (made.json()["result"], schemas[TYPES[made.json()["result"]["kind"]]]),
    ):
        assert set(part) == set(schema["properties"]) - {"quality", "provisional", "second_opinion", "opinion_on"}


def test_jobs_and_missions_are_as_described_and_nothing_described_is_missing(
    gateway: GatewayProcess, openapi: dict[str, Any]
) -> None:
    path, schemas = "/v1/domains/{domain}/analyses", openapi["components"]["schemas"]
    scan = (SAMPLES / "lung_scan.png").read_bytes()
    url = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
    with gateway.rest() as client:
        made = client.post(url, content=scan, headers={"Idempotency-Key": "contract"})
        assert made.status_code == 201
        check(openapi, made, "post", path)
        later = client.post(url, content=scan, headers={"Prefer": "respond-async"})
        assert later.status_code == 202
        check(openapi, later, "post", path)
        assert set(later.json()) == set(schemas["Job"]["properties"])
        job = later.headers["location"]
        broken = client.post(url, content=b"x" * 99, headers={"Idempotency-Key": "contract"})
        assert broken.status_code == 422
        check(openapi, broken, "post", path)
        check(openapi, client.get(job), "get", "/v1/jobs/{job_id}")
        check(openapi, client.get("/v1/jobs"), "get", "/v1/jobs")
        check(openapi, client.get(f"{job}/deliveries"), "get", "/v1/jobs/{job_id}/deliveries")
        with client.stream("GET", f"{job}/events") as told:
            assert told.headers["content-type"].partition(";")[0] in described(openapi, "get", "/v1/jobs/{job_id}/events", 200)
            told.read()
        for method, of in (("delete", "/v1/jobs/{job_id}"), ("post", "/v1/jobs/{job_id}/retry")):
            refused = client.request(method, of.format(job_id=later.json()["id"]))
            assert refused.status_code == 409
            check(openapi, refused, method, of)
        mission = client.post("/v1/domains/crop_weed/missions", files=[("file", ("a.jpg", b"x" * 99))])
        check(openapi, mission, "post", "/v1/domains/{domain}/missions")
        assert set(mission.json()) == set(schemas["Mission"]["properties"])
        check(openapi, client.get(mission.headers["location"]), "get", "/v1/missions/{mission_id}")
        check(openapi, client.get("/v1/missions/none"), "get", "/v1/missions/{mission_id}")


def test_events_and_key_frames_are_described(gateway: GatewayProcess, openapi: dict[str, Any]) -> None:
    path = "/v1/domains/{domain}/analyses"
    with gateway.rest() as client:
        headers = {"Accept": "text/event-stream"}
        scan = (SAMPLES / "lung_scan.png").read_bytes()
        told = client.post("/v1/domains/pathology/analyses?exam=lung_ultrasound", content=scan, headers=headers)
        assert told.status_code == 200
        assert told.headers["content-type"].partition(";")[0] in described(openapi, "post", path, 200)
        check(openapi, client.post("/v1/domains/pathology/analyses", content=b"x" * 99, headers=headers), "post", path)
        check(openapi, client.get("/v1/analyses/none/key_frames/1.png"), "get", KEY_FRAME)
        check(openapi, client.get("/v1/analyses/none/key_frames/x.png"), "get", KEY_FRAME)


def test_the_api_page_says_where_live_streams_are(openapi: dict[str, Any]) -> None:
    assert "/v1/domains/{domain}/stream" in openapi["info"]["description"]


def test_problems_are_as_described(gateway: GatewayProcess, openapi: dict[str, Any]) -> None:
    path = "/v1/domains/{domain}/analyses"
    with gateway.rest() as client:
        check(openapi, client.post("/v1/domains/pathology/analyses", content=b""), "post", path)
        check(openapi, client.post("/v1/domains/none/analyses", content=b"x"), "post", path)
        check(openapi, client.post("/v1/domains/pathology/analyses?exam=lung_ultrasound", content=b"x" * 99), "post", path)
        check(openapi, client.get("/v1/analyses/none"), "get", "/v1/analyses/{analysis_id}")
    with gateway.rest("none") as stranger:
        check(openapi, stranger.get("/v1/models"), "get", "/v1/models")


def test_every_local_reference_in_openapi_leads_somewhere(openapi: dict[str, Any]) -> None:
    for reference in set(re.findall(r"'#/components/schemas/(\w+)'", str(openapi))):
        assert reference in openapi["components"]["schemas"]


def test_the_api_page_loads_nothing_from_elsewhere(gateway: GatewayProcess) -> None:
    page = httpx.get(f"{gateway.url}/docs").text
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.startswith("/"), address
        assert httpx.get(gateway.url + address).status_code == 200
    assert "https://" not in page
