; The greatest of some elements: what can be said of c max(...) - (sum of p times member), for any multipliers p.

(in-package "ACL2")
(include-book "vectors")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

(defun ray (c b)                        ; the least c x within a bound
  (declare (xargs :guard (integerp c)))
  (min (* c (lo b)) (* c (hi b))))

(defthm integerp-ray (implies (integerp c) (integerp (ray c b))) :rule-classes :type-prescription)

(defthm ray-sound
  (implies (and (integerp c) (integerp x) (<= (lo b) x) (<= x (hi b))) (<= (ray c b) (* c x)))
  :rule-classes nil
  :hints (("Goal" :use ((:instance line-least (p c) (lo (lo b)) (hi (hi b)))))))

(in-theory (disable ray))

; ---------------------------------------------------------------- sums of p times member

(defun member-sum (es ps v)
  (if (atom es) 0 (+ (* (ifix (car ps)) (val (car es) v)) (member-sum (cdr es) (cdr ps) v))))

(defun add-units (es ps cs)
  (declare (xargs :guard t))
  (if (atom es) cs (add-units (cdr es) (tail ps) (add-unit (car es) (let ((p (head ps))) (int p)) cs))))

(defthm integerp-member-sum (integerp (member-sum es ps v)) :rule-classes :type-prescription)

(defthm dot-add-units
  (equal (dot (add-units es ps cs) v) (+ (dot cs v) (member-sum es ps v)))
  :hints (("Goal" :induct (add-units es ps cs) :in-theory (disable dot))))

(in-theory (disable val))

(defthm val-within
  (implies (within-v bs v) (and (<= (lo (at k bs)) (val k v)) (<= (val k v) (hi (at k bs)))))
  :rule-classes (:rewrite :linear)
  :hints (("Goal" :in-theory (enable val))))

; ---------------------------------------------------------------- c < 0: whichever member is the greatest

(defun rest-least (es ps bs)
  (declare (xargs :guard t))
  (if (atom es) 0 (+ (ray (- (let ((p (head ps))) (int p))) (at (car es) bs)) (rest-least (cdr es) (tail ps) bs))))

(defun max-below (es ps c bs)
  (declare (xargs :guard (integerp c) :verify-guards nil))
  (let* ((p (head ps)) (p (int p)) (b (at (head es) bs)))
    (if (atom (tail es)) (ray (- c p) b)
      (min (+ (ray (- c p) b) (rest-least (cdr es) (tail ps) bs))
           (+ (ray (- p) b) (max-below (cdr es) (tail ps) c bs))))))

(defthm integerp-rest-least (integerp (rest-least es ps bs)) :rule-classes :type-prescription)
(defthm integerp-max-below (implies (integerp c) (integerp (max-below es ps c bs))) :rule-classes :type-prescription)
(verify-guards max-below)

(defthm rest-least-sound
  (implies (within-v bs v) (<= (rest-least es ps bs) (- (member-sum es ps v))))
  :rule-classes nil
  :hints (("Goal" :induct (rest-least es ps bs) :in-theory (disable within-v))
          ("Subgoal *1/2" :use ((:instance ray-sound (c (- (ifix (car ps)))) (x (val (car es) v)) (b (at (car es) bs)))))))

(defthm max-below-sound
  (implies (and (within-v bs v) (consp es) (integerp c))
           (<= (max-below es ps c bs) (- (* c (max-val es v)) (member-sum es ps v))))
  :rule-classes nil
  :hints (("Goal" :induct (max-below es ps c bs) :in-theory (disable within-v))
          ("Subgoal *1/2" :use ((:instance rest-least-sound (es (cdr es)) (ps (cdr ps)))
                                (:instance ray-sound (c (- (ifix (car ps)))) (x (val (car es) v)) (b (at (car es) bs)))
                                (:instance ray-sound (c (- c (ifix (car ps)))) (x (val (car es) v)) (b (at (car es) bs)))))
          ("Subgoal *1/1" :use ((:instance ray-sound (c (- c (ifix (car ps)))) (x (val (car es) v)) (b (at (car es) bs)))))))

; ---------------------------------------------------------------- c >= 0: the greatest is at least any average

(defun part (left w)                    ; a weight that leaves no less than nothing
  (declare (xargs :guard (integerp left)))
  (min left (nfix w)))

(defthm part-between
  (implies (natp left) (and (<= 0 (part left w)) (<= (part left w) left)))
  :rule-classes :linear)
(defthm integerp-part (implies (integerp left) (integerp (part left w))) :rule-classes :type-prescription)
(in-theory (disable part))

