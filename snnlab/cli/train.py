"""`snnlab train`."""

import contextlib
import io
import json
import signal
import sys
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from snnlab import __version__
from snnlab.cli.options import INTERRUPTED, check_folders, default_is, devices_of, refuse_existing
from snnlab.cli.terminal import USUAL, bar_format, fitting, say, width_of, wrapped
from snnlab.config import (
    CONV_L1,
    LATENCY_CONV,
    RATE,
    SPIKING_LOSS,
    WIDE,
    WIDE_DROPOUT,
    ConvConfig,
    LstmConfig,
    SnnConfig,
    TrainConfig,
)
from snnlab.errors import ArgumentError, DivergenceError
from snnlab.history import Scored
from snnlab.support import arguments
from snnlab.support.files import atomic_path
from snnlab.support.interrupt import interrupted_by_sigterm, never_lost, uninterrupted

SPIKING = ("num_steps", "dt", "tau_mem", "tau_syn", "v_th", "input_dropout")
NETWORKS: dict[str, tuple[type, tuple[str, ...]]] = {
    "snn": (SnnConfig, ("code", "hidden", "recurrent", "neuron", "synapse", "tau_rise", "most_delay", "l1", *SPIKING)),
    "conv": (
        ConvConfig,
        ("code", "channels", "window", "stride", "pool", "dense", "norm", "flip", "shift", "l1", *SPIKING),
    ),
    "lstm": (LstmConfig, ("hidden",)),
}
"""The config of each network, and the options that apply to it."""

OF_NETWORKS = tuple(dict.fromkeys(name for _, names in NETWORKS.values() for name in names))

STEPWISE: dict[str, Any] = {"v_th": 0.3, "bias": True, "centralize": False}
"""Of a network that reads one signal: a gradient without its mean over the inputs would be none of a single input."""

AUGMENTED: dict[str, dict[str, Any]] = {"fashion_mnist": {"flip": True}}
"""Published sets whose images are of the same class when they are changed, and how the conv changes them."""

CONV_EPOCHS = 5  # enough for 0.92 of Fashion-MNIST, in some 6 minutes on two cores

FEWEST_STEPS = 32
"""Steps in an epoch, at least, of files of your own: where they have few samples, batches are smaller, so that ten
epochs are enough to learn. With 16 steps, tests of three small tables have 2 to 3 % more errors."""


