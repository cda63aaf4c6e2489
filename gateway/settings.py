"""Every setting of the program, read once from the environment (or a .env file in the working folder)."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domains import registry
from edge_runtime.devices import AUTO, parse_device
from gateway.settings_urls import check_backend, check_broker, check_origin, check_store

MIB = 1024 * 1024
EMBEDDED = "embedded"
"""Name of the node inside the gateway."""


def _from_json(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    try:
        return json.loads(given)
    except ValueError as error:
        raise ValueError(f"is no JSON ({error}); quote the whole and use double quotes inside") from error


_Json = BeforeValidator(_from_json)
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}")


class RemoteNodeSettings(BaseModel):
    """One entry of HEDGEROW_NODES: where a `hedgerow node serve` listens, and how the two know each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    address: str
    """HOST:PORT."""
    name: str = ""
    """What it is called in answers and on the status page; its address where left out."""
    token_file: Path | None = None
    """File that holds the node's token."""
    ca_file: Path | None = None
    """Certificates (PEM) that vouch for the node: with it the connection is TLS."""
    cert_file: Path | None = None
    """This gateway's own certificate (PEM), where the node asks for one."""
    key_file: Path | None = None
    """Its private key (PEM)."""

    @field_validator("address")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        if not _ADDRESS.fullmatch(address):
            raise ValueError("is no HOST:PORT, such as barn.example:8090 or [fd00::5]:8090")
        return address

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.cert_file is not None and self.ca_file is None:
            raise ValueError("a certificate of our own needs the ca_file that the node's is checked with")
        return self

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or self.address


class RouteSettings(BaseModel):
    """One entry of HEDGEROW_ROUTES: who answers a tenant's requests of a domain, and what may leave. docs/routing.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    tenant: str = Field("*", pattern=r"^(\*|[a-z0-9][a-z0-9._-]{0,63})$")
    """Whose requests; * is every tenant's."""
    domain: str = "*"
    """Of which domain; * is every one. The rule that names most counts, and no other."""
    mode: Literal["edge_first", "always_edge", "always_cloud"] = "edge_first"
    """edge_first asks the cloud where the edge can't answer or isn't sure; always_edge never; always_cloud first of all."""
    to_cloud: bool = False
    """Whether de-identified pictures may go to the cloud, where the request consents too."""
    keep_gps: bool = False
    """Whether photos that go there keep place and time."""
    to_learning: bool = False
    """Whether unsure and disputed pictures are set aside to learn from, where the request consents too."""
    unsure: bool = True
    """A second opinion where the edge's answer isn't sure: several labels stay possible, or it abstained."""
    near_foreign: bool = True
    """A second opinion where the picture is at the edge of what the model knows."""
    audit_share: float = Field(0.0, ge=0, le=1)
    """Share of the other answers, drawn at random, that get a second opinion."""
    when_down: bool = True
    """The cloud answers where the edge can't: its devices or nodes are gone."""
    when_busy: bool = True
    """The cloud answers where the edge is too busy to be in time."""
    when_missing: bool = True
    """The cloud answers where the edge has no model for it."""
    daily_answers: int | None = Field(None, ge=0)
    """The most that the cloud is asked for a tenant in 24 hours; no limit where left out."""
    daily_bytes: int | None = Field(None, ge=0)
    """The most bytes of uploads that are meant for the cloud for a tenant in 24 hours; no limit where left out."""

    @field_validator("domain")
    @classmethod
    def _known_domain(cls, domain: str) -> str:
        if domain not in {"*", *registry.names()}:
            raise ValueError(f"is no domain; choose from *, {', '.join(registry.names())}")
        return domain

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mode == "always_cloud" and not self.to_cloud:
            raise ValueError("always_cloud needs to_cloud, or nothing may leave")
        return self


