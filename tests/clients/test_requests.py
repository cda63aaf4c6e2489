"""The client against the real gateway: the same objects, pictures and errors over REST and gRPC, blocking or not."""

import inspect
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from hedgerow_client import (
    AccessDenied,
    Analysis,
    AsyncClient,
    Classification,
    Client,
    ClipClassification,
    HedgerowError,
    InputRefused,
    NotFound,
    Progress,
    RunningClassification,
    Segmentation,
)
from tests.gateway_process import SAMPLES, GatewayProcess

BREAST = {"exam": "breast_ultrasound"}
pytestmark = pytest.mark.anyio


def url_of(gateway: GatewayProcess, transport: str) -> str:
    return gateway.url if transport == "rest" else f"grpc://{gateway.grpc_address}"


@pytest.fixture(params=["rest", "grpc"])
def client(gateway: GatewayProcess, request: pytest.FixtureRequest) -> Iterator[Client]:
    with Client(url_of(gateway, request.param), gateway.key) as found:
        yield found


@pytest.fixture
def others(gateway: GatewayProcess) -> Iterator[tuple[Client, Client]]:
    with Client(gateway.url, gateway.key) as rest, Client(url_of(gateway, "grpc"), gateway.key) as grpc:
        yield rest, grpc


@pytest.mark.parametrize(
    ("file", "domain", "kind"),
    [("breast_scan.jpg", "pathology", Classification), ("field.jpg", "crop_weed", Segmentation)],
)
def test_a_picture_gives_the_same_object_over_both_transports(
    client: Client, others: tuple[Client, Client], file: str, domain: str, kind: type
) -> None:
    parameters = BREAST if domain == "pathology" else {"ground_resolution_mm": 1}
    analysis = client.analyze(domain, SAMPLES / file, parameters)
    assert isinstance(analysis.result, kind)
    assert analysis.parameters.items() >= parameters.items()
    assert analysis.provenance.timings_ms.infer > 0
    assert [other.get(analysis.id) for other in others] == [analysis, analysis]
    assert analysis.raw["id"] == analysis.id


def test_a_clip_tells_how_far_it_is_and_gives_a_verdict(client: Client, others: tuple[Client, Client]) -> None:
    told: list[Progress] = []
    analysis = client.analyze("pathology", SAMPLES / "ultrasound_clip.dcm", BREAST, on_progress=told.append)
    assert isinstance(analysis.result, ClipClassification)
    assert told
    assert told[-1].frames_total == analysis.media.frame_count
    assert [one.frames_done for one in told] == sorted(one.frames_done for one in told)
    verdicts = [one.verdict for one in told if one.verdict is not None]
    assert all(isinstance(one, RunningClassification) for one in verdicts)
    assert [other.get(analysis.id) for other in others] == [analysis, analysis]


def test_pictures_come_as_png_in_the_size_of_the_scan(client: Client) -> None:
    scan = client.analyze("pathology", (SAMPLES / "breast_scan.jpg").read_bytes(), BREAST)
    photo = client.analyze("crop_weed", str(SAMPLES / "field.jpg"))
    for png, analysis in ((client.heatmap(scan.id), scan), (client.mask(photo.id), photo)):
        assert Image.open(io.BytesIO(png)).size == (analysis.media.width, analysis.media.height)
    assert Image.open(io.BytesIO(client.overlay(scan.id))).width == scan.media.width
    with pytest.raises(NotFound, match=r"no mask\.png"):
        client.mask(scan.id)


def test_key_frames_of_a_clip_come_as_png_the_best_one_as_its_overlay_too(client: Client) -> None:
    clip = client.analyze("pathology", SAMPLES / "lung_clip.mpeg", {"exam": "lung_ultrasound"})
    assert isinstance(clip.result, ClipClassification)
    best = client.key_frame(clip.id)
    assert Image.open(io.BytesIO(best)).width == clip.media.width
    assert client.overlay(clip.id) == best
    with pytest.raises(NotFound, match="key frame"):
        client.key_frame(clip.id, len(clip.result.key_frames) + 1)


