; Reads a query and a proof from a file, and says whether the proof is right. Nothing is proved of reading and printing.

(in-package "ACL2")
(include-book "certificate")
(set-state-ok t)
(program)

(defun read-one (file state)            ; whether there is nothing, and the first object in the file
  (mv-let (channel state) (open-input-channel file :object state)
    (if (null channel) (mv t nil state)
      (mv-let (end object state) (read-object channel state)
        (let ((state (close-input-channel channel state))) (mv end object state))))))

(defun check-one (object)               ; (program goal bits steps name), and the answer is about what has this name
  (let* ((wrong (verdict (at 0 object) (at 1 object) (at 2 object) (at 3 object)))
         (left (if (and (integerp wrong) (equal (head (at wrong (at 3 object))) :assume))
                   (assumed (at 0 object) (at 1 object) (at 2 object) (at 3 object))
                 :wrong))
         (name (at 4 object)))
    (cond ((and (consp left) (stringp name)) (cw "~%query: ~s0~%qspec-certificate: put aside ~x1~%" name (len left)))
          ((and (null wrong) (stringp name)) (cw "~%query: ~s0~%qspec-certificate: accepted~%" name))
          ((integerp wrong) (cw "~%qspec-certificate: step ~x0 is wrong~%" wrong))
          ((eq wrong :open) (cw "~%qspec-certificate: a domain is left open~%"))
          (t (cw "~%qspec-certificate: not readable~%")))))

(defun check-each (objects)
  (if (atom objects) nil (prog2$ (check-one (car objects)) (check-each (cdr objects)))))

(defun check-file (file state)          ; the file holds a list of proofs
  (mv-let (end objects state) (read-one file state)
    (prog2$ (if end (cw "~%qspec-certificate: not readable~%") (check-each objects)) (value :invisible))))
