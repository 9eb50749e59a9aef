"""Arrays under other names, and files of other programs: vectors with labels beside them, tensors."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from app.offers import kind_of
from hnm_core import data
from hnm_core.data.base import Dataset
from hnm_core.data.idx import read_idx
from hnm_core.data.own import in_words
from hnm_core.data.pictures import read_picture
from hnm_core.errors import InputError
from hnm_core.models.weights import read_state_dict
from hnm_core.spec.data_files import DATA_SUFFIXES, data_format
from hnm_core.spec.request import data_config

X = np.array([[1.5, -2.0], [3.0, 4.25], [-5.0, 0.5], [7.0, 8.0]], np.float32)
WORDS = ["oak", "ash", "oak", "ash"]


def read(path: Path, **options: object) -> Dataset:
    return data.create("file", path=str(path), **options)


def is_right(dataset: Dataset) -> bool:
    names = [dataset.class_names[label] for label in dataset.y]
    return np.array_equal(dataset.x, X) and dataset.x.dtype == np.float32 and names == WORDS


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read(path, **options)
    assert str(path) in str(caught.value) or path.stem in str(caught.value)
    return str(caught.value)


def test_that_arrays_of_other_names_and_labels_that_are_text_are_understood(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, embeddings=X, labels=np.array(WORDS), extra=np.zeros(3))
    assert is_right(read(path))
    assert read(path).as_read == "Arrays: features 'embeddings'; labels 'labels'; left out: extra."
    np.savez(path, features=X, target=np.array(WORDS, "S"))
    assert is_right(read(path))
    np.savez(path, x=X, y=np.array(WORDS), y_true=np.array(["oak", "ash", "elm", "ash"]))
    dataset = read(path)
    assert dataset.class_names == ("ash", "elm", "oak") and dataset.y_true.tolist() == [2, 0, 1, 0]


def test_that_a_single_1_in_each_row_says_the_class(tmp_path):
    for kind in (float, int, bool):
        np.savez(tmp_path / "set.npz", x=X, y=np.eye(3)[[2, 0, 2, 0]].astype(kind))
        dataset = read(tmp_path / "set.npz")
        assert dataset.class_names == ("0", "2") and dataset.y.tolist() == [1, 0, 1, 0]
    np.savez(tmp_path / "set.npz", x=X, y=np.eye(2)[[1, 0, 1, 0]], class_names=np.array(["ash", "oak"]))
    assert is_right(read(tmp_path / "set.npz"))


def test_that_labels_that_are_objects_are_refused_with_the_way_out(tmp_path):
    np.savez(tmp_path / "set.npz", x=X, y=np.array(WORDS, object))
    message = refusal(tmp_path / "set.npz")
    assert "'y'" in message and "can run code" in message and 'dtype="U"' in message


def test_that_the_parts_of_a_set_are_kept_in_a_file(tmp_path):
    np.savez(tmp_path / "set.npz", x=X, y=[1, 0, 1, 0], ids=[3, 2, 1, 0], held_out=[True, False, False, False])
    assert read(tmp_path / "set.npz").held_out.tolist() == [False, False, False, True]


@pytest.mark.parametrize("vectors", ["set.npy", "x.npy", "train_vectors.npy"])
@pytest.mark.parametrize("ending", ["npy", "txt", "csv", "tsv"])
def test_that_labels_beside_vectors_are_found(tmp_path, vectors, ending):
    np.save(tmp_path / vectors, X)
    beside = {"set.npy": "set_labels", "x.npy": "y", "train_vectors.npy": "train_labels"}[vectors]
    path = tmp_path / f"{beside}.{ending}"
    np.save(path, np.array(WORDS)) if ending == "npy" else path.write_text("\n".join((*WORDS, "")))
    assert is_right(read(tmp_path / vectors))
    assert read(tmp_path / vectors).as_read == f"Labels: '{path.name}'."


def test_that_labels_can_be_named_and_have_a_line_of_names(tmp_path):
    np.save(tmp_path / "set.npy", X)
    (tmp_path / "table.csv").write_text("place,Label\n" + "".join(f"{n},{word}\n" for n, word in enumerate(WORDS)))
    assert is_right(read(tmp_path / "set.npy", labels=str(tmp_path / "table.csv")))
    (tmp_path / "table.csv").write_text("label\n" + "\n".join(WORDS))
    assert is_right(read(tmp_path / "set.npy", labels=str(tmp_path / "table.csv")))


@pytest.mark.parametrize("names", [("vectors.tsv", "metadata.tsv"), ("my_tensors.tsv", "my_metadata.tsv")])
@pytest.mark.parametrize("header", ["", "name\tlabel\n"])
def test_that_what_the_tensorboard_projector_reads_is_read(tmp_path, names, header):
    np.savetxt(tmp_path / names[0], X, delimiter="\t")
    rows = [f"item {n}\t{word}" if header else word for n, word in enumerate(WORDS)]
    (tmp_path / names[1]).write_text(header + "\n".join(rows) + "\n")
    assert is_right(read(tmp_path / names[0]))


def test_that_a_folder_of_the_tensorboard_projector_is_data(tmp_path):
    assert data_config(str(tmp_path)).name == "images"
    np.savetxt(tmp_path / "tensors.tsv", X, delimiter="\t")
    (tmp_path / "metadata.tsv").write_text("\n".join(WORDS))
    assert is_right(data.create(data_config(str(tmp_path)).name, **data_config(str(tmp_path)).options))
    assert kind_of(tmp_path) == "data"


def test_that_a_table_with_tabs_is_a_table(tmp_path):
    rows = [f"{a}\t{b}\t{word}" for (a, b), word in zip(X.tolist(), WORDS, strict=True)]
    (tmp_path / "set.tsv").write_text("\n".join(("a\tb\tlabel", *rows)))
    assert is_right(read(tmp_path / "set.tsv"))


@pytest.mark.timeout(20)
def test_that_no_reader_waits_for_a_pipe_that_came_after_the_file_was_looked_at(tmp_path):
    np.save(tmp_path / "a.npy", X)
    for suffix in DATA_SUFFIXES:
        pipe = tmp_path / f"pipe{suffix}"
        os.mkfifo(pipe)
        (tmp_path / "pipe_labels.txt").write_text("\n".join(WORDS))
        kind = data_format(pipe)
        assert kind is not None
        for reader in (kind.load(), kind.look):
            if reader != kind.look or kind.glance:
                with pytest.raises(OSError, match="named pipe"):
                    reader(pipe)
    os.mkfifo(tmp_path / "a_labels.txt")
    (tmp_path / "a_labels.tsv").symlink_to("/dev/zero")
    for labels in ("a_labels.txt", "a_labels.tsv"):
        with pytest.raises(InputError, match=f"{labels}' cannot be read: it is a "):
            read(tmp_path / "a.npy", labels=str(tmp_path / labels))
    for reader, name in ((read_idx, "i"), (lambda path: read_picture(path, 8, "rgb"), "p.png")):
        os.mkfifo(tmp_path / name)
        with pytest.raises(InputError, match="cannot be read: it is a named pipe"):
            reader(tmp_path / name)


def test_that_a_line_without_a_label_shifts_none_of_the_others(tmp_path):
    np.save(tmp_path / "set.npy", X)
    (tmp_path / "set_labels.txt").write_text("species\noak\n\noak\nash\n")
    assert "no label in line 3" in refusal(tmp_path / "set.npy")
    (tmp_path / "set_labels.txt").write_text("label\noak\nash\noak\n")
    assert "has 3 labels for 4 items" in refusal(tmp_path / "set.npy")


def test_that_a_refusal_of_labels_tells_all_that_labels_can_be(tmp_path):
    for labels in ([0.5, 1, 0, 1], np.zeros(4, "M8[D]")):
        np.savez(tmp_path / "set.npz", x=X, y=labels)
        assert "hold whole numbers or text" in refusal(tmp_path / "set.npz")
    np.savez(tmp_path / "set.npz", x=X, y=[0, 1, 0, 1], y_true=[0.5, 1, 0, 1])
    assert "must hold whole numbers, but" in refusal(tmp_path / "set.npz")


def test_that_a_damaged_file_of_torch_is_a_sentence_wherever_it_ends(tmp_path):
    path = tmp_path / "set.pt"
    torch.save({"x": torch.from_numpy(X), "y": WORDS}, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for end in range(0, len(content), 7):
        path.write_bytes(content[:end])
        assert "damaged" in refusal(path)


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_that_no_bit_of_a_file_of_torch_changes_a_number_or_a_label(tmp_path, bit):
    """torch itself compares no checksums."""
    path = tmp_path / "set.pt"
    torch.save({"x": torch.from_numpy(X), "y": torch.tensor([1, 0, 1, 0])}, path)
    whole, before, refused = path.read_bytes(), read(path), 0
    for place in range(bit, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        try:
            after = read(path)
        except InputError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert np.array_equal(after.x, before.x) and np.array_equal(after.y, before.y)
            assert after.class_names == before.class_names
    assert refused > 20
    path.write_bytes(whole)
    values = whole.index(X.tobytes())
    path.write_bytes(whole[:values] + b"\1" + whole[values + 1 :])
    assert "is damaged: '" in (said := refusal(path)) and "in it has another checksum" in said
    with pytest.raises(InputError, match=r"set\.pt' cannot be read as weights: .* has another checksum"):
        read_state_dict(path)


def test_that_places_are_no_mask_and_that_every_class_has_a_name(tmp_path):
    np.savez(tmp_path / "set.npz", x=X, y=WORDS, held_out=[1, 0, 2, 3])
    assert "row 2 (counted from 0) holds 2" in refusal(tmp_path / "set.npz")
    np.savez(tmp_path / "set.npz", x=X, y=[0, 1, 0, 1], class_names=["oak", " "])
    assert "no name at place 1" in refusal(tmp_path / "set.npz")


def test_that_a_wide_vector_in_text_is_read_and_no_label_is_so_long(tmp_path):
    rows = [f'{word},"[{", ".join(f"{0.1 * place:.17f}" for place in range(8_000))}]"' for word in WORDS]
    (tmp_path / "set.csv").write_text("label,embedding\n" + "\n".join(rows))
    assert read(tmp_path / "set.csv").x.shape == (4, 8_000)
    (tmp_path / "set.csv").write_text("label,a\n" + "x" * 5_000 + ",1\nb,2\n")
    with pytest.raises(InputError, match=r"\(5,000 characters\)' is too long"):
        read(tmp_path / "set.csv")


def test_that_labels_that_may_be_missing_and_classes_of_one_name_are_told(tmp_path):
    rows = zip(("nan", "nan", "cafe\u0301", "cafe\u0301", "caf\u00e9", "oak"), range(6), strict=True)
    (tmp_path / "set.csv").write_text("label,a\n" + "".join(f"{word},{value}\n" for word, value in rows))
    words = in_words(read(tmp_path / "set.csv"))
    assert "Labels that may be missing count as classes: nan." in words
    assert "Several classes are called caf\u00e9." in words


def test_that_vectors_without_labels_get_a_sentence(tmp_path):
    np.savetxt(tmp_path / "vectors.tsv", X, delimiter="\t")
    assert "Put their labels beside it as metadata.tsv" in refusal(tmp_path / "vectors.tsv")
    (tmp_path / "metadata.tsv").write_text("oak\nash\noak\n")
    with pytest.raises(InputError, match=r"metadata\.tsv' has 3 labels for 4 items"):
        read(tmp_path / "vectors.tsv")
    (tmp_path / "metadata.tsv").write_text("name\tkind\n" + "a\tb\n" * 4)
    with pytest.raises(InputError, match=r"metadata\.tsv' has no column 'label', only: name, kind"):
        read(tmp_path / "vectors.tsv")
    (tmp_path / "vectors.tsv").write_text("1\t2\n3\tx\n")
    assert "line 2, has 'x'" in refusal(tmp_path / "vectors.tsv")
    np.save(tmp_path / "set.npy", X)
    with pytest.raises(InputError, match=r"There is no file of labels 'none\.txt'"):
        read(tmp_path / "set.npy", labels="none.txt")
    np.savez(tmp_path / "set.npz", x=X, y=[0, 1, 0, 1])
    assert "holds its labels itself" in refusal(tmp_path / "set.npz", labels="none.txt")
    np.save(tmp_path / "set.npy", np.array([{}, {}]))
    (tmp_path / "set_labels.txt").write_text("a\nb\n")
    assert "can run code" in refusal(tmp_path / "set.npy")
    (tmp_path / "set.npy").write_bytes(b"\x93NUMPY\x01\x00 and no more")
    assert "no .npy file" in refusal(tmp_path / "set.npy")


def test_that_two_columns_of_labels_are_refused_not_read_from_the_first(tmp_path):
    np.save(tmp_path / "birds.npy", X)
    (tmp_path / "birds.labels.csv").write_text("label,Label\n" + "".join(f"{row},oak\n" for row in range(len(X))))
    assert "2 columns called 'label'" in refusal(tmp_path / "birds.npy")


def test_that_a_number_in_text_that_is_too_large_is_a_sentence_and_no_warning(tmp_path):
    (tmp_path / "vectors.tsv").write_text("1\t1e300\n2\t3\n")
    (tmp_path / "metadata.tsv").write_text("oak\noak\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "infinity in row 0" in refusal(tmp_path / "vectors.tsv")


def test_that_a_dictionary_of_tensors_is_read(tmp_path):
    for labels in (torch.tensor([1, 0, 1, 0]), WORDS, [1, 0, 1, 0]):
        for kind in (torch.float32, torch.float64, torch.bfloat16):
            saved = {"x": torch.tensor(X, dtype=kind, requires_grad=True), "y": labels, "class_names": ["ash", "oak"]}
            torch.save(saved, tmp_path / "set.pt")
            assert is_right(read(tmp_path / "set.pt"))


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_that_no_file_of_tensors_runs_code_and_each_refusal_is_a_sentence(tmp_path):
    path, sprung = tmp_path / "set.pt", tmp_path / "sprung"
    for trap in ({"x": torch.tensor(X), "y": Trap(sprung)}, Trap(sprung)):
        torch.save(trap, path)
        assert "it could run code" in refusal(path)
        path.write_bytes(pickle.dumps(trap))
        refusal(path)
    assert not sprung.exists()
    torch.save(torch.tensor(X), path)
    assert "holds a Tensor; it must be a dictionary" in refusal(path)
    torch.save({"x": torch.tensor(X), "labels": {}}, path)
    assert "'labels'" in refusal(path) and "is a dict; it must be a tensor or a list" in refusal(path)
    torch.save({"weight": torch.tensor(X)}, path)
    assert "no array 'x' and 'y', only: weight" in refusal(path)
    path.write_bytes(b"no tensors")
    refusal(path)


def safetensors(path: Path, **arrays: tuple[str, np.ndarray]) -> Path:
    """As the format's description says: the length of the header, the header, the numbers."""
    header, place = {"__metadata__": {"made": "by a test"}}, 0
    for name, (kind, array) in arrays.items():
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [place, place + array.nbytes]}
        place += array.nbytes
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told + b"".join(a.tobytes() for _, a in arrays.values()))
    return path


