"""What a person sees of a stream at a terminal, and a script reads of it."""

import io
import json

import pytest
from rich.console import Console

from gateway.console.live import JsonShow, LineShow, State, view
from hedgerow_client import Event, Interrupted
from hedgerow_client.reading import read_event
from tests.clients.scripted_gateway import PROVENANCE, RESULT, VERDICT


def shown(state: State) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(view(state))
    return console.export_text()


def told(name: str, **document: object) -> Event:
    event = read_event(name, document, {})
    assert event is not None
    return event


def events() -> list[Event]:
    started = {"token": "t", "next_frame": 1, "next_offset": 0, "resume_within_s": 60.0, "lost_events": 0}
    return [
        told("started", **started, resumed=False),
        told("frame", number=7, time_s=0.28, result=RESULT, unusable="blurred", age_ms=33.0, provenance=PROVENANCE),
        told("verdict", document=VERDICT | {"abstained": False, "abstention": None}),
        told("dropped", first=1, last=6, count=6, reason="superseded"),
        told("dropped", first=8, last=9, count=2, reason="link_down"),
        Interrupted("no answer from http://cart:8080", {"type": "interrupted", "cause": "no answer from http://cart:8080"}),
        told("started", **started | {"resumed": True, "lost_events": 4}),
        told("verdict", document=VERDICT),
    ]


def test_the_panel_shows_the_verdict_how_sure_it_is_and_what_was_left_out() -> None:
    state = State("pathology · lung.mp4")
    assert "waiting for the first answer" in shown(state)
    for event in events()[:5]:
        state.take(event)
    text = shown(state)
    for part in (
        "covid 70% (50% to 90%)", "regular", "30%", "usable now", "frame 7, 0.28 s (blurred), 33 ms old", "1 of 2 frames usable",
        "6 (a newer frame came first), 2 (the link was down or full)",
    ):
        assert part in text, text


def test_a_lost_connection_and_an_abstention_are_shown() -> None:
    state = State("pathology")
    for event in events():
        state.take(event)
    text = shown(state)
    for part in ("connection lost: no answer from http://cart:8080", "connected again; 4 events are lost", "no verdict now: Not sure."):
        assert part in text, text


def test_without_a_terminal_each_second_has_a_line_and_nothing_important_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    show = LineShow(State("pathology"))
    for event in events():
        show.tell(event)
    show.tell(told("ended", reason="idle", received=9, analysed=0, dropped=8))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "   0.28 s  covid 70% (50% to 90%), 1 of 2 frames usable (1 blurred)"
    assert lines[1:3] == ["connection lost: no answer from http://cart:8080", "connected again; 4 events are lost"]
    assert lines[-2:] == ["nothing came for too long", "no frame was analysed: there is no verdict"]
    assert len(lines) == 6


def test_as_json_each_event_is_a_line_and_the_token_stays_secret(capsys: pytest.CaptureFixture[str]) -> None:
    show = JsonShow()
    for event in events():
        show.tell(event)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["type"] for row in rows] == [
        "started", "frame", "verdict", "dropped", "dropped", "interrupted", "started", "verdict",
    ]  # fmt: skip
    assert rows[0]["token"] == ""
    assert rows[1]["result"] == RESULT
