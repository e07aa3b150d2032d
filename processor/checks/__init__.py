"""What makes an event valid, for the batch and for whoever is about to send one.

`check` asks one event, a mapping, and needs no Spark; `defects` is the same as a column. The rules
are one file per event type, and each of them is one formula that both of them read.
"""

from processor.checks.many import defects
from processor.checks.one import Defect, check
from processor.checks.rules import CHECKS, rules

__all__ = ["CHECKS", "Defect", "check", "defects", "rules"]
