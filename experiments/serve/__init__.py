"""Server of predictions by HTTP."""
