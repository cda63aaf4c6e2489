"""Who may ask a node, and over what: where it listens, its certificate, the callers' token or certificate."""

import hmac
import ipaddress
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import msgspec

from edge_runtime import wire
from edge_runtime.errors import NodeRefused
from edge_runtime.wire import ERROR_METADATA

logger = logging.getLogger(__name__)

SHORTEST_TOKEN = 16
_OPEN_METHODS = "/grpc.health.v1.Health/"
_OTHERS_MAY_READ = 0o007


class AccessError(Exception):
    """The node can't listen as it was told; the message is one line and says what to change."""


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """HOST:PORT, and how callers and node know each other. Raises AccessError for what isn't safe or can't be."""

    address: str
    token_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    plaintext: bool = False

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
            raise AccessError(f"--listen takes HOST:PORT, such as 0.0.0.0:8090 or [::]:8090, not {self.address!r}")
        if (self.cert_file is None) != (self.key_file is None):
            raise AccessError("--tls-cert and --tls-key go together")
        if self.client_ca_file is not None and self.cert_file is None:
            raise AccessError("--client-ca needs --tls-cert and --tls-key")
        if self.plaintext and self.cert_file is not None:
            raise AccessError("--plaintext and --tls-cert exclude each other")
        if _is_loopback(host.strip("[]")):
            return
        if self.token_file is None and self.client_ca_file is None:
            raise AccessError(
                f"other machines can reach {self.address}: give --client-ca or --token-file, so that not all of them may ask"
            )
        if self.cert_file is None and not self.plaintext:
            raise AccessError(
                f"other machines can reach {self.address}: give --tls-cert and --tls-key, or --plaintext where nobody else "
                "can listen on that network"
            )

    @property
    def host(self) -> str:
        """Without the port; IPv6 in brackets."""
        return self.address.rpartition(":")[0]

    def token(self) -> str:
        """The token that callers must show; empty where none is asked for. Raises AccessError."""
        if self.token_file is None:
            return ""
        token = _read(self.token_file).decode("ascii", errors="replace").strip()
        if len(token) < SHORTEST_TOKEN or not token.isprintable() or not token.isascii():
            raise AccessError(
                f"the token in {self.token_file} must be {SHORTEST_TOKEN} printable ASCII characters or more: "
                "`openssl rand -base64 32` makes one"
            )
        if self.token_file.stat().st_mode & _OTHERS_MAY_READ:
            logger.warning("others on this machine can read the token file %s: chmod 600 keeps it to its owner", self.token_file)
        return token

    def credentials(self) -> grpc.ServerCredentials | None:
        """TLS, with client certificates where a CA is given; None for plaintext. Raises AccessError."""
        if self.cert_file is None or self.key_file is None:
            return None
        self._check_tls(self.cert_file, self.key_file)
        ca = None if self.client_ca_file is None else _read(self.client_ca_file)
        pair = (_read(self.key_file), _read(self.cert_file))
        return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=ca is not None)

    def _check_tls(self, cert_file: Path, key_file: Path) -> None:
        """Since gRPC would take anything here, and then refuse every caller."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for file in (cert_file, key_file):
            _read(file)
        try:
            context.load_cert_chain(cert_file, key_file, password="")
        except ssl.SSLError as error:
            raise AccessError(
                f"{cert_file} and {key_file} are no certificate with its key, both PEM and the key without a password"
            ) from error
        if self.client_ca_file is not None:
            _read(self.client_ca_file)
            try:
                context.load_verify_locations(self.client_ca_file)
            except ssl.SSLError as error:
                raise AccessError(f"{self.client_ca_file} holds no certificate (PEM)") from error


class TokenGate(grpc.aio.ServerInterceptor):  # type: ignore[misc] # gRPC has no types
    """Lets no call through without the token, except for health, and reads nothing of one that hasn't it."""

    def __init__(self, token: str) -> None:
        self._wanted = f"Bearer {token}".encode()

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """What handles the call."""
        if details.method.startswith(_OPEN_METHODS):
            return await continuation(details)
        shown = dict(details.invocation_metadata or ()).get("authorization", "")
        if hmac.compare_digest(shown.encode() if isinstance(shown, str) else shown, self._wanted):
            return await continuation(details)
        return grpc.stream_stream_rpc_method_handler(_refuse)


async def refuse(context: Any, code: grpc.StatusCode, error: Exception) -> None:
    """Ends a call with an error of ours, which travels beside the status. The status itself holds no more than its kind."""
    told = wire.error_to_wire(error)
    context.set_trailing_metadata(((ERROR_METADATA, msgspec.msgpack.encode(told)),))
    await context.abort(code, told.kind)


async def _refuse(_: Any, context: Any) -> None:
    await refuse(context, grpc.StatusCode.UNAUTHENTICATED, NodeRefused("it doesn't take this gateway's token"))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise AccessError(f"{path} can't be read: {error.strerror}") from error
