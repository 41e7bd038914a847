"""`qspec show`: what a specification says, or how a network is built."""

from __future__ import annotations

from qspec.cli.outcome import CommandOutput
from qspec.cli.specs import choose, read_file, split_target
from qspec.language.text import describe
from qspec.language.traversal import networks
from qspec.lowering.summary import summary
from qspec.network.graph import Graph
from qspec.readers.load import load


def run(*, target: str) -> CommandOutput:
    """Return a summary of a network by file or name, or of the properties and networks of a Python file."""
    if not target.endswith(".py") and ".py:" not in target:
        return CommandOutput(load(target).summary())
    path, name = split_target(target)
    contents = read_file(path)
    if name in contents.networks:
        return CommandOutput(contents.networks[name].summary())
    if not contents.properties and not name and contents.networks:
        return CommandOutput("\n\n".join(n.summary() for n in contents.networks.values()))
    properties = choose(contents.properties, name, path)
    used: dict[int, Graph] = {id(n): n for p in properties.values() for n in networks(p)}
    titled = [describe(p, name=label) for label, p in properties.items()]
    return CommandOutput("\n\n".join([*titled, *(summary(n) for n in used.values())]))
