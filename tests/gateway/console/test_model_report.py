"""The table of `hedgerow model report`, as terminals of several widths show it."""

import io

from rich.console import Console

from gateway.console.model_report import report_view
from tests.edge_runtime.toolchain.report.made_reports import report, row


def shown(width: int) -> str:
    rows = row("float32", fatal="Model not quantized"), row("int8", main=0.785, classes={"a": 0.01, "[b]": -0.043}, speed=0.85)
    out = io.StringIO()
    Console(file=out, width=width).print(report_view(report(*rows), width))
    return out.getvalue()


def test_a_wide_terminal_has_all_in_one_table() -> None:
    lines = shown(220).splitlines()
    (int8,) = [line for line in lines if line.startswith("int8 ")]
    for cell in ("4,000,000", "3,900,000", "0.785 [0.735, 0.825]", "−1.5 [−4.5, +1.5]", "[b]: −4.3 (12)", "97.50 %",
                 "2.35 (2.24–2.59)", "0.85x", "20.0", "8/9"):
        assert cell in int8
    (float32,) = [line for line in lines if line.startswith("float32 ")]
    assert float32.split().count("–") == 4, "nothing to compare, nothing to map"
    assert any("Edge TPU: float32: Model not quantized." in line for line in lines)


def test_a_narrow_terminal_breaks_no_number() -> None:
    text = shown(80)
    assert len([line for line in text.splitlines() if line.startswith("int8 ")]) == 2
    for cell in ("0.785 [0.735, 0.825]", "−1.5 [−4.5, +1.5]", "[b]: −4.3 (12)", "2.35 (2.24–2.59)"):
        assert cell in text
    assert max(map(len, text.splitlines())) <= 80
