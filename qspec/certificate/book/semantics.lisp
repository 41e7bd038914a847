; What a query means. Everything that the theorem rests on is on this page; the rest of the book is proved.
;
; A program is a list of nodes, the last one first. Each node has a value, a list of integers, that is computed from the values of the nodes
; before it. An argument is a number g: it skips g nodes, counted backwards from the node before.
;
;   (:input lower upper)               free integers, lower <= x <= upper
;   (:affine bias (g . rows) ...)      bias + rows . value, for each argument; a row is a list of weights, and of gaps (n) that skip n values;
;                                      a number n between rows skips n values for all rows after it
;   (:each g f ...)                    one function of one integer for each element: see `unary-val`
;   (:product g h)                     elementwise
;   (:maximum g (e ...) ...)           the greatest of some elements, for each group of them
;
; A formula is true of the values of all nodes; k counts nodes from the last one, e elements from the first.
;
;   (:ge k e)   (:all k)   (:any k)    element e, every element, some element of a value is at least zero
;   (:and f ...)   (:or f ...)         (:and) is true, (:or) is false
;
; Every function is total: what is missing or is no integer counts as zero.

(in-package "ACL2")

(defmacro head (x) `(mbe :logic (car ,x) :exec (if (consp ,x) (car ,x) nil)))
(defmacro tail (x) `(mbe :logic (cdr ,x) :exec (if (consp ,x) (cdr ,x) nil)))
(defmacro int (x) `(mbe :logic (ifix ,x) :exec (if (integerp ,x) ,x 0)))

; ---------------------------------------------------------------- lists

(defun at (k x)                         ; the k-th member, counted from 0
  (declare (xargs :guard t))
  (if (atom x) nil (if (posp k) (at (1- k) (cdr x)) (car x))))

(defun val (k v)
  (declare (xargs :guard t))
  (let ((x (at k v))) (int x)))

; ---------------------------------------------------------------- affine maps

(defun row-dot (n row v)                ; the sum of weight times value, after n values
  (declare (xargs :guard t :measure (+ (acl2-count row) (acl2-count v))))
  (cond ((atom v) 0)
        ((posp n) (row-dot (1- n) row (cdr v)))
        ((atom row) 0)
        ((consp (car row)) (row-dot (nfix (caar row)) (cdr row) v))
        (t (+ (* (int (car row)) (int (car v))) (row-dot 0 (cdr row) (cdr v))))))

(defthm integerp-row-dot (integerp (row-dot n row v)) :rule-classes :type-prescription)

(defun after (n v)                      ; a list without its first n members
  (declare (xargs :guard t))
  (if (and (posp n) (consp v)) (after (1- n) (cdr v)) v))

(defun add-rows (ys rows v)
  (declare (xargs :guard t :measure (+ (acl2-count ys) (acl2-count rows))))
  (cond ((atom ys) nil)
        ((and (consp rows) (posp (car rows))) (add-rows ys (cdr rows) (after (car rows) v)))
        (t (cons (+ (int (car ys)) (row-dot 0 (head rows) v)) (add-rows (cdr ys) (tail rows) v)))))

(defun affine-val (ys terms env)        ; ys: the bias, and what has been added to it
  (declare (xargs :guard t))
  (if (atom terms) ys
    (affine-val (add-rows ys (tail (car terms)) (at (head (car terms)) env)) (cdr terms) env)))

(defun ints (x)
  (declare (xargs :guard t))
  (if (atom x) nil (cons (int (car x)) (ints (cdr x)))))

; ---------------------------------------------------------------- functions of one integer
;
;   (:steps base threshold ...)        base + how many thresholds, up to the first that is not reached, are at most a
;   (:table first value ...)           value a - first; the first and the last value go on
;   (:wrap modulus least)              the number from least to least + modulus - 1 that differs from a by a multiple of the modulus
;   (:rescale n o d low high mode)     clamp(round((n a + o) / d), low, high); no clamp where it is no integer; n and d are positive

(defun steps-val (base ts a)
  (declare (xargs :guard (and (integerp base) (integerp a)) :measure (acl2-count ts)))
  (cond ((atom ts) (int base))
        ((< (int a) (int (car ts))) (int base))
        (t (steps-val (1+ (int base)) (cdr ts) a))))

(defun table-val (first values a)
  (declare (xargs :guard (and (integerp first) (integerp a)) :measure (acl2-count values)))
  (cond ((atom values) 0)
        ((or (atom (cdr values)) (<= (int a) (int first))) (int (car values)))
        (t (table-val (1+ (int first)) (cdr values) a))))

(defun pos (x)
  (declare (xargs :guard t))
  (if (posp x) x 1))

(defun wrap-val (modulus least a)
  (declare (xargs :guard (integerp a)))
  (- a (* (pos modulus) (floor (- a (int least)) (pos modulus)))))

(defun up (x d)                         ; x / d, d > 0, to nearest, halves up
  (declare (xargs :guard (and (integerp x) (posp d))))
  (floor (+ (* 2 x) d) (* 2 d)))

(defun down (x d)                       ; halves down
  (declare (xargs :guard (and (integerp x) (posp d))))
  (- (floor (- d (* 2 x)) (* 2 d))))

(defun round-ratio (x d mode)
  (declare (xargs :guard (and (integerp x) (posp d))))
  (case mode
    (:trn (floor x d))                                       ; down
    (:trn-zero (if (<= 0 x) (floor x d) (- (floor (- x) d)))) ; towards zero
    (:rnd-min-inf (down x d))                                ; to nearest, and halves: down,
    (:rnd-zero (if (<= 0 x) (down x d) (up x d)))            ; towards zero,
    (:rnd-inf (if (<= 0 x) (up x d) (down x d)))             ; away from zero,
    (:rnd-conv (if (evenp (up x d)) (up x d) (down x d)))    ; to even,
    (otherwise (up x d))))                                   ; up (:rnd)

(defun clamp (x low high)
  (declare (xargs :guard (integerp x)))
  (let ((x (if (integerp low) (max x low) x))) (if (integerp high) (min x high) x)))

(defun rescale-val (n o d low high mode a)
  (declare (xargs :guard (integerp a) :verify-guards nil))
  (clamp (round-ratio (+ (* (pos n) a) (int o)) (pos d) mode) low high))

(defun unary-val (f a)
  (declare (xargs :guard (integerp a) :verify-guards nil))
  (case (head f)
    (:steps (steps-val (val 1 f) (tail (tail f)) a))
    (:table (table-val (val 1 f) (tail (tail f)) a))
    (:wrap (wrap-val (at 1 f) (at 2 f) a))
    (otherwise (rescale-val (at 1 f) (at 2 f) (at 3 f) (at 4 f) (at 5 f) (at 6 f) a))))

; ---------------------------------------------------------------- nodes

(defun each-val (fs v)
  (declare (xargs :guard t :verify-guards nil))
  (if (atom fs) nil (cons (unary-val (car fs) (int (head v))) (each-val (cdr fs) (tail v)))))

(defun product-val (x y)
  (declare (xargs :guard t))
  (if (atom x) nil (cons (* (int (car x)) (int (head y))) (product-val (cdr x) (tail y)))))

(defun max-val (es v)                   ; the greatest of some elements
  (declare (xargs :guard t :verify-guards nil))
  (if (atom (tail es)) (val (head es) v) (max (val (head es) v) (max-val (cdr es) v))))

(defun max-vals (groups v)
  (declare (xargs :guard t :verify-guards nil))
  (if (atom groups) nil (cons (max-val (car groups) v) (max-vals (cdr groups) v))))

(defun node-val (node env)              ; of a node that is no input
  (declare (xargs :guard t :verify-guards nil))
  (case (head node)
    (:affine (affine-val (ints (at 1 node)) (tail (tail node)) env))
    (:product (product-val (at (at 1 node) env) (at (at 2 node) env)))
    (:maximum (max-vals (tail (tail node)) (at (at 1 node) env)))
    (otherwise (each-val (tail (tail node)) (at (at 1 node) env)))))

; ---------------------------------------------------------------- programs and formulas

(defun run (program inputs)             ; the values of all nodes, given those of the inputs, both with the last one first
  (declare (xargs :guard t :verify-guards nil))
  (cond ((atom program) nil)
        ((equal (head (car program)) :input) (cons (head inputs) (run (cdr program) (tail inputs))))
        (t (let ((env (run (cdr program) inputs))) (cons (node-val (car program) env) env)))))

(defun bounded (lower upper v)          ; v has one integer for each bound
  (declare (xargs :guard t))
  (if (atom lower) (null v)
    (and (consp v) (integerp (car v))
         (<= (int (car lower)) (car v)) (<= (car v) (int (head upper)))
         (bounded (cdr lower) (tail upper) (cdr v)))))

(defun inputs-ok (program inputs)
  (declare (xargs :guard t))
  (cond ((atom program) t)
        ((equal (head (car program)) :input)
         (and (bounded (at 1 (car program)) (at 2 (car program)) (head inputs))
              (inputs-ok (cdr program) (tail inputs))))
        (t (inputs-ok (cdr program) inputs))))

(defun every-ge (v)
  (declare (xargs :guard t))
  (if (atom v) t (and (<= 0 (int (car v))) (every-ge (cdr v)))))

(defun some-ge (v)
  (declare (xargs :guard t))
  (if (atom v) nil (or (<= 0 (int (car v))) (some-ge (cdr v)))))

(mutual-recursion
 (defun ftrue (f env)
   (declare (xargs :guard t))
   (case (head f)
     (:ge (<= 0 (val (at 2 f) (at (at 1 f) env))))
     (:all (every-ge (at (at 1 f) env)))
     (:any (some-ge (at (at 1 f) env)))
     (:and (all-true (tail f) env))
     (:or (some-true (tail f) env))
     (otherwise nil)))
 (defun all-true (fs env)
   (declare (xargs :guard t))
   (if (atom fs) t (and (ftrue (car fs) env) (all-true (cdr fs) env))))
 (defun some-true (fs env)
   (declare (xargs :guard t))
   (if (atom fs) nil (or (ftrue (car fs) env) (some-true (cdr fs) env)))))

; ---------------------------------------------------------------- everything is an integer, and can be computed

(defthm integerp-steps-val (integerp (steps-val base ts a)) :rule-classes :type-prescription)
(defthm integerp-table-val (integerp (table-val first values a)) :rule-classes :type-prescription)
(defthm pos-positive (and (integerp (pos x)) (< 0 (pos x))) :rule-classes :type-prescription)
(defthm integerp-at-val (integerp (val k v)) :rule-classes :type-prescription)
