"""The object store: the same over a folder and over S3, with limits, and with errors that betray nothing."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.cloud import objects
from gateway.cloud.objects import ObjectFolder, StoreRefused, folder_at
from gateway.service.cloud.ports import CloudUnreachable
from tests.cloud_servers import S3Server

S3 = {"endpoint": "http://127.0.0.1:9", "region": "r", "access_key_id": "AKEY", "secret_access_key": "WORD", "allow_http": "true"}


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectFolder:
    if request.param == "folder":
        return ObjectFolder(tmp_path.as_uri())
    server: S3Server = request.getfixturevalue("s3_server")
    return ObjectFolder(f"s3://{server.new_bucket()}/some/place", server.options)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is said."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield listening.getsockname()[1]


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def paths(store: ObjectFolder, prefix: str = "") -> set[str]:
    return {one.path async for batch in store.list(prefix) for one in batch}


def test_what_is_put_is_got_again_and_may_be_replaced(store: ObjectFolder) -> None:
    async def test() -> None:
        assert await store.get("a/input") is None
        await store.put("a/input", b"first")
        await store.put("a/input", b"second")
        assert await store.get("a/input") == b"second"
        large = os.urandom(11_000_000)
        await store.put("a/large", large)
        assert await store.get("a/large", size_bytes=len(large)) == large

    in_loop(test)


def test_of_many_who_create_the_same_object_one_wins(store: ObjectFolder) -> None:
    async def test() -> None:
        won = await asyncio.gather(*(store.put_new("a/answer.json", bytes([number])) for number in range(16)))
        assert won.count(True) == 1
        assert await store.get("a/answer.json") == bytes([won.index(True)])

    in_loop(test)


def test_a_folder_is_listed_and_removed_without_its_neighbours(store: ObjectFolder) -> None:
    async def test() -> None:
        assert await paths(store) == set()
        for path in ("a/1", "a/b/2", "ab/3"):
            await store.put(path, b"x")
        assert await paths(store) == {"a/1", "a/b/2", "ab/3"}
        assert await paths(store, "a/") == {"a/1", "a/b/2"}
        await store.delete(["a/1", "never/there"])
        assert await paths(store) == {"a/b/2", "ab/3"}
        await store.delete_folder("a/")
        await store.delete_folder("a/")
        assert await paths(store) == {"ab/3"}

    in_loop(test)


def test_only_what_is_old_is_swept(store: ObjectFolder) -> None:
    async def test() -> None:
        await store.put("old/input", b"x")
        await asyncio.sleep(6)  # S3 tells whole seconds
        await store.put("new/input", b"x")
        assert await store.sweep(timedelta(hours=1)) == 0
        assert await store.sweep(timedelta(seconds=5)) == 1
        assert await paths(store) == {"new/input"}

    in_loop(test)


def test_a_store_that_works_is_left_as_it_was_found(store: ObjectFolder) -> None:
    async def test() -> None:
        await store.check()
        assert await paths(store) == set()

    in_loop(test)


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    """Its disk may not be mounted, and then workers would look elsewhere."""
    folder = tmp_path / "shared"
    folder.mkdir()
    store = ObjectFolder(folder.as_uri())
    folder.rmdir()

    async def test() -> None:
        with pytest.raises(CloudUnreachable, match="no such folder"):
            await store.put("a/input", b"x")
        with pytest.raises(CloudUnreachable, match="no such folder"):
            await store.get("a/input")

    in_loop(test)
    assert not folder.exists()


def test_a_bucket_that_is_missing_is_named(s3_server: S3Server) -> None:
    store = ObjectFolder("s3://not-there/x", s3_server.options)

    async def test() -> None:
        for asked in (store.put("a", b"x"), store.get("a"), store.check()):
            with pytest.raises(CloudUnreachable, match=r"s3://not-there/x at http://127\.0\.0\.1:[0-9]+ isn't there"):
                await asked

    in_loop(test)


def test_a_store_that_nobody_serves_is_told_without_its_keys() -> None:
    store = ObjectFolder("s3://bucket/x", S3 | {"endpoint": "http://USER:PASS@127.0.0.1:9"})

    async def test() -> None:
        for asked in (store.put("a", b"x"), store.put_new("a", b"x"), store.get("a"), store.sweep(timedelta()), store.delete(["a"])):
            with pytest.raises(CloudUnreachable) as caught:
                await asked
            assert str(caught.value) == "the object store s3://bucket/x at http://127.0.0.1:9 can't be reached"
            assert caught.value.__cause__ is None

    in_loop(test)
    assert store.where == "s3://bucket/x at http://127.0.0.1:9"


def test_a_store_that_says_nothing_holds_nobody_up(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "LIMIT_S", 0.5)
    store = ObjectFolder("s3://bucket", S3 | {"endpoint": f"http://127.0.0.1:{silent}"})

    async def test() -> None:
        began = time.monotonic()
        with pytest.raises(CloudUnreachable, match="no answer within"):
            await store.get("a")
        assert time.monotonic() - began < 20

    in_loop(test)


def test_a_full_disk_is_called_full(tmp_path: Path) -> None:
    assert objects._failing(OSError("Unable to write: No space left on device (os error 28)")) == "is full"
    assert objects._failing(OSError("Permission denied (os error 13)")) == "refuses the access"
    assert folder_at((tmp_path / "with space").as_uri()) == tmp_path / "with space"


@pytest.mark.parametrize(("url", "options", "why"), [
    ("file:///no/such/folder", {}, "there is no folder /no/such/folder"),
    ("file:///tmp", {"region": "r"}, "takes no options"),
    ("s3://bucket", S3 | {"colour": "blue"}, "no option colour"),
])
def test_an_address_that_can_not_be_is_refused(url: str, options: dict[str, str], why: str) -> None:
    with pytest.raises(StoreRefused, match=why):
        ObjectFolder(url, options)
