"""The scheduler's rules, one by one, as its file states them."""

from collections.abc import Mapping
from itertools import pairwise

import pytest

from edge_runtime.errors import DeadlineExceeded, Overloaded
from edge_runtime.scheduler import Priority, Reason, Rules, Scheduler, Ticket
from edge_runtime.wire import ModelCost

TPU = {"a": ModelCost(0.004, 0.010), "b": ModelCost(0.004, 0.010)}
CPU = {"a": ModelCost(0.060), "b": ModelCost(0.060)}


def ticket(
    number: int, *, priority: Priority = Priority.INTERACTIVE, deadline: float = 30.0, size: int = 10, tenant: str = "",
    model: str | None = "",
) -> Ticket:
    return Ticket(number, priority, deadline, size, tenant, model)


def scheduler(
    *, waiting: int = 100, size: int = 10_000, slots: int = 1, costs: Mapping[str, ModelCost] | None = None,
    rules: Rules | None = None,
) -> Scheduler:
    made = Scheduler(max_waiting=waiting, max_waiting_bytes=size, rules=rules or Rules())
    made.worker_ready("cpu", slots, costs or {}, accelerator=False)
    return made


def with_tpu(*, cpu: bool = True, slots: int = 1, rules: Rules | None = None, waiting: int = 1000) -> Scheduler:
    made = Scheduler(max_waiting=waiting, max_waiting_bytes=10_000, rules=rules or Rules())
    made.worker_ready("tpu", slots, TPU, accelerator=True)
    if cpu:
        made.worker_ready("cpu", 1, CPU, accelerator=False)
    return made


def offer(made: Scheduler, *tickets: Ticket, now: float = 0.0) -> None:
    for one in tickets:
        made.offer(one, now)


def assigned(made: Scheduler, now: float = 0.0) -> list[int]:
    return [assignment.task_id for assignment in made.assign(now)]


def placed(made: Scheduler, now: float = 0.0) -> dict[int, str]:
    return {assignment.task_id: assignment.worker for assignment in made.assign(now)}


def run_all(made: Scheduler, worker: str, *, each_s: float = 0.004, now: float = 0.0) -> list[int]:
    """The order in which one worker of one slot does all that it is given."""
    order: list[int] = []
    while (given := [a.task_id for a in made.assign(now) if a.worker == worker]):
        assert len(given) == 1
        now += each_s
        made.finished(worker, given[0], now)
        order += given
    return order


# Order


def test_live_goes_before_interactive_before_batch_whatever_came_first() -> None:
    made = scheduler(slots=3)
    for number, priority in ((1, Priority.BATCH), (2, Priority.INTERACTIVE), (3, Priority.LIVE)):
        offer(made, ticket(number, priority=priority))
    assert assigned(made) == [3, 2, 1]


def test_within_a_priority_the_earliest_deadline_goes_first_and_equal_ones_in_order_of_arrival() -> None:
    made = scheduler(slots=4)
    for number, deadline in ((1, 9.0), (2, 5.0), (3, 9.0), (4, 7.0)):
        offer(made, ticket(number, deadline=deadline))
    assert assigned(made) == [2, 4, 1, 3]


def test_batch_work_goes_on_under_a_flood_of_live_work_at_the_promised_rate() -> None:
    made = scheduler(waiting=1000)
    offer(made, *(ticket(number, priority=Priority.LIVE) for number in range(100)))
    offer(made, *(ticket(number, priority=Priority.INTERACTIVE) for number in range(100, 110)))
    offer(made, *(ticket(number, priority=Priority.BATCH) for number in range(200, 210)))
    order = run_all(made, "cpu")
    for start in range(80):
        window = order[start:start + 16]
        assert any(100 <= number < 200 for number in window)
        assert any(number >= 200 for number in window)


def test_a_task_whose_deadline_is_near_goes_before_a_tenant_that_used_less() -> None:
    made = scheduler(costs=CPU, rules=Rules(urgent_s=0.1))
    offer(made, ticket(1, tenant="much", model="a"))
    assert assigned(made) == [1]
    offer(made, ticket(2, tenant="little", model="a"), ticket(3, tenant="much", model="a", deadline=1.0))
    made.finished("cpu", 1, 0.85)
    assert assigned(made, 0.85) == [3]


