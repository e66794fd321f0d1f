"""Inputs of the data view: every format, names of classes and rows, and each refusal beside its field."""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.bodies import npy, npz
from tests.browser.playground import drop, evaluate, output, show, type_into

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import Page

SMALL = np.array([[2.0, 3, 4], [3, 1, -3]])
LABELS = np.array([1, 0])
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(50, 10)) * 3
MANY = RANDOM.integers(10, size=50)

TYPED = {
    "CSV": ("2, 3, 4\n3, 1, -3", "1, 0"),
    "semicolons and decimal commas": ("2,0;3;4\n3;1;-3,0", "label\n1\n0"),
    "spaces": ("2 3 4\n3 1 -3", "1 0"),
    "CSV with a column of labels": ("cat,dog,label,cow\n2,3,1,4\n3,1,0,-3\n", ""),
    "CSV with names as labels": ("cat,dog,cow,class\n2,3,4,dog\n3,1,-3,cat\n", ""),
    "CSV with names apart": ("cat,dog,cow\n2,3,4\n3,1,-3\n", "dog\ncat"),
    "CSV with an unnamed index": (",cat,dog,cow,label\n0,2,3,4,dog\n1,3,1,-3,cat\n", ""),
    "CSV with quotes": ('"id","cat, old","dog","cow","label"\n"a.png",2,3,4,"dog"\n"b.png",3,1,-3,"cat, old"\n', ""),
    "JSON": ("[[2, 3, 4], [3, 1, -3]]", "[1, 0]"),
    "JSON request": ('{"logits": [[2, 3, 4], [3, 1, -3]], "targets": [1, 0]}', ""),
    "JSON with a batch of batches": ("[[[2, 3, 4], [3, 1, -3]]]", "[[1, 0]]"),
}

REFUSED = [
    ("picture.png", b"\x89PNG\r\n\x1a\n0000", "logits", "This is a PNG picture, not a table of numbers."),
    ("picture.csv", b"\xff\xd8\xff\xe0aaaa", "labels", "This is a JPEG picture"),
    ("book.pdf", b"%PDF-1.7 ...", "logits", "This is a PDF document"),
    ("table.parquet", b"PAR1\x15\x04", "logits", "This is a Parquet file"),
    ("model.pt", b"\x80\x02}q\x00.", "logits", "This is a Python pickle"),
    ("unknown.bin", b"abc\x00\x01\x02", "logits", "This is a binary file of an unknown kind"),
    ("broken.csv.gz", b"\x1f\x8bgarbage", "logits", "This is a broken gzip file"),
    ("broken.npy", b"NUMPY" + npy(SMALL)[6:], "logits", "broken.npy does not start like a NumPy file."),
    ("cut.npy", npy(LOGITS)[:-8], "logits", "logits"),
    ("text.npy", npy(np.array(["a", "b"])), "logits", "logits must hold numbers only"),
    ("cut.npz", npz(logits=SMALL)[:-30], "logits", "The archive is cut off."),
    ("names.npz", npz(a=SMALL, b=SMALL), "logits", "needs an array with the name logits. It has: a, b."),
    ("ragged.json", b"[[1, 2], [3]]", "logits", "logits[1] has 1 entries; the lists before it have 2."),
    ("deep.json", b"[[1, 2], 3]", "logits", "logits[1] is not a list"),
    ("null.json", b"[[1, null]]", "logits", "logits[0][1] is not a number."),
    ("half.json", b"[[1, 2", "logits", "This is not JSON"),
    ("other.json", b'{"scores": 1}', "logits", 'an object with "logits"'),
    ("words.csv", b"1,2\n3,four\n", "logits", "Line 2, column 2 is not a number."),
    ("gap.csv", b"a,b\n\n1,2\n3,\n", "logits", "Line 4, column 2 is not a number."),
    ("ragged.csv", b"1,2\n3\n", "logits", "Line 2 must have 2 columns, as the first line; it has 1."),
    ("names.csv", b"a.png,1,2\nb.png,3,4\n", "logits", "Column 1 holds names. Add a first line that names the columns"),
    ("head.csv", b"cat,dog\n", "logits", "no row of numbers below them"),
    (
        "label.csv",
        b"cat,dog,label\n1,2,cow\n",
        "labels",
        "Label 1 is not the name of a class. The classes are cat, dog.",
    ),
    ("empty.csv", b"cat,dog,label\n1,2,\n", "labels", "Label 1 is empty."),
    ("infinite.npy", npy(np.array([[1.0, np.inf]])), "logits", "logits"),
]

