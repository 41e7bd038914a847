(set-logic QF_BV)
(declare-fun x_0 () (_ BitVec 4))
(define-fun n1.0 () (_ BitVec 3) (ite (bvuge x_0 #b1000) (ite (bvuge x_0 #b1011) (ite (bvuge x_0 #b1110) #b101 #b100) #b011) (ite (bvuge x_0 #b0100) #b010 #b000)))
(assert (bvuge n1.0 #b100))
