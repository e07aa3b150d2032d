"""A training program that answers retraining triggers: a service of its own, without Spark.

It consumes the trigger topic, and for each trigger it has not handled yet reads the dataset that
the trigger names by its manifest, checks every file's digest, trains a scikit-learn model, and
says so: TRAINING_STARTED, REGISTERED and DEPLOYED (as a shadow) on the lifecycle topic, and the
new model's predictions for the dataset's test split on the inferences topic. A trigger may be
delivered any number of times, and this program may die at any moment: every event's id follows
from the trigger's, and a trigger is marked as done only when all its events are confirmed.

Exit codes: 0 done, or nothing to do; 2 usage; 3 the dataset is refused; 75 broker or registry
is not there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib

from trainer.bus import Bus, Event
from trainer.dataset import Dataset
from trainer.errors import OutsideDownError, RefusedError
from trainer.events import lifecycle, shadows, version_of
from trainer.model import Model
from trainer.state import DONE, FAILED, STARTED, State

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas" / "avro"
REFUSED, OUTSIDE_DOWN = 3, 75  # exit codes


def handle(
    trigger: Mapping[str, Any], bus: Bus, state: State, options: argparse.Namespace
) -> dict[str, Any]:
    """Trains once for a trigger and tells the world; raises RefusedError for a bad dataset."""
    at = options.event_time or datetime.now(UTC)
    version = version_of(trigger)

    def now(action: str, **more: object) -> Event:
        return lifecycle(trigger, action, at, options.lifecycle_topic, more)

    state.mark(trigger["trigger_id"], STARTED, model_version=version)
    bus.publish([now("TRAINING_STARTED")], at)
    try:
        dataset = Dataset.open(trigger["dataset_uri"] or "")
        model = Model.train(dataset)
        said = [*shadows(trigger, model, dataset, at, options.inferences_topic)]
    except RefusedError as error:
        bus.publish([now("TRAINING_FAILED", tags={"error": str(error)})], at)
        state.mark(trigger["trigger_id"], FAILED, error=str(error))
        raise
    artifact = _saved(model, options.state.parent / "models" / f"{version}.joblib")
    uri = artifact.as_uri()
    registered = now("REGISTERED", artifact_uri=uri)
    deployed = now("DEPLOYED", artifact_uri=uri, role="SHADOW", traffic_share=0.0)
    bus.publish([registered, deployed, *said], at)
    state.mark(trigger["trigger_id"], DONE)
    return {
        "trigger_id": trigger["trigger_id"],
        "model_version": version,
        "dataset": trigger["dataset"],
        "dataset_version": trigger["dataset_version"],
        "shadow_predictions": len(said),
        "artifact": str(artifact),
    }


def _saved(model: Model, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, path)
    return path.resolve()


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Handles triggers until told to stop; what was done, and how many were known already."""
    state = State.load(options.state)
    bus = Bus(options.bootstrap_servers, options.registry_url, options.group, options.schemas)
    done: dict[str, Any] = {
        "trained": [],
        "known_already": 0,
        "not_for_training": 0,
        "unreadable": 0,
    }
    try:
        for message, trigger in bus.triggers(options.triggers_topic, to_end=options.once):
            if trigger is None:
                done["unreadable"] += 1
            elif state.handled(trigger["trigger_id"]):
                done["known_already"] += 1
            elif trigger["state"] != "FIRED":
                done["not_for_training"] += 1
            else:
                print(f"training on trigger {trigger['trigger_id']}", file=sys.stderr)
                done["trained"].append(handle(trigger, bus, state, options))
            bus.commit(message)
            if options.limit is not None and len(done["trained"]) >= options.limit:
                break
    finally:
        bus.close()
    return done


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def arguments() -> argparse.ArgumentParser:
    """What the program is told."""
    parser = argparse.ArgumentParser(
        description="Train a model for each retraining trigger, once.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--bootstrap-servers", default="localhost:9092", help="Kafka")
    add("--registry-url", default="http://localhost:8081", help="schema registry")
    add("--state", type=Path, default=Path("training_state.json"), help="what was done; keep it")
    add("--schemas", type=Path, default=SCHEMAS, help="folder of the contracts")
    add("--group", default="training-pipeline", help="consumer group")
    add("--once", action="store_true", help="stop at the topic's end instead of waiting for more")
    add("--limit", type=int, help="stop after this many trainings")
    add("--event-time", type=_moment, help="the events' time when history is replayed, else now")
    add("--json", action="store_true", help="print one JSON document")
    add("--triggers-topic", default="bfp.retraining-triggers", help="read")
    add("--lifecycle-topic", default="bfp.model-lifecycle", help="written")
    add("--inferences-topic", default="bfp.inferences", help="written")
    return parser


def main() -> int:
    """Runs, prints what was done, and ends with an exit code."""
    options = arguments().parse_args()
    try:
        done = run(options)
    except RefusedError as error:
        print(f"refused: {error}", file=sys.stderr)
        print("  remedy: rebuild the dataset; a new trigger will name it", file=sys.stderr)
        return REFUSED
    except OutsideDownError as error:
        print(f"not available: {error}", file=sys.stderr)
        print("  remedy: check --bootstrap-servers and --registry-url, try again", file=sys.stderr)
        return OUTSIDE_DOWN
    if options.json:
        print(json.dumps(done))
        return 0
    for made in done["trained"]:
        print(f"trained {made['model_version']} on {made['dataset']} {made['dataset_version']},")
        print(f"  {made['shadow_predictions']} shadow predictions, {made['artifact']}")
    print(f"{done['known_already']} deliveries of triggers that were handled before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
