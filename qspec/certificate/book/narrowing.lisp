; What is known of a domain - bounds of all nodes, and formulas - and how more follows from it.

(in-package "ACL2")
(include-book "forward")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

; ---------------------------------------------------------------- narrower bounds

(defthm meet-sound
  (implies (and (<= (lo b) x) (<= x (hi b)) (<= (lo r) x) (<= x (hi r)))
           (and (<= (lo (meet b r)) x) (<= x (hi (meet b r)))))
  :hints (("Goal" :in-theory (enable meet))))

(in-theory (disable meet))

(defun narrow-v (e r bs)                ; element e is within r
  (declare (xargs :guard t))
  (cond ((atom bs) bs)
        ((posp e) (cons (car bs) (narrow-v (1- e) r (cdr bs))))
        (t (cons (meet (car bs) r) (cdr bs)))))

(defthm narrow-v-sound
  (implies (and (within-v bs v) (<= (lo r) (val e v)) (<= (val e v) (hi r)))
           (within-v (narrow-v e r bs) v))
  :hints (("Goal" :induct (at-both e bs v) :in-theory (enable val))))

(defun from-product (c b old)           ; the bound of x that follows from c x >= b
  (declare (xargs :guard (and (integerp c) (integerp b))))
  (cond ((< 0 c) (cons (ceil b c) (hi old)))
        ((< c 0) (cons (lo old) (- (ceil b (- c)))))
        (t old)))

(defthm from-product-sound
  (implies (and (integerp c) (integerp b) (integerp x) (<= b (* c x)) (<= (lo old) x) (<= x (hi old)))
           (and (<= (lo (from-product c b old)) x) (<= x (hi (from-product c b old)))))
  :hints (("Goal" :use ((:instance ceil-below (x x)) (:instance ceil-below (x (- x)) (c (- c)))))))

(in-theory (disable from-product))

(defun narrowed-v (e c b bs)            ; c times element e is at least b
  (declare (xargs :guard (and (integerp c) (integerp b))))
  (narrow-v e (from-product c b (at e bs)) bs))

(defthm narrowed-v-sound
  (implies (and (within-v bs v) (integerp c) (integerp b) (<= b (* c (val e v))))
           (within-v (narrowed-v e c b bs) v)))

(in-theory (disable narrowed-v))

(defun narrowed (k e c b bss)
  (declare (xargs :guard (and (integerp c) (integerp b))))
  (cond ((atom bss) bss)
        ((posp k) (cons (car bss) (narrowed (1- k) e c b (cdr bss))))
        (t (cons (narrowed-v e c b (car bss)) (cdr bss)))))

(defthm narrowed-sound
  (implies (and (within bss env) (integerp c) (integerp b) (<= b (* c (val e (at k env)))))
           (within (narrowed k e c b bss) env))
  :hints (("Goal" :induct (at-both k bss env) :in-theory (disable within-v))))

; ---------------------------------------------------------------- contradictions

(defun empty-v (bs)
  (declare (xargs :guard t))
  (if (atom bs) nil (or (< (hi (car bs)) (lo (car bs))) (empty-v (cdr bs)))))

(defun empty-p (bss)
  (declare (xargs :guard t))
  (if (atom bss) nil (or (empty-v (car bss)) (empty-p (cdr bss)))))

(defun both-ind (a b) (if (or (atom a) (atom b)) (list a b) (both-ind (cdr a) (cdr b))))

(defthm empty-v-sound (implies (empty-v bs) (not (within-v bs v)))
  :hints (("Goal" :induct (both-ind bs v))))
(defthm empty-p-sound (implies (empty-p bss) (not (within bss env)))
  :hints (("Goal" :induct (both-ind bss env) :in-theory (disable within-v))))

; ---------------------------------------------------------------- facts: formulas that say what is at least zero

