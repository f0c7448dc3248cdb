"""The published MNIST-like sets: where to download their four files, and the sizes and checksums of these."""

import hashlib
from pathlib import Path
from typing import NamedTuple

FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}


SAMPLES = 60_000, 10_000  # for training and for testing, in each of the sets below


class Source(NamedTuple):
    """One published set; `files` has the size in bytes and the SHA-256 checksum of each of `FILES`, in their order."""

    url: str
    class_names: tuple[str, ...]
    citation: str
    files: tuple[tuple[int, str], ...]


SOURCES = {
    "mnist": Source(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        tuple("0123456789"),
        "LeCun et al. (1998), DOI 10.1109/5.726791",
        (
            (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    "fashion_mnist": Source(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "t-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        "Xiao, Rasul & Vollgraf (2017), arXiv:1708.07747",
        (
            (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
    "kmnist": Source(
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        "Clanuwat et al. (2018), arXiv:1812.01718",
        (
            (18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
    ),
}


def recognize(paths: dict[str, Path]) -> str | None:
    """Return the name of the published set that has exactly these files, or None.

    Args:
        paths: one for each key of `FILES`.
    """
    sizes = [path.stat().st_size for path in (paths[part] for part in FILES)]
    for name, source in SOURCES.items():
        if sizes == [size for size, _ in source.files]:  # cheaper than reading 30 MB
            sums = [_sha256(paths[part]) for part in FILES]
            return name if sums == [checksum for _, checksum in source.files] else None
    return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
