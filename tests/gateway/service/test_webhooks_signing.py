"""Signatures of webhooks."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from gateway.service.jobs.signing import WebhookSecrets, new_secret, signature, signed_headers
from tests.gateway.store.samples import NOON

# The example that Standard Webhooks publishes for those who write libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
MOMENT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example_is_signed_as_published() -> None:
    assert signed_headers([SECRET], MESSAGE, MOMENT, BODY) == {
        "webhook-id": MESSAGE, "webhook-timestamp": "1614265330", "webhook-signature": SIGNATURE,
    }


def test_a_signature_holds_for_one_message_at_one_time() -> None:
    others = [
        signature(SECRET, "msg_2", 1614265330, BODY), signature(SECRET, MESSAGE, 1614265331, BODY),
        signature(SECRET, MESSAGE, 1614265330, BODY + b" "), signature(new_secret(), MESSAGE, 1614265330, BODY),
    ]
    assert len({SIGNATURE, *others}) == 5


def test_two_secrets_give_two_signatures() -> None:
    other = new_secret()
    both = signed_headers([other, SECRET], MESSAGE, MOMENT, BODY)["webhook-signature"].split(" ")
    assert both == [signature(other, MESSAGE, 1614265330, BODY), SIGNATURE]


def test_a_new_secret_is_like_no_other_and_long_enough() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert {len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) for secret in made} == {32}


def test_the_secret_before_signs_until_its_time_is_over() -> None:
    secrets = WebhookSecrets("whsec_bmV3", NOON, "whsec_b2xk", NOON + timedelta(hours=1))
    assert secrets.valid(NOON) == ("whsec_bmV3", "whsec_b2xk")
    assert secrets.valid(NOON + timedelta(hours=1)) == ("whsec_bmV3",)
    assert WebhookSecrets("whsec_bmV3", NOON).valid(NOON) == ("whsec_bmV3",)


@pytest.mark.parametrize("text", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not base64", "whsec_abc"])
def test_what_is_no_secret_signs_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"secret|base64|padding"):
        signature(text, MESSAGE, 1614265330, BODY)
