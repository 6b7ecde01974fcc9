"""The table of checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from timbrec.audit.artists import artists_near
from timbrec.audit.audited import Audited
from timbrec.audit.controls import controls_cold, controls_hot
from timbrec.audit.definitions import controls_by_definition, ranking_by_definition, split_by_definition
from timbrec.audit.encoders import encoder_contract, mean_not_sum, pooled_over_time
from timbrec.audit.equivariance import relabelling
from timbrec.audit.figures import metrics_recomputed
from timbrec.audit.finding import Finding
from timbrec.audit.inputs import inputs_unchanged
from timbrec.audit.intervals import intervals_recomputed
from timbrec.audit.learning import planted_trained
from timbrec.audit.learning_rules import learning_by_definition
from timbrec.audit.lists import lists_clean
from timbrec.audit.matters import settings_matter
from timbrec.audit.parts import EncoderPart, RecommenderPart
from timbrec.audit.planted import planted_ceiling, planted_dial, planted_order, planted_silence
from timbrec.audit.profiles import profiles_own_rows
from timbrec.audit.protocol import never_reads_test, refit_keeps_choice, refit_serves, train_statistics
from timbrec.audit.sequences import sequences_masked
from timbrec.audit.sound import sound_by_definition
from timbrec.audit.splits import split_clean
from timbrec.audit.tables import tables_recomputed
from timbrec.audit.trained import (
    frozen_stays_frozen,
    negatives_cover_all_users,
    served_is_trained,
    validation_ranks,
)
from timbrec.audit.trial import Trial


@dataclass(frozen=True)
class Check:
    """A check: its name, the numbers of the published defects it refuses, the property it proves, and its function.

    `of_run` checks a run, and reads its inputs if `needs_inputs`; `of_code` checks the running code on planted worlds;
    `of_recommender` and `of_encoder` check a single part.
    """

    name: str
    defects: str
    proves: str
    of_run: Callable[[Audited], Finding] | None = None
    of_code: Callable[[Trial], Finding] | None = None
    of_recommender: Callable[[RecommenderPart], Finding] | None = None
    of_encoder: Callable[[EncoderPart], Finding] | None = None
    needs_inputs: bool = False

    @property
    def of_parts(self) -> Callable[[Any], Finding] | None:
        """The function of a check of recommenders or encoders."""
        return self.of_recommender or self.of_encoder


CHECKS = (
    Check("inputs-unchanged", "", "the data is the data of the run", inputs_unchanged),
    Check("split-clean", "", "no test pair, cold item or later play is in train", split_clean, needs_inputs=True),
    Check("lists-clean", "", "lists hold unseen candidates alone, each once, best first, in full", lists_clean),
    Check("metrics-recomputed", "2", "every figure is its label's formula at its label's k", metrics_recomputed),
    Check("tables-recomputed", "2", "tables show the values, chance levels and gains of the lists", tables_recomputed),
    Check("intervals-recomputed", "", "intervals are those of users, tracks and seeds", intervals_recomputed),
    Check(
        "profiles-own-rows", "1", "profiles are made of the tracks their users played", profiles_own_rows,
        needs_inputs=True,
    ),
    Check("artists-near", "1", "rows of vectors belong to their tracks", artists_near, needs_inputs=True),
    Check("controls-cold", "1, 2", "vectors of nothing rank cold tracks like chance", controls_cold),
    Check(
        "controls-hot", "", "shuffled vectors, untrained, rank hot tracks like chance", controls_hot, needs_inputs=True
    ),
    Check("split-by-definition", "", "splits in time are those of their definition", of_code=split_by_definition),
    Check("ranking-by-definition", "", "lists are sorted, ties at random", of_code=ranking_by_definition),
    Check("controls-by-definition", "", "controls are permutations and normal vectors", of_code=controls_by_definition),
    Check("sound-by-definition", "", "sound is decoded, mixed, cut and resampled", of_code=sound_by_definition),
    Check("settings-matter", "", "every setting of a recommender has an effect", of_code=settings_matter),
    Check("learning-by-definition", "", "losses and steps are those of formulas", of_code=learning_by_definition),
    Check("sequences-masked", "", "sequences are in order, masked and free of padding", of_code=sequences_masked),
    Check("refit-keeps-choice", "", "a refit repeats epochs and learning rates", of_code=refit_keeps_choice),
    Check("planted-order", "1", "better encoders come out better, hot and cold", of_code=planted_order),
    Check("planted-dial", "1", "the more taste decides, the better the figures", of_code=planted_dial),
    Check("planted-ceiling", "1", "figures lie between chance and the possible", of_code=planted_ceiling),
    Check("planted-silence", "", "where plays are uniform, figures are chance", of_code=planted_silence),
    Check("planted-trained", "", "trained recommenders find what is there and no more", of_code=planted_trained),
    Check("relabelling", "1", "no list depends on the numbering of users and tracks", of_code=relabelling),
    Check("test-never-read", "", "no fit reads test pairs or stops on them", of_recommender=never_reads_test),
    Check("refit-serves", "", "the fit on all of train, with the chosen settings, serves", of_recommender=refit_serves),
    Check("train-statistics", "", "no fit reads vectors of tracks outside train", of_recommender=train_statistics),
    Check("frozen-stays-frozen", "5", "training moves learned tables, no others", of_recommender=frozen_stays_frozen),
    Check("pooled-over-time", "3", "tracks are pooled over time, not over channels", of_code=pooled_over_time),
    Check("mean-not-sum", "11", "a vector does not grow with its track's length", of_code=mean_not_sum),
    Check("encoder-contract", "3, 11", "the run's encoders pool by the mean over time", of_encoder=encoder_contract),
    Check("negatives-cover-all", "4", "any user may stand as a negative", of_code=negatives_cover_all_users),
    Check("served-is-trained", "7", "vectors are served as they were trained", of_code=served_is_trained),
    Check("validation-ranks", "9", "training stops on rankings for users with histories", of_code=validation_ranks),
)  # fmt: skip
