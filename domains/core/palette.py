"""Colours of classes in masks and overlays: Okabe and Ito's palette, told apart with any colour vision."""

Colour = tuple[int, int, int]

_COLOURS: tuple[Colour, ...] = (
    (0, 0, 0),
    (0, 158, 115),
    (213, 94, 0),
    (86, 180, 233),
    (240, 228, 66),
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
)


def colour_of(index: int) -> Colour:
    """RGB of a class; 0 is background and black, further ones repeat."""
    return _COLOURS[0] if index == 0 else _COLOURS[1 + (index - 1) % (len(_COLOURS) - 1)]
