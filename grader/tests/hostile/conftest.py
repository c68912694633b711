"""What is handed in is not ours to import, be it called `conftest.py` or `test_x.py`."""

collect_ignore = ["corpus"]
