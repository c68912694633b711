#!/bin/sh
# Says what it starts, then becomes it.
echo "starting the worker, with $(python --version)"
exec python app.py
