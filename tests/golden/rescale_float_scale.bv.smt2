(set-logic QF_BV)
(declare-fun x_0 () (_ BitVec 7))
(define-fun n1.0 () (_ BitVec 3) (ite (bvuge x_0 #b1101101) #b101 ((_ extract 11 9) (bvadd (bvmul ((_ zero_extend 5) x_0) #b000000010101) #b000100001100))))
(assert (bvuge n1.0 #b101))