def test_a_tpu_stays_with_its_model_while_deadlines_allow_and_then_changes() -> None:
    made = with_tpu(cpu=False, rules=Rules(group_s=0.03))
    offer(made, *(ticket(number, model="ab"[number % 2], deadline=30 + number) for number in range(20)))
    order = run_all(made, "tpu")
    changes = [one for one, other in pairwise(order) if one % 2 != other % 2]
    assert changes == [14, 15, 18], "eight of a, eight of b, and the rest of each"


def test_a_model_doesnt_wait_behind_another_one_for_longer_than_a_group_lasts() -> None:
    made = with_tpu(cpu=False, rules=Rules(group_s=0.05))
    offer(made, *(ticket(number, model="a") for number in range(50)), ticket(50, model="b", deadline=29.0))
    order = run_all(made, "tpu")
    assert order.index(50) * 0.004 <= 0.05 + 0.010


def test_a_task_of_another_model_goes_at_once_when_its_deadline_is_near() -> None:
    made = with_tpu(cpu=False, rules=Rules(urgent_s=0.1))
    offer(made, *(ticket(number, model="a") for number in range(3)))
    assert assigned(made) == [0]
    offer(made, ticket(9, model="b", deadline=0.11))
    made.finished("tpu", 0, 0.004)
    assert assigned(made, 0.004) == [9]


def test_a_task_of_unknown_model_isnt_held_up_by_a_group_for_good() -> None:
    made = with_tpu(cpu=False, rules=Rules(group_s=0.02))
    offer(made, *(ticket(number, model="a") for number in range(50)), ticket(50, tenant="other", deadline=31.0))
    assert run_all(made, "tpu").index(50) < 10


# Fair shares


def test_two_tenants_with_unequal_queues_get_equal_time() -> None:
    made = scheduler(waiting=1000, costs=CPU)
    offer(made, *(ticket(number, tenant="heavy", model="a") for number in range(100)))
    offer(made, *(ticket(number, tenant="light", model="a") for number in range(100, 110)))
    order = run_all(made, "cpu")
    assert sum(number >= 100 for number in order[:20]) == 10


@pytest.mark.parametrize("models", ["ab", "aa"], ids=["known from the models", "known only afterwards"])
def test_time_counts_not_tasks(models: str) -> None:
    made = scheduler(waiting=1000, costs={"a": ModelCost(0.01), "b": ModelCost(0.03)})
    offer(made, *(ticket(number, tenant="short", model=models[0]) for number in range(100)))
    offer(made, *(ticket(number, tenant="long", model=models[1]) for number in range(100, 200)))
    now, used = 0.0, {"short": 0.0, "long": 0.0}
    for _ in range(100):
        (number,) = assigned(made, now)
        tenant, took_s = ("long", 0.03) if number >= 100 else ("short", 0.01)
        used[tenant] += took_s
        now += took_s
        made.finished("cpu", number, now)
    assert abs(used["short"] - used["long"]) <= 0.04


def test_a_tenant_that_was_away_gets_its_share_and_not_what_it_missed() -> None:
    made = scheduler(waiting=1000, costs=CPU)
    offer(made, ticket(500, tenant="back", model="a"))
    assert run_all(made, "cpu") == [500]
    offer(made, *(ticket(number, tenant="busy", model="a") for number in range(100)))
    now = 0.0
    for _ in range(50):
        (number,) = assigned(made, now)
        now += 0.06
        made.finished("cpu", number, now)
    offer(made, *(ticket(number, tenant="back", model="a") for number in range(600, 650)))
    order = run_all(made, "cpu", each_s=0.06, now=now)
    assert 9 <= sum(number >= 600 for number in order[:20]) <= 11


# Bounds and refusals


