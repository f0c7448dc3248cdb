"""Files of your own: an archive, a table, a folder of recordings; what does not fit is one sentence with its place."""

import numpy as np
import pytest

from snnlab import data
from snnlab.errors import ArgumentError, DataError, FileFormatError

RNG = np.random.default_rng(0)
X, Y = RNG.random((60, 4)), np.arange(60) % 3


def saved(folder, name="mine.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name


def written(folder, text, name="mine.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# ---- archives ----


def test_an_archive_in_one_piece_is_divided_and_says_so(tmp_path):
    mine = data.load(saved(tmp_path, x=X, y=Y, other=np.zeros(3)))
    assert repr(mine) == "Dataset('mine.npz': 42 train, 6 validation, 12 test, samples (4,) float32, 3 classes)"
    assert mine.understood == (
        "60 samples of 4 numbers, 3 classes in y; divided into 42 to train, 6 to validate, 12 to test (seed 0, every "
        "class in proportion); each column scaled to 0..1 by its lowest and highest value in training"
    )
    assert np.bincount(mine.y_test).tolist() == [4, 4, 4]


def test_samples_keep_their_targets_and_columns_are_scaled_by_the_training_part(tmp_path):
    """Column 0 tells the target: whatever is drawn, both must move together. A constant column becomes 0."""
    x = np.stack([np.arange(60.0), np.full(60, 7.0)], 1)
    mine = data.load(saved(tmp_path, x=x, y=2.0 * x[:, 0] + 0.5))
    low, high = mine.y_train.min(), mine.y_train.max()
    for part in mine.parts:
        samples, targets = mine.part(part)
        np.testing.assert_allclose(samples[:, 0], (targets.values[:, 0] - low) / (high - low), rtol=1e-6)
        assert (samples[:, 1] == 0.0).all()
    assert mine.task == "values" and mine.x_train[:, 0].max() == 1.0


def test_parts_of_an_archive_stay_as_they_are(tmp_path):
    parts = {"x_train": X[:40], "y_train": Y[:40], "x_test": X[40:], "y_test": Y[40:]}
    mine = data.load(saved(tmp_path, **parts))
    assert mine.parts == ("train", "test") and "divided" not in mine.understood
    np.testing.assert_array_equal(mine.y_test, Y[40:])
    whole = data.load(saved(tmp_path, **{name: parts[name] for name in ("x_train", "y_train")}))
    assert [len(whole.part(part).x) for part in whole.parts] == [28, 4, 8]
    three = data.load(saved(tmp_path, x_val=X[:9], y_val=Y[:9], **{n: parts[n] for n in ("x_train", "y_train")}))
    assert [len(three.part(part).x) for part in three.parts] == [32, 9, 8]


def test_sequences_with_masks_lengths_and_weights(tmp_path):
    lengths, steps = RNG.integers(3, 9, 30), np.arange(8)
    x, y = RNG.random((30, 8, 2)), RNG.integers(0, 4, (30, 8))
    mask = RNG.random((30, 8)) < 0.8
    mask[:, 0] = True
    path = saved(tmp_path, x=x, y=y, mask=mask, lengths=lengths, weights=1.0 + np.arange(30))
    mine = data.load(path)
    assert mine.task == "step_labels" and mine.timed
    assert mine.understood.startswith("30 samples of up to 8 steps of 2 channels, 4 classes every step in y; divided")
    for part in mine.parts:
        targets = mine.part(part).targets
        rows = targets.weights.astype(int) - 1  # the weight of a sample tells which it was
        np.testing.assert_array_equal(targets.lengths, lengths[rows])
        np.testing.assert_array_equal(targets.mask, mask[rows] & (steps < lengths[rows, None]))
        np.testing.assert_array_equal(targets.values, y[rows])


def test_texts_are_the_names_of_classes_and_integers_name_themselves(tmp_path):
    names = np.array(["no", "maybe", "yes"])
    mine = data.load(saved(tmp_path, x=X, y=names[Y]))
    assert mine.class_names == ("maybe", "no", "yes")
    assert data.load(saved(tmp_path, x=X, y=10 + Y)).class_names == ("10", "11", "12")
    given = data.load(saved(tmp_path, x=X, y=Y, class_names=names))
    assert given.class_names == ("no", "maybe", "yes") and set(given.y_train) == {0, 1, 2}


def test_the_task_that_is_chosen(tmp_path):
    path = saved(tmp_path, x=X, y=Y.astype(float))
    with pytest.raises(DataError, match=r"mine.npz: y: whole numbers as float64 .* \(in a terminal, --task label\)"):
        data.load(path)
    assert data.load(path, task="values").task == "values"
    assert data.load(path, task="label").class_names == ("0", "1", "2")
    with pytest.raises(DataError, match=r"mine.npz: y_train: must be \(samples, time\)"):
        data.load(path, task="step_labels")
    with pytest.raises(ArgumentError, match="task: applies to files of your own, not to 'digits'"):
        data.load("digits", task="label")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": X, "labels": Y}, "its arrays are 'X', 'labels'; call them x and y, or x_train, y_train, x_test and"),
        ({"x": X}, "has no array 'y'; it needs x, y"),
        ({"x": X, "y": Y, "x_train": X}, "has both x and x_train; keep x and y, or the parts"),
        ({"x_train": X, "y_train": Y, "y_test": Y}, "has no array 'x_test'"),
        ({"x": X, "y": Y[:50]}, "y: has 50 rows, x has 60 samples"),
        ({"x": X, "y": Y, "weights": np.ones(9)}, "weights: has 9 rows, x has 60 samples"),
        ({"x": X, "y": np.array(3)}, "y must be one per sample, got one number"),
        ({"x": 300 * Y[:, None], "y": Y}, r"x_train: integers must be pixels in 0..255, got 0..600"),
        ({"x": np.where(X > 0.99, np.nan, X), "y": Y}, "x_.*: has .* values that are NaN"),
        ({"x": X, "y": Y, "class_names": np.array([1, 2, 3])}, "class_names must be a list of texts, got int64"),
        ({"x": X, "y": Y, "class_names": np.array(["a", "b"])}, "label 2 is out of range 0..1"),
        ({"x": X, "y": 0 * Y}, "all labels are 0"),
        ({"x": X, "y": np.array([None] * 60)}, "y is not a readable array .*must be plain numbers or strings"),
    ],
)
def test_what_an_archive_must_not_be(tmp_path, arrays, message):
    with pytest.raises((DataError, FileFormatError), match=f"mine.npz: .*{message}"):
        data.load(saved(tmp_path, **arrays))