def _shown(numbers: int | tuple[int, ...]) -> str:
    """Write numbers as the command line takes them."""
    return " ".join(map(str, numbers)) if isinstance(numbers, tuple) else str(numbers)


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a reference network on images, events, tables or recordings, with a live progress line.

    Ctrl-C and SIGTERM stop the training; --out and --resume keep what was learned. Options that begin with "snn:" apply
    to the spiking networks, snn and conv.
    """

    network: Annotated[Literal["snn", "conv", "lstm"], tyro.conf.arg(name="network"), tyro.conf.Positional] = "snn"
    """snn: a spiking network that reads latency-coded images, or events; conv: a spiking network with two convolutions,
    for images; lstm: an LSTM that reads images row by row."""
    data: str = "digits"
    """digits (embedded), fashion_mnist, mnist, kmnist, yinyang, or a folder of idx .gz files; for the snn also ecg
    (synthetic, a class every step), and events: event_digits, store_recall (synthetic), nmnist, shd, or a folder with
    train.npz and test.npz; your own: an .npz file with x and y (or x_train, y_train, x_test, y_test), a .csv table with
    a sample a row, or a folder with a folder of .npy or .csv recordings (time, channels) for each class."""
    task: Literal["label", "step_labels", "several_labels", "values", "traces", "spike_trains"] | None = None
    """What the targets in an .npz or .csv file are: one label a sample or every step, several labels a sample, numbers
    for a sample or every step, or spikes. Without it, they are what they can only be."""
    epochs: Annotated[int | None, default_is("INT", f"{TrainConfig.epochs}, conv {CONV_EPOCHS}")] = None
    """Passes through the training set."""
    batch_size: Annotated[
        int | None,
        default_is("INT", f"{TrainConfig.batch_size}; your own files: {FEWEST_STEPS} steps or more"),
    ] = None
    """Samples in one optimizer step."""
    lr: float = RATE
    """Initial learning rate; it decays to zero along a cosine."""
    seed: int = TrainConfig.seed
    """Seed of all random numbers; the same seed repeats a run bit for bit."""
    code: Annotated[
        Literal["latency", "population", "rows", "delta", "current"] | None,
        default_is(
            "{latency,population,rows,delta,current}", "latency; tables: population; recordings: rows; conv: current"
        ),
    ] = None
    """snn: what the samples become; one early spike for a bright pixel (also of the conv); several units for every
    number, each of which fires early near its own; one frame a step of a recording, as currents; spikes where it
    changes. conv: a constant current for each pixel, which is convolved once; with latency, what you leave
    out is that of snnlab.config.LATENCY_CONV."""
    hidden: Annotated[tuple[int, ...] | None, default_is("INT...", SnnConfig.hidden)] = None
    """Neurons, or LSTM units, in the hidden layer; for the snn, several numbers are as many layers; not for conv. The
    weights of several layers are balanced on the data, so that each starts at 15 Hz."""
    recurrent: bool = False
    """snn, not conv: neurons of a hidden layer also reach each other."""
    neuron: Annotated[Literal["lif", "alif"] | None, default_is("{lif,alif}", SnnConfig.neuron)] = None
    """snn, not conv: leaky integrate-and-fire, or the same with a threshold that adapts."""
    channels: Annotated[tuple[int, ...] | None, default_is("INT...", _shown(ConvConfig.channels))] = None
    """conv: channels of each convolution."""
    window: Annotated[tuple[int, ...] | None, default_is("INT...", _shown(ConvConfig.window))] = None
    """conv: rows and columns of the window; one number, or one for each convolution, as for the next two."""
    stride: Annotated[tuple[int, ...] | None, default_is("INT...", _shown(ConvConfig.stride))] = None
    """conv: pixels from one place of the window to the next."""
    pool: Annotated[tuple[int, ...] | None, default_is("INT...", _shown(ConvConfig.pool))] = None
    """conv: pixels along rows and columns whose spikes are summed for the next layer."""
    dense: Annotated[tuple[int, ...] | None, default_is("INT...", _shown(ConvConfig.dense))] = None
    """conv: neurons of each layer behind the convolutions that sees the whole image."""
    norm: Annotated[Literal["on", "off"] | None, default_is("{on,off}", "on")] = None
    """conv: normalize what arrives at the spiking layers, over the samples of a batch: they learn in fewer epochs."""
    flip: Annotated[Literal["on", "off"] | None, default_is("{on,off}", f"on for {', '.join(AUGMENTED)}; else off")] = (
        None
    )
    """conv: mirror half of the training images, anew every time; not for digits and letters."""
    shift: Annotated[int | None, default_is("PIXELS", ConvConfig.shift)] = None
    """conv: move the training images by up to so many pixels, anew every time."""
    num_steps: Annotated[
        int | None, default_is("INT", f"{SnnConfig.num_steps}, conv {ConvConfig.num_steps}; events: until the last one")
    ] = None
    """snn: time steps per sample."""
    dt: Annotated[float | None, default_is("MS", f"{SnnConfig.dt}, conv {ConvConfig.dt}")] = None
    """snn: length of a time step [ms]."""
    tau_mem: Annotated[float | None, default_is("MS", f"{SnnConfig.tau_mem}, conv {ConvConfig.tau_mem}")] = None
    """snn: membrane time constant [ms]."""
    tau_syn: Annotated[float | None, default_is("MS", f"{SnnConfig.tau_syn}, conv {ConvConfig.tau_syn}")] = None
    """snn: synaptic time constant [ms]."""
    synapse: Annotated[
        Literal["exponential", "double_exponential"] | None,
        default_is("{exponential,double_exponential}", SnnConfig.synapse),
    ] = None
    """snn, not conv: the current of a spike jumps and decays, or rises first."""
    tau_rise: Annotated[float | None, default_is("MS", SnnConfig.tau_rise)] = None
    """snn, not conv: time constant of the rise of a double exponential synapse [ms]."""
    most_delay: Annotated[int | None, default_is("STEPS", "no delays")] = None
    """snn, not conv: learn a delay of each input and neuron, from 0 to so many steps."""
    v_th: Annotated[float | None, default_is("FLOAT", SnnConfig.v_th)] = None
    """snn: firing threshold."""
    input_dropout: Annotated[float | None, default_is("FLOAT", f"0; {WIDE_DROPOUT} above {WIDE} neurons")] = None
    """snn: fraction of the input spikes dropped during training."""
    l1: Annotated[float | None, default_is("FLOAT", f"{SPIKING_LOSS['l1']}, conv {CONV_L1}")] = None
    """snn: weight of the spikes per sample in the loss; at 1e-3, three spikes do the work of ten."""
    devices: Annotated[str | None, default_is("INT|all", "one")] = None
    """How many devices share the samples of each step, such as GPUs; a CPU is one, with all its cores."""
    distributed: bool = False
    """Several processes, on one machine or several, train one network: start the same command in each of them. SLURM,
    Open MPI and TPUs say who is who, else JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES, JAX_PROCESS_ID."""
    wait: float = 300.0
    """Seconds in which all processes must have come, and at the end have ended (with --distributed)."""
    out: Annotated[Path | None, default_is("DIR", "nothing is kept")] = None
    """Folder for the trained network (net.safetensors) and its history (history.json)."""
    json: Annotated[Path | None, default_is("FILE", "none")] = None
    """File for a report: config, versions, and the results of every epoch."""
    overwrite: bool = False
    """Replace these files if they exist."""
    resume: Annotated[Path | None, default_is("DIR", "no checkpoints")] = None
    """Folder for checkpoints; training continues from the newest one in it, if there is one."""
    save_every: float = 10.0
    """Seconds between checkpoints (with --resume)."""

    def network_config(self, dataset=None) -> SnnConfig | ConvConfig | LstmConfig:
        """Return the config of the chosen network: options as given, else defaults, or what the events need."""
        make, names = NETWORKS[self.network]
        given = {}
        for name in OF_NETWORKS:
            if getattr(self, name) not in (None, False):
                if name not in names:
                    option = name.replace("_", "-")
                    raise ArgumentError(f"--{option}: does not apply to the {self.network}; leave it out")
                given[name] = getattr(self, name)
        given.pop("l1", None)  # of the loss
        lone = [name for name in ("hidden", "window", "stride", "pool") if len(given.get(name, ())) == 1]
        given |= {name: given[name][0] for name in lone}
        if dataset is not None and dataset.has_events:
            return self._for_events(make, given, dataset)
        if make is ConvConfig:
            return self._for_images(given, dataset)
        if dataset is not None and make is SnnConfig:
            given.setdefault("code", _code_of(dataset))
            if given["code"] == "rows" and dataset.task == "step_labels":
                given = self._for_steps() | given
        return make(**given)

    def _for_images(self, given: dict[str, Any], dataset) -> ConvConfig:
        """Return the config of a convolutional network; by default, what is known of the images says how they vary."""
        given |= {name: given[name] == "on" for name in ("flip", "norm") if name in given}
        usual = {} if dataset is None else AUGMENTED.get(dataset.name, {})
        return replace(LATENCY_CONV if given.get("code") == "latency" else ConvConfig(), **usual | given)

    def _for_steps(self) -> dict[str, Any]:
        """Return constants of a network that names every step of a signal, in proportion to the steps."""
        from snnlab.data.ecg import DT

        dt = (DT if self.data == "ecg" else SnnConfig.dt) if self.dt is None else self.dt
        return {"dt": dt, "tau_mem": 5.0 * dt, "tau_syn": 2.0 * dt, "tau_out": 2.0 * dt, **STEPWISE}

    def _loss(self, dataset):
        """Return the default loss of the task with the `l1` that was given, or None for the default loss."""
        from snnlab.tasks import task_of
        from snnlab.variables import setting

        if self.l1 is None:
            return None
        loss: Any = task_of(dataset).loss(spiking=True)
        loss.l1 = setting("l1", self.l1, 1, low=0.0, high=0.01)
        return loss

    def _for_events(self, make: type, given: dict[str, Any], dataset) -> SnnConfig:
        if make is not SnnConfig:
            raise ArgumentError(
                f"--data: {self.data} has events, which the {self.network} does not read; use snnlab train snn"
            )
        from snnlab.data.targets import KINDS

        if "code" in given:
            raise ArgumentError(f"--code: {self.data} has events, which are spikes already; leave it out")
        dt = SnnConfig.dt if self.dt is None else self.dt
        if KINDS[dataset.task].every_step:
            enough = dataset.y_train.shape[1]
        else:
            enough = max(part.steps(dt) for part in (dataset.x_train, dataset.x_test))
        return SnnConfig(**given | {"code": "events", "num_steps": self.num_steps or enough})

    def train_config(self, dataset=None) -> TrainConfig:
        """Return the settings of the training; by default, few samples of your own have small batches."""
        size, epochs = self.batch_size, self.epochs
        if epochs is None:
            epochs = CONV_EPOCHS if self.network == "conv" else TrainConfig.epochs
        if size is None:
            size = TrainConfig.batch_size
            if dataset is not None and dataset.understood:
                size = min(size, max(1, len(dataset.x_train) // FEWEST_STEPS))
        return TrainConfig(epochs=epochs, batch_size=size, learning_rate=self.lr, seed=self.seed)

    def run(self) -> int:
        """Train, report, save."""
        if not self.distributed and self.wait != Train.wait:
            raise ArgumentError("--wait: does nothing without --distributed; leave it out, or add --distributed")
        with interrupted_by_sigterm():
            return self._run_together() if self.distributed else self._run()

    def _run_together(self) -> int:
        """Train as one of several processes: as the first, or as one that follows it."""
        from snnlab.cli.processes import join, leave
        from snnlab.train.processes import LostError, cannot_take_part

        leads = join(arguments.number("--wait", self.wait, 1.0, 1e6))
        try:
            return self._run() if leads else self._follow()
        except LostError as error:
            say(f"snnlab: {error}")
            leave(2)
        except BaseException as error:
            cannot_take_part(str(error))
            raise

    def _run(self) -> int:
        trainer, checkpoints, config = self._begin()
        code, results = 0, None
        try:
            _follow(trainer, checkpoints or trainer)
            results = trainer.evaluate()
            print(wrapped(_test_line(trainer, results), width_of(sys.stdout)))
        except KeyboardInterrupt:
            code = INTERRUPTED
        except DivergenceError as error:
            code = 1
            say(f"snnlab: {error}")
            if error.advice is not None:
                say(f"snnlab: try again with --lr {error.advice:g}")
        finally:
            with uninterrupted():
                self._save(trainer, config, results)
                if code == INTERRUPTED:
                    say(self._kept(trainer, checkpoints))
        return code

    def _follow(self) -> int:
        """In every process but the first: compute what it says. It has the terminal, Ctrl-C and all files."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        with contextlib.redirect_stderr(io.StringIO()):
            trainer, *_ = replace(self, out=None, json=None, resume=None, save_every=Train.save_every)._begin()
        trainer.follow()
        return 0

    def _kept(self, trainer, checkpoints) -> str:
        """Say what an interrupted run leaves behind, and how to keep more of it the next time."""
        step = len(trainer.history)
        at = (
            f"interrupted after step {step:,} of {trainer.total_steps:,}"
            if step
            else "interrupted before the first step"
        )
        kept = [] if self.out is None else [f"the network as it is now is in {self.out}"]
        if checkpoints is not None:
            checkpoints.save_now()
            if checkpoints.problem is None:
                kept.append(f"the run is in {self.resume}, and the same command continues it")
        if kept:
            return f"{at}; {'; '.join(kept)}"
        lost = "nothing" if self.json is None else "only the report"
        return f"{at}; {lost} is kept: next time, add --out DIR for the network, or --resume DIR to continue the run"

    @never_lost()
    def _begin(self):
        """Return the trainer, ready to go, its checkpoints, if there are any, and the config of the network."""
        from snnlab import data, models
        from snnlab.balance import is_deep
        from snnlab.train import Trainer

        self.network_config()  # report mistakes before fetching any data
        self.train_config()
        self._check_files()
        dataset = data.load(self.data, task=self.task)
        say(repr(dataset))
        if dataset.watched == "test":
            say("every epoch looks at the test part; in Python, data.hold_out(0.1) holds some samples out for that")
        if dataset.understood:
            say(f"{self.data}: {dataset.understood}")
        config, settings = self._balanced(self.network_config(dataset), dataset), self.train_config(dataset)
        if isinstance(config, ConvConfig) and (config.flip or config.shift):
            say(_augmented(config))
        net = models.build(config, sample_shape=dataset.sample_shape, num_classes=dataset.num_outputs, seed=self.seed)
        if is_deep(config):
            _say_rates(net, dataset)
        trainer = Trainer(net, dataset, loss=self._loss(dataset), devices=self._devices(), **asdict(settings))
        return trainer, self._checkpoints(trainer), config

    def _devices(self) -> int | str | None:
        """Return `--devices` as the trainer takes it."""
        return devices_of("all" if self.distributed and self.devices is None else self.devices)

    def _balanced(self, config, dataset) -> SnnConfig | ConvConfig | LstmConfig:
        """Return the config, of a deep network with the factors of its weights that the data ask for."""
        from snnlab.balance import balanced, is_deep

        return balanced(config, dataset, seed=self.seed) if is_deep(config) else config

    def _checkpoints(self, trainer):
        """Return the trainer with checkpoints, put back to the newest one; None without `--resume`."""
        if self.resume is None:
            return None
        from tqdm import tqdm

        from snnlab.checkpoint import Checkpoints

        def say_above(text: str) -> None:  # the progress line
            tqdm.write(wrapped(f"snnlab: {text}", width_of(sys.stderr)), file=sys.stderr)

        checkpoints = Checkpoints(trainer, self.resume, every=self.save_every, say=say_above)
        if checkpoints.resumed:
            step, epoch = len(trainer.history), trainer.history.num_epochs + 1
            rest = f"continuing from step {step} of {trainer.total_steps}, epoch {epoch}"
            where = "the training is complete" if trainer.done else rest
            say(f"{self.resume}: {where}")
        return checkpoints

    def _check_files(self) -> None:
        """Check before the training that its results can be written and replace no file by accident."""
        from snnlab.checkpoint.folder import PREFIX

        if self.resume is None and self.save_every != Train.save_every:
            raise ArgumentError("--save-every: does nothing without --resume; leave it out, or add --resume DIR")
        names = ("net.safetensors", "history.json")
        resumed = self.resume is not None and any(self.resume.glob(PREFIX + "*"))  # then the files are this run's own
        for file in filter(None, (self.json, *(self.out / name for name in names if self.out is not None))):
            refuse_existing(file, self.overwrite or resumed)
        check_folders(self.out, self.json and self.json.parent, self.resume)

    def _save(self, trainer, config: SnnConfig | ConvConfig | LstmConfig, results: dict[str, float] | None) -> None:
        from snnlab import export

        if self.out is not None:
            names = trainer.data.class_names
            about = {"class_names": names, "training": trainer.provenance}
            net = export.save(trainer.model, self.out / "net.safetensors", **about, overwrite=True)
            history = trainer.history.save(self.out / "history.json", overwrite=True)  # `_check_files` has asked
            say(f"wrote {net} and {history}")
        if self.json is not None:
            with atomic_path(self.json) as part:
                part.write_text(json.dumps(_report(self, trainer, config, results), indent=2), encoding="utf-8")
            say(f"wrote {self.json}")


