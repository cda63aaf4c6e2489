"""A signed package is served as it was signed, and anything else is refused with what is wrong with it."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from model_signing import hashing, signing

from edge_runtime import signatures
from edge_runtime.errors import PackageError
from edge_runtime.models import sha256_of
from edge_runtime.signatures import Signatures, SignersError, Verdict, approval, standing
from edge_runtime.signing.sign import SigningKey, sign
from edge_runtime.signing.signers import read_signers
from edge_runtime.signing.verifier import Approved, verify
from tests.model_packages import edit, with_changed_byte
from tests.signing_keys import by_certificate, by_key, lung_copy, make_keys, signed_lung


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def package(tmp_path: Path, keys: Path) -> Path:
    return signed_lung(tmp_path, by_key(keys, "release"))


def checked(package: Path, *signers: Path) -> Approved:
    return verify(package, read_signers(signers))


def signed_by_the_library(package: Path, keys: Path, name: str, *chain: str) -> Path:
    """What the library signs without a second look."""
    config = signing.Config().use_certificate_signer(  # type: ignore[no-untyped-call]
        private_key=keys / f"{name}.key", signing_certificate=keys / f"{name}.crt",
        certificate_chain=[keys / f"{one}.crt" for one in (*chain, name)],
    )
    ignored = hashing.Config().set_ignored_paths(paths=["model.sig"], ignore_git_paths=False)  # type: ignore[no-untyped-call]
    config.set_hashing_config(ignored).sign(package, package / "model.sig")
    return package


def rewritten(package: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Changes the signature's JSON."""
    bundle = json.loads((package / "model.sig").read_text())
    change(bundle)
    (package / "model.sig").write_text(json.dumps(bundle))


@pytest.mark.parametrize("name", ["release", "old"])
def test_a_package_signed_by_a_trusted_key_is_approved_with_its_manifest(tmp_path: Path, keys: Path, name: str) -> None:
    package = signed_lung(tmp_path, by_key(keys, name))
    approved = checked(package, keys / "other.pub", keys / f"{name}.pub")
    assert approved.manifest_sha256 == sha256_of(package / "model.toml")
    assert f"{name}.pub" in approved.signer


def test_a_package_signed_with_a_certificate_of_a_trusted_authority_is_approved(tmp_path: Path, keys: Path) -> None:
    package = signed_lung(tmp_path, by_certificate(keys, "signer"))
    assert checked(package, keys / "release.pub", keys / "ca.crt").signer == "the certificate of CN=releases"
    deep = signed_lung(tmp_path / "deep", by_certificate(keys, "deep", "between"))
    assert checked(deep, keys / "ca.crt").manifest_sha256 == sha256_of(deep / "model.toml")


def unsigned(package: Path) -> None:
    (package / "model.sig").unlink()


def changed(package: Path) -> None:
    with_changed_byte(package)


def changed_manifest(package: Path) -> None:
    edit(package, r"^intended_use = ", 'intended_use = "anything" # ')


def missing(package: Path) -> None:
    (package / "MODEL_CARD.md").unlink()


def added(package: Path) -> None:
    (package / "extra.bin").write_bytes(b"x")


def hidden(package: Path) -> None:
    (package / ".gitignore").write_text("*")


def linked(package: Path) -> None:
    (package / "int8.tflite").rename(package.parent / "elsewhere")
    (package / "int8.tflite").symlink_to(package.parent / "elsewhere")


def foldered(package: Path) -> None:
    (package / ".git").mkdir()


def piped(package: Path) -> None:
    unsigned(package)
    os.mkfifo(package / "model.sig")


def no_package(package: Path) -> None:
    (package / "model.toml").unlink()


def empty(package: Path) -> None:
    (package / "model.sig").write_text("")


def listed(package: Path) -> None:
    (package / "model.sig").write_text("[" * 100_000)


def huge(package: Path) -> None:
    (package / "model.sig").write_text(" " * (1024 * 1024 + 1))


