; Rounding never decreases, and stays near to what it rounds: all that a proof needs to know of it.

(in-package "ACL2")
(include-book "semantics")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

; ---------------------------------------------------------------- floor

(defthm floor-between
  (implies (and (integerp x) (integerp d) (< 0 d))
           (and (<= (* d (floor x d)) x) (< x (+ d (* d (floor x d))))))
  :rule-classes nil)

(defthm integerp-floor
  (implies (and (integerp x) (integerp d)) (integerp (floor x d)))
  :rule-classes nil)

(defthm less-by-product                 ; d a <= x <= y < d b + d
  (implies (and (integerp a) (integerp b) (integerp x) (integerp y) (integerp d) (< 0 d)
                (<= (* d a) x) (<= x y) (< y (+ d (* d b))))
           (<= a b))
  :rule-classes nil
  :hints (("Goal" :nonlinearp t :cases ((<= (+ 1 b) a)))))

(defthm floor-mono
  (implies (and (integerp x) (integerp y) (integerp d) (< 0 d) (<= x y))
           (<= (floor x d) (floor y d)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (theory 'minimal-theory)
           :use (floor-between (:instance floor-between (x y)) integerp-floor (:instance integerp-floor (x y))
                 (:instance less-by-product (a (floor x d)) (b (floor y d)))))))

(defthm line-least                      ; a line over an interval is least at an end
  (implies (and (integerp p) (integerp lo) (integerp x) (integerp hi) (<= lo x) (<= x hi))
           (<= (min (* p lo) (* p hi)) (* p x)))
  :rule-classes nil
  :hints (("Goal" :nonlinearp t :cases ((<= 0 p)))))

(defthm line-most
  (implies (and (integerp p) (integerp lo) (integerp x) (integerp hi) (<= lo x) (<= x hi))
           (<= (* p x) (max (* p lo) (* p hi))))
  :rule-classes nil
  :hints (("Goal" :use ((:instance line-least (p (- p)))))))

(defthm average                         ; of two numbers, by weights w and left - w
  (implies (and (integerp x) (integerp y) (integerp w) (integerp left) (<= 0 w) (<= w left))
           (<= (+ (* w x) (* (- left w) y)) (* left (max x y))))
  :rule-classes nil
  :hints (("Goal" :nonlinearp t :cases ((<= x y)))))

(defthm times-mono
  (implies (and (integerp n) (<= 0 n) (integerp a) (integerp b) (<= a b)) (<= (* n a) (* n b)))
  :rule-classes nil
  :hints (("Goal" :nonlinearp t)))

(defthm ceiling-by-floor                ; b <= c x, c > 0: x >= -floor(-b / c)
  (implies (and (integerp b) (integerp c) (integerp x) (< 0 c) (<= b (* c x)))
           (<= (- (floor (- b) c)) x))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor)
           :use ((:instance floor-between (x (- b)) (d c))
                 (:instance integerp-floor (x (- b)) (d c))
                 (:instance less-by-product (a (- x)) (b (floor (- b) c)) (d c) (x (- b)) (y (- b)))))))

; ---------------------------------------------------------------- to nearest

(defthm integerp-up
  (implies (and (integerp x) (integerp d)) (integerp (up x d)))
  :rule-classes (:rewrite :type-prescription))

(defthm integerp-down
  (implies (and (integerp x) (integerp d)) (integerp (down x d)))
  :rule-classes (:rewrite :type-prescription))

(defthm up-near                         ; -d <= 2 x - 2 d up < d
  (implies (and (integerp x) (integerp d) (< 0 d))
           (and (<= (- (* 2 d (up x d)) d) (* 2 x)) (< (* 2 x) (+ (* 2 d (up x d)) d))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor)
           :use ((:instance floor-between (x (+ (* 2 x) d)) (d (* 2 d)))))))

(defthm down-near                       ; -d < 2 x - 2 d down <= d
  (implies (and (integerp x) (integerp d) (< 0 d))
           (and (< (- (* 2 d (down x d)) d) (* 2 x)) (<= (* 2 x) (+ (* 2 d (down x d)) d))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor)
           :use ((:instance floor-between (x (- d (* 2 x))) (d (* 2 d)))))))

(defthm up-mono
  (implies (and (integerp x) (integerp y) (integerp d) (< 0 d) (<= x y)) (<= (up x d) (up y d)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor)
           :use ((:instance floor-mono (x (+ (* 2 x) d)) (y (+ (* 2 y) d)) (d (* 2 d)))))))

