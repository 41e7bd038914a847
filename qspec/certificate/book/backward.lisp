; The one inference: a lower bound of a weighted sum of values, by going through the program backwards. Any multipliers are sound.

(in-package "ACL2")
(include-book "maximum")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

; ---------------------------------------------------------------- multipliers: integers, or slopes (low . high) in units of 2^-bits

(defun multiplier (m c bits)
  (declare (xargs :guard (and (integerp c) (natp bits)) :guard-hints (("Goal" :in-theory (enable floor)))))
  (if (consp m)
      (floor (+ (* (max c 0) (int (car m))) (* (min c 0) (int (cdr m))) (floor (expt 2 (nfix bits)) 2)) (expt 2 (nfix bits)))
    (int m)))

(defthm integerp-multiplier
  (implies (integerp c) (integerp (multiplier m c bits)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (enable floor))))

(in-theory (disable multiplier))

(defun coef (cs) (declare (xargs :guard t)) (let ((c (head cs))) (int c)))
(defthm integerp-coef (integerp (coef cs)) :rule-classes :type-prescription)
(in-theory (disable coef))

; ---------------------------------------------------------------- inputs

(defun box-least (cs bs)
  (declare (xargs :guard t))
  (if (atom bs) 0 (+ (ray (coef cs) (car bs)) (box-least (tail cs) (cdr bs)))))

(defun three (a b c) (if (or (atom b) (atom c)) (list a b c) (three (cdr a) (cdr b) (cdr c))))

(defthm integerp-box-least (integerp (box-least cs bs)) :rule-classes :type-prescription)

(defthm box-least-sound
  (implies (within-v bs v) (<= (box-least cs bs) (dot cs v)))
  :rule-classes nil
  :hints (("Goal" :induct (three cs bs v) :in-theory (enable coef))
          ("Subgoal *1/2" :use ((:instance ray-sound (c (coef cs)) (b (car bs)) (x (ifix (car v))))))))

; ---------------------------------------------------------------- functions of one integer

(defun each-multipliers (fs cs ms bits)
  (declare (xargs :guard (natp bits)))
  (if (atom fs) nil
    (cons (multiplier (head ms) (coef cs) bits) (each-multipliers (cdr fs) (tail cs) (tail ms) bits))))

(defun each-least (fs cs ps bs)
  (declare (xargs :guard t))
  (if (atom fs) 0
    (+ (least (car fs) (coef cs) (coef ps) (lo (head bs)) (hi (head bs)))
       (each-least (cdr fs) (tail cs) (tail ps) (tail bs)))))

(defthm integerp-each-least (integerp (each-least fs cs ps bs)) :rule-classes :type-prescription)

(defun each-ind (fs cs ms bs v)
  (if (atom fs) (list cs ms bs v) (each-ind (cdr fs) (cdr cs) (cdr ms) (cdr bs) (cdr v))))

(defthm within-v-car
  (implies (within-v bs v) (and (<= (lo (car bs)) (ifix (car v))) (<= (ifix (car v)) (hi (car bs)))))
  :rule-classes (:rewrite :linear))
(defthm within-v-cdr (implies (within-v bs v) (within-v (cdr bs) (cdr v))))
(defthm within-car (implies (within bss env) (within-v (car bss) (car env))))
(defthm within-cdr (implies (within bss env) (within (cdr bss) (cdr env))))

(defthm each-sound
  (implies (within-v bs v)
           (<= (+ (each-least fs cs (each-multipliers fs cs ms bits) bs) (dot (each-multipliers fs cs ms bits) v))
               (dot cs (each-val fs v))))
  :rule-classes nil
  :hints (("Goal" :induct (each-ind fs cs ms bs v) :in-theory (e/d (coef) (within-v)))
          ("Subgoal *1/2" :use ((:instance least-sound (f (car fs)) (c (coef cs)) (p (multiplier (car ms) (coef cs) bits))
                                           (lo (lo (car bs))) (hi (hi (car bs))) (x (ifix (car v))))))))

; ---------------------------------------------------------------- products