(defun raised (bs)                      ; every element is at least zero
  (declare (xargs :guard t))
  (if (atom bs) bs (cons (meet (car bs) (cons 0 (hi (car bs)))) (raised (cdr bs)))))

(defthm raised-sound
  (implies (and (within-v bs v) (every-ge v)) (within-v (raised bs) v))
  :hints (("Goal" :induct (both-ind bs v))))

(defun raised-at (k bss)
  (declare (xargs :guard t))
  (cond ((atom bss) bss)
        ((posp k) (cons (car bss) (raised-at (1- k) (cdr bss))))
        (t (cons (raised (car bss)) (cdr bss)))))

(defthm raised-at-sound
  (implies (and (within bss env) (every-ge (at k env))) (within (raised-at k bss) env))
  :hints (("Goal" :induct (at-both k bss env) :in-theory (disable within-v raised every-ge))))

(defun with-facts (fs bss)
  (declare (xargs :guard t))
  (if (atom fs) bss
    (with-facts (cdr fs)
      (case (head (car fs))
        (:ge (narrowed (at 1 (car fs)) (at 2 (car fs)) 1 0 bss))
        (:all (raised-at (at 1 (car fs)) bss))
        (otherwise bss)))))

(defthm with-facts-sound
  (implies (and (within bss env) (all-true fs env)) (within (with-facts fs bss) env))
  :hints (("Goal" :induct (with-facts fs bss) :in-theory (disable within at narrowed raised-at every-ge))))

(defun known (f g fs)                   ; f is (:ge k e), g is (:all k)
  (declare (xargs :guard t))
  (if (atom fs) nil (or (equal (car fs) f) (equal (car fs) g) (known f g (cdr fs)))))

(defun weighted (ws fs css)             ; css less weight times fact, for each ((k e) . weight); nil if something is wrong
  (declare (xargs :guard t))
  (if (atom ws) css
    (let* ((k (at 0 (head (car ws)))) (e (at 1 (head (car ws)))) (w (tail (car ws))))
      (if (and (natp w) (known (list :ge k e) (list :all k) fs))
          (weighted (cdr ws) fs (put k (add-unit e (- w) (at k css)) css))
        :wrong))))

(defthm every-ge-val (implies (every-ge v) (<= 0 (val e v)))
  :rule-classes (:rewrite :linear)
  :hints (("Goal" :induct (at e v) :in-theory (enable val))))

(defthm known-true
  (implies (and (all-true fs env) (known (list :ge k e) (list :all k) fs)) (<= 0 (val e (at k env))))
  :rule-classes nil
  :hints (("Goal" :induct (known (list :ge k e) (list :all k) fs) :in-theory (disable every-ge))))

(defthm weighted-sound
  (implies (and (all-true fs env) (not (equal (weighted ws fs css) :wrong)))
           (<= (total (weighted ws fs css) env) (total css env)))
  :rule-classes nil
  :hints (("Goal" :induct (weighted ws fs css) :in-theory (e/d (val) (at total all-true known put add-unit)))
          ("Subgoal *1/2" :use ((:instance known-true (k (at 0 (caar ws))) (e (at 1 (caar ws))))
                                (:instance times-mono (n (cdar ws)) (a 0) (b (val (at 1 (caar ws)) (at (at 0 (caar ws)) env))))))))

(in-theory (disable weighted))

; ---------------------------------------------------------------- rows with one entry, backwards

(defun zeros-p (row)
  (declare (xargs :guard t))
  (cond ((atom row) t)
        ((or (consp (car row)) (equal (int (car row)) 0)) (zeros-p (cdr row)))
        (t nil)))

(defun single (n row)                   ; (column . weight) if a row has no other entry, else nil
  (declare (xargs :guard (natp n)))
  (cond ((atom row) nil)
        ((consp (car row)) (single (+ n (nfix (caar row))) (cdr row)))
        ((equal (int (car row)) 0) (single (1+ n) (cdr row)))
        ((zeros-p (cdr row)) (cons n (car row)))
        (t nil)))

