"""The contract of WebhookSecretStore, over each database."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest

from gateway.service.jobs.signing import WebhookSecrets, new_secret
from gateway.store.database import Database, open_database
from gateway.store.webhook_secrets import SqlWebhookSecretStore
from tests.gateway.store.samples import NOON

DAY = timedelta(days=1)


@pytest.fixture
def store(database: Database) -> SqlWebhookSecretStore:
    """An empty store."""
    return SqlWebhookSecretStore(database)


def test_a_secret_is_made_at_first_need_and_stays(store: SqlWebhookSecretStore, url: str) -> None:
    first = WebhookSecrets("whsec_Zmlyc3Q=", NOON)
    assert store.obtain("clinic", "whsec_Zmlyc3Q=", NOON) == first
    assert store.obtain("clinic", "whsec_c2Vjb25k", NOON + DAY) == first
    with closing(open_database(url)) as another:
        assert SqlWebhookSecretStore(another).obtain("clinic", "whsec_dGhpcmQ=", NOON) == first


def test_tenants_have_secrets_of_their_own(store: SqlWebhookSecretStore) -> None:
    clinic, farm = store.obtain("clinic", new_secret(), NOON), store.obtain("farm", new_secret(), NOON)
    assert clinic.current != farm.current
    store.rotate("farm", new_secret(), NOON, overlap=DAY)
    assert store.obtain("clinic", new_secret(), NOON) == clinic


def test_of_those_that_need_the_first_one_at_once_all_get_the_same(store: SqlWebhookSecretStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        got = list(threads.map(lambda _: store.obtain("clinic", new_secret(), NOON), range(24)))
    assert len({secrets.current for secrets in got}) == 1


def test_a_new_secret_takes_over_and_the_one_before_goes_on_for_a_while(store: SqlWebhookSecretStore) -> None:
    store.obtain("clinic", "whsec_b2xk", NOON - DAY)
    rotated = WebhookSecrets("whsec_bmV3", NOON, "whsec_b2xk", NOON + DAY)
    assert store.rotate("clinic", "whsec_bmV3", NOON, overlap=DAY) == rotated
    assert store.obtain("clinic", "whsec_bm9uZQ==", NOON) == rotated


def test_a_second_rotation_ends_the_oldest_at_once(store: SqlWebhookSecretStore) -> None:
    store.obtain("clinic", "whsec_b2xk", NOON)
    store.rotate("clinic", "whsec_bmV3", NOON, overlap=DAY)
    again = store.rotate("clinic", "whsec_bmV3ZXI=", NOON, overlap=DAY)
    assert again.valid(NOON) == ("whsec_bmV3ZXI=", "whsec_bmV3")


def test_a_tenant_without_a_secret_gets_its_first_by_a_rotation(store: SqlWebhookSecretStore) -> None:
    assert store.rotate("clinic", "whsec_Zmlyc3Q=", NOON, overlap=DAY) == WebhookSecrets("whsec_Zmlyc3Q=", NOON)