(defun corner (c p q a b)
  (declare (xargs :guard (and (integerp c) (integerp p) (integerp q) (integerp a) (integerp b))))
  (- (* c a b) (+ (* p a) (* q b))))

(defun corners (c p q x y)
  (declare (xargs :guard (and (integerp c) (integerp p) (integerp q))))
  (min (min (corner c p q (lo x) (lo y)) (corner c p q (lo x) (hi y)))
       (min (corner c p q (hi x) (lo y)) (corner c p q (hi x) (hi y)))))

(defthm corner-x
  (implies (and (integerp c) (integerp p) (integerp q) (integerp a) (integerp b) (integerp l) (integerp h) (<= l a) (<= a h))
           (<= (min (corner c p q l b) (corner c p q h b)) (corner c p q a b)))
  :rule-classes nil
  :hints (("Goal" :use ((:instance line-least (p (- (* c b) p)) (lo l) (hi h) (x a))))))

(defthm corner-y
  (implies (and (integerp c) (integerp p) (integerp q) (integerp a) (integerp b) (integerp l) (integerp h) (<= l b) (<= b h))
           (<= (min (corner c p q a l) (corner c p q a h)) (corner c p q a b)))
  :rule-classes nil
  :hints (("Goal" :use ((:instance line-least (p (- (* c a) q)) (lo l) (hi h) (x b))))))

(defthm integerp-corner
  (implies (and (integerp c) (integerp p) (integerp q) (integerp a) (integerp b)) (integerp (corner c p q a b)))
  :rule-classes :type-prescription)

(defthm corners-sound
  (implies (and (integerp c) (integerp p) (integerp q) (integerp a) (integerp b)
                (<= (lo x) a) (<= a (hi x)) (<= (lo y) b) (<= b (hi y)))
           (<= (corners c p q x y) (corner c p q a b)))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable corner)
           :use ((:instance corner-x (l (lo x)) (h (hi x)))
                 (:instance corner-y (a (lo x)) (l (lo y)) (h (hi y)))
                 (:instance corner-y (a (hi x)) (l (lo y)) (h (hi y)))))))

(defthm integerp-corners
  (implies (and (integerp c) (integerp p) (integerp q)) (integerp (corners c p q x y)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable corner))))

(defun product-least (cs ps qs xs ys)
  (declare (xargs :guard t))
  (if (atom xs) 0
    (+ (corners (coef cs) (coef ps) (coef qs) (car xs) (head ys))
       (product-least (tail cs) (tail ps) (tail qs) (cdr xs) (tail ys)))))

(defthm integerp-product-least (integerp (product-least cs ps qs xs ys)) :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable corners))))

(defun product-ind (cs ms ns xs ys x y)
  (if (or (atom xs) (atom x)) (list cs ms ns ys y) (product-ind (cdr cs) (cdr ms) (cdr ns) (cdr xs) (cdr ys) (cdr x) (cdr y))))

(defthm product-sound                   ; multipliers of both factors, one for each element of the left one
  (implies (and (within-v xs x) (within-v ys y))
           (<= (+ (product-least cs (each-multipliers xs cs ms bits) (each-multipliers xs cs ns bits) xs ys)
                  (dot (each-multipliers xs cs ms bits) x) (dot (each-multipliers xs cs ns bits) y))
               (dot cs (product-val x y))))
  :rule-classes nil
  :hints (("Goal" :induct (product-ind cs ms ns xs ys x y) :in-theory (e/d (coef) (within-v corners)))
          ("Subgoal *1/2" :expand ((within-v xs x))
           :use ((:instance corners-sound (c (coef cs)) (p (multiplier (car ms) (coef cs) bits)) (q (multiplier (car ns) (coef cs) bits))
                            (a (ifix (car x))) (b (ifix (car y))) (x (car xs)) (y (car ys)))))
          ("Subgoal *1/1" :in-theory (enable within-v coef))))

; ---------------------------------------------------------------- maxima

(defun member-multipliers (es ms c bits)
  (declare (xargs :guard (and (integerp c) (natp bits))))
  (if (atom es) nil (cons (multiplier (head ms) c bits) (member-multipliers (cdr es) (tail ms) c bits))))

