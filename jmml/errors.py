"""Every failure a user can cause, as one tree with one exit code per branch.

    JMMLError                 1   anything below; never raised itself
    |-- ConfigError           3   params.yaml or a sweep definition is invalid (all problems at once)
    |-- DataError             4   a corpus, manifest, recording or feature table cannot be used
    |   |-- CorpusError           unknown corpus, empty folder, layout not recognised
    |   |-- RecordingError        a recording is missing, truncated, silent, not finite, no audio
    |   |-- LabelError            a label has no place in the chosen label space
    |   `-- UnsafeFileError       a file would run code if it were loaded
    |-- ProtocolError         5   the data cannot carry the protocol (class absent, one speaker, overlap)
    |-- ModelError            6   a model cannot be fitted, saved, loaded or applied
    |-- TrackingError         7   the tracking server or store cannot be reached or written
    |-- RegistryError         8   no champion, promotion refused, unknown version
    |-- SweepError            9   a sweep cannot start or finish
    `-- ProjectError         10   not a project folder, a stage has not been run, a tool is missing

Exit code 2 is left to wrong command-line usage, as is the custom, and 130 to what Ctrl-C, SIGTERM or `jmml sweep stop`
ended.
Each message is one line: what is wrong, where, what was expected, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from jmml.printable import printable

_FEW = 8  # choices that are listed beside the closest one


class JMMLError(Exception):
    """A failure with a one-line message built from its parts.

    Parameters
    ----------
    what : what is wrong.
    where : file, key, row or value concerned.
    expected : what would have been right.
    fix : the next step for the reader.
    """

    exit_code = 1

    def __init__(
        self, what: str, *, where: object = None, expected: object = None, fix: str | None = None
    ) -> None:
        self.what, self.where, self.expected, self.fix = what, where, expected, fix
        line = what.strip() if where is None else f"{where}: {what.strip()}"
        if expected is not None:
            line += f"; expected {expected}"
        if fix is not None:
            line = f"{line.rstrip(' .')}. {fix[:1].upper()}{fix[1:]}"
        super().__init__(_one_line(line))

    @property
    def lines(self) -> list[str]:
        """The message, one line per problem (always one, except for configuration errors)."""
        return [str(self)]

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders (joblib, Ray); the default would lose the keyword parts.
        return _rebuild, (type(self), self.args, self.__dict__)


def _one_line(text: str) -> str:
    """What a terminal may have: names and values of others may hold line ends and escape sequences."""
    return printable(" ".join(text.split()))


def _rebuild(cls: type[JMMLError], args: tuple[str, ...], state: dict[str, object]) -> JMMLError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(JMMLError):
    """One or more invalid settings, all of them reported together."""

    exit_code = 3

    def __init__(self, problems: Iterable[str], *, where: object = None) -> None:
        self.problems = list(problems)
        count = len(self.problems)
        super().__init__(
            self.problems[0] if count == 1 else f"{count} problems: " + " | ".join(self.problems), where=where
        )

    @property
    def lines(self) -> list[str]:
        prefix = "" if self.where is None else f"{self.where}: "
        return [_one_line(f"{prefix}{problem}") for problem in self.problems]


class DataError(JMMLError):
    exit_code = 4


class CorpusError(DataError):
    pass


class RecordingError(DataError):
    """One recording that cannot be used, or several, each with a line of its own."""

    @classmethod
    def of(cls, problems: Iterable[str]) -> RecordingError:
        """One error for several recordings."""
        problems = list(problems)
        error = cls(" | ".join(problems))
        error.problems = problems
        return error

    problems: list[str] | None = None

    @property
    def lines(self) -> list[str]:
        return [_one_line(problem) for problem in self.problems or ()] or super().lines


class LabelError(DataError):
    pass


class UnsafeFileError(DataError):
    pass


class ProtocolError(JMMLError):
    exit_code = 5


class ModelError(JMMLError, ValueError):
    """Also a ``ValueError``, as estimators of scikit-learn raise for input they cannot use."""

    exit_code = 6


class TrackingError(JMMLError):
    exit_code = 7


class RegistryError(JMMLError):
    exit_code = 8


class SweepError(JMMLError):
    exit_code = 9


class ProjectError(JMMLError):
    exit_code = 10


def nearest(word: str, choices: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the closest choice, with the others where they are few; else all valid choices."""
    options = sorted(choices)
    close = get_close_matches(word, options, n=1, cutoff=0.6)
    if not close:
        return f"valid: {', '.join(options)}"
    others = f" (valid: {', '.join(options)})" if len(options) <= _FEW else ""
    return f"did you mean '{close[0]}'?{others}"
