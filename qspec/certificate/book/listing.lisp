; Every assignment of the inputs within bounds, one by one.

(in-package "ACL2")
(include-book "forward")
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

(in-theory (disable at node-val))

; ---------------------------------------------------------------- possible values of all nodes are those of a run

(defthm run-models
  (implies (inputs-ok program inputs) (models program (run program inputs)))
  :hints (("Goal" :in-theory (e/d (value-ok) (bounded)))))

(defun inputs-of (program env)
  (cond ((atom program) nil)
        ((equal (car (car program)) :input) (cons (car env) (inputs-of (cdr program) (cdr env))))
        (t (inputs-of (cdr program) (cdr env)))))

(defthm run-inputs-of
  (implies (models program env) (equal (run program (inputs-of program env)) env))
  :hints (("Goal" :in-theory (e/d (value-ok) (bounded)))))

; ---------------------------------------------------------------- the bounds of the inputs

(defun boxes (program bss)
  (declare (xargs :guard t))
  (cond ((atom program) nil)
        ((equal (head (car program)) :input) (cons (head bss) (boxes (cdr program) (tail bss))))
        (t (boxes (cdr program) (tail bss)))))

(defun fits-v (bs v)
  (if (atom bs) (null v)
    (and (consp v) (integerp (car v)) (<= (lo (car bs)) (car v)) (<= (car v) (hi (car bs))) (fits-v (cdr bs) (cdr v)))))

(defun fits (bss vs)
  (if (atom bss) (null vs) (and (consp vs) (fits-v (car bss) (car vs)) (fits (cdr bss) (cdr vs)))))

(defun lower-ind (lower upper bs v) (if (atom lower) (list upper bs v) (lower-ind (cdr lower) (cdr upper) (cdr bs) (cdr v))))

(defthm bounded-fits
  (implies (and (bounded lower upper v) (within-v bs v)) (fits-v bs v))
  :hints (("Goal" :induct (lower-ind lower upper bs v))))

(defun boxes-ind (program bss env) (if (atom program) (list bss env) (boxes-ind (cdr program) (cdr bss) (cdr env))))

(defthm boxes-fit
  (implies (and (models program env) (within bss env)) (fits (boxes program bss) (inputs-of program env)))
  :hints (("Goal" :induct (boxes-ind program bss env) :in-theory (e/d (value-ok) (within-v bounded fits-v)))))

; ---------------------------------------------------------------- one by one

(defun back-onto (v w)                  ; w after what v has in reverse
  (declare (xargs :guard t))
  (if (atom v) w (back-onto (cdr v) (cons (car v) w))))

(defun left-to-choose (bs bss)
  (declare (xargs :guard t))
  (if (atom bss) (len bs) (+ 1 (len bs) (left-to-choose (car bss) (cdr bss)))))

; v: what is chosen of one input, in reverse, and bs: the bounds of its other elements; vs: inputs that are chosen, in reverse, and bss:
; the bounds of those after it.
(defun none-true (bs bss v vs program goal)
  (declare (xargs :guard t :measure (make-ord 1 (1+ (left-to-choose bs bss)) (nfix (- (1+ (hi (car bs))) (lo (car bs)))))))
  (cond ((consp bs)
         (let ((lo (lo (car bs))) (hi (hi (car bs))))
           (or (< hi lo)
               (and (none-true (cdr bs) bss (cons lo v) vs program goal)
                    (none-true (cons (cons (1+ lo) hi) (cdr bs)) bss v vs program goal)))))
        ((consp bss) (none-true (car bss) (cdr bss) nil (cons (back-onto v nil) vs) program goal))
        (t (not (ftrue goal (run program (back-onto vs (list (back-onto v nil)))))))))

(defun none-true-ind (bs bss v vs w ws)
  (declare (xargs :measure (make-ord 1 (1+ (left-to-choose bs bss)) (nfix (- (1+ (hi (car bs))) (lo (car bs)))))))
  (cond ((consp bs)
         (let ((lo (lo (car bs))) (hi (hi (car bs))))
           (if (< hi lo) nil
             (list (none-true-ind (cdr bs) bss (cons lo v) vs (cdr w) ws)
                   (none-true-ind (cons (cons (1+ lo) hi) (cdr bs)) bss v vs w ws)))))
        ((consp bss) (none-true-ind (car bss) (cdr bss) nil (cons (back-onto v nil) vs) (car ws) (cdr ws)))
        (t (list v vs w ws))))

(defthm none-true-sound
  (implies (and (none-true bs bss v vs program goal) (fits-v bs w) (fits bss ws))
           (not (ftrue goal (run program (back-onto vs (cons (back-onto v w) ws))))))
  :rule-classes nil
  :hints (("Goal" :induct (none-true-ind bs bss v vs w ws) :in-theory (disable run ftrue))))

(defun none-true-p (program goal bss)
  (declare (xargs :guard t))
  (let ((all (boxes program bss)))
    (if (atom all) (not (ftrue goal (run program nil))) (none-true (car all) (cdr all) nil nil program goal))))

(defthm none-true-p-sound
  (implies (and (models program env) (within bss env) (none-true-p program goal bss)) (not (ftrue goal env)))
  :hints (("Goal" :do-not-induct t :in-theory (disable run ftrue boxes models within inputs-of boxes-fit run-inputs-of)
           :expand ((fits (boxes program bss) (inputs-of program env)))
           :use (boxes-fit run-inputs-of
                 (:instance none-true-sound (bs (car (boxes program bss))) (bss (cdr (boxes program bss))) (v nil) (vs nil)
                            (w (car (inputs-of program env))) (ws (cdr (inputs-of program env))))))))

(in-theory (disable none-true-p))
(in-theory (enable at node-val))
