"""What the training program remembers between starts."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STARTED, DONE, FAILED = "started", "done", "failed"


@dataclass
class State:
    """What was done about each trigger, on disk: a small JSON file, replaced whole."""

    path: Path
    triggers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> State:
        """The state as it was last saved; empty where there is no file."""
        return cls(path, json.loads(path.read_text()) if path.exists() else {})

    def handled(self, trigger_id: str) -> bool:
        """Whether nothing is left to do about the trigger."""
        return self.triggers.get(trigger_id, {}).get("state") in (DONE, FAILED)

    def mark(self, trigger_id: str, state: str, **facts: str) -> None:
        """Notes where the trigger stands, durably, before anything else happens."""
        known = self.triggers.get(trigger_id, {})
        self.triggers[trigger_id] = {**known, "state": state, **facts}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_suffix(".part")
        with aside.open("w") as out:
            json.dump(self.triggers, out, indent=2)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(self.path)
