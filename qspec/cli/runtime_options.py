"""The options of commands about files of networks: `agree`, `flips`, `any-order`, `accumulators`, `import`, `evaluate`, `lint`."""

from __future__ import annotations

from argparse import ArgumentParser


def number(text: str) -> float | None:
    """Read a number of seconds, or none."""
    return None if text == "none" else float(text)


number.__name__ = "number of seconds"  # argparse: "invalid number of seconds value: …"


def whole(text: str) -> int | None:
    return None if text == "none" else int(text)


whole.__name__ = "number of MiB"  # argparse: "invalid number of MiB value: …"


def limits(parser: ArgumentParser, what: str = "each verdict") -> None:
    """Add the options of what a run may use."""
    parser.add_argument("--timeout", metavar="SECONDS", type=number, default=60.0, help=f"limit for {what}, or none (default: 60)")
    parser.add_argument("--memory", metavar="MIB", type=whole, default=8192, help="limit for what is held, or none (default: 8192)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of searches and solvers (default: 0)")


def agree(parser: ArgumentParser) -> None:
    """Add the options of `qspec agree`."""
    parser.add_argument("file", metavar="FILE", help="quantised .tflite or .onnx file")
    semantics(parser)
    parser.add_argument("--runtime", metavar="NAME", help="the real runtime (default: the one that the semantics names)")
    parser.add_argument("--input", metavar="FORMAT", help="the format of a QONNX input that the file does not state: 'uint8(1/255)'")
    parser.add_argument("--inputs", metavar="FILE.npy", help="codes of the input, shape (samples, *shape) (default: random ones)")
    parser.add_argument("--samples", metavar="N", type=int, default=100, help="how many random inputs (default: 100)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of the random inputs (default: 0)")


def flips(parser: ArgumentParser) -> None:
    """Add the options of `qspec flips`."""
    parser.add_argument("file", metavar="FILE.tflite", help="quantised .tflite file")
    parser.add_argument(
        "--between", metavar=("FIRST", "SECOND"), nargs=2, default=("tflm", "xnnpack"), help="two semantics (default: tflm xnnpack)"
    )
    parser.add_argument("--inputs", metavar="FILE", required=True, help="codes of the input, (samples, *shape): FILE.npy or FILE.npz:NAME")
    parser.add_argument("--radius", metavar="R", type=int, nargs="+", default=(0,), help="LSB around each input (default: 0)")
    parser.add_argument("--tolerance", metavar="K", type=int, help="compare output codes, which may differ by so many, and no classes")
    parser.add_argument("--no-replay", dest="replay", action="store_false", help="do not run what flips in the real runtimes")
    parser.add_argument("--layers", action="store_true", help="also show how far each tensor can drift near the first input")
    parser.add_argument("--timeout", metavar="SECONDS", type=number, default=5.0, help="limit for each input, or none (default: 5)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of searches (default: 0)")


def any_order(parser: ArgumentParser) -> None:
    """Add the options of `qspec any-order`."""
    parser.add_argument("file", metavar="FILE.onnx", help="quantised .onnx file")
    parser.add_argument("claim", metavar="FILE.py[:NAME]", help="defines a function of inputs and outputs that returns a qs.forall(…)")
    limits(parser, "the claim")


def accumulators(parser: ArgumentParser) -> None:
    """Add the options of `qspec accumulators`."""
    parser.add_argument("network", metavar="NETWORK", help="file of a quantised network, or the name of a shipped model")
    parser.add_argument("--bits", metavar="N", type=int, default=32, help="the width that all sums must fit in (default: 32)")
    parser.add_argument(
        "--least", action="store_true", help="prove the narrowest width of each layer, and show that one bit less is too little"
    )
    parser.add_argument(
        "--pairs", action="store_true", help="also whether two products fit in 16 bits, for kernels that add pairs at int16"
    )
    parser.add_argument("--at", metavar="CODES.npy", help="also what overflows at this input: layer, neuron, code, range, needed width")
    parser.add_argument("--saturation", action="store_true", help="with --at: outputs that saturate overflow, too")
    parser.add_argument("--timeout", metavar="SECONDS", type=number, default=10.0, help="limit for each verdict, or none (default: 10)")
    parser.add_argument("--option", metavar="NAME=VALUE", action="append", default=[], help="how the file is read (see docs/readers.md)")
    semantics(parser)


def import_(parser: ArgumentParser) -> None:
    """Add the options of `qspec import`."""
    parser.add_argument("file", metavar="FILE", help="file of a network in any format that qspec reads")
    parser.add_argument("--format", metavar="NAME", help="its format, if it is not recognised")
    option(parser)
    parser.add_argument("-o", "--out", metavar="FILE.qspec", required=True, help="where the network goes")


def evaluate(parser: ArgumentParser) -> None:
    """Add the options of `qspec evaluate`."""
    parser.add_argument("network", metavar="NETWORK", help="file of a quantised network, or the name of a shipped model")
    parser.add_argument("inputs", metavar="INPUTS.npy", help="integer codes of the input, shape (samples, *shape)")
    option(parser)
    parser.add_argument("-o", "--out", metavar="OUTPUTS.npy", required=True, help="where the integer codes of the output go")


def option(parser: ArgumentParser) -> None:
    """Add the options of how a file is read."""
    semantics(parser)
    text = "how its format is read, such as normalized=true; repeatable (see docs/readers.md)"
    parser.add_argument("--option", metavar="NAME=VALUE", action="append", default=[], help=text)


def lint(parser: ArgumentParser) -> None:
    """Add the options of `qspec lint`."""
    parser.add_argument("file", metavar="FILE", help="quantised .tflite, .onnx or .qspec file")
    parser.add_argument("--twin", metavar="FILE", help="the float network that was quantised: .onnx, .h5 or .keras; needs --inputs")
    parser.add_argument("--inputs", metavar="FILE", help="codes of the input, (samples, *shape): FILE.npy or FILE.npz:NAME")
    semantics(parser)


def semantics(parser: ArgumentParser) -> None:
    """Add the option that names a runtime."""
    names = "tflm (default), litert-reference, litert-optimized, xnnpack for .tflite; ort-qlinear (default), ort-qdq for .onnx"
    parser.add_argument("--semantics", metavar="NAME", help=f"whose arithmetic a file of a runtime has: {names}")