def cut(package: Path) -> None:
    content = (package / "model.sig").read_text()
    (package / "model.sig").write_text(content[: len(content) // 2])


def forged(package: Path) -> None:
    """The list of files says what the changed file is now; the signature is the old one."""
    before = sha256_of(package / "int8.tflite")
    with_changed_byte(package)

    def change(bundle: dict[str, dict[str, str]]) -> None:
        payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).decode()
        assert before in payload
        claimed = payload.replace(before, sha256_of(package / "int8.tflite"))
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(claimed.encode()).decode()

    rewritten(package, change)  # type: ignore[arg-type]


def twice(package: Path) -> None:
    """A second spelling of a key, which some readers take instead of the first."""
    forged_beside = package.parent / "forged"
    shutil.copytree(package, forged_beside / package.name)
    forged(forged_beside / package.name)
    other = json.loads((forged_beside / package.name / "model.sig").read_text())["dsseEnvelope"]
    with_changed_byte(package)
    rewritten(package, lambda bundle: bundle.update({"dsse_envelope": bundle["dsseEnvelope"], "dsseEnvelope": other}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (unsigned, r"not signed: it holds no model\.sig"),
        (changed, r"int8\.tflite was changed after it was signed"),
        (changed_manifest, r"model\.toml was changed after it was signed"),
        (missing, r"MODEL_CARD\.md is missing: it was there when it was signed"),
        (added, r"extra\.bin was added after it was signed"),
        (hidden, r"\.gitignore was added after it was signed"),
        (linked, r"int8\.tflite, which is no plain file"),
        (foldered, r"\.git, which is no plain file"),
        (piped, r"model\.sig, which is no plain file"),
        (no_package, r"no model package: it holds no model\.toml"),
        (empty, r"model\.sig can't be read as a signature"),
        (listed, r"model\.sig can't be read as a signature"),
        (huge, r"model\.sig can't be read as a signature: it is larger"),
        (cut, r"model\.sig can't be read as a signature"),
        (forged, r"its signature is not that of .*release\.pub .*forged or damaged"),
        (twice, r"its signature is not that of .*release\.pub .*forged or damaged"),
    ],
)
def test_what_is_wrong_is_named(package: Path, keys: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(package)
    with pytest.raises(PackageError, match=said):
        checked(package, keys / "release.pub")


def test_another_packages_signature_is_of_no_use(package: Path, keys: Path, tmp_path: Path) -> None:
    other = lung_copy(tmp_path / "other")
    edit(other, r"^title = ", 'title = "Knee" # ')
    sign(other, by_key(keys, "release"))
    shutil.copy(other / "model.sig", package)
    with pytest.raises(PackageError, match=r"model\.toml was changed after it was signed"):
        checked(package, keys / "release.pub")


def test_a_key_that_nobody_trusts_is_told_by_its_fingerprint(package: Path, keys: Path) -> None:
    fingerprint = read_signers([keys / "release.pub"]).keys[0].fingerprint
    with pytest.raises(PackageError, match=rf"another key than the trusted ones \(key {fingerprint[:12]}"):
        checked(package, keys / "other.pub", keys / "ca.crt")


def test_the_name_of_a_trusted_key_alone_is_no_signature(package: Path, keys: Path) -> None:
    sign(package, by_key(keys, "other"))
    fingerprint = read_signers([keys / "release.pub"]).keys[0].fingerprint
    rewritten(package, lambda bundle: bundle.update(verificationMaterial={"publicKey": {"hint": fingerprint}}))
    with pytest.raises(PackageError, match="forged or damaged"):
        checked(package, keys / "release.pub")


@pytest.mark.parametrize(
    ("name", "chain", "said"),
    [
        ("stranger", (), r"CN=releases, comes from none of the trusted authorities"),
        ("stranger", ("foreign",), r"CN=releases, comes from none of the trusted authorities"),
        ("rogue", ("signer",), r"CN=rogue, comes from none of the trusted authorities"),
        ("deep", (), r"CN=deep, comes from none of the trusted authorities"),
        ("ended", (), r"CN=ended, expired on 2021-01-01"),
        ("web", (), r"CN=web, is not for signing code"),
    ],
)
def test_a_certificate_that_may_not_sign_is_named(
    tmp_path: Path, keys: Path, name: str, chain: tuple[str, ...], said: str
) -> None:
    package = signed_by_the_library(lung_copy(tmp_path), keys, name, *chain)
    with pytest.raises(PackageError, match=said):
        checked(package, keys / "ca.crt", keys / "release.pub")


def test_a_signature_that_leaves_a_file_out_is_refused(tmp_path: Path, keys: Path) -> None:
    package = lung_copy(tmp_path)
    config = signing.Config().use_elliptic_key_signer(private_key=keys / "release.pem")  # type: ignore[no-untyped-call]
    some = hashing.Config().set_ignored_paths(paths=["model.toml", "model.sig"])  # type: ignore[no-untyped-call]
    config.set_hashing_config(some).sign(package, package / "model.sig")
    with pytest.raises(PackageError, match=r"leaves out model\.toml"):
        checked(package, keys / "release.pub")


def test_the_librarys_own_command_line_takes_our_signatures_and_we_take_its(package: Path, keys: Path) -> None:
    def model_signing(*words: str) -> None:
        program = Path(sys.executable).with_name("model_signing")
        subprocess.run([program, *words], capture_output=True, timeout=60, check=True)

    model_signing("verify", "key", str(package), "--signature", str(package / "model.sig"), "--public_key", str(keys / "release.pub"))
    unsigned(package)
    model_signing("sign", "key", str(package), "--signature", str(package / "model.sig"), "--private_key", str(keys / "other.pem"))
    assert checked(package, keys / "other.pub").manifest_sha256 == sha256_of(package / "model.toml")


def test_a_key_behind_a_password_signs_with_and_without_a_certificate(tmp_path: Path, keys: Path) -> None:
    package = signed_lung(tmp_path, SigningKey(keys / "locked.pem", keys / "password"))
    assert checked(package, keys / "locked.pub")
    subprocess.run(["openssl", "pkey", "-in", keys / "signer.key", "-aes-256-cbc", "-passout", "pass:hush", "-out", tmp_path / "locked.key"], check=True)
    by = SigningKey(tmp_path / "locked.key", keys / "password", keys / "signer.crt")
    assert checked(signed_lung(tmp_path / "other", by), keys / "ca.crt")


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (("locked.pem",), "is protected by a password; --password-file"),
        (("locked.pem", "wrong-password"), "wrong-password doesn't open"),
        (("release.pem", "password"), "isn't protected by a password"),
        (("release.pub",), "holds no private key"),
        (("rsa.pem",), "rsa.pem: packages are signed with keys on the curves P-256, P-384, P-521"),
        (("ed.pem",), "another kind of key"),
        (("none.pem",), r"none\.pem can't be read \(No such file"),
        (("signer.key", None, "stranger.crt"), "is not the key of the certificate in"),
        (("ended.key", None, "ended.crt"), "CN=ended, expired on 2021-01-01"),
        (("web.key", None, "web.crt"), "CN=web, is not for signing code"),
        (("signer.key", None, "signer.key"), "holds no certificate"),
    ],
)
def test_a_key_that_cannot_sign_is_told_and_the_signature_before_stays(
    package: Path, keys: Path, by: tuple[str | None, ...], said: str
) -> None:
    before = (package / "model.sig").read_bytes()
    key, password, certificate = (None if name is None else keys / name for name in (*by, None, None)[:3])
    assert key is not None
    with pytest.raises(SignersError, match=said):
        sign(package, SigningKey(key, password, certificate))
    assert (package / "model.sig").read_bytes() == before


