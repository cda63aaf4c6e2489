"""Which version answers, what becomes of one on trial, and what callers notice of it: nothing but better answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from domains.errors import CorruptMedia, DomainError
from edge_runtime.errors import (
    DeadlineExceeded,
    EdgeError,
    InputBreaksWorker,
    ModelUnavailable,
    NodeLost,
    Overloaded,
    PackageError,
    TaskFailed,
)
from edge_runtime.node import Answer
from edge_runtime.scheduler import Priority
from edge_runtime.wire import NodeState
from gateway.service import running_trial, trials
from gateway.service.ports import RolloutStore
from gateway.service.provenance import provenance_of
from gateway.service.records import Analysis, Deployment, Disagreement, Trial, new_id
from gateway.service.rollout import Mode, Tally
from gateway.service.trials import Rollouts
from tests.versioned_node import BUSY, IDLE, Behaviour, VersionedNode

LUNG = "lung_ultrasound"
BREAST = "breast_ultrasound"
NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _compare_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_trial, "COMPARE_AFTER_S", 0.0)


class MemoryStore(RolloutStore):
    """Keeps what it is given; `broken` makes it fail."""

    def __init__(self, *rows: Deployment) -> None:
        self.rows = {row.model: row for row in rows}
        self.found: list[Disagreement] = []
        self.broken = False

    def deployments(self) -> Sequence[Deployment]:
        if self.broken:
            raise OSError("disk full")
        return list(self.rows.values())

    def save(self, deployment: Deployment) -> None:
        if self.broken:
            raise OSError("disk full")
        self.rows[deployment.model] = deployment

    def add(self, disagreement: Disagreement, *, keep: int) -> bool:
        assert keep == 1000
        if self.broken:
            raise OSError("disk full")
        self.found.append(disagreement)
        return True

    def disagreements(self, tenant: str, model: str, *, before_id: str | None, limit: int) -> Sequence[Disagreement]:
        raise AssertionError((tenant, model, before_id, limit))


@dataclass
class Gateway:
    """Rollouts over a node, used as the analysis service uses them."""

    node: VersionedNode
    store: MemoryStore
    rollouts: Rollouts
    answers: list[str] = field(default_factory=list)
    """The versions that callers were answered by."""

    async def ask(self, request_id: str = "", *, model: str | None = LUNG, timeout_s: float = 5.0) -> Answer:
        """One request, stored and observed; `model` None doesn't name it."""
        parameters = {} if model is None else {"exam": model}
        answer = await self.rollouts.analyse(
            "pathology", b"x", parameters, request_id=request_id or new_id(), priority=Priority.INTERACTIVE,
            timeout_s=timeout_s, tenant="clinic",
        )
        self.answers.append(answer.reply.model["version"])
        self.rollouts.observe(analysis_of(answer), b"x", parameters)
        return answer

    async def ask_often(self, times: int) -> None:
        """One after the other, each with time to be compared."""
        for _ in range(times):
            await self.ask()
            await settled()

    async def try_out(self, version: str, mode: Mode, *, share: float = 1.0, allowed: float = 0.1, model: str = LUNG) -> None:
        """Puts a version on trial."""
        trial = Trial(version, mode, NOW, share, allowed)
        await self.rollouts.change(model, lambda row: replace(row, trial=trial))

    def tally(self, model: str = LUNG) -> Tally:
        """The counters of the trial that is on."""
        trial = self.rollouts.deployment(model).trial
        assert trial is not None
        return trial.tally


def analysis_of(answer: Answer) -> Analysis:
    model = answer.reply.model["name"]
    return Analysis(
        id=new_id(), tenant="clinic", domain="pathology", created_at=datetime.now(UTC), request_id="r", model=model,
        label=answer.reply.document["label"], abstained=False, parameters={}, media={}, result=answer.reply.document,
        provenance=provenance_of(answer),
    )


async def settled() -> None:
    """Lets comparisons and what follows from them run."""
    for _ in range(5):
        await asyncio.sleep(0.002)


def run(
    test: Callable[[Gateway], Awaitable[None]], *rows: Deployment, node: VersionedNode | None = None, restore: bool = True,
    **candidates: Behaviour,
) -> None:
    """Runs a test against lung and breast models of version 1.0.0; `v1_1_0=...` adds the version 1.1.0 of the former."""

    async def whole() -> None:
        used = node or VersionedNode({LUNG: "1.0.0", BREAST: "1.0.0"})
        for name, behaviour in candidates.items():
            used.versions[LUNG, name.removeprefix("v").replace("_", ".")] = behaviour
        store = MemoryStore(*rows)
        rollouts = Rollouts(used, store)
        if restore:
            await rollouts.restore()
        try:
            await test(Gateway(used, store, rollouts))
        finally:
            await rollouts.close()

    asyncio.run(asyncio.wait_for(whole(), 30))


