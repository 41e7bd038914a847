; The least value of c f(x) - p x over an interval, for every function f of one integer that a query knows.
;
; Searches are not verified; what they find is checked. The end of a step of a staircase is guessed and accepted if the values at both ends
; are equal, which is enough because a staircase never decreases. So nothing has to be proved of where steps end.

(in-package "ACL2")
(include-book "rounding")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

; ---------------------------------------------------------------- staircases never decrease

(defthm steps-at-least (<= (ifix base) (steps-val base ts a)) :rule-classes nil)

(defthm steps-mono
  (implies (and (integerp a) (integerp b) (<= a b))
           (<= (steps-val base ts a) (steps-val base ts b)))
  :rule-classes nil
  :hints (("Goal" :induct (steps-val base ts a))
          ("Subgoal *1/2" :use ((:instance steps-at-least (base (1+ (ifix base))) (ts (cdr ts)) (a b))))))

(defthm clamp-mono
  (implies (and (integerp x) (integerp y) (<= x y)) (<= (clamp x low high) (clamp y low high)))
  :rule-classes nil)

(defthm line-mono
  (implies (and (integerp n) (< 0 n) (integerp o) (integerp a) (integerp b) (<= a b))
           (and (integerp (+ (* n a) o)) (integerp (+ (* n b) o)) (<= (+ (* n a) o) (+ (* n b) o))))
  :rule-classes nil
  :hints (("Goal" :use times-mono)))

(defun rounded (n o d mode a)           ; before it is clamped
  (declare (xargs :guard (integerp a)))
  (round-ratio (+ (* (pos n) a) (int o)) (pos d) mode))

(defthm integerp-rounded
  (implies (integerp a) (integerp (rounded n o d mode a)))
  :rule-classes :type-prescription)

(defthm rounded-mono
  (implies (and (integerp a) (integerp b) (<= a b))
           (<= (rounded n o d mode a) (rounded n o d mode b)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable pos)
           :use ((:instance line-mono (n (pos n)) (o (ifix o)))
                 (:instance round-mono (x (+ (* (pos n) a) (ifix o))) (y (+ (* (pos n) b) (ifix o))) (d (pos d)))))))

(defthm rescale-is-rounded
  (equal (rescale-val n o d low high mode a) (clamp (rounded n o d mode a) low high))
  :rule-classes nil
  :hints (("Goal" :in-theory (enable rescale-val))))

(in-theory (disable rounded))

(defthm rescale-mono
  (implies (and (integerp a) (integerp b) (<= a b))
           (<= (rescale-val n o d low high mode a) (rescale-val n o d low high mode b)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable clamp)
           :use (rescale-is-rounded (:instance rescale-is-rounded (a b)) rounded-mono
                 (:instance clamp-mono (x (rounded n o d mode a)) (y (rounded n o d mode b)))))))

(defun staircase-p (f)
  (declare (xargs :guard t))
  (not (member-eq (head f) '(:table :wrap))))

(defthm staircase-mono
  (implies (and (staircase-p f) (integerp a) (integerp b) (<= a b))
           (<= (unary-val f a) (unary-val f b)))
  :rule-classes nil
  :hints (("Goal" :in-theory (e/d (unary-val) (steps-val at))
           :use ((:instance steps-mono (base (val 1 f)) (ts (cddr f)))
                 (:instance rescale-mono (n (at 1 f)) (o (at 2 f)) (d (at 3 f)) (low (at 4 f)) (high (at 5 f)) (mode (at 6 f)))))))

; ---------------------------------------------------------------- pieces on which a function is a line

(defun turns (modulus least a)          ; by how many times the modulus a number is wrapped
  (declare (xargs :guard (integerp a)))
  (floor (- a (int least)) (pos modulus)))

(defthm wrap-by-turns
  (equal (wrap-val modulus least a) (- a (* (pos modulus) (turns modulus least a))))
  :rule-classes nil
  :hints (("Goal" :in-theory (enable wrap-val))))

(defthm integerp-turns
  (implies (integerp a) (integerp (turns modulus least a)))
  :rule-classes :type-prescription
  :hints (("Goal" :use ((:instance integerp-floor (x (- a (ifix least))) (d (pos modulus)))))))

(defthm turns-mono
  (implies (and (integerp a) (integerp b) (<= a b))
           (<= (turns modulus least a) (turns modulus least b)))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable pos)
           :use ((:instance floor-mono (x (- a (ifix least))) (y (- b (ifix least))) (d (pos modulus)))))))

(in-theory (disable turns))