def test_a_full_queue_refuses_the_next_task_and_takes_it_once_there_is_room() -> None:
    made = scheduler(waiting=2, slots=1)
    offer(made, ticket(1))
    assert assigned(made) == [1]
    offer(made, ticket(2), ticket(3))
    with pytest.raises(Overloaded, match="2 tasks are waiting"):
        offer(made, ticket(4))
    made.finished("cpu", 1, 1.0)
    assert assigned(made) == [2]
    offer(made, ticket(4))


def test_a_flood_of_one_tenant_leaves_the_door_open_for_others_within_a_bound() -> None:
    made = scheduler(waiting=100, slots=0)
    offer(made, *(ticket(number, tenant="flood") for number in range(100)))
    with pytest.raises(Overloaded):
        offer(made, ticket(100, tenant="flood"))
    offer(made, *(ticket(number, tenant="other") for number in range(101, 126)))
    with pytest.raises(Overloaded, match="125 tasks are waiting"):
        offer(made, ticket(126, tenant="other"))


def test_the_waiting_tasks_hold_a_bounded_number_of_bytes_but_one_alone_may_be_larger() -> None:
    made = scheduler(size=100, slots=0)
    offer(made, ticket(1, size=500))
    with pytest.raises(Overloaded, match="memory"):
        offer(made, ticket(2, size=1))
    assert made.discard(1)
    offer(made, ticket(2, size=60), ticket(3, size=40))


def test_a_deadline_that_no_device_can_meet_is_refused_at_once() -> None:
    made = with_tpu()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.003 s"):
        offer(made, ticket(1, model="a", deadline=0.003))
    offer(made, ticket(1, model="a", deadline=0.005))
    with pytest.raises(DeadlineExceeded):
        offer(made, ticket(2, deadline=1.0), now=1.0)


def test_a_deadline_that_the_queue_leaves_no_room_for_is_refused_with_the_time_to_come_back() -> None:
    made = scheduler(costs=CPU)
    offer(made, *(ticket(number, model="a", deadline=1.45) for number in range(20)))
    with pytest.raises(Overloaded, match=r"1\.2 s, too long for this deadline") as refused:
        offer(made, ticket(20, model="a", deadline=1.45))
    assert refused.value.retry_after_s == pytest.approx(20 * 0.06)


def test_a_deadline_before_those_that_wait_is_taken_since_it_goes_first() -> None:
    made = scheduler(costs=CPU)
    offer(made, *(ticket(number, model="a") for number in range(20)))
    offer(made, ticket(20, model="a", deadline=0.5))
    assert assigned(made) == [20]


def test_half_of_the_time_is_kept_for_grouping_where_models_must_be_loaded() -> None:
    made = with_tpu(cpu=False)
    offer(made, *(ticket(number, model="a", deadline=1.0) for number in range(125)))
    with pytest.raises(Overloaded, match=r"0\.5 s, too long"):
        offer(made, *(ticket(number, model="a", deadline=1.0) for number in range(125, 128)))


def test_anothers_flood_is_no_reason_to_refuse_a_tenant_that_goes_first_anyway() -> None:
    made = scheduler(costs=CPU)
    offer(made, *(ticket(number, model="a", tenant="flood", deadline=1.45) for number in range(20)))
    with pytest.raises(Overloaded):
        offer(made, ticket(20, model="a", tenant="flood", deadline=1.45))
    offer(made, ticket(21, model="a", tenant="other", deadline=1.45))


def test_nothing_is_refused_on_a_guess_before_anything_is_known() -> None:
    made = scheduler(waiting=1000)
    models = ["", None, "unheard of"] * 100
    offer(made, *(ticket(number, model=model, deadline=0.001) for number, model in enumerate(models)))
    assert made.waiting == 300


def test_one_slow_spell_doesnt_make_the_node_refuse_for_ever() -> None:
    made = scheduler(costs={"a": ModelCost(0.01)})
    offer(made, ticket(1, model="a", deadline=100.0))
    assert assigned(made) == [1]
    made.finished("cpu", 1, 60.0)
    offer(made, ticket(2, model="a", deadline=60.1), now=60.0)
    assert assigned(made, 60.0) == [2]