(defun maximum-backward (groups cs mss bs bits sum held)  ; (constant . coefficients)
  (declare (xargs :guard (and (natp bits) (integerp sum)) :verify-guards nil))
  (if (atom groups) (cons sum held)
    (let* ((es (car groups)) (c (coef cs)) (ps (member-multipliers es (head mss) c bits)))
      (if (atom es)
          (maximum-backward (cdr groups) (tail cs) (tail mss) bs bits (+ sum (ray c (at nil bs))) held)
        (maximum-backward (cdr groups) (tail cs) (tail mss) bs bits (+ sum (max-constant es ps c bs)) (add-units es ps held))))))

(defthm integerp-maximum-backward
  (implies (integerp sum) (integerp (car (maximum-backward groups cs mss bs bits sum held))))
  :rule-classes :type-prescription)

(verify-guards maximum-backward)

(defthm maximum-sound
  (implies (and (within-v bs v) (integerp sum))
           (<= (+ (car (maximum-backward groups cs mss bs bits sum held)) (dot (cdr (maximum-backward groups cs mss bs bits sum held)) v))
               (+ sum (dot held v) (dot cs (max-vals groups v)))))
  :rule-classes nil
  :hints (("Goal" :induct (maximum-backward groups cs mss bs bits sum held) :in-theory (e/d (coef) (within-v)))
          ("Subgoal *1/3" :use ((:instance max-constant-sound (es (car groups)) (c (coef cs))
                                           (ps (member-multipliers (car groups) (car mss) (coef cs) bits)))))
          ("Subgoal *1/2" :use ((:instance ray-sound (c (coef cs)) (b (at nil bs)) (x (val nil v)))))))

; ---------------------------------------------------------------- one node

(defun backward (node cs css b bss m bits)   ; cs, b: of the node; css, bss: of those before it
  (declare (xargs :guard (natp bits)))
  (case (head node)
    (:input (cons (box-least cs b) css))
    (:affine (let ((ys (ints (at 1 node))))
               (cons (dot cs ys) (pull-terms ys cs (tail (tail node)) css))))
    (:product (let* ((g (at 1 node)) (h (at 2 node)) (xs (at g bss))
                     (ps (each-multipliers xs cs (head m) bits)) (qs (each-multipliers xs cs (tail m) bits))
                     (css (put g (add-list ps (touched (at g css))) css)))
                (cons (product-least cs ps qs xs (at h bss)) (put h (add-list qs (touched (at h css))) css))))
    (:maximum (let* ((g (at 1 node)) (r (maximum-backward (tail (tail node)) cs m (at g bss) bits 0 (touched (at g css)))))
                (cons (car r) (put g (cdr r) css))))
    (otherwise (let* ((g (at 1 node)) (fs (tail (tail node))) (ps (each-multipliers fs cs m bits)))
                 (cons (each-least fs cs ps (at g bss)) (put g (add-list ps (touched (at g css))) css))))))

(defun value-ok (node v env)            ; whether a node may have a value
  (if (equal (car node) :input) (bounded (at 1 node) (at 2 node) v) (equal v (node-val node env))))

(defthm affine-backward
  (implies (and (equal (car node) :affine) (equal v (node-val node env)))
           (<= (+ (car (backward node cs css b bss m bits)) (total (cdr (backward node cs css b bss m bits)) env))
               (+ (dot cs v) (total css env))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable at affine-val pull-terms)
           :use ((:instance total-pull-terms (ys (ints (at 1 node))) (zs (ints (at 1 node))) (terms (cddr node)))))))

(defthm product-backward
  (implies (and (equal (car node) :product) (equal v (node-val node env)) (within bss env))
           (<= (+ (car (backward node cs css b bss m bits)) (total (cdr (backward node cs css b bss m bits)) env))
               (+ (dot cs v) (total css env))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable at each-multipliers product-least product-val put within-v)
           :use ((:instance product-sound (xs (at (at 1 node) bss)) (ys (at (at 2 node) bss)) (ms (car m)) (ns (cdr m))
                            (x (at (at 1 node) env)) (y (at (at 2 node) env)))))))

