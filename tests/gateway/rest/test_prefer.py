"""What is read from `Prefer` and `Idempotency-Key`, and what is passed over or refused."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rest.prefer import Preferences, idempotency_key, preferences
from gateway.service.errors import ErrorCode, ServiceError


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async , WAIT=10"], Preferences(respond_async=True, wait_s=10)),
        (["wait=10", "respond-async"], Preferences(respond_async=True, wait_s=10)),
        (['respond-async, wait="10"'], Preferences(respond_async=True, wait_s=10)),
        (["respond-async; foo=bar, wait = 10 ; x"], Preferences(respond_async=True, wait_s=10)),
        (["wait=10, wait=20"], Preferences(wait_s=10)),
        (['respond-async=""'], Preferences(respond_async=True)),
        (["wait=0"], Preferences(wait_s=0)),
        (["wait=-1"], Preferences()),
        (["wait=1.5"], Preferences()),
        (["wait=99999999999999999999"], Preferences()),
        (["wait"], Preferences()),
        (["return=minimal, handling=lenient"], Preferences()),
        (['note="a, respond-async, b"'], Preferences()),
        (['note="a \\" b", respond-async'], Preferences(respond_async=True)),
        (['note="never closed, respond-async'], Preferences()),
        (["respond async"], Preferences()),
        ([",, ,respond-async,"], Preferences(respond_async=True)),
        (["respond-async-please"], Preferences()),
    ],
)
def test_preferences_are_heeded_in_every_form_that_rfc_7240_allows_and_others_are_passed_over(
    values: list[str], expected: Preferences
) -> None:
    assert preferences(values) == expected


@given(st.lists(st.text()))
def test_no_text_at_all_breaks_the_reading_of_preferences(values: list[str]) -> None:
    preferences(values)


@pytest.mark.parametrize("hostile", ['"' * 60_000, '\\"' * 30_000, "a=" * 30_000, "," * 60_000, "a;" * 30_000, " " * 60_000])
def test_a_long_header_takes_no_long_time(hostile: str) -> None:
    began = time.process_time()
    preferences([hostile])
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([], ""),
        (["visit-7"], "visit-7"),
        (['"visit-7"'], "visit-7"),
        ([' "visit-7" '], "visit-7"),
        (['"a \\"b\\" \\\\ c"'], 'a "b" \\ c'),
        (["two words, and a comma"], "two words, and a comma"),
        (["k" * 255], "k" * 255),
        (['"' + "k" * 255 + '"'], "k" * 255),
    ],
)
def test_a_key_is_the_same_quoted_or_bare(values: list[str], key: str) -> None:
    assert idempotency_key(values) == key


@pytest.mark.parametrize(
    "values",
    [[""], ['""'], ["k" * 256], ["Brüche"], ["tab\there"], ['"open'], ['"a"b"'], ['"a\\n"'], ['"a";x=1'], ["a", "a"], ["a\x00"], ["a\x7f"]],
)
def test_a_key_of_another_form_is_refused_without_being_quoted(values: list[str]) -> None:
    with pytest.raises(ServiceError) as refused:
        idempotency_key(values)
    assert (refused.value.code, refused.value.parameter) == (ErrorCode.INVALID_ARGUMENT, "Idempotency-Key")
    assert "open" not in str(refused.value)
