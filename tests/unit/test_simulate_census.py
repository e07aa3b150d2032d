"""The census as a world: the real table, a few persons of each year."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from processor.errors import ConfigError
from processor.resources import resource
from processor.simulate import census as world
from processor.simulate.census import CODED, NUMERIC, SECOND, new_year

DAY = 86_400 * SECOND


@pytest.fixture(scope="module")
def census() -> pa.Table:
    return pq.read_table(resource("data", "employment_ma.parquet"))


def test_the_baselines_history_is_2015_with_its_accuracy(census: pa.Table) -> None:
    history = world.reference(census)
    assert history.num_rows == 68_785
    right = pc.mean(pc.equal(history["pred_label"], history["label"]).cast("double")).as_py()
    assert right == pytest.approx(0.8272, abs=5e-5)
    assert history.column_names == [
        *NUMERIC,
        *CODED,
        *("pred_label", "pred_score", "label", "sex", "race"),
    ]
    assert set(history["label"].to_pylist()) == {"false", "true"}
    assert pc.min_max(history["pred_score"]).as_py()["max"] <= 1


def test_a_world_follows_from_its_seed(census: pa.Table) -> None:
    first, again, other = (world.truth(census, 2016, seed, 500) for seed in (1, 1, 2))
    assert first.equals(again)
    assert not set(first["inference_id"].to_pylist()) & set(other["inference_id"].to_pylist())


def test_persons_are_drawn_without_repeating_any(census: pa.Table) -> None:
    few = world.truth(census, 2017, 1, 1000)
    assert few.num_rows == len(set(few["subject_key"].to_pylist())) == 1000
    assert world.truth(census, 2017, 1).num_rows == 69_635


def test_a_year_is_filled_evenly(census: pa.Table) -> None:
    at = world.truth(census, 2016, 1, 3660)["event_time"].to_numpy()
    start, end = new_year(2016), new_year(2017)
    assert start <= at.min()
    assert at.max() < end
    counts = np.bincount((at - start) // DAY)
    assert len(counts) == 366
    assert set(counts) <= {9, 10, 11}


def test_sex_and_race_are_readable_and_no_feature(census: pa.Table) -> None:
    rows = world.truth(census, 2018, 1)
    assert set(rows["sex"].to_pylist()) == {"Male", "Female"}
    assert set(rows["race"].to_pylist()) == set(world.RACE.values())
    assert not {"SEX", "RAC1P"} & {*NUMERIC, *CODED}


def test_a_year_that_is_not_there_is_refused(census: pa.Table) -> None:
    with pytest.raises(ConfigError, match="no row of 1999"):
        world.truth(census, 1999, 1)
