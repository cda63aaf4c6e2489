"""Versions of models, and what trials of them have shown, in a database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select
from sqlalchemy.exc import IntegrityError

from gateway.service.ports import RolloutStore
from gateway.service.records import Deployment, Disagreement, Rollback, Trial
from gateway.service.rollout import Side, Tally
from gateway.store.database import Database
from gateway.store.schema import deployments, disagreements
from gateway.store.uuid7 import check_bound


class SqlRolloutStore(RolloutStore):
    """Deployments and disagreements in SQLite or PostgreSQL; safe for any number of threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def deployments(self) -> Sequence[Deployment]:
        """Every row, by the model's name."""
        with self._database.reading() as connection:
            return [_deployment(row) for row in connection.execute(select(deployments).order_by(deployments.c.model))]

    def save(self, deployment: Deployment) -> None:
        """Removes the model's row and writes it anew, in one transaction."""
        with self._database.writing() as connection:
            connection.execute(delete(deployments).where(deployments.c.model == deployment.model))
            connection.execute(insert(deployments), _deployment_row(deployment))

    def add(self, disagreement: Disagreement, *, keep: int) -> bool:
        """Raises ValueError where `keep` isn't positive."""
        if keep < 1:
            raise ValueError(f"at least one must be kept, got {keep}")
        table = disagreements.c
        same = (table.tenant == disagreement.tenant) & (table.model == disagreement.model)
        first_too_many = select(table.analysis_id).where(same).order_by(table.analysis_id.desc()).offset(keep).limit(1)
        try:
            with self._database.writing() as connection:
                connection.execute(insert(disagreements), _disagreement_row(disagreement))
                connection.execute(
                    delete(disagreements).where(same, table.analysis_id <= first_too_many.scalar_subquery())
                )
        except IntegrityError:
            return False
        return True

    def disagreements(self, tenant: str, model: str, *, before_id: str | None, limit: int) -> Sequence[Disagreement]:
        """Raises ValueError where `before_id` is no UUID."""
        table = disagreements.c
        conditions = [table.tenant == tenant, table.model == model]
        if before_id is not None:
            conditions.append(table.analysis_id < check_bound(before_id))
        newest_first = select(disagreements).where(*conditions).order_by(table.analysis_id.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_disagreement(row) for row in connection.execute(newest_first)]


def _deployment_row(deployment: Deployment) -> dict[str, object]:
    return {
        "model": deployment.model,
        "active": deployment.active,
        "previous": list(deployment.previous),
        "trial": deployment.trial and _trial_to_json(deployment.trial),
        "last_rollback": deployment.last_rollback and _rollback_to_json(deployment.last_rollback),
    }


def _deployment(row: Row[*tuple[object, ...]]) -> Deployment:
    return Deployment(
        model=row.model,
        active=row.active,
        previous=tuple(row.previous),
        trial=None if row.trial is None else _trial_from_json(row.trial),
        last_rollback=None if row.last_rollback is None else _rollback_from_json(row.last_rollback),
    )


def _trial_to_json(trial: Trial) -> dict[str, Any]:
    tally = {name: getattr(trial.tally, name) for name in Tally.__slots__}
    return {
        "version": trial.version, "mode": trial.mode, "started_at": trial.started_at.isoformat(), "share": trial.share,
        "allowed_disagreement": trial.allowed_disagreement, "tally": tally,
    }


def _trial_from_json(document: Mapping[str, Any]) -> Trial:
    tally = dict(document["tally"])
    tally["recent"] = tuple(tally["recent"])
    tally["times_ms"] = tuple((in_service, candidate) for in_service, candidate in tally["times_ms"])
    return Trial(**{
        **document, "started_at": datetime.fromisoformat(document["started_at"]), "tally": Tally(**tally),
    })


def _rollback_to_json(rollback: Rollback) -> dict[str, Any]:
    document = {name: getattr(rollback, name) for name in Rollback.__slots__}
    return {**document, "at": rollback.at.isoformat()}


def _rollback_from_json(document: Mapping[str, Any]) -> Rollback:
    return Rollback(**{**document, "at": datetime.fromisoformat(document["at"])})


def _disagreement_row(disagreement: Disagreement) -> dict[str, object]:
    plain = {name: getattr(disagreement, name) for name in Disagreement.__slots__}
    return {**plain, "in_service": _side_to_json(disagreement.in_service), "candidate": _side_to_json(disagreement.candidate)}


def _disagreement(row: Row[*tuple[object, ...]]) -> Disagreement:
    plain = {name: getattr(row, name) for name in Disagreement.__slots__}
    return Disagreement(**{**plain, "in_service": _side(row.in_service), "candidate": _side(row.candidate)})


def _side_to_json(side: Side) -> dict[str, Any]:
    return {"label": side.label, "abstained": side.abstained, "values": dict(side.values)}


def _side(document: Mapping[str, Any]) -> Side:
    return Side(document["label"], document["abstained"], document["values"])
