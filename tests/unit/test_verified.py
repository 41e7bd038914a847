"""What the verified checker is given, and what is said where it cannot be used. (What it answers: tests/soundness/verified_checker.py.)"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qspec.arithmetic.rounding import Rounding
from qspec.certificate.dump import Labels, program_text
from qspec.certificate.dump_steps import text
from qspec.certificate.verified import BOOK, CHAPTERS, check_verified
from qspec.errors import CertificateError, SolverMissingError
from qspec.ir import linear
from qspec.ir.digest import digest
from qspec.ir.integer import Query
from qspec.ir.integer_builder import Builder
from qspec.ir.linear import Convolution, Dense
from tests.soundness.naive_proofs import SOMEBODY, Writer
from tests.soundness.test_certificate_check import half_as_steep

OPERATIONS = """((:product 0 6)
(:maximum 4 (0 1 2) (3))
(:each 3 (:wrap 4 -2) (:wrap 8 -4) (:wrap 4 -2) (:wrap 8 -4))
(:each 2 (:table -3 5 6) (:table -3 7 8) (:table -3 5 6) (:table -3 7 8))
(:each 1 (:steps 1 0 2) (:steps 1 0 2) (:steps 1 0 2) (:steps 1 0 2))
(:each 0 (:rescale 1 0 2 -8 7 :rnd-conv) (:rescale 3 1 2 -8 7 :rnd-conv) (:rescale 1 0 2 -8 7 :rnd-conv) (:rescale 3 1 2 -8 7 :rnd-conv))
(:affine (0 0 0 0) (1 . #1=((1 2 (1) 3 4) 1 (1 2 (1) 3 4) 2 (1 2 (1) 3 4) 1 (1 2 (1) 3 4))))
(:affine (5 6) (0 . #2=((1 (7) -2) 8 (7))))
(:input (0 0 0 0 0 0 0 0 0) (9 9 9 9 9 9 9 9 9)))"""


def test_every_operation_is_written_as_it_is() -> None:
    b = Builder()
    x = b.input("x", [0] * 9, [9] * 9)
    first = np.zeros((2, 9), dtype=int)
    first[0, 0], first[0, 8], first[1, 8] = 1, -2, 7
    small = b.affine([(linear.to_sparse(Dense(first)), x)], [5, 6])
    assert small == 1
    image = b.affine([(Convolution(np.array([[1, 2], [3, 4]]).reshape(2, 2, 1, 1), (3, 3, 1)), x)])
    b.rescale(image, [1, 3, 1, 3], 2, Rounding.RND_CONV, offset=[0, 1, 0, 1], lower=-8, upper=7)
    b.steps(image, 1, np.array([[0, 2]] * 4))
    b.table(image, -3, np.array([[5, 6], [7, 8]] * 2))
    b.wrap(image, [2, 3, 2, 3], signed=True)
    maxima = b.maximum(image, [[0, 1, 2], [3, -1, -1]])
    b.product(maxima, small)
    labels = Labels()
    assert program_text(b.program, labels) == OPERATIONS.replace("\n", " ")
    again = OPERATIONS.replace("\n", " ").split(" (:affine")[0] + " (:affine (0 0 0 0) (1 . #1#)) (:affine (5 6) (0 . #2#))"
    assert program_text(b.program, labels).startswith(again)  # maps are the same objects


def test_a_proof_is_written_step_by_step() -> None:
    query = half_as_steep()
    writer = Writer(query)
    writer.split(1, 0, 5)
    writer.close([(3, 0, 1), (4, 0, 2)], [-1])
    writer.empty()
    written = text(query, writer.certificate(), Labels())
    assert written.endswith('(:split 3 0 5)\n(:close (((1 0) . 1) ((0 0) . 2)) (() () (-1) () ()))\n(:empty))\n"' + digest(query) + '")\n')
    assert "(:and (:all 1) (:all 0))" in written


def test_an_assumption_is_written_as_what_it_is() -> None:
    query = half_as_steep()
    writer = Writer(query)
    writer.split(1, 0, 5)
    writer.assume()
    writer.empty()
    partial = replace(writer.certificate(), assumed=(SOMEBODY,))
    assert "(:split 3 0 5)\n(:assume)\n(:empty))" in text(query, partial, Labels())


def test_without_a_prover_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    query = half_as_steep()
    writer = Writer(query)
    writer.close([(3, 0, 1), (4, 0, 2)], [-1])
    with pytest.raises(SolverMissingError, match="apt-get install -y acl2"):
        check_verified(writer.certificate(), query)
    with pytest.raises(CertificateError, match="another query"):
        check_verified(replace(writer.certificate(), query="0" * 64), Query(query.program, query.goal))


def test_the_book_is_complete_and_takes_nothing_on_trust() -> None:
    """Every chapter is there, and none has a form that would let ACL2 accept what it has not proved."""
    assert {p.stem for p in BOOK.glob("*.lisp")} == set(CHAPTERS)
    for name in CHAPTERS:
        chapter = (BOOK / f"{name}.lisp").read_text(encoding="ascii").lower()
        for form in ("skip-proofs", "defaxiom", "defttag", "set-raw", "progn!", "ld-skip", "defun-nx", "(defstub", "encapsulate"):
            assert form not in chapter, (name, form)