def given_ahead(*, slots: int = 2, ahead: int = 1, rules: Rules | None = None) -> Scheduler:
    made = Scheduler(max_waiting=100, max_waiting_bytes=10_000, rules=rules or Rules())
    made.worker_ready("cpu", slots, CPU, accelerator=False, ahead=ahead)
    return made


def test_a_worker_that_is_alone_is_given_tasks_ahead_and_their_time_begins_in_a_slot() -> None:
    made = given_ahead()
    offer(made, *(ticket(number, model="a") for number in range(1, 6)))
    assert assigned(made) == [1, 2, 3]
    assert (made.running, made.ahead, made.waiting) == (2, 1, 2)
    assert made.finished("cpu", 1, 0.1) == pytest.approx(0.1)
    assert assigned(made, 0.1) == [4]
    assert made.finished("cpu", 3, 0.15) == pytest.approx(0.05), "it waited for the first in the worker's own queue"
    assert made.finished("cpu", 2, 0.2) == pytest.approx(0.2)


def test_who_leaves_its_place_ahead_lets_nobody_start_anew() -> None:
    made = given_ahead()
    offer(made, *(ticket(number, model="a") for number in range(1, 4)))
    assert assigned(made) == [1, 2, 3]
    made.finished("cpu", 3, 0.1, abandoned=True)
    assert made.finished("cpu", 1, 0.3) == pytest.approx(0.3)


def test_nothing_is_given_ahead_of_a_live_frame_nor_of_batch() -> None:
    made = given_ahead()
    offer(made, *(ticket(number, model="a", priority=Priority.BATCH) for number in (1, 2, 3)))
    assert assigned(made) == [1, 2]
    offer(made, ticket(4, model="a", priority=Priority.LIVE), ticket(5, model="a"))
    assert assigned(made) == []
    made.finished("cpu", 1, 0.1)
    assert assigned(made, 0.1) == [4, 5]


def test_a_lower_class_gets_its_part_of_the_places_ahead() -> None:
    made, now = given_ahead(slots=1, rules=Rules(lower_class_every=4)), 0.0
    offer(made, ticket(0, model="a", priority=Priority.BATCH), *(ticket(number, model="a") for number in range(1, 9)))
    order = assigned(made)
    for number in range(1, 9):
        now += 0.01
        made.finished("cpu", order[number - 1], now)
        order += assigned(made, now)
    assert order.index(0) < 4
    assert sorted(order) == list(range(9))


def test_two_workers_are_given_what_they_have_slots_for_alone() -> None:
    made = given_ahead()
    made.worker_ready("other", 1, CPU, accelerator=False, ahead=1)
    offer(made, *(ticket(number, model="a") for number in range(1, 8)))
    assert len(assigned(made)) == 3


def test_a_suspect_runs_with_nobody_given_ahead() -> None:
    made = given_ahead()
    offer(made, *(ticket(number, model="a") for number in range(1, 5)))
    assert assigned(made) == [1, 2, 3]
    made.worker_lost("cpu", blame_input=True)
    made.worker_ready("cpu", 2, CPU, accelerator=False, ahead=1)
    for number in (1, 2, 3):
        assert assigned(made) == [number]
        made.finished("cpu", number, 0.1)
    assert assigned(made) == [4]


def test_a_task_whose_caller_left_is_never_run() -> None:
    made = scheduler(slots=1)
    offer(made, ticket(1), ticket(2))
    assert made.discard(1)
    assert assigned(made) == [2]
    assert not made.discard(2), "a running task goes on"


@pytest.mark.parametrize("abandoned", [True, False])
def test_a_task_that_was_stopped_says_nothing_of_how_long_others_take(abandoned: bool) -> None:
    made, now = scheduler(costs=CPU), 0.0
    for number, took_s in enumerate([0.6] * 20 + [0.1] * 20):
        offer(made, ticket(number, model="a", deadline=90.0), now=now)
        assert assigned(made, now) == [number]
        now += took_s
        busy_s = made.finished("cpu", number, now, abandoned=abandoned and number >= 20)
        assert busy_s == pytest.approx(took_s)
    offer(made, ticket(40, model="a", deadline=90.0), now=now)
    assert made.expected_wait_s(model="a") == pytest.approx(0.6 if abandoned else 0.1, rel=0.2)


