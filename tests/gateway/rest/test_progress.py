"""Progress as server-sent events, over an analysis that runs as a test says."""

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse
from sse_starlette import EventSourceResponse

from domains.errors import CorruptMedia, UnsupportedMedia
from gateway.service.clips import OnProgress, Progress
from gateway.service.records import Analysis
from tests.gateway.rest.scripted_services import CLIP, MAX_UPLOAD_BYTES, RestThread

PATH = "/v1/domains/pathology/analyses?exam=lung_ultrasound"
STAGES = ("queue", "decode", "preprocess", "infer", "postprocess", "total")
ANSWER = replace(CLIP, provenance={"timings_ms": dict.fromkeys(STAGES, 1.0)})


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RestThread]:
    with RestThread(tmp_path) as running:
        yield running


@pytest.fixture
def client(gateway: RestThread) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {gateway.key}", "X-Request-ID": "visit-7"}
    with httpx.Client(base_url=f"http://{gateway.address}", headers=headers, trust_env=False) as opened:
        yield opened


def events(client: httpx.Client, content: bytes = b"clip") -> list[tuple[str, dict[str, Any]]]:
    with connect_sse(client, "POST", PATH, content=content) as source:
        assert source.response.status_code == 200
        assert source.response.headers["x-request-id"] == "visit-7"
        return [(event.event, json.loads(event.data)) for event in source.iter_sse()]


def test_progress_is_told_and_then_the_analysis_as_in_a_plain_answer(gateway: RestThread, client: httpx.Client) -> None:
    async def clip(on_progress: OnProgress) -> Analysis:
        on_progress(Progress(0, 2))
        await asyncio.sleep(0.1)
        on_progress(Progress(1, 2, {"kind": "running_classification"}))
        await asyncio.sleep(0.1)
        return ANSWER

    gateway.analyses.script = clip
    assert events(client) == [
        ("progress", {"frames_done": 0, "frames_total": 2, "verdict": {}}),
        ("progress", {"frames_done": 1, "frames_total": 2, "verdict": {"kind": "running_classification"}}),
        ("analysis", client.post(PATH, content=b"clip").json()),
    ]
    line = gateway.lines()[0]
    assert (line["status"], line["code"], line["analysis_id"]) == (200, None, CLIP.id)


def test_a_still_picture_has_no_progress_and_comes_at_once(gateway: RestThread, client: httpx.Client) -> None:
    async def still(_: OnProgress) -> Analysis:
        return ANSWER

    gateway.analyses.script = still
    assert [name for name, _ in events(client)] == ["analysis"]


def test_what_goes_wrong_under_way_is_the_last_event(gateway: RestThread, client: httpx.Client) -> None:
    async def broken(on_progress: OnProgress) -> Analysis:
        on_progress(Progress(0, 9))
        await asyncio.sleep(0.05)
        raise CorruptMedia("no frame of the clip could be decoded")

    gateway.analyses.script = broken
    (_, (name, problem)) = events(client)
    assert name == "error"
    assert (problem["code"], problem["status"], problem["request_id"]) == ("CORRUPT_MEDIA", 422, "visit-7")
    assert gateway.lines()[0]["code"] == "CORRUPT_MEDIA"


def test_an_unforeseen_error_under_way_keeps_its_text_to_itself(gateway: RestThread, client: httpx.Client) -> None:
    async def broken(on_progress: OnProgress) -> Analysis:
        on_progress(Progress(0, 9))
        await asyncio.sleep(0.05)
        raise KeyError("DOE^JANE")

    gateway.analyses.script = broken
    (_, (_, problem)) = events(client)
    assert problem["code"] == "INTERNAL"
    assert "DOE" not in str(problem) + str(gateway.log)


def test_what_goes_wrong_before_any_progress_has_its_own_status(gateway: RestThread, client: httpx.Client) -> None:
    async def unreadable(_: OnProgress) -> Analysis:
        raise UnsupportedMedia("not a format that is read here")

    gateway.analyses.script = unreadable
    for content, headers, status in (
        (b"clip", {}, 415),
        (b"clip", {"Authorization": "Bearer none"}, 401),
        (b"x" * (MAX_UPLOAD_BYTES + 1), {}, 413),
    ):
        response = client.post(PATH, content=content, headers={"Accept": "text/event-stream", **headers})
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["status"] == status


def test_only_those_who_ask_for_events_get_them(gateway: RestThread, client: httpx.Client) -> None:
    async def still(_: OnProgress) -> Analysis:
        return ANSWER

    gateway.analyses.script = still
    for accept, kind in (
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json;q=0.5, Text/Event-Stream;q=0.9", "text/event-stream; charset=utf-8"),
    ):
        response = client.post(PATH, content=b"clip", headers={"Accept": accept})
        assert response.headers["content-type"] == kind


@pytest.mark.parametrize("begun", [True, False])
def test_a_caller_who_hangs_up_ends_the_work(gateway: RestThread, client: httpx.Client, begun: bool) -> None:
    running = threading.Event()

    async def endless(on_progress: OnProgress) -> Analysis:
        if begun:
            on_progress(Progress(0, 9))
        running.set()
        await asyncio.sleep(60)
        return ANSWER

    gateway.analyses.script = endless
    if begun:
        with connect_sse(client, "POST", PATH, content=b"clip") as source:
            next(source.iter_sse())
    else:
        with pytest.raises(httpx.ReadTimeout):
            client.post(PATH, content=b"clip", headers={"Accept": "text/event-stream"}, timeout=0.5)
    assert running.is_set()
    assert gateway.analyses.cancelled.wait(10)
    assert gateway.lines()[0]["code"] == "CANCELLED"


def test_a_slow_reader_is_told_the_newest_progress_and_misses_the_old(gateway: RestThread, client: httpx.Client) -> None:
    async def fast(on_progress: OnProgress) -> Analysis:
        on_progress(Progress(0, 1000))
        await asyncio.sleep(0.05)
        for done in range(1, 1001):
            on_progress(Progress(done, 1000))
        await asyncio.sleep(0.05)
        return ANSWER

    gateway.analyses.script = fast
    told = events(client)
    assert [document["frames_done"] for name, document in told if name == "progress"] == [0, 1000]


def test_a_connection_without_news_is_kept_alive(
    gateway: RestThread, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EventSourceResponse, "DEFAULT_PING_INTERVAL", 0.1)

    async def slow(on_progress: OnProgress) -> Analysis:
        on_progress(Progress(0, 2))
        await asyncio.sleep(0.5)
        return ANSWER

    gateway.analyses.script = slow
    with client.stream("POST", PATH, content=b"clip", headers={"Accept": "text/event-stream"}) as response:
        assert ": ping" in response.read().decode()
