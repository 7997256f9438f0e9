import pytest

from huitong.cli.phantom import ecg_file
from huitong.cli.phantom.elsewhere import made_elsewhere


def test_another_process_makes_the_same_files_in_the_order_asked_for() -> None:
    files = list(made_elsewhere("ecg", "ct:2"))
    assert files[0] == ecg_file()
    assert len(files) == 3
    assert list(made_elsewhere("ct:2")) == files[1:]


def test_it_may_be_left_before_its_end() -> None:
    files = made_elsewhere("ct:300")
    assert next(files)[128:132] == b"DICM"
    files.close()


def test_what_it_cannot_make_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="status 1"):
        list(made_elsewhere("mr"))