def test_a_folder_that_is_no_sound_package_is_not_signed(tmp_path: Path, keys: Path) -> None:
    package = lung_copy(tmp_path)
    added(package)
    with pytest.raises(PackageError, match=r"no SHA-256 for extra\.bin"):
        sign(package, by_key(keys, "release"))
    (package / "extra.bin").unlink()
    with_changed_byte(package)
    with pytest.raises(PackageError, match=r"int8\.tflite was changed"):
        sign(package, by_key(keys, "release"))
    assert not (package / "model.sig").exists()


def test_what_a_killed_signing_left_behind_does_not_end_up_in_the_next(package: Path, keys: Path) -> None:
    (package / ".model.sig.part").write_bytes(b"half")
    sign(package, by_key(keys, "release"))
    assert checked(package, keys / "release.pub")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("release.pem", r"release\.pem holds a private key; what is wanted is its public half: openssl pkey -in .* -pubout"),
        ("rsa.pub", r"rsa\.pub: packages are signed with keys on the curves"),
        ("ed.pub", "another kind of key"),
        ("password", "holds neither a public key nor certificates"),
        ("none", r"none can't be read \(No such file"),
    ],
)
def test_a_signers_file_that_is_of_no_use_is_named(keys: Path, file: str, said: str) -> None:
    with pytest.raises(SignersError, match=said):
        Signatures([keys / "release.pub", keys / file]).check([])


