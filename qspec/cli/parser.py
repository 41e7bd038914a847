"""The commands and options of `qspec`, by argparse, which starts many times faster than what builds on more."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from qspec.cli import runtime_options
from qspec.cli.epilogs import STATUS, epilog
from qspec.cli.runtime_options import limits, number

END = f"{STATUS}\nqspec COMMAND --help says more about a command; qspec demo shows it at work."
TARGET = "FILE.py[:NAME]"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors name the way out in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\n  try:      {self.prog} --help\n")


def parse(arguments: Sequence[str] | None) -> dict[str, object]:
    """Return the parsed arguments by name, `command` among them; exits with status 2 on bad usage, and with 0 after `--help`."""
    parser = build()
    found: dict[str, object] = vars(parser.parse_args(arguments))
    if found["command"] is None and not found["version"]:
        parser.print_help()
        parser.exit(2)
    return found


def build() -> Parser:
    """Return the parser of all commands."""
    parser = Parser(
        prog="qspec",
        description="Say what a quantised neural network must do, and find out whether it does.",
        epilog=END,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--debug", action="store_true", help="on an error show where it was raised")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", parser_class=Parser)
    for name, (text, fill) in COMMANDS.items():
        about = f"{text[:1].upper()}{text[1:]}."
        command = commands.add_parser(
            name, help=text, description=about, epilog=epilog(name), formatter_class=argparse.RawDescriptionHelpFormatter
        )
        command.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        fill(command)
        _json(command)
    return parser


def _verify(parser: Parser) -> None:
    _target(parser)
    parser.add_argument("--solver", metavar="NAME", help="who decides; see `qspec solvers` (default: bounds); for reals delta")
    parser.add_argument(
        "--delta", metavar="D", type=float, default=1e-3, help="of reals: by how much UNKNOWN may miss the property (default: 0.001)"
    )
    parser.add_argument("--no-attack", dest="attack", action="store_false", help="do not search for a counterexample first")
    parser.add_argument("--explain", action="store_true", help="say what was tried, how long it took and what came of it")
    parser.add_argument(
        "--certificate",
        metavar="FILE",
        help="keep the proof of what is proved, for `qspec check-certificate`; of several properties a folder",
    )
    parser.add_argument("--proof", metavar="FOLDER", help="keep the proofs of cvc5 or bitwuzla, have them checked, and believe no others")
    _presolve(parser)
    _query(parser)
    limits(parser)
    _vacuous(parser)


def _verify_many(parser: Parser) -> None:
    _target(parser)
    parser.add_argument(
        "--over",
        metavar="FILE",
        action="append",
        required=True,
        help="values of parameters: a .json list of objects or object of lists, .npz arrays whose rows belong together, or a .csv table; "
        "repeat it for all combinations",
    )
    parser.add_argument("--store", metavar="FILE.jsonl", help="keep every result there at once, and do not ask again what it settles")
    parser.add_argument("--workers", metavar="N", type=int, help="processes that share the queries (default: one for each core)")
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        nargs="?",
        const="",
        help="share the queries among the workers of a Dask cluster (extra `cluster`): of the scheduler there, or, without an address, "
        "--workers processes of one that is started on this machine",
    )
    parser.add_argument("--by", metavar="NAME", action="append", default=[], help="count for each value of this parameter; may be repeated")
    parser.add_argument("--solver", metavar="NAME", default=argparse.SUPPRESS, help="who decides (default: as for `qspec verify`)")
    parser.add_argument("--no-attack", dest="attack", action="store_false", help="do not search for a counterexample first")
    _presolve(parser)
    _query(parser)
    limits(parser)
    _vacuous(parser)
    _gate(parser)


def _labelled(parser: Parser) -> None:
    """Add a network and the samples of a test set."""
    parser.add_argument("network", metavar="NETWORK", help="a classifier: a file of a quantised network, or an installed model")
    parser.add_argument("samples", metavar="SAMPLES", help="codes of images: a .npz file with their classes, or an idx file")
    parser.add_argument(
        "--labels",
        metavar="LABELS",
        help="the classes: of an idx file another one, of a .npz file the name of their array (default: targets)",
    )
    parser.add_argument("--images", metavar="NAME", default="inputs", help="the array of images in a .npz file (default: inputs)")


def _sensors(parser: Parser) -> None:
    _labelled(parser)
    parser.add_argument(
        "--sample", metavar="K", type=int, action="append", required=True, help="number of a sample, from 0; may be repeated"
    )
    parser.add_argument(
        "--region", metavar="WHERE", action="append", default=[], help="these elements read any code: 3,4 or 3:7,3:7 or 12; may be repeated"
    )
    parser.add_argument("--radius", metavar="LSB", type=int, help="of regions: codes this near instead of any")
    parser.add_argument("--stuck", metavar="WHERE", action="append", default=[], help="these elements all read one and the same code")
    parser.add_argument("--brightness", metavar="LSB", type=int, help="one number up to this is added to every code")
    parser.add_argument("--gain", metavar="PERCENT", help="one factor up to this far from 1 multiplies every value")
    parser.add_argument("--changed", metavar="N", type=int, help="so many pixels read any code")
    parser.add_argument("--explain", action="store_true", help="say what was tried, how long it took and what came of it")
    limits(parser)


def _certify(parser: Parser) -> None:
    _labelled(parser)
    parser.add_argument("--radius", metavar="LSB", type=int, required=True, help="how far every code may move")
    parser.add_argument("--first", metavar="N", type=int, help="only so many samples")
    parser.add_argument(
        "--branching", choices=("steps", "input"), default="steps", help="cut steps (the native engine) or boxes of inputs (default: steps)"
    )
    parser.add_argument("--store", metavar="FILE.jsonl", help="keep every verdict there, and go on from there")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="processes of the native engine (default: 1)")
    parser.add_argument("--plot", metavar="FILE.svg", help="draw the shares of each class")
    parser.add_argument("--certificates", metavar="FOLDER", help="prove samples that hold again, one by one, and keep checked certificates")
    limits(parser, "each open sample")
    _gate(parser)


def _radius(parser: Parser) -> None:
    _target(parser)
    parser.add_argument("--parameter", metavar="NAME", default="radius", help="the parameter that grows (default: radius)")
    parser.add_argument("--low", metavar="VALUE", default="0", help="where it starts (default: 0)")
    parser.add_argument("--high", metavar="VALUE", help="where it ends (default: where the assumption leaves nothing out)")
    parser.add_argument("--step", metavar="VALUE", default="1", help="by how much it grows (default: 1)")
    parser.add_argument("--solver", metavar="NAME", help="who decides; see `qspec solvers` (default: as for verify)")
    parser.add_argument("--no-attack", dest="attack", action="store_false", help="do not search for counterexamples first")
    _query(parser)
    limits(parser, "all verdicts on a property together")
    _vacuous(parser)


def _compare(parser: Parser) -> None:
    _target(parser)
    parser.add_argument("--solvers", metavar="A,B,…", default="", help="who is asked (default: every SMT solver that is installed)")
    parser.add_argument("--attack", action="store_true", help="search for a counterexample first; may leave solvers nothing to do")
    _query(parser)
    limits(parser)
    _vacuous(parser)


def _sweep(parser: Parser) -> None:
    parser.add_argument("target", metavar="FILE.py", help="defines `make`, `specs` and perhaps `samples`, `real`, `labelled`: see qs.sweep")
    parser.add_argument("--bits", metavar="N,N-N", default="", help="numbers of bits, such as 4,6-10; of a mapping `make` all if left out")
    parser.add_argument("--solvers", metavar="A,B,…", default="bounds", help="who is asked; falsify only searches (default: bounds)")
    parser.add_argument("--store", metavar="FILE.jsonl", help="keep every result there at once, and do not ask again what it settles")
    parser.add_argument("--plot", "--figure", dest="figure", metavar="FILE.svg", help="draw verdicts and accuracy against bits")
    parser.add_argument("--workers", metavar="N", type=int, help="processes that share the queries (default: one for each core)")
    limits(parser)
    _vacuous(parser)


def _report(parser: Parser) -> None:
    parser.add_argument(
        "results", metavar="RESULTS", nargs="+", help="a store of verify-many or of a sweep, what --json wrote, or rows of benchmarks"
    )
    parser.add_argument("-o", "--out", metavar="PAGE.html", default="report.html", help="where the page goes (default: report.html)")
    parser.add_argument("--title", metavar="TEXT", help="the heading of the page")
    parser.add_argument("--by", metavar="NAME", action="append", default=[], help="draw verdicts against this parameter; may be repeated")
    parser.add_argument("--most", metavar="N", type=int, default=24, help="counterexamples that are shown (default: 24)")


def _export(parser: Parser) -> None:
    _target(parser)
    parser.add_argument(
        "--theory", choices=("QF_BV", "QF_LIA", "milp"), default="QF_BV", help="bit-vectors, integers, linear rows (default: QF_BV)"
    )
    parser.add_argument(
        "--format",
        choices=("smt2", "lp", "mps", "vnnlib", "vnnlib2"),
        help="SMT-LIB 2, of milp an LP or MPS file, or of real networks VNN-LIB 1.0 or 2 (default: smt2 or lp)",
    )
    parser.add_argument("--no-presolve", dest="presolve", action="store_false", help="leave out all simplifications")
    parser.add_argument("-o", "--out", metavar="FILE", help="where to write it (default: stdout)")
    _param(parser)


def _vnnlib(parser: Parser) -> None:
    parser.add_argument("network", metavar="NETWORK.onnx", help="a float network, .onnx or .onnx.gz; its weights are taken exactly")
    parser.add_argument("property", metavar="PROPERTY.vnnlib", help="what a counterexample is, in VNN-LIB 1.0 or 2; .vnnlib or .vnnlib.gz")
    parser.add_argument("--solver", metavar="NAME", default="delta", help="who decides reals; see `qspec solvers` (default: delta)")
    parser.add_argument("--theory", metavar="T", help="real, QF_LRA, … (default: what suits the solver best)")
    parser.add_argument("--delta", metavar="D", type=float, default=1e-3, help="by how much UNKNOWN may miss the property (default: 0.001)")
    limits(parser)
    _vacuous(parser)


def _replay(parser: Parser) -> None:
    parser.add_argument("results", metavar="RESULT.json", help="what `qspec verify --json` wrote, or the text of Result.to_json()")
    parser.add_argument("target", metavar=TARGET, nargs="?", help="the specification (default: the file that was verified)")


def _check_certificate(parser: Parser) -> None:
    parser.add_argument("certificate", metavar="CERTIFICATE", help="a proof, as `Certificate.save` writes it")
    parser.add_argument("network", metavar="NETWORK", help="the network that it is about: a file, or an installed model")
    parser.add_argument("target", metavar=TARGET, help="the specification; parameters are those recorded unless --param says otherwise")
    parser.add_argument(
        "--ask", metavar="SOLVER", help="ask a solver about every domain that a partial certificate only assumes to be empty"
    )
    parser.add_argument("--timeout", metavar="SECONDS", type=number, default=60.0, help="limit for asking, or none (default: 60)")
    parser.add_argument("--verified", action="store_true", help="use the checker whose soundness is proved; needs ACL2")
    _param(parser)


def _show(parser: Parser) -> None:
    parser.add_argument("target", metavar="WHAT", help="a specification FILE.py[:NAME], an installed model, or a network FILE.qspec")


def _solvers(parser: Parser) -> None:
    """Nothing to choose."""


def _demo(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", default="digits", help="which demonstration (default: digits)")
    parser.add_argument(
        "-o", "--out", metavar="FILE.png", default="qspec-demo.png", help="where its picture goes (default: qspec-demo.png)"
    )


def _target(parser: Parser) -> None:
    parser.add_argument("target", metavar=TARGET, help="Python file with properties at top level; :NAME picks among them")


def _query(parser: Parser) -> None:
    _param(parser)
    parser.add_argument("--theory", metavar="T", help="QF_BV (bit-vectors), QF_LIA (integers), … (default: what suits the solver best)")
    parser.add_argument("--without", metavar="PASS", action="append", default=[], help="switch off a simplification; may be repeated")


def _gate(parser: Parser) -> None:
    parser.add_argument("--fail-under", metavar="PERCENT", type=float, help="status 0 if so many hold, 1 if fewer, whatever the others do")
    parser.add_argument(
        "--baseline", metavar="OLD.jsonl", help="the --store of an earlier run: status 1 only if something is newly refuted or newly open"
    )
    parser.add_argument("--junit", metavar="FILE.xml", help="write every verdict as a test case of JUnit's XML")


def _vacuous(parser: Parser) -> None:
    parser.add_argument(
        "--allow-vacuous", action="store_true", help="status 0, and not 5, also where nothing meets the assumption of what holds"
    )


def _presolve(parser: Parser) -> None:
    parser.add_argument(
        "--presolve",
        choices=("passes", "branch"),
        default="passes",
        help="branch: the native engine goes first, the solver gets what it leaves open",
    )


def _param(parser: Parser) -> None:
    parser.add_argument(
        "--param",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="give a parameter its value: a number, a JSON list, @FILE.json or @FILE.npy; may be repeated",
    )


def _json(parser: Parser) -> None:
    parser.add_argument("--json", metavar="FILE", help="write what was found as JSON too; - for stdout, the text then goes to stderr")


COMMANDS: dict[str, tuple[str, Callable[[Parser], None]]] = {
    "verify": ("decide properties; the first line printed is the verdict", _verify),
    "verify-many": ("decide properties for many values of their parameters, resumably", _verify_many),
    "certify": ("decide for every sample of a test set whether all inputs near it have its class", _certify),
    "sensors": ("decide whether samples keep their class whatever happens to a sensor", _sensors),
    "radius": ("find the largest value of a parameter for which properties hold", _radius),
    "compare": ("ask several solvers the same; compare answers, times and sizes", _compare),
    "sweep": ("decide properties of a network at many numbers of bits, by several methods", _sweep),
    "report": ("write results as one HTML page with tables, figures and every row", _report),
    "export": ("write a property for a solver, or a network as C, ONNX or TFLite", _export),
    "vnnlib": ("decide a VNN-LIB property of a float network in ONNX, over the reals", _vnnlib),
    "replay": ("run stored counterexamples again on the reference integers", _replay),
    "check-certificate": ("check a proof again, with integers alone; status 0 if it is right", _check_certificate),
    "agree": ("run a quantised file in its real runtime and here, and compare every tensor", runtime_options.agree),
    "flips": ("decide whether two runtimes of a file can part near each input", runtime_options.flips),
    "any-order": ("decide a claim about an ONNX file for every order of its float32 sums", runtime_options.any_order),
    "accumulators": ("say how wide sums must be, and what overflows", runtime_options.accumulators),
    "lint": ("say what is wrong with a quantised file, or likely to be", runtime_options.lint),
    "import": ("write a network of another format as a .qspec file", runtime_options.import_),
    "evaluate": ("run codes through a network", runtime_options.evaluate),
    "show": ("print what a specification says, or how a network is built", _show),
    "solvers": ("list solvers: what is installed, and how to get the others", _solvers),
    "demo": ("verify, attack and picture a small network", _demo),
}
