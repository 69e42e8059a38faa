"""Kernels that start at once: one process imports what chapters import from others, and forks for each kernel.

A fresh kernel spends ten seconds of a core on importing PyTorch, pandas and their like before a chapter's own work
begins. Here that is done once. The forked process becomes an ordinary IPython kernel; the book's own package is not
imported before the fork, so each kernel loads it as it stands then.

    with warm_kernels() as kernel:  # the name of a kernel, for nbclient, papermill or nbval
        NotebookClient(notebook, kernel_name=kernel).execute()

Three processes: whoever asks for a kernel starts this file as `start`, which is small and stands for the kernel (its
end is the kernel's end, and the other way round); that asks `serve`, the warm one, to fork.
"""

import builtins
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

NAME = "warm"
PRELOADED = [
    *("ipykernel.kernelapp", "torch", "torchvision", "sklearn.datasets", "sklearn.metrics", "sklearn.linear_model"),
    *("pandas", "scipy.stats", "statsmodels.api", "seaborn", "typeguard", "safetensors.torch"),
]
# What the libraries read when they are imported. One thread each: kernels run two at a time and more would wait for
# one another, and threads do not survive a fork.
ENVIRONMENT = {
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@contextmanager
def warm_kernels() -> Iterator[str]:
    """The name of a kernel that starts at once, as long as this lasts; elsewhere than on Linux the usual kernel's.

    macOS and Windows do not let a process that has loaded such libraries fork.
    """
    if sys.platform != "linux":
        yield "python3"
        return
    from ipykernel.kernelspec import get_kernel_dict  # not at the top: `start` has the standard library only

    with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
        address = f"{folder}/socket"
        this = str(Path(__file__).resolve())
        specification = get_kernel_dict()  # as the usual kernel's, but for the command
        specification["argv"] = [sys.executable, "-I", "-S", this, "start", address, "{connection_file}"]
        place = Path(folder, "kernels", NAME)
        place.mkdir(parents=True)
        (place / "kernel.json").write_text(json.dumps(specification))
        # -P: the folder of this file is no place for a chapter to import from.
        command = [sys.executable, "-P", this, "serve", address]
        before = os.environ.get("JUPYTER_PATH")
        server = subprocess.Popen(
            command, env=os.environ | ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            if server.stdout.readline() != b"ready\n":
                raise RuntimeError("the process that forks kernels did not start; its message stands above")
            os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [folder, before]))
            yield NAME
        finally:
            if before is None:
                os.environ.pop("JUPYTER_PATH", None)
            else:
                os.environ["JUPYTER_PATH"] = before
            server.kill()
            server.wait()
            server.stdin.close()
            server.stdout.close()


def start(address: str, connection_file: str) -> None:
    """Ask for a kernel, then stand for it until it ends."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        request = {"connection_file": connection_file, "environment": dict(os.environ), "folder": os.getcwd()}
        message = json.dumps(request).encode()
        socket.send_fds(server, [len(message).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(message)
        kernel = int.from_bytes(server.recv(8), "big")
        signal.signal(signal.SIGINT, lambda *_: os.kill(kernel, signal.SIGINT))
        server.recv(1)  # nothing is ever sent: this returns when the kernel has ended


def serve(address: str) -> None:
    """Import, then fork a kernel for whoever asks, until standard input is closed, be it that who started this died."""
    # pandas asks when it is imported whether it is in a notebook, and lays out tables accordingly.
    setattr(builtins, "get_ipython", lambda: SimpleNamespace(kernel=None))  # noqa: B010 - for mypy
    for name in PRELOADED:
        with suppress(ImportError):  # an environment without a chapter's packages serves the other chapters
            importlib.import_module(name)
    del builtins.get_ipython  # type: ignore[attr-defined]
    assert "laya_nb" not in sys.modules
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the kernels
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    gc.freeze()  # or each kernel would copy the memory of all that was imported when it looks for garbage
    os.write(1, b"ready\n")
    while 0 not in select.select([0, listener.fileno()], [], [])[0]:
        asking, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            become_kernel(asking)
            return
        asking.close()


def become_kernel(asking: socket.socket) -> None:
    """What the forked process does: take over the place of the process that asks, and run a kernel there."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, descriptors, *_ = socket.recv_fds(asking, 8, 3)
    with asking.makefile("rb") as stream:
        request = json.loads(stream.read(int.from_bytes(size, "big")))
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"] | {"JPY_PARENT_PID": str(os.getppid())})
    os.chdir(request["folder"])
    # Or all kernels would draw the same numbers, where a chapter has set no seed.
    for name in ("numpy.random", "torch"):
        if name in sys.modules:
            sys.modules[name].seed()
    asking.sendall(os.getpid().to_bytes(8, "big"))

    def end_with_asker() -> None:
        asking.recv(1)  # nothing is ever sent: this returns when the other side has ended
        os._exit(1)

    threading.Thread(target=end_with_asker, daemon=True).start()

    from ipykernel.kernelapp import IPKernelApp

    # The parent is the process that forked, not the one that asked.
    sys.argv = ["ipykernel_launcher", "-f", request["connection_file"]]
    IPKernelApp.launch_instance(parent_handle=os.getppid())
    gc.unfreeze()  # what is never freed is reported as leaked


if __name__ == "__main__":
    if sys.argv[1] == "start":
        start(*sys.argv[2:])
    else:
        serve(*sys.argv[2:])
