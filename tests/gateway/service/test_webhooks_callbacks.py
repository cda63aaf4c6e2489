"""Which callbacks a caller may name, and which addresses results may be sent to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.jobs.callbacks import LONGEST_URL, check_callback, deliveries_of, may_go_to, origin_of
from tests.gateway.store.job_samples import new_job
from tests.gateway.store.samples import NOON


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://clinic.example/results", "https://clinic.example/results"),
        ("  HTTPS://Clinic.Example:443  ", "https://clinic.example/"),
        ("https://clinic.example:8443?a=b", "https://clinic.example:8443/?a=b"),
        ("https://bücher.example/ä b", "https://xn--bcher-kva.example/%C3%A4%20b"),
        ("https://93.184.215.14/x", "https://93.184.215.14/x"),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"),
        ("https://clinic.example/a%2Fb?c=%20", "https://clinic.example/a%2Fb?c=%20"),
    ],
)
def test_a_callback_is_kept_in_one_form(given: str, kept: str) -> None:
    assert check_callback(given, allow_private=False) == kept
    assert check_callback(kept, allow_private=False) == kept


PRIVATE = [
    "https://127.0.0.1/", "https://127.8.9.1/", "https://[::1]/", "https://10.0.0.8/", "https://192.168.1.4:8443/x", "https://172.20.0.1/",
    "https://100.64.3.2/", "https://[fd12::5]/", "https://[::ffff:10.0.0.8]/", "https://[64:ff9b::a00:8]/", "https://[2002:a00:8::]/",
    "https://localhost/", "https://db.localhost./",
]  # fmt: skip
NEVER = [
    "https://169.254.169.254/latest/meta-data", "https://[fd00:ec2::254]/", "https://100.100.100.200/", "https://168.63.129.16/",
    "https://192.0.0.192/", "https://[fe80::1]/", "https://224.0.0.5/", "https://[ff02::1]/", "https://0.0.0.0/", "https://[::]/",
    "https://255.255.255.255/", "https://240.1.2.3/", "https://[::ffff:169.254.169.254]/",
]  # fmt: skip
MALFORMED = [
    "", "clinic.example", "/results", "https://", "https:///x", "ftp://clinic.example/", "file:///etc/passwd", "gopher://clinic.example",
    "https://u:p@clinic.example/", "https://u@clinic.example/", "https://clinic.example/#part", "https://clinic.example/#",
    "https://127.1/", "https://0x7f.0.0.1/", "https://2130706433/", "https://0x7f000001/", "https://127.0.0.1./", "https://010.0.0.8/",
    "https://clinic.example:99999/", "https://clinic.example:x/", "https://clinic.example:0/", "https://clinic\r\nHost: x/", "https://clinic.example/\x00",
    "https://[::1/", "https://" + "a" * 64 + ".\ud800/", "https://clinic.example/" + "x" * LONGEST_URL,
]  # fmt: skip


def refusal(url: str, *, allow_private: bool) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        check_callback(url, allow_private)
    return error.value


@pytest.mark.parametrize("url", [*PRIVATE, *NEVER, *MALFORMED])
def test_a_callback_that_leads_inside_or_makes_no_sense_is_refused_by_its_name(url: str) -> None:
    error = refusal(url, allow_private=False)
    assert (error.code, error.parameter) == (ErrorCode.INVALID_ARGUMENT, "callback_url")
    assert str(error).startswith("callback_url ")


@pytest.mark.parametrize("url", [*NEVER, *MALFORMED])
def test_some_are_refused_also_where_private_ones_are_allowed(url: str) -> None:
    assert refusal(url, allow_private=True).parameter == "callback_url"


@given(st.sampled_from(["", "https://", "https://[", "https://clinic.example"]), st.text(max_size=30))
def test_whatever_a_caller_writes_is_kept_or_refused_and_breaks_nothing(beginning: str, rest: str) -> None:
    try:
        kept = check_callback(beginning + rest, allow_private=False)
    except ServiceError:
        return
    assert check_callback(kept, allow_private=False) == kept


@pytest.mark.parametrize("url", PRIVATE)
def test_private_ones_are_allowed_where_the_operator_says_so(url: str) -> None:
    assert check_callback(url, allow_private=True).startswith("https://")


def test_plain_http_is_for_private_networks() -> None:
    assert check_callback("http://nas.lan:8000/in", allow_private=True) == "http://nas.lan:8000/in"
    assert "https" in str(refusal("http://clinic.example/in", allow_private=False))


@pytest.mark.parametrize("text", ["", "clinic.example", "127.1", "fe80::1%eth0", "::1%lo"])
def test_what_is_no_address_or_one_of_a_single_link_is_not_gone_to(text: str) -> None:
    assert not may_go_to(text, allow_private=False)


@pytest.mark.parametrize("public", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_public_addresses_are_gone_to(public: str) -> None:
    assert may_go_to(public, allow_private=False)
    assert may_go_to(public, allow_private=True)


def test_a_receiver_is_a_scheme_a_host_and_a_port() -> None:
    for url in ("https://clinic.example:8443/a", "https://clinic.example:8443?a=/", "https://clinic.example:8443"):
        assert origin_of(url) == "https://clinic.example:8443"


def test_a_result_goes_to_the_address_that_its_job_names_and_nowhere_without_one() -> None:
    job = new_job()
    (delivery,) = deliveries_of(job, NOON)
    assert (delivery.job_id, delivery.tenant, delivery.url) == (job.id, "clinic", "https://clinic.example/results")
    assert (delivery.created_at, delivery.not_before, delivery.attempts) == (NOON, NOON, 0)
    assert deliveries_of(replace(job, callback=None), NOON) == ()