def test_a_tenant_pays_for_what_it_had_run_before_it_left() -> None:
    made = scheduler(costs=CPU)
    offer(made, ticket(1, tenant="leaver", model="a"))
    assert assigned(made) == [1]
    offer(made, ticket(2, tenant="leaver", model="a"), ticket(3, tenant="other", model="a", deadline=40.0))
    made.finished("cpu", 1, 5.0, abandoned=True)
    assert assigned(made, 5.0) == [3]


def test_the_expected_wait_is_that_of_the_work_ahead() -> None:
    made = scheduler(costs=CPU)
    assert made.expected_wait_s() == 0.0
    offer(made, *(ticket(number, model="a") for number in range(5)))
    assert assigned(made) == [0]
    assert made.expected_wait_s(model="a") == pytest.approx(5 * 0.06)
    assert made.expected_wait_s(Priority.LIVE) == pytest.approx(0.06)
    offer(made, ticket(5, model="b"), now=0.04)
    assert made.expected_wait_s(Priority.BATCH) == pytest.approx(5 * 0.06 + 0.02)


def test_the_expected_wait_counts_the_loading_that_there_has_been_lately() -> None:
    made, now = with_tpu(cpu=False), 0.0
    for number in range(30):
        offer(made, ticket(number, model="ab"[number % 2], deadline=100.0), now=now)
        assert assigned(made, now) == [number]
        now += 0.014
        made.finished("tpu", number, now)
    offer(made, *(ticket(number, model="a", deadline=100.0) for number in range(30, 40)), now=now)
    assert made.expected_wait_s(model="a") == pytest.approx(10 * 0.014, rel=0.1)


def test_an_answer_that_came_too_soon_to_be_one_doesnt_make_the_queue_look_short() -> None:
    made = scheduler(costs=CPU)
    for number in range(10):
        offer(made, ticket(number, model="a"))
        assert assigned(made) == [number]
        made.finished("cpu", number, 0.001)
    offer(made, *(ticket(number, model="a") for number in range(10, 20)))
    assert made.expected_wait_s(model="a") == pytest.approx(10 * 0.06)


# Placement


def test_a_cpu_leaves_a_short_queue_to_the_tpu_and_helps_with_a_long_one() -> None:
    made = with_tpu()
    offer(made, *(ticket(number, model="a") for number in range(10)))
    assert placed(made) == {0: "tpu"}, "the TPU is through with all in less time than the CPU needs for one"
    offer(made, *(ticket(number, model="a") for number in range(10, 40)))
    (helped,) = made.assign(0.0)
    assert (helped.worker, helped.reason) == ("cpu", Reason.SPILLED)


def test_a_tpu_at_work_on_something_long_leaves_a_task_to_an_idle_cpu() -> None:
    made = Scheduler(max_waiting=100, max_waiting_bytes=10_000)
    made.worker_ready("tpu", 2, {"a": ModelCost(0.004), "long": ModelCost(0.3)}, accelerator=True)
    made.worker_ready("cpu", 1, CPU, accelerator=False)
    offer(made, ticket(1, model="long"))
    assert placed(made) == {1: "tpu"}
    offer(made, ticket(2, model="a"), ticket(3, model="a"))
    assert placed(made) == {2: "cpu"}
    assert placed(made, 0.26) == {3: "tpu"}, "it is nearly done"


