; Intervals: from the bounds of the arguments of a node to its own.

(in-package "ACL2")
(include-book "backward")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

; ---------------------------------------------------------------- affine maps

(defun low-end (w b)                    ; the least w x within a bound
  (declare (xargs :guard (integerp w)))
  (if (< w 0) (* w (hi b)) (* w (lo b))))

(defun high-end (w b)                   ; the greatest
  (declare (xargs :guard (integerp w)))
  (if (< w 0) (* w (lo b)) (* w (hi b))))

(defthm integerp-low-end (implies (integerp w) (integerp (low-end w b))) :rule-classes :type-prescription)
(defthm integerp-high-end (implies (integerp w) (integerp (high-end w b))) :rule-classes :type-prescription)

(defthm ends-of-weight
  (implies (and (integerp w) (integerp x) (<= (lo b) x) (<= x (hi b)))
           (and (<= (low-end w b) (* w x)) (<= (* w x) (high-end w b))))
  :rule-classes nil
  :hints (("Goal" :nonlinearp t)))

(in-theory (disable low-end high-end))

(defun row-range (n row bs)             ; (lo . hi) of a row times values within bounds
  (declare (xargs :guard t :verify-guards nil :measure (+ (acl2-count row) (acl2-count bs))))
  (cond ((atom bs) (cons 0 0))
        ((posp n) (row-range (1- n) row (cdr bs)))
        ((atom row) (cons 0 0))
        ((consp (car row)) (row-range (nfix (caar row)) (cdr row) bs))
        (t (let ((r (row-range 0 (cdr row) (cdr bs))) (w (int (car row))) (b (car bs)))
             (cons (+ (low-end w b) (car r)) (+ (high-end w b) (cdr r)))))))

(defthm row-range-type
  (and (consp (row-range n row bs)) (integerp (car (row-range n row bs))) (integerp (cdr (row-range n row bs))))
  :rule-classes ((:type-prescription :corollary (consp (row-range n row bs)))
                 (:type-prescription :corollary (integerp (car (row-range n row bs))))
                 (:type-prescription :corollary (integerp (cdr (row-range n row bs))))))

(verify-guards row-range)

(defun row-range-ind (n row bs v)
  (declare (xargs :measure (+ (acl2-count row) (acl2-count bs))))
  (cond ((atom bs) (list n row bs v))
        ((posp n) (row-range-ind (1- n) row (cdr bs) (cdr v)))
        ((atom row) 0)
        ((consp (car row)) (row-range-ind (nfix (caar row)) (cdr row) bs v))
        (t (row-range-ind 0 (cdr row) (cdr bs) (cdr v)))))

(defthm row-range-sound
  (implies (within-v bs v)
           (and (<= (car (row-range n row bs)) (row-dot n row v)) (<= (row-dot n row v) (cdr (row-range n row bs)))))
  :rule-classes nil
  :hints (("Goal" :induct (row-range-ind n row bs v))
          ("Subgoal *1/5"
           :use ((:instance ends-of-weight (w (ifix (car row))) (x (ifix (car v))) (b (car bs)))))))

(defun add-row-ranges (rs rows bs)
  (declare (xargs :guard t :measure (+ (acl2-count rs) (acl2-count rows))))
  (cond ((atom rs) nil)
        ((and (consp rows) (posp (car rows))) (add-row-ranges rs (cdr rows) (after (car rows) bs)))
        (t (cons (let ((r (row-range 0 (head rows) bs))) (cons (+ (lo (car rs)) (car r)) (+ (hi (car rs)) (cdr r))))
                 (add-row-ranges (cdr rs) (tail rows) bs)))))

(defun rows-range-ind (rs ys rows bs v)
  (declare (xargs :measure (+ (acl2-count rs) (acl2-count rows))))
  (cond ((atom rs) (list ys rows bs v))
        ((and (consp rows) (posp (car rows))) (rows-range-ind rs ys (cdr rows) (after (car rows) bs) (after (car rows) v)))
        (t (rows-range-ind (cdr rs) (cdr ys) (cdr rows) bs v))))

(defun after-both (n a b) (if (and (posp n) (consp a) (consp b)) (after-both (1- n) (cdr a) (cdr b)) nil))

