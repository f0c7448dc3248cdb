"""What the notebooks say of their networks is true of the numbers on the same page: each is run to its end."""

import ast
import re
from functools import cache
from math import exp, hypot, log, sqrt

import pytest
from executed import NOTEBOOKS, executed

# A number of two digits or more is of another network than that on the page, or of the data.
ELSEWHERE = ("Fashion-MNIST", "tutorial", "*Not shown", "Chance is", "doi.org", "arxiv.org")


@cache
def ran(name: str):
    """The notebook as it ran; a cell that fails, fails the test."""
    return executed(NOTEBOOKS[name])


def shown(cell) -> list[str]:
    """The texts below a cell."""
    return [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.get("outputs", ())]


def page(name: str) -> str:
    """All that is printed and shown as text."""
    return "\n".join(text for cell in ran(name).cells for text in shown(cell))


def number(pattern: str, text: str) -> float:
    """The one number at `(...)` in a pattern."""
    (found,) = re.findall(pattern, text)
    return float(found)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_followed_is_of_a_trained_network(name):
    """Below every cell that follows a run stands first of when it is: the end, or where the notebook has stopped it."""
    cells = [cell for cell in ran(name).cells if cell.cell_type == "code" and ".follow" in cell.source]
    assert cells or name == "06-export"
    for cell in cells:
        line, *below = shown(cell)
        assert re.match(r"at the end, epoch \d+|stopped after epoch 10 of 40", line) and below, cell.source


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_text_after_a_training_holds_no_result_that_it_cannot_know(name):
    """Results are computed where they are shown. In the text, they would be those of another machine."""
    cells = ran(name).cells
    trained = next(k for k, cell in enumerate(cells) if cell.cell_type == "code" and ".fit(" in cell.source)
    for cell in (cell for cell in cells[trained + 1 :] if cell.cell_type == "markdown"):
        for part in re.split(r"\n\n|\n\* ", re.sub(r"\$\$?.*?\$\$?", "", cell.source, flags=re.DOTALL)):
            results = re.findall(r"(?<![\w.\[(=])0\.\d*[1-9]\d+", part)
            assert not results or any(word in part for word in ELSEWHERE), part


def test_01():
    text = page("01-lstm")
    assert number(r"after all of them: (0\.\d+)", text) == number(r"epoch 15: test accuracy (0\.\d+)", text)


def test_02():
    """Spikes and test accuracy come from the history, and a second time from the network itself."""
    text = page("02-spiking")
    assert number(r"test accuracy 0\.\d+, ([\d.]+) spikes", text) == number(r"([\d.]+) spikes a sample, \d+ of", text)
    assert "the same outputs: True" in text


def test_03():
    text = page("03-why-does-it-not-learn")
    ended = number(r"epoch 40: test accuracy (0\.\d+), [\d.]+ spikes", text)
    verdicts = re.findall(r"^(with|without) biases: it (.*), test accuracy (0\.\d+)", text, re.MULTILINE)
    assert [name for name, _, _ in verdicts] == ["with", "without"] and float(verdicts[0][2]) == ended
    for _, said, accuracy in verdicts:
        assert said.endswith(" hardly learns") == (float(accuracy) <= 0.7)
    replayed = ast.literal_eval(re.search(r"\{'[\w.]+': (?:True|False), .*\}", text)[0])
    assert all(replayed.values()) and len(replayed) >= 10


def test_04():
    """Without another beta, the network answers as it did in its own test."""
    own = next(text for text in page("04-your-own-loop").splitlines() if text.startswith("LiveTrainer: done"))
    accuracy = number(r"beta =  5: .*test accuracy (0\.\d+)", page("04-your-own-loop"))
    assert f"test accuracy {accuracy:.1%}" in own


def test_05():
    text = page("05-events")
    rows = re.findall(r"^(as recorded|backwards|shuffled) +(0\.\d+)$", text, re.MULTILINE)
    right = {name: float(value) for name, value in rows}
    assert right["as recorded"] == number(r"all three moves: .*, (0\.\d+)", text)
    for name, said in (("backwards", "it uses the order of the whole"), ("shuffled", "it uses the time")):
        cost = number(rf"{name} costs (-?0\.\d+)", text)
        assert cost == pytest.approx(right["as recorded"] - right[name], abs=1.1e-3)
        assert (f"{cost:.3f}: {said}" in text) == (cost > 0.1)


def test_06():
    text = page("06-export")
    fired, own, same = map(
        int, re.search(r"(\d+) spikes, (\d+) in snnlab; the same class for (\d+) of 100", text).groups()
    )
    assert fired > 1000 and ("the file is the network" in text) == (fired == own and same == 100)
    assert number(r"epoch 10: test accuracy (0\.\d+)", text) == round(number(r"'test_acc': (0\.\d+)", text), 3) > 0.8


