"""Several nodes as one, whatever becomes of them: nodes that do as the test says, in this process."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from domains.errors import CorruptMedia, UnknownDomain
from edge_runtime.errors import (
    DeadlineExceeded,
    DeviceFault,
    EdgeError,
    FaultKind,
    InputBreaksWorker,
    ModelUnavailable,
    NodeLost,
    NodeRefused,
    NodeStopped,
    Overloaded,
    PackageError,
    TaskFailed,
)
from edge_runtime.fleet import Fleet
from edge_runtime.inference import Tensor
from edge_runtime.node import Answer
from edge_runtime.scheduler import Priority
from edge_runtime.wire import TensorSpec
from tests.scripted_node import LUNG, ScriptedNode, until


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


async def ask(fleet: Fleet, *, timeout_s: float = 10.0, exam: str = LUNG, payload: bytes = b"picture") -> Answer:
    return await fleet.analyse(
        "pathology", payload, {"exam": exam}, priority=Priority.INTERACTIVE, timeout_s=timeout_s, tenant="clinic",
        track="candidate",
    )


def by_node(answers: list[Answer]) -> dict[str, int]:
    return {name: sum(answer.node == name for answer in answers) for name in {answer.node for answer in answers}}


def test_between_equals_the_embedded_node_answers() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        answers = [await ask(fleet) for _ in range(10)]
        assert by_node(answers) == {"embedded": 10}
        assert answers[0].reason == "embedded was expected to answer first: it is the only one"
        assert (embedded.runs[0].tenant, embedded.runs[0].track) == ("clinic", "candidate")

    in_loop(test)


def test_work_that_comes_at_once_is_shared_by_speed() -> None:
    async def test() -> None:
        fleet = Fleet([ScriptedNode("embedded", takes_s=0.04), ScriptedNode("field", takes_s=0.02)])
        await asyncio.gather(*(ask(fleet) for _ in range(20)))
        shares = by_node(await asyncio.gather(*(ask(fleet) for _ in range(60))))
        assert 30 <= shares["field"] <= 50

    in_loop(test)


def test_a_node_that_goes_away_costs_no_task_its_answer() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded", takes_s=0.02), ScriptedNode("field", takes_s=0.02)
        fleet = Fleet([embedded, field])
        burst = [asyncio.create_task(ask(fleet)) for _ in range(100)]
        await until(lambda: field.running)
        field.lose()
        answers = await asyncio.gather(*burst)
        moved = [answer for answer in answers if "node field was lost" in answer.reason]
        assert moved
        assert {answer.node for answer in moved} == {"embedded"}
        assert {answer.attempts for answer in moved} == {2}
        assert moved[0].reason == "node field was lost; ran on embedded: it is the only one"

    in_loop(test)


def test_a_node_that_comes_back_takes_work_again() -> None:
    async def test() -> None:
        field = ScriptedNode("field")
        fleet = Fleet([ScriptedNode("embedded", takes_s=0.3, slots=1), field])
        field.lose()
        slow = [asyncio.create_task(ask(fleet)) for _ in range(2)]
        await asyncio.sleep(0.01)
        field.come_back()
        assert (await ask(fleet)).node == "field"
        await asyncio.gather(*slow)

    in_loop(test)


@pytest.mark.parametrize(("failure", "told"), [
    (NodeLost("x"), "was lost"),
    (NodeStopped("x"), "was stopping"),
    (NodeRefused("x"), "refused this gateway"),
    (ModelUnavailable("x"), "lacked the model"),
    (DeviceFault("x", kind=FaultKind.LOST), "had no device for it"),
    (Overloaded("x", retry_after_s=1.0), "was full"),
    (DeadlineExceeded("x"), "was too slow for its deadline"),
], ids=lambda value: type(value).__name__)
def test_what_one_node_cannot_do_another_one_does(failure: EdgeError, told: str) -> None:
    async def test() -> None:
        fleet = Fleet([ScriptedNode("embedded", fails=failure), ScriptedNode("field")])
        answer = await ask(fleet)
        assert answer.reason == f"node embedded {told}; ran on field: it is the only one"
        assert answer.attempts == 2

    in_loop(test)


@pytest.mark.parametrize("failure", [
    CorruptMedia("x"), InputBreaksWorker("x"), TaskFailed("x"), RuntimeError("x"),
], ids=lambda value: type(value).__name__)
def test_what_the_input_is_guilty_of_is_asked_of_no_other_node(failure: Exception) -> None:
    async def test() -> None:
        field = ScriptedNode("field")
        with pytest.raises(type(failure)):
            await ask(Fleet([ScriptedNode("embedded", fails=failure), field]))
        assert not field.runs

    in_loop(test)


def test_where_every_node_is_full_the_caller_is_told_so_at_once() -> None:
    async def test() -> None:
        full = Overloaded("the queue is full", retry_after_s=2.5)
        fleet = Fleet([ScriptedNode("embedded", fails=full), ScriptedNode("field", fails=ModelUnavailable("no such"))])
        with pytest.raises(Overloaded) as caught:
            await ask(fleet)
        assert caught.value.retry_after_s == 2.5

    in_loop(test)


def test_a_task_that_takes_node_after_node_down_is_given_up() -> None:
    async def test() -> None:
        nodes = [ScriptedNode(f"node-{number}", fails=NodeLost("x")) for number in range(3)]
        with pytest.raises(NodeLost, match="5 times"):
            await ask(Fleet(nodes))
        assert [len(node.runs) for node in nodes] in ([2, 2, 1], [3, 1, 1])

    in_loop(test)


def test_without_any_node_a_task_waits_for_one_and_says_how_long() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        for node in (embedded, field):
            node.lose()
        waiting = asyncio.create_task(ask(fleet))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        field.come_back()
        answer = await waiting
        assert answer.reason.endswith("it was queued for 0.3 s until a node was back")

    in_loop(test)


def test_a_task_waits_for_the_node_that_has_its_model() -> None:
    async def test() -> None:
        field = ScriptedNode("field", models_served=("other",))
        fleet = Fleet([ScriptedNode("embedded"), field])
        field.lose()
        waiting = asyncio.create_task(ask(fleet, exam="other"))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        field.come_back()
        assert (await waiting).node == "field"

    in_loop(test)


def test_where_no_node_comes_the_deadline_ends_the_wait_and_says_why() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        for node in (embedded, field):
            node.lose()
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="no node was in service"):
            await ask(fleet, timeout_s=0.2)
        assert time.monotonic() - started < 10

    in_loop(test)


@pytest.mark.parametrize("bounds", [{"max_waiting": 2}, {"max_waiting_bytes": 20}])
def test_what_waits_for_a_node_is_bounded(bounds: dict[str, int]) -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field], **bounds)
        for node in (embedded, field):
            node.lose()
        waiting = [asyncio.create_task(ask(fleet, timeout_s=1.0, payload=b"8 bytes.")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await ask(fleet, payload=b"8 bytes.")
        field.come_back()
        assert len(await asyncio.gather(*waiting)) == 2

    in_loop(test)


def test_a_domain_that_there_is_not_is_told_though_no_node_is_there() -> None:
    async def test() -> None:
        field = ScriptedNode("field", address="field.example:8090")
        fleet = Fleet([field])
        field.lose()
        with pytest.raises(UnknownDomain):
            await fleet.analyse("x", b"", {}, priority=Priority.LIVE, timeout_s=5)

    in_loop(test)


def test_a_stuck_task_is_run_elsewhere_too_once_and_the_first_answer_counts() -> None:
    async def test() -> None:
        embedded, field, third = ScriptedNode("embedded"), ScriptedNode("field"), ScriptedNode("third")
        fleet = Fleet([embedded, field, third])
        await ask(fleet)
        embedded.takes_s = 30.0
        started = time.monotonic()
        answer = await ask(fleet)
        assert 0.9 < time.monotonic() - started < 10
        assert (answer.node, answer.attempts) == ("field", 2)
        assert answer.reason == "node embedded took longer than expected; ran on field: it is the only one"
        await until(lambda: embedded.cancelled == 1)
        assert not third.runs
        assert (await ask(fleet)).node == "field", "the stuck node is not asked at once again"

    in_loop(test)


def test_a_slow_task_stays_where_it_is_while_no_other_node_is_free() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded", slots=1), ScriptedNode("field", slots=1, takes_s=4.0)
        fleet = Fleet([embedded, field])
        busy = asyncio.create_task(field.analyse("pathology", b"", {}, priority=Priority.LIVE, timeout_s=9))
        other = asyncio.create_task(field.analyse("pathology", b"", {}, priority=Priority.LIVE, timeout_s=9))
        embedded.takes_s = 1.5
        assert (await ask(fleet)).node == "embedded"
        assert len(field.runs) == 2
        for task in (busy, other):
            task.cancel()

    in_loop(test)


def test_a_node_slowed_tenfold_gets_no_more_than_a_try_now_and_then_until_it_is_well() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded", takes_s=0.02), ScriptedNode("field", takes_s=0.02)
        fleet = Fleet([embedded, field])

        async def load(seconds: float) -> list[Answer]:
            tasks, ends = [], time.monotonic() + seconds
            while time.monotonic() < ends:
                tasks.append(asyncio.create_task(ask(fleet)))
                await asyncio.sleep(0.008)  # 125 a second: one node alone takes 100
            return list(await asyncio.gather(*tasks))

        before = by_node(await load(1.0))
        assert before["field"] > 0.15 * sum(before.values())
        field.takes_s = 0.2
        embedded.slots, embedded._free = 6, asyncio.Semaphore(6)  # it could do all of the work
        await load(1.0)
        slowed = by_node(await load(2.0))
        assert slowed.get("field", 0) < 0.05 * slowed["embedded"]
        field.takes_s = 0.0
        embedded.takes_s = 0.1
        await load(2.0)
        well = by_node(await load(0.5))
        assert well["field"] > well.get("embedded", 0)

    in_loop(test)


def test_drawing_is_the_first_ready_nodes_and_moves_on_when_that_is_lost() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        drawn = await fleet.render("overlay.png", {"a": 1}, {"b": 2}, {"mask.png": b"m"}, timeout_s=5)
        assert drawn == b"embedded: overlay.png ['mask.png'] {'a': 1} {'b': 2} True"
        embedded.lose()
        assert (await fleet.render("overlay.png", {}, {}, {}, timeout_s=5)).startswith(b"field")

    in_loop(test)


def test_a_caller_who_leaves_leaves_nothing_running() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded", takes_s=30.0), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        left = asyncio.create_task(ask(fleet))
        await until(lambda: embedded.running)
        left.cancel()
        await until(lambda: embedded.cancelled == 1 and not embedded.running)

    in_loop(test)


def test_stopping_ends_what_waits_for_a_node() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        for node in (embedded, field):
            node.lose()
        waiting = asyncio.create_task(ask(fleet))
        await asyncio.sleep(0.01)
        await fleet.stop()
        with pytest.raises(NodeStopped):
            await waiting

    in_loop(test)


def test_all_nodes_serve_what_they_are_told_and_those_away_are_left_for_later() -> None:
    async def test() -> None:
        nodes = [ScriptedNode(name) for name in ("embedded", "field", "away")]
        nodes[2].lose()
        await Fleet(nodes).serve({LUNG: "2.0.0"}, {})
        assert [node.served for node in nodes] == [[({LUNG: "2.0.0"}, {})], [({LUNG: "2.0.0"}, {})], []]

    in_loop(test)


def test_where_one_node_refuses_a_version_all_go_back_to_the_one_before() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        await fleet.serve({LUNG: "1.0.0"}, {})
        field.refuses = "model package lung_ultrasound: the known answer doesn't come out"
        with pytest.raises(PackageError, match="known answer"):
            await fleet.serve({LUNG: "2.0.0"}, {})
        assert [served[0] for served in embedded.served] == [{LUNG: "1.0.0"}, {LUNG: "2.0.0"}, {LUNG: "1.0.0"}]

    in_loop(test)


def test_without_a_node_that_could_check_them_versions_are_not_changed() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded"), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        for node in (embedded, field):
            node.lose()
        with pytest.raises(NodeLost):
            await fleet.serve({LUNG: "2.0.0"}, {})

    in_loop(test)


def test_models_and_domains_are_those_of_all_nodes() -> None:
    fleet = Fleet([ScriptedNode("embedded"), ScriptedNode("field", models_served=("other", LUNG))])
    assert [model.name for model in fleet.models()] == [LUNG, "other"]
    (domain,) = fleet.domains()
    assert domain.models == [LUNG, "other"]
    assert [state.name for state in fleet.states()] == ["embedded", "field"]


def test_two_nodes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        Fleet([ScriptedNode("a"), ScriptedNode("a")])


def test_tensors_of_a_node_that_is_lost_run_on_another() -> None:
    async def test() -> None:
        embedded, field = ScriptedNode("embedded", takes_s=5), ScriptedNode("field")
        fleet = Fleet([embedded, field])
        pixels = [Tensor(TensorSpec("pixels", "uint8", (3,)), b"\1\2\3")]
        asked = asyncio.create_task(fleet.infer(LUNG, pixels, priority=Priority.INTERACTIVE, timeout_s=10))
        await until(lambda: bool(embedded.running))
        embedded.lose()
        answer = await asked
        assert (answer.node, len(answer.tensors)) == ("field", 1)

    in_loop(test)