def test_the_process_of_its_own_says_the_same_of_many_packages_and_one_bad_one_stops_no_other(
    tmp_path: Path, keys: Path
) -> None:
    good = signed_lung(tmp_path / "good", by_key(keys, "release"))
    bad = signed_lung(tmp_path / "bad", by_key(keys, "release"))
    with_changed_byte(bad)
    late = signed_lung(tmp_path / "late", by_certificate(keys, "signer"))
    gone = tmp_path / "gone" / "lung_ultrasound"
    found = Signatures([keys / "release.pub", keys / "ca.crt"]).check([bad, gone, good, late])
    assert found[str(bad)].refusal == "model package lung_ultrasound: int8.tflite was changed after it was signed"
    assert "can't be read" in found[str(gone)].refusal
    assert {found[str(one)].manifest_sha256 for one in (good, late)} == {sha256_of(good / "model.toml")}


def test_packages_that_the_process_did_not_come_to_are_refused() -> None:
    answered = signatures._answers(b'{}\n{"folder":"/a/one","verdict":{"manifest_sha256":"ab"}}\n')
    assert answered == {"/a/one": Verdict("ab")}
    for output in (b"", b'{"folder":"/a', b"Segmentation fault"):
        with pytest.raises(SignersError, match="ended without an answer"):
            signatures._answers(output)


def test_neither_signing_nor_checking_touches_the_network(package: Path, keys: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "def watch(event, _):\n    if event in {'socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto', 'socket.sendmsg'}:\n        sys.stderr.write(event); sys.stderr.flush(); __import__('os')._exit(9)\n"
        "sys.addaudithook(watch)\n"
        "from edge_runtime.signing.sign import SigningKey, sign\nfrom edge_runtime.signing.signers import read_signers\n"
        "from edge_runtime.signing.verifier import verify\n"
        "package, keys = map(Path, sys.argv[1:])\n"
        "for by, signer in ((SigningKey(keys / 'release.pem'), 'release.pub'),\n"
        "                   (SigningKey(keys / 'signer.key', certificate=keys / 'signer.crt'), 'ca.crt')):\n"
        "    sign(package, by)\n    print(verify(package, read_signers([keys / signer])).signer)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, package, keys], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


def test_nothing_of_a_private_key_is_shown_or_left_on_the_disk(tmp_path: Path, keys: Path) -> None:
    package = lung_copy(tmp_path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code = (
        "import os, sys, tempfile\nfrom pathlib import Path\nfrom edge_runtime.signing.sign import SigningKey, sign\n"
        "tempfile.gettempdir()  # tries to write there\n"
        "def watch(event, arguments):\n"
        "    if event == 'open' and arguments[2] & (os.O_WRONLY | os.O_RDWR): print('writes', arguments[0])\n"
        "sys.addaudithook(watch)\n"
        "print(sign(Path(sys.argv[1]), SigningKey(Path(sys.argv[2]), Path(sys.argv[3]))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, package, keys / "locked.pem", keys / "password"], capture_output=True, text=True,
        timeout=60, check=True, env={**os.environ, "TMPDIR": str(scratch)},
    )
    written = {Path(line.split()[1]).name for line in done.stdout.splitlines() if line.startswith("writes")}
    assert written == {"model.sig", ".model.sig.part"}
    assert list(scratch.iterdir()) == []
    assert "PRIVATE" not in done.stdout + done.stderr + (package / "model.sig").read_text()


def test_a_signed_namesake_takes_the_place_of_a_refused_package() -> None:
    shipped, ours, other = Path("/shipped/lung"), Path("/ours/lung"), Path("/shipped/breast")
    verdicts = {str(shipped): Verdict(refusal="not signed"), str(ours): Verdict("ab"), str(other): Verdict(refusal="not signed")}
    assert standing([shipped, other, ours], verdicts) == [other, ours]
    assert standing([shipped, other, ours], None) == [shipped, other, ours]
    assert standing([shipped, ours], {**verdicts, str(shipped): Verdict("cd")}) == [shipped, ours]


def test_without_signers_no_signature_is_asked_for() -> None:
    assert approval(()) is None


def test_what_checks_signatures_is_loaded_by_no_process_that_serves() -> None:
    code = (
        "import sys, gateway.app, edge_runtime.engine, edge_runtime.server.command\n"
        "print([name for name in ('model_signing', 'sigstore', 'OpenSSL', 'cryptography') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
