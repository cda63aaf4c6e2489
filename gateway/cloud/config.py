"""Where the cloud tier is. Loads none of its libraries."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol

_LIBRARIES = ("celery", "obstore", "redis")


class CloudSettings(Protocol):
    """The part of Settings that is read here."""

    @property
    def cloud_broker(self) -> str:
        """URL of the broker."""
        ...

    @property
    def cloud_backend(self) -> str:
        """URL of the result backend; empty for that which goes with the broker."""
        ...

    @property
    def cloud_store(self) -> str:
        """URL of the object store."""
        ...

    @property
    def cloud_store_options(self) -> Mapping[str, str]:
        """Of the object store."""
        ...

    @property
    def cloud_queue(self) -> str:
        """Name of the queue."""
        ...


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """The same for gateways and workers. URLs as in the settings; `broker`, `backend` and `store_options` may hold passwords."""

    broker: str = field(repr=False)
    store: str
    store_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    queue: str = "hedgerow"
    backend: str = field(default="", repr=False)
    """Of results. Empty: a Redis broker itself, rpc:// with RabbitMQ."""

    @property
    def resolved_backend(self) -> str:
        """With the default filled in."""
        return self.backend or (self.broker if self.broker.startswith("redis") else "rpc://")


def cloud_config(settings: CloudSettings) -> CloudConfig:
    """What the settings say."""
    return CloudConfig(
        settings.cloud_broker, settings.cloud_store, settings.cloud_store_options, settings.cloud_queue,
        settings.cloud_backend,
    )


def lacking_library() -> str:
    """A sentence that says what isn't installed; empty where all is there."""
    missing = next((name for name in _LIBRARIES if find_spec(name) is None), "")
    return f"{missing} is not installed: pip install 'hedgerow[cloud]' brings it" if missing else ""