def test_07():
    """Gain and standard error follow from the means and deviations that are printed above them."""
    text = page("07-learned-time-constants")
    rows = re.findall(r"^(\w.*?) +test accuracy (0\.\d+) \+- (0\.\d+)", text, re.MULTILINE)
    found = {kind: (float(mean), float(deviation)) for kind, mean, deviation in rows}
    said = re.findall(
        r"^(\w.*?) +against (\w.*?) *: ([+-]0\.\d+), (.*) \(standard error (0\.\d+)\)", text, re.MULTILINE
    )
    assert len(found) == 5 and len(said) == 4
    for one, other, gain, verdict, error in said:
        expected = found[one][0] - found[other][0]
        assert float(gain) == pytest.approx(expected, abs=1.6e-3)
        assert float(error) == pytest.approx(hypot(found[one][1], found[other][1]) / sqrt(5), abs=1e-3)
        if abs(abs(float(gain)) - 2 * float(error)) > 2e-3:  # else rounding decides
            beyond = "better" if float(gain) > 0 else "worse"
            assert verdict == (beyond if abs(float(gain)) > 2 * float(error) else "within the scatter")


def test_08():
    """Which future learned and which did not follows from its test loss against ln 10; the replay has the same bits."""
    text = page("08-what-if")
    rows = re.findall(r"^(\w[\w ]*?) +test loss +([\d.]+), +([\d.]+) spikes a sample: (.*)$", text, re.MULTILINE)
    found = {name: (float(loss), float(spikes), said) for name, loss, spikes, said in rows}
    assert list(found) == ["a", "turned back", "only the rate", "only the threshold", "neither"]
    for loss, spikes, said in found.values():
        expected = "knows nothing" if loss == 2.3 else "worse than knowing nothing" if loss > log(10) else "learns"
        assert said == expected and (spikes == 0.0) == (said == "knows nothing")
    # What the text says: each move alone did more harm than both together, and turning them back did not help.
    assert found["neither"][0] < found["a"][0] < min(found[name][0] for name in ("only the rate", "only the threshold"))
    assert found["turned back"][0] > found["a"][0] and found["turned back"][1] == max(s for _, s, _ in found.values())
    shares = dict(re.findall(r"^(\w[\w ]*?) +mean \|w\|.* per threshold +([\d.]+),", text, re.MULTILINE))
    assert 0.5 < float(shares["a"]) / float(shares["neither"]) < 2.0
    assert float(shares["only the threshold"]) < 0.2 * float(shares["neither"]) < float(shares["only the rate"])
    assert "the same spikes: True" in text and "step 110, epoch 5" in text
    replayed = ast.literal_eval(re.search(r"\{'[\w.]+': (?:True|False), .*\}", text)[0])
    assert all(replayed.values()) and len(replayed) >= 10


def test_09():
    """What is said of the map follows from its numbers; what is opened continues where its place stood."""
    text = page("09-which-tau")
    told = r"^(\w.*?) +tau_mem +([\d.]+) ms, v_th ([\d.]+): test accuracy (0\.\d+), +([\d.]+) spikes"
    rows = [(name, *map(float, values)) for name, *values in re.findall(told, text, re.MULTILINE)]
    assert "LiveStudy: 64 of 64 networks · done" in text
    best, loudest, frugal, *front, edge = rows
    assert best[3] > frugal[3] >= loudest[3] and frugal[4] > 0
    assert number(r"fires (\d+) times as often", text) == pytest.approx(loudest[4] / frugal[4], rel=0.05)
    one, other, folded = (
        number(rf"{name} +leaves a scatter of (0\.\d+)", text)
        for name in ("the same tau_mem", "the same threshold", "a like height per threshold")
    )
    assert ("two questions were one" in text) == (folded < 0.5 * min(one, other))
    assert len(front) > 3 and front[0][3] == best[3] and front == sorted(front, key=lambda row: (-row[3], -row[4]))
    for name, tau, v_th, *_ in front:  # where the voltage meets the current, of tau dv/dt = -v + exp(-t / 10 ms)
        late = 10 * tau / (tau - 10) * log(tau / 10)
        assert number(r"([\d.]+)$", name) == pytest.approx(exp(-late / 10) / v_th, abs=0.01)
    assert number(r"epoch  5: test accuracy (0\.\d+)", text) == edge[3] < 0.5
    assert ("it was only slow" in text) == (number(r"epoch 30: test accuracy (0\.\d+)", text) > best[3] - 0.1)


def test_10():
    """The verdicts follow from the numbers beside them, and these are better than the yardsticks."""
    text = page("10-every-step")
    right, usual = number(r"test steps right: (0\.\d+)", text), number(r"most frequent class: (0\.\d+)", text)
    assert right >= 0.9 > usual and "the network names the waves" in text
    assert number(r"balanced: (0\.\d+)", text) > 0.85
    near, all_steps = map(int, re.search(r"(\d+)% of the wrong steps are .*; (\d+)% of all", text).groups())
    assert near / all_steps > 6 * (100 - near) / (100 - all_steps)  # a step near a change against one elsewhere
    own, raw = number(r"test R2 of the network: (0\.\d+)", text), number(r"signal as it comes: (-?\d\.\d+)", text)
    best = number(r"of the best mean, \d+ steps: (0\.\d+)", text)
    assert raw < best and ("better than any of these means" in text) == (own > best) and own > best
