"""TalkPlayData-2: synthetic conversations in which music is recommended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.times import parsed_times
from timbrec.datasets.shared.base import Dataset, reading
from timbrec.errors import DataError


@dataclass(frozen=True)
class TalkPlayData2(Dataset):
    """The tracks that 16,190 conversations recommend; users and tracks are those of LFM-2b, conversations made by LLMs.

    A track that a conversation turns to (role "music") is a play by the user. Conversations have a date at most, so all
    their tracks have one time, and none if the files give no `session_date`. `split` is "train", "test" or "all".
    Files: data/<split>-*.parquet with user_id and conversations (lists of role, content, turn_number).
    """

    split: str = "all"

    name: ClassVar[str] = "TalkPlayData-2"
    licence: ClassVar[str] = "CC BY-NC-ND 4.0"
    citation: ClassVar[str] = (
        "Choi, Doh, Nam: TalkPlayData 2: An Agentic Synthetic Data Pipeline for Multimodal Conversational Music "
        "Recommendation, arXiv:2509.09685, 2025"
    )
    url: ClassVar[str] = "https://huggingface.co/datasets/talkpl-ai/TalkPlayData-2"

    def events(self) -> Events:
        """One row per track of a conversation."""
        files = self._files()
        with reading(files[0]):
            rows = pl.scan_parquet(files, glob=False)
            dated = "session_date" in rows.collect_schema().names()
            turns = rows.select("user_id", "conversations", *(["session_date"] if dated else []))
            turn = pl.col("conversations").struct
            music = turns.explode("conversations").filter(turn.field("role") == "music")
            plays = music.select(pl.col("user_id").alias("user"), turn.field("content").alias("item"),
                                 *([pl.col("session_date").alias("time")] if dated else [])).collect()  # fmt: skip
            plays = plays.drop_nulls("item")
            return make_events(plays.with_columns(parsed_times(plays["time"]).alias("time")) if dated else plays)

    def _files(self) -> list[Path]:
        pattern = "*" if self.split == "all" else f"{self.split}-*"
        files = sorted((Path(self.folder) / "data").glob(f"{pattern}.parquet"))
        if not files:
            raise DataError(
                f"{self.folder} has no file data/train-00000-of-00001.parquet", fix=f"Get {self.name} from {self.url}."
            )
        return files
