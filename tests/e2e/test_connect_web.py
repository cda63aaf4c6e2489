"""A page of another site calls from a real browser, by connect-web as partners have it from npm: Connect and gRPC-Web."""

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from gateway.service.keys import ANALYZE_ALL, READ
from tests.browser import Browser, browser
from tests.gateway.grpc.scans import PATIENCE_S, ScanNode
from tests.gateway_process import ROOT
from tests.gateway_thread import GatewayThread

FOLDER = Path(__file__).with_name("connect_web")
KINDS = ("connect-json", "connect-binary", "grpc-web")
every_kind = pytest.mark.parametrize("kind", KINDS)


class Site:
    """The partner's: the page, its library, and the protos as descriptors."""

    def __init__(self, folder: Path) -> None:
        buf, protos = Path(sys.executable).with_name("buf"), folder / "protos.binpb"
        subprocess.run([buf, "build", "--as-file-descriptor-set", "--output", protos], cwd=ROOT, timeout=60, check=True)
        files = {f"/{path.name}": path.read_bytes() for path in (FOLDER / "page.html", FOLDER / "connect-web.js", protos)}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path in files else 404)
                self.send_header("Content-Type", "text/html" if self.path.endswith("html") else "application/octet-stream")
                self.end_headers()
                self.wfile.write(files.get(self.path, b""))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    with made.server:
        thread = threading.Thread(target=made.server.serve_forever)
        thread.start()
        yield made
        made.server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def node() -> ScanNode:
    return ScanNode()


@pytest.fixture
def gateway(node: ScanNode, tmp_path: Path, site: Site) -> Iterator[GatewayThread]:
    with GatewayThread(node, tmp_path, cors_origins=(site.origin,)) as running:
        yield running


@pytest.fixture
def page(window: Browser, site: Site, gateway: GatewayThread) -> Browser:
    """The page, with a key."""
    return opened(window, site.origin, gateway)


def opened(window: Browser, origin: str, gateway: GatewayThread) -> Browser:
    window.open("about:blank")
    window.open(f"{origin}/page.html#gateway={gateway.url}&key={gateway.key((ANALYZE_ALL, READ))}")
    window.console()
    return window


def call(page: Browser, function: str, *arguments: Any) -> Any:
    """What one of the page's functions gives, once it has it."""
    return page.script(f"return {function}(...{json.dumps(arguments)})")


@every_kind
def test_a_scan_is_answered_and_the_page_can_read_the_requests_id(page: Browser, kind: str) -> None:
    answer = call(page, "analyze", kind)
    assert (answer["label"], answer["same"]) == ("normal", True)
    assert answer["requestId"]
    assert page.console() == []


@every_kind
def test_the_page_is_told_what_went_wrong(page: Browser, node: ScanNode, kind: str) -> None:
    refused = call(page, "analyze", kind, "no key")
    assert (refused["code"], refused["message"]) == ("Unauthenticated", "the API key is not valid")
    assert refused["requestId"]
    unknown = call(page, "follow", kind, "none")
    assert (unknown["code"], "no job" in unknown["message"]) == ("NotFound", True)
    node.takes_s = PATIENCE_S
    assert call(page, "analyze", kind, None, {"timeoutMs": 300})["code"] == "DeadlineExceeded"


@every_kind
def test_a_job_is_followed_to_its_answer(page: Browser, node: ScanNode, kind: str) -> None:
    node.takes_s = 0.5
    order = call(page, "ordered")
    assert order["headers"]["preference-applied"] == "respond-async"
    assert order["headers"]["location"] == f"/v1/jobs/{order['id']}"
    assert order["headers"]["x-request-id"]
    followed = call(page, "follow", kind, order["id"])
    assert (followed["states"][-1], followed["label"]) == ("JOB_STATE_DONE", "normal")
    assert len(followed["states"]) > 1


@every_kind
def test_a_page_that_is_closed_ends_its_work_and_its_streams(
    window: Browser, site: Site, node: ScanNode, gateway: GatewayThread, kind: str
) -> None:
    node.takes_s = PATIENCE_S
    deadline = time.monotonic() + PATIENCE_S
    with structlog.testing.capture_logs() as lines:
        with window.tab():
            page = opened(window, site.origin, gateway)
            order = call(page, "ordered")
            page.script(f"follow({kind!r}, {order['id']!r}); analyze({kind!r})")
            while node.running < 2 or not page.script("return document.title.startsWith('JOB_STATE')"):
                assert time.monotonic() < deadline, lines
                time.sleep(0.02)
        while len(left := {line["operation"] for line in lines if line.get("code") == "CANCELLED"}) < 2:
            assert time.monotonic() < deadline, lines
            time.sleep(0.02)
    assert left == {"WatchJob", "Analyze"}
    assert (node.cancelled, node.running) == (1, 1), "the job goes on"


@every_kind
def test_a_page_of_a_site_that_isnt_named_reads_nothing(
    window: Browser, site: Site, gateway: GatewayThread, kind: str
) -> None:
    page = opened(window, site.origin.replace("127.0.0.1", "localhost"), gateway)
    assert call(page, "analyze", kind)["code"] in {"Unknown", "Unavailable", "Internal"}
    assert "CORS policy" in "".join(page.console())