REFUSED_LABELS = [
    ("far.csv", b"0\n7\n", "7"),
    ("short.csv", b"0\n", "targets"),
    ("names.csv", b"cat\ndog\n", "Label 1 is a name. Name the classes in a first line of the logits"),
    ("table.csv", b"1,2\n3,4\n", "Give one label for each row"),
    ("table.npy", npy(np.zeros((2, 3))), "targets"),
    ("complex.npy", npy(np.zeros(2, dtype=complex)), "targets"),
]


@pytest.mark.parametrize("form", TYPED)
def test_rows_can_be_typed(data: Page, http: httpx.Client, form: str) -> None:
    logits, labels = TYPED[form]
    type_into(data.locator("#logits-text"), logits)
    if labels:
        type_into(data.locator("#labels-text"), labels)
    show(data)
    assert output(data, "loss") == evaluate(http, SMALL, LABELS)["loss"]
    expect(data.locator("#results")).to_contain_text("2 × 3")


def test_names_of_classes_and_rows_are_shown(data: Page) -> None:
    drop(data, "#logits-drop", {"rows.csv": b"file,cat,dog,label\na.png,1,3,cat\nb.png,2,1,cat\n"})
    show(data)
    worst = data.get_by_role("region", name="Worst rows").locator("tbody tr").first
    assert worst.locator("th, td").all_inner_texts() == ["a.png", "2.1269", "cat", "0.1192", "dog", "0.8808"]
    heads = data.locator(".confusion thead th").all_inner_texts()
    assert heads == ["cat", "dog"]
    recall = data.get_by_role("region", name="Precision and recall").locator("tbody tr")
    assert recall.first.locator("th, td").all_inner_texts() == ["cat", "2", "100.0 %", "50.0 %"]
    assert recall.last.locator("th, td").all_inner_texts() == ["dog", "0", "0.0 %", "–"]
    data.get_by_label("Row", exact=True).press("ArrowUp")
    expect(data.locator(".detail")).to_contain_text("Row b.png")


def test_an_excluded_class_may_be_the_label(data: Page) -> None:
    type_into(data.locator("#logits-text"), '[2, "-Infinity", 4]')
    type_into(data.locator("#labels-text"), "1")
    show(data)
    expect(data.locator("#results [data-output=loss]")).to_have_text("∞")


@pytest.mark.parametrize("kind", ["float32", "float16", "int32", ">f8"])
def test_a_npy_goes_to_the_service_as_it_is(data: Page, http: httpx.Client, kind: str) -> None:
    logits = (LOGITS * 4).astype(kind)
    drop(data, "#logits-drop", {"logits.npy": npy(np.asfortranarray(logits))})
    drop(data, "#labels-drop", {"labels.npy": npy(MANY)})
    show(data)
    dtype = "float32" if kind in ("float32", "float16") else "float64"
    assert output(data, "loss") == pytest.approx(evaluate(http, logits, MANY, dtype=dtype)["loss"], rel=1e-7)


@pytest.mark.parametrize("labels", [MANY.astype("int8"), MANY.astype(">i4"), MANY.astype(float), MANY.astype("uint64")])
def test_labels_of_any_number_type_are_read(data: Page, http: httpx.Client, labels: Any) -> None:
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS)})
    drop(data, "#labels-drop", {"labels.npy": npy(labels)})
    show(data)
    assert output(data, "loss") == evaluate(http, LOGITS, MANY)["loss"]
    hits = data.locator(".confusion .hit").all_inner_texts()
    right = np.bincount(MANY[LOGITS.argmax(1) == MANY], minlength=10)
    assert [int(hit.replace("·", "0")) for hit in hits] == right.tolist()