(defun max-average (es ps ws left bs)   ; the last member gets what is left
  (declare (xargs :guard (integerp left) :verify-guards nil))
  (let* ((p (head ps)) (p (int p)) (b (at (head es) bs)))
    (if (atom (tail es)) (ray (- left p) b)
      (let ((w (part left (head ws))))
        (+ (ray (- w p) b) (max-average (cdr es) (tail ps) (tail ws) (- left w) bs))))))

(defthm integerp-max-average (implies (integerp left) (integerp (max-average es ps ws left bs))) :rule-classes :type-prescription)
(verify-guards max-average)

(defthm max-average-sound
  (implies (and (within-v bs v) (consp es) (natp left))
           (<= (max-average es ps ws left bs) (- (* left (max-val es v)) (member-sum es ps v))))
  :rule-classes nil
  :hints (("Goal" :induct (max-average es ps ws left bs) :in-theory (disable within-v max min))
          ("Subgoal *1/2" :in-theory (disable within-v max min)
           :use ((:instance average (x (val (car es) v)) (y (max-val (cdr es) v)) (w (part left (car ws))))
                 (:instance ray-sound (c (- (part left (car ws)) (ifix (car ps)))) (x (val (car es) v)) (b (at (car es) bs)))))
          ("Subgoal *1/1" :use ((:instance ray-sound (c (- left (ifix (car ps)))) (x (val (car es) v)) (b (at (car es) bs)))))))

; A guess of good weights: max(p, 0), cut off where the sum would exceed c; the rest goes to the member with the greatest lower bound.

(defun best-of (es bs k best most)
  (declare (xargs :guard (and (integerp k) (integerp most))))
  (cond ((atom es) best)
        ((or (not best) (< most (lo (at (car es) bs)))) (best-of (cdr es) bs (1+ k) k (lo (at (car es) bs))))
        (t (best-of (cdr es) bs (1+ k) best most))))

(defun weights-of (es ps left wanted best k)  ; wanted: what is left at the end
  (declare (xargs :guard (and (integerp left) (integerp wanted) (integerp k))))
  (if (atom es) nil
    (let* ((p (head ps)) (p (max 0 (int p))) (w (max 0 (min left p))))
      (cons (if (equal k best) (+ w (max 0 wanted)) w)
            (weights-of (cdr es) (tail ps) (- left w) wanted best (1+ k))))))

(defun asked (es ps)
  (declare (xargs :guard t))
  (if (atom es) 0 (+ (let ((p (head ps))) (max 0 (int p))) (asked (cdr es) (tail ps)))))

(defun max-constant (es ps c bs)
  (declare (xargs :guard (integerp c)))
  (if (< c 0) (max-below es ps c bs)
    (max-average es ps (weights-of es ps c (- c (asked es ps)) (best-of es bs 0 nil 0) 0) c bs)))

(defthm integerp-max-constant
  (implies (integerp c) (integerp (max-constant es ps c bs)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable max-below max-average))))

(defthm max-constant-sound
  (implies (and (within-v bs v) (consp es) (integerp c))
           (<= (max-constant es ps c bs) (- (* c (max-val es v)) (member-sum es ps v))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable max-below max-average max-val within-v)
           :use (max-below-sound
                 (:instance max-average-sound (left c)
                            (ws (weights-of es ps c (- c (asked es ps)) (best-of es bs 0 nil 0) 0)))))))

(in-theory (disable max-constant))

; ---------------------------------------------------------------- ends

(defun max-lo (es bs)
  (declare (xargs :guard t :verify-guards nil))
  (if (atom (tail es)) (lo (at (head es) bs)) (max (lo (at (head es) bs)) (max-lo (cdr es) bs))))

(defun max-hi (es bs)
  (declare (xargs :guard t :verify-guards nil))
  (if (atom (tail es)) (hi (at (head es) bs)) (max (hi (at (head es) bs)) (max-hi (cdr es) bs))))

(defthm integerp-max-lo (integerp (max-lo es bs)) :rule-classes :type-prescription)
(defthm integerp-max-hi (integerp (max-hi es bs)) :rule-classes :type-prescription)
(verify-guards max-lo)
(verify-guards max-hi)

(defthm max-ends
  (implies (within-v bs v)
           (and (<= (max-lo es bs) (max-val es v)) (<= (max-val es v) (max-hi es bs))))
  :rule-classes :linear
  :hints (("Goal" :induct (max-lo es bs) :in-theory (disable within-v))))
