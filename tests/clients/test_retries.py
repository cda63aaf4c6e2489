"""Which requests are sent again, how often, and which never."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.service.errors import ErrorCode, ServiceError
from hedgerow_client import Busy, Client, HedgerowError, InputRefused, Retries, TimedOut, Unreachable
from tests.clients.scripted_requests import BUSY, CORRUPT, CUT, OVERLOADED, SILENT, Answer, GrpcServer, RestServer

QUICK = Retries(attempts=4, first_pause_s=0.01, longest_pause_s=0.05)
MINUTE = ServiceError(ErrorCode.OVERLOADED, "too much to do", retry_after_s=60)
Server = RestServer | GrpcServer


@pytest.fixture(params=[RestServer, GrpcServer], ids=["rest", "grpc"])
def serve(request: pytest.FixtureRequest) -> Callable[[Iterable[Answer]], Server]:
    kind: Callable[[Iterable[Answer]], Server] = request.param
    return kind


def test_a_question_is_asked_again_when_the_gateway_is_busy_or_the_connection_breaks(
    serve: Callable[[Iterable[Answer]], Server]
) -> None:
    with serve([BUSY, CUT]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        assert client.domains()[0].name == "pathology"
        assert server.answers.asked == 3


def test_it_is_given_up_after_as_many_attempts_as_are_allowed(serve: Callable[[Iterable[Answer]], Server]) -> None:
    with serve([BUSY] * 9) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        with pytest.raises(Busy, match="not now"):
            client.domains()
        assert server.answers.asked == 4


def test_what_cannot_succeed_is_not_sent_again(serve: Callable[[Iterable[Answer]], Server]) -> None:
    with serve([CORRUPT]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        with pytest.raises(InputRefused):
            client.analyze("pathology", b"x")
        assert server.answers.asked == 1


def test_an_analysis_is_sent_again_under_the_same_key_where_it_was_refused_for_now() -> None:
    with GrpcServer([BUSY, BUSY]) as server, Client(server.url, retries=QUICK) as client:
        assert client.analyze("pathology", b"x").id == "a-1"
        assert len(server.answers.keys) == 3
        assert len(set(server.answers.keys)) == 1
        assert server.answers.keys[0]
        client.analyze("pathology", b"x")
        assert server.answers.keys[3] != server.answers.keys[0]
        client.analyze("pathology", b"x", idempotency_key="mine")
        assert server.answers.keys[4] == "mine"


def test_an_analysis_that_may_have_been_made_is_sent_again_under_its_key(
    serve: Callable[[Iterable[Answer]], Server]
) -> None:
    with serve([CUT, CORRUPT]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        with pytest.raises(InputRefused):
            client.analyze("pathology", b"x")
        assert server.answers.asked == 2
        assert len(set(server.answers.keys)) == 1
        assert server.answers.keys[0]


def test_the_gateways_own_wish_for_a_pause_is_respected_and_never_beyond_the_callers_time() -> None:
    with RestServer([OVERLOADED]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        started = time.monotonic()
        client.domains()
        assert time.monotonic() - started >= 1
    with RestServer([MINUTE]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        started = time.monotonic()
        with pytest.raises(Busy) as busy:
            client.domains(timeout_s=0.5)
        assert busy.value.retry_after_s == 60
        assert time.monotonic() - started < 30


def test_a_gateway_that_says_nothing_is_waited_for_as_long_as_the_caller_says() -> None:
    with RestServer([SILENT] * 9) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        started = time.monotonic()
        with pytest.raises(TimedOut, match=r"within 0\.3 s"):
            client.domains(timeout_s=0.3)
        assert time.monotonic() - started < 5


def test_something_that_is_no_gateway_is_called_so_and_a_proxy_without_one_is_asked_again() -> None:
    with (
        RestServer(["200 OK"]) as server, Client(server.url, trust_env=False) as client,
        pytest.raises(HedgerowError, match="is no Hedgerow gateway"),
    ):
        client.domains()
    with RestServer(["502 Bad Gateway"]) as server, Client(server.url, retries=QUICK, trust_env=False) as client:
        assert client.domains()


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_an_analysis_that_found_nobody_was_certainly_not_made(scheme: str) -> None:
    retries = Retries(attempts=2, first_pause_s=0.05)
    with Client(f"{scheme}://127.0.0.1:9", retries=retries, trust_env=False) as client:
        with pytest.raises(Unreachable) as nobody:
            client.analyze("pathology", b"x")
        assert not nobody.value.maybe_processed


def test_a_gateway_that_starts_meanwhile_is_found() -> None:
    server = GrpcServer([])
    retries = Retries(attempts=20, first_pause_s=0.2, longest_pause_s=0.4)
    with Client(server.url, retries=retries) as client, ThreadPoolExecutor(1) as beside:
        asked = beside.submit(client.analyze, "pathology", b"x")
        time.sleep(0.6)
        assert not asked.done()
        with server:
            assert asked.result(10).id == "a-1"


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first_pause_s": 0}, {"first_pause_s": 2, "longest_pause_s": 1}])
def test_retries_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="retries"):
        Retries(**wrong)  # type: ignore[arg-type] # on purpose