def test_work_that_overlaps_on_a_tpu_is_counted_once() -> None:
    made = with_tpu(slots=2)
    now = 0.0
    offer(made, ticket(0, model="a"), ticket(1, model="a"))
    assert placed(made) == {0: "tpu", 1: "tpu"}
    for number in range(2, 60):
        now += 0.004
        made.finished("tpu", number - 2, now)
        offer(made, ticket(number, model="a", deadline=100.0), now=now)
        assert placed(made, now) == {number: "tpu"}
    offer(made, *(ticket(number, model="a", deadline=100.0) for number in range(60, 70)), now=now)
    assert made.expected_wait_s(model="a") == pytest.approx(10 * 0.004, rel=0.2)


def test_a_cpu_doesnt_take_a_task_whose_deadline_only_the_tpu_can_meet() -> None:
    made = with_tpu()
    offer(made, *(ticket(number, model="a", deadline=0.05) for number in range(5)))
    offer(made, *(ticket(number, model="a", tenant="patient") for number in range(5, 30)))
    assert placed(made) == {0: "tpu", 5: "cpu"}


def test_a_task_goes_to_the_cpu_when_the_tpu_overstays_its_time() -> None:
    made = with_tpu()
    offer(made, ticket(1, model="a"))
    assert placed(made) == {1: "tpu"}
    offer(made, ticket(2, model="a"))
    assert placed(made) == {}
    assert placed(made, 0.05) == {}
    assert placed(made, 0.08) == {2: "cpu"}


def test_two_tpus_each_keep_a_model() -> None:
    made = Scheduler(max_waiting=100, max_waiting_bytes=10_000)
    for name in ("one", "two"):
        made.worker_ready(name, 1, TPU, accelerator=True)
    offer(made, ticket(0, model="a"), ticket(1, model="b"))
    where = placed(made)
    assert set(where.values()) == {"one", "two"}
    now = 0.0
    for number in range(2, 40, 2):
        now += 0.004
        for task, worker in where.items():
            made.finished(worker, task, now)
        offer(made, ticket(number + 1, model="b"), ticket(number, model="a"))
        here = placed(made, now)
        assert {number % 2: worker for number, worker in here.items()} == {n % 2: w for n, w in where.items()}
        where = here


def test_a_task_goes_to_the_idle_tpu_that_holds_its_model() -> None:
    made = Scheduler(max_waiting=100, max_waiting_bytes=10_000)
    for name in ("one", "two"):
        made.worker_ready(name, 1, TPU, accelerator=True)
    offer(made, ticket(0, model="a"), ticket(1, model="b"))
    holder = {model: worker for (_, worker), model in zip(placed(made).items(), "ab", strict=True)}
    made.finished(holder["a"], 0, 0.014)
    made.finished(holder["b"], 1, 0.014)
    for number, model in enumerate("babba", start=2):
        offer(made, ticket(number, model=model), now=0.1 * number)
        assert placed(made, 0.1 * number) == {number: holder[model]}
        made.finished(holder[model], number, 0.1 * number + 0.004)


def test_a_model_is_loaded_on_a_second_tpu_when_the_queue_at_the_first_costs_more_than_that() -> None:
    made = Scheduler(max_waiting=100, max_waiting_bytes=10_000)
    for name in ("one", "two"):
        made.worker_ready(name, 1, TPU, accelerator=True)
    offer(made, ticket(0, model="a"))
    assert list(placed(made).values()) == ["one"]
    offer(made, *(ticket(number, model="a") for number in range(1, 10)))
    assert list(placed(made).values()) == ["two"]
    assert made.resident("one") == made.resident("two") == "a"


def test_idle_devices_share_what_comes_at_once() -> None:
    made = Scheduler(max_waiting=100, max_waiting_bytes=10_000)
    for name in ("one", "two"):
        made.worker_ready(name, 2, CPU, accelerator=False)
    offer(made, ticket(0, model="a"), ticket(1, model="a"))
    assert set(placed(made).values()) == {"one", "two"}


def test_drawing_keeps_off_the_tpu_while_a_cpu_is_there() -> None:
    made = with_tpu()
    offer(made, *(ticket(number, model=None) for number in range(3)))
    assert placed(made) == {0: "cpu"}
    made.worker_lost("cpu", blame_input=False)
    assert list(placed(made).values()) == ["tpu"]


