"""Vectors in the record: what one run keeps of them, so that the next can say whether a rotation changed them."""

from collections.abc import Mapping, Sequence

from gt_conformance.checks import Earlier, Sketch, sketches
from gt_conformance.exchange import Exchange
from gt_conformance.results.record_types import Record, VectorRecord


def vector_records(seen: Sequence[Exchange], key: str) -> list[VectorRecord]:
    """A sketch for each published name that embedded for this key."""
    return [{"model": one.model, "length": one.length, "signs": one.signs} for one in sketches(seen, key)]


def earlier_by_secret(record: Record | None) -> Mapping[str, Earlier]:
    """What a run saw, by the fingerprint of the secret with which it did."""
    if record is None:
        return {}
    return {
        key["fingerprint"]: Earlier(record["run"]["started"][:10], _sketches(key["vectors"]))
        for key in record["credentials"]
        if key["fingerprint"] is not None and "vectors" in key
    }


def _sketches(vectors: Sequence[VectorRecord]) -> Mapping[str, Sketch]:
    return {one["model"]: Sketch(one["model"], one["length"], one["signs"]) for one in vectors}
