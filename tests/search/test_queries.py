"""A file of sentences, asked one after the other."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from colour_run import CAPTIONS, ColourEncoder, folders

from scripts.job import BadInput
from scripts.search.__main__ import COLUMNS, main
from scripts.search.queries import Query, read_queries


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_each_line_is_answered_as_if_it_were_asked_alone_and_the_model_loaded_once(
    project, monkeypatch, capsys
):
    loaded = []
    monkeypatch.setattr(
        "scripts.models.encoders.load_encoder", lambda *_, **__: loaded.append(1) or ColourEncoder()
    )
    file = written(project, "queries.txt", "red\n\nsomething  blue\n")
    for more in ([], ["--find", "captions"]):
        loaded.clear()
        arguments = ["--top-k", "2", *more, *folders(project)]
        assert main(["--queries", str(file), *arguments]) == 0
        told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(loaded) == 1
        assert [answer["query"] for answer in told] == [
            {"line": 1, "id": None, "text": "red"},
            {"line": 3, "id": None, "text": "something blue"},
        ]
        for answer in told:
            assert main([answer["query"]["text"], "--json", *arguments]) == 0
            alone = json.loads(capsys.readouterr().out)
            assert answer | {"query": None} == alone | {"query": None}


def test_answers_come_as_a_table(project, capsys):
    file = written(project, "queries.jsonl", '{"query": "red, or so", "id": "q1"}\n"blue"\n')
    arguments = ["--queries", str(file), "--top-k", "2", "--csv", *folders(project)]
    assert main(arguments) == 0
    first, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert tuple(first) == COLUMNS
    assert [row[:5] for row in rows[:2]] == [
        ["1", "q1", "red, or so", "1", rows[0][4]], ["1", "q1", "red, or so", "2", rows[1][4]],
    ]  # fmt: skip
    assert 1 > float(rows[0][4]) > float(rows[1][4])
    assert [row[5:] for row in rows[1:3]] == [["orange.png", "test", ""], ["blue.png", "test", ""]]
    assert rows[2][:3] == ["2", "", "blue"]
    assert main([*arguments, "--find", "captions"]) == 0
    _, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert all(caption in CAPTIONS[image] for *_, image, _, caption in rows)


def test_lines_may_end_and_begin_as_any_editor_writes_them(tmp_path):
    file = written(tmp_path, "q.txt", b"\xef\xbb\xbfred\r\nblue\rgreen\xe2\x80\xa8ish")
    assert read_queries(file) == [Query("red", 1), Query("blue", 2), Query("green ish", 3)]
    file = written(tmp_path, "q.JSONL", '\ufeff{"query": " 红 ", "id": 7, "of": "us"}\r\n\r\n"x"')
    assert read_queries(file) == [Query("红", 1, 7), Query("x", 3)]


@pytest.mark.parametrize(
    "line", ["red", "{", '""', '{"text": "red"}', '{"query": 3}', '{"query": "red", "id": [1]}',
             "[" * 99_999, '"\\ud83d"', "NaN"],
    ids=lambda line: line[:12],
)  # fmt: skip
def test_a_line_that_holds_no_sentence_is_named(tmp_path, line):
    file = written(tmp_path, "q.jsonl", f'"red"\n\n{line}\n')
    with pytest.raises(BadInput, match=r"q\.jsonl, line 3\n.*\n.*\"query\": a sentence"):
        read_queries(file)


@pytest.mark.parametrize(
    ("content", "told"), [(b"", "no sentence"), (b" \n", "no sentence"), (b"a\n\xff", "line 2")]
)
def test_a_file_without_sentences_is_told_before_anything_is_read(tmp_path, capsys, content, told):
    file = written(tmp_path, "q.txt", content)
    assert main(["--queries", str(file), *folders(tmp_path)]) == 1
    assert told in capsys.readouterr().err
    assert main(["--queries", str(tmp_path), *folders(tmp_path)]) == 1
    assert "a file of sentences" in capsys.readouterr().err


def test_queries_that_the_model_cuts_are_told_by_their_lines(project, encoder, capsys):
    file = written(project, "q.txt", f"red\n{'red ' * 78}\nblue\n{'blue ' * 78}")
    assert main(["--queries", str(file), *folders(project)]) == 0
    assert "their ends left out: lines 2, 4" in capsys.readouterr().err


def test_queries_in_letters_that_no_caption_has_are_told_by_their_lines(project, encoder, capsys):
    file = written(project, "q.txt", "red\n雪地\nblue\nснег")
    assert main(["--queries", str(file), *folders(project)]) == 0
    assert (
        "No caption has a letter of the queries of lines 2, 4. If the model"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "arguments", [["--queries", "q.txt", "red"], ["--queries", "q.txt", "--save", "x.png"],
                  ["--queries", "q.txt", "--csv", "--json"], ["red", "--csv"],
                  ["--serve", "--csv"]],
)  # fmt: skip
def test_what_does_not_go_with_a_file_of_queries_ends_in_the_usage(arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