def test_without_a_trial_a_request_runs_as_the_caller_asked() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.ask(timeout_s=3.0)
        await settled()
        (only,) = gateway.node.runs
        assert (only.track, only.version, only.priority, only.tenant) == ("active", "1.0.0", Priority.INTERACTIVE, "clinic")
        assert only.timeout_s == pytest.approx(3.0, abs=0.1)
        assert gateway.node.served == [], "a gateway without versions of its own tells its node nothing"

    run(test)


def test_callers_never_get_the_answer_of_a_shadow_and_each_is_compared() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow", allowed=1.0)
        await gateway.ask_often(40)
        assert set(gateway.answers) == {"1.0.0"}
        tally = gateway.tally()
        assert (tally.runs, tally.compared, tally.disagreed, tally.skipped) == (40, 40, 40, 0)
        shadows = [one for one in gateway.node.runs if one.track == "candidate"]
        assert len(shadows) == 40
        assert {(one.version, one.priority, one.tenant) for one in shadows} == {("1.1.0", Priority.BATCH, "")}

    run(test, v1_1_0=Behaviour("abnormal"))


def test_a_disagreement_is_listed_with_both_answers() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask_often(1)
        (found,) = gateway.store.found
        assert (found.model, found.tenant, found.mode, found.difference) == (LUNG, "clinic", "shadow", "label")
        assert (found.in_service_version, found.in_service.label) == ("1.0.0", "normal")
        assert (found.candidate_version, found.candidate.label) == ("1.1.0", "abnormal")
        assert found.candidate.values == {"normal": 0.1, "abnormal": 0.9}

    run(test, v1_1_0=Behaviour("abnormal"))


def test_a_shadow_that_disagrees_is_taken_out_and_the_devices_are_freed_of_it() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask_often(40)
        assert gateway.node.candidates == {}
        row = gateway.rollouts.deployment(LUNG)
        assert row.trial is None
        rollback = row.last_rollback
        assert rollback is not None
        assert (rollback.version, rollback.automatic) == ("1.1.0", True)
        assert "disagrees in 30 of 30 comparisons" in rollback.cause
        assert gateway.store.rows[LUNG] == row, "a restart doesn't bring it back"
        assert len(gateway.store.found) == 30
        assert sum(one.track == "candidate" for one in gateway.node.runs) == 30

    run(test, v1_1_0=Behaviour("abnormal"))


def test_a_candidate_that_agrees_stays() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask_often(150)
        assert (gateway.tally().compared, gateway.tally().disagreed) == (150, 0)
        assert gateway.node.candidates == {LUNG: "1.1.0"}
        assert gateway.store.found == []

    run(test, v1_1_0=Behaviour())


def test_a_canary_answers_its_share_and_the_same_request_id_always_goes_the_same_way() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "canary", share=0.25)
        for number in range(400):
            await gateway.ask(f"visit-{number}")
        assert 70 <= gateway.answers.count("1.1.0") <= 130
        first, gateway.answers = gateway.answers, []
        for number in range(400):
            await gateway.ask(f"visit-{number}")
        assert gateway.answers == first

    run(test, v1_1_0=Behaviour())


def test_a_canarys_answers_are_compared_with_the_version_in_service_and_it_goes_when_they_disagree() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "canary", share=0.5)
        await gateway.ask_often(120)
        assert gateway.answers.count("1.1.0") == 30
        assert set(gateway.answers[-20:]) == {"1.0.0"}
        rollback = gateway.rollouts.deployment(LUNG).last_rollback
        assert rollback is not None
        assert "disagrees in 30 of 30" in rollback.cause
        assert (gateway.store.found[0].in_service.label, gateway.store.found[0].candidate.label) == ("normal", "abnormal")

    run(test, v1_1_0=Behaviour("abnormal"))


def test_a_request_that_does_not_name_its_model_takes_part_where_only_one_model_is_on_trial() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "canary")
        await gateway.ask(model=None)
        gateway.node.versions[BREAST, "2.0.0"] = Behaviour()
        await gateway.try_out("2.0.0", "shadow", model=BREAST)
        await gateway.ask(model=None)
        assert gateway.answers == ["1.1.0", "1.0.0"]

    run(test, v1_1_0=Behaviour())