def test_nothing_is_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    with pytest.raises(FileFormatError, match=r"mine.npz: x is not a readable array"):
        data.load(saved(tmp_path, x=np.array([Bomb()]), y=Y))


# ---- tables ----


def flowers(separator=",", header=True, rows=30):
    kinds = ("setosa", "versicolor", "virginica")
    lines = [("length", "width", "species")] if header else []
    lines += [(f"{k}.5", f"{k % 7}", kinds[k % 3]) for k in range(rows)]
    return "\n".join(separator.join(line) for line in lines) + "\n"


@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
@pytest.mark.parametrize("header", [True, False])
def test_a_table_with_names_of_classes(tmp_path, separator, header):
    mine = data.load(written(tmp_path, flowers(separator, header)))
    assert mine.sample_shape == (2,) and mine.class_names == ("setosa", "versicolor", "virginica")
    where = "column 'species'" if header else "column 3"
    assert mine.understood.startswith(f"30 samples of 2 numbers, 3 classes in {where}; divided into 21 to train")
    assert data.load(written(tmp_path, "\ufeff" + flowers(separator, header))).crc == mine.crc


def test_the_column_of_targets_is_found_by_its_name(tmp_path):
    lines = ["Class,a,b", *(f"{k % 3},{k},{k * k}" for k in range(30))]
    mine = data.load(written(tmp_path, "\n".join(lines)))
    assert mine.class_names == ("0", "1", "2") and mine.sample_shape == (2,) and "column 'Class'" in mine.understood
    numbered = ["0,1,label", *(f"{k},{k * k},{k % 3}" for k in range(30))]  # as pandas names columns without names
    assert data.load(written(tmp_path, "\n".join(numbered))).understood.startswith("30 samples of 2 numbers, 3 classes")


