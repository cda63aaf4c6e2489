"""A process of benchmarks/durability.py that uploads one file over tus 1.0 and doesn't give up: durability_tus.py PLAN REPORT

Two clients: a small one of its own over httpx, which gives a silent connection up after some seconds, asks how far the upload
is, and goes on from there; and tuspy, which is used as it is.
"""

import base64
import importlib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec

VERSION = {"Tus-Resumable": "1.0.0"}
CHUNK_BYTES = 16 * 1024
SEND_BUFFER_BYTES = 64 * 1024
"""What the kernel may hold of a connection: else megabytes are on their way that nobody has sent yet."""
SILENCE_S = 3.0
ANSWER_S = 30.0
"""The answer to a request that has brought everything may take longer: then the job is made."""
PAUSE_S = 0.5
TUSPY_PIECE_BYTES = 1024 * 1024


class Plan(msgspec.Struct):
    """What to upload where. `client`: own or tuspy."""

    url: str
    key: str
    file: str
    metadata: dict[str, str]
    client: str
    patience_s: float


class Report(msgspec.Struct):
    """What came of it. `job`: its path. Times are of the monotonic clock, which all processes of a machine share."""

    began_at: float = 0.0
    ended_at: float = 0.0
    job: str = ""
    body_bytes: int = 0
    """Handed to connections, bytes that were sent again among them."""
    resumed: list[tuple[float, int]] = []
    """When the upload was found to stand at which byte, after a request that failed."""
    refusals: list[str] = []
    error: str = ""


class TusClient:
    """Uploads one file. Raises RuntimeError where the server wants none of it, TimeoutError where it takes too long."""

    def __init__(self, plan: Plan, report: Report) -> None:
        self._plan, self._report = plan, report
        self._size = Path(plan.file).stat().st_size
        self._until = time.monotonic() + plan.patience_s
        options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)]
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(socket_options=options), timeout=SILENCE_S,
            headers={"Authorization": f"Bearer {plan.key}", **VERSION},
        )

    def upload(self) -> None:
        """Until there is a job."""
        place = self._create()
        offset = 0
        while not self._report.job:
            response = self._append(place, offset)
            if response is None or response.status_code != 204:
                offset = self._look(place)
            else:
                offset = int(response.headers["Upload-Offset"])
                self._report.job = response.headers.get("Hedgerow-Job", "")

    def job_of(self, place: str) -> str:
        """The job of an upload that somebody else has finished."""
        self._look(place)
        return self._report.job

    def _create(self) -> str:
        headers = {"Upload-Length": str(self._size), "Upload-Metadata": coded(self._plan.metadata)}
        while True:
            response = self._request("POST", f"{self._plan.url}/v1/uploads", headers)
            if response is not None and response.status_code == 201:
                return str(httpx.URL(f"{self._plan.url}/v1/uploads").join(response.headers["Location"]))
            self._pause(response)

    def _append(self, place: str, offset: int) -> httpx.Response | None:
        headers = {
            "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream",
            "Content-Length": str(self._size - offset),
        }
        response = self._request("PATCH", place, headers, self._chunks(offset))
        if response is not None and response.status_code not in {204, 409, 423}:
            self._pause(response)
        return response

    def _look(self, place: str) -> int:
        while True:
            response = self._request("HEAD", place, {})
            if response is not None and response.status_code == 200:
                offset = int(response.headers["Upload-Offset"])
                self._report.resumed.append((time.monotonic(), offset))
                self._report.job = response.headers.get("Hedgerow-Job", "")
                return offset
            self._pause(response)

    def _request(
        self, method: str, url: str, headers: dict[str, str], body: Iterator[bytes] | None = None
    ) -> httpx.Response | None:
        """None where the connection broke or nothing moved on it."""
        silence = httpx.Timeout(SILENCE_S, read=SILENCE_S if body is None else ANSWER_S)
        try:
            return self._client.request(method, url, headers=headers, content=body, timeout=silence)
        except httpx.TransportError:
            return None

    def _chunks(self, offset: int) -> Iterator[bytes]:
        with Path(self._plan.file).open("rb") as file:
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                self._report.body_bytes += len(chunk)
                yield chunk

    def _pause(self, response: httpx.Response | None) -> None:
        """Before the next try, where there is to be one."""
        if response is not None:
            self._report.refusals.append(str(response.status_code))
            if response.status_code < 500 and response.status_code not in {409, 423, 429}:
                raise RuntimeError(f"{response.request.method}: {response.status_code} {response.text[:300]}")
        if time.monotonic() > self._until:
            raise TimeoutError(f"not uploaded in {self._plan.patience_s:g} s")
        time.sleep(PAUSE_S)


def upload_with_tuspy(plan: Plan, report: Report) -> None:
    """The same with tuspy, in pieces, since it waits for a silent connection for as long as the kernel does."""
    tus = importlib.import_module("tusclient.client")
    client = tus.TusClient(f"{plan.url}/v1/uploads", headers={"Authorization": f"Bearer {plan.key}"})
    uploader = client.uploader(
        plan.file, metadata=plan.metadata, chunk_size=TUSPY_PIECE_BYTES, retries=int(plan.patience_s), retry_delay=1,
    )
    uploader.upload()
    report.job = TusClient(plan, report).job_of(uploader.url)


def coded(metadata: dict[str, str]) -> str:
    """Upload-Metadata."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode('ascii')}" for name, value in metadata.items())


def main() -> None:
    """Does what the plan says, and writes down what came of it."""
    told, kept = map(Path, sys.argv[1:])
    plan, report = msgspec.json.decode(told.read_bytes(), type=Plan), Report()
    report.began_at = time.monotonic()
    try:
        if plan.client == "tuspy":
            upload_with_tuspy(plan, report)
        else:
            TusClient(plan, report).upload()
    except Exception as error:
        report.error = f"{type(error).__name__}: {error}"
    report.ended_at = time.monotonic()
    kept.write_bytes(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
