"""Edits of ``params.yaml`` that leave every other byte, comments included, as it was."""

from __future__ import annotations

from pathlib import Path

import yaml

from jmml.config import CorpusConfig, Params, load_yaml, parse_yaml, validate
from jmml.errors import ConfigError


def with_corpus(path: Path, name: str, entry: CorpusConfig, *, use: bool = False) -> str:
    """The text of ``params.yaml`` with one more corpus; the file itself is not touched.

    The new lines go below the last entry of ``corpora``; with ``use``, the scalar ``task.<modality>`` is
    replaced in place. Positions come from the YAML parser, and the result is parsed and checked against the
    intended settings, so an edit either does exactly this or fails.

    Raises
    ------
    ConfigError
        The file is invalid as it is, or is written in a way that cannot be edited line by line.
    """
    settings = load_yaml(path)
    validate(Params, settings, where=path)
    values = entry.model_dump(mode="json", exclude_defaults=True)
    settings["corpora"][name] = values
    if use:
        settings["task"][entry.modality] = name
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    # From the end of the file to its start, so that positions found before an edit stay right.
    edits = [_new_entry(text, _child(root, "corpora", path), name, values)]
    if use:
        edits.append(_new_value(_child(_child(root, "task", path), entry.modality, path), name))
    for start, end, replacement in sorted(edits, reverse=True):
        text = text[:start] + replacement + text[end:]
    if _parsed(text) != settings:
        raise ConfigError(
            [f"corpora: cannot add '{name}' to the way this file is written; add it by hand"], where=path
        )
    validate(Params, settings, where=path)
    return text


def without_corpus(path: Path, name: str) -> str:
    """The text of ``params.yaml`` without the entry of a corpus; the file itself is not touched.

    Raises
    ------
    ConfigError
        The file is invalid as it is, would be without the corpus, or cannot be edited line by line.
    """
    settings = load_yaml(path)
    validate(Params, settings, where=path)
    del settings["corpora"][name]
    text = path.read_text(encoding="utf-8")
    corpora = _child(yaml.compose(text, Loader=yaml.SafeLoader), "corpora", path)
    assert isinstance(corpora, yaml.MappingNode)  # the settings are valid
    (key, value) = next((key, value) for key, value in corpora.value if key.value == name)
    last = value
    while isinstance(last, yaml.CollectionNode) and last.value and not last.flow_style:
        item = last.value[-1]
        last = item[1] if isinstance(item, tuple) else item
    start = text.rfind("\n", 0, key.start_mark.index) + 1
    end = text.find("\n", last.end_mark.index)
    text = text[:start] + ("" if end < 0 else text[end + 1 :])
    if _parsed(text) != settings:
        raise ConfigError(
            [f"corpora: cannot remove '{name}' from the way this file is written; remove it by hand"],
            where=path,
        )
    validate(Params, settings, where=path)
    return text


def _child(node: yaml.Node | None, key: str, path: Path) -> yaml.Node:
    assert isinstance(node, yaml.MappingNode)  # the settings are valid
    for name, value in node.value:
        if name.value == key:
            found: yaml.Node = value
            return found
    raise ConfigError([f"{key}: comes from elsewhere (`<<`); write it out where it belongs"], where=path)


def _new_entry(text: str, corpora: yaml.Node, name: str, values: dict[str, object]) -> tuple[int, int, str]:
    """An insertion below the last line of the last corpus (comments after it belong to what follows)."""
    last = corpora
    while isinstance(last, yaml.CollectionNode) and last.value and not last.flow_style:
        item = last.value[-1]
        last = item[1] if isinstance(item, tuple) else item
    column = " " * corpora.start_mark.column
    block = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    lines = [f"{column}{name}:", *(f"{column}  {line}" for line in block.splitlines())]
    newline = text.find("\n", last.end_mark.index)
    if newline < 0:
        return len(text), len(text), "\n" + "\n".join(lines) + "\n"
    return newline + 1, newline + 1, "\n".join(lines) + "\n"


def _new_value(node: yaml.Node, name: str) -> tuple[int, int, str]:
    return node.start_mark.index, node.end_mark.index, name


def _parsed(text: str) -> object:
    try:
        return parse_yaml(text)
    except yaml.YAMLError:
        return None