(defthm zeros-dot (implies (zeros-p row) (equal (row-dot n row v) 0))
  :hints (("Goal" :induct (row-dot n row v))))

(defthm single-column
  (implies (and (natp n) (single n row))
           (and (integerp (car (single n row))) (<= n (car (single n row))) (integerp (cdr (single n row)))))
  :rule-classes ((:type-prescription :corollary (implies (and (natp n) (single n row)) (integerp (car (single n row)))))
                 (:type-prescription :corollary (implies (and (natp n) (single n row)) (integerp (cdr (single n row)))))
                 (:linear :corollary (implies (and (natp n) (single n row)) (<= n (car (single n row)))))))

(defun single-ind (n m row v)           ; m values are still to be skipped
  (declare (xargs :measure (+ (acl2-count row) (acl2-count v))))
  (cond ((atom v) (list n m row))
        ((posp m) (single-ind (1+ n) (1- m) row (cdr v)))
        ((atom row) 0)
        ((consp (car row)) (single-ind n (nfix (caar row)) (cdr row) v))
        (t (single-ind (1+ n) 0 (cdr row) (cdr v)))))

(defthm single-dot
  (implies (and (natp n) (natp m) (single (+ n m) row))
           (equal (row-dot m row v)
                  (* (cdr (single (+ n m) row)) (val (- (car (single (+ n m) row)) n) v))))
  :rule-classes nil
  :hints (("Goal" :induct (single-ind n m row v) :in-theory (enable val))))

(defun solved (r s bs xs)               ; bounds xs of what a row reads, from bounds r of what is added, entry s and bounds bs of the sum
  (declare (xargs :guard (and (consp s) (integerp (cdr s)))))
  (narrowed-v (car s) (cdr s) (- (lo bs) (hi r)) (narrowed-v (car s) (- (cdr s)) (- (lo r) (hi bs)) xs)))

(defthm solved-sound
  (implies (and (within-v xs v) (integerp b) (<= (lo r) b) (<= b (hi r)) (integerp (cdr s))
                (<= (lo bs) (+ b (* (cdr s) (val (car s) v)))) (<= (+ b (* (cdr s) (val (car s) v))) (hi bs)))
           (within-v (solved r s bs xs) v))
  :rule-classes nil)

(in-theory (disable solved))

(defthm solved-row
  (implies (and (within-v xs v) (integerp b) (<= (lo r) b) (<= b (hi r)) (single 0 row)
                (<= (lo bs) (+ b (row-dot 0 row v))) (<= (+ b (row-dot 0 row v)) (hi bs)))
           (within-v (solved r (single 0 row) bs xs) v))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable single row-dot within-v)
           :use ((:instance single-dot (n 0) (m 0)) (:instance solved-sound (s (single 0 row)))))))

(defun before (n xs rest)               ; the first n members of xs, and the rest if there is more
  (declare (xargs :guard t))
  (if (and (posp n) (consp xs)) (cons (car xs) (before (1- n) (cdr xs) rest)) rest))

(defthm before-sound
  (implies (and (within-v xs v) (within-v rest (after n v))) (within-v (before n xs rest) v))
  :hints (("Goal" :induct (after-both n xs v))))

(defun invert-rows (rs rows bs xs)
  (declare (xargs :guard t :measure (+ (acl2-count rs) (acl2-count rows))))
  (cond ((atom rs) xs)
        ((and (consp rows) (posp (car rows))) (before (car rows) xs (invert-rows rs (cdr rows) bs (after (car rows) xs))))
        (t (let ((s (single 0 (head rows))))
             (invert-rows (cdr rs) (tail rows) (tail bs) (if s (solved (car rs) s (head bs) xs) xs))))))

