"""`python -m benchmarks.roofline`: the counted limit of a training step of both reference networks, and what it takes.

Batch 256 of Fashion-MNIST; 784-100-10 and 100 steps (SNN), 28 rows and 100 units (LSTM). Rates of the machine and steps
of the networks are measured in turns, so that what else the machine does falls on both.
"""

import argparse
import sys
import time
from pathlib import Path

import snnlab
from benchmarks import machine
from benchmarks.roofline import count, measured, table
from benchmarks.roofline.rates import Rates
from benchmarks.tables import show, write
from snnlab import kernels
from snnlab.errors import SnnlabError

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "fashion-mnist"
ROUNDS = 16  # each of a second or two of rates, and as long of steps
PATIENCE = 3.0  # seconds that a call waits for the machine to fall quiet


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.roofline", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two rounds, to see whether it works")
    parser.add_argument("--data", type=Path, default=DATA, help=f"folder of Fashion-MNIST (default: {DATA})")
    default = ROOT / "benchmarks" / "results" / "roofline.json"
    parser.add_argument("--json", type=Path, default=default, help=f"where the result goes (default: {default})")
    return parser.parse_args()


def _give_up(message: str) -> None:
    print(message, file=sys.stderr)
    sys.exit(2)


def _load(folder: Path) -> snnlab.Dataset:
    try:
        return snnlab.data.load(folder)
    except SnnlabError as error:
        _give_up(
            f"{error}\nThe benchmark needs the four idx files of Fashion-MNIST (they are no part of snnlab): "
            f"https://github.com/zalandoresearch/fashion-mnist\nSay where they are with --data FOLDER."
        )


def _phases(networks: dict, times: dict, events: float, data: snnlab.Dataset, rates: dict) -> tuple[dict, list[dict]]:
    """The phases of both networks, and their tables."""
    config = networks["SNN"].network.recipe.config
    rows, columns = data.sample_shape[:2]
    sizes = count.Sizes(
        measured.BATCH,
        config.num_steps,
        data.num_features,
        config.hidden,
        data.num_classes,
        events,
        times["SNN"]["spikes"],
    )
    hidden = networks["LSTM"].network.recipe.config.hidden
    of_rows = sizes._replace(steps=rows, inputs=columns, hidden=hidden, events=0.0, spikes=0.0)
    phases = {"SNN": count.snn(sizes, rates), "LSTM": count.lstm(of_rows)}
    counted = (
        f"{events:.1f} input events and {sizes.spikes:.1f} hidden spikes a sample (counted in the data and the run)."
    )
    return phases, [
        table.of_limit("SNN", sizes, counted, phases["SNN"], rates),
        table.of_limit("LSTM", of_rows, "dense.", phases["LSTM"], rates),
    ]


def _measure(networks: dict, rates: Rates, rounds: int, tell) -> None:
    for number in range(1, rounds + 1):
        rates.round()
        for network in networks.values():
            machine.wait_until_quiet(PATIENCE)
            network.call()
        last = ", ".join(f"{name} {network.calls[-1]['wall']:.2f} ms" for name, network in networks.items())
        tell(f"round {number}/{rounds}: {last}")


def main() -> None:
    """Measure, count, print, write."""
    options = _arguments()
    started = time.perf_counter()

    def tell(message: str) -> None:
        print(f"[{time.perf_counter() - started:5.0f} s] {message}", file=sys.stderr, flush=True)

    if kernels.backend() == "reference":
        _give_up("The limit is that of the kernels, and here the reference runs: see SNNLAB_KERNELS and the warnings.")
    data = _load(options.data)
    configs = {"SNN": snnlab.SnnConfig(), "LSTM": snnlab.LstmConfig()}
    networks = {name: measured.Measurement(config, data) for name, config in configs.items()}
    events, units = measured.events(networks["SNN"].network, data)
    rates, rounds = Rates(units, data.num_features), 2 if options.quick else ROUNDS
    tell("compiled")
    _measure(networks, rates, rounds, tell)
    times = {name: network.result(rates.cores) for name, network in networks.items()}
    phases, limits = _phases(networks, times, events, data, rates.best)
    tables = [
        table.of_result(phases, rates.best, times, rates.cores),
        *limits,
        table.of_rates(rates.best, rounds, rates.cores),
    ]
    for part in tables:
        show(part)
    seconds = round(time.perf_counter() - started)
    write(options.json, tables, seconds=seconds, rates=rates.best, measured=times)
    tell(f"written: {options.json}")


if __name__ == "__main__":
    main()