def test_a_class_that_is_called_like_a_column_is_a_class(tmp_path):
    """No sample is lost to a header that is none."""
    lines = [f"{k},{k * k},{'yn'[k % 2]}" for k in range(30)]
    mine = data.load(written(tmp_path, "\n".join(lines)))
    assert mine.class_names == ("n", "y")
    assert mine.understood.startswith("30 samples of 2 numbers, 2 classes in column 3")


def test_the_numbers_of_the_rows_are_left_out(tmp_path):
    for name, shown in (("", "column 1"), ("Id", "column 'Id'")):
        lines = [f"{name},a,b,kind", *(f"{k},{k % 5},{k % 4},{'ab'[k % 2]}" for k in range(30))]
        mine = data.load(written(tmp_path, "\n".join(lines)))
        assert mine.sample_shape == (2,) and f"in column 'kind', without {shown}, which counts" in mine.understood
    counted = ["dose,a,kind", *(f"{k},{k % 5},{'ab'[k % 2]}" for k in range(30))]
    assert data.load(written(tmp_path, "\n".join(counted))).sample_shape == (2,)


def test_a_table_of_values(tmp_path):
    lines = ["a,b,y", *(f"{k},{k * k},{0.5 * k}" for k in range(30))]
    mine = data.load(written(tmp_path, "\n".join(lines)))
    assert mine.task == "values" and mine.understood.startswith("30 samples of 2 numbers, 1 value in column 'y'")
    prices = ["a,b,price", *(f"{k},{k * k},{100 + k}" for k in range(30))]
    path = written(tmp_path, "\n".join(prices))
    with pytest.raises(DataError, match=r"mine.csv: y: 30 different integers in 30 samples may be classes or values"):
        data.load(path)
    np.testing.assert_array_equal(np.unique(data.load(path, task="values").y_train) % 1.0, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b,c\n", "has names of columns in row 1, and no row below"),
        ("a,b,y\n1,2,0\n1,,0\n", "row 3, column 'b': is empty"),
        ("a,b,y\n1,2,0\n\n1,x,0\n", "row 4, column 'b': 'x' is not a finite number"),
        ("1,2,0\n1,nan,0\n", "row 2, column 2: 'nan' is not a finite number"),
        ("1,2,0\n1,2_0,0\n", "row 2, column 2: '2_0' is not a finite number"),
        ("a;b;y\n1,5;2;0\n", "row 2, column 'a': '1,5' is not a finite number; write decimals with a point"),
        ("a,b,y\n1,2,0\n1,2\n", "row 3 has 2 columns, the rows above have 3"),
        ("a,b,y\n1,2,0\n1,2,\n", "row 3, column 'y': is empty; every row needs a target"),
        ("a,y,label\n1,2,0\n", "the columns 'y' and 'label' could both be the targets; rename one of them"),
        ("a,b,y\n1,2,3.5\n1,2,none\n", "row 3, column 'y': 'none' is not a finite number; if these are labels, pass"),
        ("1\n2\n", "has one column; a table needs numbers and a column of targets"),
        ('a,b\n"1,2\n', "cannot be read as a table"),
        ("\n".join(f"{k},{k},{'ab'[k > 0]}" for k in range(20)), "y: class 'a' has 1 of the samples, sample 1 is the"),
    ],
)
def test_what_a_table_must_not_be(tmp_path, text, message):
    with pytest.raises((DataError, FileFormatError), match=f"mine.csv: {message}"):
        data.load(written(tmp_path, text))


def test_a_table_that_is_none(tmp_path):
    (tmp_path / "mine.csv").write_bytes(b"a,b\n\xff\xfe,1\n")
    with pytest.raises(FileFormatError, match=r"mine.csv: is not text in UTF-8 \(byte 4\)"):
        data.load(tmp_path / "mine.csv")
    with pytest.raises(ArgumentError, match="task: a table has one target a row; choose 'label' or 'values', got 'tr"):
        data.load(written(tmp_path, flowers()), task="traces")
    with pytest.raises(DataError, match=r"none.csv: does not exist; a data set may be an .npz file"):
        data.load(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"mine.txt: is neither a folder nor an .npz, .csv or .tsv file"):
        data.load(written(tmp_path, "", "mine.txt"))