def _code_of(dataset) -> str | None:
    """Return how the spiking network reads samples: recordings step by step, tables number by number."""
    from snnlab.data.targets import KINDS

    shape = dataset.sample_shape
    every_step = KINDS[dataset.task].every_step and len(shape) > 1 and dataset.y_train.shape[1] == shape[0]
    if dataset.timed or every_step:
        return "rows"
    return "population" if len(shape) == 1 and dataset.x_train.dtype.kind == "f" else None


def _augmented(config: ConvConfig) -> str:
    """Say what happens to the training images, and how to leave them as they are."""
    done = {"--flip off": "mirrored"} if config.flip else {}
    if config.shift:
        done["--shift 0"] = f"moved by up to {config.shift} {'pixels' if config.shift > 1 else 'pixel'}"
    return f"training images are {' and '.join(done.values())} at random; {' '.join(done)} leaves them as they are"


def _say_rates(net, dataset) -> None:
    """Say how the layers of a deep network fire before the training, and whether that is a good start."""
    from snnlab.balance import firing_rates
    from snnlab.layers.fluctuations import HIGHEST, LOWEST

    rates = firing_rates(net, dataset)
    shown = ", ".join(f"{name} {rate:.3g} Hz" for name, rate in rates.items())
    outside = [name for name, rate in rates.items() if not LOWEST <= rate <= HIGHEST]
    hint = f"; a good start is {LOWEST:g} to {HIGHEST:g} Hz, so {', '.join(outside)} may not learn" if outside else ""
    say(f"mean rates at the start: {shown}{hint}")


