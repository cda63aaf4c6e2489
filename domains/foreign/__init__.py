"""Pictures that a model was not made for, by kind: with them gates are fitted and judged. For the toolchain alone."""

from domains.foreign.kinds import MOST_OF_A_KIND, NEVER_FITTED, Foreign, kinds

__all__ = ["MOST_OF_A_KIND", "NEVER_FITTED", "Foreign", "kinds"]
