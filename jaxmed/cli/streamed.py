"""`jaxmed mediate` on a file that is larger than the memory it may take."""

import argparse

from jaxmed.analysis.call import call_of
from jaxmed.analysis.design import check_linear
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.streamed import analyse_read, analyse_stream, check_call, is_dual, read_moments
from jaxmed.budget import default_budget
from jaxmed.cli.asked import asked_of
from jaxmed.cli.data_file import file_options, roles_of
from jaxmed.cli.shared import Say
from jaxmed.data.streams import BLOCK_BYTES, is_larger
from jaxmed.data.streams.row_stream import row_stream
from jaxmed.parallel.processes import leave, this_process
from jaxmed.parallel.shared_stream import part_file

__all__ = ["is_streamed", "mediate_file"]


def is_streamed(options: argparse.Namespace) -> bool:
    """True where the table, as float64, would take more than --memory."""
    if options.table is not None or options.file.suffix.lower() == ".npy":
        return True
    limit = default_budget() if options.memory is None else options.memory
    return is_larger(options.file, limit, file_options(options))


def mediate_file(options: argparse.Namespace, say: Say) -> MediationResult | None:
    """The analysis of `mediate`, by blocks.

    With --out the sums are kept there while the file is read, so that an interrupted run goes on.
    Of several processes the first one has the result, the others None.
    """
    if options.levels is not None:
        raise ValueError("--levels goes with files read in memory: choose two with --contrast")
    check_linear(options.basis, "streams")  # before the reading
    say(f"reading {options.file} in blocks")
    source = row_stream(
        options.file,
        roles_of(options),
        options=file_options(options),
        table=options.table,
        products=options.products,
        block_bytes=BLOCK_BYTES if options.block is None else options.block,
    )
    checkpoint = options.checkpoint
    if checkpoint is None and options.out is not None:
        checkpoint = options.out / "moments.npz"
    call = call_of(**asked_of(options), progress=say)
    check_call(source, call)
    me = this_process()
    if is_dual(source):
        if me.count > 1:
            raise ValueError(
                f"{source.num_mediators} mediators of {source.num_rows} rows are read by columns, "
                "which is not shared among processes: run it without `jaxmed launch`"
            )
        return analyse_stream(source, call)
    found = read_moments(source, checkpoint=checkpoint, every=options.every, progress=say)
    leave()
    result = analyse_read(source, found, call) if me.index == 0 else None
    if checkpoint is not None and options.checkpoint is None:
        part_file(checkpoint, me.index, me.count).unlink(missing_ok=True)
    return result