def _follow(trainer, reports) -> None:
    """Iterate over the reports with a progress line; one line per epoch remains."""
    from tqdm import tqdm

    quiet = width_of(sys.stderr) is None  # a log file gets only the lines of the epochs
    shape, uncut = _bar({"doing": "compiling"}), sys.maxsize  # what fits is known here, with the words
    with tqdm(total=trainer.total_steps, disable=quiet, miniters=0, ncols=uncut, bar_format=shape) as bar:
        for report in reports:
            if report.phase == "epoch":
                bar.write(_epoch_line(report.metrics, width_of(sys.stdout)), file=sys.stdout)
                sys.stdout.flush()
                continue
            bar.n = report.step
            bar.bar_format = _bar(_progress(report))
            bar.update(0)  # shows it, if the last time was a tenth of a second ago


def _bar(fields: dict[str, str]) -> str:
    return bar_format(fields, ("steps", "loss", "epoch", "left", "accuracy", "doing"), width_of(sys.stderr) or USUAL)


def _progress(report) -> dict[str, str]:
    from tqdm import tqdm

    return {
        "steps": f"{report.step}/{report.total_steps} steps",
        "epoch": f"epoch {report.epoch}",
        "loss": f"{report.phase} loss {report.metrics['loss']:.3f}",
        "accuracy": _score(report),
        "left": f"{tqdm.format_interval(round(report.eta))} left",
    }


