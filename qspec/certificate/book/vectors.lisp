; Weighted sums of all values, bounds of all values, and what maps do to both.

(in-package "ACL2")
(include-book "conjugate")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

; ---------------------------------------------------------------- bounds: pairs (lo . hi), one for each element of each node

(defun lo (b) (declare (xargs :guard t)) (let ((x (head b))) (int x)))
(defun hi (b) (declare (xargs :guard t)) (let ((x (tail b))) (int x)))

(defthm integerp-lo (integerp (lo b)) :rule-classes :type-prescription)
(defthm integerp-hi (integerp (hi b)) :rule-classes :type-prescription)
(defthm nothing-is-zero (and (equal (lo nil) 0) (equal (hi nil) 0)))
(defthm lo-of-cons (equal (lo (cons a b)) (ifix a)))
(defthm hi-of-cons (equal (hi (cons a b)) (ifix b)))
(in-theory (disable lo hi))

(defun in-p (b x)                       ; x is within a bound
  (declare (xargs :guard (integerp x)))
  (and (<= (lo b) x) (<= x (hi b))))

(defun within-v (bs v)
  (declare (xargs :guard t))
  (if (or (atom bs) (atom v)) (and (atom bs) (atom v))
    (and (in-p (car bs) (int (car v))) (within-v (cdr bs) (cdr v)))))

(defun within (bss env)
  (declare (xargs :guard t))
  (if (or (atom bss) (atom env)) (and (atom bss) (atom env))
    (and (within-v (car bss) (car env)) (within (cdr bss) (cdr env)))))

(defun at-both (k a b)
  (if (or (atom a) (atom b)) (list k a b) (if (posp k) (at-both (1- k) (cdr a) (cdr b)) nil)))

(defthm within-v-at
  (implies (within-v bs v) (and (<= (lo (at k bs)) (ifix (at k v))) (<= (ifix (at k v)) (hi (at k bs)))))
  :rule-classes (:rewrite :linear)
  :hints (("Goal" :induct (at-both k bs v))))

(defthm within-at
  (implies (within bss env) (within-v (at k bss) (at k env)))
  :hints (("Goal" :induct (at-both k bss env))))

(defthm at-of-atom (implies (atom x) (equal (at k x) nil)))

; ---------------------------------------------------------------- sums: of one value, and of all

(defun dot (cs v)
  (declare (xargs :guard t))
  (if (atom v) 0 (+ (* (int (head cs)) (int (car v))) (dot (tail cs) (cdr v)))))

(defun total (css env)
  (declare (xargs :guard t))
  (if (atom env) 0 (+ (dot (head css) (car env)) (total (tail css) (cdr env)))))

(defthm integerp-dot (integerp (dot cs v)) :rule-classes :type-prescription)
(defthm integerp-total (integerp (total css env)) :rule-classes :type-prescription)
(defthm dot-nil (implies (atom cs) (equal (dot cs v) 0)))
(defthm total-nil (implies (atom css) (equal (total css env) 0)))

(defun put (k x l)                      ; a list with its k-th member replaced
  (declare (xargs :guard t))
  (if (posp k) (cons (head l) (put (1- k) x (tail l))) (cons x (tail l))))

(defun put-ind (k css env)
  (if (atom env) (list k css) (if (posp k) (put-ind (1- k) (cdr css) (cdr env)) nil)))

(defthm total-put
  (equal (total (put k x css) env)
         (+ (total css env) (- (dot (at k css) (at k env))) (dot x (at k env))))
  :hints (("Goal" :induct (put-ind k css env))))

; ---------------------------------------------------------------- adding to coefficients

(defun add-row (n c row cs)             ; cs + c row, the row after n elements
  (declare (xargs :guard (integerp c) :measure (make-ord 1 (1+ (acl2-count row)) (nfix n))))
  (cond ((posp n) (cons (head cs) (add-row (1- n) c row (tail cs))))
        ((atom row) cs)
        ((consp (car row)) (add-row (nfix (caar row)) c (cdr row) cs))
        (t (cons (+ (int (head cs)) (* (int c) (int (car row)))) (add-row 0 c (cdr row) (tail cs))))))

(defun add-row-ind (n row cs v)
  (declare (xargs :measure (+ (acl2-count row) (acl2-count v))))
  (cond ((atom v) (list n row cs v))
        ((posp n) (add-row-ind (1- n) row (cdr cs) (cdr v)))
        ((atom row) 0)
        ((consp (car row)) (add-row-ind (nfix (caar row)) (cdr row) cs v))
        (t (add-row-ind 0 (cdr row) (cdr cs) (cdr v)))))

(defthm dot-add-row
  (equal (dot (add-row n c row cs) v) (+ (dot cs v) (* (ifix c) (row-dot n row v))))
  :hints (("Goal" :induct (add-row-ind n row cs v))))

(defun add-unit (k c cs)                ; cs, and c at element k
  (declare (xargs :guard (integerp c)))
  (cond ((posp k) (cons (head cs) (add-unit (1- k) c (tail cs))))
        (t (cons (+ (int (head cs)) (int c)) (tail cs)))))