def test_labels_of_npy_may_be_names(data: Page, http: httpx.Client) -> None:
    drop(data, "#logits-drop", {"logits.csv": b"cat,dog,cow\n2,3,4\n3,1,-3\n"})
    drop(data, "#labels-drop", {"labels.npy": npy(np.array(["dog", "cat"]))})
    show(data)
    assert output(data, "loss") == evaluate(http, SMALL, LABELS)["loss"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["targets", "labels", "y"])
def test_a_npz_holds_logits_and_targets(data: Page, http: httpx.Client, name: str, *, compressed: bool) -> None:
    drop(data, "#logits-drop", {"both.npz": npz(compressed=compressed, logits=LOGITS, **{name: MANY})})
    show(data)
    assert output(data, "loss") == evaluate(http, LOGITS, MANY)["loss"]


def test_a_compressed_csv_is_read(data: Page, http: httpx.Client) -> None:
    stream = io.StringIO()
    np.savetxt(stream, LOGITS, delimiter=",", fmt="%.17g")
    drop(data, "#logits-drop", {"logits.csv.gz": gzip.compress(stream.getvalue().encode())})
    drop(data, "#labels-drop", {"labels.npz": npz(labels=MANY)})
    show(data)
    assert output(data, "loss") == evaluate(http, LOGITS, MANY)["loss"]


def test_text_of_excel_in_utf_16_is_read(data: Page, http: httpx.Client) -> None:
    text = "cat\tdog\tcow\tlabel\r\n2\t3\t4\tdog\r\n3\t1\t-3\tcat\r\n"
    drop(data, "#logits-drop", {"rows.txt": text.encode("utf-16")})
    show(data)
    assert output(data, "loss") == evaluate(http, SMALL, LABELS)["loss"]


@pytest.mark.parametrize("target", ["#logits-drop", "#labels-drop", "#show"])
@pytest.mark.parametrize("names", [("test_labels.npy", "scores.npy"), ("a.npy", "b.npy"), ("y.npy", "x.npy")])
def test_both_files_can_be_dropped_at_once(data: Page, http: httpx.Client, target: str, names: tuple[str, str]) -> None:
    drop(data, target, {names[0]: npy(MANY), names[1]: npy(LOGITS)})
    expect(data.locator("#logits-name")).to_contain_text(names[1])
    expect(data.locator("#labels-name")).to_contain_text(names[0])
    show(data)
    assert output(data, "loss") == evaluate(http, LOGITS, MANY)["loss"]


def test_class_probabilities_may_be_the_labels(data: Page, http: httpx.Client) -> None:
    soft = np.full((50, 10), 0.1)
    drop(data, "#logits-drop", {"logits.npy": npy(LOGITS)})
    drop(data, "#labels-drop", {"targets.npy": npy(soft)})
    show(data)
    assert output(data, "loss") == evaluate(http, LOGITS, soft)["loss"]
    expect(data.get_by_role("heading", name="Confusion")).to_have_count(0)


@pytest.mark.parametrize(("name", "content", "field", "problem"), REFUSED)
def test_a_refused_file_has_its_problem_beside_it(
    data: Page, name: str, content: bytes, field: str, problem: str
) -> None:
    if field == "labels" and name.endswith(".csv") and not content.startswith(b"cat"):
        type_into(data.locator("#logits-text"), "1 2\n3 4")
        drop(data, "#labels-drop", {name: content})
    else:
        drop(data, "#logits-drop", {name: content})
    data.get_by_role("button", name="Show", exact=True).click()
    expect(data.locator(f"#problem-data-{field}")).to_contain_text(problem)
    expect(data.locator("#results")).to_be_hidden()


@pytest.mark.parametrize(("name", "content", "problem"), REFUSED_LABELS)
def test_refused_labels_have_their_problem_beside_them(data: Page, name: str, content: bytes, problem: str) -> None:
    type_into(data.locator("#logits-text"), "1 2\n3 4")
    drop(data, "#labels-drop", {name: content})
    data.get_by_role("button", name="Show", exact=True).click()
    expect(data.locator("#problem-data-labels")).to_contain_text(problem)
    expect(data.locator("#results")).to_be_hidden()


def test_nothing_to_show_is_reported(data: Page) -> None:
    data.get_by_role("button", name="Show", exact=True).press("Enter")
    expect(data.locator("#problem-data-logits")).to_contain_text("There are no logits yet")
