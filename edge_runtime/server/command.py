"""`hedgerow node serve`: the command line of a node on its own. Standard library only, so that a board needs no more."""

import argparse
import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # workers are started with exec: gRPC need not follow a fork
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it would write into the log in a form of its own

from edge_runtime.devices import AUTO
from edge_runtime.embedded import EmbeddedNode, NodeConfig
from edge_runtime.server import log
from edge_runtime.server.access import AccessConfig, AccessError
from edge_runtime.server.listener import NodeServer

logger = logging.getLogger(__name__)

PROGRAM = "hedgerow node"
GRACE_S = 10.0
MIB = 1024 * 1024
REFUSED = 2
"""Exit status for options that can't be, as argparse has it."""


def main(arguments: Sequence[str]) -> None:
    """Entry point; `arguments` come after `hedgerow node`. A node that can't start says why in one line."""
    options = _parser().parse_args(arguments)
    log.configure(options.log_format)
    try:
        node = EmbeddedNode(_node_config(options))
        access = AccessConfig(
            options.listen, options.token_file, options.tls_cert, options.tls_key, options.client_ca, options.plaintext
        )
        server = NodeServer(node, access, max_upload_bytes=options.max_upload_bytes)
    except (ValueError, AccessError) as error:
        _fail(str(error), REFUSED)
    try:
        asyncio.run(_serve(node, server))
    except AccessError as error:
        _fail(str(error), 1)


async def _serve(node: EmbeddedNode, server: NodeServer) -> None:
    """Until SIGINT or SIGTERM; a second one doesn't wait for the tasks that run."""
    ending, at_once = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (at_once if ending.is_set() else ending).set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    address = await server.start()
    logger.info("listening", extra={"fields": {"address": address, "node": node.name}})
    await node.start()
    announcing = asyncio.create_task(_announce(node, address))
    try:
        await ending.wait()
        logger.info("stopping", extra={"fields": {"node": node.name}})
        stopping = asyncio.create_task(server.stop(GRACE_S))
        hurried = asyncio.create_task(at_once.wait())
        await asyncio.wait((stopping, hurried), return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, hurried):
            task.cancel()
    finally:
        announcing.cancel()
        await node.stop()


async def _announce(node: EmbeddedNode, address: str) -> None:
    await node.wait_ready()
    devices = [device for state in node.states() for device in state.devices]
    simulated = [device.name for device in devices if device.simulated]
    if simulated:
        logger.warning("SIMULATED devices are configured: no hardware makes their answers, their times are modelled",
                       extra={"fields": {"devices": simulated}})
    logger.info("ready", extra={"fields": {
        "address": address, "node": node.name, "devices": [device.name for device in devices],
        "models": [model.name for model in node.models() if model.state == "ready"],
    }})


def _node_config(options: argparse.Namespace) -> NodeConfig:
    """Raises ValueError for a folder that isn't there."""
    for folder in options.models:
        if not folder.is_dir():
            raise ValueError(f"--models: there is no folder {folder}")
    return NodeConfig(
        name=options.name, data_dir=options.data, models_dirs=tuple(options.models),
        devices=tuple(options.device or [AUTO]), workers=options.workers, max_waiting=options.max_waiting,
        task_limit_s=options.task_limit, device_limit_s=options.device_limit, signers=tuple(options.model_signer),
        limits={
            "max_bytes": options.max_upload_bytes, "max_pixels": options.max_pixels, "max_frames": options.max_frames,
        },
    )


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells defaults where there is one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; --help has the rest."""

    def error(self, message: str) -> NoReturn:
        _fail(message, REFUSED)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="The devices of this machine, for gateways elsewhere.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="serve")
    serve = commands.add_parser(
        "serve", help="run the node", formatter_class=_Help,
        description="Runs the node until SIGTERM. Gateways name it in HEDGEROW_NODES. Where other machines can reach it, it "
        "needs a token or a client CA, and TLS.",
    )
    _add_serving(serve.add_argument_group("what it serves").add_argument)
    _add_access(serve.add_argument_group("who may ask").add_argument)
    _add_bounds(serve.add_argument_group("bounds").add_argument)
    return parser


def _add_serving(add: Callable[..., object]) -> None:
    add("--device", action="append", metavar="DEVICE",
        help="auto (the CPU and every Edge TPU found), cpu[:VARIANT], edgetpu[:ADDRESS] or simulated:BUS[:N]; repeatable; "
        "auto where none is given")
    add("--models", action="append", type=Path, default=[], metavar="DIR",
        help="folder with further model packages; repeatable")
    add("--model-signer", action="append", type=Path, default=[], metavar="FILE",
        help="public key, or certificates of an authority (PEM): only packages that one of them signed are served; repeatable")
    add("--data", type=Path, default=Path("var"), metavar="DIR", help="folder of installed models")
    add("--name", default=socket.gethostname(), help="what the node is called in its own log")
    add("--log-format", choices=("json", "console"), default="json", help="one JSON object a line, or lines for people")


def _add_access(add: Callable[..., object]) -> None:
    add("--listen", default="127.0.0.1:8090", metavar="HOST:PORT", help="where to listen; port 0 takes a free one")
    add("--token-file", type=Path, metavar="FILE", help="holds the token that gateways must show")
    add("--tls-cert", type=Path, metavar="FILE", help="the node's certificate (PEM), with those between it and its CA")
    add("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    add("--client-ca", type=Path, metavar="FILE", help="CA certificates (PEM): gateways must show a certificate of theirs")
    add("--plaintext", action="store_true",
        help="listen without TLS where other machines can reach it: pictures and token can be read on the way")


def _add_bounds(add: Callable[..., object]) -> None:
    add("--workers", type=_number(int, 0), default=0, metavar="N", help="threads of the CPU; 0 is one for each core")
    add("--max-waiting", type=_number(int, 1), default=256, metavar="N", help="tasks that may wait for a device")
    add("--task-limit", type=_number(float, 0.01), default=30.0, metavar="S",
        help="seconds on one task after which a device is taken for hung")
    add("--device-limit", type=_number(float, 0.01), default=1.0, metavar="S",
        help="the same for one invocation of an accelerator")
    add("--max-upload-bytes", type=_number(int, 1024), default=64 * MIB, metavar="N",
        help="largest upload; no less than the gateways' own limit")
    add("--max-pixels", type=_number(int, 1024), default=100_000_000, metavar="N", help="the same for pixels of a frame")
    add("--max-frames", type=_number(int, 1), default=2000, metavar="N", help="the same for frames of a clip")


def _number(kind: Callable[[str], float], least: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"takes a number from {least:g} on, not {text!r}")
        return number

    return parse


def _fail(message: str, status: int) -> NoReturn:
    print(f"{PROGRAM}: {message}", file=sys.stderr)
    raise SystemExit(status)
