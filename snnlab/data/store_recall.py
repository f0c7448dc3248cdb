"""Store-recall: a stream of bits as spike trains, of which a network has to keep those that it is told to store."""

import numpy as np

from snnlab.data.dataset import Dataset
from snnlab.data.eventlists import EVENT, EventLists
from snnlab.data.targets import UNLABELLED

GROUPS = ("0", "1", "store", "recall")
NEURONS = 10  # of each group
RATE = 100.0  # Hz, of the neurons of a group while it is active: 5 spikes a symbol
SYMBOL = 50  # ms, for which a bit or a command is shown
SYMBOLS = 16  # in a sample
LATER = (3, 6)  # symbols from a command to store to the one to recall: 100 to 250 ms lie between them
CHUNK = 256  # samples whose spikes are drawn at a time


def commands(rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw when to store and when to recall, as pairs of symbols; all bits that are stored are recalled.

    Up to one symbol lies between a recall and the next command.

    Example:
        >>> commands(np.random.default_rng(0))
        [(1, 6), (8, 12)]
    """
    found, begin = [], 0
    while True:
        store = begin + int(rng.integers(2))
        recall = store + int(rng.integers(LATER[0], LATER[1] + 1))
        if recall >= SYMBOLS:
            return found
        found.append((store, recall))
        begin = recall + 1


def _stream(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw which groups are active `(samples, symbols, groups)`, and the label of each symbol."""
    bits = rng.integers(0, 2, (count, SYMBOLS))
    active = np.zeros((count, SYMBOLS, len(GROUPS)), bool)
    said = np.full((count, SYMBOLS), UNLABELLED, np.int32)
    np.put_along_axis(active, bits[..., None], True, axis=2)
    for sample in range(count):
        for store, recall in commands(rng):
            active[sample, store, 2] = active[sample, recall, 3] = True
            active[sample, recall, :2] = False  # nothing is shown that might be said
            said[sample, recall] = bits[sample, store]
    return active, said


def _spikes(active: np.ndarray, rng: np.random.Generator) -> EventLists:
    """Draw the spikes of all neurons: every millisecond with probability `RATE` / 1000 while their group is active."""
    events, sizes = [], []
    for chunk in np.array_split(active, -(-len(active) // CHUNK)):
        shape = (len(chunk), SYMBOLS, SYMBOL, len(GROUPS), NEURONS)
        fired = (rng.random(shape, np.float32) < RATE / 1000.0) & chunk[:, :, None, :, None]
        sample, symbol, step, group, neuron = np.nonzero(fired)
        found = np.zeros(len(sample), EVENT)
        found["t"] = 1000 * (symbol * SYMBOL + step)
        found["y"], found["x"] = group, neuron
        events.append(found)
        sizes.append(np.bincount(sample, minlength=len(chunk)))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(sizes))])
    return EventLists.of(np.concatenate(events), offsets, sensor=(1, len(GROUPS), NEURONS))


def load_store_recall(train: int = 2048, test: int = 512) -> Dataset:
    """Make the store-recall set: 800 steps of 1 ms, four groups of 10 neurons, the same samples every time.

    Every 50 ms a bit is drawn, and one of two groups fires at 100 Hz: the stream. At some bits the group "store" fires,
    too; 150 to 300 ms later the group "recall" fires, and the stream is silent. For these 50 ms the label is the bit
    that was stored; all other steps have none. In between, other bits are shown, so the network has to remember for
    longer than membranes and synapses of 10 ms do.

    Source: Bellec et al. (2018), DOI 10.48550/arXiv.1803.09574, and (2020), DOI 10.1038/s41467-020-17236-y; there, a
    symbol lasts 200 ms, commands are drawn independently of each other, and delays are longer.

    Example:
        >>> load_store_recall(train=20, test=10)
        Dataset('store_recall': 20 train, 10 test, samples (1, 4, 10) events, 2 classes every step)
    """
    rng, values = np.random.default_rng(18), {}
    for part, count in (("train", train), ("test", test)):
        active, said = _stream(count, rng)
        values[f"x_{part}"] = _spikes(active, rng)
        values[f"y_{part}"] = np.repeat(said, SYMBOL, axis=1)
    return Dataset(name="store_recall", task="step_labels", class_names=("0", "1"), **values)