@pytest.mark.parametrize(("kind", "dtype"), [("F32", "<f4"), ("F64", "<f8"), ("F16", "<f2"), ("BF16", "")])
def test_that_safetensors_are_read(tmp_path, kind, dtype):
    x = X.astype(dtype) if dtype else (X.view("<u4") >> 16).astype("<u2")
    path = safetensors(tmp_path / "s.safetensors", labels=("I64", np.array([1, 0, 1, 0])), embeddings=(kind, x))
    dataset = read(path)
    assert np.array_equal(dataset.x, X) and dataset.y.tolist() == [1, 0, 1, 0]


def test_that_damaged_safetensors_are_refused_wherever_they_were_cut_or_changed(tmp_path):
    whole = safetensors(tmp_path / "s.safetensors", x=("F32", X), y=("I64", np.array([1, 0, 1, 0]))).read_bytes()
    path = tmp_path / "damaged.safetensors"
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        assert "damaged" in refusal(path)
    for before, after in (
        (b"[4, 2]", b"[-1,2]"),
        (b"[4, 2]", b'["4"]'),
        (b"[4, 2]", b"[9, 9]"),
        (b"[0, 32]", b"[0,932]"),
        (b"[0, 32]", b"[8, 0] "),
        (b'"F32"', b'"F99"'),
        (b'"F32"', b"[[1]]"),
        (b'{"__', b'["__'),
    ):
        path.write_bytes(whole.replace(before, after))
        refusal(path)
    told = b'{"x": {"dtype": "F32", "dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}'
    path.write_bytes(len(told).to_bytes(8, "little") + told + b"\0" * 8)
    assert "'dtype' twice" in refusal(path)
    path.write_bytes((2**62).to_bytes(8, "little") + b"{}")
    assert "no .safetensors file" in refusal(path)


