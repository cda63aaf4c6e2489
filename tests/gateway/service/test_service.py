"""Parts of the service that need no gateway around them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from gateway.console.files import collect
from gateway.service.errors import ErrorCode, ServiceError
from gateway.service.parameters import from_query, from_struct
from gateway.service.records import new_id


def test_ids_are_uuids_of_version_7_that_sort_by_time() -> None:
    made = [new_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert [text[:13] for text in made] == sorted(text[:13] for text in made)
    for text in made:
        assert UUID(text).version == 7
        assert UUID(text).variant == "specified in RFC 4122"
    stamped = datetime.fromtimestamp((UUID(made[0]).int >> 80) / 1000, UTC)
    assert abs(datetime.now(UTC) - stamped) < timedelta(seconds=5)


def test_query_parameters_that_read_as_numbers_are_numbers() -> None:
    given = [("exam", "lung"), ("frame", "3"), ("ground_resolution_mm", "0.5"), ("odd", "1e5"), ("neg", "-2"), ("word", "nan")]
    assert from_query(given) == {
        "exam": "lung", "frame": 3, "ground_resolution_mm": 0.5, "odd": "1e5", "neg": -2, "word": "nan",
    }
    with pytest.raises(ServiceError) as caught:
        from_query([("exam", "a"), ("exam", "b")])
    assert caught.value.code is ErrorCode.INVALID_ARGUMENT
    assert caught.value.parameter == "exam"


def test_whole_numbers_survive_protobufs_struct() -> None:
    assert from_struct({"frame": 3.0, "ground_resolution_mm": 0.5, "exam": "lung"}) == {
        "frame": 3, "ground_resolution_mm": 0.5, "exam": "lung",
    }


def test_folders_are_searched_for_pictures_and_dicom_files_without_a_suffix(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/c.dcm", "a/notes.txt", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "a" / "IM0001").write_bytes(bytes(128) + b"DICM")
    (tmp_path / "a" / "README").write_bytes(b"text")
    assert [item.name for item in collect([tmp_path])] == ["a/IM0001", "a/c.dcm", "b.JPG"]
    assert [item.name for item in collect([tmp_path / "a" / "notes.txt"])] == ["notes.txt"]
    with pytest.raises(FileNotFoundError):
        list(collect([tmp_path / "missing"]))
