"""Files larger than memory: fields in memory, mediators in blocks of rows or of columns."""

from jaxmed.data.streams.row_stream import BLOCK_BYTES, Block, RowStream, stream
from jaxmed.data.streams.sources import ROW_SUFFIXES, Source, is_larger, open_source

__all__ = [
    "BLOCK_BYTES",
    "ROW_SUFFIXES",
    "Block",
    "RowStream",
    "Source",
    "is_larger",
    "open_source",
    "stream",
]
