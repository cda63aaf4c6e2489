"""The commands in docs/install-coral.md make certificates with which node and gateway know each other, and nobody else."""

import re
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.deploy.linters import ROOT, run

PAGE = (ROOT / "docs" / "install-coral.md").read_text()
NODE = "greenhouse.local"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's commands were run as they stand."""
    run("openssl", "version")
    folder = tmp_path_factory.mktemp("tls")
    (commands,) = re.findall(r"```sh\n(.+?)```", PAGE, re.DOTALL)
    subprocess.run(["sh", "-euc", commands], cwd=folder, capture_output=True, timeout=60, check=True)
    return folder


def test_the_private_keys_are_for_their_owner_alone(made: Path) -> None:
    keys = sorted(made.glob("*.key"))
    assert [key.name for key in keys] == ["ca.key", "gateway.key", "node.key"]
    assert all(key.stat().st_mode & 0o077 == 0 for key in keys)


def test_openssl_finds_nothing_against_the_certificates(made: Path) -> None:
    for name, purpose in (("node", "sslserver"), ("gateway", "sslclient")):
        done = run("openssl", "verify", "-x509_strict", "-CAfile", made / "ca.crt", "-purpose", purpose, made / f"{name}.crt")
        assert done.returncode == 0, done.stderr


def test_a_gateway_and_a_node_accept_each_other(made: Path) -> None:
    shake_hands(node(made), gateway(made, "gateway"))


def test_a_node_refuses_whoever_shows_no_certificate(made: Path) -> None:
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(node(made), gateway(made, None))


def test_a_node_is_no_gateway_for_another_node(made: Path) -> None:
    with pytest.raises(ssl.SSLError, match="certificate verify failed"):
        shake_hands(node(made), gateway(made, "node"))


def test_a_gateway_refuses_a_node_that_is_another_one(made: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(node(made), gateway(made, "gateway"), name="elsewhere.local")


def node(folder: Path) -> ssl.SSLContext:
    """What a node is started with."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "node.crt", folder / "node.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def gateway(folder: Path, certificate: str | None) -> ssl.SSLContext:
    """What a gateway is started with, or one that shows another certificate, or none."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if certificate:
        context.load_cert_chain(folder / f"{certificate}.crt", folder / f"{certificate}.key")
    return context


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, *, name: str = NODE) -> None:
    """Joins the two ends without a network, until both are content. Raises SSLError where one isn't."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(down, up, server_hostname=name)
    answers = server.wrap_bio(up, down, server_side=True)
    for _ in range(4):
        states = [finished(asks), finished(answers)]
    assert states == [True, True]


def finished(end: ssl.SSLObject) -> bool:
    """Takes one end as far as it gets; whether its handshake is over."""
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