(defthm wrap-line                       ; no turn between both ends: it goes up one by one
  (implies (and (integerp a) (integerp x) (integerp e) (<= a x) (<= x e)
                (equal (turns modulus least a) (turns modulus least e)))
           (equal (wrap-val modulus least x) (+ (wrap-val modulus least a) (- x a))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable pos)
           :use (wrap-by-turns (:instance wrap-by-turns (a x))
                 (:instance turns-mono (b x)) (:instance turns-mono (a x) (b e))))))

(defun line-p (f a e)                   ; whether this tells that f is a line from a to e
  (declare (xargs :guard (and (integerp a) (integerp e))))
  (cond ((staircase-p f) (equal (unary-val f a) (unary-val f e)))
        ((equal (head f) :wrap) (equal (turns (at 1 f) (at 2 f) a) (turns (at 1 f) (at 2 f) e)))
        (t (equal a e))))

(defun ends (f c p a e)                 ; the lesser of the values at both ends
  (declare (xargs :guard (and (integerp c) (integerp p) (integerp a) (integerp e))))
  (min (- (* c (unary-val f a)) (* p a)) (- (* c (unary-val f e)) (* p e))))

(defthm integerp-ends
  (implies (and (integerp c) (integerp p) (integerp a) (integerp e)) (integerp (ends f c p a e)))
  :rule-classes :type-prescription)

(defthm flat-ends
  (implies (and (integerp y) (integerp p) (integerp a) (integerp x) (integerp e) (<= a x) (<= x e))
           (<= (min (- y (* p a)) (- y (* p e))) (- y (* p x))))
  :rule-classes nil
  :hints (("Goal" :use ((:instance line-least (p (- p)) (lo a) (hi e))))))

(defthm slope-ends
  (implies (and (integerp y) (integerp c) (integerp p) (integerp a) (integerp x) (integerp e) (<= a x) (<= x e))
           (<= (min (- (* c y) (* p a)) (- (* c (+ y (- e a))) (* p e)))
               (- (* c (+ y (- x a))) (* p x))))
  :rule-classes nil
  :hints (("Goal" :use ((:instance line-least (p (- c p)) (lo a) (hi e))))))

(defthm ends-sound
  (implies (and (line-p f a e) (integerp c) (integerp p) (integerp a) (integerp x) (integerp e) (<= a x) (<= x e))
           (<= (ends f c p a e) (- (* c (unary-val f x)) (* p x))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable staircase-p at min)
           :cases ((staircase-p f) (equal (car f) :wrap)))
          ("Subgoal 3" :in-theory (disable at))
          ("Subgoal 2" :in-theory (disable at min)
           :use ((:instance staircase-mono (b x)) (:instance staircase-mono (a x) (b e))
                 (:instance flat-ends (y (* c (unary-val f a))))))
          ("Subgoal 1" :in-theory (e/d (unary-val) (at min))
           :use ((:instance wrap-line (modulus (at 1 f)) (least (at 2 f)))
                 (:instance wrap-line (modulus (at 1 f)) (least (at 2 f)) (x e))
                 (:instance slope-ends (y (wrap-val (at 1 f) (at 2 f) a)))))))

(in-theory (disable ends line-p staircase-p))

; ---------------------------------------------------------------- where pieces end: a guess, which `line-p` checks

(defun steps-end (ts a hi)
  (declare (xargs :guard (and (integerp a) (integerp hi))))
  (cond ((atom ts) hi)
        ((< a (int (car ts))) (min hi (1- (int (car ts)))))
        (t (steps-end (cdr ts) a hi))))

(defun first-at (n o d mode code)       ; the first argument that rounds to at least a code
  (declare (xargs :guard (and (integerp o) (posp n) (posp d) (integerp code))))
  (let* ((halves (case mode (:trn (* 2 code)) (:trn-zero (if (< 0 code) (* 2 code) (- (* 2 code) 2))) (otherwise (- (* 2 code) 1))))
         (inclusive (case mode (:trn-zero (< 0 code)) (:rnd-min-inf nil) (:rnd-zero (<= code 0)) (:rnd-inf (< 0 code))
                      (:rnd-conv (evenp code)) (otherwise t)))
         (level (- (* halves d) (* 2 o))))
    (if inclusive (- (floor (- level) (* 2 n))) (1+ (floor level (* 2 n))))))

(defthm integerp-first-at
  (implies (and (integerp o) (integerp d) (integerp n) (integerp code)) (integerp (first-at n o d mode code)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable floor evenp)
           :use ((:instance integerp-floor (x (- (- (* (- (* 2 code) 1) d) (* 2 o)))) (d (* 2 n)))))))

