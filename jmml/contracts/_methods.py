"""The contract of methods."""

from __future__ import annotations

import tempfile
from pathlib import Path

from jmml.cell import run_cell
from jmml.config import MethodConfig, Stage1Config, Stage2Config
from jmml.contracts._clauses import ContractError, require
from jmml.data.synthetic.worlds import world_tables
from jmml.errors import JMMLError
from jmml.experiment import fit_fold
from jmml.methods import METHODS
from jmml.recogniser import EmotionRecogniser
from jmml.task import evaluated_part, make_split, make_task


def check_method(name: str) -> None:
    """Every clause of a method: audited, repeatable, certified, of JMML's capacity where it says so, saved and loaded.

    It is searched, fitted and evaluated on a tiny synthetic world, in a few seconds. The audit fits it a second time,
    labels, features and names of the held-out people spoilt: predictions must be the same to the last bit.

    Raises
    ------
    ContractError : the first clause that does not hold.
    """
    row = METHODS[name]
    require(row.name == name, "a method has the name it is registered under", row.name)
    task = make_task(*world_tables("trial", people=6, trials=32))
    split = make_split(task, groups_per_fold=3)
    config = MethodConfig(
        stage1=Stage1Config(p=4, r=6, hidden=16, epochs=2, batch_size=32),
        stage2=Stage2Config(k=3, hidden=16, epochs=2, batch_size=64),
    )
    try:
        cells = [
            run_cell(task, split, 0, name, [config], seed=1, inner_folds=2, audited=number == 0)
            for number in range(2)
        ]
        model = fit_fold(task, split, 0, name, config, seed=1)
    except JMMLError as error:
        raise ContractError(f"a method can be searched, fitted and audited: {error}") from error
    require(cells[0].evidence.equals(cells[1].evidence), "equal arguments give equal predictions")
    X = evaluated_part(task, split, 0).speech.X
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model"))
        loaded = EmotionRecogniser.load(Path(folder, "model"))
        same = loaded.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
        require(same, "a model that was saved and loaded predicts the same to the last bit")
