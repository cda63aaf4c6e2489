"""Addresses in the settings, checked before anything connects. Nothing here quotes one: a password may be in it."""

import re
from urllib.parse import urlsplit

_ESCAPED = "special characters of a password are written as %23 and the like"
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
_STORE = re.compile(r"file:///[^?#]+|s3://[a-z0-9][a-z0-9.-]+(/[^?#@]*)?")


def check_broker(url: str) -> str:
    """The URL of a broker, or "". Raises ValueError, with what would be right."""
    if url and _scheme(url) not in {"redis", "rediss", "amqp", "amqps"}:
        raise ValueError(f"is no redis://HOST, rediss://HOST, amqp://HOST or amqps://HOST; {_ESCAPED}")
    return url


def check_backend(url: str) -> str:
    """The URL of a result backend, or "". Raises ValueError, with what would be right."""
    if url and url != "rpc://" and _scheme(url) not in {"redis", "rediss"}:
        raise ValueError(f"is no redis://HOST, rediss://HOST or rpc://; {_ESCAPED}")
    return url


def check_origin(origin: str) -> str:
    """A site as browsers name it in the header Origin, or *. Raises ValueError, with what would be right."""
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("is no https://HOST or https://HOST:PORT, in small letters and with nothing behind it")
    return origin


def check_store(url: str) -> str:
    """The URL of an object store, or "". Raises ValueError, with what would be right."""
    if url and not _STORE.fullmatch(url):
        raise ValueError("is no file:///FOLDER or s3://BUCKET/PREFIX; keys belong into HEDGEROW_CLOUD_STORE_OPTIONS")
    return url


def _scheme(url: str) -> str:
    """Of a URL with a host and a sound port, else ""."""
    try:
        parts = urlsplit(url)
        return parts.scheme if parts.hostname and parts.port != 0 else ""
    except ValueError:  # it quotes the URL
        return ""
