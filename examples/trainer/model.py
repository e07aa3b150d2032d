"""The model: gradient boosting on numeric and categorical columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from trainer.dataset import Dataset
from trainer.errors import RefusedError

UNKNOWN_CATEGORY = -1  # a category that training never saw counts as missing
CLASSES = 2


@dataclass(frozen=True)
class Model:
    """A trained model that knows which columns it reads."""

    pipeline: Pipeline
    numeric: list[str]
    categorical: list[str]

    @classmethod
    def train(cls, dataset: Dataset) -> Model:
        """Gradient boosting on the train split, each row with its weight."""
        rows = dataset.rows("train")
        columns = dataset.manifest["columns"]
        numeric, categorical = dataset.features(rows)
        wide = len(numeric)
        codes = OrdinalEncoder(
            handle_unknown="use_encoded_value",
            unknown_value=UNKNOWN_CATEGORY,
            encoded_missing_value=UNKNOWN_CATEGORY,
        )
        encode = ColumnTransformer(
            [
                ("numeric", "passthrough", list(range(wide))),
                ("categorical", codes, list(range(wide, wide + len(categorical)))),
            ]
        )
        of_category = list(range(wide, wide + len(categorical)))
        learn = HistGradientBoostingClassifier(categorical_features=of_category, random_state=0)
        model = cls(make_pipeline(encode, learn), numeric, categorical)
        labels = rows[columns["label"]].to_numpy(zero_copy_only=False).astype(str)
        if len(set(labels)) != CLASSES:
            raise RefusedError(f"{dataset.folder}: training needs two labels, not {set(labels)}")
        weights = rows[columns["weight"]].to_numpy()
        model.pipeline.fit(
            model.matrix(rows), labels, histgradientboostingclassifier__sample_weight=weights
        )
        return model

    def matrix(self, rows: pa.Table) -> np.ndarray[Any, np.dtype[np.object_]]:
        """The features of rows, one column a feature, numeric ones first."""
        names = [*self.numeric, *self.categorical]
        columns = [np.array(rows[name].to_pylist(), dtype=object) for name in names]
        return np.column_stack(columns)

    def probabilities(self, rows: pa.Table, positive: str) -> list[float]:
        """The probability of the positive label for each row."""
        of_positive = list(self.pipeline.classes_).index(positive)
        chances: list[float] = self.pipeline.predict_proba(self.matrix(rows))[
            :, of_positive
        ].tolist()
        return chances