FAULTS = [TaskFailed("unforeseen"), ModelUnavailable("no variant"), CorruptMedia("broken"), DeadlineExceeded("late")]


@pytest.mark.parametrize("mode", ["shadow", "canary"])
@pytest.mark.parametrize("failure", FAULTS, ids=lambda failure: type(failure).__name__)
def test_no_caller_notices_a_candidate_that_fails_and_the_third_failure_ends_it(
    failure: DomainError | EdgeError, mode: Mode
) -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", mode)
        await gateway.ask_often(10)
        assert gateway.answers == ["1.0.0"] * 10
        rollback = gateway.rollouts.deployment(LUNG).last_rollback
        assert rollback is not None
        assert "3 of its last 3 runs failed" in rollback.cause

    run(test, v1_1_0=Behaviour(failure=failure))


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_candidate_that_breaks_a_worker_once_is_out_at_once(mode: Mode) -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", mode)
        await gateway.ask_often(3)
        assert gateway.answers == ["1.0.0"] * 3
        assert sum(one.version == "1.1.0" for one in gateway.node.runs) == 1
        rollback = gateway.rollouts.deployment(LUNG).last_rollback
        assert rollback is not None
        assert "broke or hung a worker" in rollback.cause

    run(test, v1_1_0=Behaviour(failure=InputBreaksWorker("twice")))


@pytest.mark.parametrize("failure", [Overloaded("full", retry_after_s=1), NodeLost("gone")], ids=["overloaded", "node lost"])
def test_a_candidate_is_not_blamed_for_a_full_queue_or_a_lost_node(failure: EdgeError) -> None:
    async def test(gateway: Gateway) -> None:
        for mode in ("shadow", "canary"):
            await gateway.try_out("1.1.0", mode)
            await gateway.ask_often(20)
            assert (gateway.tally().failed, gateway.tally().runs) == (0, 0)
        assert gateway.answers == ["1.0.0"] * 40

    run(test, v1_1_0=Behaviour(failure=failure))


def test_a_candidate_is_not_blamed_for_an_input_that_neither_version_answers() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "canary")
        gateway.node.versions[LUNG, "1.0.0"].failure = CorruptMedia("broken")
        for _ in range(10):
            with pytest.raises(CorruptMedia):
                await gateway.ask()
        assert gateway.tally() == Tally()

    run(test, v1_1_0=Behaviour(failure=CorruptMedia("broken")))


def test_a_candidate_that_hangs_costs_a_caller_half_the_deadline_and_no_answer() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "canary")
        started = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):  # this node keeps no deadline by itself
            await asyncio.wait_for(gateway.ask(timeout_s=0.4), 0.1)
        candidate = gateway.node.runs[-1]
        assert candidate.timeout_s == pytest.approx(0.2, abs=0.02)
        gateway.node.versions[LUNG, "1.1.0"] = Behaviour(takes_s=0.2, failure=DeadlineExceeded("late"))
        await gateway.ask(timeout_s=0.4)
        assert gateway.answers == ["1.0.0"]
        assert gateway.node.runs[-1].timeout_s == pytest.approx(0.2, abs=0.05)
        assert asyncio.get_running_loop().time() - started < 10

    run(test, v1_1_0=Behaviour(takes_s=60))


def test_a_candidate_over_twice_as_slow_is_taken_out_and_one_on_another_device_is_not_judged() -> None:
    async def test(gateway: Gateway) -> None:
        gateway.node.versions[LUNG, "1.1.0"].device = "an Edge TPU"
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask_often(40)
        assert gateway.tally().medians_ms() is None
        gateway.node.versions[LUNG, "1.1.0"].device = "2 cores"
        await gateway.ask_often(40)
        rollback = gateway.rollouts.deployment(LUNG).last_rollback
        assert rollback is not None
        assert "its median time over 30 pairs is 10.5 ms, 5.0 ms in service" in rollback.cause

    run(test, v1_1_0=Behaviour(infer_ms=10.5))


def test_nothing_is_compared_while_callers_wait_or_no_slot_is_free() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        for state in (BUSY, replace_state(running=2), replace_state(ready=False), replace_state(reachable=False)):
            gateway.node.state = state
            await gateway.ask_often(5)
        assert (gateway.tally().skipped, gateway.tally().compared) == (20, 0)
        assert {one.track for one in gateway.node.runs} == {"active"}
        gateway.node.state = IDLE
        await gateway.ask_often(1)
        assert gateway.tally().compared == 1

    run(test, v1_1_0=Behaviour())


