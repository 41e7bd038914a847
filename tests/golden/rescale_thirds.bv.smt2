(set-logic QF_BV)
(declare-fun x_0 () (_ BitVec 6))
(define-fun n1.0 () (_ BitVec 6) ((_ extract 11 6) (bvadd (bvmul ((_ zero_extend 6) x_0) #b000000101011) #b000000101010)))
(assert (bvuge n1.0 #b101010))