def test_a_device_that_was_slow_for_a_while_is_tried_again() -> None:
    made = with_tpu()
    now = 0.0
    for number in range(30):
        offer(made, ticket(number, model="a", deadline=1000.0), now=now)
        for task, worker in placed(made, now).items():
            now += 0.4 if worker == "tpu" else 0.06
            made.finished(worker, task, now)
    offer(made, ticket(100, model="a", deadline=1000.0), now=now)
    assert placed(made, now) == {100: "cpu"}
    made.finished("cpu", 100, now + 0.06)
    now += 600.0
    offer(made, ticket(101, model="a", deadline=1000.0), now=now)
    assert placed(made, now) == {101: "tpu"}


def test_one_stall_doesnt_drive_the_work_away_from_a_tpu() -> None:
    made = with_tpu()
    offer(made, ticket(1, model="a"))
    assert placed(made) == {1: "tpu"}
    made.finished("tpu", 1, 20.0)
    offer(made, ticket(2, model="a"), now=20.0)
    assert placed(made, 20.0) == {2: "tpu"}


def test_a_task_waits_for_a_device_that_serves_its_model() -> None:
    made = scheduler(costs={"a": ModelCost(0.01)})
    offer(made, ticket(1, model="b"), ticket(2, model="a"))
    assert assigned(made) == [2]
    assert not made.serves("b")
    made.worker_costs("cpu", {"a": ModelCost(0.01), "b": ModelCost(0.01)})
    assert made.serves("b")
    made.finished("cpu", 2, 0.01)
    assert assigned(made, 0.01) == [1]


def test_a_task_that_turns_out_to_need_another_device_waits_for_that_in_its_old_place() -> None:
    made = Scheduler(max_waiting=10, max_waiting_bytes=1000)
    made.worker_ready("tpu", 1, {"a": ModelCost(0.004)}, accelerator=True)
    offer(made, ticket(1))
    assert placed(made) == {1: "tpu"}
    offer(made, ticket(2, model="b"))
    made.returned("tpu", 1, "b")
    assert placed(made) == {}
    made.worker_ready("cpu", 1, {"b": ModelCost(0.06)}, accelerator=False)
    assert placed(made) == {1: "cpu"}


# Workers that are lost


def test_after_a_crash_each_task_runs_again_alone_and_ordinary_work_waits_for_that() -> None:
    made = scheduler(slots=2)
    offer(made, ticket(1), ticket(2), ticket(3))
    assert assigned(made) == [1, 2]
    assert made.worker_lost("cpu", blame_input=True) == []
    made.worker_ready("cpu", 2, {}, accelerator=False)
    assert assigned(made) == [1]
    made.finished("cpu", 1, 1.0)
    assert assigned(made) == [2]
    made.finished("cpu", 2, 2.0)
    assert assigned(made) == [3]


def test_only_the_task_that_kills_again_alone_is_broken() -> None:
    made = scheduler(slots=2)
    offer(made, ticket(1), ticket(2))
    assert assigned(made) == [1, 2]
    made.worker_lost("cpu", blame_input=True)
    made.worker_ready("cpu", 2, {}, accelerator=False)
    assert assigned(made) == [1]
    assert made.worker_lost("cpu", blame_input=True) == [1]
    made.worker_ready("cpu", 2, {}, accelerator=False)
    assert assigned(made) == [2]
    made.finished("cpu", 2, 1.0)
    assert (made.waiting, made.running) == (0, 0)


def test_a_suspect_never_shares_a_worker_but_other_workers_go_on() -> None:
    made = scheduler(slots=1)
    offer(made, ticket(1))
    assert assigned(made) == [1]
    made.worker_lost("cpu", blame_input=True)
    made.worker_ready("one", 2, {}, accelerator=False)
    made.worker_ready("two", 2, {}, accelerator=False)
    offer(made, *(ticket(number) for number in (2, 3, 4, 5)))
    where = placed(made)
    alone = where[1]
    assert [task for task, worker in where.items() if worker == alone] == [1]
    assert len(where) == 3, "the other worker takes two"


