"""The next block is read while the last one is worked on."""

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

__all__ = ["prefetch"]

T = TypeVar("T")
_END = object()


def prefetch(items: Iterator[T], ahead: int = 1) -> Iterator[T]:
    """The same items, produced by a thread that stays at most `ahead` items in front.

    Whatever the producer raises is raised here, at its place. Leaving the loop early ends the
    thread. NumPy, pyarrow and file reads release the interpreter, so that both sides run at once.
    """
    waiting: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    left = threading.Event()

    def put(entry: Any) -> bool:
        while not left.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
        except BaseException as error:  # handed over, and raised by the consumer
            put((None, error))
            return
        put((_END, None))

    producer = threading.Thread(target=produce, name="jaxmed-prefetch", daemon=True)
    producer.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        left.set()
        producer.join()
