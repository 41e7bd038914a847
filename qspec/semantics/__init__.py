"""What networks compute, stated a second time: plain integers and fractions, written layer by layer from docs/semantics.md.

Every counterexample is replayed here as well as on the compiled query. Only data is shared with the rest of qspec: the classes that hold
layers, activations, formats and codes. Windows, sums, units, rounding, overflow, tables, and exp and ln are written again, so that an
error in one of the two statements shows as a disagreement. An import contract keeps them apart.
"""