def _score(report) -> str:
    scored = Scored.of(report.metrics)
    return f"{report.phase} {scored.name} {scored.text(report.metrics[scored.score])}"


def _epoch_line(row: dict[str, Any], width: int | None) -> str:
    scored = Scored.of(row)
    fields = {
        "epoch": f"epoch {row['epoch']:3d}",
        "train_loss": f"train loss {row['train_loss']:.4f}",
        "train_acc": f"train {scored.name} {row[scored.train]:.4f}",
        "test_loss": f"{scored.place} loss {row[scored.loss]:.4f}",
        "test_acc": f"{scored.words} {row[scored.result]:.4f}",
        "spikes": "" if row["spikes_per_sample"] is None else f"spikes {row['spikes_per_sample']:.1f}",
        "seconds": f"{row['seconds']:.1f} s",
    }
    given = {name: text for name, text in fields.items() if text}
    return fitting(given, ("train_loss", "test_loss", "seconds", "spikes", "train_acc"), "  ", width)


def _test_line(trainer, results: dict[str, float]) -> str:
    """The results of the test part: the score, further metrics of the task, loss and spikes."""
    score, rest = trainer.scored.score, dict(results)
    shown = {trainer.scored.name: rest.pop(score)}
    last = {word: rest.pop(name) for word, name in (("loss", "loss"), ("spikes", "spikes_per_sample")) if name in rest}
    numbers = ", ".join(f"{name} {value:.4g}" for name, value in (shown | rest | last).items())
    return f"test part, {len(trainer.data.x_test):,} samples: {numbers}"


def _report(command: Train, trainer, config, results: dict[str, float] | None) -> dict[str, Any]:
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
        "test": results,
    }


def _peak_rss_mb() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux kB
