"""What a caller gets for a picture that the model was not made for, over every transport of the real program."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from domains import registry
from edge_runtime.catalogue import Catalogue
from hedgerow_client import Classification, Client, ClipClassification, HedgerowError
from tests.clips import mp4
from tests.gateway_process import SAMPLES, GatewayProcess
from tests.model_packages import with_gate

BREAST = registry.models_folder("pathology") / "breast_ultrasound"
SCAN = (SAMPLES / "breast_scan.jpg").read_bytes()
STRICT, LAX = {"exam": "strict"}, {"exam": "lax"}
REASON = "This does not look like a breast ultrasound, and this model knows nothing else."


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway with two more exams: to one every picture is foreign, to the other none."""
    folder = tmp_path_factory.mktemp("packages")
    with_gate(BREAST, folder, "strict_model", "strict", foreign_from=1e-6)
    with_gate(BREAST, folder, "lax_model", "lax", foreign_from=1e6)
    with GatewayProcess(tmp_path_factory.mktemp("gated"), models_dirs=f'["{folder}"]') as running:
        yield running


@pytest.fixture(params=["rest", "grpc"])
def client(request: pytest.FixtureRequest, gated: GatewayProcess) -> Iterator[Client]:
    url = gated.url if request.param == "rest" else f"grpc://{gated.grpc_address}"
    with Client(url, gated.key) as opened:
        yield opened


def test_a_foreign_picture_gets_no_label_no_heat_map_and_is_told_what_it_is_not(client: Client) -> None:
    found = client.analyze("pathology", SCAN, STRICT)
    result = found.result
    assert isinstance(result, Classification)
    assert (result.label, result.probability, result.probabilities) == ("", 0.0, ())
    assert (result.prediction_set, result.has_evidence) == (None, False)
    assert result.abstention is not None
    assert (result.abstention.code, result.abstention.reason) == ("foreign", REASON)
    assert found.raw["media"]["quality"]["unfamiliarity"] > 0
    assert client.get(found.id).result == result
    with pytest.raises(HedgerowError, match="no evidence map"):
        client.heatmap(found.id)
    with Image.open(io.BytesIO(client.overlay(found.id))) as overlay, Image.open(io.BytesIO(SCAN)) as scan:
        assert overlay.height > scan.height
        drawn = np.asarray(overlay.convert("RGB"))[: scan.height]
        assert np.abs(drawn.astype(int) - np.asarray(scan.convert("RGB"))).mean() < 1, "nothing glows"


def test_the_same_picture_is_answered_where_it_is_of_the_models_world(client: Client) -> None:
    found = client.analyze("pathology", SCAN, LAX)
    assert isinstance(found.result, Classification)
    assert found.result.label == "benign"
    assert found.result.has_evidence
    assert found.raw["media"]["quality"]["unfamiliarity"] > 0


def test_a_clip_of_foreign_frames_is_called_what_it_is_not_rather_than_too_short(client: Client) -> None:
    noise = np.random.default_rng(5)
    frames = [np.ascontiguousarray(noise.integers(0, 256, (96, 128, 3), np.uint8)) for _ in range(8)]
    result = client.analyze("pathology", mp4(frames), STRICT).result
    assert isinstance(result, ClipClassification)
    assert (result.label, result.probabilities, result.interval, result.key_frames) == ("", (), None, ())
    assert result.abstention is not None
    assert result.abstention.code == "foreign"
    assert result.abstention.reason == "Not a breast ultrasound: 8 of 8 frames do not look like one."
    assert result.frames.unusable == {"foreign": 8}


def test_the_command_line_says_why_there_is_no_verdict(gated: GatewayProcess) -> None:
    told = gated.command("analyze", str(SAMPLES / "breast_scan.jpg"), "--domain", "pathology", "--exam", "strict", "--url", gated.url,
                         "--key", gated.key, COLUMNS="300")
    assert told.returncode == 0, told.stderr
    assert f"no verdict: {REASON}" in told.stdout
    assert "Leading" not in told.stdout


def test_a_package_whose_variants_lack_what_its_gate_looks_at_is_refused_by_name(tmp_path: Path) -> None:
    package = with_gate(BREAST, tmp_path, "blind", "blind", foreign_from=2.0, looks=False)
    refused = Catalogue([package], ["int8"]).refused
    assert refused == {"blind": "model package blind: domain_options.gate: every variant needs the output 'familiarity'"}


@pytest.mark.parametrize(("file", "foreign"), [("breast_scan.jpg", False), ("field.jpg", True), ("house_number.png", True)])
def test_the_shipped_breast_model_takes_a_scan_and_neither_a_field_nor_a_house_number(
    gateway: GatewayProcess, file: str, foreign: bool
) -> None:
    with Client(gateway.url, gateway.key) as client:
        result = client.analyze("pathology", SAMPLES / file, {"exam": "breast_ultrasound"}).result
    assert isinstance(result, Classification)
    assert (result.label == "") == foreign
    assert (result.abstention is not None and result.abstention.code == "foreign") == foreign
