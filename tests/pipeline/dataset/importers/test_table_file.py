"""A user's own CSV, with the variations of such files."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import make_dataset, moving_picture, silent, write_clip, write_frames

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.build import build
from sciu.pipeline.dataset.importers import table_file
from sciu.pipeline.errors import SettingError


@pytest.fixture
def media(tmp_path: Path) -> Path:
    write_clip(tmp_path / "a.mp4", "h264")
    write_clip(tmp_path / 'odd, "name" 顔.webm', "vp9")
    write_frames(tmp_path / "frames", moving_picture(5))
    return tmp_path


def read(folder: Path, text: str | bytes, **options: object) -> Dataset:
    source = folder / "clips.csv"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    listing = table_file.read(source, **options)  # type: ignore[arg-type]
    return make_dataset(listing, folder / "out")


ROWS = 'a.mp4,happy,train,room 1\n"odd, ""name"" 顔.webm",sad,test,room 2\nframes,happy,dev,\n'


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        "path,label,split,group\n" + ROWS,
        "\ufeffPath,Label,Split,Group\n" + ROWS,
        ROWS.replace("\n", "\r\n"),
        'label,path\nhappy,a.mp4\nsad,"odd, ""name"" 顔.webm"\nhappy,frames\n',
    ],
    ids=["bare", "header", "BOM and capitals", "CRLF", "columns in another order"],
)
def test_every_form_of_the_same_list(media: Path, text: str) -> None:
    dataset = read(media, text)
    assert dataset.clips.path == ["a.mp4", "frames", 'odd, "name" 顔.webm']
    assert [dataset.clips.label[clip] for clip in range(3)] == ["happy", "happy", "sad"]
    assert dataset.kind == "mixed"
    assert not dataset.quarantined.any()
    if "room" in text:
        assert [dataset.splits()[clip] for clip in range(3)] == ["train", "val", "test"]
        assert [dataset.clips.group[clip] for clip in range(3)] == ["room 1", None, "room 2"]
    else:
        assert len(dataset.ids("train")) == 3


def test_absolute_paths_work(media: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    dataset = read(tmp_path_factory.mktemp("elsewhere"), f"{media / 'a.mp4'},happy\n")
    assert dataset.path(0) == media / "a.mp4"
    assert not dataset.quarantined.any()


def test_a_repeated_row_counts_once_and_is_told(media: Path) -> None:
    (media / "clips.csv").write_text("a.mp4,happy\na.mp4,happy\nframes,sad,test\nframes,sad,test\n")
    built = build(table_file.read(media / "clips.csv"), media / "out", name=None, made_by="t", progress=silent)
    assert len(built.dataset) == 2
    assert built.notes[:1] == ["2 rows repeat an earlier row and were ignored"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.mp4,happy\na.mp4,sad\n", r"labelled 'happy' at clips.csv:1 and 'sad' at clips.csv:2\. Remove one"),
        ("a.mp4,happy,train\na.mp4,happy,test\n", "in both train and test .*leak"),
        ("a.mp4,happy,tran\n", r"clips.csv:1: split must be one of .*, but is 'tran'"),
        ("a.mp4,happy,train,x\na.mp4,happy,train,y\n", r"of group 'x' at clips.csv:1 and 'y' at clips.csv:2"),
        ("a.mp4,happy,train\n./a.mp4,happy,test\n", "in both train and test .*leak"),
        ("filename,emotion\na.mp4,happy\n", "the first row .* must be a clip or a header"),
        ("path,label,label\na.mp4,happy,sad\n", "the header of .* must have columns of"),
        ("path,label,fold\na.mp4,happy,1\n", "the header of .* must have columns of"),
        ("a.mp4\n", r"clips.csv:1: a row must be path,label,split,group, but has 1 fields"),
        ("a.mp4,happy,train,g,more\n", "has 5 fields"),
        (",happy\n", "path and label must not be empty"),
        ("a.mp4,hapy\n", r"label must be one of \['happy', 'sad'\], but is 'hapy'\. Did you mean 'happy'\?"),
        ('"a.mp4,happy\n', "is not valid CSV"),
        ("愤怒.mp4,happy\n".encode("gbk"), r"is not UTF-8 text \(byte 0\).*--encoding"),
        ("", "lists no clips"),
        ("path,label\n", "lists no clips"),
        (
            "b.mp4,happy\n",
            "none of the 1 listed clips in .* is usable: 'b.mp4' is missing",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(media: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(media, text, classes=["happy", "sad"])
    assert not (media / "out").exists()


def test_a_name_may_hold_a_line_end(media: Path) -> None:
    write_clip(media / "two\nlines.mp4", "h264")
    dataset = read(media, '"two\nlines.mp4",happy\na.mp4,sad\n')
    assert dataset.clips.path == ["a.mp4", "two\nlines.mp4"]
    assert not dataset.quarantined.any()


def test_another_encoding_can_be_named(media: Path) -> None:
    write_clip(media / "愤怒.mp4", "h264")
    assert read(media, "愤怒.mp4,happy\n".encode("gbk"), encoding="gbk").clips.path == ["愤怒.mp4"]
    with pytest.raises(SettingError, match="encoding must be one that Python knows"):
        table_file.read(media / "clips.csv", encoding="martian")


def test_a_first_clip_that_is_missing_is_no_header(media: Path) -> None:
    dataset = read(media, "gone.mp4,happy\na.mp4,sad\n")
    assert [dataset.clips.quarantine[clip] for clip in range(2)] == [None, "is missing"]


def test_a_forgotten_column_of_labels_is_noticed(media: Path) -> None:
    (media / "clips.csv").write_text("a.mp4,train\nframes,test\n")
    assert "the column of labels may be missing" in table_file.read(media / "clips.csv").notes[0]


def test_a_path_may_begin_with_a_blank(media: Path) -> None:
    write_clip(media / " b.mp4", "h264")
    assert not read(media, " b.mp4 , happy\n".replace(" ,", ",")).quarantined.any()


# ---- files of other forms


@pytest.mark.parametrize(
    ("text", "columns", "delimiter"),
    [
        ("filename,class\na.mp4,happy\nframes,sad\n", {"path": "filename", "label": "class"}, ","),
        ("filename;class\na.mp4;happy\nframes;sad\n", {"path": "filename", "label": "class"}, ";"),
        ("a.mp4;happy\nframes;sad\n", {}, ";"),
        ("path\tlabel\na.mp4\thappy\nframes\tsad\n", {}, r"\t"),
        ("id,label,emotion,path\n1,2,happy,a.mp4\n2,7,sad,frames\n", {"label": "emotion"}, ","),
        ('no,"file, name",Class\n1,a.mp4,happy\n2,frames,sad\n', {"path": "file, name", "label": "Class"}, ","),
    ],
    ids=["names", "names and semicolons", "semicolons", "tabs", "columns that are not read", "a comma in a name"],
)
def test_a_list_of_another_form(media: Path, text: str, columns: dict[str, str], delimiter: str) -> None:
    dataset = read(media, text, columns=columns, delimiter=delimiter)
    assert dataset.clips.path == ["a.mp4", "frames"]
    assert [dataset.clips.label[clip] for clip in range(2)] == ["happy", "sad"]


def test_named_columns_of_splits_and_groups_are_read_and_so_are_ours(media: Path) -> None:
    text = "file,label,subset,group\na.mp4,happy,test,p1\nframes,sad,train,p2\n"
    dataset = read(media, text, columns={"path": "file", "split": "subset"})
    assert [dataset.splits()[clip] for clip in range(2)] == ["test", "train"]
    assert [dataset.clips.group[clip] for clip in range(2)] == ["p1", "p2"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("filename,class\na.mp4,happy\n", {}, r"--columns path=filename,label=class\."),
        ("filename;class\na.mp4;happy\n", {}, "separated by ';'. Then give --delimiter ';'"),
        ("path,label,fold\na.mp4,happy,1\n", {}, "say which to read: --columns path=path,label=label"),
        ("file,class\na.mp4,happy\n", {"columns": {"path": "fil", "label": "class"}}, "one column 'fil', .*'file'?"),
        ("file,class\na.mp4,happy\n", {"columns": {"path": "file"}}, "one column 'label', but its columns are file"),
        ("f,f,l\na.mp4,b,happy\n", {"columns": {"path": "f", "label": "l"}}, "must have one column 'f'"),
        ("file;class\na.mp4;happy\n", {"columns": {"path": "file"}}, "give --delimiter ';'"),
        ("", {"columns": {"path": "file"}}, "must have one column 'file'"),
    ],
)
def test_a_list_of_another_form_is_met_with_its_remedy(
    media: Path, text: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        read(media, text, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"file": "path"}}, "--columns must name our path, label, split, group, but names 'file'"),
        ({"delimiter": ";;"}, "--delimiter must be one character, but is ';;'"),
        ({"delimiter": '"'}, "--delimiter must be one character"),
    ],
)
def test_options_that_make_no_sense(media: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        read(media, "a.mp4,happy\n", **options)


def test_a_label_with_a_bar_is_said_to_be_one_class(media: Path) -> None:
    (media / "clips.csv").write_text("a.mp4,happy|sad\nframes,sad\n")
    built = build(table_file.read(media / "clips.csv"), media / "out", name=None, made_by="t", progress=silent)
    assert built.dataset.classes == ("happy|sad", "sad")
    assert "1 labels with | or ; are taken as one class each" in built.notes[0]
