"""Writes rows in every format, in a process of its own: arguments ROWS FOLDER."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyarrow import feather

from processor.datasets import formats
from processor.datasets.formats.base import Format
from processor.local.jars import ensure
from processor.local.places import cache_dir
from processor.plugins import Registry
from processor.session import end, session
from tests.spark import every_type


def main(source: Path, folder: Path) -> None:
    spark = session("again", ensure("spark", cache_dir()), {"spark.master": "local[1]"}, folder)
    try:
        rows = every_type.frame(spark, feather.read_table(source))
        forms: Registry[Format] = Registry(formats, "dataset format")
        said = {
            form.name: {
                file.path: file.sha256
                for file in every_type.stored(rows, form, folder / f"{form.name} again")
            }
            for form in forms
        }
    finally:
        end(spark)
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
