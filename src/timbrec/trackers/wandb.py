"""Weights & Biases."""

from __future__ import annotations

from timbrec.trackers.shared.base import Record, imported, refused


class WandB:
    """A run of Weights & Biases; WANDB_MODE=offline keeps it on this machine until `wandb sync`."""

    def __init__(self, project: str | None = None) -> None:
        self._wandb, self._project = imported("wandb", "wandb"), project

    def log(self, record: Record) -> str:
        """Log parameters as the config, metrics as the summary, and files; returns the folder or address of the run."""
        wandb = self._wandb
        try:
            with wandb.init(
                project=self._project or "timbrec", name=record.name, config=dict(record.parameters)
            ) as run:
                run.summary.update(dict(record.metrics))
                for file in record.files:
                    run.save(str(file), base_path=str(file.parent), policy="now")
                place = run.url or run.dir
        except (wandb.Error, OSError) as error:
            raise refused("Weights & Biases", error) from error
        return f"Weights & Biases, {place}"