def test_that_names_with_bytes_that_are_no_text_are_found_again(tmp_path):
    from hnm_core.spec import config
    from hnm_core.spec.request import Request, resolve
    from hnm_core.system import paths

    name = os.fsdecode(b"caf\xe9.npz")
    np.savez(tmp_path / name, x=X, y=[1, 0, 1, 0])
    asked = resolve(Request(preset="digits", data=str(tmp_path / name)))
    assert asked.title == r"caf\xe9.npz"
    again = config.from_dict(asked.to_dict())
    assert config.dump(again).encode() and len(data.build(again.data.part).x) == 4
    assert paths.path_of(r"caf\xe9.npz").name == name, "which is not there, and no other is"
    (tmp_path / r"a\xe9.npz").write_bytes((tmp_path / name).read_bytes())
    assert paths.path_of(str(tmp_path / r"a\xe9.npz")).name == r"a\xe9.npz", "a name as it is comes first"


def test_that_a_title_is_cut_and_a_file_that_is_missing_is_said_to_be(tmp_path):
    from hnm_core.spec.request import Request, data_config, resolve

    name = "n" * 134 + ".npz"
    asked = resolve(Request(preset="digits", data=str(tmp_path / name)))
    assert asked.title == "n" * 117 + "..." and asked.data.options["path"].endswith(name)
    for wanted in ("my-vectors.npz", "embeddings.bin", "there/digits"):
        with pytest.raises(InputError, match=r"There is no file '|file"):
            data.build(data_config(wanted).part)
    (tmp_path / "photos").mkdir()
    assert data_config(str(tmp_path / "photos")).name == "images"