(in-theory (disable first-at))

(defun guess-end (f a hi)
  (declare (xargs :guard (and (integerp a) (integerp hi))
                  :guard-hints (("Goal" :do-not-induct t :in-theory (disable at pos turns first-at)))))
  (case (head f)
    (:steps (steps-end (tail (tail f)) a hi))
    (:table a)
    (:wrap (+ (val 2 f) -1 (* (pos (at 1 f)) (1+ (turns (at 1 f) (at 2 f) a)))))
    (otherwise
     (let ((y (unary-val f a)) (high (at 5 f)))
       (if (and (integerp high) (<= high y)) hi
         (1- (first-at (pos (at 1 f)) (val 2 f) (pos (at 3 f)) (at 6 f) (1+ y))))))))

(defun piece-end (f a hi)               ; the end of a piece that begins at a, at most hi
  (declare (xargs :guard (and (integerp a) (integerp hi)) :guard-hints (("Goal" :in-theory (disable guess-end line-p)))))
  (let* ((e (guess-end f a hi)) (e (if (and (integerp e) (< e hi)) e hi)))
    (if (and (<= a e) (line-p f a e)) e a)))

(defthm integerp-piece-end
  (implies (and (integerp a) (integerp hi)) (integerp (piece-end f a hi)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable guess-end line-p))))

(defthm piece-end-between
  (and (<= a (piece-end f a hi)) (implies (<= a hi) (<= (piece-end f a hi) hi)))
  :rule-classes :linear
  :hints (("Goal" :in-theory (disable guess-end line-p))))

(defthm piece-is-a-line
  (implies (integerp a) (line-p f a (piece-end f a hi)))
  :hints (("Goal" :in-theory (e/d (line-p staircase-p) (guess-end unary-val)))))

(in-theory (disable piece-end guess-end))

; ---------------------------------------------------------------- piece by piece

(defun conj (f c p lo hi)               ; the least c f(x) - p x, lo <= x <= hi
  (declare (xargs :guard (and (integerp c) (integerp p) (integerp lo) (integerp hi)) :verify-guards nil
                  :measure (nfix (- (1+ (ifix hi)) (ifix lo)))))
  (let* ((lo (int lo)) (hi (int hi)) (e (piece-end f lo hi)) (m (ends f (int c) (int p) lo e)))
    (if (>= e hi) m (min m (conj f c p (1+ e) hi)))))

(defthm integerp-conj (integerp (conj f c p lo hi)) :rule-classes :type-prescription)

(verify-guards conj)

(defun below-p (q f c p x)              ; the claim: q is at most c f(x) - p x
  (<= q (- (* c (unary-val f x)) (* p x))))

(defthm below-min
  (implies (or (below-p q f c p x) (below-p r f c p x)) (below-p (min q r) f c p x)))

(defthm ends-below
  (implies (and (integerp c) (integerp p) (integerp a) (integerp x) (integerp hi) (<= a x) (<= x (piece-end f a hi)))
           (below-p (ends f c p a (piece-end f a hi)) f c p x))
  :hints (("Goal" :use ((:instance ends-sound (e (piece-end f a hi)))))))

(defthm ends-below-at-the-end           ; the same where the piece ends with the interval
  (implies (and (equal (piece-end f a hi) hi) (integerp c) (integerp p) (integerp a) (integerp x) (integerp hi) (<= a x) (<= x hi))
           (below-p (ends f c p a hi) f c p x))
  :hints (("Goal" :in-theory (disable below-p) :use ends-below)))

(in-theory (disable below-p))

(defthm conj-below
  (implies (and (integerp x) (<= (ifix lo) x) (<= x (ifix hi)) (integerp c) (integerp p))
           (below-p (conj f c p lo hi) f c p x))
  :hints (("Goal" :induct (conj f c p lo hi) :in-theory (disable min))))

(in-theory (disable conj min))

; ---------------------------------------------------------------- rescaling over many codes, in one step
;
; Between its clamps a rescaled value y leaves a rest, r = n x + o - d y, within known bounds. So
; n (c y - p x) = (n c - p d) y - p r + p o, which is least at bounds of y and of r. For n = 1 every y goes with every r.

