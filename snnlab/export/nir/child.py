"""A process that reads one HDF5 file and writes its contents as a NumPy archive; `file.py` runs it.

Some damaged files crash libhdf5, others keep it in an endless loop. So untrusted files are opened here, with limits on
time and memory, and only plain numbers and strings come out.

    python child.py BYTES SECONDS < FILE > archive.npz

`BYTES` limits the size of all arrays together, `SECONDS` the CPU time. The members of the archive are named as in the
file, `node/nodes/hidden/tau`. Errors go to stderr.
"""

import io
import math
import sys
from contextlib import suppress

MAX_OBJECTS = 10_000
MAX_DEPTH = 16
MAX_NAME = 1000  # characters
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}  # what `nir.write` can write
OWN = 2**29  # bytes for Python, NumPy and HDF5


def limit(size: int, seconds: int) -> None:
    """Let the kernel end this process if it uses too much; on Windows, only the wall-clock time is limited."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_DATA, (OWN + 3 * size, OWN + 3 * size))


def contents(file, most: int) -> dict:
    """Return every array of a file by its path in the file.

    Raises:
        ValueError: if there are links, data in other files, other types, or more than `most` bytes.
    """
    import h5py

    waiting, objects, room, found = [("", file, 0)], 0, most, {}
    while waiting:
        path, group, depth = waiting.pop()
        for name in group:
            objects += 1
            place = f"{path}/{name}".strip("/")
            if objects > MAX_OBJECTS or depth > MAX_DEPTH or len(name) > MAX_NAME:
                raise ValueError(
                    f"has more than {MAX_OBJECTS} entries, {MAX_DEPTH} levels or {MAX_NAME} characters in a name"
                )
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name!r} is a link")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((place, item, depth + 1))
                continue
            room -= size_of(name, item)
            if room < 0:
                raise ValueError(f"unpacks to more than {most} bytes, too many for a file of its size")
            found[place] = item
    return found


def size_of(name: str, item) -> int:
    """Return the size of an array in bytes.

    Raises:
        ValueError: if it is not an array of plain numbers or strings inside the file.
    """
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise ValueError(f"{name!r} is not an array")
    if item.external or item.is_virtual:
        raise ValueError(f"{name!r} has its data in other files")
    if item.dtype.kind not in "biufS" and h5py.check_string_dtype(item.dtype) is None:
        raise ValueError(f"{name!r} is {item.dtype}, neither numbers nor strings")
    created = item.id.get_create_plist()
    for k in range(created.get_nfilters()):
        if created.get_filter(k)[0] not in FILTERS:
            raise ValueError(f"{name!r} has a filter other than {', '.join(FILTERS.values())}")
    return math.prod(item.shape) * item.dtype.itemsize


def plain(name: str, item, most: int):
    """Return an array of numbers, or of strings no longer than a name may be."""
    import h5py
    import numpy as np

    if h5py.check_string_dtype(item.dtype) is None:
        return item[()]
    texts = np.asarray(item.asstr()[()], object)
    longest = max((len(text) for text in texts.flat), default=0)
    if longest > MAX_NAME or 4 * longest * texts.size > most:
        raise ValueError(f"{name!r} has strings of up to {longest} characters")
    return texts.astype(f"U{max(1, longest)}")


def main(size: str, seconds: str) -> int:
    """Read the file from stdin, check it, and write the archive to stdout."""
    limit(int(size), int(seconds))
    import h5py
    import numpy as np

    try:
        whole = io.BytesIO(sys.stdin.buffer.read())  # the bytes that are read are those that were checked
        with h5py.File(whole, "r") as file:
            arrays = {name: plain(name, item, int(size)) for name, item in contents(file, int(size)).items()}
        np.savez(sys.stdout.buffer, allow_pickle=False, **arrays)
        sys.stdout.buffer.flush()
    except Exception as error:  # h5py raises almost any exception if it cannot read something
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