def replace_state(**changes: Any) -> NodeState:
    return msgspec.structs.replace(IDLE, **changes)


def test_a_comparison_begins_when_the_answer_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(gateway: Gateway) -> None:
        monkeypatch.setattr(running_trial, "COMPARE_AFTER_S", 0.05)
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask()
        await settled()
        assert len(gateway.node.runs) == 1
        await asyncio.sleep(0.1)
        assert [one.track for one in gateway.node.runs] == ["active", "candidate"]

    run(test, v1_1_0=Behaviour())


def test_few_uploads_are_held_for_comparison_at_a_time() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        for _ in range(20):
            await gateway.ask()
        await settled()
        held = [one for one in gateway.node.runs if one.track == "candidate"]
        assert len(held) == running_trial.MAX_OUTSTANDING
        assert gateway.tally().skipped == 20 - running_trial.MAX_OUTSTANDING

    run(test, v1_1_0=Behaviour(takes_s=60))


def test_a_version_that_is_refused_changes_nothing() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask_often(3)
        before = gateway.rollouts.deployment(LUNG)
        with pytest.raises(PackageError, match="wrong answer"):
            await gateway.rollouts.change(LUNG, lambda row: replace(row, active="1.2.0", trial=None))
        assert gateway.rollouts.deployment(LUNG) == before
        assert (gateway.node.active, gateway.node.candidates) == ({}, {LUNG: "1.1.0"})
        assert gateway.store.rows[LUNG].active == ""
        await gateway.ask_often(3)
        assert gateway.tally().compared == 6, "the trial goes on"

    run(test, v1_1_0=Behaviour(), v1_2_0=Behaviour(refused="wrong answer"))


def test_a_version_that_could_not_be_remembered_is_not_served() -> None:
    async def test(gateway: Gateway) -> None:
        gateway.store.broken = True
        with pytest.raises(OSError, match="disk full"):
            await gateway.rollouts.change(LUNG, lambda row: replace(row, active="1.1.0"))
        assert gateway.node.active == {}
        await gateway.ask()
        assert gateway.answers == ["1.0.0"]

    run(test, v1_1_0=Behaviour())


def test_a_disagreement_that_could_not_be_stored_still_counts() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        gateway.store.broken = True
        await gateway.ask_often(5)
        assert gateway.tally().disagreed == 5
        gateway.store.broken = False

    run(test, v1_1_0=Behaviour("abnormal"))


def test_an_answer_that_comes_after_its_trial_was_replaced_counts_for_neither() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask()
        await settled()
        await gateway.try_out("1.2.0", "shadow")
        await asyncio.sleep(0.1)
        assert gateway.tally() == Tally()
        assert gateway.store.found == []

    run(test, v1_1_0=Behaviour("abnormal", takes_s=0.05), v1_2_0=Behaviour())


def test_an_answer_of_another_version_than_was_meant_is_not_compared() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        gateway.node.candidates = {}
        await gateway.ask_often(4)
        assert (gateway.tally().compared, gateway.tally().skipped, gateway.tally().runs) == (0, 4, 0)

    run(test, v1_1_0=Behaviour("abnormal"))


def test_a_caller_of_a_canary_that_turns_into_a_shadow_meanwhile_gets_the_version_in_service() -> None:
    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "canary")
        asked = asyncio.create_task(gateway.ask())
        await asyncio.sleep(0.01)
        await gateway.try_out("1.1.0", "shadow")
        await asked
        assert gateway.answers == ["1.0.0"]

    run(test, v1_1_0=Behaviour(takes_s=0.05))


def test_a_restart_serves_the_same_versions_and_goes_on_counting() -> None:
    stored = Deployment(LUNG, "1.1.0", ("",), Trial("1.2.0", "shadow", NOW, allowed_disagreement=0.2, tally=Tally(compared=25, disagreed=20)))

    async def test(gateway: Gateway) -> None:
        assert gateway.node.served == [({LUNG: "1.1.0"}, {LUNG: "1.2.0"})]
        await gateway.ask_often(5)
        assert gateway.answers == ["1.1.0"] * 5
        rollback = gateway.rollouts.deployment(LUNG).last_rollback
        assert rollback is not None
        assert "25 of 30" in rollback.cause

    run(test, stored, v1_1_0=Behaviour("abnormal"), v1_2_0=Behaviour())


