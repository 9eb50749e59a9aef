"""Files of what was mined, by the ending of their name, written whole or not at all and the same for the same rows."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.negatives.formats import FORMS, Record, Written, arrays_of, lists_of
from hnm_core.negatives.mining import Mined

ROWS_AT_ONCE = 10_000
"""Of a parquet file."""
_LEVEL = 6
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a member of an archive can have: that of its making would make each file another."""


def check_ending(path: Path, form: str) -> None:
    """Raises `InputError` for an ending that does not go with a form, or needs what is not installed."""
    ending = path.name.removesuffix(".gz").rpartition(".")[2].lower() if "." in path.name else ""
    if form == "npz":
        if ending != "npz" or path.suffix == ".gz":
            raise InputError(f"'{path}' cannot be written as npz; give it the ending .npz.")
    elif form == "trec":
        if ending in ("parquet", "npz", "json", "jsonl"):
            raise InputError(f"'{path}' cannot be written as trec; it is lines of text, .run or .trec, also with .gz.")
    elif ending not in ("jsonl", "parquet") or path.name.lower().endswith(".parquet.gz"):
        raise InputError(f"'{path}' cannot be written as {form}; give it the ending .jsonl, .jsonl.gz or .parquet.")
    if ending == "parquet":
        _pyarrow()


def usual_form(path: Path) -> str:
    """The form that an ending speaks of."""
    name = path.name.lower().removesuffix(".gz")
    return "npz" if name.endswith(".npz") else "trec" if name.endswith((".trec", ".run")) else "triplet"


def write(target: Path, name: str, form: str, mined: Mined, to: Written) -> tuple[int, int]:
    """Write a file.

    Args:
        target: where.
        name: of the file that it becomes, whose ending says of what kind it is.
        form: one of `FORMS`, or npz.
        mined: what.
        to: with which texts and ids.

    Returns:
        How many records it holds, and how many anchors have none.

    Raises:
        InputError: an id that the form cannot hold.
        OSError: it cannot be written.
    """
    if form == "npz":
        _write_npz(target, arrays_of(mined, to))
        return len(mined), 0
    count = Count()
    records = count.through(mined, form, to)
    lower = name.lower()
    if lower.endswith(".parquet"):
        _write_parquet(target, records, number_ids=isinstance(to.documents.ids, np.ndarray))
    else:
        with _text(target, packed=lower.endswith(".gz")) as file:
            for record in records:
                line = record["line"] if form == "trec" else json.dumps(record, ensure_ascii=False, allow_nan=False)
                file.write(f"{line}\n".encode("utf-8", "surrogatepass"))
    return count.records, count.without


class Count:
    """Counts records as they pass."""

    def __init__(self) -> None:
        self.records = self.without = 0

    def through(self, mined: Mined, form: str, to: Written) -> Iterator[Record]:
        """All records of a form."""
        make = FORMS[form]
        for lists in lists_of(mined, scores=to.scores or form == "trec"):
            before = self.records
            for record in make(lists, to):
                self.records += 1
                yield record
            self.without += self.records == before


@contextmanager
def _text(target: Path, *, packed: bool) -> Iterator[IO[bytes]]:
    with target.open("wb") as raw:
        if not packed:
            yield raw
            return
        with gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as file:
            yield file  # type: ignore[misc]  # it is what it says


def _write_parquet(target: Path, records: Iterator[Record], *, number_ids: bool) -> None:
    writer, rows = None, []
    try:
        for record in records:
            rows.append(record)
            if len(rows) == ROWS_AT_ONCE:
                writer = _written(writer, target, rows, number_ids)
                rows = []
        if rows or writer is None:
            writer = _written(writer, target, rows, number_ids)
    finally:
        if writer is not None:
            writer.close()


def _written(writer: Any, target: Path, rows: list[Record], number_ids: bool) -> Any:
    arrow, parquet = _pyarrow()
    if writer is None:
        schema = arrow.Table.from_pylist(rows).schema
        for place, field in enumerate(schema):
            if field.type == arrow.list_(arrow.null()):  # so far all of them are empty
                kind = arrow.float64() if field.name.endswith("scores") else arrow.string()
                kind = arrow.int64() if field.name.endswith("ids") and number_ids else kind
                schema = schema.set(place, arrow.field(field.name, arrow.list_(kind)))
        writer = parquet.ParquetWriter(target, schema, write_page_checksum=True)
    writer.write_table(arrow.Table.from_pylist(rows, schema=writer.schema))
    return writer


def _write_npz(target: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _LONG_AGO), member.getbuffer())


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "Parquet files need the package pyarrow: pip install pyarrow; or give the ending .jsonl."
        ) from None
    return pyarrow, pyarrow.parquet
