"""The demo's tables, read without Spark and held against what was produced."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score

from processor.stages.pipeline import STAGES
from tests.e2e import oracle
from tests.e2e.tables import Home

BATCHES = (1, 2, 3)
LEAST = 30  # rows that a measurement needs
EXACT = 1e-12
PLACE = ["topic", "partition", "offset"]
CODES = {
    "truncated_avro": {"malformed", "truncated_frame"},
    "unknown_schema_id": {"unknown_schema"},
    "plain_json": {"unknown_framing"},
    "empty_value": {"empty_value"},
}
SPLITS = {"test": 0.1, "validation": 0.1}
SALT = "split|employment-train|0|"
Measure = Callable[[pd.Series, pd.Series, pd.Series], float]
MEASURED: dict[str, Measure] = {
    "accuracy": lambda y, guess, _: accuracy_score(y, guess),
    "precision": lambda y, guess, _: precision_score(y, guess),
    "recall": lambda y, guess, _: recall_score(y, guess),
    "log_loss": lambda y, _, p: log_loss(y, p, labels=[False, True]),
}


def same(left: pd.DataFrame, right: pd.DataFrame, by: list[str]) -> None:
    """Both hold the same rows; the order does not matter, the types do not either."""
    columns = list(left.columns)
    a, b = (f[columns].sort_values(by).reset_index(drop=True).astype(object) for f in (left, right))
    pd.testing.assert_frame_equal(a, b)


def test_the_log_is_what_kafka_holds(demo: Home) -> None:
    log = demo.table("log")
    landed = log.assign(key=log["key"].map(bytes.decode))
    columns = [*PLACE, "timestamp", "key", "batch_id"]
    same(demo.events[columns].astype({"batch_id": int}), landed[columns], PLACE)
    assert set(landed["batch_id"]) == set(BATCHES)


def test_every_log_row_is_one_typed_row_on_its_own_table(demo: Home) -> None:
    typed = demo.typed()
    assert (typed["attempt"] == 1).all()
    columns = [*PLACE, "timestamp", "batch_id"]
    same(demo.table("log")[columns], typed[columns], PLACE)
    tables = typed.groupby("table")["topic"].unique().map(list).to_dict()
    assert tables == {
        "inferences": ["bfp.inferences"],
        "sessions": ["bfp.sessions"],
        "feature_sets": ["bfp.feature-sets"],
        "ground_truth": ["bfp.ground-truth"],
        "lifecycle": ["bfp.model-lifecycle"],
    }


def test_the_poison_and_nothing_else_has_defects(demo: Home) -> None:
    joined = demo.events.merge(demo.typed(), on=PLACE)
    assert len(joined) == len(demo.events)
    bad = joined[joined["codes"] != ""]
    assert set(bad["event_id"]) == set(demo.events.dropna(subset="poison")["event_id"])
    for kind, found in bad.groupby("poison")["codes"]:
        assert set(found) <= CODES[str(kind)], kind
    assert set(bad["poison"]) == set(CODES)
    by_batch = {one["batch"]: one["defects"] for one in demo.said["batches"]}
    assert by_batch == bad.groupby("batch_id_x").size().to_dict()


@pytest.mark.parametrize("batch", BATCHES)
def test_outcomes_are_counted_as_pandas_counts_them(demo: Home, batch: int) -> None:
    rows = demo.table("measurements").query("batch_id == @batch and slice == 'all'")
    stored = rows[rows["metric"].str.startswith("outcomes.")].set_index("metric")["n"]
    expected = oracle.counts(demo.events, batch)
    assert {name.removeprefix("outcomes."): n for name, n in stored.items()} == expected
    told = next(one for one in demo.said["batches"] if one["batch"] == batch)
    for name in ("known", "censored", "unknown", "late"):
        assert told[name] == expected[name]


def test_the_world_has_every_kind_of_outcome(demo: Home) -> None:
    last = oracle.counts(demo.events, BATCHES[-1])
    assert all(last[name] for name in ("known", "censored", "unknown", "late", "outside"))
    small = [news(demo.events, batch).groupby("race").size().min() for batch in BATCHES]
    assert min(small) < LEAST
    assert demo.events["supersedes"].notna().any()
    answers = demo.events[demo.events["record"] == "GroundTruth"]
    assert answers["event_id"].duplicated().any()


@pytest.mark.parametrize("batch", BATCHES)
def test_the_ledger_says_what_was_known_as_of_each_batch(demo: Home, batch: int) -> None:
    ledger = demo.table("outcomes")
    said = ledger[(ledger["batch_id"] <= batch) & (ledger["timing"] == "ON_TIME")]
    now = said.sort_values("batch_id").groupby("inference_id").last()
    truth = oracle.known(demo.events, batch)
    assert now["value"].to_dict() == truth.map({True: "true", False: "false"}).to_dict()
    states = truth.map({True: "POSITIVE", False: "NEGATIVE"})
    assert now["state"].to_dict() == states.to_dict()
    changed = set(oracle.news(demo.events, batch).index)
    assert set(said[said["batch_id"] == batch]["inference_id"]) == changed


def test_late_and_outside_answers_are_kept_apart(demo: Home) -> None:
    ledger = demo.table("outcomes")
    found = oracle.answers(demo.events, BATCHES[-1])
    for timing in ("late", "outside"):
        rows = ledger[ledger["timing"] == timing.upper()]
        expected = found[found["timing"] == timing]
        assert set(zip(rows["inference_id"], rows["batch_id"], strict=True)) == set(
            zip(expected["inference_id"], expected["batch_id"], strict=True)
        )


def test_every_outcome_leads_back_to_its_inference_and_answers(demo: Home) -> None:
    events = demo.events.set_index(PLACE)["inference_id"].to_dict()
    for row in demo.table("outcomes").itertuples():
        places = [(one["topic"], one["partition"], one["offset"]) for one in row.origins]
        assert {events[place] for place in places} == {row.inference_id}
        assert [place[0] for place in places[:2]] == ["bfp.inferences", "bfp.ground-truth"]


def test_every_dataset_row_leads_back_to_its_inference_and_answers(demo: Home) -> None:
    columns = ["record", "inference_id", "metric", "value_bool", "batch_id"]
    produced = demo.events.set_index(PLACE)[columns].to_dict("index")
    rows = demo.table("dataset_rows")
    assert len(rows) == sum(manifest["row_count"] for manifest in demo.manifests().values())
    for row in rows.itertuples():
        told = [produced[one["topic"], one["partition"], one["offset"]] for one in row.origins]
        assert {each["inference_id"] for each in told} == {row.inference_id}
        assert [one["batch_id"] for one in row.origins] == [each["batch_id"] for each in told]
        asked, *answers = told
        assert asked["record"] == "InferenceEvent"
        assert {each["record"] for each in answers} == {"GroundTruth"}
        assert max(each["batch_id"] for each in told) <= row.batch_id
        assert row.label in {str(each["value_bool"]).lower() for each in answers}


def news(events: pd.DataFrame, batch: int) -> pd.DataFrame:
    """What became known in the batch, beside what was predicted, and to whom."""
    label = oracle.news(events, batch).rename("label")
    rows = oracle.inferences(events, batch).join(label, how="inner")
    met = events[(events["record"] == "SessionContext") & (events["batch_id"] <= batch)]
    who = met.drop_duplicates("session_id").set_index("session_id")[["sex", "race"]]
    return rows.drop(columns=["sex", "race"]).join(who, on="session_id")


@pytest.mark.parametrize("batch", BATCHES)
def test_quality_by_slice_is_what_scikit_learn_says(demo: Home, batch: int) -> None:
    rows = news(demo.events, batch)
    slices = {"all": rows}
    for name in ("sex", "race"):
        slices |= {f"{name}={value}": part for value, part in rows.groupby(name)}
    stored = demo.table("measurements").query("batch_id == @batch and window == 'batch'")
    stored = stored[stored["metric"].isin(list(MEASURED))].set_index(["metric", "slice"])
    assert set(stored["model_version"]) == {"1"}
    assert set(stored.index) == {(metric, part) for metric in MEASURED for part in slices}
    few = 0
    for (metric, part), row in stored.iterrows():
        of = slices[part]
        if len(of) < LEAST:
            few += 1
            assert np.isnan(row["value"])
            assert row["verdict"] == "INSUFFICIENT"
        else:
            guess = of["pred_label"] == "true"
            expected = MEASURED[metric](of["label"], guess, of["pred_score"])
            assert row["value"] == pytest.approx(expected, rel=0, abs=EXACT), (metric, part)
            assert row["ci_low"] <= row["value"] <= row["ci_high"]
    assert few < len(stored) / 2


def test_a_version_holds_what_became_known_and_may_be_trained_on(demo: Home) -> None:
    rows, placed = demo.dataset(), demo.table("dataset_rows")
    versions = dict(zip(BATCHES, sorted(demo.manifests()), strict=True))
    for batch, version in versions.items():
        expected = news(demo.events, batch)
        allowed = expected[expected["training_allowed"].astype(bool)]
        assert len(allowed) < len(expected)
        mine = rows[rows["version"] == version].set_index("inference_id")
        assert mine["label"].to_dict() == allowed["label"].map(str).str.lower().to_dict()
        assert mine["subject_key"].to_dict() == allowed["subject_key"].to_dict()
        assert (mine["weight"] == 1).all()
        noted = placed[placed["version"] == version].set_index("inference_id")
        assert noted["split"].to_dict() == mine["split"].to_dict()


def test_a_subject_is_on_one_side_drawn_from_its_name_alone(demo: Home) -> None:
    rows = demo.dataset()
    assert (rows.groupby("subject_key")["split"].agg(set).map(len) == 1).all()

    def side(subject: str) -> str:
        digest = hashlib.md5(f"{SALT}{subject}".encode(), usedforsecurity=False).hexdigest()
        drawn = int(digest[:13], 16) / 16**13
        if drawn < SPLITS["test"]:
            return "test"
        return "validation" if drawn < sum(SPLITS.values()) else "train"

    assert (rows["split"] == rows["subject_key"].map(side)).all()
    assert rows["split"].value_counts(normalize=True)["train"] == pytest.approx(0.8, abs=0.02)


def test_manifests_describe_the_files_beside_them(demo: Home) -> None:
    stored = demo.table("datasets").set_index("version")
    read = demo.dataset().groupby(["version", "split"]).size()
    manifests = demo.manifests()
    assert set(manifests) == set(stored.index)
    for version, manifest in manifests.items():
        folder = demo.path / "warehouse/dataset_files/employment-train" / version
        listed = []
        for split in manifest["splits"]:
            digests = []
            for file in split["files"]:
                content = (folder / file["path"]).read_bytes()
                assert file["sha256"] == hashlib.sha256(content).hexdigest()
                assert file["bytes"] == len(content)
                digests.append(file["sha256"])
                listed.append(f"{file['path']} {file['sha256']}")
            assert split["sha256"] == hashlib.sha256("\n".join(digests).encode()).hexdigest()
            assert split["rows"] == read[version, split["name"]]
        there = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        assert there == {"manifest.json", *(line.split()[0] for line in listed)}
        row = stored.loc[version]
        whole = sorted(listed, key=lambda line: ("train", "validation", "test").index(_side(line)))
        lines = "\n".join([row["schema_json"], *whole])
        assert row["content_sha256"] == hashlib.sha256(lines.encode()).hexdigest()
        assert manifest["content_sha256"] == row["content_sha256"]
        assert row["row_count"] == manifest["row_count"] == read[version].sum()


def _side(line: str) -> str:
    return line.split("/")[1]


def test_one_trigger_one_training_one_verdict(demo: Home) -> None:
    decisions = demo.table("decisions").sort_values("batch_id")
    volume = decisions[decisions["rule"] == "volume"]
    assert list(volume["state"]) == ["FIRED", "SUPPRESSED", "SUPPRESSED"]
    assert volume["reason"].str.contains("new rows").all()
    assert volume["reason"].iloc[1:].str.contains("since volume fired in batch 1").all()
    assert decisions.groupby("batch_id")["rule"].nunique().to_dict() == dict.fromkeys(BATCHES, 3)
    (trigger_id,) = decisions["trigger_id"].dropna()

    trained = demo.table("lifecycle").query("action == 'TRAINING_STARTED'")
    assert list(trained["trigger_id"]) == [trigger_id]
    assert list(trained["batch_id"]) == [2]
    found = demo.table("measurements").query("metric == 'verdict'")
    assert list(zip(found["batch_id"], found["model_version"], strict=True)) == [
        (2, trained["model_version"].iloc[0])
    ]
    shadows = demo.events[demo.events["role"] == "SHADOW"].query("record == 'InferenceEvent'")
    assert found["n"].iloc[0] == len(shadows)

    receipts = demo.table("receipts")
    assert receipts["record"].value_counts().to_dict() == {
        "DatasetPublished": len(BATCHES),
        "RetrainingTrigger": 1,
    }
    assert trigger_id in set(receipts["event_id"])
    assert [one["trigger_id"] for one in demo.said["triggers"]] == [trigger_id]


def test_the_evidence_of_a_decision_leads_to_the_rows_that_caused_it(demo: Home) -> None:
    """Volume: the rows of all versions since the last trigger; accuracy: the batch's outcomes."""
    guesses = demo.events.set_index(PLACE)["pred_label"].to_dict()
    rows, ledger = demo.table("dataset_rows"), demo.table("outcomes")
    decisions = demo.table("decisions").sort_values("batch_id")
    fired, seen = 0, []
    for decision in decisions[decisions["rule"] != "drift"].itertuples():
        (evidence,) = decision.evidence
        if decision.rule == "volume":
            of = rows[(rows["batch_id"] > fired) & (rows["batch_id"] <= decision.batch_id)]
            observed = len(of)
            fired = decision.batch_id if decision.state == "FIRED" else fired
        else:
            of = ledger[(ledger["batch_id"] == decision.batch_id) & (ledger["timing"] == "ON_TIME")]
            asked = [row[0] for row in of["origins"]]
            guessed = [guesses[each["topic"], each["partition"], each["offset"]] for each in asked]
            observed = (of["value"] == guessed).mean()
        assert (evidence["n"], evidence["observed"]) == (
            len(of),
            pytest.approx(observed, abs=EXACT),
        )
        seen.append((decision.rule, evidence["metric"]))
    assert set(seen) == {("volume", "new_rows"), ("metric_below", "accuracy")}
    assert len(seen) == 2 * len(BATCHES)


