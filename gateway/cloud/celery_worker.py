"""Celery's worker, tamed: it leaves logs, standard output and most signals alone, and ends within a second when it is idle."""

import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

from amqp.exceptions import AccessRefused, NotAllowed
from celery import Celery, signals
from celery.apps import worker as program
from celery.exceptions import SecurityWarning
from redis.exceptions import AuthenticationError, ResponseError

WAKE_EVERY_S = 1.0
"""A signal alone doesn't wake the loop that waits for the broker."""


class BrokerRefused(Exception):
    """The broker is there and doesn't take this user, password, virtual host or database."""


def reaches_broker(app: Celery) -> bool:
    """Whether the broker answers at the first try. Raises BrokerRefused."""
    with app.connection_for_read() as connection:
        try:
            connection.connect()
            connection.channel()
        except (AccessRefused, NotAllowed, AuthenticationError, ResponseError):
            raise BrokerRefused from None
        except Exception:
            return False
        return True


class TamedWorker(program.Worker):
    """SIGTERM and SIGINT finish what runs, SIGQUIT doesn't. Celery's handlers of other signals print local variables, or start
    the program anew.
    """

    on_ready: Callable[[], None]

    def install_platform_tweaks(self, worker: Any) -> None:
        """The handlers of signals."""
        handlers: Any = program
        handlers.install_worker_term_handler(worker)
        handlers.install_worker_term_hard_handler(worker)
        handlers.install_worker_int_handler(worker)

    def on_consumer_ready(self, consumer: Any) -> None:
        """Once, when it takes messages."""
        consumer.hub.call_repeatedly(WAKE_EVERY_S, _nothing)
        self.on_ready()


def serve(app: Celery, *, slots: int, host: str, on_ready: Callable[[], None], stopping: threading.Event) -> int:
    """Works on `slots` tasks at once until a signal ends it; gives the exit status. `stopping` is set as soon as one has come."""

    def note(**_: Any) -> None:
        stopping.set()

    signals.worker_shutting_down.connect(note)
    signals.setup_logging.connect(_leave_logging)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # of running as root, as in a container: no pickle is accepted
        worker = TamedWorker(
            app=app, hostname=f"hedgerow@{host}", pool="threads", concurrency=slots, quiet=True, loglevel=logging.WARNING,
            without_gossip=True, without_mingle=True, without_heartbeat=True,
        )
        worker.on_ready = on_ready
        worker.start()
    return int(worker.exitcode or 0)


def _nothing() -> None:
    pass


def _leave_logging(**_: Any) -> None:
    """With anybody connected Celery sets up no logging of its own: logs.configure has."""
