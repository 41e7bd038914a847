(set-logic QF_BV)
(assert false)
