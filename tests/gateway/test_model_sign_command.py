"""`hedgerow model sign` and `hedgerow model verify`, as an engineer runs them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_runtime.versions import identity_in
from tests.gateway_process import HEDGEROW
from tests.model_packages import LUNG, edit, with_changed_byte
from tests.signing_keys import lung_copy, make_keys

VERSION = identity_in(LUNG).version
Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return lung_copy(tmp_path)


def model(*words: str | Path, **settings: str) -> Done:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HEDGEROW_")}
    environment = kept | {"COLUMNS": "200"} | {f"HEDGEROW_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run([HEDGEROW, "model", *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


def row(done: Done, name: str) -> str:
    return next(line for line in done.stdout.splitlines() if line.startswith(name))


def in_one_line(done: Done, *words: str) -> None:
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("hedgerow:")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in lines[0]


def test_a_signed_package_passes_every_check(package: Path, keys: Path) -> None:
    signed = model("sign", package, "--key", keys / "release.pem")
    assert signed.returncode == 0, signed.stderr
    assert signed.stdout.startswith(f"lung_ultrasound {VERSION} is signed by the key ")
    assert str(package / "model.sig") in signed.stdout
    done = model("verify", package, "--key", keys / "release.pub")
    assert done.returncode == 0, done.stderr
    for name in ("manifest", "files", "model card", "domain", "known answer", "signature"):
        assert "passed" in row(done, name), name
    assert "nothing was found wrong" in done.stdout
    assert "running int8" in done.stderr


def test_several_packages_are_signed_with_a_certificate_and_a_password_at_once(tmp_path: Path, keys: Path) -> None:
    subprocess.run(["openssl", "pkey", "-in", keys / "deep.key", "-aes-256-cbc", "-passout", "pass:hush", "-out", tmp_path / "locked.key"], check=True)
    packages = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in sorted(LUNG.parent.iterdir()) if folder.is_dir()]
    assert len(packages) > 1
    done = model("sign", *packages, "--key", tmp_path / "locked.key", "--password-file", keys / "password",
                 "--certificate", keys / "deep.crt", "--chain", keys / "between.crt")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(packages)
    assert "CN=deep" in row(model("verify", packages[0], "--certificate-chain", keys / "ca.crt"), "signature")


def test_the_settings_signers_count_where_none_is_given(package: Path, keys: Path) -> None:
    done = model("verify", package, model_signers=json.dumps([str(keys / "release.pub")]))
    assert done.returncode == 1
    assert "failed" in row(done, "signature")
    assert "it is not signed: it holds no model.sig" in row(done, "signature")
    assert "refused for its signature" in done.stdout


def test_an_unsigned_package_is_sound_where_nobody_asks_for_a_signature(package: Path) -> None:
    done = model("verify", package)
    assert done.returncode == 0
    assert "not checked" in row(done, "signature")
    assert "it is not signed" in row(done, "signature")
    assert "not checked: signature" in done.stdout


def test_a_program_reads_each_check_as_json(package: Path, keys: Path) -> None:
    model("sign", package, "--key", keys / "release.pem")
    with_changed_byte(package)
    done = model("verify", package, "--key", keys / "release.pub", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["model"], report["version"], report["good"]) == ("lung_ultrasound", VERSION, False)
    assert {check["name"]: check["state"] for check in report["checks"]} == {
        "manifest": "passed", "files": "failed", "model card": "not checked", "domain": "not checked",
        "known answer": "not checked", "signature": "failed",
    }
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["files"].startswith("int8.tflite was changed (SHA-256")
    assert details["signature"] == "int8.tflite was changed after it was signed"


@pytest.mark.parametrize(
    ("pattern", "replacement", "check", "said"),
    [
        (r'^domain = ".*"$', 'domain = "astrology"', "domain", "there is no domain 'astrology'"),
        (r"^abstain_below = .*$", "abstain_bellow = 0.5", "domain", "abstain"),
        (r'^"MODEL_CARD.md" = .*$', "", "model card", "doesn't name MODEL_CARD.md"),
        (r"^format = 1$", "format = 9", "manifest", "format 9"),
    ],
)
def test_each_check_says_what_is_wrong(package: Path, pattern: str, replacement: str, check: str, said: str) -> None:
    edit(package, pattern, replacement)
    done = model("verify", package)
    assert done.returncode == 1
    assert "failed" in row(done, check)
    assert said in row(done, check)


def test_a_known_answer_that_does_not_come_out_is_told(package: Path) -> None:
    import hashlib
    import io

    import numpy as np

    file = package / "known_answer.npz"
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    with np.load(file) as stored:
        arrays = dict(stored)
    arrays["int8.logits"] = np.where(arrays["int8.logits"] > 0, arrays["int8.logits"] - 60, arrays["int8.logits"] + 60).astype(np.int8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    file.write_bytes(stream.getvalue())
    edit(package, before, hashlib.sha256(stream.getvalue()).hexdigest())
    done = model("verify", package)
    assert done.returncode == 1
    assert "passed" in row(done, "files")
    assert "failed" in row(done, "known answer")
    assert "60 quantisation steps off" in row(done, "known answer")


def test_bad_input_is_told_in_a_line(package: Path, keys: Path, tmp_path: Path) -> None:
    in_one_line(model("verify", tmp_path / "nowhere"), "there is no folder", "nowhere")
    in_one_line(model("verify", package, "--key", keys / "release.pem"), "release.pem holds a private key")
    in_one_line(model("sign", package, "--key", keys / "rsa.pem"), "rsa.pem", "P-256")
    in_one_line(model("sign", package, "--key", keys / "locked.pem"), "--password-file")
    in_one_line(model("sign", package, "--key", keys / "release.pem", "--chain", keys / "ca.crt"), "--certificate")
    in_one_line(model("sign", tmp_path, "--key", keys / "release.pem"), tmp_path.name, "model.toml is missing")
    no_package = model("verify", keys)
    assert no_package.returncode == 1
    assert "it is no model package" in row(no_package, "manifest")


@pytest.mark.parametrize("library", ["model_signing", "OpenSSL"])
def test_without_the_extra_the_line_names_it(package: Path, keys: Path, library: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; sys.argv[0] = 'hedgerow'; from gateway.entry import main; main()"
    for words in (("model", "sign", str(package), "--key", str(keys / "release.pem")),
                  ("model", "verify", str(package), "--key", str(keys / "release.pub"))):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False)
        in_one_line(done, f"need the extra [signing]: {library} is not installed")
