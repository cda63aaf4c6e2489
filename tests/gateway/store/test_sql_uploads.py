"""The contract of UploadStore, over each database."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from gateway.service.records import new_id
from gateway.service.uploads.records import Upload, UploadState
from gateway.store.database import Database
from gateway.store.uploads import SqlUploadStore
from tests.gateway.store.samples import NOON

SIZE = 5_000_000_000


@pytest.fixture
def store(database: Database) -> SqlUploadStore:
    """An empty store."""
    return SqlUploadStore(database)


def new_upload(*, expires_at: datetime = NOON + timedelta(days=1)) -> Upload:
    """One of which nothing has arrived yet."""
    return Upload(
        id=new_id(), tenant="clinic", domain="pathology", parameters={"exam": "lung"}, size_bytes=SIZE,
        created_at=NOON, expires_at=expires_at, metadata={"checksum": "sha256"},
    )


def started(store: SqlUploadStore) -> Upload:
    """One that is stored."""
    upload = new_upload()
    store.create(upload)
    return upload


def test_an_upload_comes_back_as_it_went_in_to_its_tenant(store: SqlUploadStore) -> None:
    upload = started(store)
    assert store.get("clinic", upload.id) == upload
    assert store.get("farm", upload.id) is None
    assert store.get("clinic", "1") is None
    with pytest.raises(IntegrityError):
        store.create(upload)
    with pytest.raises(ValueError, match="UUIDv7"):
        store.create(replace(upload, id="1"))


def test_bytes_are_counted_from_where_the_upload_stands(store: SqlUploadStore) -> None:
    upload = started(store)
    assert store.advance("clinic", upload.id, offset=0, to=1000) is True
    assert store.advance("clinic", upload.id, offset=0, to=1000) is False
    assert store.advance("clinic", upload.id, offset=1000, to=999) is False
    assert store.advance("clinic", upload.id, offset=1000, to=SIZE + 1) is False
    assert store.advance("farm", upload.id, offset=1000, to=SIZE) is False
    assert store.advance("clinic", "1", offset=0, to=1) is False
    assert store.advance("clinic", upload.id, offset=1000, to=SIZE) is True
    assert store.get("clinic", upload.id) == replace(upload, offset=SIZE)


def test_of_two_requests_that_go_on_at_one_place_one_is_taken(store: SqlUploadStore) -> None:
    upload = started(store)
    with ThreadPoolExecutor(8) as threads:
        moved = list(threads.map(lambda to: store.advance("clinic", upload.id, offset=0, to=to), range(1, 17)))
    assert sum(moved) == 1
    assert store.get("clinic", upload.id) == replace(upload, offset=moved.index(True) + 1)


def test_an_upload_is_complete_once_with_all_its_bytes(store: SqlUploadStore) -> None:
    upload, job_id = started(store), new_id()
    assert store.complete("clinic", upload.id, job_id) is False
    store.advance("clinic", upload.id, offset=0, to=SIZE)
    assert store.complete("farm", upload.id, job_id) is False
    assert store.complete("clinic", upload.id, job_id) is True
    assert store.complete("clinic", upload.id, new_id()) is False
    assert store.abort("clinic", upload.id) is False
    assert store.get("clinic", upload.id) == replace(upload, offset=SIZE, state=UploadState.COMPLETE, job_id=job_id)


def test_an_upload_that_was_ended_takes_no_more_bytes(store: SqlUploadStore) -> None:
    upload = started(store)
    assert store.abort("farm", upload.id) is False
    assert store.abort("clinic", upload.id) is True
    assert store.abort("clinic", upload.id) is False
    assert store.advance("clinic", upload.id, offset=0, to=SIZE) is False
    assert store.complete("clinic", upload.id, new_id()) is False
    assert store.get("clinic", upload.id) == replace(upload, state=UploadState.ABORTED)


def test_uploads_whose_time_is_over_take_no_more_bytes_and_are_named_until_removed(store: SqlUploadStore) -> None:
    first, second, third = (new_upload(expires_at=NOON + timedelta(hours=hour)) for hour in (1, 2, 3))
    for upload in (third, second, first):
        store.create(upload)
    store.advance("clinic", second.id, offset=0, to=SIZE)
    store.complete("clinic", second.id, first.id)
    now = NOON + timedelta(hours=2)
    assert [upload.id for upload in store.expired(now, limit=1)] == [first.id]
    over = store.expired(now, limit=9)
    assert [(upload.id, upload.state) for upload in over] == [
        (first.id, UploadState.ABORTED), (second.id, UploadState.COMPLETE)
    ]
    assert store.advance("clinic", first.id, offset=0, to=SIZE) is False
    store.remove([upload.id for upload in over])
    store.remove([first.id])
    store.remove([])
    assert list(store.expired(now, limit=9)) == []
    assert store.get("clinic", first.id) is None
    assert store.get("clinic", third.id) == third
