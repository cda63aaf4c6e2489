"""Where a post goes: to the address that was judged, as the host that was named, and nowhere else."""

import asyncio
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.service.jobs.posting import Answer, NoAnswer, Poster, Resolve
from tests.certificates import make_certificates
from tests.gateway.service.webhook_receiver import Receiver, status
from tests.gateway.service.webhook_stores import names


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@contextmanager
def tls_receiver(certificates: Path, asked: list[str | None]) -> Iterator[Receiver]:
    """One whose certificate is for localhost; notes the names that it is asked for."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates / "node.crt", certificates / "node.key")
    server.sni_callback = lambda _, name, __: asked.append(name)
    with Receiver(status(204), tls=server) as receiver:
        yield receiver


def post(
    url: str, *, resolve: Resolve | None = None, allow_private: bool = True, tls: ssl.SSLContext | None = None, timeout_s: float = 10.0
) -> Answer:
    """One message with a poster of its own."""
    async def main() -> Answer:
        poster = Poster(allow_private=allow_private, resolve=resolve, tls=tls, timeout_s=timeout_s)
        try:
            return await poster.post(url, {"webhook-id": "1"}, b"{}")
        finally:
            poster.close()

    return asyncio.run(main())


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["::1", "127.0.0.1"], ["10.1.2.3", "127.0.0.1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)
def test_a_name_that_leads_inside_is_refused_before_anything_is_connected(certificates: Path, addresses: list[str]) -> None:
    with tls_receiver(certificates, []) as receiver:
        url = f"https://harmless.example:{receiver.port}/"
        with pytest.raises(NoAnswer, match="private or local"):
            post(url, resolve=names({"harmless.example": addresses}), allow_private=False)
        assert receiver.connections == 0


def test_the_systems_own_names_are_judged_the_same(certificates: Path) -> None:
    with tls_receiver(certificates, []) as receiver:
        with pytest.raises(NoAnswer, match="private or local"):
            post(f"https://localhost:{receiver.port}/", allow_private=False)
        assert receiver.connections == 0


def test_the_systems_own_names_are_found() -> None:
    with Receiver(status(204)) as receiver:
        assert post(f"http://localhost:{receiver.port}/") == Answer(204)


def test_a_name_is_asked_for_once_and_the_connection_goes_to_what_was_judged() -> None:
    asked: list[str] = []

    async def moving(host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(0)
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with Receiver(status(204)) as receiver:
        assert post(f"http://clinic.example:{receiver.port}/in?a=b", resolve=moving).status == 204
    (message,) = receiver.received
    assert asked == ["clinic.example"]
    assert message.path == "/in?a=b"
    assert message.headers["host"] == f"clinic.example:{receiver.port}"


def test_the_next_address_is_tried_where_the_first_does_not_connect() -> None:
    with Receiver(status(204)) as receiver:
        resolve = names({"clinic.example": ["127.0.0.9", "224.0.0.1", "127.0.0.1"]})
        assert post(f"http://clinic.example:{receiver.port}/", resolve=resolve).status == 204
        assert receiver.connections == 1


def test_tls_is_with_the_name_and_not_with_the_address(certificates: Path) -> None:
    asked: list[str | None] = []
    trust = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    with tls_receiver(certificates, asked) as receiver:
        assert post(f"https://localhost:{receiver.port}/", resolve=names({"localhost": ["127.0.0.1"]}), tls=trust).status == 204
    assert asked == ["localhost"]


def test_a_certificate_for_another_name_is_refused(certificates: Path) -> None:
    trust = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    with tls_receiver(certificates, []) as receiver:
        url = f"https://clinic.example:{receiver.port}/"
        with pytest.raises(NoAnswer, match="certificate is not valid"):
            post(url, resolve=names({"clinic.example": ["127.0.0.1"]}), tls=trust)
        assert not receiver.received


def test_a_certificate_that_nobody_vouches_for_is_refused(certificates: Path) -> None:
    with tls_receiver(certificates, []) as receiver:
        with pytest.raises(NoAnswer, match="certificate is not valid"):
            post(f"https://localhost:{receiver.port}/", resolve=names({"localhost": ["127.0.0.1"]}))
        assert not receiver.received


def test_a_receiver_that_speaks_no_tls_is_told_apart() -> None:
    with Receiver(status(204)) as receiver, pytest.raises(NoAnswer, match="TLS failed"):
        post(f"https://localhost:{receiver.port}/", resolve=names({"localhost": ["127.0.0.1"]}))


def test_a_proxy_of_the_environment_does_not_choose_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Receiver(status(204)) as receiver:
        assert post(receiver.url).status == 204


def test_a_name_server_that_hangs_costs_no_more_than_the_time_of_a_post() -> None:
    async def never(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(3600)
        return []

    began = time.monotonic()
    with pytest.raises(NoAnswer, match=r"no answer within 0\.2 s"):
        post("http://clinic.example/", resolve=never, timeout_s=0.2)
    assert time.monotonic() - began < 20
