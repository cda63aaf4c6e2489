"""What the service needs from outside: stores. Each is an abstract class, so that a fake must be complete."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime

from gateway.service.records import Analysis, AnalysisFilter, ApiKey, Deployment, Disagreement


class AnalysisStore(ABC):
    """Analyses by tenant. Every method may be called from any thread and blocks; errors of the database escape."""

    @abstractmethod
    def add(self, analyses: Sequence[Analysis]) -> None:
        """Stores all of them in one transaction; when it returns they survive a crash."""

    @abstractmethod
    def get(self, tenant: str, analysis_id: str) -> Analysis | None:
        """The analysis, or None where this tenant has none of that id (or it is no id at all)."""

    @abstractmethod
    def page(self, tenant: str, chosen: AnalysisFilter, *, before_id: str | None, limit: int) -> Sequence[Analysis]:
        """At most `limit` analyses with an id below `before_id`, newest first. Flat in the number stored."""

    @abstractmethod
    def delete(self, tenant: str, analysis_id: str) -> bool:
        """Removes it for good; False where this tenant has none of that id."""

    @abstractmethod
    def delete_older(self, before: datetime, *, limit: int) -> Sequence[str]:
        """Removes at most `limit` analyses created before that time, of all tenants, oldest first; gives their ids."""


class KeyStore(ABC):
    """API keys."""

    @abstractmethod
    def add(self, key: ApiKey) -> None:
        """Stores a new key."""

    @abstractmethod
    def find(self, key_id: str) -> ApiKey | None:
        """The key of that id, revoked or not."""

    @abstractmethod
    def all(self) -> Sequence[ApiKey]:
        """Every key, oldest first."""

    @abstractmethod
    def revoke(self, key_id: str, at: datetime) -> bool:
        """Marks it revoked; False where there is none of that id or it was revoked before."""


class RolloutStore(ABC):
    """Which versions are in service and on trial, and what trials have shown. Every method blocks."""

    @abstractmethod
    def deployments(self) -> Sequence[Deployment]:
        """Every model of which another version than the program's was ever activated, by name."""

    @abstractmethod
    def save(self, deployment: Deployment) -> None:
        """Takes the place of what was known of that model; when it returns it survives a crash."""

    @abstractmethod
    def add(self, disagreement: Disagreement, *, keep: int) -> bool:
        """Stores it, and removes all but the newest `keep` of that tenant and model. False where its analysis is gone,
        or is in the list already.
        """

    @abstractmethod
    def disagreements(self, tenant: str, model: str, *, before_id: str | None, limit: int) -> Sequence[Disagreement]:
        """At most `limit` of them with an analysis id below `before_id`, newest analysis first."""


class ImageStore(ABC):
    """Pictures that belong to analyses: the upload itself (`input`) and what was made from it (`mask.png`, ...)."""

    @abstractmethod
    def put_all(self, many: Mapping[str, Mapping[str, bytes]]) -> None:
        """Stores the pictures of analyses, by id: either all of all are there afterwards, or an error is raised and none is. Of one
        analysis nobody ever sees a part.
        """

    def put(self, analysis_id: str, images: Mapping[str, bytes]) -> None:
        """Stores all pictures of one analysis."""
        self.put_all({analysis_id: images})

    @abstractmethod
    def get(self, analysis_id: str, name: str) -> bytes | None:
        """The picture's bytes, or None."""

    def replace(self, analysis_id: str, images: Mapping[str, bytes]) -> None:
        """Stores them in the place of what an earlier try, whose end was never stored, may have left."""
        self.delete(analysis_id)
        self.put(analysis_id, images)

    @abstractmethod
    def delete(self, analysis_id: str) -> None:
        """Removes all pictures of an analysis; nothing happens where there are none."""

    @abstractmethod
    def delete_older(self, before: datetime, *, limit: int) -> int:
        """Removes the pictures of at most `limit` analyses stored before that time; gives how many."""