class Settings(BaseSettings):
    """Settings; each can be given as HEDGEROW_<NAME>. Nothing else in the program reads the environment."""

    model_config = SettingsConfigDict(
        env_prefix="HEDGEROW_", env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on, for REST and gRPC. 0.0.0.0 listens on all; put TLS in front of it then."""
    rest_port: int = Field(8080, ge=0, le=65535)
    """Port of REST; 0 takes a free one."""
    grpc_port: int = Field(8081, ge=0, le=65535)
    """Port of gRPC; 0 takes a free one."""
    cors_origins: Annotated[tuple[Annotated[str, AfterValidator(check_origin)], ...], NoDecode, _Json] = ()
    """Sites whose pages may call the REST port from a browser, as a JSON list of https://HOST[:PORT], or ["*"]. docs/browsers.md."""
    data_dir: Path = Path("var")
    """Folder of the database and the pictures. Made with access for its owner alone."""
    database_url: str = ""
    """SQLAlchemy URL, such as postgresql+psycopg://user@host/name; empty is SQLite in the data folder."""
    models_dirs: Annotated[tuple[Path, ...], NoDecode, _Json] = ()
    """Folders with further model packages, as a JSON list. A package there is one more exam, without any code."""
    model_signers: Annotated[tuple[Path, ...], NoDecode, _Json] = ()
    """Files (PEM) of public keys and of authorities, as a JSON list: only packages that one of them signed are served. docs/signing.md."""
    workers: int = Field(0, ge=0, le=256)
    """Threads that run models, each with an interpreter of its own; 0 is one for each core."""
    devices: Annotated[tuple[str, ...], NoDecode, _Json] = (AUTO,)
    """What runs models here, as a JSON list of cpu[:VARIANT], edgetpu[:ADDRESS], simulated:BUS[:N]; auto is cpu and every Edge TPU found."""
    device_limit_s: float = Field(1.0, gt=0)
    """An accelerator that works on one invocation for longer is taken for hung: its work runs elsewhere, and it is opened anew."""
    nodes: Annotated[tuple[RemoteNodeSettings, ...], NoDecode, _Json] = ()
    """Nodes on other machines, as a JSON list of objects; below is what each may say."""
    embedded: bool = True
    """Whether this program runs models itself; false leaves it to the nodes of HEDGEROW_NODES."""
    max_upload_bytes: int = Field(64 * MIB, ge=1024)
    """Largest upload, over REST and gRPC alike. A larger one is refused before it is read."""
    max_pixels: int = Field(100_000_000, ge=1024)
    """Largest picture, in pixels of one frame; checked before decoding."""
    max_frames: int = Field(2000, ge=1)
    """Longest clip, in frames; checked before decoding."""
    clip_frames: int = Field(150, ge=1)
    """Frames of a clip that are analysed, evenly spread over its time; all of them where it has no more."""
    max_streams: int = Field(16, ge=1)
    """Live streams that may be open; one more is answered "overloaded"."""
    max_streams_per_tenant: int = Field(8, ge=1)
    """Of one tenant."""
    stream_idle_s: float = Field(30.0, gt=0)
    """A live stream on which nothing comes for so long ends."""
    stream_limit_s: float = Field(3600.0, gt=0)
    """The longest that a live stream may take."""
    stream_resume_s: float = Field(60.0, ge=0)
    """How long a live stream whose connection was lost waits to be taken up again."""
    max_queued_bytes: int = Field(8 * 1024 * MIB, ge=MIB)
    """Bytes that accepted jobs may hold on the disk until they are answered; more is refused, never dropped."""
    job_workers: int = Field(2, ge=0, le=256)
    """Jobs that this gateway works on at once."""
    job_timeout_s: float = Field(600.0, gt=0)
    """The longest that one try of a job may take."""
    keep_jobs_days: float = Field(7.0, gt=0)
    """How long finished jobs are remembered, and with them their idempotency keys."""
    max_uploads_per_tenant: int = Field(64, ge=1)
    """Resumable uploads that one tenant may have open."""
    max_uploading_bytes: int = Field(8 * 1024 * MIB, ge=MIB)
    """Bytes that open resumable uploads may hold on the disk together."""
    keep_uploads_hours: float = Field(24.0, gt=0)
    """How long a resumable upload may take, from its beginning to its last byte."""
    shared_memory_prefix: str = Field("", pattern=r"^[^/]{0,64}$")
    """What names of shared memory must begin with for clients of the Open Inference Protocol to use it; empty: none may be."""
    private_callbacks: bool = False
    """Whether results may be sent to plain HTTP and into this machine's own network."""
    max_waiting: int = Field(256, ge=1)
    """Requests that may wait for a device; one more is answered "overloaded" at once."""
    max_waiting_bytes: int = Field(512 * MIB, ge=MIB)
    """Bytes that the waiting requests may hold together."""
    timeout_s: float = Field(30.0, gt=0)
    """Deadline of a request that names none; the longest that one may name is ten times this."""
    task_limit_s: float = Field(30.0, gt=0)
    """A device that works on one task for longer is taken for hung, and its process is replaced."""
    cloud_broker: Annotated[str, AfterValidator(check_broker)] = Field("", repr=False)
    """Broker of the cloud tier: a redis://, rediss://, amqp:// or amqps:// URL. Empty: there is no cloud tier."""
    cloud_backend: Annotated[str, AfterValidator(check_backend)] = Field("", repr=False)
    """Where its workers say that they are done: redis://, rediss:// or rpc://. Empty: a Redis broker itself, rpc:// with RabbitMQ."""
    cloud_store: Annotated[str, AfterValidator(check_store)] = ""
    """Where pictures and answers lie on their way: file:///FOLDER or s3://BUCKET/PREFIX."""
    cloud_store_options: Annotated[dict[str, str], NoDecode, _Json] = Field({}, repr=False)
    """Of an S3 store, as a JSON object of texts: endpoint, region, access_key_id, secret_access_key, allow_http."""
    cloud_queue: str = Field("hedgerow", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Name of the broker's queue; gateways and workers of one installation share it."""
    cloud_in_flight: int = Field(64, ge=1)
    """Jobs of this gateway that may be with the cloud at once."""
    cloud_answer_s: float = Field(300.0, gt=0)
    """A job without an answer for so long is sent again."""
    cloud_patience_days: float = Field(7.0, gt=0)
    """How long a job waits for a cloud that can't be reached, or doesn't answer."""
    pseudonym_secret_file: Annotated[Path | None, BeforeValidator(lambda given: given or None)] = None
    """File of 32 random bytes or more, from which pseudonyms are made. Nothing leaves without it; workers don't need it."""
    routes: Annotated[tuple[RouteSettings, ...], NoDecode, _Json] = ()
    """Who answers what, and what may leave, as a JSON list of objects; docs/routing.md. None: the edge, and nothing leaves."""
    keep_images_hours: float = Field(24.0, ge=0)
    """How long pictures are kept: the upload, its mask and its evidence. 0 keeps none: then there are no overlays."""
    keep_analyses_days: float = Field(30.0, gt=0)
    """How long answers are kept. They hold no picture."""
    log_format: Literal["json", "console"] = "json"
    """One JSON object a line, or lines for people."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important lines to log."""

    @field_validator("devices")
    @classmethod
    def _known_devices(cls, devices: tuple[str, ...]) -> tuple[str, ...]:
        if not devices:
            raise ValueError(f'names no device; ["{AUTO}"] takes what is there')
        for device in devices:
            if device != AUTO:
                parse_device(device)
        if len(set(devices)) < len(devices):
            raise ValueError("names a device twice")
        return devices

    @field_validator("nodes")
    @classmethod
    def _unlike_nodes(cls, nodes: tuple[RemoteNodeSettings, ...]) -> tuple[RemoteNodeSettings, ...]:
        names = [EMBEDDED, *(node.called for node in nodes)]
        if len(set(names)) < len(names):
            raise ValueError(f"each node needs a name of its own, and none may be called {EMBEDDED}")
        return nodes

    @field_validator("embedded")
    @classmethod
    def _somebody_runs_models(cls, embedded: bool, info: ValidationInfo) -> bool:
        if not embedded and not info.data.get("nodes"):
            raise ValueError("false needs at least one node in HEDGEROW_NODES")
        return embedded

    @field_validator("cloud_store")
    @classmethod
    def _broker_and_store(cls, url: str, info: ValidationInfo) -> str:
        if "cloud_broker" in info.data and bool(url) != bool(info.data["cloud_broker"]):
            raise ValueError("HEDGEROW_CLOUD_BROKER and HEDGEROW_CLOUD_STORE go together")
        return url

    @field_validator("routes")
    @classmethod
    def _unlike_routes(cls, routes: tuple[RouteSettings, ...], info: ValidationInfo) -> tuple[RouteSettings, ...]:
        if len({(route.tenant, route.domain) for route in routes}) < len(routes):
            raise ValueError("two rules are for the same tenant and domain")
        for route in routes:
            lacking = [name for name in ("cloud_broker", "pseudonym_secret_file") if not info.data.get(name, "wrong")]
            if route.to_cloud and lacking:
                needed = " and ".join(f"HEDGEROW_{name.upper()}" for name in lacking)
                raise ValueError(f"to_cloud for tenant {route.tenant} and domain {route.domain} needs {needed}")
        return routes

    @property
    def simulated_devices(self) -> tuple[str, ...]:
        """Those of its own devices that aren't devices."""
        return tuple(text for text in self.devices if self.embedded and text.startswith("simulated:"))

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, SQLite's filled in."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'hedgerow.db').absolute()}"


class ClientSettings(BaseSettings):
    """What `hedgerow analyze`, `models` and `nodes` need to reach a gateway: HEDGEROW_URL and HEDGEROW_KEY."""

    model_config = SettingsConfigDict(
        env_prefix="HEDGEROW_", env_file=".env", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    url: str = ""
    """A running gateway. Empty: `analyze` runs the models in the program itself, `models` and `nodes` ask http://127.0.0.1:8080."""
    key: str = ""
    """Its API key."""
