; The steps of a proof. A domain is a pair (bounds . formulas); a stack of domains is what is left of the input space. No step loses a
; solution: if one lies in some domain of the stack, one lies in some domain of the stack after it.

(in-package "ACL2")
(include-book "narrowing")
(include-book "listing")
(local (include-book "arithmetic-5/top" :dir :system))
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

; ---------------------------------------------------------------- disjunctions

(defun flat (fs)                        ; conjunctions taken apart
  (declare (xargs :guard t :verify-guards nil))
  (cond ((atom fs) nil)
        ((and (consp (car fs)) (equal (caar fs) :and)) (append (flat (cdar fs)) (flat (cdr fs))))
        (t (cons (car fs) (flat (cdr fs))))))

(defthm true-listp-flat (true-listp (flat fs)) :rule-classes :type-prescription)
(verify-guards flat)

(defthm all-true-append
  (equal (all-true (append a b) env) (and (all-true a env) (all-true b env))))

(defthm flat-true
  (equal (all-true (flat fs) env) (all-true fs env))
  :hints (("Goal" :induct (flat fs))))

(defun pending-p (f)
  (declare (xargs :guard t))
  (or (equal (head f) :or) (equal (head f) :any)))

(defun pending (j fs)                   ; the j-th disjunction
  (declare (xargs :guard t))
  (cond ((atom fs) nil)
        ((not (pending-p (car fs))) (pending j (cdr fs)))
        ((posp j) (pending (1- j) (cdr fs)))
        (t (car fs))))

(defun without (j fs)
  (declare (xargs :guard t))
  (cond ((atom fs) nil)
        ((not (pending-p (car fs))) (cons (car fs) (without j (cdr fs))))
        ((posp j) (cons (car fs) (without (1- j) (cdr fs))))
        (t (cdr fs))))

(defthm without-true
  (implies (all-true fs env) (all-true (without j fs) env))
  :hints (("Goal" :in-theory (disable ftrue pending-p))))

(defthm pending-true
  (implies (and (all-true fs env) (pending-p (pending j fs))) (ftrue (pending j fs) env))
  :hints (("Goal" :induct (pending j fs) :in-theory (disable ftrue pending-p))))

(defun elements (k e bs)                ; one fact for each element
  (declare (xargs :guard (integerp e)))
  (if (atom bs) nil (cons (list :ge k e) (elements k (1+ e) (cdr bs)))))

(defun choices-of (f bss)
  (declare (xargs :guard t))
  (if (equal (head f) :or) (tail f) (elements (at 1 f) 0 (at (at 1 f) bss))))

(defun elements-ind (e bs v w) (if (or (atom bs) (atom v)) (list e w) (elements-ind (1+ e) (cdr bs) (cdr v) w)))

(defun suffix-p (e v w)                 ; v is what w is without its first e members
  (if (posp e) (and (consp w) (suffix-p (1- e) v (cdr w))) (equal v w)))

(defthm suffix-cdr
  (implies (and (natp e) (consp v) (suffix-p e v w)) (suffix-p (1+ e) (cdr v) w)))

(defthm suffix-car
  (implies (and (natp e) (consp v) (suffix-p e v w)) (equal (at e w) (car v))))

(defthm fact-means
  (equal (ftrue (list :ge k e) env) (<= 0 (ifix (at e (at k env)))))
  :hints (("Goal" :in-theory (enable val))))

(defthm elements-sound
  (implies (and (within-v bs v) (natp e) (suffix-p e v (at k env)) (some-ge v))
           (some-true (elements k e bs) env))
  :rule-classes nil
  :hints (("Goal" :induct (elements-ind e bs v w) :in-theory (disable at suffix-p ftrue))))

(defthm choices-of-sound
  (implies (and (within bss env) (pending-p f) (ftrue f env)) (some-true (choices-of f bss) env))
  :hints (("Goal" :do-not-induct t :in-theory (disable within within-v at some-ge elements)
           :use ((:instance elements-sound (k (at 1 f)) (e 0) (bs (at (at 1 f) bss)) (v (at (at 1 f) env)))))))

(in-theory (disable choices-of pending-p))

; ---------------------------------------------------------------- stacks of domains

(defun holds (d env) (and (within (car d) env) (all-true (cdr d) env)))

(defun some-holds (stack env)
  (if (atom stack) nil (or (holds (car stack) env) (some-holds (cdr stack) env))))

(defthm some-holds-append
  (equal (some-holds (append a b) env) (or (some-holds a env) (some-holds b env))))

(defun children (fs bss kept)
  (declare (xargs :guard (true-listp kept)))
  (if (atom fs) nil (cons (cons bss (append kept (flat (list (car fs))))) (children (cdr fs) bss kept))))

