"""snnlab: watch spiking networks and LSTMs learn."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from snnlab import __version__
from snnlab.config import LstmConfig, SnnConfig, TrainConfig
from snnlab.errors import ArgumentError, SnnlabError
from snnlab.files import atomic_path, refuse_existing, try_writing


def _default(metavar: str, shown) -> Any:
    """An option that is None unless it is given, whose help shows the default that then holds."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {shown})")


SNN_ONLY = ("num_steps", "dt", "tau_mem", "tau_syn", "v_th")


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a reference network on real images or events, with a live progress line.

    Ctrl-C ends it and keeps what was learned. Options that begin with "snn:" mean nothing to the lstm.
    """

    network: Annotated[Literal["snn", "lstm"], tyro.conf.arg(name="network"), tyro.conf.Positional] = "snn"
    """Spiking network on latency-coded images or on events, or LSTM on rows of images."""
    data: str = "digits"
    """digits (embedded), fashion_mnist, mnist, kmnist, yinyang, or a folder of idx .gz files; for the snn also events:
    event_digits (synthetic), nmnist, shd, or a folder with train.npz and test.npz."""
    epochs: int = TrainConfig.epochs
    """Passes over the training set."""
    batch_size: int = TrainConfig.batch_size
    """Samples in one optimizer step."""
    lr: float = TrainConfig.learning_rate
    """Learning rate at the start; it falls to zero along a cosine."""
    seed: int = TrainConfig.seed
    """One seed, one run, bit for bit."""
    hidden: Annotated[int | None, _default("INT", SnnConfig.hidden)] = None
    """Neurons, or LSTM units, in the hidden layer."""
    num_steps: Annotated[int | None, _default("INT", f"{SnnConfig.num_steps}, for events until the last")] = None
    """snn: time steps of one sample."""
    dt: Annotated[float | None, _default("MS", SnnConfig.dt)] = None
    """snn: length of a time step [ms]."""
    tau_mem: Annotated[float | None, _default("MS", SnnConfig.tau_mem)] = None
    """snn: membrane time constant [ms]."""
    tau_syn: Annotated[float | None, _default("MS", SnnConfig.tau_syn)] = None
    """snn: synaptic time constant [ms]."""
    v_th: Annotated[float | None, _default("FLOAT", SnnConfig.v_th)] = None
    """snn: firing threshold."""
    out: Annotated[Path | None, _default("DIR", "nothing is kept")] = None
    """Folder for the trained network (net.safetensors) and its history (history.json)."""
    json: Annotated[Path | None, _default("FILE", "none")] = None
    """File for the report: config, versions, results of every epoch."""

    def network_config(self, dataset=None) -> SnnConfig | LstmConfig:
        """The config of the chosen network; what was not given keeps its default, or suits the events of the data."""
        names = ("hidden", *SNN_ONLY)
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        events = dataset is not None and dataset.has_events
        if self.network == "snn":
            return replace(SnnConfig(**given), **(self._for_events(dataset) if events else {}))
        if events:
            raise ArgumentError(f"--data: {self.data} has events, which the lstm does not read; use snnlab train snn")
        for name in SNN_ONLY:
            if name in given:
                raise ArgumentError(f"--{name.replace('_', '-')}: means nothing to the lstm; leave it out")
        return LstmConfig(**given)

    def _for_events(self, dataset) -> dict[str, Any]:
        dt = SnnConfig.dt if self.dt is None else self.dt
        all_of_them = max(part.steps(dt) for part in (dataset.x_train, dataset.x_test))
        return {"code": "events", "num_steps": self.num_steps or all_of_them}

    def train_config(self) -> TrainConfig:
        """How to train."""
        return TrainConfig(epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.lr, seed=self.seed)

    def run(self) -> int:
        """Train, report, save."""
        from snnlab import data, models
        from snnlab.train import Trainer

        self.network_config()  # mistakes are said before anything is fetched
        settings = self.train_config()
        _check_folders(self.out, self.json and self.json.parent)
        dataset = data.load(self.data)
        print(f"{dataset!r}", file=sys.stderr)
        config = self.network_config(dataset)
        net = models.build(config, sample_shape=dataset.sample_shape, num_classes=dataset.num_classes, seed=self.seed)
        trainer = Trainer(net, dataset, **asdict(settings))
        interrupted = False
        try:
            _follow(trainer)
        except KeyboardInterrupt:
            interrupted = True
            print("interrupted: keeping what was learned", file=sys.stderr)
        finally:
            self._save(trainer, config)
        return 130 if interrupted else 0

    def _save(self, trainer, config: SnnConfig | LstmConfig) -> None:
        from snnlab import export

        if self.out is not None:
            names = trainer.data.class_names
            about = {"class_names": names, "training": trainer.summary}
            net = export.save(trainer.model, self.out / "net.safetensors", **about, overwrite=True)
            history = trainer.history.save(self.out / "history.json")
            print(f"wrote {net} and {history}", file=sys.stderr)
        if self.json is not None:
            with atomic_path(self.json) as part:
                part.write_text(json.dumps(_report(self, trainer, config), indent=2), encoding="utf-8")
            print(f"wrote {self.json}", file=sys.stderr)


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a trained network in another format: OUT ends in .nir or .safetensors.

    A NIR file is read again, and a certificate printed: what its reader must assume, and how well its spikes agree.
    """

    net: Annotated[Path, tyro.conf.Positional]
    """The network, as "snnlab train --out" and the dashboard write it."""
    out: Annotated[Path, tyro.conf.Positional]
    """The file to write."""
    method: Literal["euler", "exponential"] = "euler"
    """nir: how its reader steps; most do it by Euler."""
    reader_dt: Annotated[float | None, _default("MS", "that of the network")] = None
    """nir: the time step of its reader [ms]; 0.1 for snnTorch."""
    unit_gain: bool = False
    """nir: let the weights take in all gains, for readers that know none (snnTorch)."""
    readout: Literal["li", "lif"] = "li"
    """nir: lif writes the readout as neurons that never fire, for readers without integrators (snnTorch, Norse)."""
    data: Annotated[str | None, _default("NAME", "random spikes")] = None
    """nir: data set on whose first 256 test samples the spikes are compared."""
    overwrite: bool = False
    """Replace OUT if it exists."""

    def run(self) -> int:
        """Load, write, say what was written."""
        from snnlab import data, export
        from snnlab.check import choice

        ending = choice("OUT: its ending", self.out.suffix, export.FORMATS)
        refuse_existing(self.out, self.overwrite)
        _check_folders(self.out.parent)
        net, about = export.load(self.net), export.load_metadata(self.net)
        if ending == ".nir":
            names = ("method", "reader_dt", "unit_gain", "readout", "overwrite")
            samples = None if self.data is None else data.load(self.data).x_test[:256]
            print(export.save_nir(net, self.out, samples=samples, **{name: getattr(self, name) for name in names}))
            return 0
        about = {"class_names": tuple(about.get("class_names", ())), "training": about.get("training")}
        print(f"wrote {export.save(net, self.out, **about, overwrite=self.overwrite)}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Lab:
    """Open JupyterLab on the notebooks."""

    notebook: str = "02-spiking.ipynb"
    """Notebook that is opened first."""
    browser: bool = True
    """Open a browser window; --no-browser prints the address only."""

    def run(self) -> int:
        """Start the server; it binds to loopback, with a token."""
        folder = _notebooks()
        try:
            metadata.version("jupyterlab")
        except metadata.PackageNotFoundError:
            raise SnnlabError('JupyterLab is not installed: pip install "snnlab[lab]"') from None
        command = [
            sys.executable,
            "-m",
            "jupyterlab",
            f"--ServerApp.root_dir={folder}",
            "--ServerApp.ip=127.0.0.1",
        ]
        command += [f"--LabApp.default_url=/lab/tree/{self.notebook}"]
        command += [] if self.browser else ["--no-browser"]
        command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with contextlib.suppress(KeyboardInterrupt):
            return subprocess.call(command)
        return 0


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Run notebooks and write them as static pages, for people who only look: no kernel, nothing is fetched."""

    notebooks: Annotated[tuple[Path, ...], tyro.conf.Positional] = ()
    """Notebooks, in this order; without any, those of the clone."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("gallery")
    """Folder of the pages; an older gallery there is replaced."""

    def run(self) -> int:
        """Run them, and say where the index is."""
        from snnlab import gallery

        _check_folders(self.out.parent)
        try:
            index = gallery.build(self.notebooks or sorted(_notebooks().glob("*.ipynb")), self.out)
        except KeyboardInterrupt:
            print("interrupted: nothing was written", file=sys.stderr)
            return 130
        print(f"wrote {index}")
        return 0


def _notebooks() -> Path:
    """The folder of the notebooks that come with a clone."""
    folder = Path(__file__).parent.parent / "notebooks"
    if not folder.is_dir():
        raise SnnlabError(f"no notebooks in {folder}; run this from a clone installed with pip install -e")
    return folder


def _follow(trainer) -> None:
    """Iterate with a progress line; one line for every epoch stays."""
    from tqdm import tqdm

    shown = "{percentage:3.0f}%|{bar:24}| {n_fmt}/{total_fmt} steps, {postfix}"
    quiet = not sys.stderr.isatty()  # in a log file, only the lines of the epochs
    with tqdm(total=trainer.total_steps, bar_format=shown, disable=quiet, dynamic_ncols=True) as bar:
        bar.set_postfix_str("compiling")
        for report in trainer:
            if report.phase == "epoch":
                bar.write(_epoch_line(report.metrics), file=sys.stdout)
                sys.stdout.flush()
                continue
            bar.n = report.step
            left = f"{report.eta // 60:.0f}:{report.eta % 60:02.0f} left"
            values = f"loss {report.metrics['loss']:.3f}, accuracy {report.metrics['accuracy']:.1%}"
            bar.set_postfix_str(f"epoch {report.epoch}, {report.phase} {values}, {left}")


def _epoch_line(row: dict[str, Any]) -> str:
    spikes = row["spikes_per_sample"]
    return (
        f"epoch {row['epoch']:3d}  train loss {row['train_loss']:.4f} accuracy {row['train_acc']:.4f}  "
        f"test loss {row['test_loss']:.4f} accuracy {row['test_acc']:.4f}  "
        + (f"spikes {spikes:.1f}  " if spikes is not None else "")
        + f"{row['seconds']:.1f} s"
    )


def _report(command: Train, trainer, config) -> dict[str, Any]:
    import jax

    packages = ("jax", "jaxlib", "flax", "optax", "numpy")
    return {
        "network": command.network,
        "data": trainer.data.name,
        "config": asdict(config) | asdict(trainer.config),
        "versions": {name: metadata.version(name) for name in packages}
        | {"snnlab": __version__, "python": sys.version.split()[0]},
        "backend": jax.default_backend(),
        "compile_seconds": trainer.compile_seconds,
        "peak_rss_mb": _peak_rss_mb(),
        "epochs": trainer.history.epochs,
    }


def _peak_rss_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux kB


def _check_folders(*folders: Path | None) -> None:
    """Find out before the training, not after it, that its result cannot be written."""
    for folder in filter(None, folders):
        try:
            try_writing(folder)
        except OSError as error:
            raise ArgumentError(f"{folder}: cannot write there ({error.strerror})") from None


def main(args: list[str] | None = None) -> int:
    """Entry point; an error that snnlab foresaw is one line, without a traceback."""
    subcommands = {"train": Train, "export": Export, "lab": Lab, "gallery": Gallery}
    command = tyro.extras.subcommand_cli_from_dict(subcommands, prog="snnlab", description=__doc__, args=args)
    try:
        return command.run()
    except SnnlabError as error:
        print(f"snnlab: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
