# ruff: noqa: F401
"""What processes forked by :mod:`tests.forked` have imported and worked out; nothing here imports Ray.

Ray reads what makes a process a driver or a worker when it is imported.
"""

from __future__ import annotations

import io
import sys

import aiohttp
import grpc
import jsonschema
import matplotlib as mpl
import mlflow.pyfunc
import mlflow.store.tracking.sqlalchemy_store
import pyarrow.dataset
import sklearn.linear_model
import skops.io
import torch._dynamo  # imported at the first step of an optimiser
from matplotlib.figure import Figure
from mlflow.utils import requirements_utils

import cli.app
import jmml.experiment
import pipelines.registry.promotion

mpl.use("agg")
Figure().savefig(io.BytesIO())  # finds the fonts
requirements_utils._init_packages_to_modules_map()  # MLflow does it for every model that it keeps

assert "ray" not in sys.modules
