"""Models changed on a running gateway, over both transports and from the command line."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import jsonschema
import pytest
from google.protobuf import json_format
from grpc_status import rpc_status

from protos.hedgerow.v1 import models_pb2 as pb
from protos.hedgerow.v1 import models_pb2_grpc
from tests.gateway_process import HEDGEROW
from tests.gateway_thread import GatewayThread
from tests.model_packages import LUNG, copy_of, tiny_archive, with_changed_byte
from tests.versioned_node import Behaviour, VersionedNode

MODEL = "lung_ultrasound"
EVERYTHING = ("admin", "read", "analyze:*")


@pytest.fixture
def node() -> VersionedNode:
    return VersionedNode({MODEL: "1.0.0"})


@pytest.fixture
def gateway(node: VersionedNode, tmp_path: Path) -> Iterator[GatewayThread]:
    with GatewayThread(node, tmp_path, shipped=node.shipped) as running:
        yield running


@pytest.fixture
def client(gateway: GatewayThread) -> Iterator[httpx.Client]:
    with gateway.rest(gateway.key(EVERYTHING)) as made:
        yield made


def described(client: httpx.Client, response: httpx.Response, method: str, path: str) -> dict[str, Any]:
    """The document, after a check that OpenAPI describes it."""
    schema = client.get("/openapi.json").json()
    answers = schema["paths"][path][method]["responses"][str(response.status_code)]
    content = answers["content"][response.headers["content-type"]]["schema"]
    document: dict[str, Any] = response.json()
    jsonschema.validate(document, {**content, "components": schema["components"]})
    return document


def install(client: httpx.Client, archive: bytes) -> httpx.Response:
    return client.post("/v1/models", content=archive, headers={"Content-Type": "application/zip"})


def activate(client: httpx.Client, version: str, **more: Any) -> httpx.Response:
    return client.post(f"/v1/models/{MODEL}/activate", json={"version": version, **more})


def ask(client: httpx.Client, times: int = 1) -> str:
    """Asks for so many analyses; gives the version that answered the last one."""
    for _ in range(times):
        made = client.post(f"/v1/domains/pathology/analyses?exam={MODEL}", content=b"x")
        assert made.status_code == 201, made.text
    return str(made.json()["provenance"]["model"]["version"])


def wait_for_comparisons(client: httpx.Client, count: int = 1) -> None:
    """Until at least so many were made, and none is on its way."""
    deadline, seen = time.monotonic() + 20, -1
    while time.monotonic() < deadline:
        compared = client.get(f"/v1/models/{MODEL}").json()["trial"]["compared"]
        if compared == seen >= count:
            return
        seen = compared
        time.sleep(0.2)
    raise AssertionError(f"{seen} comparisons")


def test_a_version_is_installed_activated_and_rolled_back(client: httpx.Client, node: VersionedNode) -> None:
    made = install(client, tiny_archive(MODEL, "1.1.0"))
    assert made.status_code == 201, made.text
    assert described(client, made, "post", "/v1/models") == {"model": MODEL, "version": "1.1.0", "domain": "pathology"}
    assert made.headers["location"] == f"/v1/models/{MODEL}"
    assert ask(client) == "1.0.0"
    before = described(client, client.get(made.headers["location"]), "get", "/v1/models/{model}")
    assert before["versions"] == [
        {"version": "1.0.0", "origin": "program", "state": "in_service"},
        {"version": "1.1.0", "origin": "installed", "state": "idle"},
    ]
    assert (before["in_service"], before["rolls_back_to"], before["trial"], before["fault"]) == ("1.0.0", None, None, "")
    after = described(client, activate(client, "1.1.0"), "post", "/v1/models/{model}/activate")
    assert (after["in_service"], after["rolls_back_to"]) == ("1.1.0", "1.0.0")
    assert ask(client) == "1.1.0"
    back = described(client, client.post(f"/v1/models/{MODEL}/rollback"), "post", "/v1/models/{model}/rollback")
    assert (back["in_service"], back["rolls_back_to"]) == ("1.0.0", None)
    rolled = back["last_rollback"]
    assert (rolled["version"], rolled["instead"], rolled["cause"], rolled["automatic"]) == ("1.1.0", "1.0.0", "by hand", False)
    assert ask(client) == "1.0.0"
    assert node.served == [({MODEL: "1.1.0"}, {}), ({}, {})]


def test_versions_are_rolled_back_one_after_the_other(client: httpx.Client) -> None:
    for version in ("1.1.0", "1.2.0"):
        install(client, tiny_archive(MODEL, version))
        activate(client, version)
    activate(client, "1.0.0")
    seen = [client.post(f"/v1/models/{MODEL}/rollback").json()["in_service"] for _ in range(3)]
    assert seen == ["1.2.0", "1.1.0", "1.0.0"]
    nothing = client.post(f"/v1/models/{MODEL}/rollback")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "CONFLICT")
    assert "nothing to roll back to" in nothing.json()["detail"]


def test_the_same_version_twice_is_activated_once(client: httpx.Client, node: VersionedNode) -> None:
    install(client, tiny_archive(MODEL, "1.1.0"))
    for _ in range(2):
        assert activate(client, "1.1.0").json()["rolls_back_to"] == "1.0.0"
    assert len(node.served) == 1


def test_a_shadow_that_disagrees_is_rolled_back_and_what_it_disagreed_in_is_listed(
    client: httpx.Client, node: VersionedNode
) -> None:
    install(client, tiny_archive(MODEL, "1.1.0"))
    node.versions[MODEL, "1.1.0"] = Behaviour("abnormal")
    trial = activate(client, "1.1.0", mode="shadow").json()["trial"]
    assert (trial["version"], trial["mode"], trial["compared"], trial["disagreement"]) == ("1.1.0", "shadow", 0, None)
    assert ask(client, 10) == "1.0.0"
    wait_for_comparisons(client)
    status = described(client, client.get(f"/v1/models/{MODEL}"), "get", "/v1/models/{model}")
    assert status["trial"]["disagreed"] == status["trial"]["compared"] > 0
    assert status["trial"]["disagreement"]["share"] == 1
    assert [row["state"] for row in status["versions"]] == ["in_service", "on_trial"]
    for _ in range(300):
        ask(client)
        status = client.get(f"/v1/models/{MODEL}").json()
        if status["trial"] is None:
            break
    assert status["last_rollback"]["automatic"] is True
    assert "disagrees in 30 of 30" in status["last_rollback"]["cause"]
    path = f"/v1/models/{MODEL}/disagreements"
    first = described(client, client.get(path, params={"limit": 20}), "get", "/v1/models/{model}/disagreements")
    rest = client.get(path, params={"limit": 20, "cursor": first["next_cursor"]}).json()
    assert (len(first["disagreements"]), len(rest["disagreements"]), rest["next_cursor"]) == (20, 10, None)
    row = first["disagreements"][0]
    assert (row["difference"], row["in_service"]["label"], row["candidate"]["label"]) == ("label", "normal", "abnormal")
    assert (row["in_service"]["version"], row["candidate"]["version"]) == ("1.0.0", "1.1.0")
    assert row["candidate"]["values"] == {"normal": 0.1, "abnormal": 0.9}
    assert client.get(row["links"]["analysis"]).json()["id"] == row["analysis_id"]
    assert client.delete(row["links"]["analysis"]).status_code == 204
    left = client.get(path, params={"limit": 200}).json()["disagreements"]
    assert row["analysis_id"] not in {other["analysis_id"] for other in left}, "a deleted analysis leaves nothing behind"
    assert len(left) == 29


def test_another_tenants_disagreements_are_not_shown(gateway: GatewayThread, client: httpx.Client, node: VersionedNode) -> None:
    install(client, tiny_archive(MODEL, "1.1.0"))
    node.versions[MODEL, "1.1.0"] = Behaviour("abnormal")
    activate(client, "1.1.0", mode="shadow")
    ask(client, 5)
    wait_for_comparisons(client)
    with gateway.rest(gateway.key(EVERYTHING, tenant="stranger")) as stranger:
        assert stranger.get(f"/v1/models/{MODEL}/disagreements").json()["disagreements"] == []
        assert stranger.get(f"/v1/models/{MODEL}").json()["trial"]["compared"] > 0


def test_a_canary_is_named_in_the_answers_that_it_gave(client: httpx.Client, node: VersionedNode) -> None:
    install(client, tiny_archive(MODEL, "1.1.0"))
    trial = activate(client, "1.1.0", mode="canary").json()["trial"]
    assert trial["share"] == 0.05
    trial = activate(client, "1.1.0", mode="canary", share=1, allowed_disagreement=0.5).json()["trial"]
    assert (trial["share"], trial["allowed_disagreement"]) == (1, 0.5)
    assert ask(client, 3) == "1.1.0"
    node.versions[MODEL, "1.1.0"].refused = ""
    ended = client.post(f"/v1/models/{MODEL}/rollback").json()
    assert (ended["trial"], ended["in_service"], ended["last_rollback"]["version"]) == (None, "1.0.0", "1.1.0")
    assert ask(client) == "1.0.0"


def test_a_trial_that_went_well_is_put_into_service(client: httpx.Client) -> None:
    install(client, tiny_archive(MODEL, "1.1.0"))
    activate(client, "1.1.0", mode="canary", share=0.5)
    promoted = activate(client, "1.1.0").json()
    assert (promoted["in_service"], promoted["trial"], promoted["rolls_back_to"]) == ("1.1.0", None, "1.0.0")


def test_a_model_that_is_new_here_is_served_once_it_is_activated_and_can_be_taken_out_again(
    client: httpx.Client, node: VersionedNode
) -> None:
    install(client, tiny_archive("knee_ultrasound", "1.0.0"))
    path = "/v1/models/knee_ultrasound"
    assert client.get(path).json()["in_service"] == ""
    tried = client.post(f"{path}/activate", json={"version": "1.0.0", "mode": "shadow"})
    assert (tried.status_code, tried.json()["parameter"]) == (400, "mode")
    assert client.post(f"{path}/activate", json={"version": "1.0.0"}).json()["rolls_back_to"] == ""
    assert node.active == {"knee_ultrasound": "1.0.0"}
    assert client.post(f"{path}/rollback").json()["in_service"] == ""
    assert node.active == {}


@pytest.mark.parametrize(
    ("archive", "code", "said"),
    [
        (b"", "EMPTY_BODY", "send the package"),
        (b"no zip", "PACKAGE_REFUSED", "no ZIP file"),
        (tiny_archive(MODEL, "1.0.0"), "PACKAGE_REFUSED", "came with the program"),
        (tiny_archive(MODEL, "1.1.0", domain="crop_weed"), "PACKAGE_REFUSED", "of the domain 'crop_weed'"),
        (bytes(1024 * 1024 + 1), "PAYLOAD_TOO_LARGE", "which is the limit"),
    ],
    ids=["empty", "no zip", "the program's version", "another domain", "too large"],
)
def test_what_can_not_be_installed_is_told_and_nothing_is_kept(
    client: httpx.Client, archive: bytes, code: str, said: str
) -> None:
    refused = install(client, archive)
    document = described(client, refused, "post", "/v1/models")
    assert (document["code"], refused.status_code) == (code, {"EMPTY_BODY": 400, "PAYLOAD_TOO_LARGE": 413}.get(code, 422))
    assert said in document["detail"]
    assert len(client.get(f"/v1/models/{MODEL}").json()["versions"]) == 1


def test_other_content_under_an_installed_version_is_refused(client: httpx.Client) -> None:
    assert install(client, tiny_archive(MODEL, "1.1.0")).status_code == 201
    assert install(client, tiny_archive(MODEL, "1.1.0")).status_code == 201
    refused = install(client, tiny_archive(MODEL, "1.1.0", card="another card"))
    assert (refused.status_code, refused.json()["code"]) == (422, "PACKAGE_REFUSED")
    assert "with other content" in refused.json()["detail"]


def test_a_version_that_fails_its_check_is_refused_with_the_reason_and_nothing_changes(
    client: httpx.Client, node: VersionedNode
) -> None:
    install(client, tiny_archive(MODEL, "1.1.0"))
    node.versions[MODEL, "1.1.0"].refused = "its known answer doesn't come out"
    for mode in ("full", "shadow", "canary"):
        refused = activate(client, "1.1.0", mode=mode)
        document = described(client, refused, "post", "/v1/models/{model}/activate")
        assert (refused.status_code, document["code"]) == (422, "PACKAGE_REFUSED")
        assert "known answer" in document["detail"]
    assert client.get(f"/v1/models/{MODEL}").json()["in_service"] == "1.0.0"
    assert ask(client) == "1.0.0"


@pytest.mark.parametrize(
    ("wanted", "parameter"),
    [
        ({"version": "1.1.0", "mode": "sideways"}, "mode"),
        ({"version": "1.1.0", "share": 0.5}, "share"),
        ({"version": "1.1.0", "mode": "shadow", "share": 0.5}, "share"),
        ({"version": "1.1.0", "mode": "canary", "share": 0}, "share"),
        ({"version": "1.1.0", "mode": "canary", "share": 1.5}, "share"),
        ({"version": "1.1.0", "allowed_disagreement": 0.5}, "allowed_disagreement"),
        ({"version": "1.1.0", "mode": "shadow", "allowed_disagreement": -1}, "allowed_disagreement"),
        ({"version": "1.0.0", "mode": "shadow"}, "version"),
        ({"mode": "shadow"}, "version"),
        ({"version": "1.1.0", "shares": 0.5}, "shares"),
    ],
    ids=str,
)
def test_what_can_not_be_meant_is_refused_by_name(client: httpx.Client, wanted: dict[str, Any], parameter: str) -> None:
    install(client, tiny_archive(MODEL, "1.1.0"))
    refused = client.post(f"/v1/models/{MODEL}/activate", json=wanted)
    document = described(client, refused, "post", "/v1/models/{model}/activate")
    assert (refused.status_code, document["code"], document["parameter"]) == (400, "INVALID_ARGUMENT", parameter)


def test_an_unknown_model_or_version_is_not_found(client: httpx.Client) -> None:
    missing = activate(client, "9.9.9")
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert "it has 1.0.0" in missing.json()["detail"]
    for name in ("knee", "..%2F..", "%00"):
        for answer in (client.get(f"/v1/models/{name}"), client.post(f"/v1/models/{name}/rollback"),
                       client.get(f"/v1/models/{name}/disagreements")):
            assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), answer.url
    wrong = client.get(f"/v1/models/{MODEL}/disagreements", params={"cursor": "x"})
    assert (wrong.status_code, wrong.json()["parameter"]) == (400, "cursor")


def test_only_a_key_with_the_scope_admin_may(gateway: GatewayThread) -> None:
    with gateway.rest(gateway.key(["read", "analyze:*", "nodes"])) as client:
        for answer in (
            install(client, tiny_archive(MODEL, "1.1.0")), activate(client, "1.0.0"), client.get(f"/v1/models/{MODEL}"),
            client.post(f"/v1/models/{MODEL}/rollback"), client.get(f"/v1/models/{MODEL}/disagreements"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    with gateway.rest("none") as client:
        assert client.get(f"/v1/models/{MODEL}").status_code == 401


def test_grpc_does_and_tells_the_same_as_rest(gateway: GatewayThread, client: httpx.Client, node: VersionedNode) -> None:
    archive = tiny_archive(MODEL, "1.1.0")
    with grpc.insecure_channel(gateway.grpc_address) as channel:
        stub: Any = models_pb2_grpc.ModelServiceStub(channel)  # type: ignore[no-untyped-call] # generated code
        key = [("authorization", f"Bearer {gateway.key(EVERYTHING)}")]
        chunks = [pb.InstallModelRequest(chunk=archive[at : at + 100]) for at in range(0, len(archive), 100)]
        assert stub.InstallModel(iter(chunks), metadata=key).version == "1.1.0"
        node.versions[MODEL, "1.1.0"] = Behaviour("abnormal")
        wanted = pb.ActivateModelRequest(
            model=MODEL, version="1.1.0", mode=pb.ACTIVATION_MODE_CANARY, share=1, allowed_disagreement=1
        )
        assert stub.ActivateModel(wanted, metadata=key).status.trial.mode == "canary"
        assert ask(client, 6) == "1.1.0"
        wait_for_comparisons(client, 3)
        status = stub.GetModel(pb.GetModelRequest(model=MODEL), metadata=key).status
        document = client.get(f"/v1/models/{MODEL}").json()
        told = json_format.MessageToDict(status, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        for name in ("runs", "failed", "compared", "disagreed", "skipped"):
            told["trial"][name] = int(told["trial"][name])
        for document_of in (told, document):
            document_of["trial"].pop("started_at")
        assert told | {"last_rollback": None} == document
        page = stub.ListDisagreements(pb.ListDisagreementsRequest(model=MODEL, page_size=2), metadata=key)
        listed = client.get(f"/v1/models/{MODEL}/disagreements", params={"limit": 2}).json()
        assert [row.analysis_id for row in page.disagreements] == [row["analysis_id"] for row in listed["disagreements"]]
        assert page.next_page_token == listed["next_cursor"]
        assert dict(page.disagreements[0].candidate.values) == {"normal": 0.1, "abnormal": 0.9}
        rolled = stub.RollBackModel(pb.RollBackModelRequest(model=MODEL), metadata=key).status
        assert (rolled.in_service, rolled.last_rollback.version, rolled.HasField("trial")) == ("1.0.0", "1.1.0", False)
        with pytest.raises(grpc.RpcError) as caught:
            stub.InstallModel(iter([pb.InstallModelRequest(chunk=b"no zip")]), metadata=key)
        refused: Any = rpc_status.from_call(caught.value)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "no ZIP file" in refused.message


def command(gateway: GatewayThread, *arguments: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    kept |= {"COLUMNS": "160", "HEDGEROW_URL": gateway.url, "HEDGEROW_KEY": gateway.key(EVERYTHING) if key is None else key}
    return subprocess.run([HEDGEROW, "models", *arguments], env=kept, capture_output=True, text=True, timeout=60, check=False)


def test_an_operator_tries_a_version_at_the_command_line(
    gateway: GatewayThread, client: httpx.Client, node: VersionedNode, tmp_path: Path
) -> None:
    package = tmp_path / "packages" / MODEL
    package.mkdir(parents=True)
    (package / "model.toml").write_text(f'name = "{MODEL}"\nversion = "1.1.0"\ndomain = "pathology"\n')
    done = command(gateway, "install", str(package))
    assert done.returncode == 0, done.stderr
    assert f"hedgerow models activate {MODEL} 1.1.0" in done.stdout
    node.versions[MODEL, "1.1.0"] = Behaviour("abnormal")
    done = command(gateway, "activate", MODEL, "1.1.0", "--mode", "shadow", "--allowed-disagreement", "1")
    assert done.returncode == 0, done.stderr
    assert "on trial as shadow" in done.stdout
    ask(client, 8)
    wait_for_comparisons(client, 3)
    done = command(gateway, "status", MODEL, "--disagreements", "3")
    assert "comparisons disagree: 100.0%" in done.stdout
    assert "in service" in done.stdout
    assert done.stdout.count("abnormal (normal 0.10, abnormal 0.90)") == 3
    done = command(gateway, "status", "--json")
    (row,) = json.loads(done.stdout)
    assert (row["model"], row["trial"]["version"], row["disagreements"]) == (MODEL, "1.1.0", [])
    done = command(gateway, "rollback", MODEL)
    assert "1.1.0 was taken out for 1.0.0" in done.stdout
    assert "by hand" in done.stdout
    done = command(gateway, "activate", MODEL, "1.1.0")
    assert node.active == {MODEL: "1.1.0"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["install", "no-such-folder"], "no-such-folder can't be read"),
        (["install", "{folder}"], "is no model package: it holds no model.toml"),
        (["install", "{changed}"], "int8.tflite was changed"),
        (["activate", MODEL, "7"], "has no version of that name; it has 1.0.0 (NOT_FOUND"),
        (["activate", MODEL, "1.0.0", "--share", "0.5"], "only a canary has a share (INVALID_ARGUMENT"),
        (["activate", MODEL, "1.0.0", "--mode", "sideways"], "'sideways'"),
        (["rollback", MODEL], "nothing to roll back to"),
        (["rollback", "knee"], "no model of that name"),
        (["status", "knee"], "no model of that name"),
        (["status", "--url", "http://127.0.0.1:9"], "no answer from http://127.0.0.1:9"),
        (["status", "--key", "wrong"], "the API key is not valid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_use_is_told_in_one_line(gateway: GatewayThread, tmp_path: Path, arguments: list[str], said: str) -> None:
    places = {"folder": str(tmp_path / "empty"), "changed": str(with_changed_byte(copy_of(LUNG, tmp_path, "1.1.0")))}
    (tmp_path / "empty").mkdir()
    gateway.service.policy = replace(gateway.service.policy, max_upload_bytes=64 * 1024 * 1024)
    done = command(gateway, *(argument.format(**places) for argument in arguments))
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_key_is_told_with_how_to_make_one(gateway: GatewayThread) -> None:
    done = command(gateway, "status", key="")
    assert done.returncode == 1
    assert "hedgerow keys create --scope admin" in done.stderr
