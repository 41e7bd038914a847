; The checker, and the theorem: if it accepts a proof, no inputs within their bounds make the goal of the program true. If a proof puts domains
; aside, all inputs that do lie in one of them.

(in-package "ACL2")
(include-book "steps")
(set-inhibit-warnings "Non-rec" "Subsume" "Disable" "Free")

(defun wrong-step (steps program goal bits stack n)   ; nil if a proof is right; else the number of the step that is not, or :open
  (declare (xargs :guard (and (natp bits) (integerp n))))
  (cond ((atom steps) (if (atom stack) nil :open))
        ((atom stack) n)
        (t (let ((new (replaced (car steps) (head (car stack)) (tail (car stack)) program goal bits)))
             (if (equal new :no-step) n
               (wrong-step (cdr steps) program goal bits (append new (cdr stack)) (1+ n)))))))

(defthm wrong-step-sound
  (implies (and (models program env) (ftrue goal env) (some-holds stack env) (integerp n)) (wrong-step steps program goal bits stack n))
  :rule-classes nil
  :hints (("Goal" :induct (wrong-step steps program goal bits stack n) :in-theory (disable models within ftrue))))

(defun verdict (program goal bits steps)         ; nil if the proof is right
  (declare (xargs :guard t))
  (wrong-step steps program goal (nfix bits) (list (cons (start program) (flat (list goal)))) 0))

(defun certified (program goal bits steps)
  (declare (xargs :guard t))
  (not (verdict program goal bits steps)))

(defthm certified-sound
  (implies (and (certified program goal bits steps) (models program env)) (not (ftrue goal env)))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable models within ftrue)
           :use ((:instance wrong-step-sound (stack (list (cons (start program) (flat (list goal))))) (bits (nfix bits)) (n 0))))))

(defthm certificate-theorem
  (implies (and (certified program goal bits steps) (inputs-ok program inputs))
           (not (ftrue goal (run program inputs))))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable certified inputs-ok run ftrue)
           :use ((:instance certified-sound (env (run program inputs)))))))

; ---------------------------------------------------------------- proofs that put domains aside

(defun aside (steps program goal bits stack)     ; the domains that a proof puts aside, by (:assume), or :wrong
  (declare (xargs :guard (natp bits)))
  (cond ((atom steps) (if (atom stack) nil :wrong))
        ((atom stack) :wrong)
        ((equal (head (car steps)) :assume)
         (let ((rest (aside (cdr steps) program goal bits (cdr stack))))
           (if (equal rest :wrong) :wrong (cons (car stack) rest))))
        (t (let ((new (replaced (car steps) (head (car stack)) (tail (car stack)) program goal bits)))
             (if (equal new :no-step) :wrong
               (aside (cdr steps) program goal bits (append new (cdr stack))))))))

(defthm aside-sound
  (implies (and (models program env) (ftrue goal env) (some-holds stack env)
                (not (equal (aside steps program goal bits stack) :wrong)))
           (some-holds (aside steps program goal bits stack) env))
  :rule-classes nil
  :hints (("Goal" :induct (aside steps program goal bits stack) :in-theory (disable models within ftrue))))

(defun assumed (program goal bits steps)
  (declare (xargs :guard t))
  (aside steps program goal (nfix bits) (list (cons (start program) (flat (list goal))))))

(defthm assumed-sound
  (implies (and (models program env) (ftrue goal env) (not (equal (assumed program goal bits steps) :wrong)))
           (some-holds (assumed program goal bits steps) env))
  :rule-classes nil
  :hints (("Goal" :do-not-induct t :in-theory (disable models within ftrue)
           :use ((:instance aside-sound (stack (list (cons (start program) (flat (list goal))))) (bits (nfix bits)))))))

(defthm partial-theorem
  (implies (and (not (equal (assumed program goal bits steps) :wrong)) (inputs-ok program inputs) (ftrue goal (run program inputs)))
           (some-holds (assumed program goal bits steps) (run program inputs)))
  :rule-classes nil
  :hints (("Goal" :in-theory (disable assumed inputs-ok run ftrue some-holds)
           :use ((:instance assumed-sound (env (run program inputs)))))))
