"""From a property to a query, on integers and on reals."""
