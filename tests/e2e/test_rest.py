"""The main job over REST, against the real program."""

import http.client
import io
import json
import time
import uuid
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.gateway.store.kept_pictures import kept_pictures
from tests.gateway_process import SAMPLES, GatewayProcess

CASES = [
    ("lung_scan.png", "pathology", {"exam": "lung_ultrasound"}, "lung_ultrasound"),
    ("breast_scan.jpg", "pathology", {"exam": "breast_ultrasound"}, "breast_ultrasound"),
    ("breast_scan.dcm", "pathology", {}, "breast_ultrasound"),
    ("ultrasound_clip.dcm", "pathology", {"exam": "lung_ultrasound", "frame": "3"}, "lung_ultrasound"),
    ("field.jpg", "crop_weed", {}, "crop_peanut"),
    ("house_number.png", "house_numbers", {"box": "60,18,56,62"}, "svhn_digits"),
]


def analyse(client: httpx.Client, file: str, domain: str, parameters: dict[str, str]) -> dict[str, Any]:
    response = client.post(f"/v1/domains/{domain}/analyses", params=parameters, content=(SAMPLES / file).read_bytes())
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.json()
    return document


def png(client: httpx.Client, path: str) -> Image.Image:
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(response.content))


@pytest.mark.parametrize(("file", "domain", "parameters", "model"), CASES)
def test_a_real_file_gets_a_stored_answer_that_says_what_made_it(
    gateway: GatewayProcess, file: str, domain: str, parameters: dict[str, str], model: str
) -> None:
    with gateway.rest() as client:
        response = client.post(
            f"/v1/domains/{domain}/analyses", params=parameters, content=(SAMPLES / file).read_bytes()
        )
        document = response.json()
        assert response.status_code == 201, document
        assert response.headers["location"] == f"/v1/analyses/{document['id']}"
        stages = [part.partition(";")[0] for part in response.headers["server-timing"].split(", ")]
        assert stages == ["queue", "decode", "preprocess", "infer", "postprocess", "total"]
        assert document["request_id"] == response.headers["x-request-id"]
        made_by = document["provenance"]
        assert made_by["model"]["name"] == model
        assert made_by["model"]["variant"] == "int8"
        assert len(made_by["model"]["sha256"]) == 64
        assert made_by["tier"] == "edge"
        assert made_by["attempts"] == 1
        assert client.get(response.headers["location"]).json() == document