(defun free-p (f a e)                   ; whether a rescaling is not clamped from a to e
  (declare (xargs :guard (and (integerp a) (integerp e))))
  (and (equal (head f) :rescale)
       (or (not (integerp (at 4 f))) (<= (at 4 f) (rounded (at 1 f) (at 2 f) (at 3 f) (at 6 f) a)))
       (or (not (integerp (at 5 f))) (<= (rounded (at 1 f) (at 2 f) (at 3 f) (at 6 f) e) (at 5 f)))))

(defthm free-is-rounded
  (implies (and (free-p f a e) (integerp a) (integerp x) (integerp e) (<= a x) (<= x e))
           (equal (unary-val f x) (rounded (at 1 f) (at 2 f) (at 3 f) (at 6 f) x)))
  :rule-classes nil
  :hints (("Goal" :in-theory (e/d (unary-val min) (at))
           :use ((:instance rescale-is-rounded (n (at 1 f)) (o (at 2 f)) (d (at 3 f)) (low (at 4 f)) (high (at 5 f)) (mode (at 6 f)) (a x))
                 (:instance rounded-mono (n (at 1 f)) (o (at 2 f)) (d (at 3 f)) (mode (at 6 f)) (b x))
                 (:instance rounded-mono (n (at 1 f)) (o (at 2 f)) (d (at 3 f)) (mode (at 6 f)) (a x) (b e))))))

(defthm rounded-near
  (implies (integerp x)
           (and (<= (rest-low (pos d) mode) (- (+ (* (pos n) x) (ifix o)) (* (pos d) (rounded n o d mode x))))
                (<= (- (+ (* (pos n) x) (ifix o)) (* (pos d) (rounded n o d mode x))) (rest-high (pos d) mode))))
  :rule-classes nil
  :hints (("Goal" :in-theory (e/d (rounded) (pos))
           :use ((:instance round-near (x (+ (* (pos n) x) (ifix o))) (d (pos d)))))))

(defun ceil (x d)
  (declare (xargs :guard (and (integerp x) (posp d))))
  (- (floor (- x) d)))

(defthm wide-arithmetic
  (implies (and (integerp n) (< 0 n) (integerp o) (integerp d) (integerp c) (integerp p) (integerp x) (integerp y)
                (integerp y0) (integerp y1) (integerp r0) (integerp r1)
                (<= y0 y) (<= y y1)
                (<= r0 (- (+ (* n x) o) (* d y))) (<= (- (+ (* n x) o) (* d y)) r1))
           (<= (+ (min (* (- (* n c) (* p d)) y0) (* (- (* n c) (* p d)) y1))
                  (min (* (- p) r0) (* (- p) r1))
                  (* p o))
               (* n (- (* c y) (* p x)))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable min)
           :use ((:instance line-least (p (- (* n c) (* p d))) (lo y0) (hi y1) (x y))
                 (:instance line-least (p (- p)) (lo r0) (hi r1) (x (- (+ (* n x) o) (* d y))))))))

(defthm integerp-rests
  (implies (integerp d) (and (integerp (rest-low d mode)) (integerp (rest-high d mode))))
  :rule-classes ((:type-prescription :corollary (implies (integerp d) (integerp (rest-low d mode))))
                 (:type-prescription :corollary (implies (integerp d) (integerp (rest-high d mode)))))
  :hints (("Goal" :in-theory (enable rest-low rest-high))))

(defthm ceil-below
  (implies (and (integerp b) (integerp c) (< 0 c) (integerp x) (<= b (* c x))) (<= (ceil b c) x))
  :rule-classes nil
  :hints (("Goal" :use ceiling-by-floor)))

(defthm integerp-ceil
  (implies (and (integerp x) (integerp d)) (integerp (ceil x d)))
  :rule-classes :type-prescription
  :hints (("Goal" :use ((:instance integerp-floor (x (- x)))))))

(defthm integerp-min
  (implies (and (integerp a) (integerp b)) (integerp (min a b)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (enable min))))

(in-theory (disable ceil))

(defun wide (f c p a e)
  (declare (xargs :guard (and (integerp c) (integerp p) (integerp a) (integerp e))
                  :guard-hints (("Goal" :in-theory (disable pos at)))))
  (let* ((n (pos (at 1 f))) (o (val 2 f)) (d (pos (at 3 f))) (w (- (* n c) (* p d))))
    (ceil (+ (min (* w (unary-val f a)) (* w (unary-val f e)))
             (min (* (- p) (rest-low d (at 6 f))) (* (- p) (rest-high d (at 6 f))))
             (* p o))
          n)))