def test_a_suspect_gets_a_worker_to_itself_however_much_other_work_there_is() -> None:
    made = scheduler(slots=2)
    made.worker_ready("other", 1, {}, accelerator=False)
    offer(made, *(ticket(number) for number in range(20)))
    where = placed(made)
    made.worker_lost("other", blame_input=True)
    suspect = next(task for task, worker in where.items() if worker == "other")
    busy = [task for task, worker in where.items() if worker == "cpu"]
    made.finished("cpu", busy[0], 0.1)
    assert assigned(made) == [], "it runs empty"
    made.finished("cpu", busy[1], 0.1)
    assert assigned(made) == [suspect]


def test_a_suspect_runs_elsewhere_where_another_worker_serves_its_model() -> None:
    made = with_tpu()
    offer(made, ticket(1, model="a"))
    assert placed(made) == {1: "tpu"}
    made.worker_lost("tpu", blame_input=True)
    made.worker_ready("tpu", 1, TPU, accelerator=True)
    (again,) = made.assign(0.0)
    assert (again.task_id, again.worker, again.reason) == (1, "cpu", Reason.AVOIDED)


def test_a_device_at_fault_costs_its_tasks_neither_their_place_nor_their_company() -> None:
    made = scheduler(slots=2, costs=CPU)
    offer(made, ticket(1, tenant="one", model="a"), ticket(2, tenant="two", model="a"))
    assert assigned(made) == [1, 2]
    offer(made, ticket(3, tenant="three", model="a"))
    assert made.worker_lost("cpu", blame_input=False) == []
    made.worker_ready("cpu", 3, CPU, accelerator=False)
    assert assigned(made) == [1, 2, 3]


def test_a_task_isnt_given_to_the_device_that_failed_on_it_while_another_serves() -> None:
    made = with_tpu()
    offer(made, ticket(1, model="a"), ticket(2, model="a"))
    assert placed(made) == {1: "tpu"}
    made.worker_lost("tpu", blame_input=False)
    made.worker_ready("tpu", 1, TPU, accelerator=True)
    assert [(a.task_id, a.worker, a.reason) for a in made.assign(0.0)] == [
        (2, "tpu", Reason.FIRST_CHOICE), (1, "cpu", Reason.AVOIDED)]


def test_a_device_that_keeps_failing_breaks_no_task() -> None:
    made = scheduler()
    offer(made, ticket(1))
    for _ in range(5):
        assert assigned(made) == [1]
        assert made.worker_lost("cpu", blame_input=False) == []
        made.worker_ready("cpu", 1, {}, accelerator=False)
    assert assigned(made) == [1]
    made.finished("cpu", 1, 1.0)
    assert (made.waiting, made.running) == (0, 0)


def test_a_suspect_isnt_broken_by_the_fault_of_a_device_but_stays_a_suspect() -> None:
    made = scheduler()
    offer(made, ticket(1))
    for blame_input in (True, False, False):
        assert assigned(made) == [1]
        assert made.worker_lost("cpu", blame_input=blame_input) == []
        made.worker_ready("cpu", 2, {}, accelerator=False)
        offer(made, ticket(2)) if blame_input else None
    assert assigned(made) == [1], "alone"
    assert made.worker_lost("cpu", blame_input=True) == [1]


def test_a_worker_that_was_never_ready_can_be_lost() -> None:
    made = Scheduler(max_waiting=1, max_waiting_bytes=10)
    assert made.worker_lost("cpu", blame_input=True) == []


def test_a_worker_cant_come_up_twice_and_take_its_tasks_out_of_sight() -> None:
    made = scheduler()
    with pytest.raises(ValueError, match="in service already"):
        made.worker_ready("cpu", 1, {}, accelerator=False)


@pytest.mark.parametrize("rules", [{"lower_class_every": 2}, {"urgent_s": -1.0}, {"group_s": -0.1}])
def test_rules_that_make_no_sense_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lower_class_every is 3 at least"):
        Rules(**rules)  # type: ignore[arg-type] # the test's own mixture
