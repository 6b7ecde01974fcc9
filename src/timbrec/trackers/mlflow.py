"""MLflow."""

from __future__ import annotations

import re

from timbrec.trackers.shared.base import Record, imported, refused

LONGEST = 6_000  # characters of a parameter's value


class MLflow:
    """A run of MLflow, at MLFLOW_TRACKING_URI; `project` is its experiment."""

    def __init__(self, project: str | None = None) -> None:
        self._mlflow, self._project = imported("mlflow", "mlflow"), project

    def log(self, record: Record) -> str:
        """Log parameters, metrics and files; returns the experiment and the run's id."""
        mlflow = self._mlflow
        try:
            if self._project is not None:
                mlflow.set_experiment(self._project)
            with mlflow.start_run(run_name=record.name) as run:
                mlflow.log_params({_allowed(key): text[:LONGEST] for key, text in record.parameters.items()})
                mlflow.log_metrics({_allowed(name): value for name, value in record.metrics.items()})
                for file in record.files:
                    mlflow.log_artifact(str(file))
            return f"MLflow at {mlflow.get_tracking_uri()}, run {run.info.run_id}"
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise refused("MLflow", error) from error


def _allowed(name: str) -> str:
    """The name with characters that MLflow accepts."""
    return re.sub(r"[^\w\-. :/]", "_", name)