(defthm down-mono
  (implies (and (integerp x) (integerp y) (integerp d) (< 0 d) (<= x y)) (<= (down x d) (down y d)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor)
           :use ((:instance floor-mono (x (- d (* 2 y))) (y (- d (* 2 x))) (d (* 2 d)))))))

(defthm near-by-one                     ; what both lemmas above say together
  (implies (and (integerp a) (integerp b) (integerp x) (integerp d) (< 0 d)
                (<= (- (* 2 d a) d) (* 2 x)) (< (* 2 x) (+ (* 2 d a) d))
                (< (- (* 2 d b) d) (* 2 x)) (<= (* 2 x) (+ (* 2 d b) d)))
           (and (<= b a) (<= a (+ 1 b))))
  :rule-classes nil
  :hints (("Goal" :use ((:instance less-by-product (a b) (b a) (x (+ (* 2 x) d)) (y (+ (* 2 x) d)) (d (* 2 d)))
                        (:instance less-by-product (a a) (b (+ 1 b)) (x (+ (* 2 x) d)) (y (+ (* 2 x) d)) (d (* 2 d)))))))

(defthm up-and-down
  (implies (and (integerp x) (integerp d) (< 0 d))
           (and (<= (down x d) (up x d)) (<= (up x d) (+ 1 (down x d)))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable up down)
           :use (up-near down-near (:instance near-by-one (a (up x d)) (b (down x d)))))))

; ---------------------------------------------------------------- signs

(defthm nothing-below-zero              ; a number near to x is at most 0 if x < 0
  (implies (and (integerp a) (integerp x) (integerp d) (< 0 d) (< x 0) (<= (- (* 2 d a) d) (* 2 x)))
           (<= a 0))
  :rule-classes nil
  :hints (("Goal" :use ((:instance less-by-product (b 0) (x (+ (* 2 x) d)) (y (+ (* 2 x) d)) (d (* 2 d)))))))

(defthm nothing-above-zero
  (implies (and (integerp b) (integerp x) (integerp d) (< 0 d) (<= 0 x) (<= (* 2 x) (+ (* 2 d b) d)))
           (<= 0 b))
  :rule-classes nil
  :hints (("Goal" :use ((:instance less-by-product (a 0) (x (+ (* 2 x) d)) (y (+ (* 2 x) d)) (d (* 2 d)))))))

(defthm up-sign
  (implies (and (integerp x) (integerp d) (< 0 d) (< x 0)) (<= (up x d) 0))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable up) :use (up-near (:instance nothing-below-zero (a (up x d)))))))

(defthm down-sign
  (implies (and (integerp x) (integerp d) (< 0 d) (<= 0 x)) (<= 0 (down x d)))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable down) :use (down-near (:instance nothing-above-zero (b (down x d)))))))

(defthm floor-sign
  (implies (and (integerp x) (integerp d) (< 0 d) (<= 0 x)) (<= 0 (floor x d)))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable floor)
           :use (floor-between integerp-floor (:instance less-by-product (a 0) (b (floor x d)) (x 0) (y x))))))

; ---------------------------------------------------------------- all seven

(defthm integerp-round-ratio
  (implies (and (integerp x) (integerp d)) (integerp (round-ratio x d mode)))
  :rule-classes (:rewrite :type-prescription)
  :hints (("Goal" :in-theory (disable floor up down evenp))))

(defthm toward-zero-mono
  (implies (and (integerp x) (integerp y) (integerp d) (< 0 d) (<= x y))
           (<= (round-ratio x d :trn-zero) (round-ratio y d :trn-zero)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor)
           :use (floor-mono (:instance floor-mono (x (- y)) (y (- x))) (:instance floor-sign (x y)) (:instance floor-sign (x (- x)))
                 (:instance integerp-floor (x y)) (:instance integerp-floor (x (- x)))))))

(defthm halves-mono                     ; halves towards zero, and away from zero
  (implies (and (integerp x) (integerp y) (integerp d) (< 0 d) (<= x y))
           (and (<= (round-ratio x d :rnd-zero) (round-ratio y d :rnd-zero))
                (<= (round-ratio x d :rnd-inf) (round-ratio y d :rnd-inf))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable up down)
           :use (up-mono down-mono up-and-down (:instance up-and-down (x y)) up-sign (:instance down-sign (x y))))))