def test_ranges_follow_one_another_and_proofs_add_up(demo: Home) -> None:
    key = ["topic", "partition"]
    ranges = demo.table("batches").sort_values([*key, "batch_id"])
    ends = demo.events.groupby(key)["offset"].max() + 1
    for place, mine in ranges.groupby(key):
        assert list(mine["batch_id"]) == list(BATCHES)
        assert mine["start_offset"].iloc[0] == 0
        assert list(mine["start_offset"].iloc[1:]) == list(mine["end_offset"].iloc[:-1])
        assert mine["end_offset"].iloc[-1] == ends.get(place, 0)
    both = ranges.merge(demo.table("proofs"), on=[*key, "batch_id"], how="outer")
    expected = both["end_offset"] - both["start_offset"]
    parts = both[["landed", "control", "aborted", "compacted", "lost"]]
    assert (both["expected"] == expected).all()
    assert (parts.sum(axis=1) == expected).all()
    assert (both["lost"] == 0).all()
    landed = demo.table("log").groupby([*key, "batch_id"]).size()
    counted = both[both["landed"] > 0].set_index([*key, "batch_id"])["landed"]
    assert counted.to_dict() == landed.to_dict()
    marks = both.groupby("batch_id")["watermark"].unique()
    assert {n: list(m) for n, m in marks.items()} == {
        n: [m] for n, m in oracle.watermarks(demo.events).items()
    }


def test_the_report_is_there_and_tells_the_same(demo: Home) -> None:
    page = (demo.path / "report" / "index.html").read_text()
    document = json.loads((demo.path / "report" / "report.json").read_text())
    assert demo.said["triggers"][0]["trigger_id"] in page
    assert document["batch"] == BATCHES[-1]


def test_every_stage_of_every_batch_is_accounted_for(demo: Home) -> None:
    runs = demo.table("runs")
    assert set(runs["outcome"]) == {"done"}
    assert set(runs.groupby("batch_id")["stage"].nunique()) == {len(STAGES)}
    assert len(runs) == len(STAGES) * len(BATCHES)