(defthm true-listp-children (true-listp (children fs bss kept)) :rule-classes :type-prescription)
(defthm true-listp-without (implies (true-listp fs) (true-listp (without j fs))) :rule-classes :type-prescription)

(defthm children-sound
  (implies (and (within bss env) (all-true kept env) (some-true fs env)) (some-holds (children fs bss kept) env))
  :hints (("Goal" :induct (children fs bss kept) :in-theory (disable within flat ftrue))))

(defun false-p (fs)                     ; whether something false was asserted
  (declare (xargs :guard t))
  (if (atom fs) nil (or (equal (car fs) '(:false)) (false-p (cdr fs)))))

(defthm false-p-sound (implies (false-p fs) (not (all-true fs env))))

(defthm split-covers                    ; x <= t or t + 1 <= x
  (implies (and (within bss env) (integerp th) (not (within (narrowed k e -1 (- th) bss) env)))
           (within (narrowed k e 1 (1+ th) bss) env))
  :hints (("Goal" :do-not-induct t :in-theory (disable within narrowed val at)
           :use ((:instance narrowed-sound (c -1) (b (- th))) (:instance narrowed-sound (c 1) (b (1+ th)))))))

(defun kept (fs) (declare (xargs :guard t)) (if (true-listp fs) fs nil))

(defthm kept-true (implies (all-true fs env) (all-true (kept fs) env)))
(defthm true-listp-kept (true-listp (kept fs)) :rule-classes :type-prescription)
(in-theory (disable kept))

; ---------------------------------------------------------------- one step: the new bounds of the domain on top

(defun new-bounds (s bss fs program bits)   ; or :no-step
  (declare (xargs :guard (natp bits)))
  (case (head s)
    (:facts (with-facts fs bss))
    (:invert (invert (at 1 s) program bss))
    (:propagate (forward (at 1 s) program bss))
    (:tighten                           ; (:tighten k elements readers scale slopes)
     (let ((c (at 4 s))) (if (integerp c) (tighten (at 1 s) (at 2 s) (at 3 s) c program bss (at 5 s) bits) :no-step)))
    (:bound                             ; (:bound k e c weights multipliers)
     (let* ((k (at 1 s)) (e (at 2 s)) (c (at 3 s)) (css (if (integerp c) (weighted (at 4 s) fs (unit k e c)) :wrong)))
       (if (equal css :wrong) :no-step (bounded-by k e c css program bss (at 5 s) bits))))
    (otherwise :no-step)))

(defthm new-bounds-sound
  (implies (and (models program env) (within bss env) (all-true fs env)
                (not (equal (new-bounds s bss fs program bits) :no-step)))
           (within (new-bounds s bss fs program bits) env))
  :hints (("Goal" :do-not-induct t :in-theory (disable within models all-true with-facts at)
           :use ((:instance weighted-sound (ws (at 4 s)) (css (unit (at 1 s) (at 2 s) (at 3 s))))))))

(in-theory (disable new-bounds))

; ---------------------------------------------------------------- one step: what becomes of the domain on top

(defun replaced (s bss fs program goal bits)     ; a list of domains, or :no-step
  (declare (xargs :guard (natp bits)))
  (case (head s)
    (:split                             ; (:split k e threshold)
     (let ((th (at 3 s)))
       (if (integerp th)
           (list (cons (narrowed (at 1 s) (at 2 s) -1 (- th) bss) fs) (cons (narrowed (at 1 s) (at 2 s) 1 (1+ th) bss) fs))
         :no-step)))
    (:choose                            ; (:choose j)
     (let ((f (pending (at 1 s) fs)))
       (if (pending-p f) (children (choices-of f bss) bss (kept (without (at 1 s) fs))) :no-step)))
    (:empty (if (or (false-p fs) (empty-p bss)) nil :no-step))
    (:list (if (or (none-true-p program goal bss) (empty-p bss)) nil :no-step))
    (:close                             ; (:close weights multipliers)
     (if (or (refuted-p (at 1 s) fs program bss (at 2 s) bits) (empty-p bss)) nil :no-step))
    (otherwise
     (let ((new (new-bounds s bss fs program bits))) (if (equal new :no-step) :no-step (list (cons new fs)))))))

(defthm replaced-sound
  (implies (and (models program env) (ftrue goal env) (within bss env) (all-true fs env)
                (not (equal (replaced s bss fs program goal bits) :no-step)))
           (some-holds (replaced s bss fs program goal bits) env))
  :hints (("Goal" :do-not-induct t :in-theory (disable within models all-true ftrue at narrowed pending without false-p empty-p children)
           :use ((:instance split-covers (k (at 1 s)) (e (at 2 s)) (th (at 3 s)))))))

(defthm true-listp-replaced
  (implies (not (equal (replaced s bss fs program goal bits) :no-step)) (true-listp (replaced s bss fs program goal bits))))

(in-theory (disable replaced))
