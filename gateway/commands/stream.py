"""`hedgerow stream`: a video file or a camera, answered live."""

import asyncio
import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gateway.commands.common import fail, read_parameters
from gateway.commands.options import Domain, GatewayUrl
from gateway.settings import ClientSettings

if TYPE_CHECKING:
    from hedgerow_client import Ended


class StreamPolicy(enum.StrEnum):
    """Which frames of a stream are analysed."""

    LATEST = "latest"
    ALL = "all"
    SAMPLE = "sample"


class StreamCodec(enum.StrEnum):
    """How frames go to the gateway."""

    PICTURES = "pictures"
    AUTO = "auto"


def stream(
    source: Annotated[str, typer.Argument(help="A video file, a camera (/dev/video0), or an rtsp:// or http:// URL.", show_default=False)],
    domain: Domain,
    exam: Annotated[str, typer.Option(help="pathology: the exam.")] = "",
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, any number of times.")] = None,
    policy: Annotated[StreamPolicy, typer.Option(help="latest: the newest frame goes first, older ones are dropped. all: none is, the source waits. sample: --fps frames a second.")] = StreamPolicy.LATEST,
    fps: Annotated[float, typer.Option(min=0, help="With --policy sample: frames a second of media time.")] = 0.0,
    codec: Annotated[StreamCodec, typer.Option(help="pictures: each frame as JPEG. auto: the source's own H.264, HEVC or MPEG-2 where it has one.")] = StreamCodec.PICTURES,
    speed: Annotated[float, typer.Option(min=0, help="Of a file: 2 plays it twice as fast, 0 as fast as it goes.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Write the annotated video here (.mp4, .mov or .mkv).", show_default=False)] = None,
    url: GatewayUrl = "",
    grpc: Annotated[str, typer.Option("--grpc", help="HOST:PORT of the gateway's gRPC, to stream over that instead of WebSocket.")] = "",
    key: Annotated[str, typer.Option(help="API key for the gateway; better given as HEDGEROW_KEY.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a line of JSON.")] = False,
) -> None:
    """Play a video file or a camera to a running gateway and see its answers live.

    Ctrl-C ends the stream, and the verdict on what was seen still comes. Exits with 1 where the stream failed.
    """
    from gateway.console.player import SourceError, open_source
    from gateway.console.stream import Job, open_show, stream_source
    from hedgerow_client import AsyncClient, HedgerowError

    if (policy is StreamPolicy.SAMPLE) != (fps > 0):
        fail("--policy sample and --fps go together")
    settings = ClientSettings()
    job = Job(
        domain, read_parameters([f"exam={exam}", *(parameter or [])] if exam else parameter or []), policy.value, fps,
        own_codec=codec is StreamCodec.AUTO, speed=speed, out=out,
    )

    async def run() -> "Ended":
        where = f"grpc://{grpc}" if grpc else url or settings.url or "http://127.0.0.1:8080"
        async with AsyncClient(where, key or settings.key) as client:
            return await stream_source(client, opened, job, show)

    try:
        with open_source(source) as opened:
            show = open_show(" · ".join(filter(None, (domain, exam, Path(source).name))), Console(), as_json=as_json)
            try:
                ended = asyncio.run(run())
            finally:
                show.close()
    except (HedgerowError, SourceError, ValueError) as error:
        fail(str(error))
    if ended.reason == "failed":
        fail("the stream failed")
