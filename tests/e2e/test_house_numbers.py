"""A third domain through the real program: a drawn digit over REST, a clip of it, and its held-out figures on drawn photos."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.domains.house_numbers import drawn
from tests.gateway_process import SAMPLES, GatewayProcess

PATH = "/v1/domains/house_numbers/analyses"
PLATE = (SAMPLES / "house_number.png").read_bytes()
BOXES = {"2": "16,18,44,62", "7": "60,18,56,62"}


def test_the_gateway_offers_the_domain_with_its_model_and_says_its_terms(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        offered = {row["name"]: row for row in client.get("/v1/domains").json()["domains"]}["house_numbers"]
        (model,) = [row for row in client.get("/v1/models").json()["models"] if row["domain"] == "house_numbers"]
    assert offered["models"] == ["svhn_digits"]
    assert [row["name"] for row in offered["parameters"]] == ["model", "box"]
    assert (model["state"], model["variant"]) == ("ready", "int8")
    assert "on-commercial" in model["licence"]["weights"]


@pytest.mark.parametrize(("digit", "box"), BOXES.items())
def test_each_digit_of_a_drawn_house_number_is_read_and_shown_where_it_was(
    gateway: GatewayProcess, digit: str, box: str
) -> None:
    with gateway.rest() as client:
        response = client.post(PATH, params={"box": box}, content=PLATE)
        document = response.json()
        assert response.status_code == 201, document
        result = document["result"]
        overlay = client.get(f"/v1/analyses/{document['id']}/overlay.png")
    assert result["label"] == digit
    assert len(result["probabilities"]) == 10
    assert sum(row["probability"] for row in result["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert digit in result["prediction_set"]["labels"]
    assert result["evidence"] is None
    assert (result["region"]["width"], result["region"]["height"]) == (62, 62)
    assert document["parameters"] == {"model": "svhn_digits", "box": [int(part) for part in box.split(",")]}
    assert document["provenance"]["model"]["name"] == "svhn_digits"
    assert overlay.headers["content-type"] == "image/png"


def test_a_blank_wall_is_left_open(gateway: GatewayProcess) -> None:
    blank = drawn.png(np.full((64, 64, 3), 120, np.uint8))
    with gateway.rest() as client:
        result = client.post(PATH, content=blank).json()["result"]
    assert result["abstained"]
    assert result["abstention"]["code"] == "low_confidence"


def test_a_box_outside_the_picture_is_refused_by_name_with_the_pictures_size(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        response = client.post(PATH, params={"box": "100,0,64,64"}, content=PLATE)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (400, "INVALID_ARGUMENT")
    assert "inside the picture of 120x96" in problem["detail"]


def test_a_clip_of_a_digit_gets_the_mean_and_is_told_what_it_lacks(gateway: GatewayProcess, tmp_path: Path) -> None:
    path = tmp_path / "seven.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for shift in range(6):
        writer.write(np.roll(drawn.digit(7), shift, axis=1))
    writer.release()
    with gateway.rest() as client:
        response = client.post(PATH, content=path.read_bytes())
    assert response.status_code == 201, response.text
    result = response.json()["result"]
    assert (result["kind"], result["label"], result["interval"]) == ("clip_classification", "7", None)
    assert "no interval" in result["notices"][0]


def test_held_out_figures_come_over_the_gateways_own_flow(gateway: GatewayProcess, tmp_path: Path) -> None:
    data = drawn.data_folder(tmp_path, photos=40)
    done = gateway.command("evaluate", "house_numbers", "--data", str(data), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["models"]["svhn_digits"]["variants"]["int8"]
    assert (found["cases"], found["groups"]) == (12, 6)
    assert found["figures"]["accuracy"]["value"] > 0.5, "drawn digits are easier than photos"


def test_a_folder_without_the_digits_is_told_in_a_line(gateway: GatewayProcess, tmp_path: Path) -> None:
    done = gateway.command("evaluate", "house_numbers", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "svhn_subset/boxes.csv" in done.stderr
    assert "Traceback" not in done.stderr
