"""The record outside the memory: what may be found after a crash."""

from __future__ import annotations

from stores.durability.record import Record


def test_an_acknowledged_write_must_be_found_as_it_was_written() -> None:
    record = Record()
    record.take(["? message 1=hello", "+ message 1"])
    assert record.compare({"message 1": "hello"}) == []
    assert "should be hello and is absent" in record.compare({})[0]


def test_a_changed_value_is_a_loss() -> None:
    record = Record()
    record.take(["? message 1=hello", "+ message 1"])
    assert "is hullo" in record.compare({"message 1": "hullo"})[0]


def test_a_write_that_only_began_may_be_there_or_not_but_must_not_change_its_mind() -> None:
    for first in ({}, {"item 1": "text"}):
        record = Record()
        record.take(["? item 1=text"])
        assert record.compare(first) == []
        assert record.compare(first) == []
        other = {"item 1": "text"} if not first else {}
        assert len(record.compare(other)) == 1


def test_a_replacement_that_only_began_leaves_the_old_or_the_new() -> None:
    record = Record()
    record.expect({"item 1": "old"})
    record.take(["? item 1=new"])
    for held, sound in (({"item 1": "old"}, True), ({"item 1": "new"}, True), ({}, False)):
        assert (record.copy().compare(held) == []) is sound


def test_an_acknowledged_removal_must_not_come_back() -> None:
    record = Record()
    record.expect({"item 1": "text"})
    record.take(["- item 1"])
    assert record.copy().compare({"item 1": "text"}) == record.copy().compare({}) == []
    record.take(["_ item 1"])
    assert len(record.compare({"item 1": "text"})) == 1


def test_what_nobody_wrote_is_told() -> None:
    assert "was never written" in Record().compare({"message 7": "?"})[0]
