"""What is read from `Hedgerow-Consent`, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.commands.analyze import Consent
from gateway.rest.consent import consents
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.leaving.consent import CONSENTS, check_consents


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ()),
        ([""], ()),
        (["cloud"], ("cloud",)),
        (["cloud, learning"], ("cloud", "learning")),
        (["learning,cloud"], ("cloud", "learning")),
        (["learning", " Cloud "], ("cloud", "learning")),
        (["cloud, cloud,,"], ("cloud",)),
    ],
)
def test_consents_are_read_in_any_order_and_count_once(values: list[str], expected: tuple[str, ...]) -> None:
    assert consents(values) == expected


@pytest.mark.parametrize("value", ["clowd", "cloud learning", "cloud; learning", "*", "all", "true", "cloud, leaving", '"cloud"'])
def test_a_word_that_is_no_consent_is_refused_by_the_name_of_the_header(value: str) -> None:
    with pytest.raises(ServiceError, match="choose from cloud, learning") as refused:
        consents([value])
    assert (refused.value.code, refused.value.parameter) == (ErrorCode.INVALID_ARGUMENT, "Hedgerow-Consent")
    assert "clowd" not in str(refused.value)


@given(st.lists(st.text(), max_size=4))
def test_no_text_gives_a_consent_that_it_does_not_name(values: list[str]) -> None:
    try:
        found = consents(values)
    except ServiceError:
        return
    assert all(any(word in value.lower() for value in values) for word in found)


@given(st.lists(st.sampled_from(CONSENTS)))
def test_given_consents_stay_as_they_are_when_they_are_checked_again(words: list[str]) -> None:
    found = check_consents(words, "consents")
    assert set(found) == set(words)
    assert check_consents(found, "consents") == found


def test_the_command_line_offers_every_consent_there_is() -> None:
    assert tuple(Consent) == CONSENTS
