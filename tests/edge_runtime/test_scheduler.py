import pytest

from edge_runtime.errors import Overloaded
from edge_runtime.scheduler import Priority, Scheduler, Ticket


def ticket(number: int, *, priority: Priority = Priority.INTERACTIVE, deadline: float = 30.0, size: int = 10) -> Ticket:
    return Ticket(number, priority, deadline, size)


def scheduler(*, waiting: int = 100, size: int = 10_000, slots: int = 1) -> Scheduler:
    made = Scheduler(max_waiting=waiting, max_waiting_bytes=size)
    made.worker_ready("cpu", slots)
    return made


def assigned(made: Scheduler) -> list[int]:
    return [assignment.task_id for assignment in made.assign()]


def test_live_goes_before_interactive_before_batch_whatever_came_first() -> None:
    made = scheduler(slots=3)
    for number, priority in ((1, Priority.BATCH), (2, Priority.INTERACTIVE), (3, Priority.LIVE)):
        made.offer(ticket(number, priority=priority))
    assert assigned(made) == [3, 2, 1]


def test_within_a_priority_the_earliest_deadline_goes_first_and_equal_ones_in_order_of_arrival() -> None:
    made = scheduler(slots=4)
    for number, deadline in ((1, 9.0), (2, 5.0), (3, 9.0), (4, 7.0)):
        made.offer(ticket(number, deadline=deadline))
    assert assigned(made) == [2, 4, 1, 3]


def test_a_full_queue_refuses_the_next_task_and_takes_it_once_there_is_room() -> None:
    made = scheduler(waiting=2, slots=1)
    made.offer(ticket(1))
    assert assigned(made) == [1]
    made.offer(ticket(2))
    made.offer(ticket(3))
    with pytest.raises(Overloaded, match="2 tasks are waiting"):
        made.offer(ticket(4))
    made.finished("cpu", 1)
    assert assigned(made) == [2]
    made.offer(ticket(4))


def test_the_waiting_tasks_hold_a_bounded_number_of_bytes_but_one_alone_may_be_larger() -> None:
    made = scheduler(size=100, slots=0)
    made.offer(ticket(1, size=500))
    with pytest.raises(Overloaded, match="memory"):
        made.offer(ticket(2, size=1))
    assert made.discard(1)
    made.offer(ticket(2, size=60))
    made.offer(ticket(3, size=40))


def test_a_task_whose_caller_left_is_never_run() -> None:
    made = scheduler(slots=1)
    made.offer(ticket(1))
    made.offer(ticket(2))
    assert made.discard(1)
    assert assigned(made) == [2]
    assert not made.discard(2), "a running task goes on"


def test_after_a_crash_each_task_runs_again_alone_and_ordinary_work_waits_for_that() -> None:
    made = scheduler(slots=2)
    for number in (1, 2, 3):
        made.offer(ticket(number))
    assert assigned(made) == [1, 2]
    assert made.worker_lost("cpu") == []
    made.worker_ready("cpu", 2)
    assert assigned(made) == [1]
    made.finished("cpu", 1)
    assert assigned(made) == [2]
    made.finished("cpu", 2)
    assert assigned(made) == [3]


def test_only_the_task_that_kills_again_alone_is_broken() -> None:
    made = scheduler(slots=2)
    made.offer(ticket(1))
    made.offer(ticket(2))
    assert assigned(made) == [1, 2]
    made.worker_lost("cpu")
    made.worker_ready("cpu", 2)
    assert assigned(made) == [1]
    assert made.worker_lost("cpu") == [1]
    made.worker_ready("cpu", 2)
    assert assigned(made) == [2]
    made.finished("cpu", 2)
    assert (made.waiting, made.running) == (0, 0)


def test_a_suspect_never_shares_a_worker_but_other_workers_go_on() -> None:
    made = scheduler(slots=1)
    made.offer(ticket(1))
    assert assigned(made) == [1]
    made.worker_lost("cpu")
    made.worker_ready("one", 2)
    made.worker_ready("two", 2)
    for number in (2, 3, 4, 5):
        made.offer(ticket(number))
    placed = {a.task_id: a.worker for a in made.assign()}
    alone = placed[1]
    assert [task for task, worker in placed.items() if worker == alone] == [1]
    assert len(placed) == 3, "the other worker takes two"


def test_a_worker_that_was_never_ready_can_be_lost() -> None:
    made = Scheduler(max_waiting=1, max_waiting_bytes=10)
    assert made.worker_lost("cpu") == []
