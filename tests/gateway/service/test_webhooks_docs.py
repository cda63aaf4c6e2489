"""The receiver in docs/webhooks.md works as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from gateway.service.jobs.records import DeliveryState
from gateway.service.jobs.signing import OVERLAP, new_secret, signed_headers
from tests.gateway.service.webhook_stores import Books, Stage, play
from tests.gateway_process import ROOT

BODY = b'{"id": "1", "state": "done"}'


@contextmanager
def receiver(secret: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The page's receiver on a free port: its process and its URL."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "webhooks.md").read_text(), re.DOTALL)
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().split()[-1]
            yield process, f"http://127.0.0.1:{port}/results"
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> list[str]:
    """All that it printed, once it is ended."""
    process.kill()
    assert process.stdout is not None
    return process.stdout.read().splitlines()


def now(books: Books) -> datetime:
    """Sets the books' clock, since the receiver minds how old a message is."""
    books.clock.now = datetime.now(UTC)
    return books.clock.now


def test_it_takes_what_the_gateway_sends_also_while_the_secret_is_replaced(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        first = stage.books.secrets.obtain("clinic", new_secret(), now(stage.books)).current
        with receiver(first) as (process, url):
            async with stage.delivering():
                before = stage.books.done(url)
                assert (await stage.tried(before, 1)).last_status == 204
                stage.books.secrets.rotate("clinic", new_secret(), now(stage.books), overlap=OVERLAP)
                during = stage.books.done(url)
                assert (await stage.tried(during, 1)).state is DeliveryState.DELIVERED
            assert said(process) == [f"{before.id} done", f"{during.id} done"]

    play(tmp_path, test)


def test_it_refuses_what_the_gateway_did_not_send_and_counts_repetitions_once() -> None:
    secret, moment = new_secret(), datetime.now(UTC)
    good = signed_headers([secret], "message-1", moment, BODY)
    with receiver(secret) as (process, url):
        forged = [
            signed_headers([new_secret()], "message-1", moment, BODY), {}, {**good, "webhook-id": "message-2"},
            {**good, "webhook-timestamp": "²"}, {**good, "webhook-signature": ""},
            signed_headers([secret], "message-1", moment - timedelta(minutes=6), BODY),
        ]
        for headers in forged:
            encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            assert httpx.post(url, content=BODY, headers=encoded).status_code == 401
        assert httpx.post(url, content=BODY + b" ", headers=good).status_code == 401
        assert [httpx.post(url, content=BODY, headers=good).status_code for _ in range(2)] == [204, 204]
        assert said(process) == ["1 done"]