(local (defthm parity
  (implies (and (integerp a) (integerp b) (equal a b)) (equal (evenp a) (evenp b)))
  :rule-classes nil))

(defthm halves-to-even-mono
  (implies (and (integerp x) (integerp y) (integerp d) (< 0 d) (<= x y))
           (<= (round-ratio x d :rnd-conv) (round-ratio y d :rnd-conv)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable up down evenp)
           :use (up-mono down-mono up-and-down (:instance up-and-down (x y)) (:instance parity (a (up x d)) (b (up y d)))))))

(defthm round-mono
  (implies (and (integerp x) (integerp y) (integerp d) (< 0 d) (<= x y))
           (<= (round-ratio x d mode) (round-ratio y d mode)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor up down evenp)
           :use (up-mono down-mono floor-mono toward-zero-mono halves-mono halves-to-even-mono))))

; What rounding leaves, x - d round(x / d), lies between these. It is an integer: half a denominator is rounded, and each bound is reached.
(defun rest-low (d mode)
  (declare (xargs :guard (integerp d)))
  (case mode (:trn 0) (:trn-zero (- 1 d)) (:rnd-min-inf (- (floor (- d 1) 2))) (otherwise (- (floor d 2)))))

(defun rest-high (d mode)
  (declare (xargs :guard (integerp d)))
  (case mode ((:trn :trn-zero) (- d 1)) ((:rnd-min-inf :rnd-zero :rnd-inf :rnd-conv) (floor d 2)) (otherwise (floor (- d 1) 2))))

(defthm halved                          ; -d <= 2 r <= e: r lies between halves, rounded inwards
  (implies (and (integerp d) (integerp e) (integerp r) (<= (- d) (* 2 r)) (<= (* 2 r) e))
           (and (<= (- (floor d 2)) r) (<= r (floor e 2))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor)
           :use ((:instance ceiling-by-floor (b (- d)) (c 2) (x r)) (:instance ceiling-by-floor (b (- e)) (c 2) (x (- r)))))))

(defthm up-rest
  (implies (and (integerp x) (integerp d) (< 0 d))
           (and (<= (- (floor d 2)) (- x (* d (up x d)))) (<= (- x (* d (up x d))) (floor (- d 1) 2))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor up)
           :use (up-near (:instance halved (e (- d 1)) (r (- x (* d (up x d)))))))))

(defthm down-rest
  (implies (and (integerp x) (integerp d) (< 0 d))
           (and (<= (- (floor (- d 1) 2)) (- x (* d (down x d)))) (<= (- x (* d (down x d))) (floor d 2))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable floor down)
           :use (down-near (:instance halved (d (- d 1)) (e d) (r (- x (* d (down x d)))))))))

(defthm round-near
  (implies (and (integerp x) (integerp d) (< 0 d))
           (and (<= (rest-low d mode) (- x (* d (round-ratio x d mode))))
                (<= (- x (* d (round-ratio x d mode))) (rest-high d mode))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (e/d (round-ratio) (floor up down evenp))
           :use (up-rest down-rest floor-between (:instance floor-between (x (- x))) (:instance floor-mono (x (- d 1)) (y d) (d 2))
                 integerp-floor (:instance integerp-floor (x (- x)))))))

(in-theory (disable round-ratio rest-low rest-high up down floor))

; ---------------------------------------------------------------- guards

(verify-guards rescale-val)

(defthm integerp-rescale-val
  (implies (integerp a) (integerp (rescale-val n o d low high mode a)))
  :rule-classes :type-prescription)

(defthm integerp-wrap-val
  (implies (integerp a) (integerp (wrap-val modulus least a)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable pos) :use ((:instance integerp-floor (x (- a (ifix least))) (d (pos modulus)))))))

(defthm integerp-unary-val
  (implies (integerp a) (integerp (unary-val f a)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable rescale-val steps-val table-val wrap-val at))))

(verify-guards unary-val)
(verify-guards each-val :hints (("Goal" :in-theory (disable unary-val))))

(defthm integerp-max-val (integerp (max-val es v)) :rule-classes :type-prescription)

(verify-guards max-val)
(verify-guards max-vals)
(verify-guards node-val :hints (("Goal" :in-theory (disable at))))
(verify-guards run)

(in-theory (disable unary-val rescale-val wrap-val))
