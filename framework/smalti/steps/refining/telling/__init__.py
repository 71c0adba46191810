"""What is told of a refinement: rows, tables, the verdict."""
