(set-logic QF_BV)
(declare-fun x_0 () (_ BitVec 3))
(define-fun n1.0 () (_ BitVec 4) (ite (bvuge x_0 #b011) (ite (bvuge x_0 #b100) (ite (bvuge x_0 #b111) #b0000 #b0111) #b1010) (ite (bvuge x_0 #b010) #b0111 #b0110)))
(assert (bvuge n1.0 #b1010))
