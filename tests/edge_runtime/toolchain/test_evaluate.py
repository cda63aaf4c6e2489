"""Held-out figures of a package, of each variant, over the gateway's own flow."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge_runtime.errors import PackageError
from edge_runtime.toolchain.evaluate import evaluate
from gateway.console.catalogue import figures_table
from tests.edge_runtime.toolchain.packaging import BREAST, breast_data


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> dict[str, Any]:
    """Of the breast package on three scans, with one foreign picture of each kind."""
    data = breast_data(tmp_path_factory.mktemp("data"))
    return evaluate("pathology", data, packages=[BREAST], variants=(), most_of_a_kind=1, say=said.append)


def test_every_variant_stands_beside_the_others_int8_first(report: dict[str, Any]) -> None:
    variants = report["models"]["breast_ultrasound"]["variants"]
    assert list(variants) == ["int8", "float32"]
    for row in variants.values():
        assert (row["cases"], row["groups"]) == (3, 3)
        assert set(row["figures"]["ece"]) == {"value", "low", "high"}
        assert row["calibration"]["coverage"] == 0.9
        assert sum(found["cases"] for found in row["calibration"]["bins"]) == 3
    assert len({row["sha256"] for row in variants.values()}) == 2


def test_the_gate_is_judged_on_each_kind_whose_data_are_there_and_the_others_are_named(report: dict[str, Any], said: list[str]) -> None:
    gate = report["models"]["breast_ultrasound"]["variants"]["int8"]["gate"]
    assert {"everyday", "document", "noise", "blank"} <= set(gate["kinds"])
    assert "breast_ultrasound" not in gate["kinds"], "it is what the model was made for"
    assert {row["pictures"] for row in gate["kinds"].values()} == {1}
    assert gate["own"]["pictures"] == 3
    assert gate["kinds"]["everyday"]["auroc"]["value"] == 1
    assert "chest_xray" not in gate["kinds"]
    assert "breast_ultrasound: int8: no pictures of the kind chest_xray: its data set isn't there" in said


def test_the_table_has_a_column_for_each_variant_and_a_row_for_each_kind(report: dict[str, Any]) -> None:
    console = Console(width=160, record=True)
    console.print(figures_table(report))
    text = console.export_text()
    assert "int8" in text
    assert "float32" in text
    assert "everyday: refused" in text
    assert "3 cases in 3 groups" in text


def test_a_variant_that_the_package_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="no variant for float16"):
        evaluate("pathology", breast_data(tmp_path), packages=[BREAST], variants=("float16",))