(defthm dot-add-unit
  (equal (dot (add-unit k c cs) v) (+ (dot cs v) (* (ifix c) (ifix (at k v)))))
  :hints (("Goal" :induct (put-ind k cs v))))

(defun add-list (ps cs)
  (declare (xargs :guard t))
  (if (atom ps) cs (cons (+ (int (car ps)) (int (head cs))) (add-list (cdr ps) (tail cs)))))

(defun add-list-ind (ps cs v)
  (if (or (atom ps) (atom v)) (list ps cs v) (add-list-ind (cdr ps) (cdr cs) (cdr v))))

(defthm dot-add-list
  (equal (dot (add-list ps cs) v) (+ (dot ps v) (dot cs v)))
  :hints (("Goal" :induct (add-list-ind ps cs v))))

; ---------------------------------------------------------------- affine maps backwards

(defun onto (n cs rest)                 ; the first n members of cs, and the rest
  (declare (xargs :guard t))
  (if (posp n) (cons (head cs) (onto (1- n) (tail cs) rest)) rest))

(defun pull (ys cs rows acc)            ; acc + the sum of coefficient times row
  (declare (xargs :guard t :measure (+ (acl2-count ys) (acl2-count rows))))
  (cond ((atom ys) acc)
        ((and (consp rows) (posp (car rows))) (onto (car rows) acc (pull ys cs (cdr rows) (after (car rows) acc))))
        (t (pull (cdr ys) (tail cs) (tail rows)
                 (let ((c (head cs))) (if (or (not (integerp c)) (equal c 0)) acc (add-row 0 c (head rows) acc)))))))

(defun pull-ind (ys cs rows acc v)
  (declare (xargs :measure (+ (acl2-count ys) (acl2-count rows))))
  (cond ((atom ys) (list acc v))
        ((and (consp rows) (posp (car rows))) (pull-ind ys cs (cdr rows) (after (car rows) acc) (after (car rows) v)))
        (t (pull-ind (cdr ys) (cdr cs) (cdr rows)
                     (let ((c (car cs))) (if (or (not (integerp c)) (equal c 0)) acc (add-row 0 c (car rows) acc))) v))))

(defun onto-ind (n cs v) (if (and (posp n) (consp v)) (onto-ind (1- n) (cdr cs) (cdr v)) (list cs)))

(defthm dot-onto                        ; what is put after n members counts for the values after n
  (equal (dot (onto n acc rest) v)
         (+ (dot acc v) (- (dot (after n acc) (after n v))) (dot rest (after n v))))
  :hints (("Goal" :induct (onto-ind n acc v))))

(defthm dot-pull
  (equal (dot (pull ys cs rows acc) v)
         (+ (dot acc v) (- (dot cs ys)) (dot cs (add-rows ys rows v))))
  :hints (("Goal" :induct (pull-ind ys cs rows acc v) :in-theory (disable after))))

(defun rows-ind (ys zs cs rows v)
  (declare (xargs :measure (+ (acl2-count ys) (acl2-count rows))))
  (cond ((or (atom ys) (atom zs)) (list cs v))
        ((and (consp rows) (posp (car rows))) (rows-ind ys zs cs (cdr rows) (after (car rows) v)))
        (t (rows-ind (cdr ys) (cdr zs) (cdr cs) (cdr rows) v))))

(defthm rows-of-any                     ; what rows add does not depend on what they are added to
  (implies (equal (len ys) (len zs))
           (equal (- (dot cs (add-rows ys rows v)) (dot cs ys)) (- (dot cs (add-rows zs rows v)) (dot cs zs))))
  :rule-classes nil
  :hints (("Goal" :induct (rows-ind ys zs cs rows v) :in-theory (disable after))))

(defun touched (cs)                     ; coefficients of a node that something has reached
  (declare (xargs :guard t))
  (if (atom cs) (list 0) cs))

(defthm dot-touched (equal (dot (touched cs) v) (dot cs v)))
(in-theory (disable touched))

(defun pull-terms (ys cs terms css)
  (declare (xargs :guard t))
  (if (atom terms) css
    (let ((g (head (car terms))))
      (pull-terms ys cs (cdr terms) (put g (pull ys cs (tail (car terms)) (touched (at g css))) css)))))

(defthm len-add-rows (equal (len (add-rows ys rows v)) (len ys)))

(defun pull-terms-ind (ys zs cs terms css env)
  (if (atom terms) (list ys zs cs css)
    (let ((g (car (car terms))))
      (pull-terms-ind ys (add-rows zs (cdr (car terms)) (at g env)) cs (cdr terms)
                      (put g (pull ys cs (cdr (car terms)) (touched (at g css))) css) env))))

(defthm total-pull-terms
  (implies (equal (len ys) (len zs))
           (equal (total (pull-terms ys cs terms css) env)
                  (+ (total css env) (- (dot cs zs)) (dot cs (affine-val zs terms env)))))
  :rule-classes nil
  :hints (("Goal" :induct (pull-terms-ind ys zs cs terms css env))
          ("Subgoal *1/2" :use ((:instance rows-of-any (rows (cdr (car terms))) (v (at (car (car terms)) env)))))))
