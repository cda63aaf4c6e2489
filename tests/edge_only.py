"""Who answers where nothing is routed anywhere: the edge."""

from collections.abc import Sequence

from edge_runtime.wire import ModelInfo
from gateway.service.jobs.service import JobService
from gateway.service.routing.rules import Routes
from gateway.service.tiers import Tiers


class NoModels:
    """A node that serves none."""

    ready = True

    def models(self) -> Sequence[ModelInfo]:
        """None."""
        return ()


def edge_only(jobs: JobService) -> Tiers:
    """Without a rule and without a cloud."""
    return Tiers(Routes(()), jobs, NoModels())