(defthm maximum-backward-sound
  (implies (and (equal (car node) :maximum) (equal v (node-val node env)) (within bss env))
           (<= (+ (car (backward node cs css b bss m bits)) (total (cdr (backward node cs css b bss m bits)) env))
               (+ (dot cs v) (total css env))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable at maximum-backward put within-v)
           :use ((:instance maximum-sound (groups (cddr node)) (mss m) (bs (at (at 1 node) bss)) (sum 0)
                            (held (touched (at (at 1 node) css))) (v (at (at 1 node) env)))))))

(defthm each-backward
  (implies (and (not (member (car node) '(:input :affine :product :maximum))) (equal v (node-val node env)) (within bss env))
           (<= (+ (car (backward node cs css b bss m bits)) (total (cdr (backward node cs css b bss m bits)) env))
               (+ (dot cs v) (total css env))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable at each-multipliers each-least each-val put within-v)
           :use ((:instance each-sound (fs (cddr node)) (ms m) (bs (at (at 1 node) bss)) (v (at (at 1 node) env)))))))

(defthm backward-sound
  (implies (and (value-ok node v env) (within-v b v) (within bss env))
           (<= (+ (car (backward node cs css b bss m bits)) (total (cdr (backward node cs css b bss m bits)) env))
               (+ (dot cs v) (total css env))))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (e/d (value-ok) (backward node-val within within-v bounded))
           :cases ((equal (car node) :input))
           :use (affine-backward product-backward maximum-backward-sound each-backward))
          ("Subgoal 1" :in-theory (e/d (backward) (within within-v)) :use ((:instance box-least-sound (bs b))))))

(defthm integerp-backward
  (integerp (car (backward node cs css b bss m bits)))
  :rule-classes :type-prescription
  :hints (("Goal" :in-theory (disable maximum-backward each-least product-least at))))

(in-theory (disable backward value-ok))

; ---------------------------------------------------------------- the whole program

(defun models (program env)             ; env: possible values of all nodes
  (if (atom program) (null env)
    (and (consp env) (value-ok (car program) (car env) (cdr env)) (models (cdr program) (cdr env)))))

(defun lower-bound (program css bss mss bits sum)
  (declare (xargs :guard (and (natp bits) (integerp sum))))
  (cond ((atom program) (int sum))
        ((atom css) (int sum))
        ((atom (car css))               ; nothing has reached this node
         (lower-bound (cdr program) (cdr css) (tail bss) (tail mss) bits sum))
        (t (let ((r (backward (car program) (car css) (cdr css) (head bss) (tail bss) (head mss) bits)))
             (lower-bound (cdr program) (cdr r) (tail bss) (tail mss) bits (+ (int sum) (car r)))))))

(defun lower-bound-ind (program css bss mss bits sum env)
  (cond ((atom program) (list sum env))
        ((atom css) nil)
        ((atom (car css)) (lower-bound-ind (cdr program) (cdr css) (cdr bss) (cdr mss) bits sum (cdr env)))
        (t (let ((r (backward (car program) (car css) (cdr css) (car bss) (cdr bss) (car mss) bits)))
             (lower-bound-ind (cdr program) (cdr r) (cdr bss) (cdr mss) bits (+ (ifix sum) (car r)) (cdr env))))))

(defthm integerp-lower-bound (integerp (lower-bound program css bss mss bits sum)) :rule-classes :type-prescription)

(defthm lower-bound-sound
  (implies (and (models program env) (within bss env) (integerp sum))
           (<= (lower-bound program css bss mss bits sum) (+ sum (total css env))))
  :rule-classes nil
  :hints (("Goal" :induct (lower-bound-ind program css bss mss bits sum env) :in-theory (disable within within-v))
          ("Subgoal *1/4" :use ((:instance backward-sound (node (car program)) (v (car env)) (env (cdr env)) (cs (car css)) (css (cdr css))
                                           (b (car bss)) (bss (cdr bss)) (m (car mss)))))))

(in-theory (disable lower-bound))
