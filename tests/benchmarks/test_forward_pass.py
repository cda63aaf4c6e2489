"""The size of what ships, and the table of forward passes."""

from benchmarks.forward_pass import LIMIT_MB, measure, page
from domains import registry
from edge_runtime.folders import find_packages


def test_all_shipped_packages_together_stay_within_their_limit() -> None:
    folders = [registry.models_folder(name) for name in registry.names()]
    total = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    assert 0 < total <= LIMIT_MB * 1e6


def test_every_variant_of_every_package_is_timed_and_every_package_weighed() -> None:
    found = measure(1)
    shipped = {folder.name for folder in find_packages([registry.models_folder(name) for name in registry.names()])}
    assert {row["model"] for row in found["passes"]} == shipped == set(found["size_mb"])
    assert all(0 < row["q1_ms"] <= row["median_ms"] <= row["q3_ms"] for row in found["passes"])
    text = page(found)
    assert "| svhn_digits | int8 |" in text
    assert f"{found['total_mb']} MB in all (40 allowed)" in text