(defthm within-v-after
  (implies (within-v bs v) (within-v (after n bs) (after n v)))
  :hints (("Goal" :induct (after-both n bs v))))

(defthm add-row-ranges-sound
  (implies (and (within-v rs ys) (within-v bs v))
           (within-v (add-row-ranges rs rows bs) (add-rows ys rows v)))
  :hints (("Goal" :induct (rows-range-ind rs ys rows bs v) :in-theory (disable after))
          ("Subgoal *1/3" :use ((:instance row-range-sound (n 0) (row (car rows)))))))

(defun affine-range (rs terms bss)
  (declare (xargs :guard t))
  (if (atom terms) rs
    (affine-range (add-row-ranges rs (tail (car terms)) (at (head (car terms)) bss)) (cdr terms) bss)))

(defun affine-ind (rs ys terms bss env)
  (if (atom terms) (list rs ys)
    (affine-ind (add-row-ranges rs (cdr (car terms)) (at (car (car terms)) bss))
                (add-rows ys (cdr (car terms)) (at (car (car terms)) env)) (cdr terms) bss env)))

(defthm affine-range-sound
  (implies (and (within-v rs ys) (within bss env))
           (within-v (affine-range rs terms bss) (affine-val ys terms env)))
  :hints (("Goal" :induct (affine-ind rs ys terms bss env) :in-theory (disable within within-v))))

(defun points (ys)
  (declare (xargs :guard t))
  (if (atom ys) nil (cons (cons (int (car ys)) (int (car ys))) (points (cdr ys)))))

(defthm points-sound (within-v (points ys) (ints ys)))

; ---------------------------------------------------------------- other operations

(defun unary-range (f b)
  (declare (xargs :guard t))
  (if (staircase-p f)
      (cons (unary-val f (lo b)) (unary-val f (hi b)))
    (cons (least f 1 0 (lo b) (hi b)) (- (least f -1 0 (lo b) (hi b))))))

(defthm unary-range-sound
  (implies (and (integerp x) (<= (lo b) x) (<= x (hi b)))
           (and (<= (lo (unary-range f b)) (unary-val f x)) (<= (unary-val f x) (hi (unary-range f b)))))
  :rule-classes nil
  :hints (("Goal" :use ((:instance staircase-mono (a (lo b)) (b x)) (:instance staircase-mono (a x) (b (hi b)))
                        (:instance least-sound (c 1) (p 0) (lo (lo b)) (hi (hi b)))
                        (:instance least-sound (c -1) (p 0) (lo (lo b)) (hi (hi b)))))))

(in-theory (disable unary-range))

(defun each-range (fs bs)
  (declare (xargs :guard t))
  (if (atom fs) nil (cons (unary-range (car fs) (head bs)) (each-range (cdr fs) (tail bs)))))

(defun each-range-ind (fs bs v) (if (atom fs) (list bs v) (each-range-ind (cdr fs) (cdr bs) (cdr v))))

(defthm each-range-sound
  (implies (within-v bs v) (within-v (each-range fs bs) (each-val fs v)))
  :hints (("Goal" :induct (each-range-ind fs bs v) :in-theory (disable within-v))
          ("Subgoal *1/2" :expand ((:free (a b c d) (within-v (cons a b) (cons c d))))
           :use ((:instance unary-range-sound (f (car fs)) (b (car bs)) (x (ifix (car v))))))
          ("Subgoal *1/1" :in-theory (enable within-v))))

(defun product-range (xs ys)
  (declare (xargs :guard t))
  (if (atom xs) nil
    (cons (cons (corners 1 0 0 (car xs) (head ys)) (- (corners -1 0 0 (car xs) (head ys)))) (product-range (cdr xs) (tail ys)))))

(defun product-range-ind (xs ys x y)
  (if (or (atom xs) (atom x)) (list ys y) (product-range-ind (cdr xs) (cdr ys) (cdr x) (cdr y))))

(defthm product-range-sound
  (implies (and (within-v xs x) (within-v ys y)) (within-v (product-range xs ys) (product-val x y)))
  :hints (("Goal" :induct (product-range-ind xs ys x y) :in-theory (disable within-v corners))
          ("Subgoal *1/2" :expand ((within-v xs x) (:free (a b c d) (within-v (cons a b) (cons c d))))
           :use ((:instance corners-sound (c 1) (p 0) (q 0) (a (ifix (car x))) (b (ifix (car y))) (x (car xs)) (y (car ys)))
                 (:instance corners-sound (c -1) (p 0) (q 0) (a (ifix (car x))) (b (ifix (car y))) (x (car xs)) (y (car ys)))))
          ("Subgoal *1/1" :in-theory (enable within-v))))

