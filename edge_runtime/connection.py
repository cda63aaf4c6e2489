"""How a gateway reaches a node: channels, and what their failures mean in words that an operator can act on."""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import msgspec

from domains.errors import DomainError
from edge_runtime import wire
from edge_runtime.errors import DeadlineExceeded, EdgeError, ModelUnavailable, NodeLost
from edge_runtime.wire import ERROR_METADATA, WireError

DIAGNOSIS_S = 3.0
"""How long is spent on finding out why a connection doesn't come up."""

LISTEN_EVERY_S = 0.25

CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 2_000),  # keepalive_timeout_ms alone is not heeded
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel would share the pause of the one that failed
    ("grpc.enable_http_proxy", 0),
)


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Where a node is (HOST:PORT), and how the two know each other. With `ca_file` the connection is TLS.

    The files are read at each connection, so that renewed ones are taken without a restart.
    """

    address: str
    name: str
    token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"a node's address is HOST:PORT, not {self.address!r}")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("a certificate and its key go together")
        if self.cert_file is not None and self.ca_file is None:
            raise ValueError("a certificate needs the CA that the node's is checked with")

    @property
    def host(self) -> str:
        """Without the port, and without the brackets of IPv6."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The number after the last colon."""
        return int(self.address.rpartition(":")[2])

    def check_files(self) -> None:
        """Raises OSError for a file that can't be read."""
        for file in (self.token_file, self.ca_file, self.cert_file, self.key_file):
            if file is not None:
                file.read_bytes()

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries. Raises OSError."""
        if self.token_file is None:
            return ()
        return (("authorization", f"Bearer {self.token_file.read_text(encoding='utf-8').strip()}"),)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. `silent_s`: a node that says nothing for so long is lost. `connect_s`: the same for its first word. Pauses
    between attempts grow from `first_pause_s` to `longest_pause_s`; a node that refuses is asked every `refused_pause_s`,
    since only a person can change that. `parting_s`: what a node still owes when it ends the connection in good order
    may arrive for so long.
    """

    silent_s: float = 2.0
    connect_s: float = 5.0
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0
    refused_pause_s: float = 30.0
    parting_s: float = 5.0


DEFAULT_PATIENCE = Patience()


class Ears:
    """Ends a call that has fallen silent. Silence is counted in turns of the event loop's clock, not by its time: what this
    program slept through is not the node's silence.
    """

    def __init__(self, call: Any, patience: Patience) -> None:
        self._call = call
        self._patience = patience
        self._silent_s = 0.0
        self._allowed_s = patience.connect_s
        self.silent = False

    @property
    def complaint(self) -> str:
        """What to say of it."""
        return f"silent for {self._allowed_s:g} s"

    def heard(self) -> None:
        """It said something."""
        self._silent_s, self._allowed_s = 0.0, self._patience.silent_s

    async def listen(self) -> None:
        """Until the call is silent."""
        while self._silent_s < self._allowed_s:
            await asyncio.sleep(LISTEN_EVERY_S)
            self._silent_s += LISTEN_EVERY_S
        self.silent = True
        self._call.cancel()


def open_channel(config: RemoteConfig) -> grpc.aio.Channel:
    """A channel of its own, not yet connected. Raises OSError for a file that can't be read."""
    if config.ca_file is None:
        return grpc.aio.insecure_channel(config.address, CHANNEL_OPTIONS)
    own = [file.read_bytes() for file in (config.key_file, config.cert_file) if file is not None]
    credentials = grpc.ssl_channel_credentials(config.ca_file.read_bytes(), *own)
    return grpc.aio.secure_channel(config.address, credentials, CHANNEL_OPTIONS)


def translated(error: grpc.aio.AioRpcError, name: str) -> DomainError | EdgeError:
    """A failed call in our own words: what the node said, or what gRPC says of the way to it. Total."""
    told = _told(error.trailing_metadata() or ())
    if told is not None:
        return wire.error_from_wire(told)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"node {name} gave no answer in time")
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return ModelUnavailable(f"node {name} takes no upload of this size")
    return NodeLost(f"node {name} was lost: {words(error)}")


def words(error: grpc.aio.AioRpcError) -> str:
    """What gRPC says happened, without its chain of causes."""
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:  # also what a captive portal's answer is taken for, so no refusal
        return "what answers there is no Hedgerow node"
    return _last(error.details() or error.code().name)


async def refusal(config: RemoteConfig) -> str:
    """Why no connection can come up until somebody changes something; empty where none such reason is found."""
    try:
        context = _tls(config)
    except (OSError, ValueError) as error:
        return f"a file for TLS can't be used: {_last(str(error))}"
    try:
        async with asyncio.timeout(DIAGNOSIS_S):
            reader, writer = await asyncio.open_connection(config.host, config.port, ssl=context)
            first = await reader.read(1)
            writer.close()
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not accepted: {error.verify_message}"
    except ssl.SSLError as error:
        return "" if config.ca_file is None else f"TLS fails: {_last(error.reason or str(error)).lower().replace('_', ' ')}"
    except (OSError, TimeoutError):
        return ""
    if config.ca_file is None:
        return "it speaks TLS: the gateway needs a ca_file for it"
    return "" if first else "it doesn't take this gateway's certificate: none given, ended, or not of the node's CA"


def _tls(config: RemoteConfig) -> ssl.SSLContext:
    if config.ca_file is None:  # only to see whether the other side speaks TLS: nothing is sent over it
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context(cafile=str(config.ca_file))
    context.set_alpn_protocols(["h2"])
    if config.cert_file is not None:
        context.load_cert_chain(config.cert_file, config.key_file, password="")
    return context


def _told(metadata: Iterable[tuple[str, str | bytes]]) -> WireError | None:
    for key, value in metadata:
        if key == ERROR_METADATA and isinstance(value, bytes):
            with suppress(msgspec.MsgspecError):
                return msgspec.msgpack.decode(value, type=WireError)
    return None


def _last(chain: str) -> str:
    return chain.rpartition(": ")[2].strip() or "no reason given"