def test_a_list_goes_on_over_its_pages_and_a_deleted_answer_is_gone(client: Client) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = [client.analyze("pathology", SAMPLES / "breast_scan.jpg", BREAST).id for _ in range(5)]
    found = list(client.list(domain="pathology", created_after=before, page_size=2))
    assert all(isinstance(one, Analysis) for one in found)
    assert [one.id for one in found][:5] == made[::-1]
    assert list(client.list(label="no such label")) == []
    client.delete(made[0])
    with pytest.raises(NotFound):
        client.get(made[0])
    with pytest.raises(ValueError, match="zone"):
        list(client.list(created_after=datetime(2026, 1, 1)))  # noqa: DTZ001 - what is tested


def test_the_catalogue_and_the_health_can_be_asked(client: Client) -> None:
    domains = {domain.name: domain for domain in client.domains()}
    assert "exam" in {parameter.name for parameter in domains["pathology"].parameters}
    models = {model.name: model for model in client.models()}
    assert models["lung_ultrasound"].state == "ready"
    assert models["lung_ultrasound"].selector == {"exam": "lung_ultrasound"}
    assert models["lung_ultrasound"].raw["metrics"]
    assert client.health()


def test_errors_say_what_is_wrong_in_a_form_to_branch_on(client: Client) -> None:
    with pytest.raises(InputRefused) as refused:
        client.analyze("pathology", b"no picture at all, not by a long way", BREAST)
    assert refused.value.code == "UNSUPPORTED_MEDIA"
    assert refused.value.request_id
    with pytest.raises(HedgerowError) as unknown:
        client.analyze("pathology", SAMPLES / "breast_scan.jpg", {"exam": "no such exam"})
    assert (unknown.value.code, unknown.value.parameter) == ("UNKNOWN_EXAM", "exam")
    for told in (None, lambda _: None):
        with pytest.raises(NotFound) as elsewhere:
            client.analyze("no_such_domain", SAMPLES / "breast_scan.jpg", on_progress=told)
        assert elsewhere.value.code == "UNKNOWN_DOMAIN"
    with pytest.raises(FileNotFoundError):
        client.analyze("pathology", "no such file.png")


@pytest.mark.parametrize("transport", ["rest", "grpc"])
def test_a_wrong_key_is_refused_and_shows_nowhere(gateway: GatewayProcess, transport: str) -> None:
    secret = "hgr_aaaaaaaa_secretsecretsecret"
    with Client(url_of(gateway, transport), secret) as client:
        with pytest.raises(AccessDenied) as refused:
            client.domains()
        assert "secretsecret" not in repr(client) + str(refused.value) + repr(refused.value)
        assert repr(client).startswith("Client('")
        assert client.health()


@pytest.mark.parametrize("transport", ["rest", "grpc"])
async def test_a_program_with_an_event_loop_asks_without_blocking(gateway: GatewayProcess, transport: str) -> None:
    async with AsyncClient(url_of(gateway, transport), gateway.key) as client:
        analysis = await client.analyze("pathology", SAMPLES / "breast_scan.jpg", BREAST)
        assert (await client.get(analysis.id)) == analysis
        assert (await anext(client.list(page_size=1))).id == analysis.id


def test_both_clients_offer_the_same() -> None:
    for blocking, other in ((Client, AsyncClient),):
        for name, method in inspect.getmembers(other, inspect.isfunction):
            if not name.startswith("_"):
                assert inspect.signature(getattr(blocking, name)).parameters == inspect.signature(method).parameters, name


@pytest.mark.parametrize("url", ["ftp://host", "127.0.0.1:8080", "grpc://host", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="gateway"):
        AsyncClient(url)


def test_a_closed_client_says_so(gateway: GatewayProcess) -> None:
    client = Client(gateway.url, gateway.key)
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.domains()
