"""Results by webhook, to a real receiver: what arrives, how often, and what becomes of those that don't."""

import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import structlog

from gateway.service.jobs.records import DeliveryState, Job
from gateway.service.jobs.signing import OVERLAP, new_secret
from gateway.service.records import Analysis
from tests.gateway.service.webhook_receiver import (
    Answer,
    Received,
    Receiver,
    closes,
    endless,
    status,
    trickling,
    waits,
)
from tests.gateway.service.webhook_stores import POLICY, Books, Stage, document, names, play
from tests.gateway.store.samples import NOON

DAY = timedelta(days=1)


def signed_by(secret: str, message: Received) -> bool:
    """Whether that secret made one of the signatures; worked out as the scheme's text says, with nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = b".".join([message.headers["webhook-id"].encode(), message.headers["webhook-timestamp"].encode(), message.body])
    expected = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return expected in message.headers["webhook-signature"].split(" ")


def secret_of(books: Books, tenant: str = "clinic") -> str:
    return books.secrets.obtain(tenant, new_secret(), books.clock()).current


def test_a_result_arrives_once_as_the_jobs_document_signed_for_its_tenant(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(204)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                log = await stage.tried(job, 1)
                await asyncio.sleep(0.1)
        (message,) = receiver.received
        assert (log.state, log.last_status, log.last_error) == (DeliveryState.DELIVERED, 204, "")
        assert json.loads(message.body) == {"id": job.id, "state": "done", "error": None, "analysis": "benign"}
        assert message.path == "/results"
        assert message.headers["content-type"] == "application/json"
        assert message.headers["webhook-id"] == log.id
        assert message.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
        assert signed_by(secret_of(stage.books), message)
        assert not signed_by(secret_of(stage.books, "farm"), message)
        assert not signed_by(secret_of(stage.books), replace(message, body=message.body + b" "))

    play(tmp_path, test)


def test_a_job_that_failed_is_told_with_its_reason(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(200)) as receiver:
            job = stage.books.failed(receiver.url)
            async with stage.delivering():
                await stage.tried(job, 1)
        told = json.loads(receiver.received[0].body)
        assert told == {
            "id": job.id, "state": "failed", "error": {"code": "CORRUPT_MEDIA", "message": "the file ends early"}, "analysis": None
        }

    play(tmp_path, test)


def test_a_receiver_that_fails_is_tried_again_after_pauses_that_double_until_it_has_the_result(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(500), status(503), status(200)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                log = await stage.tried(job, 1)
                assert (log.state, log.last_status, log.last_error) == (DeliveryState.PENDING, 500, "answered 500")
                stage.books.clock.move(9.9)
                await asyncio.sleep(0.15)
                assert len(receiver.received) == 1, "too early"
                stage.books.clock.move(0.1)
                log = await stage.tried(job, 2)
                assert (log.last_status, log.not_before) == (503, stage.books.clock() + timedelta(seconds=20))
                stage.books.clock.move(20)
                log = await stage.tried(job, 3)
        assert (log.state, log.last_status, log.last_error) == (DeliveryState.DELIVERED, 200, "")
        assert {message.headers["webhook-id"] for message in receiver.received} == {log.id}
        sent = [int(message.headers["webhook-timestamp"]) for message in receiver.received]
        assert sent == [sent[0], sent[0] + 10, sent[0] + 30], "each try is signed anew"
        assert all(signed_by(secret_of(stage.books), message) for message in receiver.received)

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("asked", "pause_s"),
    [
        ("120", 120), ("3", 10), ("Mon, 04 May 2026 12:05:00 GMT", 299.876544), ("Mon, 04 May 2026 12:05:00 -0000", 299.876544),
        ("Mon, 04 May 2020 12:05:00 GMT", 10), ("999999999", 3600), ("9" * 5000, 10), ("soon", 10), ("²", 10),
    ],
)
def test_a_receiver_that_names_a_pause_gets_it_within_reason(tmp_path: Path, asked: str, pause_s: float) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(503, retry_after=asked)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                log = await stage.tried(job, 1)
        assert log.not_before - NOON == timedelta(seconds=pause_s)

    play(tmp_path, test)


def test_a_receiver_that_never_takes_it_is_given_up_after_three_days(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(500)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                await stage.tried(job, 1)
                stage.books.clock.move(3 * DAY.total_seconds() - 60)
                log = await stage.tried(job, 2)
                assert log.state is DeliveryState.PENDING
                stage.books.clock.move(50)
                log = await stage.tried(job, 3)
                assert log.state is DeliveryState.FAILED
                stage.books.clock.move(DAY.total_seconds())
                await asyncio.sleep(0.1)
        assert log.last_error == "answered 500; given up after 3 attempts"
        assert len(receiver.received) == 3

    play(tmp_path, test)


def test_attempts_are_bounded_too(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        twice = replace(POLICY, backoff=replace(POLICY.backoff, most_attempts=2))
        with Receiver(status(500)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering(stage.books.deliverer(policy=twice)):
                await stage.tried(job, 1)
                stage.books.clock.move(10)
                assert (await stage.tried(job, 2)).state is DeliveryState.FAILED

    play(tmp_path, test)


def test_a_receiver_that_says_it_is_gone_hears_no_more(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(410), status(200)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                log = await stage.tried(job, 1)
                stage.books.clock.move(DAY.total_seconds())
                await asyncio.sleep(0.1)
        assert (log.state, log.last_status) == (DeliveryState.FAILED, 410)
        assert "410" in log.last_error
        assert len(receiver.received) == 1

    play(tmp_path, test)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(200)) as elsewhere, Receiver(status(307, location=elsewhere.url)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                log = await stage.tried(job, 1)
        assert (log.state, log.last_status) == (DeliveryState.PENDING, 307)
        assert "redirect" in log.last_error
        assert elsewhere.connections == 0

    play(tmp_path, test)


@pytest.mark.parametrize("answer", [endless, trickling])
def test_a_receiver_that_goes_on_talking_has_the_result_and_is_left(tmp_path: Path, answer: Answer) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(answer) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering():
                log = await stage.tried(job, 1)
            assert (log.state, log.last_status) == (DeliveryState.DELIVERED, 200)
            assert receiver.sent < 30_000_000, "more than the buffers of a connection hold"

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("answer", "sentence"), [(closes, "the connection broke before an answer came"), (waits, "no answer within 0.3 s")]
)
def test_a_receiver_without_an_answer_is_tried_again(tmp_path: Path, answer: Answer, sentence: str) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(answer, status(200)) as receiver:
            job = stage.books.done(receiver.url)
            async with stage.delivering(stage.books.deliverer(timeout_s=0.3)):
                log = await stage.tried(job, 1)
                assert (log.state, log.last_status, log.last_error) == (DeliveryState.PENDING, None, sentence)
                stage.books.clock.move(10)
                assert (await stage.tried(job, 2)).state is DeliveryState.DELIVERED

    play(tmp_path, test)


def test_a_receiver_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(200)) as receiver:
            gone = receiver.url
        nowhere, nameless = stage.books.done(gone), stage.books.done("https://no.such.example/results")
        async with stage.delivering(stage.books.deliverer(resolve=names({"127.0.0.1": ["127.0.0.1"]}))):
            assert (await stage.tried(nowhere, 1)).last_error == "it can't be reached"
            log = await stage.tried(nameless, 1)
        assert (log.state, log.last_error) == (DeliveryState.PENDING, "its host has no address")

    play(tmp_path, test)


def test_a_callback_of_other_settings_is_judged_by_those_of_now(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(200)) as receiver:
            plain, inside = stage.books.done(receiver.url), stage.books.done(f"https://inside.example:{receiver.port}/")
            strict = stage.books.deliverer(allow_private=False, resolve=names({"inside.example": ["127.0.0.1"]}))
            async with stage.delivering(strict):
                log = await stage.tried(plain, 1)
                assert (log.state, log.last_error) == (DeliveryState.FAILED, "callback_url must begin with https://")
                log = await stage.tried(inside, 1)
                assert log.state is DeliveryState.PENDING, "what a name leads to may change"
                assert "private or local" in log.last_error
            assert receiver.connections == 0

    play(tmp_path, test)


def test_a_job_that_was_taken_back_is_not_told_as_ended(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        with Receiver(status(200)) as receiver:
            job = stage.books.failed(receiver.url)
            stage.books.jobs.retry("clinic", job.id)
            async with stage.delivering():
                log = await stage.tried(job, 1)
        assert log.state is DeliveryState.FAILED
        assert "taken back" in log.last_error
        assert receiver.connections == 0

    play(tmp_path, test)


def test_while_a_secret_is_replaced_receivers_may_hold_either(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        books = stage.books
        old, new = secret_of(books), new_secret()
        books.secrets.rotate("clinic", new, NOON, overlap=OVERLAP)
        with Receiver(status(200)) as receiver:
            async with stage.delivering():
                await stage.tried(books.done(receiver.url), 1)
                books.clock.move(OVERLAP.total_seconds())
                await stage.tried(books.done(receiver.url), 1)
        during, after = receiver.received
        assert signed_by(old, during)
        assert signed_by(new, during)
        assert not signed_by(old, after)
        assert signed_by(new, after)

    play(tmp_path, test)


def test_the_log_holds_nothing_of_a_result_of_an_answer_or_of_what_is_secret_in_a_url(tmp_path: Path) -> None:
    def write(job: Job, analysis: Analysis | None) -> bytes:
        if job.tenant == "farm":
            raise ValueError("fracture of Mrs K")
        return document(job, analysis) + b"fracture of Mrs K"

    async def test(stage: Stage) -> None:
        with Receiver(status(500, body=b"what they say")) as receiver, structlog.testing.capture_logs() as lines:
            jobs = [stage.books.done(f"{receiver.url}/private?token=open-sesame", tenant=tenant) for tenant in ("clinic", "farm")]
            async with stage.delivering(stage.books.deliverer(write=write)):
                logs = [await stage.tried(job, 1) for job in jobs]
        assert [log.last_error for log in logs] == ["answered 500", "an internal error; the log has more under this delivery's id"]
        assert all(log.state is DeliveryState.PENDING for log in logs)
        assert "ValueError" in str(lines)
        for text in ("Mrs K", "what they say", "open-sesame", "private", secret_of(stage.books)):
            assert text not in str(lines)
        (line,) = [line for line in lines if line["event"] == "webhook" and line["delivery"] == logs[0].id]
        assert (line["job"], line["status"], line["attempt"]) == (jobs[0].id, 500, 1)
        assert line["to"] == receiver.url.removesuffix("/results")

    play(tmp_path, test)