def test_the_lung_sample_is_called_normal_and_the_breast_sample_benign(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        lung = analyse(client, "lung_scan.png", "pathology", {"exam": "lung_ultrasound"})["result"]
        breast = analyse(client, "breast_scan.jpg", "pathology", {"exam": "breast_ultrasound"})["result"]
    assert lung["label"] == "normal"
    assert breast["label"] == "benign"
    for result in (lung, breast):
        assert sum(row["probability"] for row in result["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert result["probability"] == max(row["probability"] for row in result["probabilities"])


def test_a_dicom_file_that_says_its_exam_gets_the_same_answer_as_the_picture_in_it(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        named = analyse(client, "breast_scan.jpg", "pathology", {"exam": "breast_ultrasound"})
        from_dicom = analyse(client, "breast_scan.dcm", "pathology", {})
    assert from_dicom["media"]["format"] == "dicom"
    assert from_dicom["result"]["label"] == named["result"]["label"]
    assert from_dicom["result"]["probability"] == pytest.approx(named["result"]["probability"], abs=0.05)


def test_evidence_lies_over_the_scan_at_its_own_size(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        document = analyse(client, "breast_scan.jpg", "pathology", {"exam": "breast_ultrasound"})
        size = (document["media"]["width"], document["media"]["height"])
        heatmap = png(client, document["links"]["heatmap"])
        overlay = png(client, document["links"]["overlay"])
        assert heatmap.size == size
        assert heatmap.mode == "L"
        assert np.asarray(heatmap).max() > 128
        assert overlay.size[0] == size[0]
        assert overlay.size[1] > size[1], "a caption stands below the scan"
        wrong = client.get(f"/v1/analyses/{document['id']}/mask.png")
        assert wrong.status_code == 404
        assert "overlay.png and heatmap.png" in wrong.json()["detail"]


def test_a_field_photo_gets_a_class_map_at_its_own_size_with_areas_and_plants_that_agree(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        document = analyse(client, "field.jpg", "crop_weed", {})
        result = document["result"]
        mask = png(client, document["links"]["mask"])
        overlay = png(client, document["links"]["overlay"])
    classes = np.asarray(mask)
    assert mask.size == (result["width"], result["height"]) == (960, 720)
    assert overlay.size[0] == 960
    for row in result["classes"]:
        assert row["area_px"] == np.count_nonzero(classes == row["index"])
    fractions = {row["label"]: row["area_fraction"] for row in result["classes"]}
    assert fractions["crop"] == pytest.approx(0.18, abs=0.05)
    assert fractions["weed"] == pytest.approx(0.07, abs=0.05)
    assert {plant["label"] for plant in result["instances"]} == {"crop", "weed"}
    for plant in result["instances"]:
        whole = coco_mask.decode({"size": plant["mask"]["size"], "counts": plant["mask"]["counts"].encode()})
        assert whole.shape == (720, 960)
        assert whole.sum() == plant["area_px"]
        rows, columns = np.nonzero(whole)
        box = plant["box"]
        assert (columns.min(), rows.min()) == (box["x"], box["y"])
        assert (columns.max() - columns.min() + 1, rows.max() - rows.min() + 1) == (box["width"], box["height"])
        assert plant["centroid"]["x"] == pytest.approx(columns.mean(), abs=0.6)


def test_a_photo_stored_sideways_is_analysed_upright(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        result = analyse(client, "field_sideways.jpg", "crop_weed", {})["result"]
    with Image.open(SAMPLES / "field_sideways.jpg") as stored:
        assert (result["width"], result["height"]) == stored.size[::-1]


def test_multipart_gives_the_same_answer_as_a_raw_body(gateway: GatewayProcess) -> None:
    content = (SAMPLES / "lung_scan.png").read_bytes()
    with gateway.rest() as client:
        raw = analyse(client, "lung_scan.png", "pathology", {"exam": "lung_ultrasound"})
        response = client.post(
            "/v1/domains/pathology/analyses", files={"file": ("scan.png", content, "image/png")},
            data={"parameters": json.dumps({"exam": "lung_ultrasound"})},
        )
    assert response.status_code == 201, response.text
    assert response.json()["result"] == raw["result"]
    assert response.json()["media"] == raw["media"]


def test_answers_are_listed_newest_first_by_page_and_filter(gateway: GatewayProcess) -> None:
    key = gateway.command("keys", "create", "--tenant", "lister", "--scope", "analyze:*", "--scope", "read").stdout.strip()
    with gateway.rest(key) as client:
        made = [analyse(client, "lung_scan.png", "pathology", {"exam": "lung_ultrasound"})["id"] for _ in range(3)]
        made.append(analyse(client, "field.jpg", "crop_weed", {})["id"])
        first = client.get("/v1/analyses", params={"limit": 3}).json()
        assert [row["id"] for row in first["analyses"]] == made[:0:-1]
        rest = client.get("/v1/analyses", params={"limit": 3, "cursor": first["next_cursor"]}).json()
        assert [row["id"] for row in rest["analyses"]] == [made[0]]
        assert rest["next_cursor"] is None
        fields = client.get("/v1/analyses", params={"domain": "crop_weed"}).json()["analyses"]
        assert [row["id"] for row in fields] == [made[3]]
        normal = client.get("/v1/analyses", params={"label": "normal"}).json()["analyses"]
        assert len(normal) == 3
        future = client.get("/v1/analyses", params={"created_after": "2999-01-01T00:00:00Z"}).json()
        assert future["analyses"] == []


def test_a_deleted_answer_is_gone_with_its_pictures(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        document = analyse(client, "lung_scan.png", "pathology", {"exam": "lung_ultrasound"})
        assert kept_pictures(gateway.data_dir / "images")[document["id"]] >= {"input", "evidence.png"}
        assert client.delete(document["links"]["self"]).status_code == 204
        for path in document["links"].values():
            assert client.get(path).status_code == 404
        assert client.delete(document["links"]["self"]).status_code == 404
        assert document["id"] not in kept_pictures(gateway.data_dir / "images")


def test_another_tenants_answer_is_not_found(gateway: GatewayProcess) -> None:
    key = gateway.command(
        "keys", "create", "--tenant", "stranger", "--scope", "read", "--scope", "admin"
    ).stdout.strip()
    with gateway.rest() as mine, gateway.rest(key) as theirs:
        links = analyse(mine, "lung_scan.png", "pathology", {"exam": "lung_ultrasound"})["links"]
        for path in links.values():
            assert theirs.get(path).json()["code"] == "NOT_FOUND"
        assert theirs.delete(links["self"]).json()["code"] == "NOT_FOUND"
        assert theirs.get("/v1/analyses").json()["analyses"] == []
        assert mine.get(links["self"]).status_code == 200


def test_the_callers_request_id_comes_back_and_stands_in_the_log(gateway: GatewayProcess) -> None:
    mine = f"visit-{uuid.uuid4()}"
    with gateway.rest() as client:
        response = client.get("/v1/domains", headers={"X-Request-ID": mine})
        odd = client.get("/v1/domains", headers={"X-Request-ID": 'a"b c'})
    assert response.headers["x-request-id"] == mine
    assert odd.headers["x-request-id"] != 'a"b c'
    assert [line["status"] for line in gateway.logs() if line.get("request_id") == mine] == [200]


def test_domains_and_models_say_what_can_be_asked_and_what_was_measured(gateway: GatewayProcess) -> None:
    with gateway.rest() as client:
        domains = {row["name"]: row for row in client.get("/v1/domains").json()["domains"]}
        models = {row["name"]: row for row in client.get("/v1/models").json()["models"]}
    exam = next(row for row in domains["pathology"]["parameters"] if row["name"] == "exam")
    assert set(exam["choices"]) >= {"breast_ultrasound", "lung_ultrasound"}
    assert set(models) >= {"breast_ultrasound", "lung_ultrasound", "crop_peanut", "crop_cwfid", "svhn_digits"}
    for model in models.values():
        assert model["state"] == "ready"
        assert model["metrics"]
        assert "research" in model["intended_use"].lower()


def test_health_and_readiness_need_no_key(gateway: GatewayProcess) -> None:
    assert httpx.get(f"{gateway.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{gateway.url}/readyz").json() == {"status": "ready"}


def test_a_connection_that_was_idle_for_a_while_can_be_used_again(gateway: GatewayProcess) -> None:
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"))
    for pause_s in (0.0, 6.0):
        time.sleep(pause_s)
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, b'{"status":"ok"}')
    connection.close()
