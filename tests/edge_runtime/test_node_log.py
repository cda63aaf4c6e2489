"""The log of a node on its own."""

import json
import logging
import sys

from edge_runtime.server.log import Formatter


def line(form: str) -> str:
    try:
        raise ValueError("DOE^JANE")
    except ValueError:
        record = logging.LogRecord("edge_runtime.x", logging.WARNING, "x.py", 1, "it failed %d times", (2,), sys.exc_info())
    record.fields = {"peer": "10.0.0.1"}
    return Formatter(form).format(record)


def test_a_line_is_one_json_object_with_the_class_of_an_exception_and_not_its_text() -> None:
    shown = line("json")
    told = json.loads(shown)
    stamp = told.pop("timestamp")
    assert told == {"event": "it failed 2 times", "level": "warning", "peer": "10.0.0.1", "exception": "ValueError"}
    assert stamp.endswith("Z")
    assert "DOE" not in shown


def test_for_people_it_is_a_line_too() -> None:
    shown = line("console")
    assert shown.endswith("warning it failed 2 times peer=10.0.0.1 exception=ValueError")
    assert "\n" not in shown
