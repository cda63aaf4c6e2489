"""Every error has one code, and every code a status on each transport."""

import inspect
from typing import Any

import pytest

from domains import errors as domain_errors
from edge_runtime import errors as edge_errors
from gateway.grpc.status import STATUS as GRPC_STATUS
from gateway.rest.problems import STATUS as REST_STATUS
from gateway.rest.problems import to_problem
from gateway.service.errors import ErrorCode, ServiceError, translate

LEAVES = [
    kind
    for module in (domain_errors, edge_errors)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Exception) and not kind.__subclasses__()
]
UNFORESEEN = {edge_errors.TaskFailed}
"""This one's text reaches no caller by design: a failed task is INTERNAL."""
NEEDED: dict[type[Exception], dict[str, Any]] = {
    edge_errors.Overloaded: {"retry_after_s": 1.0},
    edge_errors.DeviceFault: {"kind": edge_errors.FaultKind.LOST},
}


def test_both_tables_are_total() -> None:
    assert set(REST_STATUS) == set(GRPC_STATUS) == set(ErrorCode)


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_of_the_lower_layers_has_a_code(kind: type[Exception]) -> None:
    error = kind("what is wrong", **NEEDED.get(kind, {}))
    told = translate(error)
    if kind in UNFORESEEN:
        assert told.code is ErrorCode.INTERNAL
        assert "what is wrong" not in str(told)
    else:
        assert told.code is not ErrorCode.INTERNAL
        assert str(told) == "what is wrong"


def test_the_text_of_an_unknown_exception_is_told_to_nobody() -> None:
    told = translate(KeyError("DOE^JANE"))
    assert told.code is ErrorCode.INTERNAL
    assert "DOE" not in str(to_problem(told, "id"))


def test_an_error_says_which_parameter_and_when_to_come_back() -> None:
    assert translate(domain_errors.UnknownExam("choose", parameter="exam")).parameter == "exam"
    assert translate(edge_errors.Overloaded("full", retry_after_s=2.0)).retry_after_s == 2.0
    assert to_problem(ServiceError(ErrorCode.NOT_FOUND, "x"), "id")["title"] == "Not found"
