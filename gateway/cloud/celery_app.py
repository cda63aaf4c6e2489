"""Celery as gateways and workers of the cloud tier have it: JSON alone, limits on everything that waits, messages that are
acknowledged once their answer is there.
"""

from typing import Any

from celery import Celery
from celery.backends.redis import RedisBackend
from celery.backends.rpc import RPCBackend
from kombu.common import maybe_declare

from gateway.cloud.config import CloudConfig

CONNECT_S = 3.0
SEND_S = 4.0
"""A gateway's limits on connecting, and on each read and write: together less than link.SEND_LIMIT_S."""
REDIS_WAIT_S = 20.0
"""A worker's limit on an answer of Redis, which is asked to hold one back for a second at most."""
VISIBLE_AFTER_S = 3600
"""Redis gives a message that no worker has acknowledged to another one after so long. Gateways send again much sooner."""
KEEP_RESULTS_S = 24 * 3600
ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0.1}
"""A connection that the broker closed is noticed at its next use, so that a second try is worth while."""


class QuietRedis(RedisBackend):
    """Results in Redis for whoever asks; nobody is subscribed to each task's own channel."""

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Nothing to do at sending."""


class ImpatientRpc(RPCBackend):
    """Results by reply over RabbitMQ; a broker that is gone isn't waited for without an end."""

    def on_task_call(self, producer: Any, task_id: str) -> None:  # noqa: ARG002 - Celery's
        """The queue of replies has to be there before the task is."""
        again: dict[str, Any] = dict(ONCE_MORE)
        maybe_declare(self.binding(producer.channel), retry=True, **again)


def client_app(config: CloudConfig) -> Celery:
    """For a gateway: it sends, and gives up soon."""
    app = _app(config)
    waiting = {**ONCE_MORE, "connect_retries_timeout": CONNECT_S}
    if config.broker.startswith("redis"):
        options = {"socket_timeout": SEND_S, "socket_connect_timeout": CONNECT_S, "socket_keepalive": True, **waiting}
    else:
        options = {"confirm_publish": True, "read_timeout": SEND_S, "write_timeout": SEND_S, **waiting}
    app.conf.update(
        broker_transport_options=options,
        broker_connection_timeout=CONNECT_S,
        redis_socket_timeout=SEND_S,
        task_publish_retry=True,
        task_publish_retry_policy=ONCE_MORE,
    )
    return app


def worker_app(config: CloudConfig) -> Celery:
    """For a worker: it waits for a broker that is gone, for ever."""
    app = _app(config)
    if config.broker.startswith("redis"):
        app.conf.broker_transport_options = {
            "visibility_timeout": VISIBLE_AFTER_S, "socket_timeout": REDIS_WAIT_S, "socket_connect_timeout": CONNECT_S,
            "socket_keepalive": True, "health_check_interval": 10,
        }
    app.conf.update(
        broker_connection_timeout=CONNECT_S,
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        redis_socket_timeout=REDIS_WAIT_S,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
    )
    return app


def _app(config: CloudConfig) -> Celery:
    backend = config.resolved_backend
    kind = QuietRedis if backend.startswith("redis") else ImpatientRpc
    backend = f"{kind.__module__}:{kind.__qualname__}+{backend}"
    app = Celery("hedgerow", broker=config.broker, backend=backend, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        result_accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        event_serializer="json",
        task_default_queue=config.queue,
        task_create_missing_queues=True,
        task_ignore_result=False,
        result_expires=KEEP_RESULTS_S,
        result_persistent=False,
        redis_socket_connect_timeout=CONNECT_S,
        redis_socket_keepalive=True,
        redis_backend_health_check_interval=10,
        result_backend_transport_options={"retry_policy": {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.5}},
        enable_utc=True,
    )
    return app
