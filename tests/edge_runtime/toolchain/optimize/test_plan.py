"""The rules of fine-tuning."""

import pytest

from edge_runtime.toolchain.optimize.plan import PLAN, default_epochs, how
from edge_runtime.toolchain.variants import NAMES


@pytest.mark.parametrize(("pictures", "epochs"), [(100_000, 4), (2_400, 4), (1_600, 6), (430, 22), (3, 30)])
def test_few_pictures_are_seen_more_often_but_not_without_end(pictures: int, epochs: int) -> None:
    assert default_epochs(pictures) == epochs


def test_every_variant_says_how_it_is_made_and_no_two_the_same() -> None:
    assert list(PLAN) == list(NAMES)
    assert len({how(variant, 4) for variant in PLAN.values()}) == len(NAMES)
    assert how(PLAN["clustered_16_int8"], 4).startswith("the weights of each layer drawn to 16 values over 4 epochs; int8 throughout")


def test_a_combination_is_made_from_the_very_weights_of_what_it_combines() -> None:
    assert PLAN["pruned_80_int8"].base is PLAN["pruned_80_qat_int8"].base is PLAN["pruned_80"].base
    assert PLAN["clustered_16_int8"].base is PLAN["clustered_16"].base
