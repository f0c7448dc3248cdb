"""What everything on the map of a study is, in a sentence, and its equation, see `snnlab.live.frames.explained`."""

from snnlab.live.frames.explained import OTHERS, Words

MAP = {
    "start": Words("Computes the networks that wait, coarse first: the map sharpens. Pauses, and continues, too."),
    "stop": Words(
        "Ends the study and lets others have its folder. All is saved: sweep(...) with the same folder continues."
    ),
    "progress": Words("Share of the epochs of all networks that are done, or not needed any more."),
    "networks": Words("Networks that have all their epochs, or were stopped, of all networks."),
    "running": Words("Networks that have begun and have epochs to go."),
    "stopped": Words("Networks that the rule of the study gave up, with the reason beside the map."),
    "failed": Words("Networks that ended with an error; the sentence stands beside the map."),
    "speed": Words(
        "Networks that are computed in a second, by the epochs of the last seconds.", "epochs/s / epochs of a network"
    ),
    "time left": Words("How long the rest takes at this speed."),
    "state": Words("What the study does now."),
    "x": Words("The axis that runs to the right; choose the one that runs upwards, and they swap."),
    "y": Words("The axis that runs upwards; none draws a curve."),
    "other": Words(
        "The value of an axis that is not shown. At the left end, each place shows the value with the highest score.",
        "argmax over the axis of median over seeds",
    ),
    "contour": Words(
        "The line where the score has one value, straight between the middles of neighbouring places.",
        "score(x, y) = level",
    ),
    "level": Words("The value of the score that the contour is at."),
    "front": Words(
        "Marks the Pareto front in the map: no other place has a higher score for no more spikes.",
        "no other place: score ≥, spikes ≤, and one of them better",
    ),
    "table": Words("Shows all networks as a table below."),
    "score": Words(
        "The median of the seeds, as a colour. Of the small square inside, the left half is the lowest seed and the"
        " right half the highest: where seeds agree, it vanishes.",
        "median over seeds of the newest epoch",
    ),
    "spikes": Words(
        "Spikes of all layers for one sample, median of the seeds, on a logarithmic scale.", "Σ_layers Σ_t s[t]"
    ),
    "key": Words("What lines, crosses and edges mean. Click a place, or press Enter, to open its run."),
    "cell": Words("The place under the pointer, or where the arrow keys are: its values and its seeds."),
    "curves": Words("Score of every seed by epoch; thick: the seed nearest to the median."),
    "pareto": Words(
        "Every place by spikes and score; up and left is better. The stairs are the Pareto front.",
        "no other place: score ≥, spikes ≤, and one of them better",
    ),
    "open": Words("Opens this network in a dashboard below, as it was at its newest checkpoint."),
    "csv": Words("Every network in a line: its values, where it stands, its newest epoch."),
}


def explained_map() -> dict[str, list[str]]:
    """Return the sentences and equations of a map by their keys.

    Example:
        >>> explained_map()["map.level"]
        ['The value of the score that the contour is at.', '']
    """
    common = {key: words for key, words in OTHERS.items() if key.startswith("panel.")}
    return {key: list(words) for key, words in ({f"map.{name}": words for name, words in MAP.items()} | common).items()}
