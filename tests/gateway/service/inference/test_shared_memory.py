"""Shared memory: what a caller may name, and that nobody reaches beyond it."""

import os
from pathlib import Path

import pytest

from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.inference.shared_memory import MOST_REGIONS, Place, Region, SharedMemory

SIZE = 64


@pytest.fixture
def memory(tmp_path: Path) -> SharedMemory:
    (tmp_path / "cart_a").write_bytes(bytes(range(SIZE)))
    (tmp_path / "secret").write_bytes(b"not for callers" * 10)
    return SharedMemory("cart_", tmp_path)


def place(memory: SharedMemory, size: int, offset: int = 0, tenant: str = "clinic") -> Place:
    found = memory.place(tenant, "x", {
        "shared_memory_region": "a", "shared_memory_byte_size": size, "shared_memory_offset": offset,
    })
    assert found is not None
    return found


def test_a_region_is_read_and_written_in_its_own_part_of_the_memory(memory: SharedMemory, tmp_path: Path) -> None:
    memory.register("clinic", Region("a", "/cart_a", 8, 16))
    assert memory.read(place(memory, 4, 2)) == bytes(range(10, 14))
    memory.write(place(memory, 4, 12), "y", b"abcd")
    assert (tmp_path / "cart_a").read_bytes() == bytes(range(20)) + b"abcd" + bytes(range(24, SIZE))
    assert memory.place("clinic", "x", {}) is None


@pytest.mark.parametrize(("size", "offset"), [(17, 0), (16, 1), (-1, 0), (4, -1), (1.5, 0), (None, 0), (True, 0)])
def test_a_tensor_beyond_its_region_is_refused(memory: SharedMemory, size: int, offset: int) -> None:
    memory.register("clinic", Region("a", "cart_a", 8, 16))
    with pytest.raises(ServiceError, match="lies outside the region"):
        place(memory, size, offset)


@pytest.mark.parametrize("key", ["secret", "/secret", "cart_/../secret", "../secret", "/etc/passwd", "", "cart_none", "cart_a\0"])
def test_other_programs_memory_cant_be_named(memory: SharedMemory, key: str) -> None:
    with pytest.raises(ServiceError) as refused:
        memory.register("clinic", Region("a", key, 0, 8))
    assert refused.value.code is ErrorCode.INVALID_ARGUMENT


def test_a_link_or_a_pipe_is_no_memory(memory: SharedMemory, tmp_path: Path) -> None:
    (tmp_path / "cart_link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "cart_pipe")
    for key in ("cart_link", "cart_pipe"):
        with pytest.raises(ServiceError, match="isn't there, can't be opened"):
            memory.register("clinic", Region("a", key, 0, 8))


def test_memory_that_its_owner_cut_short_ends_an_inference_and_nothing_more(memory: SharedMemory, tmp_path: Path) -> None:
    memory.register("clinic", Region("a", "cart_a", 0, SIZE))
    os.truncate(tmp_path / "cart_a", 8)
    for use in (lambda: memory.read(place(memory, 16)), lambda: memory.write(place(memory, 16), "y", bytes(16))):
        with pytest.raises(ServiceError, match="is smaller than the region"):
            use()
    assert (tmp_path / "cart_a").stat().st_size == 8


def test_a_tenants_regions_are_its_own(memory: SharedMemory) -> None:
    memory.register("clinic", Region("a", "cart_a", 0, SIZE))
    assert memory.status("farm", "") == []
    with pytest.raises(ServiceError, match="isn't registered"):
        place(memory, 4, tenant="farm")
    with pytest.raises(ServiceError, match="in use by another tenant"):
        memory.register("farm", Region("b", "cart_a", 0, SIZE))
    memory.unregister("farm", "")
    assert [region.name for region in memory.status("clinic", "")] == ["a"]
    memory.unregister("clinic", "a")
    memory.register("farm", Region("b", "cart_a", 0, SIZE))


def test_names_are_taken_once_and_not_without_end(memory: SharedMemory) -> None:
    for number in range(MOST_REGIONS):
        memory.register("clinic", Region(str(number), "cart_a", 0, 8))
    with pytest.raises(ServiceError, match="registered already"):
        memory.register("clinic", Region("1", "cart_a", 0, 8))
    with pytest.raises(ServiceError, match=f"at most {MOST_REGIONS} regions"):
        memory.register("clinic", Region("more", "cart_a", 0, 8))


def test_an_output_that_doesnt_fit_isnt_written(memory: SharedMemory, tmp_path: Path) -> None:
    memory.register("clinic", Region("a", "cart_a", 0, SIZE))
    with pytest.raises(ServiceError, match="has 5 bytes, 4 were set aside"):
        memory.write(place(memory, 4), "y", b"abcde")
    assert (tmp_path / "cart_a").read_bytes() == bytes(range(SIZE))


def test_it_is_off_unless_a_prefix_is_set(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="HEDGEROW_SHARED_MEMORY_PREFIX turns it on"):
        SharedMemory("", tmp_path).register("clinic", Region("a", "cart_a", 0, 8))
