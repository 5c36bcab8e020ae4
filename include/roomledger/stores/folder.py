"""A folder as a store: copies of buckets on a disk, for development and for archives.

A file's version is `<modification time in ns>-<size>`. A file cannot be locked, so `read` checks its version again
before it yields each piece. Two contents of one size, written within one tick of the file system's clock (some
milliseconds), have the same version: put files in place by renaming them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import FileIO
from itertools import islice
from pathlib import Path

from roomledger import stores
from roomledger.model import Observation
from roomledger.stores import transfer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Folder:
    """Every regular file below one absolute path, links followed."""

    def __init__(self, url: str) -> None:
        self._root = Path(stores.split_url(url)[2])
        self.url = f"file://{self._root}"

    def list(self) -> Iterator[list[Observation]]:
        """See `Store.list`."""
        files = _files(self._root, frozenset())
        try:
            while page := list(islice(files, stores.PAGE_OBJECTS)):
                yield page
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._no_folder() from error
        except OSError as error:
            raise _explain(error, self.url) from error

    def stat(self, uri: str) -> Observation | None:
        """See `Store.stat`. An address outside the folder, or not in the form of a listing, has no object."""
        path = Path(stores.key_of(uri, self))
        if not path.is_relative_to(self._root) or ".." in path.parts or f"file://{path}" != uri:
            return None
        try:
            return _observed(path, path.stat())
        except (FileNotFoundError, NotADirectoryError) as error:
            if self._root.is_dir():
                return None
            raise self._no_folder() from error
        except OSError as error:
            raise _explain(error, uri) from error

    def read(self, seen: Observation) -> Iterator[bytes]:
        """See `Store.read`."""
        path = Path(stores.key_of(seen.uri, self))
        if not path.is_relative_to(self._root):
            raise ValueError(f"{seen.uri} is not in {self.url}")
        try:
            _check(path.stat(), seen)
            with path.open("rb", buffering=0) as file:
                yield from transfer.check_size(_pieces(file, seen), seen)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise stores.ObjectMissing(f"{seen.uri} no longer exists") from error
        except OSError as error:
            raise _explain(error, seen.uri) from error

    def _no_folder(self) -> stores.BucketMissing:
        return stores.BucketMissing(f"there is no folder {self.url}: create it, or correct the source's url")


def _files(folder: Path, parents: frozenset[tuple[int, int]]) -> Iterator[Observation]:
    """Depth first, in the order of names; `parents` are the folders above, to which a link must not lead back."""
    status = folder.stat()
    here = parents | {(status.st_dev, status.st_ino)}
    for path in sorted(folder.iterdir()):
        try:
            status = path.stat()
        except OSError:
            # Deleted since it was listed, or a broken link.
            continue
        if seen := _observed(path, status):
            yield seen
        elif stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in here:
            yield from _files(path, here)


def _observed(path: Path, status: os.stat_result) -> Observation | None:
    if not stat.S_ISREG(status.st_mode):
        return None
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise stores.StoreError(f"the name of {os.fsencode(path)!r} is not UTF-8: rename the file") from None
    modified_at = _EPOCH + timedelta(microseconds=status.st_mtime_ns // 1000)
    return Observation(f"file://{path}", _version(status), modified_at, status.st_size)


def _pieces(file: FileIO, seen: Observation) -> Iterator[bytes]:
    while True:
        piece = file.read(stores.PIECE_BYTES)
        _check(os.fstat(file.fileno()), seen)
        yield piece
        if len(piece) < stores.PIECE_BYTES:
            return


def _check(status: os.stat_result, seen: Observation) -> None:
    if not stat.S_ISREG(status.st_mode) or _version(status) != seen.version:
        raise stores.ObjectChanged(f"{seen.uri} has another version now than {seen.version}")


def _version(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}"


def _explain(error: OSError, uri: str) -> stores.StoreError:
    if isinstance(error, PermissionError):
        return stores.AccessDenied(f"no permission to read {uri}: grant it to the user that runs roomledger")
    return stores.StoreError(f"{uri} cannot be read: {transfer.summary(error)}")
