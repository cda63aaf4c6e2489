"""The process that cleans one picture, and then ends: `python -m gateway.service.leaving.clean_process`.

It decodes what strangers sent, with native code. So its memory and its time are limited, it gets little of the gateway's
environment, and nothing but sentences of ours leaves it: no text of a library, which may quote the file, so whoever starts
it closes its standard error too.
"""

import logging
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import cv2

from domains import media, registry
from domains.deidentify import Deidentified, TextReader, TextSearchFailed, deidentify
from domains.errors import DomainError
from edge_runtime import wire
from edge_runtime.catalogue import Catalogue
from gateway.service.leaving import cleaning_wire
from gateway.service.leaving.cleaning_wire import (
    PREFIX,
    CleanedMessage,
    HeldMessage,
    OrderMessage,
    RefusedMessage,
    Reply,
)
from gateway.service.leaving.tesseract import Tesseract

NO_TESSERACT = "the program that searches pictures for text isn't installed, so none can leave"
TOO_LARGE = "cleaning it takes more memory than is allowed for that"
UNFORESEEN = "cleaning it met an unforeseen error"


def clean(order: OrderMessage, payload: bytes, open_reader: Callable[[], TextReader] = Tesseract) -> tuple[Reply, bytes]:
    """The reply and its picture, empty where none may leave. Raises nothing but MemoryError and what nobody foresaw."""
    limits = media.Limits(**order.limits)
    try:
        header = media.read_header(payload, limits)
        models = Catalogue(map(Path, order.packages), ()).trusted.values()
        specs = [package.spec for package in models if package.spec.domain == order.domain]
        plan = registry.load(order.domain).plan(header, order.parameters, specs)
    except DomainError as error:
        return RefusedMessage(wire.error_to_wire(error)), b""
    try:
        reader = open_reader()
    except TextSearchFailed:
        return HeldMessage(NO_TESSERACT), b""
    found = deidentify(
        payload, header.format, tenant_key=order.tenant_key, keep_gps=order.keep_gps, find_text=reader, limits=limits
    )
    if not isinstance(found, Deidentified):
        return HeldMessage(found.reason), b""
    size_bytes = len(found.payload)
    return CleanedMessage(size_bytes, found.format, list(found.rules), dict(plan.parameters or {})), found.payload


def answer(source: BinaryIO, target: BinaryIO) -> None:
    """Reads one order and writes the reply to it."""
    (length,) = PREFIX.unpack(source.read(PREFIX.size))
    order = cleaning_wire.decode_order(source.read(length))
    payload = source.read(order.size_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes, order.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_s, order.cpu_s))
    try:
        reply, picture = clean(order, payload)
    except MemoryError:
        reply, picture = HeldMessage(TOO_LARGE), b""
    except Exception as error:
        reply, picture = HeldMessage(UNFORESEEN, type(error).__name__), b""
    target.write(cleaning_wire.encode(reply))
    target.write(picture)
    target.flush()


def main() -> None:
    """Entry point; the order comes by standard input, the reply goes to standard output."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    cv2.setNumThreads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the file and the key are in memory
    try:
        answer(sys.stdin.buffer, sys.stdout.buffer)
    except Exception:
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