(defun invert-rows-ind (rs zs rows bs xs v)
  (declare (xargs :measure (+ (acl2-count rs) (acl2-count rows))))
  (cond ((or (atom rs) (atom zs)) (list rows bs xs v))
        ((and (consp rows) (posp (car rows))) (invert-rows-ind rs zs (cdr rows) bs (after (car rows) xs) (after (car rows) v)))
        (t (let ((s (single 0 (car rows))))
             (invert-rows-ind (cdr rs) (cdr zs) (cdr rows) (cdr bs) (if s (solved (car rs) s (car bs) xs) xs) v)))))

(defthm invert-rows-sound
  (implies (and (within-v xs v) (within-v rs zs) (within-v bs (add-rows zs rows v))) (within-v (invert-rows rs rows bs xs) v))
  :hints (("Goal" :induct (invert-rows-ind rs zs rows bs xs v) :in-theory (disable single after before))
          ("Subgoal *1/3" :in-theory (disable single after before row-dot)
           :use ((:instance solved-row (b (ifix (car zs))) (r (car rs)) (bs (car bs)) (row (car rows)))))))

(defun swap-ind (ys rows v others w)
  (declare (xargs :measure (+ (acl2-count ys) (acl2-count rows) (acl2-count others))))
  (cond ((atom ys) (list v w))
        ((and (consp rows) (posp (car rows))) (swap-ind ys (cdr rows) (after (car rows) v) others w))
        ((and (consp others) (posp (car others))) (swap-ind ys rows v (cdr others) (after (car others) w)))
        (t (swap-ind (cdr ys) (cdr rows) v (cdr others) w))))

(defthm add-rows-swap
  (equal (add-rows (add-rows ys rows v) others w) (add-rows (add-rows ys others w) rows v))
  :rule-classes nil
  :hints (("Goal" :induct (swap-ind ys rows v others w) :in-theory (disable after))))

(defthm affine-val-swap                 ; it does not matter which argument comes first
  (equal (affine-val (add-rows ys rows v) terms env) (add-rows (affine-val ys terms env) rows v))
  :hints (("Goal" :induct (affine-val ys terms env))
          ("Subgoal *1/2" :use ((:instance add-rows-swap (others (cdr (car terms))) (w (at (car (car terms)) env)))))))

(defun with-bounds (k bs bss)
  (declare (xargs :guard t))
  (cond ((atom bss) bss)
        ((posp k) (cons (car bss) (with-bounds (1- k) bs (cdr bss))))
        (t (cons bs (cdr bss)))))

(defthm with-bounds-sound
  (implies (and (within bss env) (within-v bs (at k env))) (within (with-bounds k bs bss) env))
  :hints (("Goal" :induct (at-both k bss env) :in-theory (disable within-v))))

(defun invert-node (node bs bss)        ; bounds bs of an affine node narrow those of its first argument
  (declare (xargs :guard t))
  (let* ((terms (tail (tail node))) (term (head terms)) (g (head term)))
    (if (and (equal (head node) :affine) (consp terms))
        (with-bounds g (invert-rows (affine-range (points (at 1 node)) (cdr terms) bss) (tail term) bs (at g bss)) bss)
      bss)))

(defthm invert-node-sound
  (implies (and (value-ok node v env) (within-v bs v) (within bss env)) (within (invert-node node bs bss) env))
  :hints (("Goal" :do-not-induct t
           :in-theory (e/d (value-ok) (at with-bounds within within-v invert-rows invert-rows-sound affine-range add-rows ints points))
           :use ((:instance invert-rows-sound (rs (affine-range (points (at 1 node)) (cdr (cddr node)) bss))
                            (zs (affine-val (ints (at 1 node)) (cdr (cddr node)) env)) (rows (cdr (car (cddr node))))
                            (v (at (car (car (cddr node))) env)) (xs (at (car (car (cddr node))) bss)))))))

(in-theory (disable invert-node))