(defun max-ranges (groups bs)
  (declare (xargs :guard t))
  (if (atom groups) nil (cons (cons (max-lo (car groups) bs) (max-hi (car groups) bs)) (max-ranges (cdr groups) bs))))

(defthm max-ranges-sound
  (implies (within-v bs v) (within-v (max-ranges groups bs) (max-vals groups v)))
  :hints (("Goal" :induct (max-ranges groups bs) :in-theory (disable within-v))
          ("Subgoal *1/2" :expand ((:free (a b c d) (within-v (cons a b) (cons c d)))))
          ("Subgoal *1/1" :in-theory (enable within-v))))

; ---------------------------------------------------------------- one node

(defun input-range (lower upper)
  (declare (xargs :guard t))
  (if (atom lower) nil (cons (cons (int (car lower)) (let ((x (head upper))) (int x))) (input-range (cdr lower) (tail upper)))))

(defthm input-range-sound
  (implies (bounded lower upper v) (within-v (input-range lower upper) v)))

(defun node-range (node bss)
  (declare (xargs :guard t))
  (case (head node)
    (:input (input-range (at 1 node) (at 2 node)))
    (:affine (affine-range (points (at 1 node)) (tail (tail node)) bss))
    (:product (product-range (at (at 1 node) bss) (at (at 2 node) bss)))
    (:maximum (max-ranges (tail (tail node)) (at (at 1 node) bss)))
    (otherwise (each-range (tail (tail node)) (at (at 1 node) bss)))))

(defthm node-range-sound
  (implies (and (value-ok node v env) (within bss env)) (within-v (node-range node bss) v))
  :hints (("Goal" :do-not-induct t :in-theory (e/d (value-ok) (at within within-v affine-range affine-val each-val max-vals product-val)))))

(in-theory (disable node-range))

; ---------------------------------------------------------------- bounds of all nodes

(defun start (program)                  ; before anything else is known
  (declare (xargs :guard t))
  (if (atom program) nil (let ((bss (start (cdr program)))) (cons (node-range (car program) bss) bss))))

(defun start-ind (program env) (if (atom program) (list env) (start-ind (cdr program) (cdr env))))

(defthm start-sound
  (implies (models program env) (within (start program) env))
  :hints (("Goal" :induct (start-ind program env) :in-theory (disable within-v))))

(defun meet (b r)
  (declare (xargs :guard t))
  (if (and (<= (lo r) (lo b)) (<= (hi b) (hi r))) b (cons (max (lo b) (lo r)) (min (hi b) (hi r)))))

(defun meets (bs rs)
  (declare (xargs :guard t))
  (if (or (atom bs) (atom rs)) bs (cons (meet (car bs) (car rs)) (meets (cdr bs) (cdr rs)))))

(defun meets-ind (bs rs v) (if (or (atom bs) (atom rs)) (list v) (meets-ind (cdr bs) (cdr rs) (cdr v))))

(defthm meets-sound
  (implies (and (within-v bs v) (within-v rs v)) (within-v (meets bs rs) v))
  :hints (("Goal" :induct (meets-ind bs rs v))))

(defun forward (marks program bss)      ; of the nodes that are marked, the last one first
  (declare (xargs :guard t))
  (if (or (atom marks) (atom program) (atom bss)) bss
    (let ((rest (forward (cdr marks) (cdr program) (cdr bss))))
      (cons (if (equal (car marks) 1) (meets (car bss) (node-range (car program) rest)) (car bss)) rest))))

(defun forward-ind (marks program bss env)
  (if (or (atom marks) (atom program) (atom bss)) (list env) (forward-ind (cdr marks) (cdr program) (cdr bss) (cdr env))))

(defthm forward-sound
  (implies (and (models program env) (within bss env)) (within (forward marks program bss) env))
  :hints (("Goal" :induct (forward-ind marks program bss env) :in-theory (disable within-v meets))))

(in-theory (disable start forward meets))
