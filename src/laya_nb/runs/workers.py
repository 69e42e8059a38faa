"""Worker processes for sweeps."""

import ctypes
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import torch


def process_pool(processes: int) -> ProcessPoolExecutor:
    """Processes that train at once, with one thread each: small models gain next to nothing from a second thread."""
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), worker_setup, (1,))


def worker_setup(threads: int) -> None:
    """What a worker process does first: ProcessPoolExecutor(n, context, worker_setup, (1,)).

    It takes its share of threads, keeps the memory that it frees, and ends when the process that started it does: a
    worker whose sweep was killed would train on with nobody to save the result.
    """
    torch.set_num_threads(threads)
    _keep_freed_memory()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _keep_freed_memory() -> None:
    """glibc gives large blocks back to the system at once and asks for them anew: a third of an LSTM's step."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4  # their numbers in malloc.h
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
