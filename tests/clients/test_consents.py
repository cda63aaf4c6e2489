"""What a client says may happen with its file, and what it is told of a second opinion."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from hedgerow_client import Client, InputRefused, Progress, Retries, SecondOpinion, TimedOut
from hedgerow_client.proto import analysis_from_proto, struct_of
from hedgerow_client.reading import read_analysis
from protos.hedgerow.v1 import analysis_pb2 as pb
from tests.clients.scripted_requests import ACCEPTED, BUSY, CORRUPT, Answer, GrpcServer, RestServer

QUICK = Retries(attempts=4, first_pause_s=0.01, longest_pause_s=0.05)
Server = RestServer | GrpcServer


@pytest.fixture(params=[RestServer, GrpcServer], ids=["rest", "grpc"])
def serve(request: pytest.FixtureRequest) -> Callable[[Iterable[Answer]], Server]:
    kind: Callable[[Iterable[Answer]], Server] = request.param
    return kind


def ignore(_: Progress) -> None:
    """Nothing."""


@pytest.mark.parametrize("on_progress", [None, ignore], ids=["at once", "with progress"])
def test_consents_go_with_the_file_on_every_repetition_and_only_where_they_were_given(
    serve: Callable[[Iterable[Answer]], Server], on_progress: Callable[[Progress], None] | None
) -> None:
    with serve([BUSY, CORRUPT, CORRUPT]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        with pytest.raises(InputRefused):
            client.analyze("pathology", b"x", on_progress=on_progress, consents=["cloud", "learning"])
        with pytest.raises(InputRefused):
            client.analyze("pathology", b"x", on_progress=on_progress)
        assert server.answers.consents == [("cloud", "learning")] * 2 + [()]


@pytest.mark.parametrize("on_progress", [None, ignore], ids=["at once", "with progress"])
def test_a_request_that_became_a_job_is_told_by_its_name(on_progress: Callable[[Progress], None] | None) -> None:
    with RestServer([ACCEPTED]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        with pytest.raises(TimedOut, match="goes on with the job j-1"):
            client.analyze("pathology", b"x", on_progress=on_progress, consents=["cloud"])
        assert server.answers.asked == 1


def stored(provenance: dict[str, Any]) -> dict[str, Any]:
    """An analysis as REST sends it."""
    box = {"x": 0, "y": 0, "width": 1, "height": 1}
    return {
        "id": "a-1", "domain": "pathology", "created_at": "1970-01-01T00:00:00.000Z", "request_id": "", "parameters": {},
        "media": {"format": "", "width": 0, "height": 0, "frame": 0, "frame_count": 0, "size_bytes": 0, "sha256": ""},
        "result": {"kind": "classification", "label": "covid", "probability": 0.0, "probabilities": [], "region": box,
                   "prediction_set": None, "abstained": False, "abstention": None, "notices": [], "evidence": None},
        "provenance": {"model": {"name": "", "version": "", "variant": "", "sha256": ""}, "device": "", "backend": "",
                       "node": "", "tier": "", "tier_reason": "", "attempts": 0, "timings_ms": {}, "software": "", **provenance},
    }


def sent(provenance: pb.Provenance) -> pb.Analysis:
    """The same over gRPC."""
    provenance.model.CopyFrom(pb.ModelIdentity())
    return pb.Analysis(
        id="a-1", domain="pathology", media=pb.Media(), provenance=provenance, parameters=struct_of({}),
        classification=pb.Classification(label="covid", region=pb.Box(width=1, height=1)),
    )


@pytest.mark.parametrize(
    ("document", "message", "expected"),
    [
        ({}, pb.Provenance(), (False, None, None)),
        (
            {"provisional": True, "second_opinion": {"job": "j-1", "why": "unsure", "note": ""}},
            pb.Provenance(provisional=True, second_opinion=pb.SecondOpinion(job="j-1", why="unsure")),
            (True, SecondOpinion("j-1", "unsure"), None),
        ),
        (
            {"second_opinion": {"job": None, "why": "near_foreign", "note": "the budget is used up"}},
            pb.Provenance(second_opinion=pb.SecondOpinion(why="near_foreign", note="the budget is used up")),
            (False, SecondOpinion(None, "near_foreign", "the budget is used up"), None),
        ),
        ({"opinion_on": "a-0"}, pb.Provenance(opinion_on="a-0"), (False, None, "a-0")),
    ],
    ids=["none", "asked for", "not asked for", "the second one"],
)
def test_what_is_said_of_a_second_opinion_is_the_same_over_both_transports(
    document: dict[str, Any], message: pb.Provenance, expected: tuple[bool, SecondOpinion | None, str | None]
) -> None:
    over_rest, over_grpc = read_analysis(stored(document)), read_analysis(analysis_from_proto(sent(message)))
    assert over_rest == over_grpc
    told = over_rest.provenance
    assert (told.provisional, told.second_opinion, told.opinion_on) == expected