# ---- recordings ----


def record(folder, name, array):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".npy"):
        np.save(folder / name, array)
    else:
        np.savetxt(folder / name, array, delimiter=",")


@pytest.fixture
def beats(tmp_path):
    """Ten recordings of two classes, of 20 to 29 steps; the first number of each tells its length."""
    for kind in ("normal", "early"):
        for k in range(10):
            recording = RNG.random((20 + k, 3))
            recording[0, 0] = 20 + k
            record(tmp_path / "beats", f"{kind}/{k}.{'csv' if k % 2 else 'npy'}", recording)
    (tmp_path / "beats" / "normal" / ".DS_Store").touch()
    (tmp_path / "beats" / "README.txt").touch()
    return tmp_path / "beats"


def test_a_folder_of_recordings_of_each_class(beats):
    mine = data.load(beats)
    assert mine.name == "beats" and mine.class_names == ("early", "normal") and mine.timed
    assert mine.understood == (
        "20 samples of up to 29 steps of 3 channels, 2 classes by folder; divided into 14 to train, 2 to validate, 4 "
        "to test (seed 0, every class in proportion)"
    )
    for part in mine.parts:
        x, targets = mine.part(part)
        np.testing.assert_array_equal(targets.lengths, x[:, 0, 0])
        assert all((row[int(row[0, 0]) :] == 0).all() and (row[: int(row[0, 0])] != 0).all() for row in x)


def test_recordings_in_folders_of_parts(beats, tmp_path):
    for part in ("train", "test"):
        (tmp_path / "parted").mkdir(exist_ok=True)
        (tmp_path / "parted" / part).symlink_to(beats)
    mine = data.load(tmp_path / "parted")
    assert [len(mine.part(part).x) for part in mine.parts] == [20, 20] and mine.class_names == ("early", "normal")
    np.testing.assert_array_equal(mine.x_train, mine.x_test)
    (tmp_path / "parted" / "test").unlink()
    with pytest.raises(DataError, match="parted: has the folder train, but no folder test"):
        data.load(tmp_path / "parted")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("normal/x.npy", np.zeros((5, 2)), r"x.npy: has frames \(2,\), the recordings before it \(3,\)"),
        ("normal/x.npy", np.zeros((0, 3)), r"x.npy: a recording must be \(time, channels\), got shape \(0, 3\)"),
        ("normal/x.npy", np.array(3.0), r"x.npy: a recording must be \(time, channels\), got shape \(\)"),
        ("normal/x.npy", np.array([["a"]]), "x.npy: a recording must be numbers, got <U1"),
        ("normal/x.npy", np.array([[0, 0, 0], [0, np.inf, 0]]), "x.npy: step 2, channel 2: is not a finite number"),
        ("normal/x.csv", np.array([[0, 0, 0], [0, np.nan, 0]]), "x.csv: row 2, column 2: 'nan' is not a finite number"),
        ("normal/x.npy", np.array([[None] * 3]), "x.npy: is damaged or not an .npy file .*plain numbers"),
    ],
)
def test_a_recording_that_does_not_fit_is_named(beats, name, array, message):
    record(beats, name, array)
    with pytest.raises((DataError, FileFormatError), match=message):
        data.load(beats)


def test_folders_that_hold_no_recordings(beats, tmp_path):
    (beats / "normal" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"notes.txt: is no recording; in a folder of a class, each file is .npy or .c"):
        data.load(beats)
    (beats / "normal" / "notes.txt").unlink()
    (beats / "missing").mkdir()
    with pytest.raises(DataError, match=r"beats/missing: is the folder of a class, but has no .npy or .csv in it"):
        data.load(beats)
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"empty: has no data in it; a data set may be an .npz file with x and y"):
        data.load(tmp_path / "empty")
    with pytest.raises(ArgumentError, match="task: recordings in folders of classes have one label each, got 'values'"):
        data.load(beats, task="values")
