"""Into how many pieces a batch is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor.kafka.pieces import LEAST_PIECE_BYTES, PIECE_BYTES, SMALL_BATCH_BYTES, piece

RECORD = 450  # bytes


def parts(offsets: list[int], limit: int) -> list[float]:
    """What Spark makes of a limit: each range in the fewest equal parts within it."""
    cut = [(length, -(-length // limit)) for length in offsets]
    return [length / count for length, count in cut for _ in range(count)]


lengths = st.lists(st.integers(1, 50_000_000), min_size=1, max_size=30)


@given(offsets=lengths, record=st.integers(1, 100_000), cores=st.integers(1, 64))
def test_no_task_reads_more_than_a_piece_and_small_tasks_are_only_what_ranges_leave(
    offsets: list[int], record: int, cores: int
) -> None:
    size = sum(offsets) * record
    limit = piece(offsets, size, cores)
    made = parts(offsets, limit)
    assert max(made) * record <= PIECE_BYTES + record
    pieces = -(-sum(offsets) // limit)
    assert len(made) <= pieces + len(offsets)
    assert pieces == 1 or limit * record >= min(LEAST_PIECE_BYTES, PIECE_BYTES)


def test_a_skewed_topic_is_read_in_as_many_tasks_as_an_even_one_and_its_small_ranges() -> None:
    even, skewed = [500_000] * 4, [1_800_000, 80_000, 60_000, 60_000]
    limits = {piece(each, 2_000_000 * RECORD, 2) for each in (even, skewed)}
    assert limits == {500_000}
    assert parts(skewed, 500_000) == [450_000] * 4 + [80_000, 60_000, 60_000]


def test_the_number_of_large_pieces_is_one_that_keeps_all_cores_busy() -> None:
    def pieces(cores: int) -> int:
        return -(-10_000_000 // piece([10_000_000], 10_000_000 * RECORD, cores))

    assert [pieces(cores) for cores in (1, 2, 8, 16, 1000)] == [12, 12, 16, 16, 33]


def test_a_small_batch_is_not_cut() -> None:
    offsets = [10, 0, 5]
    assert piece(offsets, SMALL_BATCH_BYTES - 1, 64) == 15
    assert piece([0], 0, 2) == 1
