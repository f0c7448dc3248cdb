"""What the Export button and its twin write: the network as it is now."""

import os
from pathlib import Path

from snnlab.errors import StateError
from snnlab.export import FORMATS, save, save_nir
from snnlab.live.session import COMPILING, TRAINING
from snnlab.support import arguments
from snnlab.support.files import free_path


def write(lab, path: str | os.PathLike | None, overwrite: bool) -> Path:
    """Into a file of that name, or without one into a new file in the folder of the LiveTrainer."""
    if path is not None and lab.state in (COMPILING, TRAINING):
        now = f"epoch {lab.history.num_epochs + 1} of {lab.trainer.config.epochs}"
        raise StateError(f"export: still training, {now}; wait, or pause() or stop() first")
    if path is None:
        return write_into(lab, lab.folder)
    path, data = Path(path), lab.trainer.data
    if arguments.choice("path: its ending", path.suffix, FORMATS) == ".nir":
        print(save_nir(lab.model, path, samples=data.x_test[:256], overwrite=overwrite))
        return path
    return _save(lab, path, overwrite)


def write_into(lab, folder: str | os.PathLike) -> Path:
    """Into a new file `folder/net-step-N.safetensors`."""
    return _save(lab, free_path(Path(folder) / f"net-step-{len(lab.history)}.safetensors"), overwrite=False)


def _save(lab, path: Path, overwrite: bool) -> Path:
    about = {"class_names": lab.trainer.data.class_names, "training": lab.trainer.provenance}
    return save(lab.model, path, **about, overwrite=overwrite)