(defthm wide-below
  (implies (and (free-p f a e) (integerp c) (integerp p) (integerp a) (integerp x) (integerp e) (<= a x) (<= x e))
           (below-p (wide f c p a e) f c p x))
  :hints (("Goal" :do-not-induct t :in-theory (e/d (below-p) (at pos min free-p))
           :use (free-is-rounded (:instance free-is-rounded (x a)) (:instance free-is-rounded (x e))
                 (:instance rounded-mono (n (at 1 f)) (o (at 2 f)) (d (at 3 f)) (mode (at 6 f)) (b x))
                 (:instance rounded-mono (n (at 1 f)) (o (at 2 f)) (d (at 3 f)) (mode (at 6 f)) (a x) (b e))
                 (:instance rounded-near (n (at 1 f)) (o (at 2 f)) (d (at 3 f)) (mode (at 6 f)))
                 (:instance wide-arithmetic (n (pos (at 1 f))) (o (val 2 f)) (d (pos (at 3 f))) (y (unary-val f x))
                            (y0 (unary-val f a)) (y1 (unary-val f e))
                            (r0 (rest-low (pos (at 3 f)) (at 6 f))) (r1 (rest-high (pos (at 3 f)) (at 6 f))))
                 (:instance ceil-below (c (pos (at 1 f))) (x (- (* c (unary-val f x)) (* p x)))
                            (b (+ (min (* (- (* (pos (at 1 f)) c) (* p (pos (at 3 f)))) (unary-val f a))
                                       (* (- (* (pos (at 1 f)) c) (* p (pos (at 3 f)))) (unary-val f e)))
                                  (min (* (- p) (rest-low (pos (at 3 f)) (at 6 f))) (* (- p) (rest-high (pos (at 3 f)) (at 6 f))))
                                  (* p (val 2 f)))))))))

; ---------------------------------------------------------------- whichever is quicker

(defun many-p (f lo hi)                 ; whether there are too many codes to look at each
  (declare (xargs :guard (and (integerp lo) (integerp hi))))
  (and (equal (head f) :rescale)
       (< (if (and (equal (pos (at 1 f)) 1) (member-eq (at 6 f) '(:trn :rnd :rnd-min-inf))) 3 4096)
          (- (unary-val f hi) (unary-val f lo)))))

(defun last-begin (f hi)                ; where the last step begins: a guess
  (declare (xargs :guard (integerp hi)))
  (first-at (pos (at 1 f)) (val 2 f) (pos (at 3 f)) (at 6 f) (unary-val f hi)))

(defthm integerp-last-begin
  (implies (integerp hi) (integerp (last-begin f hi)))
  :rule-classes :type-prescription)

(defthm integerp-wide
  (implies (and (integerp c) (integerp p)) (integerp (wide f c p a e)))
  :rule-classes :type-prescription)

(in-theory (disable many-p last-begin free-p wide))

(defun least (f c p lo hi)
  (declare (xargs :guard (and (integerp c) (integerp p) (integerp lo) (integerp hi))))
  (let ((e (piece-end f lo hi)) (b (last-begin f hi)))
    (cond ((and (equal c 0) (equal p 0)) 0)
          ((and (many-p f lo hi) (<= (+ 2 e) b) (<= b hi) (line-p f b hi) (free-p f (1+ e) (1- b)))
           (min (ends f c p lo e) (min (wide f c p (1+ e) (1- b)) (ends f c p b hi))))
          (t (conj f c p lo hi)))))

(defthm integerp-least
  (implies (and (integerp c) (integerp p) (integerp lo) (integerp hi)) (integerp (least f c p lo hi)))
  :rule-classes :type-prescription)

(defthm nothing-below
  (below-p 0 f 0 0 x)
  :hints (("Goal" :in-theory (enable below-p))))

(defthm least-below
  (implies (and (integerp c) (integerp p) (integerp lo) (integerp x) (integerp hi) (<= lo x) (<= x hi))
           (below-p (least f c p lo hi) f c p x))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t
           :cases ((<= x (piece-end f lo hi)) (<= (last-begin f hi) x))
           :use ((:instance ends-sound (a (last-begin f hi)) (e hi))
                 (:instance below-p (q (ends f c p (last-begin f hi) hi)))))))

(defthm least-sound
  (implies (and (integerp c) (integerp p) (integerp lo) (integerp x) (integerp hi) (<= lo x) (<= x hi))
           (<= (+ (least f c p lo hi) (* p x)) (* c (unary-val f x))))
  :rule-classes nil
  :hints (("Goal" :in-theory (e/d (below-p) (least)) :use least-below)))

(in-theory (disable least))
(in-theory (enable min))