(defun invert (k program bss)
  (declare (xargs :guard t))
  (cond ((or (atom program) (atom bss)) bss)
        ((posp k) (cons (car bss) (invert (1- k) (cdr program) (cdr bss))))
        (t (cons (car bss) (invert-node (car program) (car bss) (cdr bss))))))

(defun invert-ind (k program bss env)
  (cond ((or (atom program) (atom bss)) env) ((posp k) (invert-ind (1- k) (cdr program) (cdr bss) (cdr env))) (t nil)))

(defthm invert-sound
  (implies (and (models program env) (within bss env)) (within (invert k program bss) env))
  :hints (("Goal" :induct (invert-ind k program bss env) :in-theory (disable within-v))))

(in-theory (disable invert))

; ---------------------------------------------------------------- derivations

(defun unit (k e c) (declare (xargs :guard (integerp c))) (put k (add-unit e c nil) nil))

(defthm total-unit
  (implies (integerp c) (equal (total (unit k e c) env) (* c (val e (at k env)))))
  :hints (("Goal" :in-theory (e/d (val) (put add-unit at)))))

(in-theory (disable unit))

(defun bounded-by (k e c css program bss mss bits)   ; css is at most c times element e of node k
  (declare (xargs :guard (and (integerp c) (natp bits))))
  (narrowed k e c (lower-bound program css bss mss bits 0) bss))

(defthm bounded-by-sound
  (implies (and (models program env) (within bss env) (integerp c) (<= (total css env) (* c (val e (at k env)))))
           (within (bounded-by k e c css program bss mss bits) env))
  :hints (("Goal" :do-not-induct t :in-theory (disable narrowed within models total)
           :use ((:instance lower-bound-sound (sum 0))))))

(in-theory (disable bounded-by))

(defun differs (readers e lo hi program)    ; whether some staircase that reads an element has two values at its bounds
  (declare (xargs :guard (and (integerp lo) (integerp hi))))
  (if (atom readers) nil
    (let ((f (at e (let ((node (at (car readers) program))) (tail (tail node))))))
      (or (not (equal (unary-val f lo) (unary-val f hi))) (differs (cdr readers) e lo hi program)))))

; Elements es of node k, from both sides. An element is left alone if it is fixed or if each of its readers, where these are all
; staircases, has one value.
(defun tighten (k es readers c program bss mss bits)
  (declare (xargs :guard (and (integerp c) (natp bits))))
  (if (atom es) bss
    (let* ((b (at (car es) (at k bss))) (lo (lo b)) (hi (hi b)))
      (if (or (equal lo hi) (and (consp readers) (not (differs readers (car es) lo hi program))))
          (tighten k (cdr es) readers c program bss mss bits)
        (let* ((bss (bounded-by k (car es) c (unit k (car es) c) program bss mss bits))
               (bss (bounded-by k (car es) (- c) (unit k (car es) (- c)) program bss mss bits)))
          (tighten k (cdr es) readers c program bss mss bits))))))

(defthm tighten-sound
  (implies (and (models program env) (within bss env) (integerp c))
           (within (tighten k es readers c program bss mss bits) env))
  :hints (("Goal" :induct (tighten k es readers c program bss mss bits) :in-theory (disable within models val at differs))))

(in-theory (disable tighten))

(defun refuted-p (ws fs program bss mss bits)        ; whether weighted facts cannot all be true
  (declare (xargs :guard (natp bits)))
  (let ((css (weighted ws fs nil)))
    (and (not (equal css :wrong)) (< 0 (lower-bound program css bss mss bits 0)))))

(defthm refuted-p-sound
  (implies (and (models program env) (within bss env) (refuted-p ws fs program bss mss bits))
           (not (all-true fs env)))
  :hints (("Goal" :do-not-induct t :in-theory (disable within models)
           :use ((:instance lower-bound-sound (css (weighted ws fs nil)) (sum 0)) (:instance weighted-sound (css nil))))))

(in-theory (disable refuted-p))
