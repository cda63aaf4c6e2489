"""The contract of KeyStore, over each database."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.store.database import Database, open_database
from gateway.store.keys import SqlKeyStore
from tests.gateway.store.samples import NOON, key


@pytest.fixture
def store(database: Database) -> SqlKeyStore:
    """An empty store."""
    return SqlKeyStore(database)


def test_a_key_comes_back_as_it_went_in(store: SqlKeyStore) -> None:
    store.add(key())
    assert store.find("abcd1234") == key()


def test_an_unknown_key_is_not_found(store: SqlKeyStore) -> None:
    store.add(key())
    assert store.find("abcd1235") is None
    assert store.find("ABCD1234") is None


def test_a_key_id_that_is_taken_is_refused_and_the_first_key_stays(store: SqlKeyStore) -> None:
    store.add(key())
    with pytest.raises(IntegrityError):
        store.add(key(age=timedelta(days=1)))
    assert store.all() == [key()]


def test_keys_are_listed_oldest_first(store: SqlKeyStore) -> None:
    for name, days in (("aaaaaaaa", 1), ("bbbbbbbb", 3), ("cccccccc", 2)):
        store.add(key(name, age=timedelta(days=days)))
    assert [found.id for found in store.all()] == ["bbbbbbbb", "cccccccc", "aaaaaaaa"]


def test_a_key_is_revoked_once_and_stays_listed_with_the_time(store: SqlKeyStore) -> None:
    store.add(key())
    store.add(key("other123"))
    assert store.revoke("abcd1234", NOON) is True
    assert store.revoke("abcd1234", NOON + timedelta(days=1)) is False
    assert store.revoke("unknown1", NOON) is False
    assert {found.id: found.revoked_at for found in store.all()} == {"abcd1234": NOON, "other123": None}


def test_a_key_made_by_another_process_works_at_once(store: SqlKeyStore, url: str) -> None:
    assert store.find("abcd1234") is None
    second = open_database(url)
    SqlKeyStore(second).add(key())
    second.close()
    assert store.find("abcd1234") == key()
