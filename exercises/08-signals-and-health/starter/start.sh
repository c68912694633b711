#!/bin/sh
# Says what it starts, then starts it.
echo "starting the worker, with $(python --version)"
python app.py
