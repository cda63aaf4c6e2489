"""How the gate's figures are counted, by kind of foreign picture."""

import pytest

from domains.core import Abstention, Box, Classification
from edge_runtime.toolchain.foreign_figures import Seen, gate_figures, seen

OWN = [Seen(f"patient {number // 2}", 1.0 + number / 100, refused=number == 9) for number in range(10)]


def row(*shares: float, **signals: float) -> Classification:
    return Classification(("a", "b"), shares, Box(0, 0, 1, 1), signals=signals)


def test_every_kind_is_told_by_itself_and_all_kinds_weigh_the_same() -> None:
    found = gate_figures(OWN, {
        "noise": [Seen(str(number), 9.0, refused=True) for number in range(30)],
        "everyday": [Seen("cat", 0.5, refused=False), Seen("cup", 5.0, refused=True)],
    })
    assert found["own"]["refused"]["value"] == 0.1
    assert (found["own"]["pictures"], found["own"]["groups"]) == (10, 5)
    noise, everyday = found["kinds"]["noise"], found["kinds"]["everyday"]
    assert (noise["auroc"]["value"], noise["refused"]["value"], noise["fitted"]) == (1.0, 1.0, True)
    assert (everyday["auroc"]["value"], everyday["refused"]["value"], everyday["fitted"]) == (0.5, 0.5, False)
    assert found["foreign"]["auroc"]["value"] == found["foreign"]["refused"]["value"] == 0.75


def test_intervals_are_over_groups_of_own_and_foreign_pictures() -> None:
    found = gate_figures(OWN, {"everyday": [Seen("cat", 0.5, refused=False)] * 5 + [Seen("cup", 5.0, refused=True)] * 5})
    everyday = found["kinds"]["everyday"]
    assert (everyday["auroc"]["low"], everyday["auroc"]["high"]) == (0.0, 1.0), "two groups can't say more"
    assert found["own"]["refused"]["low"] == 0
    assert found["own"]["refused"]["high"] == pytest.approx(0.3, abs=0.11)


def test_equally_familiar_pictures_are_told_apart_by_chance() -> None:
    assert gate_figures(OWN[:1], {"noise": [Seen("a", 1.0, refused=False)]})["kinds"]["noise"]["auroc"]["value"] == 0.5


def test_a_result_without_the_signal_is_of_a_model_without_a_gate() -> None:
    known = row(0.5, 0.5, unfamiliarity=2.0)
    unsure = Classification(("a", "b"), (0.5, 0.5), Box(0, 0, 1, 1), abstention=Abstention("low_confidence", ""),
                            signals={"unfamiliarity": 3.0})
    assert seen("p", [row(0.5, 0.5), known, unsure]) == [Seen("p", 2.0, refused=False), Seen("p", 3.0, refused=False)]