def test_counters_survive_a_stop() -> None:
    kept: list[Deployment] = []

    async def test(gateway: Gateway) -> None:
        await gateway.try_out("1.1.0", "shadow")
        await gateway.ask_often(7)
        await gateway.rollouts.close()
        kept.extend(gateway.store.rows.values())

    run(test, v1_1_0=Behaviour())
    assert kept[0].trial is not None
    assert kept[0].trial.tally.compared == 7


def test_requests_that_come_before_the_versions_are_back_wait_for_them() -> None:
    async def test(gateway: Gateway) -> None:
        gateway.node.up.clear()
        restoring = asyncio.create_task(gateway.rollouts.restore())
        early = [asyncio.create_task(gateway.ask()) for _ in range(trials.MAX_HELD)]
        await asyncio.sleep(0.02)
        assert not gateway.rollouts.ready
        with pytest.raises(Overloaded, match="starting"):
            await gateway.ask()
        early[0].cancel()
        await asyncio.sleep(0)
        with pytest.raises(DeadlineExceeded):
            await gateway.ask(timeout_s=0.01)
        gateway.node.up.set()
        await restoring
        await asyncio.gather(*early[1:])
        assert set(gateway.answers) == {"1.1.0"}
        assert len(gateway.answers) == trials.MAX_HELD - 1

    run(test, Deployment(LUNG, "1.1.0"), restore=False, v1_1_0=Behaviour())


def test_a_version_that_can_not_be_served_after_a_restart_gives_way_and_the_reason_is_kept() -> None:
    rows = (
        Deployment(LUNG, "1.1.0", (), Trial("1.2.0", "shadow", NOW)), Deployment(BREAST, "2.0.0"),
        Deployment("knee_ultrasound", "1.0.0"),
    )

    async def test(gateway: Gateway) -> None:
        assert gateway.node.served[-1] == ({LUNG: "1.1.0", "knee_ultrasound": "1.0.0"}, {})
        assert "damaged" in gateway.rollouts.fault_of(LUNG)
        assert "not installed" in gateway.rollouts.fault_of(BREAST)
        assert gateway.rollouts.fault_of("knee_ultrasound") == ""
        assert gateway.rollouts.ready
        gateway.node.versions[BREAST, "2.1.0"] = Behaviour()
        await gateway.rollouts.change(BREAST, lambda row: replace(row, active="2.1.0"))
        assert gateway.rollouts.fault_of(BREAST) == ""

    node = VersionedNode({LUNG: "1.0.0", BREAST: "1.0.0"}, {("knee_ultrasound", "1.0.0"): Behaviour()})
    run(test, *rows, node=node, v1_1_0=Behaviour(), v1_2_0=Behaviour(refused="damaged"))


def test_a_node_that_is_still_starting_is_waited_for_before_versions_are_put_back() -> None:
    async def test(gateway: Gateway) -> None:
        gateway.node.state = replace_state(ready=False)
        restoring = asyncio.create_task(gateway.rollouts.restore())
        await asyncio.sleep(0.15)
        assert gateway.node.served == []
        gateway.node.state = IDLE
        await restoring
        assert gateway.node.served == [({LUNG: "1.1.0"}, {})]

    run(test, Deployment(LUNG, "1.1.0"), restore=False, v1_1_0=Behaviour())


def test_a_store_that_can_not_be_read_keeps_no_request_from_its_answer() -> None:
    async def test(gateway: Gateway) -> None:
        gateway.store.broken = True
        await gateway.rollouts.restore()
        await gateway.ask()
        assert gateway.answers == ["1.0.0"]
        gateway.store.broken = False

    run(test, Deployment(LUNG, "1.1.0"), restore=False, v1_1_0=Behaviour())


def test_changes_of_many_models_at_once_all_hold() -> None:
    async def test(gateway: Gateway) -> None:
        for model in (LUNG, BREAST):
            for number in range(1, 20):
                gateway.node.versions[model, f"1.0.{number}"] = Behaviour()

        async def change(model: str, version: str) -> None:
            await gateway.rollouts.change(model, lambda row: replace(row, active=version, previous=(*row.previous, row.active)))

        await asyncio.gather(*(change(model, f"1.0.{number}") for number in range(1, 20) for model in (LUNG, BREAST)))
        assert gateway.node.active == {LUNG: "1.0.19", BREAST: "1.0.19"}
        assert gateway.store.rows[LUNG].previous == ("", *(f"1.0.{number}" for number in range(1, 19)))

    run(test)
